//! `replicator deploy`

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{anyhow, bail};
use tokio_util::sync::CancellationToken;

use crate::bundle::Bundle;
use crate::closure::{Digests, Proof};
use crate::document::{PAGE_FILE, RESULT_FILE, RunFacts};
use crate::fan_out::Coordinator;
use crate::inventory::Inventory;
use crate::plan::{Copy, Plan};
use crate::progress::{self, Progress, Screen};
use crate::publish::{self, Publication};
use crate::reference::Prefix;
use crate::settings::{Environment, FanOut, Flags, Settings, TargetChoice};
use crate::trust::TrustGate;
use oci_copy::copy::{
    CopyError, Detail, Done, Engine, Gate, Outcome, Preflight, Presence, Request, Side,
};
use oci_copy::reference::{Digest, Location};
use oci_copy::verify;

use super::flags::{BundleFlags, DataFlags, NetworkFlags, RepositoryFlags};
use super::planning::{self, Planned};
use super::{Session, Sources, attest, preflight};

/// Copy all charts and images of an EKS version, and publish the result
///
/// Fetches the charts that the data files name, finds the images they use, copies charts and images
/// to the target, and writes `replication_result.json` (the Helm values that make the charts use the
/// copies), `updated_images.json` and `replication_report.json`. With ECR as target, the result is also
/// uploaded to the module's bucket, and its location written to `SEEDFARMER_MODULE_METADATA`. If anything
/// fails, everything else is still copied, but nothing is published.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("output", |arg| arg.requires("dry_run")),
    mut_arg("json", |arg| arg.requires("dry_run")),
    mut_arg("exit_code", |arg| arg.requires("dry_run")),
    mut_arg("no_observe", |arg| arg.requires("dry_run")),
    mut_arg("bandwidth", |arg| arg.requires("dry_run"))
)]
pub(super) struct Deploy {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    repositories: RepositoryFlags,
    /// The same as `replicator plan`: show what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    plan: super::plan::Options,
    #[command(flatten)]
    bundle: BundleFlags,
}

impl Deploy {
    pub(super) async fn run(
        &self,
        environment: &Environment,
        screen: &Screen,
        stop: &CancellationToken,
    ) -> anyhow::Result<u8> {
        Box::pin(self.run_with(self.flags(), (environment, screen), stop)).await
    }

    pub(super) fn flags(&self) -> Flags {
        let flags = self.repositories.onto(self.data.flags(&self.network));
        self.bundle.onto(flags)
    }

