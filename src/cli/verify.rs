//! `replicator verify`

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use tokio_util::sync::CancellationToken;

use crate::aws::Bucket;
use crate::document::{
    AttestationFindings, ExpectedArtifacts, ProofFindings, RESULT_FILE, Verification,
    VerifiedArtifact,
};
use crate::problem::{Problem, Problems};
use crate::progress;
use crate::publish::Publication;
use crate::reference::{EcrHost, Prefix};
use crate::settings::{Environment, Flags, Settings, TargetChoice};
use oci_copy::reference::Digest;
use oci_copy::verify::{self, Expected, Fault, Finding, State};

use super::flags::NetworkFlags;
use super::{Session, attest, log, prove};

/// The largest file that is read, in bytes. A report of 10,000 artifacts has about 5 MB.
const LARGEST: u64 = 64 * 1024 * 1024;

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
    mut_arg("platforms", |arg| arg.hide(true)),
    mut_arg("no_referrers", |arg| arg.hide(true)),
    mut_arg("referrers", |arg| arg.hide(true)),
    mut_arg("jobs", |arg| arg.help("Maximum number of requests in parallel, 1 to 256 [env: REPLICATOR_JOBS] [default: 16]"))
)]
pub(super) struct Verify {
    /// A result document or a report: a file, or `s3://BUCKET/KEY`
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

/// Where the document is.
pub(super) enum DocumentLocation {
    File(PathBuf),
    Object {
        bucket: String,
        key: String,
    },
    /// The module's own object.
    Module(Publication),
}

impl DocumentLocation {
    /// The bucket that it is in; `None` for a file.
    pub(super) async fn bucket(&self, session: &Session) -> anyhow::Result<Option<Bucket>> {
        let (settings, aws) = (&session.settings, &session.aws);
        match self {
            Self::File(_) => Ok(None),
            Self::Object { bucket, .. } => {
                let Some(region) = &settings.aws.region else {
                    let what = "no region is given, so the bucket cannot be read";
                    let problem = Problem::input("AWS_REGION", what);
                    let problem = problem.remedy("set AWS_REGION or AWS_DEFAULT_REGION");
                    return Err(Problems::from(problem).into());
                };
                let account = aws.account(region).await?;
                Ok(Some(aws.bucket(bucket, region, &account).await))
            }
            Self::Module(publication) => {
                let host = ecr_host(session).await?;
                Ok(Some(publication.bucket(&host, aws).await.0))
            }
        }
    }

    /// The document's key in its bucket.
    fn key(&self) -> &str {
        match self {
            Self::File(_) => "",
            Self::Object { key, .. } => key,
            Self::Module(publication) => publication.object(),
        }
    }
}

impl Verify {
    pub(super) async fn run(
        &self,
        environment: &Environment,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
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
            environment,
        )?;
        let session = Session::open(settings, stop)?;
        let (shown, text) = read(&place, &session).await?;
        let document = ExpectedArtifacts::read(&text, &shown)?;
        for warning in warnings(&document, &shown) {
            tracing::warn!("{warning}");
        }
        let jobs = session.settings.network.jobs;
        let findings = verify::check(&session.stores, &document.artifacts, jobs).await;
        say(&document.artifacts, &findings);
        let proved = if self.prove {
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
                let key = attest::verifier(&session, key).await;
                let key = key.context("the key of the attestations")?;
                Some(attest::check(&session, &key, &document.artifacts).await)
            }
            None => None,
        };
        for fault in attested.iter().flat_map(|(_, faults)| faults) {
            tracing::error!("{fault}");
        }
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
            super::print(text).await?;
        }
        let verified = conclude(&shown, &findings);
        let verified = match &attested {
            Some((_, faults)) if !faults.is_empty() => {
                let what = progress::count(faults.len(), "artifact");
                let what = format!("{what} without a valid attestation");
                match verified {
                    Ok(()) => Err(anyhow!(what)),
                    Err(error) => Err(error.context(what)),
                }
            }
            Some((count, _)) => {
                tracing::info!("attested: {}", progress::count(*count, "artifact"));
                verified
            }
            None => verified,
        };
        match proved {
            Some((_, faults)) if !faults.is_empty() => match verified {
                Ok(()) => bail!("what is deployed is not what was proved"),
                Err(error) => Err(error.context("what is deployed is not what was proved")),
            },
            Some((charts, _)) => {
                tracing::info!("proved again: {}", progress::count(charts, "chart"));
                verified
            }
            None => verified,
        }
    }
}

