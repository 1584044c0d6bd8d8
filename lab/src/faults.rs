//! The switchboard of misbehaviour: which requests a server treats badly, and how.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use lab::{faults::{Fault, Rule}, registry::Registry};
//!
//! let registry = Registry::start().await?;
//! let faults = registry.faults();
//! faults.add(Rule::new(Fault::status(429).header("Retry-After", "1")).on("PUT", "/manifests/").times(2));
//! faults.add(Rule::new(Fault::Truncate { after: 1000 }).on("GET", "/blobs/").nth(3));
//! faults.add(Rule::new(Fault::Reset).chance(0.05));
//! # Ok(())
//! # }
//! ```

use crate::content::Prng;
use crate::wire;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One way to go wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Answers at once, without doing what was asked.
    Answer {
        /// Status code.
        status: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// Body.
        body: String,
    },
    /// Answers with an error at once, without doing what was asked, and then gives its body a byte at a
    /// time, for longer than anybody should wait.
    Drip {
        /// Status code.
        status: u16,
        /// How long each byte takes.
        pause: Duration,
    },
    /// Never answers, and does nothing of what was asked.
    Mute,
    /// Resets the connection without an answer and without doing what was asked.
    Reset,
    /// Does what was asked, then resets the connection instead of answering.
    LoseAnswer,
    /// Is silent for so long, then answers as usual.
    Stall(Duration),
    /// Falls silent for so long in the middle of the answer's body.
    StallWithin {
        /// Bytes sent before.
        after: u64,
        /// How long.
        pause: Duration,
    },
    /// Promises the whole body, sends so many bytes and cuts the connection.
    Truncate {
        /// Bytes sent before.
        after: u64,
    },
    /// Flips the bits of one byte of the body: the last one if the body is shorter.
    Corrupt {
        /// Which byte.
        at: u64,
    },
    /// Sends the body at a trickle.
    Slow {
        /// Speed.
        bytes_per_second: u64,
    },
    /// Compresses the answer's body although it was not requested, and says so in `Content-Encoding`.
    Gzip,
    /// Redirects (307); `{path}` in the URL is replaced by the requested path and query.
    Redirect(String),
    /// Reads so many bytes of the request's body, keeps them, and resets the connection. A shorter
    /// body arrives whole, and only the answer is lost.
    DropUpload {
        /// Bytes read before.
        after: u64,
    },
}

impl Fault {
    /// An empty answer with this status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Adds a header to an answer; other faults have none and stay as they are.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Gives an answer a body; other faults have none and stay as they are.
    #[must_use]
    pub fn body(mut self, text: &str) -> Self {
        if let Self::Answer { body, .. } = &mut self {
            text.clone_into(body);
        }
        self
    }

    /// The name under which the fault is logged.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "answer",
            Self::Drip { .. } => "drip",
            Self::Mute => "mute",
            Self::Reset => "reset",
            Self::LoseAnswer => "lose-answer",
            Self::Stall(_) => "stall",
            Self::StallWithin { .. } => "stall-within",
            Self::Truncate { .. } => "truncate",
            Self::Corrupt { .. } => "corrupt",
            Self::Slow { .. } => "slow",
            Self::Gzip => "gzip",
            Self::Redirect(_) => "redirect",
            Self::DropUpload { .. } => "drop-upload",
        }
    }
}

impl Fault {
    fn label(&self) -> String {
        match self {
            Self::Answer { status, .. } => format!("answer {status}"),
            other => other.kind().to_owned(),
        }
    }
}

/// A fault and the requests that it hits: all of them, unless narrowed down.
#[derive(Debug, Clone)]
pub struct Rule {
    fault: Fault,
    method: String,
    path_contains: String,
    occurrence: Occurrence,
    left: Option<u64>,
    seen: u64,
}

#[derive(Debug, Clone, Copy)]
enum Occurrence {
    All,
    Nth(u64),
    Every(u64),
    Chance(f64),
}

impl Rule {
    /// Hits every request.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            method: String::new(),
            path_contains: String::new(),
            occurrence: Occurrence::All,
            left: None,
            seen: 0,
        }
    }

    /// Only requests with this method (empty: any) and this text in their path and query, to which an
    /// `X-Amz-Target` is appended: `/CodeBuild_20161006.StartBuild`.
    #[must_use]
    pub fn on(mut self, method: &str, path_contains: &str) -> Self {
        method.clone_into(&mut self.method);
        path_contains.clone_into(&mut self.path_contains);
        self
    }

    /// Only the `nth` of them, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.occurrence = Occurrence::Nth(nth);
        self
    }

    /// Only each `n`th of them.
    #[must_use]
    pub fn every(mut self, n: u64) -> Self {
        self.occurrence = Occurrence::Every(n.max(1));
        self
    }

    /// Each of them with this probability, drawn from the switchboard's seeded generator.
    #[must_use]
    pub fn chance(mut self, probability: f64) -> Self {
        self.occurrence = Occurrence::Chance(probability);
        self
    }

    /// At most so many times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.left = Some(times);
        self
    }

    fn hits(&mut self, method: &str, target: &str, prng: &mut Prng) -> bool {
        let aimed = (self.method.is_empty() || self.method == method)
            && target.contains(&self.path_contains);
        if !aimed || self.left == Some(0) {
            return false;
        }
        self.seen += 1;
        let hit = match self.occurrence {
            Occurrence::All => true,
            Occurrence::Nth(nth) => self.seen == nth,
            Occurrence::Every(n) => self.seen.is_multiple_of(n),
            Occurrence::Chance(probability) => prng.chance(probability),
        };
        if hit {
            self.left = self.left.map(|left| left - 1);
        }
        hit
    }
}

/// The faults of a server, to be changed while it runs. Clones share them.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rules: Vec<Rule>,
    latency: Duration,
    prng: Prng,
    injected: Vec<(&'static str, wire::Request)>,
    counts: BTreeMap<String, u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            rules: Vec::new(),
            latency: Duration::ZERO,
            prng: Prng::new(0),
            injected: Vec::new(),
            counts: BTreeMap::new(),
        })))
    }
}

impl Faults {
    /// Adds a rule. The first rule that hits decides a request.
    pub fn add(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// Takes all rules and the latency back; the log of injected faults stays.
    pub fn clear(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.latency = Duration::ZERO;
    }

    /// Restarts the generator that [`Rule::chance`] draws from.
    pub fn seed(&self, seed: u64) {
        self.state().prng = Prng::new(seed);
    }

    /// Delays every request by so many milliseconds.
    pub fn latency(&self, milliseconds: u64) {
        self.state().latency = Duration::from_millis(milliseconds);
    }

    /// Every fault that was injected: its [`Fault::kind`] and the request as it arrived.
    #[must_use]
    pub fn injected(&self) -> Vec<(&'static str, wire::Request)> {
        self.state().injected.clone()
    }

    /// How often each kind of fault was injected; responses are counted by their status.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.state().counts.clone()
    }

    /// The fault for the request that has just arrived.
    pub(crate) fn decide(
        &self,
        method: &str,
        target: &str,
        entry: &wire::Entry,
    ) -> (Duration, Option<Fault>) {
        let mut guard = self.state();
        let state = &mut *guard;
        let fault = state.rules.iter_mut().find_map(|rule| {
            rule.hits(method, target, &mut state.prng)
                .then(|| rule.fault.clone())
        });
        if let Some(fault) = &fault {
            *state.counts.entry(fault.label()).or_default() += 1;
            state
                .injected
                .extend(entry.request().map(|request| (fault.kind(), request)));
        }
        (state.latency, fault)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
