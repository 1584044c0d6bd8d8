//! Repositories and their settings.

use super::super::account::Account;
use super::super::error::Failure;
use super::{is_visible, page, resource, seconds, text, texts};
use crate::registry::{Mutability, Repo, valid_name};
use serde_json::{Value, json};
use std::time::Instant;

impl Account {
    pub(super) fn create_repository(&self, input: &Value) -> Result<Value, Failure> {
        let name = resource(input);
        if !(2..=256).contains(&name.len()) || !valid_name(&name) {
            let message = format!(
                "Invalid parameter at 'repositoryName' failed to satisfy constraint: \
                 'must satisfy regular expression' ({name})"
            );
            return Err(Failure::new(400, "InvalidParameterException", message));
        }
        let mut state = self.core.store.state();
        if state.repositories.contains_key(&name) {
            let message = format!(
                "The repository with name '{name}' already exists in the registry with id '{}'",
                self.number
            );
            return Err(Failure::new(
                400,
                "RepositoryAlreadyExistsException",
                message,
            ));
        }
        let settings = &mut state.repository(&name).settings;
        settings.tags = read_tags(&input["tags"]).into_iter().collect();
        set_mutability(settings, input);
        settings.scan_on_push = input["imageScanningConfiguration"]["scanOnPush"] == true;
        let encryption = &input["encryptionConfiguration"];
        if let Some(kind) = text(&encryption["encryptionType"]) {
            settings.encryption = kind;
        }
        settings.kms_key = text(&encryption["kmsKey"]);
        settings.visible_from = Instant::now() + self.creation_delay;
        Ok(json!({"repository": self.describe(&name, settings)}))
    }

    pub(super) fn describe_repositories(&self, input: &Value) -> Result<Value, Failure> {
        let names = texts(&input["repositoryNames"]);
        let state = self.core.store.state();
        let visible: Vec<_> = state
            .repositories
            .iter()
            .filter(|(_, repository)| is_visible(repository))
            .collect();
        if names.is_empty() {
            let (page, next) = page(&visible, input, 100, |(name, _)| (*name).clone());
            let found: Vec<Value> = page
                .iter()
                .map(|(name, found)| self.describe(name, &found.settings))
                .collect();
            return Ok(json!({"repositories": found, "nextToken": next}));
        }
        if names.len() > 100 {
            return Err(Failure::new(
                400,
                "InvalidParameterException",
                "at most 100 repositoryNames",
            ));
        }
        let found: Result<Vec<Value>, Failure> = names
            .iter()
            .map(|name| {
                let found = visible.iter().find(|(known, _)| *known == name);
                let (_, found) = found.ok_or_else(|| self.no_repository(name))?;
                Ok(self.describe(name, &found.settings))
            })
            .collect();
        Ok(json!({"repositories": found?}))
    }

    pub(super) fn delete_repository(&self, input: &Value) -> Result<Value, Failure> {
        let name = resource(input);
        let description = self.with(input, |repository, settings| {
            if !repository.manifests.is_empty() && input["force"] != true {
                let message = format!("The repository with name '{name}' cannot be deleted because it still contains images");
                return Err(Failure::new(400, "RepositoryNotEmptyException", message));
            }
            Ok(self.describe(&name, settings))
        })?;
        self.core.store.state().repositories.remove(&name);
        Ok(json!({"repository": description}))
    }

    pub(super) fn put_mutability(&self, input: &Value) -> Result<Value, Failure> {
        self.change(input, |settings| {
            set_mutability(settings, input);
            json!({"imageTagMutability": mutability(settings), "imageTagMutabilityExclusionFilters": exclusions(settings)})
        })
    }

    fn describe(&self, name: &str, settings: &Repo) -> Value {
        let mut encryption = json!({"encryptionType": settings.encryption});
        if let Some(key) = &settings.kms_key {
            encryption["kmsKey"] = key.as_str().into();
        }
        json!({
            "repositoryArn": format!("arn:aws:ecr:{}:{}:repository/{name}", self.region, self.number),
            "registryId": self.number,
            "repositoryName": name,
            "repositoryUri": format!("{}/{name}", self.ecr_host()),
            "createdAt": seconds(settings.created),
            "imageTagMutability": mutability(settings),
            "imageTagMutabilityExclusionFilters": exclusions(settings),
            "imageScanningConfiguration": {"scanOnPush": settings.scan_on_push},
            "encryptionConfiguration": encryption,
        })
    }
}

fn set_mutability(settings: &mut Repo, input: &Value) {
    let mode = input["imageTagMutability"].as_str().unwrap_or("MUTABLE");
    settings.mutability = if mode.starts_with("IMMUTABLE") {
        Mutability::Immutable
    } else {
        Mutability::Mutable
    };
    let filters = input["imageTagMutabilityExclusionFilters"].as_array();
    settings.exclusions = filters
        .into_iter()
        .flatten()
        .filter_map(|filter| text(&filter["filter"]))
        .collect();
}

fn mutability(settings: &Repo) -> &'static str {
    match (settings.mutability, settings.exclusions.is_empty()) {
        (Mutability::Mutable, true) => "MUTABLE",
        (Mutability::Mutable, false) => "MUTABLE_WITH_EXCLUSION",
        (Mutability::Immutable, true) => "IMMUTABLE",
        (Mutability::Immutable, false) => "IMMUTABLE_WITH_EXCLUSION",
    }
}

fn exclusions(settings: &Repo) -> Vec<Value> {
    settings
        .exclusions
        .iter()
        .map(|filter| json!({"filterType": "WILDCARD", "filter": filter}))
        .collect()
}

pub(super) fn read_tags(tags: &Value) -> Vec<(String, String)> {
    let tags = tags.as_array().into_iter().flatten();
    tags.filter_map(|tag| Some((text(&tag["Key"])?, text(&tag["Value"]).unwrap_or_default())))
        .collect()
}

pub(super) fn tags_of(settings: &Repo) -> Vec<Value> {
    settings
        .tags
        .iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}
