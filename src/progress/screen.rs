//! The terminal, or the log in its place.

use std::io::{self, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};
use tracing_subscriber::fmt::MakeWriter;

use crate::stderr;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// A bar.
    Bar,
    /// Status lines.
    Lines,
    /// Not at all.
    Hidden,
}

impl Display {
    /// A bar where standard error is a terminal, otherwise lines.
    #[must_use]
    pub fn auto() -> Self {
        if io::stderr().is_terminal() {
            Self::Bar
        } else {
            Self::Lines
        }
    }
}

/// The terminal, or the log in its place.
#[derive(Debug, Clone)]
pub struct Screen {
    pub(super) bars: MultiProgress,
    pub(super) display: Display,
}

impl Screen {
    /// A screen that shows progress in one way.
    #[must_use]
    pub fn new(display: Display) -> Self {
        let target = if display == Display::Bar {
            ProgressDrawTarget::term_like(Box::new(stderr::Frames::new()))
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            display,
        }
    }
}

/// Standard error; the bar is hidden while a line is written. It never fails.
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