/// Where a command finds the document that its user means, and the settings to read it with: what is named; else
/// the module's own in a Seed-Farmer build; else the file in the output folder.
pub(super) fn place(
    result: Option<&str>,
    out: Option<&Path>,
    flags: &Flags,
    environment: &Environment,
) -> Result<(Settings, DocumentLocation), Problems> {
    let by_name = || Settings::without_target(flags, environment);
    if let Some(result) = result {
        let place = place_of(result)?;
        return Ok((by_name()?, place));
    }
    if out.is_none()
        && let Some((settings, publication)) = module(flags, environment)?
    {
        return Ok((settings, DocumentLocation::Module(publication)));
    }
    let out = out.unwrap_or(Path::new("."));
    Ok((by_name()?, DocumentLocation::File(out.join(RESULT_FILE))))
}

/// The module, if this is a module's build and it publishes to a bucket.
fn module(
    flags: &Flags,
    environment: &Environment,
) -> Result<Option<(Settings, Publication)>, Problems> {
    let names = [
        &environment.seed_farmer.project_name,
        &environment.seed_farmer.deployment_name,
        &environment.seed_farmer.module_name,
    ];
    if names.iter().any(|name| name.is_none()) {
        return Ok(None);
    }
    let settings = Settings::new(flags, environment)?;
    match settings.target {
        TargetChoice::Module { .. } | TargetChoice::Given(Prefix::Ecr { .. }) => {
            let publication = Publication::new(&settings.module)?;
            Ok(Some((settings, publication)))
        }
        TargetChoice::Named | TargetChoice::Given(_) => Ok(None),
    }
}

fn place_of(text: &str) -> Result<DocumentLocation, Problems> {
    let Some(object) = text.strip_prefix("s3://") else {
        return Ok(DocumentLocation::File(PathBuf::from(text)));
    };
    match object.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
            Ok(DocumentLocation::Object {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            })
        }
        _ => Err(Problem::input(text, "an object has the form s3://BUCKET/KEY").into()),
    }
}

/// The document, with its name in messages.
pub(super) async fn read(
    place: &DocumentLocation,
    session: &Session,
) -> anyhow::Result<(String, Vec<u8>)> {
    if let DocumentLocation::File(path) = place {
        let shown = path.display().to_string();
        let text = read_file(path).map_err(|what| missing(&shown, what))?;
        return Ok((shown, text));
    }
    let bucket = place.bucket(session).await?;
    let bucket = bucket.context("an object is in a bucket (please report this)")?;
    let shown = bucket.show(place.key());
    match bucket.get_text(place.key()).await? {
        Some(text) => Ok((shown, text.into_bytes())),
        None => Err(missing(&shown, "there is no such object".to_owned()).into()),
    }
}

async fn ecr_host(session: &Session) -> anyhow::Result<EcrHost> {
    match session.prefix().await? {
        Prefix::Ecr { host, .. } => Ok(host),
        other => bail!("{other} is not ECR (please report this)"),
    }
}

fn missing(shown: &str, what: String) -> Problems {
    let remedy = "`replicator deploy` writes it when every artifact is at the target";
    Problem::input(shown, what).remedy(remedy).into()
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    read_file_within(path, LARGEST)
}

/// Reads a file of at most so many bytes.
pub(super) fn read_file_within(path: &Path, largest: u64) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mut text = Vec::new();
    file.take(largest + 1)
        .read_to_end(&mut text)
        .map_err(cannot)?;
    if text.len() as u64 > largest {
        return Err(format!("it has more than {largest} bytes"));
    }
    Ok(text)
}

fn warnings(document: &ExpectedArtifacts, shown: &str) -> Vec<String> {
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

/// Logs a line for each fault; a host that does not respond is reported once.
fn say(expected: &[Expected], findings: &[Finding]) {
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
            log::hint(crate::hint::text(*remedy));
        }
    }
    for state in State::ALL {
        let is_found = findings.iter().any(|finding| finding.state() == state);
        if let Some(remedy) = remedy(state).filter(|_| is_found) {
            log::hint(format!("{}: {remedy}", state.as_str()));
        }
    }
}

/// What a user can do about artifacts in a state.
fn remedy(state: State) -> Option<&'static str> {
    match state {
        State::There | State::Unchecked => None,
        State::Missing => Some("run `replicator deploy` again: it brings what is missing"),
        State::Differs => Some(
            "something else wrote these tags, or the source's tag has moved and a later deployment brought it: \
             `replicator deploy` brings what the source has now and records it",
        ),
        State::Incomplete => Some(
            "delete these images at the target, all their manifests, then run `replicator deploy` again: \
             it takes an artifact whose manifest is there as complete",
        ),
    }
}

fn count(findings: &[Finding], state: State) -> usize {
    let found = findings.iter().filter(|finding| finding.state() == state);
    found.count()
}

fn conclude(shown: &str, findings: &[Finding]) -> anyhow::Result<()> {
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
