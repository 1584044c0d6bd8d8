//! What all handlers of a registry share.

use super::Builder;
use super::auth::Gate;
use super::ecr::{EcrBehaviour, Limits};
use super::store::Store;
use crate::server;
use crate::server::body::Body;
use hyper::Response;
use std::io;
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch"
)]
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) gate: Gate,
    pub(super) limits: Limits,
    ecr: Mutex<EcrBehaviour>,
    host: String,
    pub(super) referrers: bool,
    pub(super) referrers_per_page: usize,
    pub(super) ranges: bool,
    pub(super) trusting: bool,
    pub(super) discard_over: Option<u64>,
    absolute_locations: bool,
}

impl Core {
    pub(super) fn new(builder: Builder, host: String) -> io::Result<Self> {
        Ok(Self {
            store: Store::new()?,
            gate: Gate::new(builder.auth),
            limits: Limits::default(),
            ecr: Mutex::new(builder.ecr),
            host,
            referrers: builder.referrers,
            referrers_per_page: builder.referrers_per_page.max(1),
            ranges: builder.ranges,
            trusting: builder.trusting,
            discard_over: builder.discard_over,
            absolute_locations: builder.absolute_locations,
        })
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The ECR habits of this moment.
    pub(crate) fn ecr(&self) -> EcrBehaviour {
        *self.ecr.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change_ecr(&self, change: impl FnOnce(&mut EcrBehaviour)) {
        change(&mut self.ecr.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The answer with a `Location`, relative or absolute as configured.
    pub(super) fn located(&self, response: Response<Body>, path: &str) -> Response<Body> {
        if self.absolute_locations {
            server::located(response, &format!("http://{}{path}", self.host))
        } else {
            server::located(response, path)
        }
    }
}
