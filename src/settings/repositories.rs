//! How repositories of ECR are to be, as module parameters say.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::problem::Problem;

use super::{Flags, OWNERSHIP_TAGS, Parameters, policies};

/// How repositories of ECR are to be. What is not given stays as ECR has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repositories {
    /// `CustomTags`: additional tags of repositories and the bucket.
    pub tags: BTreeMap<String, String>,
    /// `ImageTagMutability`: whether tags can never move.
    pub immutable: Option<bool>,
    /// `KmsKeyArn`: the key that encrypts; can only be set on creation.
    pub kms_key: Option<String>,
    /// `ScanOnPush`
    pub scan_on_push: Option<bool>,
    /// `LifecyclePolicy`, as JSON.
    pub lifecycle_policy: Option<String>,
    /// `RepositoryPolicy`, as JSON.
    pub policy: Option<String>,
    /// `BlobMounting`
    pub blob_mounting: BlobMounting,
    /// `AdoptRepositories`: whether to write to repositories that belong to another project or program.
    pub adopt: bool,
    /// `BucketVersioning`: whether the module's bucket keeps old versions of objects.
    pub bucket_versioning: Option<bool>,
}

/// What to do about the account's setting that lets repositories share blobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BlobMounting {
    /// Nothing.
    #[default]
    Leave,
    /// Fail unless it is on.
    Require,
    /// Turn it on.
    Enable,
}

/// What becomes of the repositories when the module is destroyed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Retention {
    /// They stay.
    #[default]
    Retain,
    /// They are deleted.
    Destroy,
}

impl Repositories {
    pub(super) fn new(flags: &Flags, parameters: &Parameters, problems: &mut Vec<Problem>) -> Self {
        let mut read = PolicyReader {
            flags,
            parameters,
            problems,
        };
        Self {
            tags: read.given("custom_tags", self::tags).unwrap_or_default(),
            immutable: read.given("image_tag_mutability", is_immutable),
            kms_key: read.text("kms_key_arn", key_arn),
            scan_on_push: read.given("scan_on_push", flag),
            lifecycle_policy: read.text("lifecycle_policy", policies::lifecycle),
            policy: read.text("repository_policy", policies::repository),
            blob_mounting: read.given("blob_mounting", mounting).unwrap_or_default(),
            adopt: read.given("adopt_repositories", flag) == Some(true),
            bucket_versioning: read.given("bucket_versioning", versioning),
        }
    }
}

/// Reads optional parameters.
struct PolicyReader<'a> {
    flags: &'a Flags,
    parameters: &'a Parameters,
    problems: &'a mut Vec<Problem>,
}

impl PolicyReader<'_> {
    /// What is given, parsed.
    fn given<T>(&mut self, name: &str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let given = self.parameters.pick(self.flags, name)?;
        given.parse_with(self.problems, parse)
    }

    /// The text that is given, checked.
    fn text(&mut self, name: &str, check: fn(&str) -> Result<(), String>) -> Option<String> {
        let given = self.parameters.pick(self.flags, name)?;
        let checked = |text: &str| check(text).map(|()| text.to_owned());
        given.parse_with(self.problems, checked)
    }
}

impl Retention {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_uppercase().as_str() {
            "" | "RETAIN" => Ok(Self::Retain),
            "DESTROY" => Ok(Self::Destroy),
            _ => Err(format!("`{text}` is neither RETAIN nor DESTROY")),
        }
    }
}

/// How many tags are left beside ours: AWS takes 50 for a resource.
const MOST_TAGS: usize = 50 - OWNERSHIP_TAGS.len();

/// What AWS takes in keys and values of tags
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-using-tags.html>).
fn is_tag_letter(letter: char) -> bool {
    letter.is_alphanumeric() || " +-=._:/@".contains(letter)
}

/// A JSON map of tags, within AWS's limits for them.
fn tags(text: &str) -> Result<BTreeMap<String, String>, String> {
    let broken =
        || format!("`{text}` is not a JSON map of texts, such as {{\"team\": \"platform\"}}");
    let map: BTreeMap<String, Value> = serde_json::from_str(text).map_err(|_| broken())?;
    if map.len() > MOST_TAGS {
        return Err(format!(
            "it has {} tags: AWS takes 50, and this module sets {}",
            map.len(),
            OWNERSHIP_TAGS.len()
        ));
    }
    map.into_iter()
        .map(|(key, value)| {
            let value = match value {
                Value::String(text) => text,
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => return Err(broken()),
            };
            if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
                return Err(format!("the tag `{key}` is too long: AWS takes keys of 1 to 128 and values of up to 256 characters"));
            }
            if let Some(letter) = [&key, &value].iter().find_map(|text| text.chars().find(|c| !is_tag_letter(*c))) {
                return Err(format!("the tag `{key}` holds {letter:?}: AWS takes letters, digits, spaces and + - = . _ : / @"));
            }
            if key.to_lowercase().starts_with("aws:") || OWNERSHIP_TAGS.contains(&key.as_str()) {
                return Err(format!("the tag `{key}` is reserved: AWS or this module sets it"));
            }
            Ok((key, value))
        })
        .collect()
}

