//! The workers, as the coordinator sees them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::aws::{CodeBuild, Machine, Phase};
use oci_copy::http::Share;

use super::run_store::{Control, Delivered, Program, Report, RunSpec, RunStore, WorkerFile};
use super::start::{Started, Starts, buildspec};

/// How often CodeBuild is asked how builds are.
const POLL: Duration = Duration::from_secs(5);

/// How many requests to CodeBuild there are at once.
const AT_ONCE: usize = 8;

/// A build is lost when CodeBuild reports it as unknown this often.
const UNKNOWN: usize = 3;

/// How long the answer to a start that is under way is waited for before all workers are stopped.
const LAST_START: Duration = Duration::from_secs(5);

/// The workers of a run. Only builds whose ids CodeBuild gave in answer to this run's starts are ever
/// stopped: others of the project belong to other modules.
pub(super) struct Workers {
    store: RunStore,
    codebuild: Arc<CodeBuild>,
    members: Vec<Member>,
    started: mpsc::UnboundedReceiver<Started>,
    starting: AbortOnDropHandle<()>,
    /// No more workers are started.
    is_closing: CancellationToken,
    control: Control,
    sent_at: Option<Instant>,
    polled_at: Option<Instant>,
    /// Planned builds, the coordinator included; each has an equal share of the quotas.
    builds: usize,
    share: Share,
    /// A worker without a heartbeat for this long is lost.
    silence: Duration,
}

/// A worker.
struct Member {
    /// From 1 on.
    number: usize,
    id: String,
    report: Report,
    /// When the last heartbeat came.
    heard_at: Option<Instant>,
    unknown: usize,
    is_gone: bool,
}

/// What is new.
#[derive(Default)]
pub(super) struct News {
    pub(super) delivered: Vec<Delivered>,
    /// Artifacts that a build could not bring.
    pub(super) failed: Vec<usize>,
    /// Builds that will do nothing more.
    pub(super) gone: Vec<usize>,
    pub(super) expected: u64,
    pub(super) moved: u64,
}

/// Everything that starting workers needs.
pub(super) struct Launch {
    pub(super) store: RunStore,
    pub(super) codebuild: CodeBuild,
    pub(super) machine: Machine,
    pub(super) spec: RunSpec,
    pub(super) program: Program,
    pub(super) certificates: Option<WorkerFile>,
    /// The arguments with which a worker calls the program, without its number.
    pub(super) arguments: Vec<String>,
    pub(super) share: Share,
    pub(super) silence: Duration,
    /// Names the run in CodeBuild's eyes.
    pub(super) token: String,
}

impl Workers {
    /// Starts builds, in the background, as many as the account allows. The work is laid out already;
    /// `own` are the shards that the coordinator works on.
    ///
    /// # Errors
    /// When the bucket cannot be used.
    pub(super) async fn start(launch: Launch, own: &[usize]) -> anyhow::Result<Self> {
        for shard in own {
            if let Err(other) = launch.store.claim(*shard, 0).await? {
                anyhow::bail!("shard {shard} of a new run is claimed already, by {other:?}");
            }
        }
        let specs = (1..launch.spec.builds).map(|number| {
            let token = format!("{}-{number}", launch.token);
            let spec = buildspec(
                &launch.store,
                &launch.program,
                launch.certificates.as_ref(),
                &launch.arguments,
                number,
            );
            (number, token, spec)
        });
        let specs: Vec<_> = specs.collect();
        // Before the first start: a caller that drops this while it waits leaves no start under way behind.
        let control = Control {
            heartbeat: 1,
            ..Control::default()
        };
        launch.store.put_control(&control).await?;
        let codebuild = Arc::new(launch.codebuild);
        let (started, news) = mpsc::unbounded_channel();
        let is_closing = CancellationToken::new();
        let starting = Starts {
            codebuild: Arc::clone(&codebuild),
            machine: launch.machine,
            started,
            is_closing: is_closing.clone(),
        };
        Ok(Self {
            control,
            sent_at: Some(Instant::now()),
            polled_at: None,
            members: Vec::new(),
            builds: launch.spec.builds,
            share: launch.share,
            silence: launch.silence,
            codebuild,
            store: launch.store,
            started: news,
            starting: AbortOnDropHandle::new(tokio::spawn(starting.run(specs))),
            is_closing,
        })
    }

