//! Groups of flags that commands share.

use std::path::PathBuf;

use clap::Args;

use crate::settings::Flags;

/// A value that was given: a blank one is a slip, such as a shell's variable that is not set.
fn given(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Err("it is blank: give a value, or leave the flag out");
    }
    Ok(text.to_owned())
}

/// What every command that talks to registries can be told.
#[derive(Debug, Args)]
pub(super) struct NetworkFlags {
    /// Platforms to copy, such as linux/amd64,linux/arm64 [default: all, the index untouched]
    #[arg(long, value_name = "LIST", help_heading = "Copying", value_parser = given)]
    platforms: Option<String>,
    /// Which signatures, attestations and other referrers go along: image (those of the image, and where
    /// it has some, of its platforms), all (those of each platform too, a request more for each), none
    /// [parameter: `Referrers`] [default: image]
    #[arg(long, value_name = "WORD", help_heading = "Copying", value_parser = given)]
    referrers: Option<String>,
    /// The same as --referrers none
    #[arg(long, help_heading = "Copying", conflicts_with = "referrers")]
    no_referrers: bool,
    /// Big blobs in transfer at once at most, 1 to 256; the number adapts to what hosts bear
    /// [parameter: `Jobs`] [default: 16]
    #[arg(long, value_name = "N", help_heading = "Copying")]
    jobs: Option<usize>,
    /// Who checks the digests of blobs: auto (we do, while they flow; on machines without instructions
    /// for SHA-256 it is left to ECR), always, or target (leave it to registries)
    /// [parameter: `Hash`] [default: auto]
    #[arg(long, value_name = "WORD", help_heading = "Copying", value_parser = given)]
    hash: Option<String>,
    /// Requests a second that ECR grants, such as `PutImage=50,InitiateLayerUpload=200`, where the account
    /// has other quotas than ECR's defaults [parameter: `Quotas`]
    #[arg(long, value_name = "LIST", help_heading = "Copying", value_parser = given)]
    quotas: Option<String>,
    /// How often a request is tried in all [parameter: `Tries`] [default: 4]
    #[arg(long, value_name = "N", help_heading = "Network")]
    tries: Option<u32>,
    /// How long a host that throttles is tried again [parameter: `Patience`] [default: 600]
    #[arg(long, value_name = "SECONDS", help_heading = "Network", value_parser = given)]
    patience: Option<String>,
    /// Longest wait for a connection [parameter: `ConnectTimeout`] [default: 10]
    #[arg(long, value_name = "SECONDS", help_heading = "Network", value_parser = given)]
    connect_timeout: Option<String>,
    /// Longest wait for an answer, and between two pieces of it [parameter: `AnswerTimeout`] [default: 60]
    #[arg(long, value_name = "SECONDS", help_heading = "Network", value_parser = given)]
    answer_timeout: Option<String>,
    /// The slowest transfer that is not cut and tried again, in bytes a second
    /// [parameter: `SlowestTransfer`] [default: 1024]
    #[arg(long, value_name = "N", help_heading = "Network", value_parser = given)]
    slowest_transfer: Option<String>,
    /// Speak plain HTTP to this host; loopback hosts need no mention (repeatable)
    #[arg(long, value_name = "HOST", help_heading = "Network")]
    plain_http: Vec<String>,
    /// Talk to URL when HOST is meant, be it a registry or a chart repository (repeatable)
    #[arg(long = "endpoint", value_name = "HOST=URL", help_heading = "Network")]
    endpoints: Vec<String>,
}

/// What the commands that work on data files can be told.
#[derive(Debug, Args)]
pub(super) struct DataFlags {
    /// The EKS version, such as 1.34: names the data file [env: `SEEDFARMER_PARAMETER_EKS_VERSION`]
    #[arg(long, value_name = "V", value_parser = given)]
    eks_version: Option<String>,
    /// The folder of the data files [default: data/eks_dockerimage-replication/versions]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What stands in front of every name at the target: an ECR registry, host[:port]/prefix of any
    /// other registry, or oci:DIR [default: <account>.dkr.ecr.<region>.<suffix>/<project>-]
    #[arg(long, value_name = "PREFIX", value_parser = given)]
    registry_prefix: Option<String>,
    /// Over how many builds of CodeBuild the work is spread: auto, off, or a number, this one included.
    /// Outside CodeBuild it stays here [parameter: `FanOut`] [default: auto]
    #[arg(long, value_name = "N", help_heading = "Copying", value_parser = given)]
    fan_out: Option<String>,
    /// Where result files are written [default: .]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The Seed-Farmer project [env: `SEEDFARMER_PROJECT_NAME`]
    #[arg(long, value_name = "NAME", help_heading = "Seed-Farmer", value_parser = given)]
    project: Option<String>,
    /// The Seed-Farmer deployment [env: `SEEDFARMER_DEPLOYMENT_NAME`]
    #[arg(long, value_name = "NAME", help_heading = "Seed-Farmer", value_parser = given)]
    deployment: Option<String>,
    /// The Seed-Farmer module as <group>-<module> [env: `SEEDFARMER_MODULE_NAME`]
    #[arg(long, value_name = "NAME", help_heading = "Seed-Farmer", value_parser = given)]
    module: Option<String>,
}

