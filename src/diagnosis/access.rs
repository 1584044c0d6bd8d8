//! The account: credentials, clock, permissions, quotas, bucket, keys and the endpoints of a VPC.

mod keys;
mod permissions;
mod quotas;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::aws::{Aws, Error, Identity};
use crate::deploy::planned::Planned;
use crate::doctor::{self, Finding};
use crate::publish::Publication;
use crate::reference::{EcrHost, Prefix};
use crate::session::Session;
use crate::settings::TargetChoice;

use keys::keys;
use permissions::permissions;
use quotas::quotas;

/// What the flags ask for.
pub(super) struct Asked<'a> {
    pub(super) role_arn: Option<&'a str>,
    pub(super) vpc: Option<&'a str>,
    /// The parameters that modulestack.yaml has.
    pub(super) parameters: BTreeMap<String, String>,
}

/// Checks the account; nothing, where the target is not ECR and no VPC is named.
pub(super) async fn check(
    session: &Session,
    planned: Option<&Planned>,
    asked: Asked<'_>,
) -> Vec<Finding> {
    let settings = &session.settings;
    let is_ecr = !matches!(
        &settings.target,
        TargetChoice::Given(Prefix::Registry { .. } | Prefix::Layout { .. })
    );
    if !is_ecr && asked.vpc.is_none() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let given = match &settings.target {
        TargetChoice::Given(Prefix::Ecr { host, .. }) => Some(host.region.clone()),
        _ => None,
    };
    let Some(region) = given.or_else(|| settings.aws.region.clone()) else {
        let remedy = "set AWS_REGION or AWS_DEFAULT_REGION";
        return vec![Finding::broken("region", "no region is given", remedy)];
    };
    let aws = &session.aws;
    findings.push(match aws.clock_skew(&region).await {
        Ok(ahead) => doctor::clock(ahead),
        Err(error) => Finding::skipped("clock", error.to_string()),
    });
    let identity = match aws.identity(&region).await {
        Ok(identity) => identity,
        Err(error) => {
            let usual = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and check \
                         that this machine reaches sts";
            findings.push(of_error("identity", &error, usual));
            let why = "there are no usable credentials";
            let rest = ["permissions", "quotas", "registry", "bucket"];
            findings.extend(rest.map(|check| Finding::skipped(check, why)));
            return findings;
        }
    };
    findings.push(Finding::ok("identity", &identity.arn));
    findings.extend(names(session, identity, &region));
    if is_ecr {
        findings.extend(permissions(session, identity, &asked).await);
        if let Ok(Prefix::Ecr { host, .. }) = session.prefix().await {
            let existing = registry(aws, &host, &mut findings).await;
            findings.extend(quotas(session, planned, (&region, existing)).await);
            findings.extend(bucket(session, &host).await);
        }
        findings.extend(keys(session, &region).await);
    }
    if let Some(vpc) = asked.vpc {
        findings.extend(match aws.vpc_endpoints(&region, vpc).await {
            Ok(endpoints) => doctor::vpc_endpoints(&region, vpc, &endpoints),
            Err(error) => {
                let usual = "allow ec2:DescribeVpcEndpoints, and check the VPC's id";
                vec![of_error("vpc", &error, usual)]
            }
        });
    }
    findings
}

/// A call that failed.
fn of_error(check: &str, error: &Error, usual: &str) -> Finding {
    Finding::broken(check, error.to_string(), error.remedy().unwrap_or(usual))
}

/// Account, region and partition, as given and as they are.
fn names(session: &Session, identity: &Identity, region: &str) -> Vec<Finding> {
    let given = &session.settings.aws;
    let compared = [
        (
            "account",
            "AWS_ACCOUNT_ID",
            &given.account,
            &identity.account,
        ),
        (
            "partition",
            "AWS_PARTITION",
            &given.partition,
            &identity.partition,
        ),
    ];
    let mut findings: Vec<Finding> = compared
        .into_iter()
        .map(|(check, variable, given, found)| match given {
            Some(given) if given != found => {
                let what = format!("{variable} is {given}, the credentials are of {found}");
                let remedy = format!("use credentials of {given}, or correct {variable}");
                Finding::broken(check, what, remedy)
            }
            _ => Finding::ok(check, found),
        })
        .collect();
    findings.push(Finding::ok("region", region));
    findings
}

/// The registry: its token, and its repositories, which are counted.
async fn registry(aws: &Arc<Aws>, host: &EcrHost, findings: &mut Vec<Finding>) -> Option<usize> {
    const CHECK: &str = "registry";
    let ecr = aws.ecr(host);
    let usual = "check that this machine reaches ECR's API and registry";
    if let Err(error) = ecr.token().await {
        findings.push(of_error(CHECK, &error, usual));
        return None;
    }
    match ecr.repositories().await {
        Ok(all) => {
            let count = all.len();
            let shown = if count == 1 {
                "repository"
            } else {
                "repositories"
            };
            findings.push(Finding::ok(
                CHECK,
                format!("{host}: a login, {count} {shown}"),
            ));
            Some(count)
        }
        Err(error) => {
            findings.push(of_error(CHECK, &error, usual));
            None
        }
    }
}

/// The module's bucket: it may not exist yet.
async fn bucket(session: &Session, host: &EcrHost) -> Option<Finding> {
    const CHECK: &str = "bucket";
    let publication = Publication::new(&session.settings.module).ok()?;
    let (bucket, object) = publication.bucket(host, &session.aws).await;
    let place = bucket.show(object);
    Some(match bucket.exists().await {
        Ok(Some(true)) => Finding::ok(CHECK, place),
        Ok(None) => Finding::skipped(CHECK, format!("{place}: S3 does not say whether it exists")),
        Ok(Some(false)) => Finding::ok(
            CHECK,
            format!("{place}: the bucket is created by the first deployment"),
        ),
        Err(error) => {
            let usual = "the bucket must be this account's, in this region, and open to this role: delete \
                         the other one, or rename the project";
            Finding::broken(CHECK, format!("{place}: {error}"), usual)
        }
    })
}
