//! `replicator verify`

mod attestations;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};

use crate::document::{
    AttestationFindings, ExpectedArtifacts, ProofFindings, Verification, VerifiedArtifact,
};
use crate::hint;
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::session::Session;
use oci_copy::reference::Digest;
use oci_copy::verify::{self, Expected, Fault, Finding, State};

use super::document_location::{self, place, read};
use super::flags::{JOBS_OF_REQUESTS, NetworkFlags, OF_COPYING, hidden};
use super::{Exit, Invocation, print, prove};

/// Check that everything a result document names is at the target
///
/// Checks for every chart and image that its name exists and has the recorded digest, and that everything below
/// it exists: every platform of an index and every layer (queried, not read). Reports what is missing, what
/// differs and what could not be checked. Reads only from the target, and writes nothing.
///
/// Without RESULT it reads the module's own document from its bucket in a Seed-Farmer build, and otherwise
/// `replication_result.json` in the output folder. A document without digests (of the Python module, or too
/// large for them) names only charts and additional images; a `replication_report.json` names everything.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  replicator verify
  replicator verify out/replication_result.json --json
  replicator verify s3://idf-dkr-img-rep-md-eu-west-1-123456789012/dev-replication-images-metadata.json

  replicator verify --prove

Exit codes: 0 everything is there; 1 something is missing, differs, could not be checked or is not as it
was proved; 2 bad input.",
    mut_args(hidden(&OF_COPYING)),
    mut_arg("jobs", |arg| arg.help(JOBS_OF_REQUESTS))
)]
pub(super) struct Verify {
    /// A result document or a report: a file, `s3://BUCKET/KEY`, or a kept result of `replicator publish --list`
    #[arg(value_name = "RESULT")]
    result: Option<String>,
    /// The output folder of the deployment [default: .]
    #[arg(long, value_name = "DIR", conflicts_with = "result")]
    out: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkFlags,
    /// Also prove again that the charts at the target, rendered as they were when they were deployed, name only
    /// images that are there
    #[arg(long)]
    prove: bool,
    /// Also check that this key made an attestation of each copy: a file with a public key in PEM, or the ARN of a
    /// key of KMS [default: the parameter `AttestationKmsKeyArn`]
    #[arg(long, value_name = "KEY")]
    attestation_key: Option<String>,
    /// Print the findings as JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
}

impl Verify {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        if let Some(flag) = self.network.about_copying() {
            let what = "verify checks everything that was recorded, whatever was selected when it was copied";
            let problem = Problem::input(flag, what).remedy("leave the flag out");
            return Err(Problems::from(problem).into());
        }
        let flags = self.network.flags();
        let (settings, place) = place(
            self.result.as_deref(),
            self.out.as_deref(),
            &flags,
            with.environment,
        )?;
        let session = Session::open(settings, with.stop)?;
        let place = place.resolve(&session).await?;
        let (shown, text) = read(&place, &session).await?;
        let document = ExpectedArtifacts::read(&text, &shown)?;
        for warning in warnings(&document, &shown) {
            tracing::warn!("{warning}");
        }
        let jobs = session.settings.network.jobs;
        progress.steps("checking artifacts", document.artifacts.len());
        let advance = || progress.step();
        let findings = verify::check(&session.stores, &document.artifacts, jobs, advance).await;
        let wanted = self.result.as_deref();
        let age = if wanted.is_some_and(document_location::is_kept) {
            Age::Earlier
        } else {
            Age::Current
        };
        say(&document.artifacts, &findings, age);
        let proved = if self.prove {
            progress.steps("proving charts", 0);
            Some(prove::prove(&session, &place, (&shown, &text)).await?)
        } else {
            None
        };
        for fault in proved.iter().flat_map(|(_, faults)| faults) {
            tracing::error!("{fault}");
        }
        let key = self.attestation_key.as_ref();
        let key = key.or(session.settings.attestation_key.as_ref());
        let attested = match key {
            Some(key) => {
                let key = attestations::verifier(&session, key).await;
                let key = key.context("the key of the attestations")?;
                progress.steps("checking attestations", 0);
                Some(attestations::check(&session, &key, &document.artifacts).await)
            }
            None => None,
        };
        for fault in attested.iter().flat_map(|(_, faults)| faults) {
            tracing::error!("{fault}");
        }
        drop(progress);
        if self.json {
            let mut document = as_document(&shown, &document, &findings);
            document.proof = proved.as_ref().map(|(charts, problems)| ProofFindings {
                charts: *charts,
                problems: problems.clone(),
            });
            document.attestations =
                attested
                    .as_ref()
                    .map(|(verified, problems)| AttestationFindings {
                        verified: *verified,
                        problems: problems.clone(),
                    });
            let text = serde_json::to_string_pretty(&document)? + "\n";
            print(text).await?;
        }
        conclude_all(&shown, &findings, attested.as_ref(), proved.as_ref())?;
        Ok(Exit::Done)
    }
}

/// How many of the artifacts or charts are right, and what is wrong with the others.
type Checked = (usize, Vec<String>);

