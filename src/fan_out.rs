//! A plan over several builds of CodeBuild: where one build would take long, that build, the coordinator,
//! starts workers of its own project, and all of them take shards of the work from one list until it is
//! empty. `docs/internals/fan-out.md` has the protocol.
//!
//! Nothing waits for a build that has not begun: an idle build takes the next shard, and a late worker
//! finds less to do, or nothing. The coordinator alone can do everything, takes over what workers leave
//! unfinished, and is the only build that publishes.

mod coordinator;
pub mod decision;
mod executor;
pub mod forecast;
mod run;
mod run_store;
pub mod shard;
mod shard_spec;
mod start;
mod worker;
mod workers;

pub use coordinator::{Coordinator, RunPlace};
pub use worker::{WorkerTask, run_task};
