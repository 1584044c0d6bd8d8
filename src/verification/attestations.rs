//! Whether each copy has an attestation that a key made.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use futures_util::{StreamExt, stream};

use crate::attestation::{self, Predicate};
use crate::document::AttestationFindings;
use crate::files;
use crate::problem::{Problem, Problems};
use crate::session::Session;
use oci_copy::manifest::Refers;
use oci_copy::reference::Digest;
use oci_copy::store::{Source, TagOrDigest, read_whole, tag_or_digest};
use oci_copy::verify::Expected;
use signatures::cosign::{Bundle, MAX_BUNDLE};
use signatures::key::PublicKey;

/// How many targets are looked at in parallel.
const AT_ONCE: usize = 8;

/// The most attestations of one digest that are read.
const MOST: usize = 100;

/// The largest file with a public key, in bytes.
const MAX_KEY: u64 = 64 * 1024;

/// The key that verifies attestations: a file with a public key in PEM, or a key of KMS by its ARN.
///
/// # Errors
/// When it cannot be read.
pub(super) async fn verifier(session: &Session, key: &str) -> anyhow::Result<PublicKey> {
    if key.starts_with("arn:") {
        let key = session.aws.kms_public_key(key).await?;
        return PublicKey::from_der(&key.der).map_err(|error| anyhow!("{error}"));
    }
    let text = files::read_within(Path::new(key), MAX_KEY);
    let text = text.map_err(|what| Problems::from(Problem::input(key, what)))?;
    PublicKey::from_pem(&String::from_utf8_lossy(&text))
        .map_err(|error| Problems::from(Problem::input(key, error.to_string())).into())
}

/// Checks that each artifact has an attestation that the key made.
pub(super) async fn check(
    session: &Session,
    key: &PublicKey,
    artifacts: &[Expected],
) -> AttestationFindings {
    let each = stream::iter(artifacts).map(|artifact| async move {
        let attested = attested(session, key, artifact).await;
        attested.map_err(|error| format!("{}: {error:#}", artifact.text))
    });
    let each: Vec<Result<(), String>> = each.buffered(AT_ONCE).collect().await;
    AttestationFindings {
        verified: each.iter().filter(|one| one.is_ok()).count(),
        problems: each.into_iter().filter_map(Result::err).collect(),
    }
}

async fn attested(session: &Session, key: &PublicKey, artifact: &Expected) -> anyhow::Result<()> {
    let reader = session.stores.source(&artifact.target)?;
    let digest = if let Some(digest) = &artifact.digest {
        digest.clone()
    } else {
        let found = reader.resolve(&tag_or_digest(&artifact.target)).await?;
        found.context("it is not at the target")?
    };
    let listed = session.stores.attached(&artifact.target, &digest).await?;
    let ours = listed.iter().filter(|one| attestation::is_ours(one));
    let mut why = "it has no attestation of its copy".to_owned();
    for referrer in ours.take(MOST) {
        let read = read(session, &reader, &referrer.digest, key, &digest).await;
        match read {
            Ok(_) => return Ok(()),
            Err(error) => why = format!("the attestation {}: {error:#}", referrer.digest),
        }
    }
    bail!(why)
}

/// Reads and verifies one attestation.
async fn read(
    session: &Session,
    reader: &Arc<dyn Source>,
    referrer: &Digest,
    key: &PublicKey,
    subject: &Digest,
) -> anyhow::Result<Predicate> {
    let manifest = reader
        .manifest(&TagOrDigest::Digest(referrer.clone()))
        .await?;
    let manifest = manifest.context("its manifest is gone")?;
    let Refers::Blobs { layers, .. } = &manifest.refers else {
        bail!("it is an index");
    };
    let [layer] = layers.as_slice() else {
        bail!("it does not have exactly one layer");
    };
    if layer.size > MAX_BUNDLE {
        bail!("it is too large");
    }
    let policy = session.stores.http().policy().clone();
    let bytes = read_whole(Arc::clone(reader), layer, policy).await?;
    let bundle = Bundle::parse(&bytes)?;
    bundle.verify_key(key, &subject.to_string())?;
    let statement = bundle.statement()?;
    attestation::predicate(&statement, subject)
        .context("its statement is about another copy, or not about one")
}
