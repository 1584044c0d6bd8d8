//! The account: credentials, clock, permissions, quotas, bucket, keys and the endpoints of a VPC.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::attestation;
use crate::aws::{Aws, Error, Identity};
use crate::cli::policy;
use crate::deploy::planned::Planned;
use crate::doctor::{self, Finding};
use crate::permissions::{Policy, Scope, Statement};
use crate::publish::Publication;
use crate::reference::{EcrHost, Prefix};
use crate::session::Session;
use crate::settings::{FanOut, TargetChoice, quota};
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

/// The statement about the role that is passed on to further builds.
const OWN_ROLE: &str = "OwnRole";

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

/// Each permission that the settings need.
async fn permissions(session: &Session, identity: &Identity, asked: &Asked<'_>) -> Vec<Finding> {
    const CHECK: &str = "permissions";
    let given = asked.role_arn.and_then(|arn| arn.rsplit('/').next());
    let is_role = given.is_some() || identity.role().is_some();
    let name = given.or_else(|| identity.role());
    let name = name
        .or_else(|| identity.arn.rsplit('/').next())
        .map(str::to_owned);
    let parameters = asked.parameters.clone();
    let scope = policy::scope(&session.settings, parameters, &session.aws, name.clone()).await;
    let (scope, policy) = match scope.and_then(|scope| Ok((Policy::of(&scope)?, scope))) {
        Ok((policy, scope)) => (scope, policy),
        Err(error) => {
            let remedy = "give --project, --deployment and --module, as Seed-Farmer does";
            return vec![Finding::broken(CHECK, format!("{error:#}"), remedy)];
        }
    };
    let principal = match (asked.role_arn, identity.role()) {
        (Some(arn), _) => arn.to_owned(),
        (None, Some(role)) => {
            format!(
                "arn:{}:iam::{}:role/{role}",
                identity.partition, identity.account
            )
        }
        (None, None) => identity.arn.clone(),
    };
    if principal.ends_with(":root") {
        let found = "these are the account's root credentials, which may do everything";
        return vec![Finding::warning(CHECK, found, "use a role")];
    }
    let mut findings = Vec::new();
    let needed = policy.0.iter();
    for statement in needed.filter(|statement| is_role || statement.sid != OWN_ROLE) {
        match simulated(&session.aws, &scope, &principal, statement).await {
            Ok(finding) => findings.push(finding),
            Err(error) => {
                let found = format!(
                    "cannot be simulated, so only harmless calls check some of them: {error}"
                );
                let remedy = "run doctor with credentials that may iam:SimulatePrincipalPolicy, with \
                              --role-arn for the role (and its path)";
                findings.push(Finding::warning(CHECK, found, remedy));
                break;
            }
        }
    }
    findings
}

/// The actions of a statement, on a resource like those that it names.
async fn simulated(
    aws: &Aws,
    scope: &Scope,
    principal: &str,
    statement: &Statement,
) -> Result<Finding, Error> {
    let check = format!("may {}", statement.sid);
    let resource = example(statement);
    let context = context(statement, scope);
    let actions = (statement.actions.as_slice(), resource.as_str());
    let results = aws
        .simulate(&scope.region, principal, actions, &context)
        .await?;
    let denied = results.iter().filter(|result| result.decision != "allowed");
    let names: Vec<&str> = denied
        .clone()
        .map(|result| result.action.as_str())
        .collect();
    if names.is_empty() {
        let count = crate::progress::count(results.len(), "action");
        return Ok(Finding::ok(&check, format!("{count} allowed")));
    }
    let by = if denied.clone().any(|result| result.by_organization) {
        "a policy of the organisation denies it; ask its administrators"
    } else if denied.clone().any(|result| result.by_boundary) {
        "the permissions boundary denies it; `replicator policy --boundary` prints one that does not"
    } else if denied
        .clone()
        .any(|result| result.decision == "explicitDeny")
    {
        "a statement denies it explicitly; remove that"
    } else {
        "grant it; `replicator policy` prints all that these settings need, and Seed-Farmer grants it \
         by deploying modulestack.yaml"
    };
    let found = format!("{principal} may not {} on {resource}", names.join(", "));
    Ok(Finding::broken(&check, found, by))
}

