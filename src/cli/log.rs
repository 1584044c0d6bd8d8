//! The log: lines on standard error.

use std::fmt;
use std::io::IsTerminal;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::hint::{self, Advised};
use crate::problem::chain;
use crate::progress::Screen;
use oci_copy::copy::CopyError;

use super::{LogFormat, Messages};

/// Starts the log.
pub(super) fn start(log: &Messages, screen: &Screen, color: bool) {
    let filter = match log.verbose {
        0 if log.quiet => "warn",
        0 => "warn,replication=info",
        1 => "warn,replication=debug,oci_copy=debug",
        _ => "debug,replication=trace",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(screen.clone());
    match log.log_format {
        LogFormat::Json => subscriber
            .json()
            .flatten_event(true)
            .with_target(false)
            .init(),
        LogFormat::Text => {
            let color = color && std::io::stderr().is_terminal();
            subscriber
                .with_ansi(color)
                .fmt_fields(MessageOnly)
                .event_format(Lines { color })
                .init();
        }
    }
}

/// Logs an error: the chain, and what to do.
pub(super) fn failure(error: &anyhow::Error) {
    let remedy = error.chain().find_map(|cause| {
        cause
            .downcast_ref::<CopyError>()
            .and_then(CopyError::remedy)
            .or_else(|| cause.downcast_ref::<oci_copy::http::Error>()?.remedy())
            .or_else(|| cause.downcast_ref::<oci_copy::store::Error>()?.remedy())
            .map(hint::text)
            .or_else(|| cause.downcast_ref::<crate::aws::Error>()?.remedy())
            .or_else(|| Some(cause.downcast_ref::<Advised>()?.remedy))
    });
    tracing::error!("{}", chain(error));
    if let Some(remedy) = remedy {
        hint::log(remedy);
    }
}

/// Text lines: the message, with its level in front unless that is INFO.
struct Lines {
    color: bool,
}

/// Text without control characters, because messages contain text from other programs.
fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.contains(is_control) {
        let keep = |c: char| if is_control(c) { '\u{FFFD}' } else { c };
        text.chars().map(keep).collect::<String>().into()
    } else {
        text.into()
    }
}

/// The message without its fields, which repeat it.
struct MessageOnly;

impl<'writer> FormatFields<'writer> for MessageOnly {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        struct Message<'w>(Writer<'w>, fmt::Result);
        impl tracing::field::Visit for Message<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                if field.name() == "message" {
                    self.1 = self.0.write_str(&printable(&format!("{value:?}")));
                }
            }
        }
        let mut message = Message(writer, Ok(()));
        fields.record(&mut message);
        message.1
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (word, color) = match *event.metadata().level() {
            _ if event.fields().any(|field| field.name() == "hint") => ("", ""),
            Level::ERROR => ("error: ", "\x1b[1;31m"),
            Level::WARN => ("warning: ", "\x1b[1;33m"),
            Level::INFO => ("", ""),
            Level::DEBUG | Level::TRACE => ("debug: ", "\x1b[2m"),
        };
        if self.color && !word.is_empty() {
            write!(writer, "{color}{word}\x1b[0m")?;
        } else {
            write!(writer, "{word}")?;
        }
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
