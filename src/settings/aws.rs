//! Account, region and endpoints of AWS.

use super::{Environment, Flags};

/// The environment's AWS settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aws {
    /// `AWS_ACCOUNT_ID`
    pub account: Option<String>,
    /// `AWS_REGION`, or else `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// `--profile`, or else `AWS_PROFILE`.
    pub profile: Option<AwsProfile>,
    /// The endpoint of all services, where the environment sets one.
    pub endpoint: Option<String>,
    /// `AWS_PARTITION`
    pub partition: Option<String>,
    /// Whether the environment sets another S3 endpoint (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`), which does not
    /// serve buckets under their host names.
    pub custom_s3_endpoint: bool,
}

/// A profile of the AWS CLI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsProfile {
    /// Its name.
    pub name: String,
    /// Whether `--profile` names it: it then wins over the variables that hold credentials.
    pub is_flag: bool,
}

impl Aws {
    pub(super) fn new(flags: &Flags, environment: &Environment) -> Self {
        let given = &environment.aws;
        let region = flags.region.as_deref().or(given.region());
        Self {
            account: given.account_id.clone(),
            region: region.map(str::to_owned),
            profile: given.profile(),
            endpoint: given.endpoint_url.clone(),
            partition: given.partition.clone(),
            custom_s3_endpoint: given.has_custom_s3_endpoint(),
        }
    }
}
