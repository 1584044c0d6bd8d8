//! Attestations of copies: signs what a deployment has copied and verified.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, anyhow};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::attestation::{self, Artifact, Attestation, Predicate, Program};
use crate::plan::{Copy, CopySource};
use crate::problem::{Problem, Problems};
use crate::progress;
use crate::session::Session;
use oci_copy::copy::Outcome;
use oci_copy::reference::{Digest, Location};
use oci_copy::store::{SubjectSupport, TagOrDigest, Target, UploadStart, tag_or_digest};

use super::planned::Planned;
use super::prepare::Prepared;

/// How many targets are attested at once.
const AT_ONCE: usize = 8;

/// The key of KMS that signs, once it is known to.
pub(super) struct Signer<'a> {
    session: &'a Session,
    arn: &'a str,
    algorithm: &'static str,
}

/// What all attestations of a run have in common.
struct Run {
    /// The digest of the lock, where only what it has is copied.
    lock: Option<Digest>,
    /// The digest of the proof.
    closure: Option<Digest>,
}

/// Signs what is at the target now, if a key is named.
///
/// # Errors
/// When an artifact cannot be signed, and when the run is stopped meanwhile.
pub(super) async fn attest(prepared: &Prepared, outcomes: &[Outcome]) -> anyhow::Result<()> {
    let session = &prepared.session;
    let Some(signer) = Signer::open(session).await? else {
        return Ok(());
    };
    let Planned {
        plan, proof, lock, ..
    } = &prepared.planned;
    let run = Run {
        lock: lock.clone(),
        closure: proof.as_ref().map(|proof| proof.short().proof),
    };
    tokio::select! {
        attested = signer.attest(&plan.copies, outcomes, &run) => attested,
        () = session.stop.cancelled() => Err(anyhow!("stopped while the copies were attested")),
    }
}

impl<'a> Signer<'a> {
    /// The signer that the settings name; asks KMS for its public half, which shows whether it can be used.
    ///
    /// # Errors
    /// Bad input where the key cannot be used; otherwise what failed.
    pub(super) async fn open(session: &'a Session) -> anyhow::Result<Option<Self>> {
        let Some(arn) = session.settings.attestation_key.as_deref() else {
            return Ok(None);
        };
        let place = format!("parameter AttestationKmsKeyArn ({arn})");
        let key = match session.aws.kms_public_key(arn).await {
            Ok(key) => key,
            Err(error) if error.is_refusal() => {
                let problem = Problem::input(place, error.to_string());
                let usual = "name an asymmetric key for signatures that the role may use (kms:GetPublicKey, kms:Sign)";
                return Err(Problems::from(problem.remedy(error.remedy().unwrap_or(usual))).into());
            }
            Err(error) => return Err(anyhow::Error::new(error).context(place)),
        };
        let algorithm = attestation::algorithm(&key.der, &key.algorithms).map_err(|what| {
            Problems::from(Problem::input(place, what).remedy(attestation::KINDS))
        })?;
        Ok(Some(Self {
            session,
            arn,
            algorithm,
        }))
    }

    /// Attests every artifact that is not attested yet.
    ///
    /// # Errors
    /// When one cannot be signed or written.
    async fn attest(&self, copies: &[Copy], outcomes: &[Outcome], run: &Run) -> anyhow::Result<()> {
        let region = self.arn.split(':').nth(3).unwrap_or_default();
        let identity = self.session.aws.identity(region).await?;
        // Not the session, whose name each build makes anew.
        let role = match identity.role() {
            Some(_) => identity
                .arn
                .rsplit_once('/')
                .map(|(role, _)| role.to_owned()),
            None => Some(identity.arn.clone()),
        };
        let program = program().await;
        let each = stream::iter(copies.iter().zip(outcomes)).map(|(copy, outcome)| {
            let (role, program) = (role.clone(), program.clone());
            async move {
                let Some(digest) = outcome.digest.clone() else {
                    return Ok(false);
                };
                let failed = || format!("cannot attest {}", copy.target_text);
                let source = self.source(copy, &digest).await.with_context(failed)?;
                let predicate = Predicate {
                    source: Artifact {
                        reference: copy.source_text.clone(),
                        digest: source,
                    },
                    target: Artifact {
                        reference: copy.target_text.clone(),
                        digest,
                    },
                    platforms: Vec::new(),
                    attested_at: None,
                    role,
                    program,
                    lock: run.lock.clone(),
                    closure: run.closure.clone(),
                };
                self.ensure(&copy.target, &predicate)
                    .await
                    .with_context(failed)
            }
        });
        let written: Vec<bool> = each.buffer_unordered(AT_ONCE).try_collect().await?;
        let count = written.iter().filter(|is_new| **is_new).count();
        let kept = written.len() - count;
        tracing::info!(
            "{} attested with {}, {kept} were",
            progress::count(count, "artifact"),
            self.arn
        );
        Ok(())
    }

