//! The sources: charts that are fetched, and one image of each registry that is asked about.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};

use crate::charts::Charts;
use crate::deploy::planned::Planned;
use crate::deploy::planning;
use crate::doctor::{self, Finding};
use crate::inventory::Inventory;
use crate::plan::CopySource;
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::reference::Prefix;
use crate::session::Session;
use oci_copy::reference::Location;

/// How many registries are asked at once.
const AT_ONCE: usize = 8;

/// The account of a target that is only needed for names, where AWS does not say it.
const ANY_ACCOUNT: &str = "000000000000.dkr.ecr.us-east-1.amazonaws.com/replicator-doctor-";

/// Checks charts and registries; returns the plan, where it can be made.
pub(super) async fn check(
    session: &Session,
    inventory: &Inventory,
    (progress, findings): (&Progress, &mut Vec<Finding>),
) -> Option<Planned> {
    let prefix = match session.prefix().await {
        Ok(prefix) => prefix,
        Err(_) => ANY_ACCOUNT.parse::<Prefix>().ok()?,
    };
    let planned = match planning::planned(session, inventory, &prefix, progress).await {
        Ok(planned) => planned,
        Err(error) => {
            findings.extend(charts(&error));
            return None;
        }
    };
    findings.extend(fetched(&planned.charts));
    let mut hosts: BTreeMap<&str, (&Location, usize)> = BTreeMap::new();
    for copy in &planned.plan.copies {
        if let CopySource::At(location) = &copy.source
            && let Some(host) = location.host()
        {
            hosts.entry(host).or_insert((location, 0)).1 += 1;
        }
    }
    progress.steps("checking sources", hosts.len());
    let probes = stream::iter(&hosts).map(|(host, (location, images))| async move {
        let findings = registry(session, host, location, *images).await;
        progress.step();
        findings
    });
    let of_hosts: Vec<_> = probes.buffered(AT_ONCE).collect().await;
    findings.extend(of_hosts.into_iter().flatten());
    Some(planned)
}

fn fetched(charts: &Charts) -> Option<Finding> {
    let count = charts.len();
    (count > 0).then(|| {
        Finding::ok(
            "charts",
            format!("{} fetched", progress::count(count, "chart")),
        )
    })
}

/// A finding for each chart that cannot be fetched or planned.
fn charts(error: &anyhow::Error) -> Vec<Finding> {
    let problems = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Problems>());
    let Some(problems) = problems else {
        let remedy = super::remedy(error).unwrap_or("see the message");
        return vec![Finding::broken("charts", format!("{error:#}"), remedy)];
    };
    let of_problem = |problem: &Problem| {
        let found = format!("{}: {}", problem.place, problem.what);
        let remedy = problem.remedy.clone();
        let usual = "correct the data files, or check that this machine reaches the chart repository (DNS, proxy, login)";
        Finding::broken("charts", found, remedy.unwrap_or_else(|| usual.to_owned()))
    };
    problems.iter().map(of_problem).collect()
}

/// One registry: whether it answers, takes the login, and how many pulls are left.
async fn registry(
    session: &Session,
    host: &str,
    location: &Location,
    images: usize,
) -> Vec<Finding> {
    let check = format!("source {host}");
    let has_login = session.stores.http().credentials().knows(host);
    let login = if has_login {
        "with a login"
    } else {
        "anonymous"
    };
    let probe = match session.stores.probe(location).await {
        Ok(Some(probe)) => probe,
        Ok(None) => return Vec::new(),
        Err(error) => {
            let error = anyhow::Error::new(error);
            let usual = if has_login {
                "renew the login for this host (HelmRepoSecretName, docker login)"
            } else {
                "check that this machine can reach the host, or give a login for it (HelmRepoSecretName, docker login)"
            };
            let remedy = super::remedy(&error).unwrap_or(usual);
            let found = format!("{login}: {error:#}");
            return vec![Finding::broken(&check, found, remedy)];
        }
    };
    let images_read = progress::count(images, "image");
    let mut findings = vec![if probe.exists {
        Finding::ok(&check, format!("answers, {login}; {images_read}"))
    } else {
        let found = format!("{location} does not exist there, or not for this login ({login})");
        Finding::broken(
            &check,
            found,
            "correct the name in the data files, or log in if the source is private",
        )
    }];
    let left = probe
        .pulls_left
        .map(|left| doctor::pulls(host, left, images));
    findings.extend(left);
    findings
}
