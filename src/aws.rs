//! All access to AWS. No other room sees the SDK's types.

mod call;
mod codebuild;
mod ec2;
mod ecr;
mod error;
mod iam;
mod kms;
mod s3;
mod secrets;
mod service_quotas;
mod signed;
mod xml;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_ecr::config::SharedHttpClient;
use aws_sdk_ecr::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use oci_copy::http::{Certificates, Http, Network};
use tokio::sync::OnceCell;

use crate::reference::EcrHost;
use crate::settings;
use oci_copy::http::Share;

use call::Calls;

pub use codebuild::{Build, CodeBuild, Machine, Phase};
pub use ec2::VpcEndpoint;
pub use ecr::{
    DescribedImage, Ecr, EcrProviders, Emptied, RefusedDeletion, Repository, Tags, Token,
};
pub use error::Error;
pub use iam::Simulated;
pub use kms::{Key, PublicKey};
pub use s3::{
    Bucket, BucketSettings, MOST_PARTS, ObjectReader, ObjectUpload, Only, TextObject, UploadedPart,
};

/// Access to AWS. No request is sent before the first call.
pub struct Aws {
    settings: settings::Aws,
    /// The tags that mark what this program creates.
    tags: Vec<(String, String)>,
    repositories: settings::Repositories,
    quotas: settings::Quotas,
    /// The part of ECR's quotas that this build uses: all, unless there are workers.
    share: Share,
    /// Trusts the certificates that the settings name; none where there are none.
    client: Option<SharedHttpClient>,
    calls: Arc<Calls>,
    config: OnceCell<SdkConfig>,
    identity: OnceCell<Identity>,
    registries: Mutex<HashMap<String, Arc<Ecr>>>,
    network: Network,
    /// For signed calls.
    http: OnceLock<Http>,
    credentials: tokio::sync::Mutex<Option<Credentials>>,
}

/// The identity of the credentials, from STS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account: String,
    /// Such as `aws-cn`.
    pub partition: String,
    /// The ARN of the user, or of the role's session.
    pub arn: String,
}

impl Identity {
    /// The role of a session, by its name.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        let (_, session) = self.arn.split_once(":assumed-role/")?;
        session.split('/').next()
    }
}

