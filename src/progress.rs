//! What a person sees while it runs: a bar on a terminal; in a build log a line for each finished
//! artifact, and a sign of life in between.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{
    HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::stderr;
use oci_copy::copy::{Done, Events, Outcome, Request};

/// How often a build log gets a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The terminal, or what stands in for it.
#[derive(Debug, Clone)]
pub struct Screen {
    bars: MultiProgress,
    is_terminal: bool,
}

impl Screen {
    /// Looks at standard error. `bars` says whether bars are wanted at all.
    #[must_use]
    pub fn new(bars: bool) -> Self {
        let is_terminal = bars && io::stderr().is_terminal();
        let target = if is_terminal {
            ProgressDrawTarget::term_like(Box::new(stderr::Frames::new()))
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            is_terminal,
        }
    }

    /// Whether standard error is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }
}

/// Standard error, with the bars out of the way while a line is written. It never fails.
pub struct Line(MultiProgress);

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| stderr::write(text));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.bars.clone())
    }
}

const BAR: &str =
    "{msg} [{bar:24}] {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("a valid template");
    style.progress_chars("=> ")
}

/// The progress of one run.
pub struct Progress {
    bar: ProgressBar,
    artifacts: usize,
    finished: AtomicUsize,
    expected: AtomicU64,
    moved: AtomicU64,
    started: Instant,
    is_terminal: bool,
}

impl Progress {
    /// Begins to show the progress of a number of artifacts.
    ///
    /// # Panics
    /// Never: the template is valid.
    #[must_use]
    pub fn start(screen: &Screen, artifacts: usize) -> Arc<Self> {
        let bar = screen
            .bars
            .add(ProgressBar::new(0).with_style(style("{msg} {spinner}")));
        if screen.is_terminal {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        let progress = Arc::new(Self {
            bar,
            artifacts,
            finished: AtomicUsize::new(0),
            expected: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            started: Instant::now(),
            is_terminal: screen.is_terminal,
        });
        progress.show();
        progress
    }

    fn show(&self) {
        self.bar.set_message(format!(
            "{}/{} artifacts",
            self.finished.load(Ordering::Relaxed),
            self.artifacts
        ));
    }

    /// Gives a build log its signs of life, for ever.
    pub async fn heartbeat(self: Arc<Self>) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            if !self.is_terminal {
                let (finished, moved) = (
                    self.finished.load(Ordering::Relaxed),
                    self.moved.load(Ordering::Relaxed),
                );
                let (expected, seconds) = (
                    self.expected.load(Ordering::Relaxed),
                    self.started.elapsed().as_secs().max(1),
                );
                tracing::info!(
                    finished,
                    artifacts = self.artifacts,
                    moved_bytes = moved,
                    "… {finished} of {} artifacts, {} of {} known so far, {}/s",
                    self.artifacts,
                    HumanBytes(moved),
                    HumanBytes(expected),
                    HumanBytes(moved / seconds)
                );
            }
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Events for Progress {
    fn expect(&self, bytes: u64) {
        if self.expected.fetch_add(bytes, Ordering::Relaxed) == 0 {
            // A bar of nothing would look finished.
            self.bar.set_style(style(BAR));
        }
        self.bar.inc_length(bytes);
    }

    fn moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        self.bar.inc(bytes);
    }

    fn give_up(&self, bytes: u64) {
        self.expected.fetch_sub(bytes, Ordering::Relaxed);
        self.bar.dec_length(bytes);
    }

    fn finished(&self, request: &Request, outcome: &Outcome) {
        let finished = self.finished.fetch_add(1, Ordering::Relaxed) + 1;
        self.show();
        let (source, target, artifacts) =
            (&request.source_text, &request.target_text, self.artifacts);
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
                "[{finished}/{artifacts}] copied {source} -> {target} ({}, {seconds:.1} s)",
                HumanBytes(bytes)
            ),
            Done::AlreadyThere => {
                tracing::info!(
                    source,
                    target,
                    digest,
                    "[{finished}/{artifacts}] already there: {target}"
                );
            }
            // The whole story comes at the end, with the remedy.
            Done::Failed(error) => {
                tracing::error!(
                    source,
                    target,
                    "[{finished}/{artifacts}] failed: {target}: {error}"
                );
            }
        }
        for note in &outcome.notes {
            tracing::warn!(target, "{target}: {note}");
        }
    }
}

/// A number of bytes for a person.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A rate for a person.
#[must_use]
pub fn bytes_per_second(rate: f64) -> String {
    format!("{:.0} MB/s", rate / 1e6)
}

/// A time for a person.
#[must_use]
pub fn duration(duration: Duration) -> String {
    if duration < Duration::from_mins(1) {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        HumanDuration(duration).to_string()
    }
}
