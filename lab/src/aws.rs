//! ECR's API, S3, STS, Secrets Manager, CodeBuild and as much as is needed of KMS, IAM, EC2 and Service Quotas behind one address, and the registry that belongs to them.
//!
//! Give a child process [`Aws::env`] and its AWS SDK talks to this server. The services are distinguished
//! apart by the `X-Amz-Target` header, by a form body, and S3 by neither.

mod account;
mod codebuild;
mod contents;
mod ecr;
mod error;
mod kms;
mod query;
mod quotas;
mod s3;
mod secrets;
mod service;

pub use codebuild::{Build, Builds, Phase, Status};
pub use kms::KeySpec;
pub use s3::{Bucket, Object, Part, Upload};

use crate::faults::Faults;
use crate::registry::{self, EcrBehaviour, Registry};
use crate::server::{Door, Server};
use crate::wire::Wire;
use account::Account;
use error::Failure;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A running stand-in for AWS. It stops when dropped.
#[derive(Debug)]
pub struct Aws {
    server: Server,
    registry: Registry,
    account: Arc<Account>,
}

/// One API call, in the order of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `ecr`, `s3`, `sts`, `secretsmanager`, `codebuild`, `kms`, `iam`, `ec2` or `servicequotas`.
    pub service: &'static str,
    /// `CreateRepository`, `PutObject`, ...
    pub action: String,
    /// The repository (several with commas), `bucket/key`, the secret, the project of a build that is
    /// started, or the id of a build (several with commas).
    pub resource: String,
    /// Status of the answer.
    pub status: u16,
}

/// The stand-in's configuration; see [`Aws::builder`].
#[derive(Debug, Clone)]
pub struct Builder {
    account: String,
    region: String,
    arn: Option<String>,
    registry: registry::Builder,
    proxy_endpoint: Option<String>,
    token_lifetime: Duration,
    creation_delay: Duration,
}

impl Builder {
    /// The account's number.
    #[must_use]
    pub fn account(mut self, number: &str) -> Self {
        number.clone_into(&mut self.account);
        self
    }

    /// The region.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    /// Who the caller is.
    #[must_use]
    pub fn arn(mut self, arn: &str) -> Self {
        self.arn = Some(arn.to_owned());
        self
    }

    /// The habits of the registry: [`EcrBehaviour::default`] unless told otherwise.
    #[must_use]
    pub fn ecr(mut self, behaviour: EcrBehaviour) -> Self {
        self.registry = self.registry.ecr(behaviour);
        self
    }

    /// The registry as a whole, for switches that ECR does not have.
    #[must_use]
    pub fn registry(mut self, registry: registry::Builder) -> Self {
        self.registry = registry;
        self
    }

    /// What `GetAuthorizationToken` gives as `proxyEndpoint`: the own registry unless told otherwise.
    #[must_use]
    pub fn proxy_endpoint(mut self, url: &str) -> Self {
        self.proxy_endpoint = Some(url.to_owned());
        self
    }

    /// How long a registry password lasts; 12 hours unless told otherwise.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// How long a new repository stays invisible to `DescribeRepositories` and to pushes.
    #[must_use]
    pub fn creation_delay(mut self, delay: Duration) -> Self {
        self.creation_delay = delay;
        self
    }

    /// Starts the stand-in and its registry.
    ///
    /// # Errors
    /// When there is no free port or no temporary folder.
    pub async fn start(self) -> io::Result<Aws> {
        let registry = self.registry.clone().start().await?;
        let door = Door::open().await?;
        let account = Arc::new(Account::new(self, registry.core().clone(), door.host()));
        let server = door.serve({
            let account = account.clone();
            move |request| service::respond(account.clone(), request)
        });
        Ok(Aws {
            server,
            registry,
            account,
        })
    }
}

impl Aws {
    /// Account 123456789012 in us-east-1, with an ECR-flavoured registry.
    ///
    /// # Errors
    /// When there is no free port or no temporary folder.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// An account to be configured first.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            account: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
            arn: None,
            registry: Registry::builder().ecr(EcrBehaviour::default()),
            proxy_endpoint: None,
            token_lifetime: Duration::from_hours(12),
            creation_delay: Duration::ZERO,
        }
    }

    /// `127.0.0.1:PORT` of the APIs.
    #[must_use]
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// `http://127.0.0.1:PORT` of the APIs.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The log of the APIs' requests.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.server.wire
    }

    /// The faults of the APIs' server; see [`Aws::fail`] for those of single actions.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// The registry whose repositories the ECR API manages.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The host name under which the registry is known to the API:
    /// `<account>.dkr.ecr.<region>.amazonaws.com`.
    #[must_use]
    pub fn ecr_host(&self) -> String {
        self.account.ecr_host()
    }

    /// The environment for a child process whose AWS SDK is to send its requests here.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let mut variables = access(&self.url(), &self.account.region);
        for (name, value) in [
            ("AWS_ACCOUNT_ID", &*self.account.number),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ] {
            variables.push((name.to_owned(), value.to_owned()));
        }
        variables
    }

    /// All calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.account.state().calls.clone()
    }

    /// How often an action was called.
    #[must_use]
    pub fn count(&self, action: &str) -> usize {
        self.account
            .state()
            .calls
            .iter()
            .filter(|call| call.action == action)
            .count()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.account.state().calls.clear();
    }

    /// Lets an action fail so many times.
    pub fn fail(&self, action: &str, code: &str, status: u16, times: u64) {
        self.account.fail(
            action,
            Failure::new(status, code, "the lab fails this call on purpose"),
            times,
        );
    }

    /// Throttles an action so many times.
    pub fn throttle(&self, action: &str, times: u64) {
        self.account.fail(
            action,
            Failure::new(400, "ThrottlingException", "Rate exceeded"),
            times,
        );
    }

    /// Throttles an action so many times, with a `Retry-After` of so many seconds.
    pub fn throttle_for(&self, action: &str, seconds: u64, times: u64) {
        let failure = Failure::new(400, "ThrottlingException", "Rate exceeded");
        self.account
            .fail(action, failure.retry_after(seconds), times);
    }

    /// Lets an action be silent for so long before it is done.
    pub fn stall(&self, action: &str, pause: Duration) {
        self.account.stall(action, pause);
    }

    /// How long registry passwords last from now on.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.account.state().token_lifetime = lifetime;
    }

    /// What `GetAuthorizationToken` claims as `expiresAt` from now on, whatever the lifetime is.
    pub fn set_expires_at(&self, at: Option<SystemTime>) {
        self.account.state().expires_at = at;
    }

    /// What `GetAuthorizationToken` gives as `proxyEndpoint` from now on.
    pub fn set_proxy_endpoint(&self, url: &str) {
        url.clone_into(&mut self.account.state().proxy_endpoint);
    }
}

/// The variables by which an AWS SDK finds the stand-in and is let in.
fn access(url: &str, region: &str) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", "AKIALAB"),
        ("AWS_SECRET_ACCESS_KEY", "lab-secret"),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