/// A resource that a statement names, with something for its wildcards.
fn example(statement: &Statement) -> String {
    // Of the two names that a bucket may have, the one that fits.
    let is_name = |resource: &&String| {
        let bucket = resource
            .strip_prefix("arn:")
            .and_then(|rest| rest.split(":s3:::").nth(1));
        let bucket = bucket.and_then(|bucket| bucket.split('/').next());
        bucket.is_none_or(|bucket| bucket.len() <= 63)
    };
    let resources = &statement.resources;
    let resource = resources.iter().find(is_name).or_else(|| resources.first());
    let resource = resource.map_or("*", String::as_str);
    if resource == "*" {
        return resource.to_owned();
    }
    resource
        .replace("??????", "AbCdEf")
        .replace('*', "replicator-doctor")
}

/// Condition keys with values for which the statement's condition holds.
fn context(statement: &Statement, scope: &Scope) -> Vec<(String, String)> {
    let operators = statement
        .condition
        .iter()
        .filter_map(Value::as_object)
        .flatten();
    let keys = operators.filter_map(|(_, keys)| keys.as_object()).flatten();
    let suffix = if scope.region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    keys.filter_map(|(key, value)| {
        let value = value
            .as_array()
            .and_then(|values| values.first())
            .unwrap_or(value);
        let value = value.as_str()?.replace(".*", &format!(".{suffix}"));
        Some((key.clone(), value.replace('*', "")))
    })
    .collect()
}

/// The registry: its token, and its repositories, which are counted.
async fn registry(
    aws: &std::sync::Arc<Aws>,
    host: &EcrHost,
    findings: &mut Vec<Finding>,
) -> Option<usize> {
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

/// Quotas of ECR and CodeBuild, against the settings and the plan.
async fn quotas(
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
    let compute = machine.as_ref().and_then(crate::aws::Machine::compute);
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

/// The key that encrypts repositories.
async fn keys(session: &Session, region: &str) -> Vec<Finding> {
    const CHECK: &str = "key KmsKeyArn";
    let mut findings: Vec<Finding> = signs(session).await.into_iter().collect();
    let Some(arn) = &session.settings.repositories.kms_key else {
        return findings;
    };
    findings.push(match session.aws.kms_key(arn).await {
        Ok(key) if arn.split(':').nth(3) != Some(region) => {
            let found = format!("{arn} ({}) is not in {region}", key.spec);
            Finding::broken(CHECK, found, "name a key of the repositories' region")
        }
        Ok(key) if key.state != "Enabled" => {
            let found = format!("{arn} is {}", key.state);
            Finding::broken(
                CHECK,
                found,
                "enable the key (cancel its deletion), or name another one",
            )
        }
        Ok(key) if key.usage != "ENCRYPT_DECRYPT" => {
            let found = format!("{arn} is for {}", key.usage);
            Finding::broken(CHECK, found, "name a symmetric key for encryption")
        }
        Ok(key) => Finding::ok(CHECK, format!("{}, {}", key.state, key.spec)),
        // The role may use it through ECR only.
        Err(error)
            if error
                .code()
                .is_some_and(|code| code.starts_with("AccessDenied")) =>
        {
            let found = format!("cannot be described: {error}");
            Finding::warning(
                CHECK,
                found,
                "run doctor with credentials that may kms:DescribeKey",
            )
        }
        Err(error) => of_error(CHECK, &error, "name an existing key"),
    });
    findings
}

/// The key that signs attestations.
async fn signs(session: &Session) -> Option<Finding> {
    const CHECK: &str = "key AttestationKmsKeyArn";
    let arn = session.settings.attestation_key.as_deref()?;
    Some(match session.aws.kms_public_key(arn).await {
        Ok(key) => match attestation::algorithm(&key.der, &key.algorithms) {
            Ok(algorithm) => Finding::ok(CHECK, format!("signs with {algorithm}")),
            Err(why) => Finding::broken(CHECK, format!("{arn}: {why}"), attestation::KINDS),
        },
        Err(error) => {
            let usual =
                "name an enabled key for signatures, and allow kms:GetPublicKey and kms:Sign";
            of_error(CHECK, &error, usual)
        }
    })
}
