//! A further build: it waits for its part of the quotas, takes shards until none is left, and tells the
//! first build what has arrived.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::aws::Bucket;
use crate::copy::{Events, Outcome};
use crate::plan::Copy;
use crate::settings::{Environment, Flags, Settings, Share};
use crate::store::Stores;

use super::board::{Arrived, Board, Order, Report, Word};
use super::crew::part;
use super::hands::{Hands, Job};

/// How often the first build is asked whether this one may begin.
const KNOCK: Duration = Duration::from_millis(500);

/// How often there is a report while there is work.
const TICK: Duration = Duration::from_secs(2);

/// The shortest silence after which the first build counts as lost.
const LEAST_SILENCE: Duration = Duration::from_secs(3);

/// What a further build has to do.
pub struct Errand {
    board: Board,
    order: Order,
    /// From 1 on.
    build: usize,
}

impl Errand {
    /// Reads it below the run's prefix; `None` when there is none (any more): the run is over.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn read(bucket: Bucket, prefix: &str, build: usize) -> anyhow::Result<Option<Self>> {
        let board = Board::new(bucket, prefix);
        let order = board.order().await.context("cannot read the order")?;
        Ok(order.map(|order| Self {
            board,
            order,
            build,
        }))
    }

    /// The flags of the first build.
    #[must_use]
    pub fn flags(&self) -> &Flags {
        &self.order.flags
    }

    /// This build's environment with what the first one handed on.
    #[must_use]
    pub fn environment(&self, own: Environment) -> Environment {
        own.with(self.order.environment.clone())
    }

    /// The hosts that a secret's credentials may be for.
    #[must_use]
    pub fn hosts(&self) -> BTreeSet<String> {
        self.order.hosts.iter().cloned().collect()
    }

    /// Makes this build's part of the quotas hold.
    pub fn divide(&self, share: &Share) {
        share.set(part(1, self.order.builds));
    }
}

/// Works until there is nothing left to do, the first build is gone, or the run shall stop. What could not
/// be copied is no error here: the first build tries it itself and tells why it fails.
///
/// # Errors
/// When the bucket cannot be used.
pub async fn work(
    errand: Errand,
    stores: &Arc<Stores>,
    settings: &Settings,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let silence = settings.network.answer.max(LEAST_SILENCE);
    let work = Work {
        done: Arc::new(Done::default()),
        word: Word::default(),
        heard: Instant::now(),
        told: None,
        silence,
        errand: &errand,
    };
    work.run(stores, settings, stop).await
}

struct Work<'a> {
    errand: &'a Errand,
    done: Arc<Done>,
    word: Word,
    /// When the first build's last sign of life came.
    heard: Instant,
    told: Option<(Instant, Report)>,
    silence: Duration,
}

