//! Private ECR registries: tokens and repositories.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::Tag;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::{Mutex, OnceCell};

use crate::http::Secret;
use crate::reference::EcrHost;

use super::{Aws, Error};

/// How long before its end a token is renewed; it lives twelve hours, and the longest layer takes
/// less than one.
const RENEW_BEFORE: Duration = Duration::from_hours(1);

/// The life of a token that ECR (an emulator of it) calls expired when it is new.
const SHORTEST_LIFE: Duration = Duration::from_mins(5);

/// How long a new repository may take to be seen: `CreateRepository` returns before every reader
/// knows it.
const VISIBLE_WITHIN: Duration = Duration::from_mins(1);

/// The private registry of one account and region.
pub struct Ecr {
    aws: Arc<Aws>,
    host: EcrHost,
    client: OnceCell<Client>,
    token: Mutex<Option<Token>>,
    existing: OnceCell<HashSet<String>>,
    ensured: std::sync::Mutex<HashMap<String, Arc<OnceCell<()>>>>,
}

/// What opens a private registry.
#[derive(Debug, Clone)]
pub struct Token {
    /// To send as `Authorization: Basic …`, as it is.
    pub basic: Secret,
    /// Where the registry is reached, without a slash at the end.
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
        }
    }

    async fn client(&self) -> &Client {
        let open = || async { Client::new(&self.aws.config(&self.host.region).await) };
        self.client.get_or_init(open).await
    }

    /// A token that is valid for a while yet; all that need one wait for one request.
    ///
    /// # Errors
    /// When ECR does not give one.
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

    /// Another token than the one that was refused; `None` when that was a new one.
    ///
    /// # Errors
    /// When ECR does not give one.
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
        let answer = self.client().await.get_authorization_token().send().await;
        let answer = answer.map_err(|error| Error::new(ACTION, "", &error))?;
        let data = answer.authorization_data().first();
        let token = data.and_then(|data| data.authorization_token());
        let token = token.ok_or_else(|| Error::answer(ACTION, "", "the answer holds no token"))?;
        let is_basic = STANDARD
            .decode(token)
            .is_ok_and(|text| text.starts_with(b"AWS:"));
        if !is_basic {
            return Err(Error::answer(ACTION, "", "the token is not what ECR gives"));
        }
        let endpoint = data
            .and_then(|data| data.proxy_endpoint())
            .map(|url| url.trim_end_matches('/').to_owned());
        let own = format!("https://{}", self.host);
        // The token opens other accounts' registries too, but the endpoint is always our own one's.
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

    /// The names of all repositories.
    ///
    /// # Errors
    /// When ECR does not list them.
    pub async fn repositories(&self) -> Result<&HashSet<String>, Error> {
        let list = || async {
            let pages = self
                .client()
                .await
                .describe_repositories()
                .registry_id(&self.host.account);
            let mut pages = pages.max_results(1000).into_paginator().send();
            let mut names = HashSet::new();
            while let Some(page) = pages.next().await {
                let page =
                    page.map_err(|error| Error::new("ecr:DescribeRepositories", "", &error))?;
                names.extend(
                    page.repositories()
                        .iter()
                        .filter_map(|repository| repository.repository_name().map(str::to_owned)),
                );
            }
            Ok(names)
        };
        self.existing.get_or_try_init(list).await
    }

    /// Makes sure that a repository exists and can be seen. Somebody else's creating it at the same
    /// time is success.
    ///
    /// # Errors
    /// When it cannot be created, or is not seen for a minute.
    pub async fn ensure(&self, name: &str) -> Result<(), Error> {
        let cell = {
            let mut ensured = self.ensured.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(ensured.entry(name.to_owned()).or_default())
        };
        cell.get_or_try_init(|| self.create(name)).await.map(drop)
    }

    async fn create(&self, name: &str) -> Result<(), Error> {
        if self.repositories().await?.contains(name) {
            return Ok(());
        }
        let tags = self.aws.tags().iter().map(|(key, value)| {
            Tag::builder()
                .key(key)
                .value(value)
                .build()
                .expect("key and value are set")
        });
        let request = self
            .client()
            .await
            .create_repository()
            .registry_id(&self.host.account);
        let request = request.repository_name(name).set_tags(Some(tags.collect()));
        match request.send().await {
            Ok(_) => tracing::debug!(repository = name, "created the repository {name}"),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_ecr::operation::create_repository::CreateRepositoryError::is_repository_already_exists_exception) => {}
            Err(error) => return Err(Error::new("ecr:CreateRepository", name, &error)),
        }
        self.wait_until_visible(name).await
    }

    async fn wait_until_visible(&self, name: &str) -> Result<(), Error> {
        const ACTION: &str = "ecr:DescribeRepositories";
        let started = tokio::time::Instant::now();
        let mut wait = Duration::from_millis(100);
        loop {
            let request = self
                .client()
                .await
                .describe_repositories()
                .registry_id(&self.host.account);
            match request.repository_names(name).send().await {
                Ok(_) => return Ok(()),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(aws_sdk_ecr::operation::describe_repositories::DescribeRepositoriesError::is_repository_not_found_exception) => {}
                Err(error) => return Err(Error::new(ACTION, name, &error)),
            }
            if started.elapsed() > VISIBLE_WITHIN {
                let seconds = VISIBLE_WITHIN.as_secs();
                return Err(Error::answer(
                    ACTION,
                    name,
                    format!("the new repository is not there after {seconds} s"),
                ));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    }
}
