//! What `plan` and `deploy` do first with a lock: nothing is asked of a source that the target has already.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use futures_util::{StreamExt, stream};

use helm_chart::archive::Keep;
use helm_chart::chart::Chart;

use crate::charts::{self, Artifact, Charts, Content, Fetched};
use crate::closure::Proof;
use crate::document::{Kind, Lock, PROOF_FILE};
use crate::files;
use crate::inventory::{ChartSpec, Inventory};
use crate::lock;
use crate::plan::{CopySource, Plan};
use crate::problem::{Problem, Problems};
use crate::publish::Publication;
use crate::reference::Prefix;
use crate::session::Session;
use crate::trust::{Policy, TrustGate};
use oci_copy::copy::{Detail, Engine, Preflight, Presence, Request};
use oci_copy::reference::{Digest, Location, TagOrDigest};
use oci_copy::store::tag_or_digest;

use super::planned::{Planned, record};
use super::{locking, planning};

/// How many sources are asked at once.
const AT_ONCE: usize = 16;

/// Plans by the lock, and proves the plan: with the proof of the last deployment where that is about the same
/// content, or else with the charts at the target, or else with those of the sources. A bundle is at hand, so its charts
/// are read in any case. Without `observe` the target is not queried.
///
/// # Errors
/// When data files or parameters are not those of the lock, and what is wrong with charts.
pub(crate) async fn planned(
    session: &Session,
    inventory: &Inventory,
    prefix: &Prefix,
    observe: bool,
) -> anyhow::Result<Planned> {
    let (shown, text) = locking::text(&session.settings, inventory)?;
    let lock = Lock::read(&text, &shown)?;
    let is_bundle = inventory.bundled_lock.is_some();
    let parameters = lock::parameters(&session.settings, &inventory.eks_version);
    lock::check(&lock, inventory, &parameters, &shown)?;
    let policy = Policy::load(session.settings.trust, &inventory.trust, &session.aws).await?;
    let mut plan = lock::plan(&lock, inventory, prefix)?;
    tracing::info!("only what {shown} has is copied");
    let engine = Engine::new(
        Arc::clone(&session.stores),
        &session.settings.copy,
        Arc::new(()),
    );
    let requests: Vec<Request> = plan.copies.iter().map(Into::into).collect();
    let mut preflights = if observe {
        engine.preflight(&requests, Detail::Missing).await
    } else {
        requests.iter().map(|_| Preflight::default()).collect()
    };
    let is_there = |preflight: &Preflight| preflight.presence == Presence::Present;
    let charts_there = plan.copies.iter().zip(&preflights);
    let charts_there = charts_there
        .filter(|(copy, _)| copy.kind == Kind::Chart)
        .all(|(_, preflight)| is_there(preflight))
        && !is_bundle;
    let earlier = if charts_there {
        earlier_proof(session, &lock, &plan).await
    } else {
        None
    };
    let (mut charts, proof) = (Charts::new(), earlier);
    let proof = if proof.is_some() || charts_there && lock.closure.is_none() {
        proof
    } else {
        charts = fetch(
            session,
            inventory,
            &lock,
            (&mut plan, &mut preflights),
            &shown,
        )
        .await?;
        planning::prove(session, inventory, &plan, &charts).await?
    };
    record(&mut plan, proof.as_ref());
    if policy.is_some() {
        read_charts_at_sources(&mut plan, &lock)?;
    }
    let gate = policy.map(|policy| Arc::new(TrustGate::new(policy, &plan.copies, true)));
    let copies = plan.copies.iter();
    let pinned = copies.filter_map(|copy| Some((copy.target_text.clone(), copy.expected.clone()?)));
    let pinned = pinned.collect();
    // What a gate has to judge is looked at again, through the gate.
    if gate.is_some() {
        preflights.clear();
    }
    Ok(Planned::of_lock(
        plan,
        charts,
        proof,
        gate,
        preflights,
        pinned,
        Digest::of(&text),
    ))
}

