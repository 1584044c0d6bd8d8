//! The further builds, as the first one sees them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::aws::{CodeBuild, Error, Machine, Phase};
use crate::settings::Share;

use super::board::{Arrived, Board, Order, Program, Report, Word};

/// How often CodeBuild is asked how builds are.
const LOOK: Duration = Duration::from_secs(5);

/// How many requests to CodeBuild there are at once.
const AT_ONCE: usize = 8;

/// A build that CodeBuild does not know is lost when it says so this often.
const UNKNOWN: usize = 3;

/// The further builds.
pub(super) struct Crew {
    board: Board,
    codebuild: Arc<CodeBuild>,
    members: Vec<Member>,
    started: mpsc::UnboundedReceiver<Started>,
    starting: AbortOnDropHandle<()>,
    word: Word,
    told: Option<Instant>,
    looked: Option<Instant>,
    /// Planned builds, the first one included: each has so much of the quotas.
    builds: usize,
    share: Share,
    /// Who says nothing for so long is lost.
    silence: Duration,
}

/// One of them.
struct Member {
    /// From 1 on.
    number: usize,
    id: String,
    report: Report,
    /// When something new was heard last.
    heard: Option<Instant>,
    unknown: usize,
    is_gone: bool,
}

/// What is new.
#[derive(Default)]
pub(super) struct News {
    pub(super) arrived: Vec<Arrived>,
    /// Artifacts that a build could not bring.
    pub(super) failed: Vec<usize>,
    /// Builds that will do nothing more.
    pub(super) gone: Vec<usize>,
    pub(super) expected: u64,
    pub(super) moved: u64,
}

/// All that it takes to get further builds.
pub(super) struct Call {
    pub(super) board: Board,
    pub(super) codebuild: CodeBuild,
    pub(super) machine: Machine,
    pub(super) order: Order,
    pub(super) program: Program,
    /// How a further build calls the program: its arguments, without its number.
    pub(super) arguments: Vec<String>,
    pub(super) share: Share,
    pub(super) silence: Duration,
    /// Names the run in CodeBuild's eyes.
    pub(super) token: String,
}

/// A build that was started, by its number, or why it and all after it were not.
type Started = Result<(usize, String), (usize, Error)>;

impl Crew {
    /// Starts builds, in the background, as many as the account allows. The work is laid out already;
    /// `own` are the shards that the first build works on.
    ///
    /// # Errors
    /// When the bucket cannot be used.
    pub(super) async fn raise(call: Call, own: &[usize]) -> anyhow::Result<Self> {
        for shard in own {
            if let Err(other) = call.board.claim(*shard, 0).await? {
                anyhow::bail!("shard {shard} of a new run is claimed already, by {other:?}");
            }
        }
        let specs = (1..call.order.builds).map(|number| {
            let token = format!("{}-{number}", call.token);
            let spec = buildspec(&call.board, &call.program, &call.arguments, number);
            (number, token, spec)
        });
        let specs: Vec<_> = specs.collect();
        let codebuild = Arc::new(call.codebuild);
        let (started, news) = mpsc::unbounded_channel();
        let starting = start_all(Arc::clone(&codebuild), call.machine, specs, started);
        let mut crew = Self {
            word: Word::default(),
            told: None,
            looked: None,
            members: Vec::new(),
            builds: call.order.builds,
            share: call.share,
            silence: call.silence,
            codebuild,
            board: call.board,
            started: news,
            starting: AbortOnDropHandle::new(tokio::spawn(starting)),
        };
        crew.tell().await?;
        Ok(crew)
    }

    /// Notes who was started meanwhile.
    fn note_started(&mut self) {
        while let Ok(started) = self.started.try_recv() {
            match started {
                Ok((number, id)) => self.members.push(Member::new(number, id)),
                Err((1, error)) => {
                    let hint = error.remedy().map(|hint| format!(" ({hint})"));
                    let hint = hint.unwrap_or_default();
                    tracing::warn!(
                        "this build goes on alone: no further one can be started{hint}: {error}"
                    );
                }
                Err((number, error)) => {
                    tracing::warn!("only {number} builds instead of {}: {error}", self.builds);
                }
            }
        }
    }

    /// How many builds there are to be, the first one included.
    pub(super) fn builds(&self) -> usize {
        self.builds
    }

    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    /// Whether a build will do nothing more.
    pub(super) fn is_gone(&self, number: usize) -> bool {
        let member = self.members.iter().find(|member| member.number == number);
        // A build may claim a shard before we hear that it was started.
        member.map_or(self.starting.is_finished(), |member| member.is_gone)
    }

    /// Hears what is new, and admits those who have come. What cannot be heard now is heard later.
    pub(super) async fn hear(&mut self) -> News {
        let mut news = News::default();
        self.note_started();
        let present = self.present();
        if let Err(error) = self.listen(&present, &mut news).await {
            tracing::debug!("the further builds cannot be heard now: {error:#}");
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            if let Err(error) = self.look(&mut news).await {
                tracing::debug!("CodeBuild does not say how builds are: {error:#}");
            }
        }
        self.settle_share();
        let is_due = |told: Instant| told.elapsed() >= self.beat();
        if self.told.is_none_or(is_due)
            && let Err(error) = self.tell().await
        {
            tracing::debug!("the further builds cannot be told anything now: {error:#}");
        }
        news
    }

    /// How often there has to be a sign of life.
    fn beat(&self) -> Duration {
        (self.silence / 6).min(Duration::from_secs(10))
    }

    async fn tell(&mut self) -> anyhow::Result<()> {
        self.word.beat += 1;
        self.board.tell(&self.word).await?;
        self.told = Some(Instant::now());
        Ok(())
    }