    pub(super) async fn run_with(
        &self,
        flags: Flags,
        (environment, screen): (&Environment, &Screen),
        stop: &CancellationToken,
    ) -> anyhow::Result<u8> {
        if self.dry_run {
            return Box::pin(self.plan.run(&flags, environment, screen)).await;
        }
        let started = Instant::now();
        let progress = Progress::start(screen);
        let sources = tokio::select! {
            sources = Sources::read(&flags, environment) => sources?,
            () = stop.cancelled() => bail!("stopped before anything was copied"),
        };
        let publication = publication(&sources.settings)?;
        let out = sources.settings.out.clone();
        let prepared = tokio::select! {
            prepared = prepare(sources, publication.as_ref(), (&progress, stop)) => prepared,
            () = stop.cancelled() => Err(anyhow!("stopped before anything was copied")),
        };
        let Prepared {
            session,
            inventory,
            mut planned,
            shared,
            warnings,
            bundle,
        } = prepared.map_err(|error| report_abort(&out, (&[], &[]), (started, None), error))?;
        let preflights = std::mem::take(&mut planned.preflights);
        let Planned { plan, proof, .. } = &planned;
        // A bundle is read here, once.
        let coordinated = publication.as_ref().filter(|_| bundle.is_none());
        let coordinator = coordinated.and_then(|publication| {
            coordinator(
                &session,
                plan,
                publication,
                &inventory,
                (flags, environment),
            )
        });
        let coordinator = coordinator.map(|coordinator| Coordinator {
            gate: planned.gate(),
            ..coordinator
        });
        // With nothing to copy there is nothing to share, and no second look at the target.
        let has_all = !preflights.is_empty()
            && preflights
                .iter()
                .all(|known| known.presence == Presence::Present);
        let options = CopyOptions {
            coordinator: coordinator.as_ref().filter(|_| !has_all),
            will_publish: true,
            report_to: Some(&out),
            proof: proof.as_ref(),
            preflights,
            pinned: Some(&planned.pinned),
            gate: planned.gate.as_ref(),
            facts: RunFacts {
                prefix: Some(plan.prefix.to_string()),
                eks_version: Some(inventory.eks_version.clone()),
                ..RunFacts::default()
            },
            warnings,
        };
        let outcomes = copy_all(&session, &progress, &plan.copies, options).await?;
        let run = attest::Run {
            lock: lock_digest(&session.settings, &inventory),
            closure: proof.as_ref().map(|proof| proof.short().proof),
        };
        let aborted = |error| {
            let what = (&plan.copies[..], &outcomes[..]);
            report_abort(&out, what, (started, proof.as_ref()), error)
        };
        let attested = attest(&session, plan, &outcomes, run).await;
        attested.map_err(aborted)?;

        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(LATE).await;
        };
        let published = tokio::select! {
            published = publish(&session, publication, (&planned, &outcomes), &shared) => published,
            () = late => Err(anyhow!("stopped while the result was published")),
        };
        published.map_err(aborted)?;
        if let Some(coordinator) = coordinator
            && let Err(error) = coordinator.clear().await
        {
            tracing::warn!("cannot delete the run's objects from the bucket: {error:#}");
        }
        tracing::info!(
            "done in {}: {}",
            progress::duration(started.elapsed()),
            out.join(RESULT_FILE).display()
        );
        Ok(super::DONE)
    }
}

/// The digest of the lock, where only what it has is copied.
fn lock_digest(settings: &Settings, inventory: &Inventory) -> Option<Digest> {
    let path = super::lock::path(settings, inventory);
    let text = std::fs::read(path)
        .ok()
        .filter(|_| settings.lock.is_required)?;
    Some(Digest::of(&text))
}

/// Signs what is at the target now, if a key is named.
async fn attest(
    session: &Session,
    plan: &Plan,
    outcomes: &[Outcome],
    run: attest::Run,
) -> anyhow::Result<()> {
    let Some(signer) = attest::Signer::open(session).await? else {
        return Ok(());
    };
    tokio::select! {
        attested = signer.attest(&plan.copies, outcomes, &run) => attested,
        () = session.stop.cancelled() => Err(anyhow!("stopped while the copies were attested")),
    }
}

/// How long a publication may still take once the run was asked to stop: less than the whole command may.
const LATE: Duration = Duration::from_secs(2);

/// The coordinator, in a CodeBuild build and unless `FanOut` is off.
fn coordinator(
    session: &Session,
    plan: &Plan,
    publication: &Publication,
    inventory: &Inventory,
    (flags, environment): (Flags, &Environment),
) -> Option<Coordinator> {
    let settings = &session.settings;
    let Prefix::Ecr { host, .. } = &plan.prefix else {
        return None;
    };
    if settings.fan_out == FanOut::Off {
        return None;
    }
    if settings.build.is_none() {
        if let FanOut::Builds(_) = settings.fan_out {
            tracing::warn!("this is not a CodeBuild build, so no workers can be started");
        }
        return None;
    }
    // Workers read the secret themselves.
    let stores = Arc::clone(&session.stores);
    let own_hosts = move |host: &str| stores.http().credentials().is_only_here(host);
    Some(Coordinator {
        place: publication.runs(host),
        flags,
        environment: environment.clone(),
        hosts: inventory.source_hosts().all(),
        own_hosts: Box::new(own_hosts),
        aws: Arc::clone(&session.aws),
        stores: Arc::clone(&session.stores),
        gate: None,
        settings: settings.clone(),
        laid_out: OnceLock::new(),
    })
}