fn is_immutable(text: &str) -> Result<bool, String> {
    match text.trim().to_uppercase().as_str() {
        "IMMUTABLE" => Ok(true),
        "MUTABLE" => Ok(false),
        _ => Err(format!("`{text}` is neither MUTABLE nor IMMUTABLE")),
    }
}

/// `true` or `false`, as Seed-Farmer hands on YAML's.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

pub(super) fn key_arn(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.trim().splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "kms", _, _, resource] if resource.starts_with("key/") => Ok(()),
        _ => Err(format!(
            "`{text}` is not the ARN of a KMS key, arn:<partition>:kms:<region>:<account>:key/<id>"
        )),
    }
}

/// `true` or `false`, or S3's own words for the two.
fn versioning(text: &str) -> Result<bool, String> {
    match text.trim().to_lowercase().as_str() {
        "enabled" => Ok(true),
        "suspended" => Ok(false),
        _ => flag(text),
    }
}

fn mounting(text: &str) -> Result<BlobMounting, String> {
    match text.trim().to_lowercase().as_str() {
        "leave" => Ok(BlobMounting::Leave),
        "require" => Ok(BlobMounting::Require),
        "enable" => Ok(BlobMounting::Enable),
        _ => Err(format!("`{text}` is none of leave, require, enable")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> (Repositories, Vec<Problem>) {
        let vars = vars.iter().map(|(name, value)| {
            (
                format!("SEEDFARMER_PARAMETER_{name}").into(),
                (*value).into(),
            )
        });
        let environment = super::super::Environment::from_vars(vars);
        let mut problems = Vec::new();
        let repositories =
            Repositories::new(&Flags::default(), &environment.parameters, &mut problems);
        (repositories, problems)
    }

    #[test]
    fn parameters_are_read_as_seed_farmer_hands_them_on() {
        let (repositories, problems) = read(&[
            ("CUSTOM_TAGS", r#"{"team": "platform", "cost": 12}"#),
            ("IMAGE_TAG_MUTABILITY", "immutable"),
            ("SCAN_ON_PUSH", "true"),
            ("KMS_KEY_ARN", "arn:aws:kms:eu-west-1:123456789012:key/abc"),
            ("ADOPT_REPOSITORIES", "true"),
            ("BUCKET_VERSIONING", "Enabled"),
            ("BLOB_MOUNTING", "Enable"),
        ]);
        assert_eq!(problems, []);
        assert_eq!(repositories.tags["cost"], "12");
        assert_eq!(
            (repositories.immutable, repositories.scan_on_push),
            (Some(true), Some(true))
        );
        assert_eq!(repositories.blob_mounting, BlobMounting::Enable);
        assert!(repositories.adopt);
        assert_eq!(repositories.bucket_versioning, Some(true));
        assert_eq!(read(&[]).0, Repositories::default());
    }

    #[test]
    fn every_bad_value_names_its_parameter_as_the_manifest_writes_it() {
        let (_, problems) = read(&[
            ("CUSTOM_TAGS", r#"{"SeedFarmerProjectName": "x"}"#),
            ("IMAGE_TAG_MUTABILITY", "sometimes"),
            ("SCAN_ON_PUSH", "maybe"),
            ("KMS_KEY_ARN", "alias/x"),
            ("LIFECYCLE_POLICY", "[]"),
            ("REPOSITORY_POLICY", "{"),
            ("BLOB_MOUNTING", "yes"),
            ("ADOPT_REPOSITORIES", "some"),
            ("BUCKET_VERSIONING", "twice"),
        ]);
        let places: Vec<&str> = problems
            .iter()
            .map(|problem| problem.place.as_str())
            .collect();
        let names = [
            "CustomTags",
            "ImageTagMutability",
            "KmsKeyArn",
            "ScanOnPush",
            "LifecyclePolicy",
            "RepositoryPolicy",
            "BlobMounting",
            "AdoptRepositories",
            "BucketVersioning",
        ];
        assert_eq!(places, names.map(|name| format!("parameter {name}")));
    }

    #[test]
    fn tags_that_aws_does_not_take_are_refused() {
        let many: BTreeMap<String, String> =
            (0..47).map(|n| (n.to_string(), String::new())).collect();
        for text in [
            r#"{"a;b": "c"}"#.to_owned(),
            r#"{"a": "b<c>"}"#.to_owned(),
            r#"{"aws:x": "b"}"#.to_owned(),
            r#"{"": "b"}"#.to_owned(),
            serde_json::to_string(&many).unwrap(),
        ] {
            assert!(tags(&text).is_err(), "{text}");
        }
        assert!(tags(r#"{"cost-center/x": "Größe 1 @ a+b=c"}"#).is_ok());
    }

    #[test]
    fn only_retain_and_destroy_say_what_becomes_of_repositories() {
        assert_eq!(Retention::parse(" destroy "), Ok(Retention::Destroy));
        assert_eq!(Retention::parse("Retain"), Ok(Retention::Retain));
        assert!(Retention::parse("delete").is_err());
    }
}
