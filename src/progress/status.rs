//! What a bar and a status line say. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use super::{bytes, bytes_per_second, count, duration};

/// The rate is that of this much time.
const RATE_OF: Duration = Duration::from_secs(10);

/// A rate is shown after this much time.
const LEAST: Duration = Duration::from_secs(1);

/// The longest bar, in characters without its brackets.
const BAR: usize = 24;

/// The shortest.
const SHORT_BAR: usize = 8;

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    /// So many steps of a kind, or an unknown number of them.
    Steps(&'static str),
    Querying,
    Copying,
}

/// What there is to show at one moment.
#[derive(Debug, Clone)]
pub(super) struct Status {
    pub(super) phase: Phase,
    /// Charts or artifacts of the phase that are done.
    pub(super) done: usize,
    pub(super) all: usize,
    pub(super) failed: usize,
    /// Whether the content of all artifacts is known.
    pub(super) is_total_known: bool,
    pub(super) moved: u64,
    pub(super) expected: u64,
    /// Bytes per second, once it was measured.
    pub(super) rate: Option<f64>,
    pub(super) elapsed: Duration,
}

/// The throughput of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Rate(VecDeque<(Duration, u64)>);

impl Rate {
    /// Records how much was moved until now; the throughput in bytes per second, once it can be told.
    pub(super) fn at(&mut self, now: Duration, moved: u64) -> Option<f64> {
        // What came before the first byte is no time of transfer.
        if moved == 0 {
            self.0.clear();
        }
        self.0.push_back((now, moved));
        while self.0.len() > 2 && now.saturating_sub(self.0[1].0) >= RATE_OF {
            self.0.pop_front();
        }
        let (then, before) = *self.0.front()?;
        let time = now.saturating_sub(then);
        #[expect(clippy::cast_precision_loss, reason = "a rate to show")]
        let bytes = moved.saturating_sub(before) as f64;
        (time >= LEAST && bytes > 0.0).then(|| bytes / time.as_secs_f64())
    }
}

impl Status {
    /// The time that is left, once it can be told.
    fn left(&self) -> Option<Duration> {
        let rate = self.rate?;
        #[expect(clippy::cast_precision_loss, reason = "a time to show")]
        let left = self.expected.saturating_sub(self.moved) as f64;
        Duration::try_from_secs_f64(left / rate).ok()
    }

    fn at_least(&self) -> &'static str {
        if self.is_total_known { "" } else { "at least " }
    }

    /// What it does, and how far that is; no bytes.
    fn counts(&self, noun: &str) -> String {
        let failed = match self.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        match self.phase {
            Phase::Starting => "starting".to_owned(),
            Phase::Steps(what) if self.all == 0 => what.to_owned(),
            Phase::Steps(what) => format!("{what}: {} of {}", self.done, self.all),
            Phase::Querying => {
                let artifacts = count(self.all, "artifact");
                format!("querying source and target for {artifacts}")
            }
            Phase::Copying => format!("{} of {}{noun}{failed}", self.done, self.all),
        }
    }

    /// Nothing as long as nothing is known to be moved.
    fn bytes(&self) -> Option<String> {
        let (moved, expected) = (bytes(self.moved), bytes(self.expected));
        (self.expected > 0).then(|| format!("{moved} of {}{expected}", self.at_least()))
    }

    fn time_left(&self) -> Option<String> {
        let left = self.left().filter(|left| !left.is_zero())?;
        Some(format!("{}{} left", self.at_least(), duration(left)))
    }

    /// A status line.
    pub(super) fn line(&self) -> String {
        if self.phase != Phase::Copying {
            return format!("{}, {}", self.counts(""), duration(self.elapsed));
        }
        let mut parts = vec![self.counts(" artifacts")];
        parts.extend(self.bytes());
        parts.extend(self.rate.map(bytes_per_second));
        parts.extend(self.time_left());
        parts.join(", ")
    }

    /// A line of a width, in characters, or less: what fits of it, the most important first.
    pub(super) fn bar(&self, width: usize) -> String {
        const GAP: &str = "  ";
        // The last column stays free: some terminals wrap after it.
        let width = width.saturating_sub(1);
        if self.phase != Phase::Copying {
            return cut(&self.line(), width);
        }
        let mut line = cut(&self.counts(""), width);
        let parts = [
            self.bytes(),
            self.time_left(),
            self.rate.map(bytes_per_second),
        ];
        for part in parts.into_iter().flatten() {
            if length(&line) + GAP.len() + length(&part) <= width {
                line = line + GAP + &part;
            }
        }
        let room = width.saturating_sub(length(&line) + GAP.len() + 2);
        if room < SHORT_BAR {
            return line;
        }
        format!("[{}]{GAP}{line}", self.filled(room.min(BAR)))
    }

    fn filled(&self, width: usize) -> String {
        let part = match self.expected {
            0 => 0,
            expected => self.moved.min(expected) * width as u64 / expected,
        };
        let part = usize::try_from(part).unwrap_or(width).min(width);
        let mut filled = "=".repeat(part);
        if part < width {
            filled.push('>');
        }
        format!("{filled:width$}")
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            phase: Phase::Copying,
            done: 1234,
            all: 2345,
            failed: 12,
            is_total_known: false,
            moved: 123 << 30,
            expected: 1234 << 30,
            rate: Some(123.4e6),
            elapsed: Duration::from_secs(75),
        }
    }

    #[test]
    fn a_bar_never_reaches_the_edge() {
        for width in 1..200 {
            for phase in [
                Phase::Starting,
                Phase::Steps("fetching charts"),
                Phase::Querying,
                Phase::Copying,
            ] {
                let bar = Status { phase, ..status() }.bar(width);
                assert!(length(&bar) < width.max(1), "{width}: {bar}");
            }
        }
    }

    #[test]
    fn a_bar_says_as_much_as_fits() {
        assert_eq!(status().bar(40), "1234 of 2345, 12 failed  118 MiB/s");
        assert_eq!(
            status().bar(80),
            "[>       ]  1234 of 2345, 12 failed  123.00 GiB of at least 1.21 TiB  118 MiB/s"
        );
        let known = Status {
            done: 3,
            all: 9,
            failed: 0,
            is_total_known: true,
            moved: 5 << 20,
            expected: 20 << 20,
            rate: Some(1e6),
            ..status()
        };
        assert_eq!(known.bar(40), "3 of 9  5.00 MiB of 20.00 MiB");
        assert_eq!(
            known.bar(80),
            "[=====>                ]  3 of 9  5.00 MiB of 20.00 MiB  15.7 s left  977 KiB/s"
        );
        assert_eq!(
            known.line(),
            "3 of 9 artifacts, 5.00 MiB of 20.00 MiB, 977 KiB/s, 15.7 s left"
        );
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let (mut rate, second) = (Rate::default(), Duration::from_secs(1));
        assert_eq!(rate.at(second, 0), None);
        // An hour of preparation is not part of it.
        assert_eq!(rate.at(second * 3600, 0), None);
        assert_eq!(rate.at(second * 3601, 500), Some(500.0));
        for more in 0..20 {
            rate.at(second * (3602 + more), 500);
        }
        assert_eq!(rate.at(second * 3630, 500), None);
    }
}