/// A deployment before the first copy.
struct Prepared {
    session: Session,
    inventory: Inventory,
    planned: Planned,
    /// The repositories that this program did not create.
    shared: BTreeSet<String>,
    warnings: Vec<String>,
    bundle: Option<Bundle>,
}

/// Everything before the first copy: credentials, charts, plan, the bundle, repositories' settings.
async fn prepare(
    sources: Sources,
    publication: Option<&Publication>,
    (progress, stop): (&Progress, &CancellationToken),
) -> anyhow::Result<Prepared> {
    let (session, inventory, bundle) = Box::pin(sources.open(stop)).await?;
    let prefix = session.prefix().await?;
    let out = &session.settings.out;
    let mut planned = planning::planned(&session, &inventory, &prefix, progress).await?;
    if session.settings.lock.is_required {
        for moved in super::locked::moved(&session, &planned.missing()).await {
            tracing::warn!("{moved}");
        }
    } else if session.settings.closure.pin_digests {
        progress.querying(planned.plan.copies.len());
        let engine = Engine::guarded(
            Arc::clone(&session.stores),
            &session.settings.copy,
            Arc::new(()),
            planned.gate(),
        );
        let requests: Vec<Request> = planned.plan.copies.iter().map(Into::into).collect();
        let preflights = engine.preflight(&requests, Detail::Missing).await;
        planned.pin(preflights).await?;
    }
    let plan = &planned.plan;
    let warnings = super::plan_warnings(plan, &inventory, &session);
    planned.report().1?;
    if let Some(bundle) = &bundle {
        bundle.check_plan(plan).await?;
        bundle.verify(out).await?;
        let (stores, options) = (&session.stores, &session.settings.copy);
        bundle.check_target(plan, stores, options).await?;
    }
    // A key that cannot be used is found before anything is copied.
    attest::Signer::open(&session).await?;
    let shared = match publication {
        Some(publication) => preflight::check(&session, plan, publication).await?,
        None => BTreeSet::new(),
    };
    let kept = match publication {
        // The bucket keeps them.
        Some(_) => Ok(None),
        None => publish::keep_in(out),
    };
    let written = kept
        .and_then(|_| publish::write_pairs(plan, out))
        .and_then(|()| publish::remove_result(out));
    written.map_err(|error| publish::unusable_out(out, format!("{error:#}")))?;
    tracing::info!(
        "EKS {}: {} to {prefix}",
        inventory.eks_version,
        progress::count(plan.copies.len(), "artifact")
    );
    Ok(Prepared {
        session,
        inventory,
        planned,
        shared,
        warnings,
        bundle,
    })
}

/// Writes the result, and uploads it if the target is ECR.
async fn publish(
    session: &Session,
    publication: Option<Publication>,
    (planned, outcomes): (&Planned, &[Outcome]),
    shared: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let settings = &session.settings;
    let Planned { plan, proof, .. } = planned;
    let proof = proof.as_ref();
    publish::write_proof(proof, &settings.out)?;
    let result = publish::write_result(plan, outcomes, shared, &settings.out)?;
    if publication.is_none() {
        publish::remove_surplus_in(&settings.out, &result);
    }
    if let (Some(publication), Prefix::Ecr { host, .. }) = (publication, &plan.prefix) {
        let page = std::fs::read_to_string(settings.out.join(PAGE_FILE))?;
        let proof = proof.map(Proof::to_json);
        let published = publication
            .publish(
                (&result, proof.as_deref(), &page),
                host,
                &settings.module,
                &session.aws,
            )
            .await?;
        tracing::info!("published s3://{}/{}", published.bucket, published.object);
        if let Some(kept) = published.kept {
            tracing::info!("kept the result before it: {kept}");
        }
    }
    Ok(())
}

