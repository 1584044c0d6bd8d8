//! What the services of an account share.

use super::codebuild::{Builds, Home};
use super::error::Failure;
use super::kms::Key;
use super::service::Service;
use super::{Bucket, Builder, Call};
use crate::registry::Core;
use crate::server::body::Body;
use crate::server::set;
use hyper::{Request, Response};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

#[derive(Debug)]
pub(super) struct Account {
    pub(super) number: String,
    pub(super) region: String,
    pub(super) arn: String,
    pub(super) creation_delay: Duration,
    pub(super) core: Arc<Core>,
    pub(super) builds: Builds,
    /// `127.0.0.1:PORT` of the APIs.
    host: String,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) calls: Vec<Call>,
    pub(super) buckets: BTreeMap<String, Bucket>,
    pub(super) secrets: HashMap<String, String>,
    pub(super) settings: HashMap<String, String>,
    pub(super) token_lifetime: Duration,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) proxy_endpoint: String,
    pub(super) keys: HashMap<String, Key>,
    /// By `<service>/<code>`.
    pub(super) quotas: HashMap<String, f64>,
    /// VPC, service and type of each endpoint.
    pub(super) vpc_endpoints: Vec<(String, String, String)>,
    /// IAM actions that are not allowed, such as `ecr:PutImage`.
    pub(super) denied: BTreeSet<String>,
    /// How far the clock of this AWS is ahead, in seconds.
    pub(super) clock: i64,
    failures: Vec<(String, Failure, u64)>,
    stalls: HashMap<String, Duration>,
}

/// Where `GetDownloadUrlForLayer` points to.
const DOWNLOADS: &str = "/layer-downloads/";

impl Account {
    pub(super) fn new(builder: Builder, core: Arc<Core>, host: String) -> Self {
        let proxy_endpoint = builder
            .proxy_endpoint
            .unwrap_or_else(|| format!("http://{}", core.host()));
        let arn = builder
            .arn
            .unwrap_or_else(|| format!("arn:aws:iam::{}:user/lab", builder.account));
        let state = State {
            calls: Vec::new(),
            buckets: BTreeMap::new(),
            secrets: HashMap::new(),
            settings: HashMap::new(),
            token_lifetime: builder.token_lifetime,
            expires_at: None,
            proxy_endpoint,
            keys: HashMap::new(),
            quotas: HashMap::new(),
            vpc_endpoints: Vec::new(),
            denied: BTreeSet::new(),
            clock: 0,
            failures: Vec::new(),
            stalls: HashMap::new(),
        };
        let builds = Builds::new(Home {
            account: builder.account.clone(),
            region: builder.region.clone(),
            url: format!("http://{host}"),
            caller: arn.rsplit(':').next().unwrap_or_default().to_owned(),
        });
        Self {
            builds,
            number: builder.account,
            region: builder.region,
            arn,
            creation_delay: builder.creation_delay,
            core,
            host,
            state: Mutex::new(state),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ecr_host(&self) -> String {
        format!("{}.dkr.ecr.{}.amazonaws.com", self.number, self.region)
    }

    pub(super) fn fail(&self, action: &str, failure: Failure, times: u64) {
        self.state()
            .failures
            .push((action.to_owned(), failure, times));
    }

    pub(super) fn stall(&self, action: &str, pause: Duration) {
        self.state().stalls.insert(action.to_owned(), pause);
    }

    /// How long an action is silent before it is done.
    pub(super) fn pause(&self, action: &str) -> Duration {
        let stalls = &self.state().stalls;
        stalls.get(action).copied().unwrap_or_default()
    }

    /// Fails if a failure of this action is left.
    pub(super) fn injected(&self, action: &str) -> Result<(), Failure> {
        let mut state = self.state();
        let mut due = state
            .failures
            .iter_mut()
            .filter(|(of, _, left)| of == action && *left > 0);
        match due.next() {
            Some((_, failure, left)) => {
                *left -= 1;
                Err(failure.clone())
            }
            None => Ok(()),
        }
    }

    /// Fails if the action is not allowed, or a failure of it is left.
    pub(super) fn admitted(&self, service: Service, action: &str) -> Result<(), Failure> {
        let of_iam = format!("{}:{action}", service.name());
        if self.state().denied.contains(&of_iam) {
            let who = &self.arn;
            let why = format!("User: {who} is not authorized to perform: {of_iam}");
            let code = match service {
                Service::S3 | Service::Iam | Service::Sts => "AccessDenied",
                Service::Ec2 => "UnauthorizedOperation",
                _ => "AccessDeniedException",
            };
            return Err(Failure::new(403, code, why));
        }
        self.injected(action)
    }

    /// A response with the date of this account's clock.
    pub(super) fn dated(&self, response: Response<Body>) -> Response<Body> {
        match self.state().clock {
            0 => response,
            ahead => {
                let seconds = Duration::from_secs(ahead.unsigned_abs());
                let now = SystemTime::now();
                let now = if ahead > 0 {
                    now + seconds
                } else {
                    now - seconds
                };
                set(response, "date", &httpdate::fmt_http_date(now))
            }
        }
    }

    /// The presigned address of a layer.
    pub(super) fn download_url(&self, repository: &str, digest: &str) -> String {
        format!(
            "http://{}{DOWNLOADS}{repository}/{digest}?X-Amz-Signature=lab",
            self.host
        )
    }

    /// Serves a presigned address.
    pub(super) fn download_layer(&self, request: &Request<Body>) -> Option<Response<Body>> {
        let (repository, digest) = request
            .uri()
            .path()
            .strip_prefix(DOWNLOADS)?
            .rsplit_once('/')?;
        Some(self.core.download(repository, digest, request))
    }
}
