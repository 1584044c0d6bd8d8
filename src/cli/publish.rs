//! `replicator publish`

mod destination;
mod list;

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use crate::document::{ExpectedArtifacts, MAX_RESULT, PAGE_FILE, ResultDocument};
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::publish;
use crate::session::Session;
use crate::settings::{Environment, Settings, Targets};
use oci_copy::verify;

use super::document_location::{self, DocumentLocation};
use super::flags::{JOBS_OF_REQUESTS, ModuleFlags, NetworkFlags, OF_COPYING, hidden};
use super::output::Output;
use super::{Exit, Invocation, print, prove, verify as verifying};

use destination::Destination;
use list::list;

/// Publish an earlier result again: roll back
///
/// Checks that every chart and image that RESULT names is at the target with its recorded digest, then publishes
/// RESULT as `deploy` does: the document with its proof, and the module's metadata. Nothing is copied and no tag is
/// moved. If something is missing or differs, it says what, and publishes nothing. The result that is replaced is
/// kept, so this can be undone.
///
/// The last ten results that later ones replaced are kept: beside the module's document in its bucket, and for
/// another target than ECR in the folder `replication_results` of the output folder.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  replicator publish --list
      the current result and those that are kept, newest first
  replicator diff 1 replication_result.json
      what has changed since the newest kept result
  replicator publish 1 --dry-run
      check that everything that it names is still at the target
  replicator publish 1
  replicator publish 20261126T214000Z-1.34-3f9a1c0b7e2d --project idf --deployment dev --module replication-images

Exit codes: 0 published; 1 something is missing, differs or could not be checked, and nothing was published;
2 bad input.",
    mut_args(hidden(&OF_COPYING)),
    mut_arg("jobs", |arg| arg.help(JOBS_OF_REQUESTS))
)]
pub(super) struct Publish {
    /// The result: the number or the name of a kept one as --list shows it, a file, or `s3://BUCKET/KEY`
    #[arg(value_name = "RESULT", required_unless_present = "list")]
    result: Option<String>,
    /// List the current result and the kept ones
    #[arg(long, conflicts_with_all = ["result", "dry_run", "without_digests"])]
    list: bool,
    /// Check everything, and publish nothing
    #[arg(long)]
    dry_run: bool,
    /// Publish a document that records no digests (of the Python module, or too large for them), although only its
    /// charts and additional images can be checked
    #[arg(long)]
    without_digests: bool,
    /// The output folder of the deployment, where the target is not ECR [default: .]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The target, if it is not the project's private ECR [env: `REPLICATOR_REGISTRY_PREFIX`]
    #[arg(long, value_name = "PREFIX")]
    registry_prefix: Option<String>,
    #[command(flatten)]
    module: ModuleFlags,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    network: NetworkFlags,
}

/// A result that can be published: everything that it names is at the target.
struct Checked {
    shown: String,
    text: String,
    artifacts: usize,
    proof: Option<String>,
    /// The page of the report, of a result in a bucket.
    page: Option<String>,
}

