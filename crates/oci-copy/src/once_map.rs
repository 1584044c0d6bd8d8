//! Values that are found out once each.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Values by key. Concurrent requests for one key wait for one computation; a failed one is repeated by
/// the next request.
#[derive(Debug)]
pub struct OnceMap<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for OnceMap<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> OnceMap<K, V> {
    /// The value of a key, computed if there is none yet.
    ///
    /// # Errors
    /// What the computation says.
    pub async fn get_or_try_init<E, F: Future<Output = Result<V, E>>>(
        &self,
        key: K,
        compute: impl FnOnce() -> F,
    ) -> Result<V, E> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(key).or_default())
        };
        cell.get_or_try_init(compute).await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn a_value_is_computed_once_and_a_failure_is_not_kept() {
        let (map, runs) = (OnceMap::default(), AtomicUsize::new(0));
        let ask = |key: &'static str, value: Result<u8, ()>| {
            let runs = &runs;
            map.get_or_try_init(key, move || async move {
                runs.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                value
            })
        };
        assert_eq!(ask("a", Err(())).await, Err(()));
        let both = tokio::join!(ask("a", Ok(1)), ask("a", Ok(2)));
        assert_eq!(both, (Ok(1), Ok(1)));
        assert_eq!(ask("b", Ok(3)).await, Ok(3));
        assert_eq!(runs.into_inner(), 3);
    }
}
