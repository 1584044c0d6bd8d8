//! An earlier result of a deployment, published again once everything that it names is at the target. Copies nothing and
//! moves no tag.
//!
//! [`Rollback::open`] finds where the results of a deployment are published; [`Rollback::history`] lists them. To publish
//! one: [`Rollback::read`], [`Rollback::check`], and [`Rollback::publish`] of what was checked.

mod destination;
mod history;

use std::path::PathBuf;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::document::{ExpectedArtifacts, MAX_RESULT, ResultDocument};
use crate::document_location::{self, DocumentLocation};
use crate::problem::{Problem, Problems};
use crate::progress::Progress;
use crate::publish::{self, KeptName};
use crate::session::{Session, unless_stopped};
use crate::settings::{Environment, Flags, Settings, Targets};
use crate::verification::{ArtifactFindings, DeploymentRecord};

pub use history::{CurrentResult, KeptResult, ResultHistory};

use destination::{Destination, Edition};

/// Where the results of a deployment are published.
pub struct Rollback {
    session: Session,
    destination: Destination,
}

/// A result that can be published, if what it names is at the target.
#[derive(Debug)]
pub struct Candidate(DeploymentRecord);

impl Candidate {
    /// Its document.
    #[must_use]
    pub fn record(&self) -> &DeploymentRecord {
        &self.0
    }
}

/// A result that was compared with the target.
#[derive(Debug)]
pub struct CheckedCandidate<'a>(ArtifactFindings<'a>);

impl CheckedCandidate<'_> {
    /// What was found.
    #[must_use]
    pub fn findings(&self) -> &ArtifactFindings<'_> {
        &self.0
    }
}

/// A result that was published again, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Republished {
    /// The name of the result in messages.
    pub result: String,
    /// Where it is published: a file, or `s3://BUCKET/KEY`.
    pub place: String,
    /// Whether it was the published result before.
    pub was_current: bool,
    /// How many artifacts it names.
    pub artifacts: usize,
    /// The result that it replaced, if that is kept now.
    pub kept: Option<KeptName>,
}

impl Rollback {
    /// Opens where results are published: the bucket of the module, where its names are given and its target is ECR;
    /// else the output folder.
    ///
    /// # Errors
    /// Every problem of parameters ([`crate::problem::is_input`]), and a client that cannot be made.
    pub fn open(
        flags: &Flags,
        environment: &Environment,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let module = document_location::module(flags, environment, Targets::Any)?;
        let (settings, destination) = if let Some((settings, publication)) = module {
            (settings, Destination::Bucket(publication))
        } else {
            let out = flags.out.clone().unwrap_or_else(|| PathBuf::from("."));
            let settings = Settings::without_target(flags, environment)?;
            (settings, Destination::Folder(out))
        };
        Ok(Self {
            session: Session::open(settings, stop)?,
            destination,
        })
    }

    /// The published result and those that later ones replaced.
    ///
    /// # Errors
    /// When the bucket or the folder cannot be read.
    pub async fn history(&self) -> anyhow::Result<ResultHistory> {
        history::list(&self.session, &self.destination).await
    }

    /// Reads a result: a kept one by its name or number, a file, or `s3://BUCKET/KEY`. One that records no digests, whose
    /// charts' images cannot be checked, is refused unless `without_digests`.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or is not a result that can be published.
    pub async fn read(&self, wanted: &str, without_digests: bool) -> anyhow::Result<Candidate> {
        let location = match &self.destination {
            _ if !document_location::is_kept(wanted) => document_location::named(wanted)?,
            Destination::Bucket(publication) => {
                document_location::in_module(publication.clone(), Some(wanted))
            }
            Destination::Folder(out) => document_location::kept_in_folder(out, wanted)?,
        };
        let record = DeploymentRecord::read(&location, &self.session).await?;
        refuse_unpublishable(&record, without_digests)?;
        Ok(Candidate(record))
    }