/// A run that failed as a whole leaves no result, and a report with the reason. Bad input changes nothing,
/// because nothing was started.
fn report_abort(
    out: &Path,
    (copies, outcomes): (&[Copy], &[Outcome]),
    (started, proof): (Instant, Option<&Proof>),
    error: anyhow::Error,
) -> anyhow::Error {
    if super::is_input(&error) {
        return error;
    }
    let mut report = publish::report(copies, outcomes, started, Some(&error));
    report.closure = proof.cloned();
    let left = publish::remove_result(out).and_then(|()| publish::write_report(&report, out));
    if let Err(error) = left {
        tracing::error!("{error:#}");
    }
    error
}

/// Only what goes to ECR is published to a bucket.
fn publication(settings: &Settings) -> anyhow::Result<Option<Publication>> {
    match &settings.target {
        TargetChoice::Module { .. } | TargetChoice::Given(Prefix::Ecr { .. }) => {
            Ok(Some(Publication::new(&settings.module)?))
        }
        TargetChoice::Named
        | TargetChoice::Given(Prefix::Registry { .. } | Prefix::Layout { .. }) => Ok(None),
    }
}

/// Confirms that every name that was written is at the target with the digest that was copied. Names that are
/// not have failed; if the run is stopped meanwhile, all have.
async fn confirm(session: &Session, copies: &[Copy], outcomes: &mut [Outcome]) {
    let is_lost = outcomes.iter().any(|outcome| outcome.error().is_some());
    if is_lost && session.stop.is_cancelled() {
        return;
    }
    let written: Vec<(usize, (&Location, Digest))> = copies
        .iter()
        .zip(outcomes.iter())
        .enumerate()
        .filter(|(_, (_, outcome))| matches!(outcome.done, Done::Copied))
        .filter_map(|(index, (copy, outcome))| {
            Some((index, (&copy.target, outcome.digest.clone()?)))
        })
        .collect();
    let names: Vec<(&Location, &Digest)> = written
        .iter()
        .map(|(_, (target, digest))| (*target, digest))
        .collect();
    let looked = verify::confirm(&session.stores, &names, session.settings.network.jobs);
    let answers = tokio::select! {
        answers = looked => answers.into_iter().map(Some).collect(),
        () = session.stop.cancelled() => written.iter().map(|_| None).collect::<Vec<_>>(),
    };
    for ((index, _), answer) in written.iter().zip(answers) {
        let error = match answer {
            Some(Ok(())) => continue,
            Some(Err(error)) => CopyError::Step {
                side: Side::Target,
                step: "find the copy",
                reference: copies[*index].target_text.clone(),
                source: Arc::new(error),
            },
            None => CopyError::Stopped,
        };
        outcomes[*index].done = Done::Failed(error);
    }
}

/// Fails the copies whose digest is another one than the values to publish name.
fn refuse_moved(pinned: &Digests, copies: &[Copy], outcomes: &mut [Outcome]) {
    for (copy, outcome) in copies.iter().zip(outcomes) {
        let published = pinned.get(&copy.target_text);
        if let (Some(published), Some(found), None) = (published, &outcome.digest, outcome.error())
            && published != found
        {
            outcome.done = Done::Failed(CopyError::Moved {
                reference: copy.source_text.clone(),
                published: published.clone(),
                found: found.clone(),
            });
        }
    }
}

/// Options of [`copy_all`].
#[derive(Default)]
pub(super) struct CopyOptions<'a> {
    /// Starts workers where that saves time.
    pub(super) coordinator: Option<&'a Coordinator>,
    /// Something that names the copies will be published.
    pub(super) will_publish: bool,
    /// Where the report goes.
    pub(super) report_to: Option<&'a Path>,
    /// What was proved of the plan.
    pub(super) proof: Option<&'a Proof>,
    /// What is known of the copies already; empty where nothing is.
    pub(super) preflights: Vec<Preflight>,
    /// The digests that the values to publish name, by the copies' names at the target.
    pub(super) pinned: Option<&'a Digests>,
    /// What each artifact has to pass before it is copied.
    pub(super) gate: Option<&'a Arc<TrustGate>>,
    /// What the report says of the run.
    pub(super) facts: RunFacts,
    /// What the report warns of.
    pub(super) warnings: Vec<String>,
}

