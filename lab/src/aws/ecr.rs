//! ECR's API.

mod deletion;
mod images;
mod repositories;

use super::account::Account;
use super::error::Failure;
use crate::registry::Repo;
use crate::registry::Repository;
use serde_json::{Value, json};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What a call is about: the repository, several with commas, or nothing.
pub(super) fn resource(input: &Value) -> String {
    let named = input["repositoryName"].as_str().map(str::to_owned);
    let tagged = || {
        input["resourceArn"]
            .as_str()
            .map(|arn| name_of(arn).to_owned())
    };
    let listed = || texts(&input["repositoryNames"]).join(",");
    named.or_else(tagged).unwrap_or_else(listed)
}

pub(super) fn handle(account: &Account, action: &str, input: &Value) -> Result<Value, Failure> {
    match action {
        "GetAuthorizationToken" => Ok(authorization_token(account)),
        "GetAccountSetting" => Ok(account_setting(account, input)),
        "PutAccountSetting" => Ok(put_account_setting(account, input)),
        "CreateRepository" => account.create_repository(input),
        "DescribeRepositories" => account.describe_repositories(input),
        "DeleteRepository" => account.delete_repository(input),
        "ListTagsForResource" => account.with(input, |_, settings| {
            Ok(json!({"tags": repositories::tags_of(settings)}))
        }),
        "TagResource" => account.change(input, |settings| {
            settings
                .tags
                .extend(repositories::read_tags(&input["tags"]));
            json!({})
        }),
        "UntagResource" => account.change(input, |settings| {
            let keys = texts(&input["tagKeys"]);
            settings.tags.retain(|key, _| !keys.contains(key));
            json!({})
        }),
        "PutImageTagMutability" => account.put_mutability(input),
        "PutImageScanningConfiguration" => account.change(input, |settings| {
            settings.scan_on_push = input["imageScanningConfiguration"]["scanOnPush"] == true;
            json!({"imageScanningConfiguration": {"scanOnPush": settings.scan_on_push}})
        }),
        "PutLifecyclePolicy" => account.change(input, |settings| {
            settings.lifecycle_policy = text(&input["lifecyclePolicyText"]);
            json!({"lifecyclePolicyText": settings.lifecycle_policy})
        }),
        "GetLifecyclePolicy" => account.with(input, |_, settings| {
            let missing = || {
                Failure::new(
                    400,
                    "LifecyclePolicyNotFoundException",
                    "Lifecycle policy does not exist",
                )
            };
            let policy = settings.lifecycle_policy.as_ref().ok_or_else(missing)?;
            Ok(json!({"lifecyclePolicyText": policy}))
        }),
        "SetRepositoryPolicy" => account.change(input, |settings| {
            settings.policy = text(&input["policyText"]);
            json!({"policyText": settings.policy})
        }),
        "GetRepositoryPolicy" => account.with(input, |_, settings| {
            let missing = || {
                Failure::new(
                    400,
                    "RepositoryPolicyNotFoundException",
                    "Repository policy does not exist",
                )
            };
            let policy = settings.policy.as_ref().ok_or_else(missing)?;
            Ok(json!({"policyText": policy}))
        }),
        "BatchGetImage" => account.batch_get_image(input),
        "BatchDeleteImage" => account.batch_delete_image(input),
        "BatchCheckLayerAvailability" => account.batch_check_layers(input),
        "DescribeImages" => account.describe_images(input),
        "ListImages" => account.list_images(input),
        "GetDownloadUrlForLayer" => account.download_url_for_layer(input),
        _ => Err(Failure::new(
            400,
            "UnknownOperationException",
            format!("the lab has no {action}"),
        )),
    }
}

impl Account {
    /// Reads the repository that the input names.
    fn with<T>(
        &self,
        input: &Value,
        read: impl FnOnce(&Repository, &Repo) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let name = resource(input);
        let state = self.core.store.state();
        let repository = state
            .repositories
            .get(&name)
            .filter(|repository| is_visible(repository));
        let repository = repository.ok_or_else(|| self.no_repository(&name))?;
        read(repository, &repository.settings)
    }

    /// Changes the settings of the repository that the input names; the answer names it too.
    fn change(
        &self,
        input: &Value,
        change: impl FnOnce(&mut Repo) -> Value,
    ) -> Result<Value, Failure> {
        self.with(input, |_, _| Ok(()))?;
        let name = resource(input);
        let mut output = change(&mut self.core.store.state().repository(&name).settings);
        if input.get("repositoryName").is_some() {
            output["registryId"] = self.number.as_str().into();
            output["repositoryName"] = name.into();
        }
        Ok(output)
    }

    fn no_repository(&self, name: &str) -> Failure {
        let message = format!(
            "The repository with name '{name}' does not exist in the registry with id '{}'",
            self.number
        );
        Failure::new(400, "RepositoryNotFoundException", message)
    }
}

fn authorization_token(account: &Account) -> Value {
    use base64::Engine as _;
    let state = account.state();
    let password = account.core.gate.issue_password(state.token_lifetime);
    let expires = state
        .expires_at
        .unwrap_or_else(|| SystemTime::now() + state.token_lifetime);
    json!({"authorizationData": [{
        "authorizationToken": base64::engine::general_purpose::STANDARD.encode(format!("AWS:{password}")),
        "expiresAt": seconds(expires),
        "proxyEndpoint": state.proxy_endpoint,
    }]})
}

const MOUNTING: &str = "BLOB_MOUNTING";

fn account_setting(account: &Account, input: &Value) -> Value {
    let name = text(&input["name"]).unwrap_or_default();
    let value = if name == MOUNTING {
        let enabled = account.core.ecr().blob_mounting;
        Some(if enabled { "ENABLED" } else { "DISABLED" }.to_owned())
    } else {
        account.state().settings.get(&name).cloned()
    };
    json!({"name": name, "value": value})
}

fn put_account_setting(account: &Account, input: &Value) -> Value {
    let name = text(&input["name"]).unwrap_or_default();
    let value = text(&input["value"]).unwrap_or_default();
    if name == MOUNTING {
        account
            .core
            .change_ecr(|ecr| ecr.blob_mounting = value == "ENABLED");
    }
    account.state().settings.insert(name.clone(), value.clone());
    json!({"name": name, "value": value})
}

fn is_visible(repository: &Repository) -> bool {
    repository.settings.visible_from <= Instant::now()
}

/// The repository's name in its ARN.
fn name_of(arn: &str) -> &str {
    arn.split_once(":repository/").map_or(arn, |(_, name)| name)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(text)
        .collect()
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// A page of a sorted list and the token of the next one.
fn page<'a, T>(
    items: &'a [T],
    input: &Value,
    usual: usize,
    key: impl Fn(&T) -> String,
) -> (&'a [T], Option<String>) {
    let size = input["maxResults"]
        .as_u64()
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(usual)
        .max(1);
    let after = text(&input["nextToken"]);
    let start =
        items.partition_point(|item| after.as_ref().is_some_and(|after| key(item) <= *after));
    let rest = &items[start..];
    let page = &rest[..size.min(rest.len())];
    (
        page,
        page.last().filter(|_| page.len() < rest.len()).map(key),
    )
}
