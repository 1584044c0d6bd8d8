//! A plan over several builds of CodeBuild: where one build would take long, the first one starts more
//! of its own project, and all of them take shards of the work from one list until it is empty.
//! `docs/fan-out.md` tells the whole of it.
//!
//! Nobody waits for a build that has not begun: whoever has nothing to do takes the next shard, and a
//! build that comes late finds less to do, or nothing. The first build alone can do everything, takes
//! over what others leave unfinished, and is the only one that publishes.

mod board;
mod crew;
mod first;
pub mod forecast;
mod further;
mod hands;
mod run;
pub mod shard;

pub use first::{Fleet, Place};
pub use further::{Errand, work};
