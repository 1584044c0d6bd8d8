//! An error in words: what went wrong, and what to do about it.

use std::fmt;

use super::{Error, Reason};
use crate::http::tls;
use crate::remedy::Remedy;

impl Error {
    /// What is wrong with the host, not only with this content, in words: "quay.io: 401
    /// Unauthorized".
    #[must_use]
    pub fn common(&self) -> Option<String> {
        let host = self.host()?;
        match &*self.reason {
            Reason::Status { .. } if self.is_pull_limit() => {
                Some(format!("{host}: the limit of pulls is used up"))
            }
            Reason::Status { status, .. } => matches!(status.as_u16(), 401 | 403 | 429 | 500..=599)
                .then(|| format!("{host}: {status}")),
            Reason::Transport(error) if error.is_connect() => {
                Some(format!("{host}: no connection"))
            }
            Reason::Transport(_) => Some(format!("{host}: connections break")),
            Reason::Timeout(_) | Reason::Slow(_) => {
                Some(format!("{host}: it does not answer in time"))
            }
            Reason::TooLarge(_) | Reason::Unbuilt(_) | Reason::Refused(_) => None,
        }
    }

    /// What went wrong, in one line and without the request.
    #[must_use]
    pub fn why(&self) -> String {
        let text = self.to_string();
        let why = text.strip_prefix(&self.request).unwrap_or(&text);
        let mut why = why.trim_start_matches(": ").to_owned();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            why = format!("{why}: {error}");
            cause = error.source();
        }
        why
    }

    /// What a user can do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match &*self.reason {
            Reason::Status { .. } if self.has_code("TAG_INVALID") => Some(Remedy::Text(
                "the tag names other content there, and tags of its repository are immutable: delete the tag at the \
                 target, or make the repository's tags mutable",
            )),
            Reason::Status { .. } if self.is_pull_limit() => Some(Remedy::PullLimit),
            _ if self.remedy.is_some() => self.remedy.map(Remedy::Text),
            Reason::Status { status, .. } => match status.as_u16() {
                401 | 403 => Some(Remedy::Text(
                    "check the credentials for this host (~/.docker/config.json) and what they may read or write",
                )),
                429 => Some(Remedy::Text(
                    "the host limits requests: log in to it (Docker Hub allows more to users who log in), or run again later",
                )),
                _ => None,
            },
            Reason::Transport(error) if tls::error_of(error).is_some() => {
                tls::error_of(error).and_then(tls::remedy)
            }
            Reason::Transport(error) if error.is_connect() => Some(Remedy::Unreachable),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.request)?;
        match &*self.reason {
            Reason::Status { status, codes, .. } => {
                write!(f, "{status}")?;
                for code in codes {
                    write!(f, ": {}", code.code)?;
                    if !code.message.is_empty() {
                        write!(f, ": {}", code.message)?;
                    }
                }
                Ok(())
            }
            Reason::Transport(error) if error.is_connect() => f.write_str("no connection"),
            Reason::Transport(_) => f.write_str("the connection broke"),
            Reason::Timeout(waited) => write!(f, "nothing came for {} s", waited.as_secs()),
            Reason::Slow(min_throughput) => {
                write!(f, "it moved less than {min_throughput} bytes a second")
            }
            Reason::TooLarge(limit) => write!(f, "the answer has more than {limit} bytes"),
            Reason::Unbuilt(_) => f.write_str("it cannot be made"),
            Reason::Refused(why) => f.write_str(why),
        }?;
        match &self.note {
            Some(note) => write!(f, " ({note})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.reason {
            // One level down: what the client says first is only "error sending request".
            Reason::Transport(error) => error.source(),
            Reason::Unbuilt(error) => Some(error),
            _ => None,
        }
    }
}