/// How repositories of ECR are to be.
#[derive(Debug, Args)]
pub(super) struct RepositoryFlags {
    /// Further tags for repositories and bucket, as a JSON map [parameter: `CustomTags`]
    #[arg(long, value_name = "JSON", help_heading = "ECR", value_parser = given)]
    custom_tags: Option<String>,
    /// MUTABLE or IMMUTABLE [parameter: `ImageTagMutability`] [default: as ECR has it]
    #[arg(long, value_name = "WORD", help_heading = "ECR", value_parser = given)]
    image_tag_mutability: Option<String>,
    /// The KMS key that encrypts new repositories [parameter: `KmsKeyArn`] [default: ECR's own]
    #[arg(long, value_name = "ARN", help_heading = "ECR", value_parser = given)]
    kms_key_arn: Option<String>,
    /// true or false: scan each pushed image [parameter: `ScanOnPush`] [default: as ECR has it]
    #[arg(long, value_name = "BOOL", help_heading = "ECR", value_parser = given)]
    scan_on_push: Option<String>,
    /// The lifecycle policy of repositories [parameter: `LifecyclePolicy`]
    #[arg(long, value_name = "JSON", help_heading = "ECR", value_parser = given)]
    lifecycle_policy: Option<String>,
    /// The policy of repositories [parameter: `RepositoryPolicy`]
    #[arg(long, value_name = "JSON", help_heading = "ECR", value_parser = given)]
    repository_policy: Option<String>,
    /// leave, require or enable: the account's setting that lets repositories share blobs
    /// [parameter: `BlobMounting`] [default: leave]
    #[arg(long, value_name = "WORD", help_heading = "ECR", value_parser = given)]
    blob_mounting: Option<String>,
    /// Write to repositories that belong to another project or program, and do not warn about others that
    /// this program did not create [parameter: `AdoptRepositories`]
    #[arg(long, help_heading = "ECR")]
    adopt_repositories: bool,
    /// true or false: keep old versions of objects in the module's bucket [parameter: `BucketVersioning`]
    /// [default: as the bucket has it]
    #[arg(long, value_name = "BOOL", help_heading = "ECR")]
    bucket_versioning: Option<String>,
    /// The secret with credentials for sources [parameter: `HelmRepoSecretName`]
    #[arg(long, value_name = "NAME", help_heading = "Secrets", value_parser = given)]
    secret_name: Option<String>,
    /// The entry of the secret to use [parameter: `HelmRepoSecretKey`]
    #[arg(long, value_name = "KEY", help_heading = "Secrets", value_parser = given)]
    secret_key: Option<String>,
}

impl RepositoryFlags {
    pub(super) fn onto(&self, flags: Flags) -> Flags {
        Flags {
            custom_tags: self.custom_tags.clone(),
            image_tag_mutability: self.image_tag_mutability.clone(),
            kms_key_arn: self.kms_key_arn.clone(),
            scan_on_push: self.scan_on_push.clone(),
            lifecycle_policy: self.lifecycle_policy.clone(),
            repository_policy: self.repository_policy.clone(),
            blob_mounting: self.blob_mounting.clone(),
            adopt_repositories: self.adopt_repositories,
            bucket_versioning: self.bucket_versioning.clone(),
            secret_name: self.secret_name.clone(),
            secret_key: self.secret_key.clone(),
            ..flags
        }
    }
}

impl DataFlags {
    pub(super) fn flags(&self, network: &NetworkFlags) -> Flags {
        Flags {
            eks_version: self.eks_version.clone(),
            data_dir: self.data_dir.clone(),
            registry_prefix: self.registry_prefix.clone(),
            fan_out: self.fan_out.clone(),
            out: self.out.clone(),
            project: self.project.clone(),
            deployment: self.deployment.clone(),
            module: self.module.clone(),
            ..network.flags()
        }
    }
}

impl NetworkFlags {
    /// The first flag that is given and decides what is copied; without effect where nothing is.
    pub(super) fn about_copying(&self) -> Option<&'static str> {
        let given = [
            ("--platforms", self.platforms.is_some()),
            ("--referrers", self.referrers.is_some()),
            ("--no-referrers", self.no_referrers),
        ];
        given
            .into_iter()
            .find_map(|(name, is_given)| is_given.then_some(name))
    }

    pub(super) fn flags(&self) -> Flags {
        Flags {
            platforms: self.platforms.clone(),
            referrers: self.referrers.clone(),
            no_referrers: self.no_referrers,
            jobs: self.jobs,
            tries: self.tries,
            patience: self.patience.clone(),
            connect_timeout: self.connect_timeout.clone(),
            answer_timeout: self.answer_timeout.clone(),
            slowest_transfer: self.slowest_transfer.clone(),
            quotas: self.quotas.clone(),
            hash: self.hash.clone(),
            plain_http: self.plain_http.clone(),
            endpoints: self.endpoints.clone(),
            ..Flags::default()
        }
    }
}
