//! Each permission that a deployment needs, simulated by IAM.

use serde_json::Value;

use crate::aws::{Aws, Error, Identity};
use crate::doctor::Finding;
use crate::permissions::{Policy, Scope, Statement};
use crate::progress;
use crate::session::Session;

use super::Asked;

/// The statement about the role that is passed on to further builds.
const OWN_ROLE: &str = "OwnRole";

/// Each permission that the settings need.
pub(super) async fn permissions(
    session: &Session,
    identity: &Identity,
    asked: &Asked<'_>,
) -> Vec<Finding> {
    const CHECK: &str = "permissions";
    let given = asked.role_arn.and_then(|arn| arn.rsplit('/').next());
    let is_role = given.is_some() || identity.role().is_some();
    let name = given.or_else(|| identity.role());
    let name = name
        .or_else(|| identity.arn.rsplit('/').next())
        .map(str::to_owned);
    let parameters = asked.parameters.clone();
    let scope = Scope::of_module(&session.settings, parameters, &session.aws, name.clone()).await;
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
        let count = progress::count(results.len(), "action");
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