impl Aws {
    /// The module's names become the tags of its repositories and bucket.
    ///
    /// # Errors
    /// When the certificates that the settings name cannot be used.
    pub fn new(settings: &settings::Settings) -> Result<Arc<Self>, Error> {
        let module = &settings.module;
        let managed_by = module
            .project
            .as_ref()
            .map(|_| settings::MANAGED_BY.to_owned());
        let values = [
            &module.project,
            &module.deployment,
            &module.name,
            &managed_by,
        ];
        let tags = settings::OWNERSHIP_TAGS.into_iter().zip(values);
        let tags = tags
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)))
            .collect();
        let client = http_client(&settings.network.certificates)?;
        Ok(Arc::new(Self {
            settings: settings.aws.clone(),
            tags,
            repositories: settings.repositories.clone(),
            quotas: settings.quotas.clone(),
            share: Share::default(),
            client,
            calls: Arc::new(Calls::new(&settings.network)),
            config: OnceCell::new(),
            identity: OnceCell::new(),
            registries: Mutex::default(),
            network: settings.network.clone(),
            http: OnceLock::new(),
            credentials: tokio::sync::Mutex::default(),
        }))
    }

    /// The tags for everything that is created, including the user's.
    pub fn all_tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self
            .tags
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        own.chain(
            self.repositories
                .tags
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        )
    }

    /// The project, if there is one.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        let [key, ..] = settings::OWNERSHIP_TAGS;
        let tag = self.tags.iter().find(|(name, _)| name == key);
        tag.map(|(_, value)| value.as_str())
    }

    /// The settings of repositories.
    #[must_use]
    pub fn repositories(&self) -> &settings::Repositories {
        &self.repositories
    }

    /// The part of ECR's quotas that this build uses. All its clones change together.
    #[must_use]
    pub fn share(&self) -> &Share {
        &self.share
    }

    /// The quotas of ECR, and how much of them this build may use.
    fn quotas(&self) -> (&settings::Quotas, &Share) {
        (&self.quotas, &self.share)
    }

    async fn config(&self, region: &str) -> SdkConfig {
        self.calls.reach(region, &self.settings).await;
        let profile = self.settings.profile.as_ref();
        let profile = profile.map_or("none", |profile| profile.name.as_str());
        tracing::debug!("AWS: region {region}, profile {profile}");
        let load = || async {
            let loader = aws_config::defaults(BehaviorVersion::latest());
            let loader = match &self.client {
                Some(client) => loader.http_client(client.clone()),
                None => loader,
            };
            let loader = self.with_profile(loader, region);
            let found = loader.load().await;
            // The SDK's own retry mode knows neither `Patience` nor `Retry-After`.
            let found = found.to_builder().retry_config(RetryConfig::disabled());
            found.timeout_config(self.calls.timeouts(0)).build()
        };
        let config = self.config.get_or_init(load).await;
        config
            .to_builder()
            .region(Region::new(region.to_owned()))
            .build()
    }

    /// A profile that a flag names wins over the variables that hold credentials.
    fn with_profile(&self, loader: ConfigLoader, region: &str) -> ConfigLoader {
        let Some(profile) = &self.settings.profile else {
            return loader;
        };
        let loader = loader.profile_name(&profile.name);
        if !profile.is_flag {
            return loader;
        }
        let region = Some(Region::new(region.to_owned()));
        let configuration = ProviderConfig::without_region().with_region(region);
        let configuration = match &self.client {
            Some(client) => configuration.with_http_client(client.clone()),
            None => configuration,
        };
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(&configuration)
            .profile_name(&profile.name);
        loader.credentials_provider(provider.build())
    }

    /// The private registry of a host.
    #[must_use]
    pub fn ecr(self: &Arc<Self>, host: &EcrHost) -> Arc<Ecr> {
        let mut registries = self
            .registries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let open = || Arc::new(Ecr::new(Arc::clone(self), host.clone()));
        Arc::clone(registries.entry(host.to_string()).or_insert_with(open))
    }

    /// The account: from the environment, or else from STS.
    ///
    /// # Errors
    /// When STS is needed and the call fails.
    pub async fn account(&self, region: &str) -> Result<String, Error> {
        match &self.settings.account {
            Some(account) => Ok(account.clone()),
            None => Ok(self.identity(region).await?.account.clone()),
        }
    }

    /// The partition, such as `aws-cn`: from the environment, or else from STS.
    ///
    /// # Errors
    /// When STS is needed and the call fails.
    pub async fn partition(&self, region: &str) -> Result<String, Error> {
        match &self.settings.partition {
            Some(partition) => Ok(partition.clone()),
            None => Ok(self.identity(region).await?.partition.clone()),
        }
    }

    /// The identity of the credentials.
    ///
    /// # Errors
    /// When there are no credentials, or STS refuses them.
    pub async fn identity(&self, region: &str) -> Result<&Identity, Error> {
        let ask = || async {
            let client = aws_sdk_sts::Client::new(&self.config(region).await);
            let request = client.get_caller_identity();
            let send = || request.clone().send();
            let answer = self.calls.send("sts:GetCallerIdentity", "", send).await?;
            let arn = answer.arn().unwrap_or_default();
            let partition = arn
                .split(':')
                .nth(1)
                .filter(|partition| !partition.is_empty())
                .unwrap_or("aws");
            let account = answer.account().unwrap_or_default();
            Ok(Identity {
                account: account.to_owned(),
                partition: partition.to_owned(),
                arn: arn.to_owned(),
            })
        };
        self.identity.get_or_try_init(ask).await
    }

    /// The host of an account's private registry in a region of any partition.
    ///
    /// # Errors
    /// When the SDK knows no partition for the region.
    pub async fn ecr_host(&self, region: &str) -> Result<EcrHost, Error> {
        let account = self.account(region).await?;
        let suffix = dns_suffix(region).await?;
        Ok(EcrHost::new(account, region.to_owned(), suffix))
    }

    /// The builds of a region.
    pub async fn codebuild(&self, region: &str) -> CodeBuild {
        CodeBuild::new(&self.config(region).await, Arc::clone(&self.calls))
    }

    /// The settings of the module's bucket.
    #[must_use]
    pub fn bucket_settings<'a>(&'a self, partition: &'a str) -> BucketSettings<'a> {
        BucketSettings {
            partition,
            tags: self.all_tags().collect(),
            versioning: self.repositories.bucket_versioning,
        }
    }

    /// The bucket of a name in a region.
    pub async fn bucket(&self, name: &str, region: &str, account: &str) -> Bucket {
        let config = self.config(region).await;
        let config = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(self.settings.custom_s3_endpoint)
            .build();
        let client = aws_sdk_s3::Client::from_conf(config);
        Bucket::new(client, Arc::clone(&self.calls), name, region, account)
    }
}

