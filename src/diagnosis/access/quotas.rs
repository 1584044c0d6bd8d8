//! Quotas of ECR and CodeBuild.

use crate::aws::{Error, Machine};
use crate::deploy::planned::Planned;
use crate::doctor::{self, Finding};
use crate::reference::Prefix;
use crate::session::Session;
use crate::settings::{FanOut, quota};
use oci_copy::store::Action;

/// The codes of ECR's quotas of requests
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html>).
const REQUESTS: [(Action, &str); 3] = [
    (Action::PutManifest, "L-AD52DFB2"),
    (Action::StartUpload, "L-95B28F8D"),
    (Action::FinishUpload, "L-44194860"),
];

/// The code of the quota of repositories.
const REPOSITORIES: &str = "L-CFEB8E8D";

/// The codes of CodeBuild's quotas of builds at once, by machine.
const BUILDS: [(&str, &str); 4] = [
    ("BUILD_GENERAL1_SMALL", "L-9D07B6EF"),
    ("BUILD_GENERAL1_MEDIUM", "L-2DC20C30"),
    ("BUILD_GENERAL1_LARGE", "L-4DDC4A99"),
    ("BUILD_GENERAL1_2XLARGE", "L-0397D009"),
];

/// The machine of Seed-Farmer's builds, where this is not one.
const USUAL_MACHINE: &str = "BUILD_GENERAL1_MEDIUM";

/// Quotas of ECR and CodeBuild, against the settings and the plan.
pub(super) async fn quotas(
    session: &Session,
    planned: Option<&Planned>,
    (region, existing): (&str, Option<usize>),
) -> Vec<Finding> {
    const CHECK: &str = "quotas";
    let (settings, aws) = (&session.settings, &session.aws);
    let mut findings = Vec::new();
    let unknown = |error: &Error| {
        let remedy = "allow servicequotas:GetServiceQuota and GetAWSDefaultServiceQuota to these credentials";
        Finding::warning(CHECK, format!("cannot be read: {error}"), remedy)
    };
    for (action, code) in REQUESTS {
        match aws.quota(region, "ecr", code).await {
            Ok(value) => {
                let assumed = settings.quotas.get(action);
                findings.push(doctor::request_quota(quota(action).0, code, value, assumed));
            }
            Err(error) => return vec![unknown(&error)],
        }
    }
    if let (Some(existing), Some(planned)) = (existing, planned) {
        let new = new_repositories(session, planned).await;
        findings.push(match aws.quota(region, "ecr", REPOSITORIES).await {
            Ok(most) => doctor::repository_quota(REPOSITORIES, most, existing, new),
            Err(error) => unknown(&error),
        });
    }
    let wanted = match settings.fan_out {
        FanOut::Off => return findings,
        FanOut::Builds(count) => Some(count),
        FanOut::Auto => None,
    };
    let machine = match &settings.build {
        Some(build) => aws.codebuild(region).await.machine(build).await.ok(),
        None => None,
    };
    let compute = machine.as_ref().and_then(Machine::compute);
    let compute = compute.unwrap_or(USUAL_MACHINE);
    if let Some((_, code)) = BUILDS.iter().find(|(machine, _)| *machine == compute) {
        findings.push(match aws.quota(region, "codebuild", code).await {
            Ok(most) => doctor::build_quota(code, most, wanted),
            Err(error) => unknown(&error),
        });
    }
    findings
}

/// How many repositories the plan adds.
async fn new_repositories(session: &Session, planned: &Planned) -> usize {
    let Prefix::Ecr { host, .. } = &planned.plan.prefix else {
        return 0;
    };
    let ecr = session.aws.ecr(host);
    let Ok(existing) = ecr.repositories().await else {
        return 0;
    };
    let names = planned.plan.repositories().into_iter();
    names.filter(|name| !existing.contains_key(*name)).count()
}
