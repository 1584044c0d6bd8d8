//! The way of a build from the queue to its end.

use super::process::{self, Buildspec};
use super::record::Fate;
use super::{Builds, Phase, State, Status};
use std::time::{Duration, Instant};

/// How often a running build is looked at.
const LOOK: Duration = Duration::from_millis(10);

impl Builds {
    /// Gives the places that are free to those who have waited longest.
    pub(super) fn start_queued(&self, state: &mut State) {
        let mut free = state
            .limit
            .map_or(usize::MAX, |limit| limit.saturating_sub(state.places()));
        let delay = state.start_delay;
        for (index, record) in state.records.iter_mut().enumerate() {
            if free == 0 || state.closed {
                return;
            }
            if !record.is_queued() {
                continue;
            }
            free -= 1;
            record.phase = Phase::Provisioning;
            let builds = self.clone();
            self.0.runtime.spawn(async move {
                tokio::time::sleep(delay).await;
                builds.run(index).await;
            });
        }
    }

    /// Runs a build, by its place in the list of records.
    async fn run(&self, index: usize) {
        let Some(deadline) = self.launch(index) else {
            return;
        };
        loop {
            tokio::time::sleep(LOOK).await;
            let mut state = self.state();
            let record = &mut state.records[index];
            if record.child.is_none() {
                return;
            }
            if deadline <= Instant::now() {
                record.end(Status::TimedOut);
            }
            if let Some(exit) = record.exit_status() {
                let succeeded = exit.success();
                record.finish(if succeeded {
                    Status::Succeeded
                } else {
                    Status::Failed
                });
                self.start_queued(&mut state);
                return;
            }
        }
    }

    /// Starts the process of a build and says when its time is up, if there is now one to look after.
    fn launch(&self, index: usize) -> Option<Instant> {
        // A test's function may ask for the state itself.
        let (variables, ordinal) = {
            let state = self.state();
            (state.variables.clone(), state.records[index].ordinal?)
        };
        let extra = variables.map_or(Vec::new(), |variables| variables(ordinal));
        let mut guard = self.state();
        let state = &mut *guard;
        let record = &mut state.records[index];
        // It may have been stopped while it was PROVISIONING.
        if state.closed || record.phase != Phase::Provisioning {
            return None;
        }
        record.phase = Phase::Build;
        if record.fate == Fate::Frozen {
            return None;
        }
        let minutes = record.input["timeoutInMinutesOverride"].as_u64();
        let minutes = u32::try_from(minutes.unwrap_or(60)).unwrap_or(u32::MAX);
        let deadline = Instant::now() + state.minute * minutes;
        let started = process::folder().and_then(|folder| {
            let log = folder.path().join(process::LOG);
            record.folder = Some(folder);
            match Buildspec::parse(record.input["buildspecOverride"].as_str()) {
                Ok(buildspec) => process::spawn(&self.0.home, record, &buildspec, extra).map(Some),
                Err(reason) => {
                    std::fs::write(log, format!("[Container] YAML_FILE_ERROR: {reason}\n"))?;
                    Ok(None)
                }
            }
        });
        match started {
            Ok(Some(child)) => {
                record.child = Some(child);
                state.most_running = state.most_running.max(state.running());
                return Some(deadline);
            }
            Ok(None) => record.finish(Status::Failed),
            Err(_) => record.finish(Status::Fault),
        }
        self.start_queued(state);
        None
    }
}