    /// Records the workers that were started meanwhile.
    fn record_started(&mut self) {
        while let Ok(started) = self.started.try_recv() {
            match started {
                Ok((number, id)) => self.members.push(Member::new(number, id)),
                Err((1, error)) => {
                    let hint = error.remedy().map(|hint| format!(" ({hint})"));
                    let hint = hint.unwrap_or_default();
                    tracing::warn!(
                        "continuing without workers: cannot start a build{hint}: {error}"
                    );
                }
                Err((number, error)) => {
                    tracing::warn!(
                        "only {number} of {} builds: cannot start more: {error}",
                        self.builds
                    );
                }
            }
        }
    }

    /// Planned builds, the coordinator included.
    pub(super) fn builds(&self) -> usize {
        self.builds
    }

    pub(super) fn store(&self) -> &RunStore {
        &self.store
    }

    /// Whether a build will do nothing more.
    pub(super) fn is_gone(&self, number: usize) -> bool {
        let member = self.members.iter().find(|member| member.number == number);
        // A worker may claim a shard before the answer to its start arrives.
        member.map_or(self.starting.is_finished(), |member| member.is_gone)
    }

    /// Reads the reports, and admits the workers that have begun. What cannot be read now is read later.
    pub(super) async fn poll_reports(&mut self) -> News {
        let mut news = News::default();
        self.record_started();
        let present = self.present();
        if let Err(error) = self.read_reports(&present, &mut news).await {
            tracing::debug!("cannot read the workers' reports now: {error:#}");
        }
        if self
            .polled_at
            .is_none_or(|polled_at| polled_at.elapsed() >= POLL)
        {
            self.polled_at = Some(Instant::now());
            if let Err(error) = self.poll_builds(&mut news).await {
                tracing::debug!("cannot query the builds now: {error:#}");
            }
        }
        self.settle_share();
        let is_due = |sent_at: Instant| sent_at.elapsed() >= self.heartbeat();
        if self.sent_at.is_none_or(is_due)
            && let Err(error) = self.send_control().await
        {
            tracing::debug!("cannot send a heartbeat to the workers now: {error:#}");
        }
        news
    }

    /// The time between two heartbeats.
    fn heartbeat(&self) -> Duration {
        (self.silence / 6).min(Duration::from_secs(10))
    }

    async fn send_control(&mut self) -> anyhow::Result<()> {
        self.control.heartbeat += 1;
        self.store.put_control(&self.control).await?;
        self.sent_at = Some(Instant::now());
        Ok(())
    }

    /// The workers that may still do something.
    fn present(&self) -> Vec<usize> {
        let present = self.members.iter().filter(|member| !member.is_gone);
        present.map(|member| member.number).collect()
    }

    async fn read_reports(&mut self, workers: &[usize], news: &mut News) -> anyhow::Result<()> {
        let reports = self.store.reports(workers.iter().copied()).await?;
        let mut has_new = false;
        for (number, report) in reports {
            let Some(member) = self
                .members
                .iter_mut()
                .find(|member| member.number == number)
            else {
                continue;
            };
            if report.heartbeat != member.report.heartbeat {
                member.heard_at = Some(Instant::now());
            }
            let old = std::mem::replace(&mut member.report, report);
            let report = &member.report;
            news.delivered
                .extend(report.delivered.iter().skip(old.delivered.len()).cloned());
            news.failed
                .extend(report.failed.iter().skip(old.failed.len()));
            news.expected += report.expected.saturating_sub(old.expected);
            news.moved += report.moved.saturating_sub(old.moved);
            if member.is_gone {
                continue;
            }
            if report.is_over {
                member.is_gone = true;
                news.gone.push(number);
            } else if !self.control.admitted.contains(&number) {
                tracing::info!(
                    "build {} of {} has started: {}",
                    number + 1,
                    self.builds,
                    member.id
                );
                self.control.admitted.push(number);
                has_new = true;
            }
        }
        if has_new {
            // This build reduces its share of the quotas before others use theirs.
            self.settle_share();
            self.send_control().await?;
        }
        Ok(())
    }

