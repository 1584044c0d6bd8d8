//! What a deployment recorded, compared with what is at the target now. Reads only.
//!
//! A document is read ([`DeploymentRecord::read`]) from where it is ([`crate::document_location`]); then each check is one
//! call, which returns what it found: [`DeploymentRecord::check`], [`DeploymentRecord::prove`] and
//! [`DeploymentRecord::check_attestations`].

mod attestations;
mod proving;

use anyhow::{Context, bail};

use crate::document::{
    AttestationFindings, ExpectedArtifacts, ProofFindings, Verification, VerifiedArtifact,
};
use crate::document_location::DocumentLocation;
use crate::progress::{self, Progress};
use crate::session::Session;
use oci_copy::reference::Digest;
use oci_copy::verify::{self, Finding, State};

/// A document of a deployment, and what it says is at the target.
#[derive(Debug)]
pub struct DeploymentRecord {
    /// Where it was read.
    pub location: DocumentLocation,
    /// Its name in messages.
    pub shown: String,
    /// Its text.
    pub text: Vec<u8>,
    /// What it says is at the target.
    pub expected: ExpectedArtifacts,
}

/// What was found of the artifacts that a document names.
#[derive(Debug)]
pub struct ArtifactFindings<'a> {
    /// The document.
    pub record: &'a DeploymentRecord,
    /// What was found of each artifact, in the order of the document.
    pub artifacts: Vec<Finding>,
}

impl DeploymentRecord {
    /// Reads a result document or a report.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or is neither ([`crate::problem::is_input`]).
    pub async fn read(location: &DocumentLocation, session: &Session) -> anyhow::Result<Self> {
        let location = location.resolve(session).await?;
        let (shown, text) = location.read(session).await?;
        let expected = ExpectedArtifacts::read(&text, &shown)?;
        Ok(Self {
            location,
            shown,
            text,
            expected,
        })
    }

    /// What the document does not record, and so cannot be checked.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let (shown, expected) = (&self.shown, &self.expected);
        let mut warnings = Vec::new();
        let (all, without) = (expected.artifacts.len(), expected.without_digest());
        if !expected.is_complete {
            warnings.push(format!(
                "{shown} records no digests: only its charts and additional images are checked, not the charts' \
                 images, and not whether their content is what was copied; the deployment's \
                 replication_report.json has everything"
            ));
        } else if without > 0 {
            warnings.push(format!(
                "{shown} records no digest for {without} of {all} artifacts: their current content is checked"
            ));
        }
        warnings
    }

    /// Looks at every artifact at the target: its digest, its manifests, and whether its blobs exist. A target that
    /// does not answer is a finding and no error.
    pub async fn check(&self, session: &Session, progress: &Progress) -> ArtifactFindings<'_> {
        let artifacts = &self.expected.artifacts;
        progress.steps("checking artifacts", artifacts.len());
        let jobs = session.settings.network.jobs;
        let step = || progress.step();
        ArtifactFindings {
            record: self,
            artifacts: verify::check(&session.stores, artifacts, jobs, step).await,
        }
    }

    /// Proves again that the charts at the target, rendered as they were when they were deployed, name only images
    /// that are there.
    ///
    /// # Errors
    /// When the document is not a result, or the proof beside it cannot be read.
    pub async fn prove(
        &self,
        session: &Session,
        progress: &Progress,
    ) -> anyhow::Result<ProofFindings> {
        progress.steps("proving charts", 0);
        proving::prove(self, session).await
    }

    /// Checks that a key made an attestation of each artifact: a file with a public key in PEM, or the ARN of a key
    /// of KMS.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub async fn check_attestations(
        &self,
        key: &str,
        session: &Session,
        progress: &Progress,
    ) -> anyhow::Result<AttestationFindings> {
        let key = attestations::verifier(session, key).await;
        let key = key.context("the key of the attestations")?;
        progress.steps("checking attestations", 0);
        Ok(attestations::check(session, &key, &self.expected.artifacts).await)
    }
}

impl ArtifactFindings<'_> {
    /// How many artifacts are in a state.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        let found = self.artifacts.iter().filter(|found| found.state() == state);
        found.count()
    }

    /// Fails unless everything is at the target.
    ///
    /// # Errors
    /// How many artifacts are in which other state.
    pub fn check(&self) -> anyhow::Result<()> {
        let wrong = State::ALL
            .into_iter()
            .filter(|state| *state != State::There);
        let wrong = wrong.map(|state| (self.count(state), state.as_str()));
        let wrong: Vec<String> = wrong
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        bail!(
            "{} of {} in {}",
            wrong.join(", "),
            progress::count(self.artifacts.len(), "artifact"),
            self.record.shown
        )
    }

    /// The same as a document, with what came of the other checks: what `replicator verify --json` prints.
    #[must_use]
    pub fn to_document(
        &self,
        proof: Option<ProofFindings>,
        attestations: Option<AttestationFindings>,
    ) -> Verification {
        let digest = |digest: &Option<Digest>| digest.as_ref().map(ToString::to_string);
        let artifacts = self.record.expected.artifacts.iter().zip(&self.artifacts);
        let artifacts = artifacts.map(|(expected, finding)| VerifiedArtifact {
            target: expected.text.clone(),
            recorded: digest(&expected.digest),
            found: digest(&finding.found),
            platforms: finding.platforms.clone(),
            manifests: finding.manifests,
            blobs: finding.blobs,
            state: finding.state().as_str().to_owned(),
            problems: finding.faults.iter().map(ToString::to_string).collect(),
        });
        let all = std::iter::once(("artifacts".to_owned(), self.artifacts.len()));
        let states = State::ALL.map(|state| (state.as_str().to_owned(), self.count(state)));
        Verification {
            result: self.record.shown.clone(),
            warnings: self.record.warnings(),
            artifacts: artifacts.collect(),
            totals: all.chain(states).collect(),
            proof,
            attestations,
        }
    }
}