impl Publish {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        if let Some(flag) = self.network.about_copying() {
            let problem = Problem::input(flag, "publish copies nothing");
            return Err(Problems::from(problem.remedy("leave the flag out")).into());
        }
        let (settings, destination) = self.destination(with.environment)?;
        let session = Session::open(settings, with.stop)?;
        let (document, text) = if self.list {
            list(&session, &destination).await?
        } else {
            self.publish(&session, destination, &progress).await?
        };
        drop(progress);
        let printed = self.output.text(with.environment, &document, |_| text)?;
        print(printed).await?;
        Ok(Exit::Done)
    }

    fn destination(&self, environment: &Environment) -> Result<(Settings, Destination), Problems> {
        let flags = self.module.onto(self.network.flags());
        let with_prefix = match &self.registry_prefix {
            Some(prefix) => flags.clone().with("registry_prefix", prefix),
            None => flags.clone(),
        };
        let module = document_location::module(&with_prefix, environment, Targets::Any)?;
        if let Some((settings, publication)) = module {
            return Ok((settings, Destination::Bucket(publication)));
        }
        let out = self.out.clone().unwrap_or_else(|| PathBuf::from("."));
        let settings = Settings::without_target(&flags, environment)?;
        Ok((settings, Destination::Folder(out)))
    }

    async fn publish(
        &self,
        session: &Session,
        destination: Destination,
        progress: &Progress,
    ) -> anyhow::Result<(Value, String)> {
        let wanted = self.result.as_deref().unwrap_or_default();
        let checked = self
            .checked(wanted, session, &destination, progress)
            .await?;
        let is_current = destination.current(session).await?.as_deref() == Some(&checked.text);
        let artifacts = progress::count(checked.artifacts, "artifact");
        let (place, kept) = if self.dry_run {
            (destination.shown(session).await?, None)
        } else {
            destination.publish(session, &checked).await?
        };
        let mut text = match (self.dry_run, is_current) {
            (_, true) => format!("{place} is this result already: {artifacts} at the target\n"),
            (true, false) => format!("would publish {place}: {artifacts} at the target\n"),
            (false, false) => format!("published {place}: {artifacts} at the target\n"),
        };
        if let Some(kept) = &kept {
            writeln!(text, "kept {kept}, which it replaces")?;
        }
        let document = json!({
            "result": checked.shown,
            "published": (!self.dry_run).then_some(&place),
            "wasCurrent": is_current,
            "artifacts": checked.artifacts,
            "kept": kept.map(|name| name.to_string()),
        });
        Ok((document, text))
    }

    /// Reads the result and checks it against the target.
    async fn checked(
        &self,
        wanted: &str,
        session: &Session,
        destination: &Destination,
        progress: &Progress,
    ) -> anyhow::Result<Checked> {
        let place = match destination {
            _ if !document_location::is_kept(wanted) => document_location::place_of(wanted)?,
            Destination::Bucket(publication) => {
                document_location::in_module(publication.clone(), Some(wanted))
            }
            Destination::Folder(out) => document_location::kept_in_folder(out, wanted)?,
        };
        let place = place.resolve(session).await?;
        let (shown, bytes) = document_location::read(&place, session).await?;
        let (text, expected) = self.document(&shown, bytes)?;
        if let Destination::Bucket(_) = destination {
            refuse_another_target(&shown, &expected, session).await?;
        }
        let jobs = session.settings.network.jobs;
        progress.steps("checking artifacts", expected.artifacts.len());
        let step = || progress.step();
        let findings = verify::check(&session.stores, &expected.artifacts, jobs, step).await;
        verifying::say(&expected.artifacts, &findings, verifying::Age::Earlier);
        verifying::conclude(&shown, &findings).context("nothing was published")?;
        let (proof, page) = beside(&place, session, (&shown, &text)).await?;
        Ok(Checked {
            shown,
            text,
            artifacts: findings.len(),
            proof,
            page,
        })
    }

    /// The document, if it is one that can be published.
    fn document(&self, shown: &str, bytes: Vec<u8>) -> anyhow::Result<(String, ExpectedArtifacts)> {
        let bad = |what: String, remedy: &str| -> anyhow::Error {
            Problems::from(Problem::input(shown, what).remedy(remedy)).into()
        };
        let give = "give the replication_result.json of a deployment";
        let expected = ExpectedArtifacts::read(&bytes, shown)?;
        if serde_json::from_slice::<ResultDocument>(&bytes).is_err() {
            return Err(bad("it is not a result document".to_owned(), give));
        }
        if bytes.len() > MAX_RESULT {
            let what = format!(
                "it has {} bytes; the EKS module can take {MAX_RESULT}",
                bytes.len()
            );
            return Err(bad(what, give));
        }
        if !expected.is_complete && !self.without_digests {
            let what = "it records no digests, so the images of its charts cannot be checked";
            let remedy = "publish it all the same with --without-digests";
            return Err(bad(what.to_owned(), remedy));
        }
        for warning in verifying::warnings(&expected, shown) {
            tracing::warn!("{warning}");
        }
        let text = String::from_utf8(bytes).context("a JSON document is text")?;
        Ok((text, expected))
    }
}

/// Refuses a document of another account, project or registry.
async fn refuse_another_target(
    shown: &str,
    expected: &ExpectedArtifacts,
    session: &Session,
) -> anyhow::Result<()> {
    let prefix = session.prefix().await?.to_string();
    let mut others = expected.artifacts.iter();
    let Some(other) = others.find(|one| !one.text.starts_with(&prefix)) else {
        return Ok(());
    };
    let what = format!("it names {}, which is not below {prefix}", other.text);
    let problem = Problem::input(shown, what);
    let remedy = "publish it in the account, region and project that it is of, or name the target with \
                  --registry-prefix";
    Err(Problems::from(problem.remedy(remedy)).into())
}

/// The proof that the document names, and the page of its report, where they are.
async fn beside(
    place: &DocumentLocation,
    session: &Session,
    (shown, text): (&str, &str),
) -> anyhow::Result<(Option<String>, Option<String>)> {
    let (proof_shown, proof) = prove::proof_of(place, session).await?;
    let proof = proof.and_then(|proof| String::from_utf8(proof).ok());
    let proof = proof.filter(|proof| publish::is_proof_of(text, proof));
    if proof.is_none() && publish::names_proof(text) {
        tracing::warn!(
            "{proof_shown} is not the proof that {shown} names: `replicator verify --prove` will not find one"
        );
    }
    let page = if let DocumentLocation::File(path) = place {
        std::fs::read_to_string(path.with_file_name(PAGE_FILE)).ok()
    } else {
        let page = prove::object(place, session, &publish::page_key(place.key())).await;
        let page = page.ok().and_then(|(_, page)| page);
        page.and_then(|page| String::from_utf8(page).ok())
    };
    Ok((proof, page))
}
