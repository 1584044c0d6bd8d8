//! What is remembered of builds and of their processes.

use super::process::{self, Signal};
use super::{Build, Phase, Status};
use crate::content::digest_of;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

pub(super) type Variables = dyn Fn(usize) -> Vec<(String, String)> + Send + Sync;

/// How long the processes of a build have between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

pub(super) struct State {
    /// Projects, and how many builds each had.
    projects: BTreeMap<String, u64>,
    pub(super) records: Vec<Record>,
    pub(super) limit: Option<usize>,
    pub(super) queue_limit: Option<usize>,
    pub(super) start_delay: Duration,
    pub(super) minute: Duration,
    pub(super) to_lose: usize,
    pub(super) to_freeze: usize,
    pub(super) variables: Option<Arc<Variables>>,
    pub(super) most_running: usize,
    /// The stand-in is gone: nothing may start any more.
    pub(super) closed: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            projects: BTreeMap::new(),
            records: Vec::new(),
            limit: None,
            queue_limit: None,
            start_delay: Duration::ZERO,
            minute: Duration::from_mins(1),
            to_lose: 0,
            to_freeze: 0,
            variables: None,
            most_running: 0,
            closed: false,
        }
    }
}

impl State {
    pub(super) fn put_project(&mut self, name: &str) {
        self.projects.entry(name.to_owned()).or_default();
    }

    pub(super) fn has_project(&self, name: &str) -> bool {
        self.projects.contains_key(name)
    }

    /// A new build, QUEUED.
    pub(super) fn add(&mut self, project: &str, fate: Fate, input: Value) -> &mut Record {
        let count = self.projects.entry(project.to_owned()).or_default();
        *count += 1;
        let ours = self.records.iter().filter(|record| record.fate.is_ours());
        let record = Record {
            id: format!("{project}:{}", uuid(&format!("{project} {count}"))),
            project: project.to_owned(),
            number: *count,
            ordinal: fate.is_ours().then(|| ours.count()),
            fate,
            status: Status::InProgress,
            phase: Phase::Queued,
            started: SystemTime::now(),
            ended: None,
            input,
            folder: None,
            child: None,
            kill_at: None,
        };
        self.records.push(record);
        self.records.last_mut().expect("it was just added")
    }

    /// The build of an id that is known to the world.
    pub(super) fn find(&mut self, id: &str) -> Option<&mut Record> {
        let mut found = self.records.iter_mut();
        found.find(|record| record.id == id && record.is_known())
    }

    pub(super) fn running(&self) -> usize {
        let with_process = self.records.iter().filter(|record| record.child.is_some());
        with_process.count()
    }

    /// How many builds hold a place.
    pub(super) fn places(&self) -> usize {
        let holding = self.records.iter().filter(|record| record.holds_place());
        holding.count()
    }

    /// How many builds wait for one.
    pub(super) fn queued(&self) -> usize {
        let queued = self.records.iter().filter(|record| record.is_queued());
        queued.count()
    }
}

/// What becomes of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs.
    Run,
    /// It is never heard of again.
    Lost,
    /// It runs nothing and does not end.
    Frozen,
    /// It is a process of the test.
    Adopted,
}

impl Fate {
    /// Whether `StartBuild` started it.
    pub(super) fn is_ours(self) -> bool {
        self != Self::Adopted
    }
}

/// A build.
pub(super) struct Record {
    pub(super) id: String,
    pub(super) project: String,
    pub(super) number: u64,
    pub(super) ordinal: Option<usize>,
    pub(super) fate: Fate,
    pub(super) status: Status,
    pub(super) phase: Phase,
    pub(super) started: SystemTime,
    pub(super) ended: Option<SystemTime>,
    /// What `StartBuild` was given.
    pub(super) input: Value,
    pub(super) folder: Option<TempDir>,
    /// Its shell, until that and its whole process group are gone.
    pub(super) child: Option<Child>,
    /// When patience with its processes ends.
    kill_at: Option<Instant>,
}

impl Record {
    pub(super) fn is_known(&self) -> bool {
        self.fate != Fate::Lost
    }

    pub(super) fn is_queued(&self) -> bool {
        self.is_known() && self.phase == Phase::Queued
    }

    fn holds_place(&self) -> bool {
        matches!(self.phase, Phase::Provisioning | Phase::Build) || self.child.is_some()
    }

    pub(super) fn build(&self) -> Option<Build> {
        Some(Build {
            id: self.id.clone(),
            ordinal: self.ordinal?,
            status: self.status,
            phase: self.phase,
            pid: self.child.as_ref().map(Child::id),
        })
    }

    /// The part of the id behind the project.
    pub(super) fn uuid(&self) -> &str {
        self.id.rsplit(':').next().unwrap_or_default()
    }

    pub(super) fn log_path(&self) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        Some(folder.path().join(process::LOG))
    }

    /// Completes it, unless it is complete: the first end is the one that counts.
    pub(super) fn finish(&mut self, status: Status) {
        if self.status == Status::InProgress {
            self.status = status;
            self.phase = Phase::Completed;
            self.ended = Some(SystemTime::now());
        }
    }

    /// Completes it and asks its processes to end.
    pub(super) fn end(&mut self, status: Status) {
        self.finish(status);
        if self.kill_at.is_none() {
            self.signal(Signal::Term);
            self.kill_at = Some(Instant::now() + GRACE);
        }
    }

    pub(super) fn kill(&mut self) {
        self.signal(Signal::Kill);
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            process::signal(child.id(), signal);
        }
    }

    /// The exit status of its shell once that has ended. Nothing of its process group outlives it, as
    /// nothing outlives a container.
    pub(super) fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.kill_at.is_some_and(|at| at <= Instant::now()) {
            self.kill();
            self.kill_at = Some(Instant::now() + GRACE);
        }
        let child = self.child.as_mut()?;
        let status = child.try_wait().expect("our own child")?;
        self.kill();
        self.child = None;
        process::clear(self.folder.as_ref());
        Some(status)
    }

    /// Waits for its shell, which was killed.
    pub(super) fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.wait().ok();
        }
    }
}

/// A name that looks like a UUID and is the same in every run of a test.
fn uuid(of: &str) -> String {
    let digest = digest_of(of.as_bytes());
    let hex = digest.rsplit(':').next().unwrap_or_default();
    let part = |from: usize, to: usize| &hex[from..to];
    format!(
        "{}-{}-4{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 15),
        part(15, 18),
        part(18, 30)
    )
}