/// Copies with progress and report; an error when one of the copies failed. Before something is
/// published that names the copies, each name is confirmed.
pub(super) async fn copy_all(
    session: &Session,
    progress: &Arc<Progress>,
    copies: &[Copy],
    mut options: CopyOptions<'_>,
) -> anyhow::Result<Vec<Outcome>> {
    let (settings, started) = (&session.settings, Instant::now());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    progress.copying(copies.len());
    let events = Arc::clone(progress) as Arc<dyn oci_copy::copy::Events>;
    let mut outcomes = if let Some(coordinator) = options.coordinator {
        coordinator.run(copies, &events, &session.stop).await
    } else {
        let gate = options.gate.map(|gate| Arc::clone(gate) as Arc<dyn Gate>);
        let engine = Engine::guarded(Arc::clone(&session.stores), &settings.copy, events, gate);
        let stop = session.stop.clone().cancelled_owned();
        let known = std::mem::take(&mut options.preflights).into_iter();
        // Of what failed, the copy itself says why.
        let known = known.map(|preflight| Some(preflight).filter(|known| known.errors.is_empty()));
        engine.run_after(copies, known.collect(), stop).await
    };
    if let Some(pinned) = options.pinned {
        refuse_moved(pinned, copies, &mut outcomes);
    }
    if options.will_publish {
        confirm(session, copies, &mut outcomes).await;
    }

    let mut report = publish::report(copies, &outcomes, started, None);
    report.closure = options.proof.cloned();
    if let Some(gate) = options.gate {
        gate.add_to(&mut report);
    }
    report.warnings.clone_from(&options.warnings);
    report.run = RunFacts {
        program: Some(env!("CARGO_PKG_VERSION").to_owned()),
        started_at: now.ok().map(|now| now.as_secs()),
        ..options.facts.clone()
    };
    if let Some(out) = options.report_to {
        publish::write_report(&report, out)?;
    }
    let totals = report.totals;
    tracing::info!(
        "{} copied ({}), {} already there, {} failed, in {}",
        totals.copied,
        progress::bytes(totals.bytes),
        totals.already_there,
        totals.failed,
        progress::duration(started.elapsed())
    );
    if totals.failed == 0 {
        return Ok(outcomes);
    }
    super::failure_summary::report(copies, outcomes);
    let failed = format!(
        "{} of {} failed",
        totals.failed,
        progress::count(totals.artifacts, "artifact")
    );
    if options.will_publish {
        bail!("{failed}, nothing was published");
    }
    bail!(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Kind;
    use crate::plan::CopySource;

    #[test]
    fn a_copy_with_another_digest_than_the_published_one_has_failed() {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let copy = |name: &str| {
            let location = |host: &str| format!("{host}/{name}:1").parse::<Location>();
            Copy {
                kind: Kind::Image,
                source: CopySource::At(location("quay.io").expect("a name")),
                source_text: format!("quay.io/{name}:1"),
                target: location("r.corp").expect("a name"),
                target_text: format!("r.corp/{name}:1"),
                used_by: Vec::new(),
                expected: None,
            }
        };
        let copies = [copy("same"), copy("moved"), copy("tagged")];
        let mut outcomes = copies.each_ref().map(|_| Outcome {
            digest: Some(digest("new")),
            done: Done::Copied,
            ..Outcome::failed(CopyError::Stopped)
        });
        let pinned = Digests::from([
            ("r.corp/same:1".to_owned(), digest("new")),
            ("r.corp/moved:1".to_owned(), digest("old")),
        ]);
        refuse_moved(&pinned, &copies, &mut outcomes);
        let errors = outcomes.each_ref().map(|outcome| {
            let error = outcome.error();
            error.map(ToString::to_string).unwrap_or_default()
        });
        let [same, moved, tagged] = errors;
        assert_eq!((same.as_str(), tagged.as_str()), ("", ""));
        let words = format!("source: quay.io/moved:1 moved from {} to", digest("old"));
        assert!(moved.starts_with(&words), "{moved}");
    }
}
