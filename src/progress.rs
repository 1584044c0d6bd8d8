//! Progress: a bar on a terminal; in a build log a line for each finished artifact, and a status line in
//! between.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use crate::stderr;
use oci_copy::copy::{Done, Events, Outcome, Request};

/// How often a build log gets a status line.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The terminal, or the log in its place.
#[derive(Debug, Clone)]
pub struct Screen {
    bars: MultiProgress,
    is_terminal: bool,
}

impl Screen {
    /// Finds out whether standard error is a terminal. Without `bars` there are no bars.
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

/// Standard error; the bars are hidden while a line is written. It never fails.
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
    /// Starts to show the progress of a number of artifacts.
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

    /// Writes the status lines of a build log, until it is dropped.
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

    /// Removes the bar.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Events for Progress {
    fn expect(&self, bytes: u64) {
        if self.expected.fetch_add(bytes, Ordering::Relaxed) == 0 {
            // A bar of zero bytes would look finished.
            self.bar.set_style(style(BAR));
        }
        self.bar.inc_length(bytes);
    }

    fn moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        self.bar.inc(bytes);
    }

    fn cancel_expected(&self, bytes: u64) {
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
            // The details come at the end, with the remedy.
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

/// A number of bytes as text, such as `1.20 MiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A number of things as text: `1 artifact`, `2 artifacts`, `2 repositories`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {noun}s"),
    }
}

/// A rate as text, such as `95 MiB/s`.
#[must_use]
pub fn bytes_per_second(rate: f64) -> String {
    format!("{:.0} MiB/s", rate / f64::from(1 << 20))
}

/// A time as text: `1.2 s`, `3 min 10 s`, `2 h 5 min`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60) {
        (0, 0) => format!("{:.1} s", duration.as_secs_f64()),
        (0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (hours, minutes) => format!("{hours} h {} min", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(count(1, "artifact"), "1 artifact");
        assert_eq!(count(0, "artifact"), "0 artifacts");
        assert_eq!(count(2, "repository"), "2 repositories");
    }

    #[test]
    fn times_have_the_units_that_fit() {
        for (seconds, shown) in [
            (0, "0.0 s"),
            (59, "59.0 s"),
            (60, "1 min 0 s"),
            (190, "3 min 10 s"),
            (7500, "2 h 5 min"),
            (50_000, "13 h 53 min"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), shown);
        }
        assert_eq!(bytes_per_second(100e6), "95 MiB/s");
    }
}
