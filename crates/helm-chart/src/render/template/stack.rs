//! A stack that is deep enough for the limits of a render.

use std::hint::black_box;
use std::thread;

use crate::render::value::forget_changed_maps;

/// The stack of a render. Only what is used of it becomes memory.
const STACK: usize = 256 << 20;

/// What a render of a large chart takes from the allocator.
const ROOM: usize = 24 << 20;

/// Has the allocator take room for a thread at once. glibc grows the heap of a thread page by page, each with a
/// call of the system, and gives large blocks back with another, until a block of some size has been freed.
/// What is not used never becomes memory.
fn make_room() {
    drop(black_box(Vec::<u8>::with_capacity(ROOM)));
    drop(black_box(Vec::<u8>::with_capacity(ROOM / 2)));
}

/// Runs a render on a separate thread, whose stack holds as many templates within each other as
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
            make_room();
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