/// What all checks together amount to.
fn conclude_all(
    shown: &str,
    findings: &[Finding],
    attested: Option<&Checked>,
    proved: Option<&Checked>,
) -> anyhow::Result<()> {
    let failed = |verified: anyhow::Result<()>, what: String| match verified {
        Ok(()) => Err(anyhow!(what)),
        Err(error) => Err(error.context(what)),
    };
    let mut verified = conclude(shown, findings);
    if let Some((count, faults)) = attested {
        if faults.is_empty() {
            tracing::info!("attested: {}", progress::count(*count, "artifact"));
        } else {
            let what = progress::count(faults.len(), "artifact");
            verified = failed(verified, format!("{what} without a valid attestation"));
        }
    }
    if let Some((charts, faults)) = proved {
        if faults.is_empty() {
            tracing::info!("proved again: {}", progress::count(*charts, "chart"));
        } else {
            let what = "what is deployed is not what was proved";
            verified = failed(verified, what.to_owned());
        }
    }
    verified
}

pub(super) fn warnings(document: &ExpectedArtifacts, shown: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    let (all, without) = (document.artifacts.len(), document.without_digest());
    if !document.is_complete {
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

/// Whether a deployment replaced a result since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// None did: it is what the data files say.
    Current,
    /// One did, so that a deployment of the present data files brings other content.
    Earlier,
}

/// Logs a line for each fault; a host that does not respond is reported once.
pub(super) fn say(expected: &[Expected], findings: &[Finding], age: Age) {
    let mut unchecked: BTreeMap<&Fault, usize> = BTreeMap::new();
    for (expected, finding) in expected.iter().zip(findings) {
        for fault in &finding.faults {
            if let Fault::Unchecked { .. } = fault {
                let repeated = unchecked.entry(fault).or_default();
                *repeated += 1;
                if *repeated > 1 {
                    continue;
                }
            }
            tracing::error!(target = expected.text, "{}: {fault}", expected.text);
        }
    }
    for (fault, repeated) in unchecked {
        if repeated > 1 {
            tracing::error!("{} more {fault}", repeated - 1);
        }
        if let Fault::Unchecked {
            remedy: Some(remedy),
            ..
        } = fault
        {
            hint::log(hint::text(*remedy));
        }
    }
    for state in State::ALL {
        let is_found = findings.iter().any(|finding| finding.state() == state);
        if let Some(remedy) = remedy(state, age).filter(|_| is_found) {
            hint::log(format!("{}: {remedy}", state.as_str()));
        }
    }
}

/// What a user can do about artifacts in a state.
fn remedy(state: State, age: Age) -> Option<&'static str> {
    match (state, age) {
        (State::There | State::Unchecked, _) => None,
        (State::Missing, Age::Current) => {
            Some("run `replicator deploy` again: it brings what is missing")
        }
        (State::Differs, Age::Current) => Some(
            "something else wrote these tags, or the source's tag has moved and a later deployment brought it: \
             `replicator deploy` brings what the source has now and records it",
        ),
        (State::Incomplete, Age::Current) => Some(
            "delete these images at the target, all their manifests, then run `replicator deploy` again: \
             it takes an artifact whose manifest is there as complete",
        ),
        (State::Missing, Age::Earlier) => Some(
            "set data files and parameters back to those of this result, then run `replicator deploy`: it copies \
             what is missing and publishes the result",
        ),
        (State::Differs, Age::Earlier) => Some(
            "these tags have moved since: set data files and parameters back to those of this result, then run \
             `replicator deploy --locked` with its lock (without one, it takes what the source has now)",
        ),
        (State::Incomplete, Age::Earlier) => Some(
            "delete these images at the target, all their manifests, then set data files and parameters back to \
             those of this result and run `replicator deploy`",
        ),
    }
}

fn count(findings: &[Finding], state: State) -> usize {
    let found = findings.iter().filter(|finding| finding.state() == state);
    found.count()
}

pub(super) fn conclude(shown: &str, findings: &[Finding]) -> anyhow::Result<()> {
    let all = findings.len();
    if count(findings, State::There) == all {
        let manifests: usize = findings.iter().map(|finding| finding.manifests).sum();
        let blobs: usize = findings.iter().map(|finding| finding.blobs).sum();
        tracing::info!(
            "everything in {shown} is at the target: {}, {} and {}",
            progress::count(all, "artifact"),
            progress::count(manifests, "manifest"),
            progress::count(blobs, "blob")
        );
        return Ok(());
    }
    let wrong = State::ALL[1..]
        .iter()
        .map(|state| (count(findings, *state), state.as_str()));
    let wrong: Vec<String> = wrong
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    bail!(
        "{} of {} in {shown}",
        wrong.join(", "),
        progress::count(all, "artifact")
    )
}

fn as_document(shown: &str, document: &ExpectedArtifacts, findings: &[Finding]) -> Verification {
    let digest = |digest: &Option<Digest>| digest.as_ref().map(ToString::to_string);
    let artifacts = document.artifacts.iter().zip(findings);
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
    let all = std::iter::once(("artifacts".to_owned(), findings.len()));
    let states = State::ALL.map(|state| (state.as_str().to_owned(), count(findings, state)));
    Verification {
        result: shown.to_owned(),
        warnings: warnings(document, shown),
        artifacts: artifacts.collect(),
        totals: all.chain(states).collect(),
        proof: None,
        attestations: None,
    }
}