impl Work<'_> {
    async fn run(
        mut self,
        stores: &Arc<Stores>,
        settings: &Settings,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        if !self.is_admitted(stop).await? {
            tracing::info!("nothing is left to do");
            return Ok(());
        }
        let events = Arc::clone(&self.done) as Arc<dyn Events>;
        // The engine shall stop too when the first build says so.
        let stop = stop.child_token();
        let mut hands = Hands::new(stores, settings, events, &stop);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_more = true;
        loop {
            while is_more && hands.run_low() && !stop.is_cancelled() {
                is_more = self.take_next(&mut hands).await?;
            }
            if hands.are_idle() {
                break;
            }
            tokio::select! {
                _ = hands.next() => self.report().await?,
                _ = ticks.tick() => {
                    self.report().await?;
                    if !self.listen().await? {
                        stop.cancel();
                    }
                }
                () = stop.cancelled() => {
                    while !hands.are_idle() {
                        hands.next().await;
                    }
                }
            }
        }
        self.done.report().is_over = true;
        self.report().await
    }

    /// Waits until the first build has left this one its part of the quotas.
    async fn is_admitted(&mut self, stop: &CancellationToken) -> anyhow::Result<bool> {
        loop {
            // There may be nothing to come for any more.
            if !self.listen().await? || self.next_unclaimed().await?.is_none() {
                return Ok(false);
            }
            if self.word.admitted.contains(&self.errand.build) {
                return Ok(true);
            }
            self.report().await?;
            if stop
                .run_until_cancelled(tokio::time::sleep(KNOCK))
                .await
                .is_none()
            {
                return Ok(false);
            }
        }
    }

    /// Hears the first build; whether the work goes on.
    async fn listen(&mut self) -> anyhow::Result<bool> {
        let Some(word) = self.errand.board.word().await? else {
            return Ok(false);
        };
        if word.beat != self.word.beat {
            self.heard = Instant::now();
        }
        self.word = word;
        if self.heard.elapsed() > self.silence {
            tracing::warn!(
                "the first build was not heard of for {} s: this one stops",
                self.silence.as_secs()
            );
            return Ok(false);
        }
        Ok(!self.word.stop)
    }

    async fn next_unclaimed(&self) -> anyhow::Result<Option<usize>> {
        let claimed = self.errand.board.claimed().await?;
        Ok((0..self.errand.order.shards).find(|shard| !claimed.contains(shard)))
    }

    /// Claims the next shard that nobody has; whether there may be more.
    async fn take_next(&mut self, hands: &mut Hands) -> anyhow::Result<bool> {
        let board = &self.errand.board;
        let Some(shard) = self.next_unclaimed().await? else {
            return Ok(false);
        };
        if board.claim(shard, self.errand.build).await?.is_err() {
            return Ok(true);
        }
        let portion = board.shard(shard).await?;
        let portion = portion.with_context(|| format!("shard {shard} is not there"))?;
        let copies = portion.items.into_iter().map(super::board::Item::copy);
        let copies = copies.collect::<anyhow::Result<Vec<(usize, Copy)>>>()?;
        self.done.know(&copies);
        tracing::info!("shard {shard}: {} artifacts", copies.len());
        hands.take(Job {
            surveyed: copies.iter().map(|_| None).collect(),
            bytes: portion.bytes,
            copies,
        });
        Ok(true)
    }

    /// Tells the first build what has happened; now and then also when nothing has.
    async fn report(&mut self) -> anyhow::Result<()> {
        let mut report = self.done.report().clone();
        if let Some((at, told)) = &self.told {
            report.beat = told.beat;
            if report == *told && at.elapsed() < self.silence / 6 {
                return Ok(());
            }
        }
        report.beat += 1;
        self.errand.board.report(self.errand.build, &report).await?;
        self.told = Some((Instant::now(), report));
        Ok(())
    }
}

/// What has been done so far.
#[derive(Default)]
struct Done {
    report: Mutex<Report>,
    /// By target.
    numbers: Mutex<HashMap<String, usize>>,
}

impl Done {
    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn know(&self, copies: &[(usize, Copy)]) {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.extend(
            copies
                .iter()
                .map(|(number, copy)| (copy.target_text.clone(), *number)),
        );
    }
}

impl Events for Done {
    fn expect(&self, bytes: u64) {
        self.report().expected += bytes;
    }

    fn moved(&self, bytes: u64) {
        self.report().moved += bytes;
    }

    fn give_up(&self, bytes: u64) {
        let mut report = self.report();
        report.expected = report.expected.saturating_sub(bytes);
    }

    fn finished(&self, copy: &Copy, outcome: &Outcome) {
        let target = &copy.target_text;
        let number = {
            let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
            numbers.get(target).copied()
        };
        let Some(number) = number else { return };
        let mut report = self.report();
        if let Some(arrived) = Arrived::of(number, outcome) {
            report.arrived.push(arrived);
            tracing::info!(target, bytes = outcome.bytes, "arrived: {target}");
        } else {
            report.failed.push(number);
            let why = outcome.error().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(target, "left to the first build: {target}: {why}");
        }
    }
}