/// Charts of registries are read where they come from, although the target has them: there are their signatures.
fn read_charts_at_sources(plan: &mut Plan, lock: &Lock) -> Result<(), Problems> {
    for copy in &mut plan.copies {
        let mut users = copy.used_by.iter();
        let locked = users.find_map(|key| lock.charts.get(key));
        let Some(locked) = locked.filter(|_| copy.kind == Kind::Chart) else {
            continue;
        };
        if let Some(artifact) = &locked.artifact {
            let of_source = artifact
                .parse()
                .and_then(|artifact| lock::by_digest(&artifact, &locked.digest));
            let of_source = of_source.map_err(|error| {
                Problems::from(Problem::input(copy.source_text.as_str(), error.to_string()))
            })?;
            copy.source = CopySource::At(of_source);
        }
    }
    Ok(())
}

/// Says which tags name other content now than when they were locked. A source that does not answer is not asked
/// for anything else here, so that it says nothing.
pub(super) async fn moved(session: &Session, plan: &Plan) -> Vec<String> {
    let tags = plan.copies.iter().filter_map(|copy| {
        let location = copy.source_text.parse::<Location>().ok()?;
        let CopySource::At(locked) = &copy.source else {
            return None;
        };
        let is_tag = matches!(tag_or_digest(&location), TagOrDigest::Tag(_));
        let digest = locked
            .digest()
            .filter(|_| is_tag && copy.kind == Kind::Image)?;
        Some((copy.source_text.clone(), location, digest))
    });
    let asked = stream::iter(tags).map(|(text, location, locked)| async move {
        let source = session.stores.source(&location).ok()?;
        match source.resolve(&tag_or_digest(&location)).await {
            Ok(Some(found)) if found == locked => None,
            Ok(Some(found)) => Some(format!(
                "{text} has moved since it was locked: {locked} is locked, the tag names {found} now"
            )),
            Ok(None) => Some(format!(
                "{text} is gone since it was locked: {locked} is locked, the tag names nothing now"
            )),
            Err(_) => None,
        }
    });
    let moved: Vec<Option<String>> = asked.buffered(AT_ONCE).collect().await;
    moved.into_iter().flatten().collect()
}

/// What a plan says about its lock: which tags have moved; and of a lock that is only there, whether the data files
/// are still those that were locked.
pub(crate) async fn since_lock(
    session: &Session,
    inventory: &Inventory,
    plan: &Plan,
) -> Vec<String> {
    if session.settings.lock.is_required {
        return moved(session, plan).await;
    }
    // What a bundle has is what its lock says.
    if inventory.bundled_lock.is_some() {
        return Vec::new();
    }
    let path = locking::path(&session.settings, inventory);
    if !path.exists() {
        return Vec::new();
    }
    let parameters = lock::parameters(&session.settings, &inventory.eks_version);
    let shown = path.display().to_string();
    let of_lock = locking::read(&path).and_then(|read| {
        lock::check(&read, inventory, &parameters, &shown)?;
        lock::plan(&read, inventory, &plan.prefix)
    });
    match of_lock {
        Ok(of_lock) => moved(session, &of_lock).await,
        Err(problems) => problems
            .iter()
            .map(|problem| format!("{}: {}", problem.place, problem.what))
            .collect(),
    }
}

/// The proof of the last deployment, where it is about what is locked.
async fn earlier_proof(session: &Session, lock: &Lock, plan: &Plan) -> Option<Proof> {
    let text = match &plan.prefix {
        Prefix::Ecr { host, .. } => {
            let publication = Publication::new(&session.settings.module).ok()?;
            let (bucket, _) = publication.bucket(host, &session.aws).await;
            let text = bucket.get_text(&publication.proof_object()).await;
            text.ok()??.into_bytes()
        }
        Prefix::Registry { .. } | Prefix::Layout { .. } => {
            files::read(&Path::new(&session.settings.out).join(PROOF_FILE)).ok()?
        }
    };
    let proof: Proof = serde_json::from_slice(&text).ok()?;
    is_about(&proof, session, lock, plan).then_some(proof)
}

/// Whether a proof is one of the locked charts with the published values.
fn is_about(proof: &Proof, session: &Session, lock: &Lock, plan: &Plan) -> bool {
    let Some(closure) = &lock.closure else {
        return false;
    };
    let of_charts = lock.charts.iter().all(|(key, locked)| {
        let (Some(proved), Some(published)) = (proof.charts.get(key), plan.result.charts.get(key))
        else {
            return false;
        };
        let published = serde_json::Value::Object(published.values.clone()).to_string();
        proved.archive == locked.archive && proved.published == Digest::of(published.as_bytes())
    });
    of_charts
        && proof.charts.len() == lock.charts.len()
        && proof.prefix == plan.prefix.to_string()
        && proof.eks_version == lock.eks_version
        && proof.mode == session.settings.closure.mode
        && proof.kubernetes_version == closure.kubernetes_version
        && proof.totals == closure.totals
}

