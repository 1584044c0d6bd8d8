//! The parameters of the module, each defined once. From this table come the flags with their help, the
//! variables, the spelling in manifests, and `docs/reference/parameters.md`.

use super::parameter::Group::{Bundle, Data, Destroy, Network, Repositories};
use super::parameter::Parameter;
use super::parameter::Value::{Number, Repeated, Switch, Text};

/// All parameters, in the order of `--help`.
pub const ALL: [Parameter; 46] = [
    Parameter::new(
        "eks_version",
        "eks-version",
        "The EKS version, such as 1.34: names the data file. In quotes in a manifest, or 1.30 becomes 1.3",
    )
    .flag("eks-version", Data, Text("V")),
    Parameter::new("data_dir", "DataDir", "The folder of the data files")
        .flag("data-dir", Data, Text("DIR"))
        .default(crate::settings::DEFAULT_DATA_DIR),
    Parameter::new(
        "registry_prefix",
        "RegistryPrefix",
        "The prefix of every name at the target: an ECR registry, host[:port]/prefix of any other \
         registry, or oci:DIR",
    )
    .flag("registry-prefix", Data, Text("PREFIX"))
    .default("<account>.dkr.ecr.<region>.<suffix>/<project>-")
    .for_workers(),
    Parameter::new(
        "bundle",
        "Bundle",
        "A bundle of `replicator save`, a file or s3://BUCKET/KEY: the only source, with the data files in it",
    )
    .flag("bundle", Bundle, Text("BUNDLE"))
    .in_stack(),
    Parameter::new(
        "bundle_bucket_owner",
        "BundleBucketOwner",
        "The account that owns the bundle's bucket",
    )
    .flag("bundle-bucket-owner", Bundle, Text("ACCOUNT"))
    .default("this account"),
    Parameter::new(
        "fan_out",
        "FanOut",
        "How many CodeBuild builds to use, including this one: auto, off, or 2 to 64. Ignored outside \
         CodeBuild",
    )
    .flag("fan-out", Data, Text("N"))
    .under("Copying")
    .default("auto")
    .in_stack(),
    Parameter::new(
        "closure",
        "Closure",
        "What happens when a rendered chart names an image that is not copied: report (a warning), require \
         (exit code 2, before anything is copied) or complete (copy it and set its value; exit code 2 where \
         that is not possible)",
    )
    .flag("closure", Data, Text("MODE"))
    .under("Copying")
    .default("report"),
    Parameter::new(
        "trust",
        "Trust",
        "Whether sources are verified by the rules under `trust` in the data files: off, warn (a warning) or \
         require (what does not pass is not copied, and nothing is published)",
    )
    .flag("trust", Data, Text("MODE"))
    .under("Copying")
    .default("off"),
    Parameter::new(
        "kube_version",
        "KubeVersion",
        "The cluster's Kubernetes version, for which charts are rendered",
    )
    .flag("kube-version", Data, Text("V"))
    .under("Copying")
    .default("v<eks-version>.0-eks-0"),
    Parameter::new(
        "locked",
        "Locked",
        "Copy only what the lock has, by digest; exit code 2 where data files or parameters are not those that \
         were locked",
    )
    .flag("locked", Data, Switch)
    .under("Copying"),
    Parameter::new("lock", "Lock", "The lock to use: implies Locked")
        .flag("lock", Data, Text("FILE"))
        .under("Copying")
        .default("<eks-version>.lock.json beside the data file"),
    Parameter::new(
        "switches",
        "Switches",
        "Render the charts with their own switches on, too: what `Closure` does then covers parts that are off",
    )
    .flag("switches", Data, Switch)
    .under("Copying"),
    Parameter::new(
        "pin_digests",
        "PinDigests",
        "Publish the digests of images, where a render proves that the chart takes them",
    )
    .flag("pin-digests", Data, Switch)
    .under("Copying"),
    Parameter::new(
        "platforms",
        "Platforms",
        "Platforms to copy, such as linux/amd64,linux/arm64",
    )
    .flag("platforms", Network, Text("LIST"))
    .under("Copying")
    .default("all, with the index unchanged")
    .for_workers(),
    Parameter::new(
        "referrers",
        "Referrers",
        "Which signatures, attestations and SBOMs to copy: image (attached to the image and, if it has \
         some, to its platforms), all (also to each platform; one more request per platform) or none",
    )
    .flag("referrers", Network, Text("WORD"))
    .under("Copying")
    .default("image")
    .for_workers(),
    Parameter::new(
        "jobs",
        "Jobs",
        "Maximum number of large layers in parallel, 1 to 256; lowered automatically when a host throttles",
    )
    .flag("jobs", Network, Number("N"))
    .under("Copying")
    .default("16")
    .for_workers(),
    Parameter::new(
        "hash",
        "Hash",
        "Where the digests of layers are checked: auto (here, while they are copied; by ECR on machines \
         without SHA-256 instructions), always (here) or target (by the target registry)",
    )
    .flag("hash", Network, Text("WORD"))
    .under("Copying")
    .default("auto")
    .for_workers(),
    Parameter::new(
        "quotas",
        "Quotas",
        "ECR's quotas in requests per second, such as PutImage=50,InitiateLayerUpload=200, if the account's \
         quotas differ from the defaults",
    )
    .flag("quotas", Network, Text("LIST"))
    .under("Copying")
    .default("ECR's defaults")
    .for_workers(),
    Parameter::new("tries", "Tries", "Attempts per request, 1 to 100")
        .flag("tries", Network, Number("N"))
        .default("4")
        .for_workers(),
    Parameter::new(
        "patience",
        "Patience",
        "How long a throttled host is retried, in seconds",
    )
    .flag("patience", Network, Text("SECONDS"))
    .default("600")
    .for_workers(),
    Parameter::new(
        "connect_timeout",
        "ConnectTimeout",
        "Longest wait for a connection, in seconds",
    )
    .flag("connect-timeout", Network, Text("SECONDS"))
    .default("10")
    .for_workers(),
    Parameter::new(
        "answer_timeout",
        "AnswerTimeout",
        "Longest wait for a response, and between two pieces of it, in seconds",
    )
    .flag("answer-timeout", Network, Text("SECONDS"))
    .default("60")
    .for_workers(),
    Parameter::new(
        "slowest_transfer",
        "SlowestTransfer",
        "Minimum throughput in bytes per second: a slower transfer is cut and retried",
    )
    .flag("slowest-transfer", Network, Text("N"))
    .default("1024")
    .for_workers(),
    Parameter::new(
        "endpoints",
        "Endpoints",
        "Send requests for HOST, a registry or a chart repository, to URL instead (a mirror or a \
         pull-through cache). The flag can be repeated; the parameter is a list or a map",
    )
    .flag("endpoint", Network, Repeated("HOST=URL"))
    .for_workers(),
    Parameter::new(
        "plain_http",
        "PlainHttp",
        "Use plain HTTP for HOST; loopback hosts need no mention. The flag can be repeated; the parameter is a list",
    )
    .flag("plain-http", Network, Repeated("HOST"))
    .for_workers(),
    Parameter::new(
        "ca_file",
        "CaFile",
        "A file in PEM with certificates to trust besides the machine's: for registries, chart repositories and AWS",
    )
    .flag("ca-file", Network, Text("FILE")),
    Parameter::new(
        "custom_tags",
        "CustomTags",
        "Additional tags for repositories and bucket, as a JSON map",
    )
    .flag("custom-tags", Repositories, Text("JSON"))
    .for_workers(),
    Parameter::new(
        "image_tag_mutability",
        "ImageTagMutability",
        "MUTABLE or IMMUTABLE",
    )
    .flag("image-tag-mutability", Repositories, Text("WORD"))
    .default("ECR's")
    .in_stack()
    .for_workers(),
    Parameter::new(
        "kms_key_arn",
        "KmsKeyArn",
        "The KMS key that encrypts new repositories",
    )
    .flag("kms-key-arn", Repositories, Text("ARN"))
    .default("ECR's")
    .in_stack()
    .for_workers(),
    Parameter::new(
        "scan_on_push",
        "ScanOnPush",
        "true or false: scan each pushed image",
    )
    .flag("scan-on-push", Repositories, Text("BOOL"))
    .default("ECR's")
    .for_workers(),
    Parameter::new(
        "lifecycle_policy",
        "LifecyclePolicy",
        "The lifecycle policy of repositories",
    )
    .flag("lifecycle-policy", Repositories, Text("JSON"))
    .for_workers(),
    Parameter::new(
        "repository_policy",
        "RepositoryPolicy",
        "The policy of repositories",
    )
    .flag("repository-policy", Repositories, Text("JSON"))
    .for_workers(),
    Parameter::new(
        "blob_mounting",
        "BlobMounting",
        "leave, require or enable: the account's setting that lets repositories share layers",
    )
    .flag("blob-mounting", Repositories, Text("WORD"))
    .default("leave")
    .in_stack(),
    Parameter::new(
        "adopt_repositories",
        "AdoptRepositories",
        "Write to repositories that belong to another project or program, and do not warn about others \
         that this program did not create",
    )
    .flag("adopt-repositories", Repositories, Switch)
    .for_workers(),
    Parameter::new(
        "bucket_versioning",
        "BucketVersioning",
        "true or false: keep old versions of objects in the module's bucket",
    )
    .flag("bucket-versioning", Repositories, Text("BOOL"))
    .default("unchanged"),
    Parameter::new(
        "helm_repo_secret_name",
        "HelmRepoSecretName",
        "The secret with credentials for sources",
    )
    .flag("secret-name", Repositories, Text("NAME"))
    .under("Secrets")
    .in_stack()
    .for_workers(),
    Parameter::new(
        "helm_repo_secret_key",
        "HelmRepoSecretKey",
        "The entry of the secret to use",
    )
    .flag("secret-key", Repositories, Text("KEY"))
    .under("Secrets")
    .for_workers(),
    Parameter::new(
        "attestation_kms_key_arn",
        "AttestationKmsKeyArn",
        "The KMS key (ECC_NIST_P256 or RSA) that signs an attestation of each copy, which cosign verifies",
    )
    .flag("attestation-kms-key-arn", Repositories, Text("ARN"))
    .under("Copying")
    .default("no attestations")
    .in_stack(),
    Parameter::new(
        "trust_kms_key_arns",
        "TrustKmsKeyArns",
        "The KMS keys that rules under `trust` name (awskms:///ARN), so that the module's role may read their public \
         halves: a list",
    )
    .flag("trust-kms-key-arns", Repositories, Text("ARNS"))
    .under("Copying")
    .in_stack(),
    Parameter::new(
        "retention_type",
        "RetentionType",
        "RETAIN or DESTROY: what happens to repositories when the module is destroyed",
    )
    .flag("retention-type", Destroy, Text("TYPE"))
    .default("RETAIN")
    .in_stack(),
    Parameter::new(
        "replicator_distro_url",
        "ReplicatorDistroUrl",
        "Where the build gets the program, https:// or s3://",
    )
    .default("bin/ of the module, or the release")
    .in_stack(),
    Parameter::new(
        "replicator_distro_secret_name",
        "ReplicatorDistroSecretName",
        "The secret with basic auth for ReplicatorDistroUrl",
    )
    .in_stack(),
    Parameter::new(
        "replicator_distro_sha256",
        "ReplicatorDistroSha256",
        "The SHA-256 of the program at ReplicatorDistroUrl",
    ),
    Parameter::new(
        "replicator_distro_secret_key",
        "ReplicatorDistroSecretKey",
        "The entry of that secret to use",
    ),
    Parameter::new(
        "rustup_mirror",
        "RustupMirror",
        "A mirror of static.rust-lang.org, for a build from source",
    )
    .default("https://static.rust-lang.org"),
    Parameter::new(
        "cargo_registry",
        "CargoRegistry",
        "A mirror of the registry of crates, sparse+https://…/, for a build from source",
    )
    .default("crates.io"),
];

/// The parameter of a name.
pub(in crate::settings) fn find(name: &str) -> Option<&'static Parameter> {
    ALL.iter().find(|parameter| parameter.name == name)
}