    /// Those who may still do something.
    fn present(&self) -> Vec<usize> {
        let present = self.members.iter().filter(|member| !member.is_gone);
        present.map(|member| member.number).collect()
    }

    async fn listen(&mut self, who: &[usize], news: &mut News) -> anyhow::Result<()> {
        let reports = self.board.reports(who.iter().copied()).await?;
        let mut is_anybody_new = false;
        for (number, report) in reports {
            let Some(member) = self
                .members
                .iter_mut()
                .find(|member| member.number == number)
            else {
                continue;
            };
            if report.beat != member.report.beat {
                member.heard = Some(Instant::now());
            }
            let old = std::mem::replace(&mut member.report, report);
            let report = &member.report;
            news.arrived
                .extend(report.arrived.iter().skip(old.arrived.len()).cloned());
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
            } else if !self.word.admitted.contains(&number) {
                tracing::info!(
                    "build {} of {} has begun: {}",
                    number + 1,
                    self.builds,
                    member.id
                );
                self.word.admitted.push(number);
                is_anybody_new = true;
            }
        }
        if is_anybody_new {
            // First our part of the quotas becomes smaller, then others may use theirs.
            self.settle_share();
            self.tell().await?;
        }
        Ok(())
    }

    /// Asks CodeBuild who is lost; who is not heard of any more is lost too.
    async fn look(&mut self, news: &mut News) -> anyhow::Result<()> {
        let present = self.members.iter().filter(|member| !member.is_gone);
        let ids: Vec<String> = present.map(|member| member.id.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let builds = self.codebuild.look(&ids).await?;
        let mut silent = Vec::new();
        for member in self.members.iter_mut().filter(|member| !member.is_gone) {
            let build = builds.iter().find(|build| build.id == member.id);
            let how = match build.map(|build| &build.phase) {
                None => {
                    member.unknown += 1;
                    (member.unknown >= UNKNOWN)
                        .then(|| "CodeBuild does not know it any more".to_owned())
                }
                Some(Phase::Over(status)) => Some(format!("CodeBuild says {status}")),
                Some(Phase::Waiting | Phase::Running) => {
                    member.unknown = 0;
                    let silence = member.heard.map(|heard| heard.elapsed());
                    let silence = silence.filter(|silence| *silence > self.silence);
                    silence.map(|silence| {
                        silent.push(member.id.clone());
                        format!("nothing was heard of it for {} s", silence.as_secs())
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
                    "build {number} of {} is lost, what it has not done is done here: {how}: {id}",
                    self.builds
                );
            }
        }
        self.stop(&silent).await;
        // What they did before.
        let lost: Vec<usize> = news.gone.clone();
        self.listen(&lost, news).await
    }

    /// What admitted builds use of the quotas is not ours.
    fn settle_share(&self) {
        let admitted = self.word.admitted.iter();
        let others = admitted.filter(|number| !self.is_gone(**number)).count();
        self.share.set(part(self.builds - others, self.builds));
    }

    /// Nobody does anything any more.
    pub(super) async fn dismiss(&mut self) {
        self.word.stop = true;
        self.starting.abort();
        self.note_started();
        if let Err(error) = self.tell().await {
            tracing::debug!("the further builds cannot be told that it is over: {error:#}");
        }
        let left = self.members.iter().filter(|member| !member.is_gone);
        let left: Vec<String> = left.map(|member| member.id.clone()).collect();
        self.stop(&left).await;
        self.share.set(1.0);
    }

    async fn stop(&self, ids: &[String]) {
        let stopped = stream::iter(ids).map(|id| async move {
            if let Err(error) = self.codebuild.stop(id).await {
                tracing::warn!(
                    "the build {id} is not needed any more and cannot be stopped: {error}"
                );
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
            heard: None,
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

/// Starts builds, one after the other, until one cannot be started.
async fn start_all(
    codebuild: Arc<CodeBuild>,
    machine: Machine,
    specs: Vec<(usize, String, String)>,
    started: mpsc::UnboundedSender<Started>,
) {
    for (number, token, spec) in specs {
        let answer = codebuild.start(&machine, &spec, &token).await;
        let is_last = answer.is_err();
        let answer = answer.map(|id| (number, id));
        let is_heard = started
            .send(answer.map_err(|error| (number, error)))
            .is_ok();
        if is_last || !is_heard {
            return;
        }
    }
}

/// What a further build runs: the very program of this run, and nothing else. JSON is YAML too.
fn buildspec(board: &Board, program: &Program, arguments: &[String], number: usize) -> String {
    let packed = board.show_program();
    let arguments: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
    json!({
        "version": 0.2,
        "phases": {
            "install": {"commands": [
                format!("aws s3 cp --only-show-errors {} replicator.gz", quoted(&packed)),
                "gunzip replicator.gz",
                format!("echo '{}  replicator' | sha256sum --check --quiet", program.digest.hex()),
                "chmod +x replicator",
            ]},
            "build": {"commands": [
                format!("./replicator {} --build {number}", arguments.join(" ")),
            ]},
        },
    })
    .to_string()
}

/// For a shell, whatever it holds.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_breaks_out_of_the_shell_line() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("a'; rm -rf /; '"), r"'a'\''; rm -rf /; '\'''");
    }

    #[test]
    fn quotas_are_divided_and_never_more_than_whole() {
        let whole: f64 = (0..8).map(|_| part(1, 8)).sum();
        assert!((whole - 1.0).abs() < 1e-9);
        assert!((part(8, 8) - 1.0).abs() < 1e-9);
    }
}
