//! A run over several builds, as the first one sees it: it does its part, listens to the others, and in
//! the end has an outcome for every artifact.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::copy::{CopyError, Events, Outcome, Surveyed};
use crate::plan::Copy;
use crate::progress;
use crate::settings::FanOut;

use super::board::{Board, Item, Order, Portion, Program};
use super::crew::{Call, Crew, News};
use super::first::{Fleet, Place};
use super::forecast::{self, Speeds};
use super::hands::{Hands, Job, Outcomes};
use super::shard::{Load, Shard};

/// How often the others are listened to.
const TICK: Duration = Duration::from_millis(500);

/// How long the first build's own rate is measured before it counts.
const MEASURE: Duration = Duration::from_secs(15);

/// How long it may take until further builds can be called.
const CALL: Duration = Duration::from_mins(1);

/// Who works on a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Nobody,
    First,
    Further(usize),
}

/// A run over several builds.
pub(super) struct Run<'a> {
    fleet: &'a Fleet,
    copies: &'a [Copy],
    surveyed: Vec<Option<Surveyed>>,
    outcomes: Vec<Option<Outcome>>,
    shards: Vec<Shard>,
    holders: Vec<Holder>,
    hands: Hands,
    events: Arc<dyn Events>,
    crew: Option<Crew>,
    /// What this build works on outside of shards, or has worked on.
    taken_over: HashSet<usize>,
    /// Further builds were called, and need not be called again.
    is_called: bool,
    calling: Option<AbortOnDropHandle<anyhow::Result<Call>>>,
    total: Load,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        fleet: &'a Fleet,
        copies: &'a [Copy],
        surveyed: Vec<Surveyed>,
        shards: Vec<Shard>,
        hands: Hands,
        total: Load,
        events: Arc<dyn Events>,
    ) -> Self {
        Self {
            fleet,
            copies,
            outcomes: copies.iter().map(|_| None).collect(),
            surveyed: surveyed.into_iter().map(Some).collect(),
            holders: vec![Holder::Nobody; shards.len()],
            shards,
            hands,
            events,
            crew: None,
            taken_over: HashSet::new(),
            is_called: false,
            calling: None,
            total,
        }
    }

    /// Has an outcome for every artifact in the end.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Vec<Outcome> {
        let divided: HashSet<usize> = self
            .shards
            .iter()
            .flat_map(|shard| shard.artifacts.clone())
            .collect();
        let own = (0..self.copies.len()).filter(|number| !divided.contains(number));
        let own: Vec<usize> = own.collect();
        self.begin(&own);
        if let FanOut::Builds(builds) = self.fleet.settings.fan_out {
            self.raise(builds);
        }
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while self.hands.run_low() && self.take_next().await {}
            if self.outcomes.iter().all(Option::is_some) || self.is_at_an_end() {
                break;
            }
            tokio::select! {
                done = self.hands.next() => self.note(done),
                call = called(&mut self.calling) => {
                    self.calling = None;
                    stop.run_until_cancelled(Box::pin(self.meet(call))).await;
                }
                _ = ticks.tick() => {
                    stop.run_until_cancelled(Box::pin(self.tick())).await;
                }
                () = stop.cancelled() => break,
            }
        }
        drop(self.calling.take());
        if let Some(crew) = &mut self.crew {
            crew.dismiss().await;
        }
        // The engine gives up by itself when it is to stop.
        while !self.hands.are_idle() {
            let done = self.hands.next().await;
            self.note(done);
        }
        let lost = || Outcome::failed(CopyError::Stopped);
        let outcomes = self.outcomes.into_iter();
        outcomes
            .map(|outcome| outcome.unwrap_or_else(lost))
            .collect()
    }

    /// Begins to work on artifacts here.
    fn begin(&mut self, numbers: &[usize]) {
        if numbers.is_empty() {
            return;
        }
        let needs = numbers
            .iter()
            .filter_map(|number| self.surveyed[*number].as_ref()?.need.as_ref());
        let bytes = Load::of(needs).bytes;
        let copies = numbers
            .iter()
            .map(|number| (*number, self.copies[*number].clone()));
        self.hands.take(Job {
            copies: copies.collect(),
            surveyed: numbers
                .iter()
                .map(|number| self.surveyed[*number].take())
                .collect(),
            bytes,
        });
    }

    fn note(&mut self, done: Outcomes) {
        for (number, outcome) in done {
            self.outcomes[number] = Some(outcome);
        }
    }

    /// Whether nothing more is to be expected from anybody.
    fn is_at_an_end(&self) -> bool {
        let is_expected = |holder: &Holder| match (holder, &self.crew) {
            (Holder::Nobody, _) => true,
            (Holder::Further(build), Some(crew)) => !crew.is_gone(*build),
            (Holder::First | Holder::Further(_), _) => false,
        };
        self.hands.are_idle() && !self.holders.iter().any(is_expected)
    }

    /// Takes the next shard that nobody has; whether there may be one more.
    async fn take_next(&mut self) -> bool {
        // The program is small, but a link full of blobs would leave it little room.
        if self.calling.is_some() {
            return false;
        }
        let next = self
            .holders
            .iter()
            .position(|holder| *holder == Holder::Nobody);
        let Some(shard) = next else { return false };
        let claimed = match &self.crew {
            Some(crew) => crew.board().claim(shard, 0).await,
            None => Ok(Ok(())),
        };
        match claimed {
            Ok(Err(Some(build))) => {
                self.holders[shard] = Holder::Further(build);
                self.take_over_from_the_gone();
                return true;
            }
            Ok(Err(None)) => return false,
            Ok(Ok(())) => {}
            // At worst somebody else does the same.
            Err(error) => tracing::debug!("a claim cannot be made: {error:#}"),
        }
        self.holders[shard] = Holder::First;
        let artifacts = self.shards[shard].artifacts.clone();
        self.begin(&artifacts);
        true
    }

    async fn tick(&mut self) {
        if let Some(crew) = &mut self.crew {
            let news = crew.hear().await;
            self.hear(news);
        } else if self.fleet.settings.fan_out == FanOut::Auto
            && !self.is_called
            && self.hands.since() >= MEASURE
            && let Some(rate) = self.hands.rate()
        {
            let left = Load {
                bytes: self.total.bytes.saturating_sub(self.hands.moved()),
                ..self.total
            };
            let speeds = Speeds::of(rate, &self.fleet.settings.network.quotas);
            let builds = forecast::worthwhile(&left, &speeds);
            if builds > 1 {
                self.is_called = true;
                self.raise(builds);
            }
        }
    }

    fn hear(&mut self, news: News) {
        for arrived in news.arrived {
            let number = arrived.number;
            if self.outcomes.get(number).is_none_or(Option::is_some) {
                continue;
            }
            let (copy, outcome) = (&self.copies[number], arrived.outcome());
            self.forget_what_was_known(number);
            self.events.finished(copy, &outcome);
            self.outcomes[number] = Some(outcome);
        }
        self.events.expect(news.expected);
        self.events.moved(news.moved);
        let failed = news.failed.into_iter();
        let failed: Vec<usize> = failed
            .filter(|number| *number < self.copies.len())
            .collect();
        self.take_over(&failed);
        if !news.gone.is_empty() {
            self.take_over_from_the_gone();
        }
    }

    /// Does here what those who are gone left unfinished.
    fn take_over_from_the_gone(&mut self) {
        let Some(crew) = &self.crew else { return };
        let left = self.holders.iter().zip(&self.shards);
        let left = left.filter(|(holder, _)| match holder {
            Holder::Further(build) => crew.is_gone(*build),
            Holder::Nobody | Holder::First => false,
        });
        let left: Vec<usize> = left
            .flat_map(|(_, shard)| shard.artifacts.clone())
            .collect();
        self.take_over(&left);
    }

    fn take_over(&mut self, numbers: &[usize]) {
        let open = numbers.iter().copied();
        let open = open.filter(|number| self.outcomes[*number].is_none());
        let open: Vec<usize> = open
            .filter(|number| self.taken_over.insert(*number))
            .collect();
        for number in &open {
            self.forget_what_was_known(*number);
        }
        self.begin(&open);
    }

    /// Somebody else may have made the repository.
    fn forget_what_was_known(&self, number: usize) {
        if let Some(repository) = self.copies[number].target.repository() {
            let ecr = self.fleet.aws.ecr(&self.fleet.place.host);
            ecr.may_exist(repository);
        }
    }

    /// Begins to get further builds; what is under way goes on meanwhile.
    fn raise(&mut self, builds: usize) {
        let portions = self.shards.iter().map(|shard| {
            let numbers = shard.artifacts.iter();
            let items = numbers.filter_map(|number| Item::of(*number, &self.copies[*number]));
            Portion {
                bytes: shard.load.bytes,
                items: items.collect(),
            }
        });
        let order = Order {
            flags: self.fleet.flags.clone(),
            environment: self.fleet.environment.forwarded(),
            hosts: self.fleet.hosts.iter().cloned().collect(),
            shards: self.shards.len(),
            builds,
        };
        let name = run_name();
        let prefix = format!("{}{name}/", self.fleet.place.prefix);
        self.fleet.laid_out.set(prefix.clone()).ok();
        let (place, settings, aws) = (
            self.fleet.place.clone(),
            self.fleet.settings.clone(),
            Arc::clone(&self.fleet.aws),
        );
        let silence = self.fleet.silence();
        let portions: Vec<Portion> = portions.collect();
        let call = async move {
            let Place { host, bucket, .. } = place;
            let id = settings
                .build
                .as_deref()
                .context("this is no build of CodeBuild")?;
            let codebuild = aws.codebuild(&host.region).await;
            let machine = codebuild.machine(id).await?;
            let mut program = Program::own().await?;
            let meeting = aws.bucket(&bucket, &host.region, &host.account).await;
            let board = Board::new(meeting, &prefix);
            board.lay_out(&mut program, &order, portions).await?;
            let (region, account) = (&host.region, &host.account);
            let arguments = ["work", "--bucket", &bucket, "--prefix", &prefix];
            let more = ["--region", region, "--account", account];
            let arguments = arguments.iter().chain(&more).map(ToString::to_string);
            Ok(Call {
                board,
                codebuild,
                machine,
                order,
                program,
                arguments: arguments.collect(),
                share: settings.network.share,
                silence,
                token: name,
            })
        };
        let call = async {
            let call = tokio::time::timeout(CALL, call).await;
            call.unwrap_or_else(|_| bail!("the bucket took no program within {} s", CALL.as_secs()))
        };
        self.calling = Some(AbortOnDropHandle::new(tokio::spawn(call)));
    }

    /// All is laid out: the builds can come. Where they cannot, this one goes on alone.
    async fn meet(&mut self, call: anyhow::Result<Call>) {
        let own = self.holders.iter().enumerate();
        let own = own.filter(|(_, holder)| **holder == Holder::First);
        let own: Vec<usize> = own.map(|(shard, _)| shard).collect();
        let crew = match call {
            Ok(call) if own.len() < self.shards.len() => Crew::raise(call, &own).await,
            Ok(_) => {
                tracing::info!("nothing is left for further builds");
                return;
            }
            Err(error) => Err(error),
        };
        match crew {
            Ok(crew) => {
                let left = self.total.bytes.saturating_sub(self.hands.moved());
                let left = progress::bytes(left);
                tracing::info!(
                    "{left} are spread over {} builds, this one included",
                    crew.builds()
                );
                self.crew = Some(crew);
            }
            Err(error) => tracing::warn!("this build goes on alone: {error:#}"),
        }
    }
}

/// What further builds are called with, once all is laid out; never, as long as they are not called.
async fn called(
    calling: &mut Option<AbortOnDropHandle<anyhow::Result<Call>>>,
) -> anyhow::Result<Call> {
    match calling {
        Some(calling) => calling.await?,
        None => std::future::pending().await,
    }
}

/// A name that no other run has.
fn run_name() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = now.unwrap_or_default().as_secs();
    format!("{seconds}-{:08x}", fastrand::u32(..))
}