    /// Asks CodeBuild which workers are lost; one without a heartbeat is lost too.
    async fn poll_builds(&mut self, news: &mut News) -> anyhow::Result<()> {
        let present = self.members.iter().filter(|member| !member.is_gone);
        let ids: Vec<String> = present.map(|member| member.id.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let builds = self.codebuild.describe(&ids).await?;
        let mut silent = Vec::new();
        for member in self.members.iter_mut().filter(|member| !member.is_gone) {
            let build = builds.iter().find(|build| build.id == member.id);
            let how = match build.map(|build| &build.phase) {
                None => {
                    member.unknown += 1;
                    (member.unknown >= UNKNOWN)
                        .then(|| "CodeBuild does not know it any more".to_owned())
                }
                Some(Phase::Over(status)) => Some(format!("CodeBuild reports {status}")),
                Some(Phase::Waiting | Phase::Running) => {
                    member.unknown = 0;
                    let silence = member.heard_at.map(|heard_at| heard_at.elapsed());
                    let silence = silence.filter(|silence| *silence > self.silence);
                    silence.map(|silence| {
                        silent.push(member.id.clone());
                        format!("no heartbeat for {} s", silence.as_secs())
                    })
                }
            };
            if let Some(how) = how {
                member.is_gone = true;
                news.gone.push(member.number);
                if matches!(build.map(|build| &build.phase), Some(Phase::Over(status)) if status == "SUCCEEDED")
                {
                    continue;
                }
                let (number, id) = (member.number + 1, &member.id);
                tracing::warn!(
                    "build {number} of {} is lost ({how}), this build copies what it did not finish: {id}",
                    self.builds
                );
            }
        }
        self.stop(&silent).await;
        // Their last reports.
        let lost: Vec<usize> = news.gone.clone();
        self.read_reports(&lost, news).await
    }

    /// What admitted workers use of the quotas is not available here.
    fn settle_share(&self) {
        let admitted = self.control.admitted.iter();
        let others = admitted.filter(|number| !self.is_gone(**number)).count();
        self.share.set(part(self.builds - others, self.builds));
    }

    /// Stops all workers.
    pub(super) async fn stop_all(&mut self) {
        self.control.stop = true;
        self.is_closing.cancel();
        if let Err(error) = self.send_control().await {
            tracing::debug!("cannot tell the workers to stop: {error:#}");
        }
        // A build whose start is under way can be stopped only when its id is known. One whose id never
        // comes reads the control object, or finds none, and ends by itself.
        let last = tokio::time::timeout(LAST_START, &mut self.starting).await;
        if last.is_err() {
            self.starting.abort();
        }
        self.record_started();
        let left = self.members.iter().filter(|member| !member.is_gone);
        let left: Vec<String> = left.map(|member| member.id.clone()).collect();
        self.stop(&left).await;
        self.share.set(1.0);
    }

    async fn stop(&self, ids: &[String]) {
        let stopped = stream::iter(ids).map(|id| async move {
            if let Err(error) = self.codebuild.stop(id).await {
                tracing::warn!("cannot stop the build {id}, which is not needed any more: {error}");
            }
        });
        stopped.buffer_unordered(AT_ONCE).collect::<()>().await;
    }
}

impl Member {
    fn new(number: usize, id: String) -> Self {
        Self {
            number,
            id,
            report: Report::default(),
            heard_at: None,
            unknown: 0,
            is_gone: false,
        }
    }
}

/// A part of the quotas.
pub(super) fn part(some: usize, all: usize) -> f64 {
    let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    count(some) / count(all.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_divided_and_never_more_than_whole() {
        let whole: f64 = (0..8).map(|_| part(1, 8)).sum();
        assert!((whole - 1.0).abs() < 1e-9);
        assert!((part(8, 8) - 1.0).abs() < 1e-9);
    }
}
