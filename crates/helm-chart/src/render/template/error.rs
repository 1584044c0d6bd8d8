//! What can go wrong, in Go's words and in Helm's.

use std::fmt;

/// What `required` and `fail` put around a chart's own message, so that Helm finds it in Go's.
pub const MESSAGE_START: &str = "HELM_ERR_START";
/// What ends such a message.
pub const MESSAGE_END: &str = "HELM_ERR_END";

/// Why a template could not be parsed or executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    /// Go's message.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Parse,
    Execute,
    NoTemplate,
    Limit,
}

impl Error {
    pub(super) fn parse(text: String) -> Self {
        let kind = Kind::Parse;
        Self { kind, text }
    }

    pub(super) fn execute(text: String) -> Self {
        let kind = Kind::Execute;
        Self { kind, text }
    }

    pub(super) fn no_template(text: String) -> Self {
        let kind = Kind::NoTemplate;
        Self { kind, text }
    }

    pub(super) fn limit(text: String) -> Self {
        let kind = Kind::Limit;
        Self { kind, text }
    }

    /// The message as Go's text/template words it.
    #[must_use]
    pub fn go(&self) -> &str {
        &self.text
    }

    /// Whether one of the [`Limits`](super::Limits) was reached.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.kind == Kind::Limit
    }

    /// Helm's message about a text that is no template: the place, and the last part of Go's.
    fn write_parse(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.text.split(": ").collect();
        match (parts.get(1), parts.last()) {
            (Some(place), Some(message)) => write!(f, "parse error at ({place}): {message}"),
            _ => f.write_str(&self.text),
        }
    }

    /// Helm's message about an execution: of a message of the chart's own, nothing but that.
    fn write_execute(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.text.splitn(3, ": ");
        if let (Some(_), Some(place), Some(message)) = (parts.next(), parts.next(), parts.next())
            && let Some((_, message)) = message.split_once(MESSAGE_START)
            && let Some((message, _)) = message.rsplit_once(MESSAGE_END)
        {
            return write!(f, "execution error at ({place}): {message}");
        }
        f.write_str(&self.text)
    }
}

/// As Helm words it.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Parse => self.write_parse(f),
            Kind::Execute => self.write_execute(f),
            Kind::NoTemplate | Kind::Limit => f.write_str(&self.text),
        }
    }
}

impl std::error::Error for Error {}
