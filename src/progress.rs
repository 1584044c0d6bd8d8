//! Progress: one bar on a terminal; in a build log a line for each artifact that is done, and a status line at least
//! every 15 seconds from the start.

mod screen;
mod status;
mod text;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle, TermLike};
use tokio_util::task::AbortOnDropHandle;

use crate::stderr;
use oci_copy::copy::{CopyError, Done, Events, Outcome, Request};

pub use screen::{Display, Line, Screen};
pub use text::{bytes, bytes_per_second, count, duration};

use status::{Phase, Rate, Status};

/// How often a log gets a status line.
const STATUS_LINE: Duration = Duration::from_secs(15);

/// A failure is logged if the run goes on for longer; where it ends earlier, its summary says so.
const SHORTLY: Duration = Duration::from_secs(3);

/// So many failures for one reason are logged before the summary.
const MOST_FAILURES: usize = 3;

/// How often a bar is drawn, and when for the first time.
const FRAME: Duration = Duration::from_millis(200);

/// The progress of one run.
pub struct Progress {
    display: Display,
    bar: ProgressBar,
    phase: Mutex<Phase>,
    /// Charts or artifacts of this phase that are done, and in all.
    done: AtomicUsize,
    all: AtomicUsize,
    failed: AtomicUsize,
    failures: Mutex<Failures>,
    /// Artifacts whose content is known.
    resolved: AtomicUsize,
    expected: AtomicU64,
    moved: AtomicU64,
    rate: Mutex<Rate>,
    started: Instant,
}

/// What has failed while the rest goes on.
#[derive(Default)]
struct Failures {
    /// How many failures there are, by their reason.
    reasons: HashMap<String, usize>,
    /// Lines for the log, with when they were made.
    waiting: VecDeque<(Instant, String)>,
}

impl Failures {
    /// Why something failed, in short; `None` if enough has failed for this reason.
    fn add(&mut self, error: &CopyError) -> Option<String> {
        if matches!(error, CopyError::Stopped) {
            return None;
        }
        let why = error.reason().unwrap_or_else(|| error.to_string());
        let failures = self.reasons.entry(why.clone()).or_default();
        *failures += 1;
        match *failures {
            MOST_FAILURES => Some(why + "; others for this reason are named at the end"),
            failures => (failures < MOST_FAILURES).then_some(why),
        }
    }
}

/// Shows the progress until it is dropped; then nothing is left of the bar.
pub struct Shown {
    progress: Arc<Progress>,
    _drawing: AbortOnDropHandle<()>,
}

impl std::ops::Deref for Shown {
    type Target = Arc<Progress>;

    fn deref(&self) -> &Arc<Progress> {
        &self.progress
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.progress.bar.finish_and_clear();
    }
}

impl Progress {
    /// Starts to show the progress of a run. Needs a runtime of tokio.
    ///
    /// # Panics
    /// Never: the template is valid.
    #[must_use]
    pub fn start(screen: &Screen) -> Shown {
        let style = ProgressStyle::with_template("{msg}").expect("a valid template");
        let bar = screen.bars.add(ProgressBar::new(0).with_style(style));
        let progress = Arc::new(Self {
            display: screen.display,
            bar,
            phase: Mutex::new(Phase::Starting),
            done: AtomicUsize::new(0),
            all: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            failures: Mutex::default(),
            resolved: AtomicUsize::new(0),
            expected: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            rate: Mutex::default(),
            started: Instant::now(),
        });
        let drawing = tokio::spawn(Arc::clone(&progress).draw());
        Shown {
            progress,
            _drawing: AbortOnDropHandle::new(drawing),
        }
    }

    /// So many steps begin, such as `fetching charts`; 0 where the number is not known.
    pub fn steps(&self, what: &'static str, all: usize) {
        self.begin_phase(Phase::Steps(what), all);
    }

    /// A step is done.
    pub fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Source and target are queried for artifacts.
    pub fn querying(&self, all: usize) {
        self.begin_phase(Phase::Querying, all);
    }

    /// Artifacts are copied, so many.
    pub fn copying(&self, all: usize) {
        self.begin_phase(Phase::Copying, all);
    }

    fn begin_phase(&self, phase: Phase, all: usize) {
        self.done.store(0, Ordering::Relaxed);
        self.all.store(all, Ordering::Relaxed);
        *self.phase() = phase;
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs the failures of a run that goes on.
    fn log_failures(&self) {
        let mut failures = self.failures();
        while let Some((_, line)) = failures
            .waiting
            .pop_front_if(|(since, _)| since.elapsed() >= SHORTLY)
        {
            tracing::info!("{line}");
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is to show now.
    fn status(&self) -> Status {
        let moved = self.moved.load(Ordering::Relaxed);
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        Status {
            phase: *self.phase(),
            done: self.done.load(Ordering::Relaxed),
            all: self.all.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            is_total_known: self.resolved.load(Ordering::Relaxed)
                >= self.all.load(Ordering::Relaxed),
            moved,
            expected: self.expected.load(Ordering::Relaxed),
            rate: rate.at(self.started.elapsed(), moved),
            elapsed: self.started.elapsed(),
        }
    }

    /// Draws the bar, or writes the status lines, until it is dropped.
    async fn draw(self: Arc<Self>) {
        let mut last_line = Instant::now();
        if self.display == Display::Hidden {
            return;
        }
        loop {
            // First, so that a run that ends at once, such as one with bad input, shows no bar.
            tokio::time::sleep(FRAME).await;
            self.log_failures();
            let status = self.status();
            if self.display == Display::Bar {
                let width = stderr::Frames::new().width();
                self.bar.set_message(status.bar(usize::from(width)));
            } else if last_line.elapsed() >= STATUS_LINE {
                last_line = Instant::now();
                tracing::info!(
                    finished = status.done,
                    artifacts = status.all,
                    moved_bytes = status.moved,
                    "… {}",
                    status.line()
                );
            }
        }
    }
}

impl Events for Progress {
    fn resolved(&self) {
        self.resolved.fetch_add(1, Ordering::Relaxed);
    }

    fn expect(&self, bytes: u64) {
        self.expected.fetch_add(bytes, Ordering::Relaxed);
    }

    fn moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    fn cancel_expected(&self, bytes: u64) {
        self.expected.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn finished(&self, request: &Request, outcome: &Outcome) {
        let finished = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let artifacts = self.all.load(Ordering::Relaxed);
        let (source, target) = (&request.source_text, &request.target_text);
        let digest = outcome
            .digest
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let (bytes, seconds) = (outcome.bytes, outcome.took.as_secs_f64());
        match &outcome.done {
            Done::Copied => tracing::info!(
                source,
                target,
                digest,
                bytes,
                seconds,
                "[{finished}/{artifacts}] copied {source} -> {target} ({}, {})",
                HumanBytes(bytes),
                duration(outcome.took)
            ),
            Done::AlreadyThere => {
                tracing::info!(
                    source,
                    target,
                    digest,
                    "[{finished}/{artifacts}] already there: {target}"
                );
            }
            // At the end each failure is reported by its cause, with what to do.
            Done::Failed(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let mut failures = self.failures();
                if let Some(why) = failures.add(error) {
                    let line = format!("[{finished}/{artifacts}] failed: {target}: {why}");
                    failures.waiting.push_back((Instant::now(), line));
                }
            }
        }
        for note in &outcome.notes {
            tracing::warn!(target, "{target}: {note}");
        }
    }
}