/// Fetches the locked charts: those that the target has from there, the others, and all of a bundle, from their sources,
/// which the copies then have too.
async fn fetch(
    session: &Session,
    inventory: &Inventory,
    lock: &Lock,
    (plan, preflights): (&mut Plan, &mut [Preflight]),
    shown: &str,
) -> anyhow::Result<Charts> {
    let (mut charts, mut missing) = (Charts::new(), Vec::new());
    let is_bundle = inventory.bundled_lock.is_some();
    for spec in &inventory.charts {
        let Some(locked) = lock.charts.get(&spec.key) else {
            continue;
        };
        if is_bundle {
            missing.push(spec.clone());
            continue;
        }
        let users = plan.copies.iter().zip(preflights.iter());
        let mut users =
            users.filter(|(copy, _)| copy.kind == Kind::Chart && copy.used_by.contains(&spec.key));
        let Some((copy, preflight)) = users.next() else {
            continue;
        };
        let mut from = None;
        if preflight.presence == Presence::Present {
            from = Some(lock::by_digest(&copy.target, &locked.digest)?);
        } else if let Some(artifact) = &locked.artifact {
            from = Some(lock::by_digest(&artifact.parse()?, &locked.digest)?);
        }
        let Some(from) = from else {
            missing.push(spec.clone());
            continue;
        };
        let archive = charts::fetch_archive(&from, &session.stores).await;
        let archive = archive.with_context(|| format!("charts.{}: {from}", spec.key))?;
        let archive = archive
            .with_context(|| format!("charts.{}: {from} is not there any more", spec.key))?;
        let chart = Chart::read(&archive, Keep::Description);
        let chart = chart.with_context(|| format!("charts.{}: {from} is not usable", spec.key))?;
        let content = Content::Artifact(from);
        let fetched = Fetched {
            chart,
            archive,
            content,
        };
        charts.insert(spec.key.clone(), Arc::new(fetched));
    }
    if !missing.is_empty() {
        let missing = Inventory {
            charts: missing,
            ..inventory.clone()
        };
        charts.extend(charts::fetch(&missing, &session.stores).await?);
    }
    let problems = charts.iter().filter_map(|(key, fetched)| {
        let spec = inventory.charts.iter().find(|spec| spec.key == *key)?;
        check_archive(spec, lock, fetched, shown)
    });
    Problems::check(problems.collect())?;
    for (copy, preflight) in plan.copies.iter_mut().zip(preflights.iter_mut()) {
        let is_missing = preflight.presence != Presence::Present;
        let is_from_source = copy.kind == Kind::Chart && (is_missing || is_bundle);
        let mut users = copy.used_by.iter();
        let fetched = users.find_map(|key| charts.get(key));
        let Some(fetched) = fetched.filter(|_| is_from_source) else {
            continue;
        };
        copy.source = match &fetched.content {
            Content::Artifact(location) => CopySource::At(location.clone()),
            Content::Archive { provenance } => {
                let of = (&fetched.chart, &fetched.archive, provenance.as_ref());
                CopySource::Chart(Box::new(Artifact::of(of.0, of.1, of.2)))
            }
        };
        if is_missing {
            *preflight = Preflight::default();
        }
    }
    Ok(charts)
}

/// A chart whose repository has another archive now.
fn check_archive(spec: &ChartSpec, lock: &Lock, fetched: &Fetched, shown: &str) -> Option<Problem> {
    let locked = &lock.charts.get(&spec.key)?.archive;
    let found = Digest::of(&fetched.archive);
    (found != *locked).then(|| {
        let what = format!(
            "charts.{}: {} {} has moved since it was locked: {locked} is locked, and its archive is {found} now",
            spec.key, spec.name, spec.version
        );
        Problem::input(shown, what).remedy(
            "ask its publisher why a published version has changed; to take the new archive, run `replicator lock` again",
        )
    })
}