    /// The digest that the source has: where platforms were selected, another one than the copy's.
    async fn source(&self, copy: &Copy, copied: &Digest) -> anyhow::Result<Digest> {
        match &copy.source {
            CopySource::Chart(artifact) => {
                let blobs = artifact.blobs.iter();
                let mut archives =
                    blobs.filter(|(blob, _)| blob.media_type.contains("chart.content"));
                let archive = archives.next().map(|(blob, _)| blob.digest.clone());
                Ok(archive.unwrap_or_else(|| copied.clone()))
            }
            CopySource::At(location) => {
                if self.session.settings.copy.platforms.is_empty() {
                    return Ok(copied.clone());
                }
                let source = self.session.stores.source(location)?;
                let found = source.resolve(&tag_or_digest(location)).await?;
                found.with_context(|| format!("the source {} is gone", copy.source_text))
            }
        }
    }

    /// Signs and writes an attestation, unless there is one of the same content.
    async fn ensure(&self, target: &Location, predicate: &Predicate) -> anyhow::Result<bool> {
        let stores = &self.session.stores;
        let (reader, digest) = (stores.source(target)?, &predicate.target.digest);
        let content = predicate.content();
        let listed = stores.attached(target, digest).await?;
        if listed.iter().any(|one| attestation::attests(one, &content)) {
            return Ok(false);
        }
        let subject = reader
            .manifest(&TagOrDigest::Digest(digest.clone()))
            .await?;
        let subject = subject.with_context(|| format!("{digest} is not at the target"))?;
        let predicate = Predicate {
            platforms: subject.platforms(),
            ..predicate.clone()
        };
        let statement = predicate.statement(SystemTime::now());
        let bytes = statement.signed_bytes();
        let signature = self
            .session
            .aws
            .kms_sign(self.arn, &bytes, self.algorithm)
            .await?;
        let attestation = statement.referrer(&subject.descriptor(), &signature, self.arn)?;
        write(stores.target(target)?, digest, &attestation).await?;
        Ok(true)
    }
}

/// Writes a referrer: its blobs, its manifest, and the list where the registry keeps none.
async fn write(
    target: Arc<dyn Target>,
    subject: &Digest,
    attestation: &Attestation,
) -> anyhow::Result<()> {
    for (descriptor, bytes) in &attestation.blobs {
        if target.has_blob(descriptor).await? {
            continue;
        }
        if let UploadStart::Session(session) = target.begin(descriptor, None).await? {
            let bytes = bytes.clone();
            let blob = stream::once(async move { Ok(bytes) }).boxed();
            target.finish(session, descriptor, blob).await?;
        }
    }
    let manifest = &attestation.manifest;
    let name = TagOrDigest::Digest(manifest.digest.clone());
    if target.put_manifest(&name, manifest).await? == SubjectSupport::Ignored {
        let referrers = [manifest.as_referrer()];
        target.add_referrers(subject, &referrers).await?;
    }
    Ok(())
}

/// This program, with the digest of its file where it can be read.
async fn program() -> Program {
    let read = || {
        let file = std::env::current_exe().and_then(std::fs::read).ok()?;
        Some(Digest::of(&file))
    };
    Program {
        name: "replicator".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        digest: tokio::task::spawn_blocking(read).await.ok().flatten(),
    }
}