    /// Looks at everything that a result names at the target.
    ///
    /// # Errors
    /// When it is a result of another account, project or registry, and when the run is stopped.
    pub async fn check<'a>(
        &self,
        candidate: &'a Candidate,
        progress: &Progress,
    ) -> anyhow::Result<CheckedCandidate<'a>> {
        let record = &candidate.0;
        let checking = async {
            if let Destination::Bucket(_) = self.destination {
                let prefix = self.session.prefix().await?.to_string();
                refuse_other_targets(&record.shown, &record.expected, &prefix)?;
            }
            Ok(record.check(&self.session, progress).await)
        };
        let what = "stopped, nothing was published";
        let findings = unless_stopped(&self.session.stop, what, Box::pin(checking)).await?;
        Ok(CheckedCandidate(findings))
    }

    /// Publishes a result as a deployment does, with its proof and the module's metadata; the result that it replaces is
    /// kept. With `dry_run` nothing is written.
    ///
    /// # Errors
    /// When not everything that it names is at the target, for which nothing is written; otherwise what failed.
    pub async fn publish(
        &self,
        checked: &CheckedCandidate<'_>,
        dry_run: bool,
    ) -> anyhow::Result<Republished> {
        let (session, destination) = (&self.session, &self.destination);
        let findings = &checked.0;
        findings.check().context("nothing was published")?;
        let record = findings.record;
        let text = str::from_utf8(&record.text).context("a JSON document is text")?;
        let edition = Edition {
            shown: &record.shown,
            text,
            proof: proof(&record.location, session, (&record.shown, text)).await?,
            page: record.location.page(session).await,
        };
        let was_current = destination.current(session).await?.as_deref() == Some(text);
        let (place, kept) = if dry_run {
            (destination.shown(session).await?, None)
        } else {
            destination.publish(session, &edition).await?
        };
        Ok(Republished {
            result: record.shown.clone(),
            place,
            was_current,
            artifacts: findings.artifacts.len(),
            kept,
        })
    }
}

/// Refuses a document that cannot be published.
fn refuse_unpublishable(record: &DeploymentRecord, without_digests: bool) -> Result<(), Problems> {
    let bad = |what: String, remedy: &str| -> Result<(), Problems> {
        let problem = Problem::input(&record.shown, what);
        Err(problem.remedy(remedy).into())
    };
    let give = "give the replication_result.json of a deployment";
    if serde_json::from_slice::<ResultDocument>(&record.text).is_err() {
        return bad("it is not a result document".to_owned(), give);
    }
    let size = record.text.len();
    if size > MAX_RESULT {
        let what = format!("it has {size} bytes; the EKS module can take {MAX_RESULT}");
        return bad(what, give);
    }
    if !record.expected.is_complete && !without_digests {
        let what = "it records no digests, so the images of its charts cannot be checked";
        let remedy = "publish it all the same with --without-digests";
        return bad(what.to_owned(), remedy);
    }
    Ok(())
}

/// Refuses a document of another account, project or registry.
fn refuse_other_targets(
    shown: &str,
    expected: &ExpectedArtifacts,
    prefix: &str,
) -> Result<(), Problems> {
    let mut others = expected.artifacts.iter();
    let Some(other) = others.find(|one| !one.text.starts_with(prefix)) else {
        return Ok(());
    };
    let what = format!("it names {}, which is not below {prefix}", other.text);
    let problem = Problem::input(shown, what);
    let remedy = "publish it in the account, region and project that it is of, or name the target with \
                  --registry-prefix";
    Err(problem.remedy(remedy).into())
}

/// The proof that a document names, where it is beside it.
async fn proof(
    location: &DocumentLocation,
    session: &Session,
    (shown, text): (&str, &str),
) -> anyhow::Result<Option<String>> {
    let (proof_shown, proof) = location.proof(session).await?;
    let proof = proof.and_then(|proof| String::from_utf8(proof).ok());
    let proof = proof.filter(|proof| publish::is_proof_of(text, proof));
    if proof.is_none() && publish::names_proof(text) {
        tracing::warn!(
            "{proof_shown} is not the proof that {shown} names: `replicator verify --prove` will not find one"
        );
    }
    Ok(proof)
}
