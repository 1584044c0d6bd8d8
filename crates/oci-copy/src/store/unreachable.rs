//! Hosts that could not be reached, which are not asked again.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Error;

/// The hosts that could not be reached.
#[derive(Debug, Default)]
pub struct Unreachable(Mutex<HashSet<String>>);

impl Unreachable {
    /// Asks a host, unless it could not be reached before. `None` is a folder.
    ///
    /// # Errors
    /// [`Error::Skipped`] where it is not asked, or its own error.
    pub async fn ask<T>(
        &self,
        host: Option<&str>,
        question: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if let Some(host) = host.filter(|host| self.hosts().contains(*host)) {
            return Err(Error::Skipped {
                host: host.to_owned(),
            });
        }
        let answer = question.await;
        if let (Err(error), Some(host)) = (&answer, host)
            && error.is_unreachable()
        {
            self.hosts().insert(host.to_owned());
        }
        answer
    }

    fn hosts(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
