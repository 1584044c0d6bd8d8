//! CodeBuild, whose builds are processes of this machine.
//!
//! A build runs the commands of its buildspec in one `bash`, in a process group and a temporary folder
//! of its own, with the environment that CodeBuild would give it and nothing of the test's. Where the
//! test itself plays the coordinator, [`Aws::begin_build`] makes it known.

mod api;
mod process;
mod record;
mod runner;

pub(super) use api::{handle, resource};

use super::Aws;
use record::{Fate, Record, State};
use serde_json::Value;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// The builds of an account, and the switches for them. Clones share them.
#[derive(Clone)]
pub struct Builds(Arc<Inner>);

struct Inner {
    home: Home,
    /// Switches may be set off the runtime's threads, and still start builds.
    runtime: Handle,
    state: Mutex<State>,
}

/// Where builds are at home.
pub(super) struct Home {
    pub(super) account: String,
    pub(super) region: String,
    /// Of the APIs.
    pub(super) url: String,
    /// Who starts them: `user/lab`.
    pub(super) caller: String,
}

/// A build that `StartBuild` started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// `project:uuid`.
    pub id: String,
    /// Which call of `StartBuild` it came from; the first is 0.
    pub ordinal: usize,
    /// How it stands.
    pub status: Status,
    /// Where it is.
    pub phase: Phase,
    /// Of its shell, which leads its process group, as long as that runs.
    pub pid: Option<u32>,
}

/// How a build stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not at its end.
    InProgress,
    /// Every command succeeded.
    Succeeded,
    /// A command failed or was killed, or there was no telling what the commands are.
    Failed,
    /// It could not be run: no `bash`, no temporary folder.
    Fault,
    /// It took longer than `timeoutInMinutesOverride`.
    TimedOut,
    /// `StopBuild` was called.
    Stopped,
}

impl Status {
    /// As the API spells it: `IN_PROGRESS`, ...
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Fault => "FAULT",
            Self::TimedOut => "TIMED_OUT",
            Self::Stopped => "STOPPED",
        }
    }
}

/// Where a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waiting until fewer builds run than the account may run.
    Queued,
    /// Waiting for its machine.
    Provisioning,
    /// Running its commands.
    Build,
    /// At its end.
    Completed,
}

impl Phase {
    /// As the API spells it: `QUEUED`, ...
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Provisioning => "PROVISIONING",
            Self::Build => "BUILD",
            Self::Completed => "COMPLETED",
        }
    }
}

impl Builds {
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn new(home: Home) -> Self {
        Self(Arc::new(Inner {
            home,
            runtime: Handle::current(),
            state: Mutex::default(),
        }))
    }

    /// How many builds may run at once, those of [`Aws::begin_build`] included; the others are QUEUED
    /// and start in the order of their arrival. No limit unless told otherwise.
    ///
    /// A build holds its place from PROVISIONING on until its last process is gone.
    pub fn set_limit(&self, limit: Option<usize>) {
        let mut state = self.state();
        state.limit = limit;
        self.start_queued(&mut state);
    }

    /// How many builds there may be, running ones and QUEUED ones together, before `StartBuild`
    /// answers `AccountLimitExceededException`. No limit unless told otherwise.
    pub fn set_queue_limit(&self, limit: Option<usize>) {
        self.state().queue_limit = limit;
    }

    /// How long a build is PROVISIONING; no time unless told otherwise.
    pub fn set_start_delay(&self, delay: Duration) {
        self.state().start_delay = delay;
    }

    /// How long a minute of `timeoutInMinutesOverride` lasts; a minute unless told otherwise.
    pub fn set_minute(&self, minute: Duration) {
        self.state().minute = minute;
    }

    /// The next `n` builds vanish: `StartBuild` gives them an id, but nothing runs, and nothing knows
    /// of them afterwards, [`Builds::list`] neither.
    pub fn lose(&self, n: usize) {
        self.state().to_lose += n;
    }

    /// The next `n` builds (after those to lose) run nothing and stay `IN_PROGRESS` in BUILD until they
    /// are stopped or killed. They hold a place.
    pub fn freeze(&self, n: usize) {
        self.state().to_freeze += n;
    }

    /// More environment variables for each build, by its ordinal. They win over all others.
    pub fn set_variables(
        &self,
        variables: impl Fn(usize) -> Vec<(String, String)> + Send + Sync + 'static,
    ) {
        self.state().variables = Some(Arc::new(variables));
    }

    /// Kills a build with all its processes, as a machine that breaks down does: it is FAILED. One
    /// that runs nothing yet is FAILED too.
    pub fn kill(&self, id: &str) {
        let mut state = self.state();
        if let Some(record) = state.find(id) {
            record.finish(Status::Failed);
            record.kill();
        }
        self.start_queued(&mut state);
    }

    /// The inputs of `StartBuild`, by ordinal: every build that was given an id, lost ones included.
    #[must_use]
    pub fn started(&self) -> Vec<Value> {
        let state = self.state();
        let started = state.records.iter().filter(|record| record.fate.is_ours());
        started.map(|record| record.input.clone()).collect()
    }

    /// All builds that `StartBuild` started, by ordinal, without the lost ones.
    #[must_use]
    pub fn list(&self) -> Vec<Build> {
        self.state()
            .records
            .iter()
            .filter(|record| record.is_known())
            .filter_map(Record::build)
            .collect()
    }

    /// What a build has written so far, standard output and standard error together. It stays
    /// readable until the [`Aws`] is dropped.
    #[must_use]
    pub fn log(&self, id: &str) -> String {
        let path = self.state().find(id).and_then(|record| record.log_path());
        let bytes = path.and_then(|path| std::fs::read(path).ok());
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    /// How many builds have a process now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.state().running()
    }

    /// The most builds that had a process at once.
    #[must_use]
    pub fn most_running(&self) -> usize {
        self.state().most_running
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills everything that runs, and removes all folders.
    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        // It may hold these builds itself, which would then live for ever.
        let variables = state.variables.take();
        for record in &mut state.records {
            record.kill();
            record.reap();
            record.folder = None;
        }
        drop(state);
        drop(variables);
    }
}

impl fmt::Debug for Builds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Builds").field(&self.list()).finish()
    }
}

impl Aws {
    /// The builds of `CodeBuild`.
    #[must_use]
    pub fn builds(&self) -> Builds {
        self.account.builds.clone()
    }

    /// Creates a CodeBuild project.
    pub fn put_project(&self, name: &str) {
        self.account.builds.state().put_project(name);
    }

    /// Makes a process of the test known as a running build of a project, which is created if need be.
    /// It holds a place. The variables are for that process; `CODEBUILD_SRC_DIR`, a folder of the
    /// test's, is not among them.
    #[must_use]
    pub fn begin_build(&self, project: &str) -> Vec<(String, String)> {
        let builds = &self.account.builds;
        let mut state = builds.state();
        state.put_project(project);
        let record = state.add(project, Fate::Adopted, Value::Null);
        record.phase = Phase::Build;
        process::identity(&builds.0.home, record)
    }

    /// Ends the builds that [`Aws::begin_build`] began, by id or by project: they are SUCCEEDED, and
    /// their places free.
    pub fn end_build(&self, id_or_project: &str) {
        let builds = &self.account.builds;
        let mut state = builds.state();
        for record in &mut state.records {
            let meant = [&record.id, &record.project].contains(&&id_or_project.to_owned());
            if meant && record.fate == Fate::Adopted {
                record.finish(Status::Succeeded);
            }
        }
        builds.start_queued(&mut state);
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.account.builds.close();
    }
}
