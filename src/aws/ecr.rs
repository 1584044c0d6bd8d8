//! Private ECR registries: tokens.

mod images;
mod mutability;
mod provider;

pub use provider::EcrProviders;
mod reconcile;
mod repositories;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_ecr::Client;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::{Mutex, OnceCell};

use crate::reference::EcrHost;
use oci_copy::http::Secret;

use super::{Aws, Error};

pub use images::{DescribedImage, RefusedDeletion};
pub use repositories::{Emptied, Repository, Tags};

/// ECR's error if a repository was deleted meanwhile, or another build has not created it yet.
const NO_REPOSITORY: &str = "RepositoryNotFoundException";

/// How long before its end a token is renewed; it lives twelve hours, and the longest layer takes
/// less than one.
const RENEW_BEFORE: Duration = Duration::from_hours(1);

/// The lifetime of a token that is expired when it is new, as an emulator of ECR has it.
const SHORTEST_LIFE: Duration = Duration::from_mins(5);

/// The private registry of one account and region.
pub struct Ecr {
    aws: Arc<Aws>,
    host: EcrHost,
    client: OnceCell<Client>,
    token: Mutex<Option<Token>>,
    existing: OnceCell<HashMap<String, Repository>>,
    ensured: std::sync::Mutex<HashMap<String, Arc<OnceCell<()>>>>,
    /// What this run created.
    created: std::sync::Mutex<HashSet<String>>,
    /// What other builds of this run may have created.
    created_elsewhere: std::sync::Mutex<HashSet<String>>,
    /// Those of them that are known to exist.
    seen: std::sync::Mutex<HashMap<String, Arc<OnceCell<()>>>>,
    /// Whether repositories can mount each other's blobs.
    mounts: OnceCell<bool>,
}

/// The login of a private registry.
#[derive(Debug, Clone)]
pub struct Token {
    /// The value for `Authorization: Basic …`.
    pub basic: Secret,
    /// The registry's URL, without a trailing slash.
    pub endpoint: String,
    renew_at: SystemTime,
}

impl Ecr {
    pub(super) fn new(aws: Arc<Aws>, host: EcrHost) -> Self {
        Self {
            aws,
            host,
            client: OnceCell::new(),
            token: Mutex::default(),
            existing: OnceCell::new(),
            ensured: std::sync::Mutex::default(),
            created: std::sync::Mutex::default(),
            created_elsewhere: std::sync::Mutex::default(),
            seen: std::sync::Mutex::default(),
            mounts: OnceCell::new(),
        }
    }

    async fn client(&self) -> &Client {
        let open = || async { Client::new(&self.aws.config(&self.host.region).await) };
        self.client.get_or_init(open).await
    }

    /// A token that stays valid for a while; concurrent calls share one request.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn token(&self) -> Result<Token, Error> {
        let mut slot = self.token.lock().await;
        if let Some(token) = slot
            .as_ref()
            .filter(|token| token.renew_at > SystemTime::now())
        {
            return Ok(token.clone());
        }
        let token = self.request_token().await?;
        *slot = Some(token.clone());
        Ok(token)
    }

    /// A different token than the refused one; `None` if that one was new.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn renew(&self, refused: &[u8]) -> Result<Option<Token>, Error> {
        let is_refused = |token: &Token| {
            refused.strip_prefix(b"Basic ") == Some(token.basic.expose().as_bytes())
        };
        let mut slot = self.token.lock().await;
        if let Some(token) = slot.as_ref().filter(|token| !is_refused(token)) {
            return Ok(Some(token.clone()));
        }
        let token = self.request_token().await?;
        *slot = Some(token.clone());
        Ok(Some(token).filter(|token| !is_refused(token)))
    }

    async fn request_token(&self) -> Result<Token, Error> {
        const ACTION: &str = "ecr:GetAuthorizationToken";
        let request = self.client().await.get_authorization_token();
        let send = || request.clone().send();
        let answer = self.aws.calls.send(ACTION, "", send).await?;
        let data = answer.authorization_data().first();
        let token = data.and_then(|data| data.authorization_token());
        let token =
            token.ok_or_else(|| Error::incomplete(ACTION, "", "the answer holds no token"))?;
        let is_basic = STANDARD
            .decode(token)
            .is_ok_and(|text| text.starts_with(b"AWS:"));
        if !is_basic {
            return Err(Error::incomplete(
                ACTION,
                "",
                "the token is not what ECR gives",
            ));
        }
        let endpoint = data
            .and_then(|data| data.proxy_endpoint())
            .map(|url| url.trim_end_matches('/').to_owned());
        let own = format!("https://{}", self.host);
        // The token is valid for other accounts' registries too, but the endpoint is that of this account.
        let endpoint = match endpoint {
            Some(endpoint) if !endpoint.contains(".dkr.ecr") || endpoint == own => endpoint,
            _ => own,
        };
        let now = SystemTime::now();
        let expires = data
            .and_then(|data| data.expires_at())
            .and_then(|time| SystemTime::try_from(*time).ok());
        let life = expires
            .and_then(|expires| expires.duration_since(now).ok())
            .unwrap_or_default();
        let renew_at = now + life.saturating_sub(RENEW_BEFORE).max(SHORTEST_LIFE);
        Ok(Token {
            basic: Secret::new(token.to_owned()),
            endpoint,
            renew_at,
        })
    }
}
