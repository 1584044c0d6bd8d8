//! The text that a formatter writes, within limits.

use crate::render::func::Failure;
use crate::render::value::MAX_DEPTH;

/// What one formatted value may cost. A circle of maps (`set . "x" .`) exceeds the depth, values
/// that share their parts exceed the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text.
    pub bytes: usize,
    /// Levels of lists, maps and objects.
    pub depth: usize,
}

impl Default for Limits {
    /// 64 MiB and [`MAX_DEPTH`] levels.
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            depth: MAX_DEPTH,
        }
    }
}

impl Limits {
    pub(super) fn too_deep() -> Failure {
        Failure::Limit(
            "a value has too many levels of lists and maps; does it contain itself?".to_owned(),
        )
    }
}

/// A text being written. The first failure stays, and what is written after it is dropped, so that
/// writers need to look only now and then.
pub(super) struct Output {
    text: String,
    limits: Limits,
    depth: usize,
    failure: Option<Failure>,
}

impl Output {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            text: String::new(),
            limits: *limits,
            depth: 0,
            failure: None,
        }
    }

    pub(super) fn push(&mut self, char: char) {
        if self.has_room(char.len_utf8()) {
            self.text.push(char);
        }
    }

    pub(super) fn push_str(&mut self, text: &str) {
        if self.has_room(text.len()) {
            self.text.push_str(text);
        }
    }

    /// Writes an ASCII character several times.
    pub(super) fn repeat(&mut self, char: char, times: usize) {
        if self.has_room(times) {
            self.text.extend(std::iter::repeat_n(char, times));
        }
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        if self.failure.is_some() {
            return false;
        }
        let has_room = bytes <= self.limits.bytes - self.text.len();
        if !has_room {
            self.fail(Failure::Limit(format!(
                "a value is longer than {} bytes when printed",
                self.limits.bytes
            )));
        }
        has_room
    }

    /// Opens a level of lists or maps. False when there are too many: there is nothing to close then.
    pub(super) fn open(&mut self) -> bool {
        if self.depth == self.limits.depth {
            self.fail(Limits::too_deep());
        }
        if self.failed() {
            return false;
        }
        self.depth += 1;
        true
    }

    pub(super) fn close(&mut self) {
        self.depth -= 1;
    }

    /// Records a failure, unless there was one before.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// Whether there is no point in writing more.
    pub(super) fn failed(&self) -> bool {
        self.failure.is_some()
    }

    pub(super) fn finish(self) -> Result<String, Failure> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.text),
        }
    }
}