/// The SDK's own HTTP client, which also trusts some certificates; none where there are none.
fn http_client(certificates: &Certificates) -> Result<Option<SharedHttpClient>, Error> {
    if certificates.pem().is_empty() {
        return Ok(None);
    }
    let store = TrustStore::default().with_pem_certificate(certificates.pem());
    let context = TlsContext::builder().with_trust_store(store).build();
    let context = context.map_err(|error| {
        let why = format!(
            "its certificates cannot be used for AWS: {}",
            error::chain(&error)
        );
        Error::incomplete("CaFile", "", why)
    })?;
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
        let mut connector = Connector::builder()
            .tls_provider(provider)
            .tls_context(context.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(
            components.and_then(aws_sdk_sts::config::RuntimeComponents::sleep_impl),
        );
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    });
    Ok(Some(client))
}

/// The partition of a region, by the beginning of its name (the SDKs' `partitions.json`, `regionRegex`).
#[must_use]
pub fn partition_of(region: &str) -> &'static str {
    const PARTITIONS: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("eusc-", "aws-eusc"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
    ];
    let mut partitions = PARTITIONS.iter();
    let known = partitions.find(|(start, _)| region.starts_with(start));
    known.map_or("aws", |(_, partition)| partition)
}

/// The DNS suffix of a region's partition, from the SDK's partition data: what follows the
/// region in the host of its ECR API.
async fn dns_suffix(region: &str) -> Result<String, Error> {
    let unknown = |why: String| Error::region(region, why);
    let params = Params::builder()
        .region(region)
        .build()
        .map_err(|error| unknown(error.to_string()))?;
    let endpoint = DefaultResolver::new().resolve_endpoint(&params).await;
    let endpoint = endpoint.map_err(|error| unknown(error.to_string()))?;
    let suffix = endpoint
        .url()
        .split_once(&format!(".{region}."))
        .map(|(_, suffix)| suffix);
    let suffix = suffix
        .map(|suffix| suffix.trim_end_matches('/'))
        .filter(|suffix| !suffix.is_empty());
    suffix
        .map(str::to_owned)
        .ok_or_else(|| unknown(format!("its ECR endpoint is {}", endpoint.url())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_partition_has_its_own_suffix() {
        for (region, suffix) in [
            ("us-east-1", "amazonaws.com"),
            ("eu-central-1", "amazonaws.com"),
            ("cn-northwest-1", "amazonaws.com.cn"),
            ("us-gov-west-1", "amazonaws.com"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
        ] {
            assert_eq!(dns_suffix(region).await.unwrap(), suffix, "{region}");
        }
        assert!(dns_suffix("not a region").await.is_err());
    }
}
