//! What the command line says.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What the flags of a command say; `None` and empty where they say nothing. A build that works on a part
/// of a run is told them as they are.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Flags {
    /// `--eks-version`
    pub eks_version: Option<String>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--registry-prefix`
    pub registry_prefix: Option<String>,
    /// `--out`
    pub out: Option<PathBuf>,
    /// `--platforms`
    pub platforms: Option<String>,
    /// `--jobs`
    pub jobs: Option<usize>,
    /// `--tries`
    pub tries: Option<u32>,
    /// `--patience`
    pub patience: Option<String>,
    /// `--connect-timeout`
    pub connect_timeout: Option<String>,
    /// `--answer-timeout`
    pub answer_timeout: Option<String>,
    /// `--slowest-transfer`
    pub slowest_transfer: Option<String>,
    /// `--fan-out`
    pub fan_out: Option<String>,
    /// `--quotas`
    pub quotas: Option<String>,
    /// `--hash`
    pub hash: Option<String>,
    /// `--plain-http`
    pub plain_http: Vec<String>,
    /// `--endpoint`
    pub endpoints: Vec<String>,
    /// `--project`
    pub project: Option<String>,
    /// `--deployment`
    pub deployment: Option<String>,
    /// `--module`
    pub module: Option<String>,
    /// `--region`
    pub region: Option<String>,
    /// `--retention-type`
    pub retention_type: Option<String>,
    /// `--custom-tags`
    pub custom_tags: Option<String>,
    /// `--image-tag-mutability`
    pub image_tag_mutability: Option<String>,
    /// `--kms-key-arn`
    pub kms_key_arn: Option<String>,
    /// `--scan-on-push`
    pub scan_on_push: Option<String>,
    /// `--lifecycle-policy`
    pub lifecycle_policy: Option<String>,
    /// `--repository-policy`
    pub repository_policy: Option<String>,
    /// `--blob-mounting`
    pub blob_mounting: Option<String>,
    /// `--adopt-repositories`
    pub adopt_repositories: bool,
    /// `--bucket-versioning`
    pub bucket_versioning: Option<String>,
    /// `--referrers`
    pub referrers: Option<String>,
    /// `--no-referrers`
    pub no_referrers: bool,
    /// `--secret-name`
    pub secret_name: Option<String>,
    /// `--secret-key`
    pub secret_key: Option<String>,
}
