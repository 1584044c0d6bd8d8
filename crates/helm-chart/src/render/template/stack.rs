//! A stack that is deep enough for the limits of a render.

use std::thread;

use crate::render::value::forget_changed_maps;

/// The stack of a render. Only what is used of it becomes memory.
const STACK: usize = 256 << 20;

/// Runs a render on a thread of its own, whose stack holds as many templates within each other as
/// [`Limits`](super::Limits) allow. Values cannot leave it; circles among them end with it.
///
/// # Errors
/// The system has no room for another thread.
///
/// # Panics
/// When the render panics.
pub fn on_own_stack<T: Send>(render: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    thread::scope(|scope| {
        let builder = thread::Builder::new()
            .name("render".to_owned())
            .stack_size(STACK);
        let thread = builder.spawn_scoped(scope, || {
            let result = render();
            forget_changed_maps();
            result
        })?;
        match thread.join() {
            Ok(result) => Ok(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
