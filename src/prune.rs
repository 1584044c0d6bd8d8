//! Deleting images that no deployment needs any more: observe, select, plan, and apply the plan after looking again.
//!
//! What is ours is decided as when a module is destroyed: by the tags of repositories. What is needed is what any
//! published result in the bucket names, current or kept, of whichever deployment, and what given locks name. The
//! selection (`select`) is pure. [`Pruner`] does all of it.

mod apply;
mod check;
mod contents;
mod needs;
mod observe;
mod plan;
mod pruned;
mod pruner;
mod published;
mod select;

pub use pruned::{Pruned, Skipped};
pub use pruner::{PruneOptions, Pruner, UNUSED_FOR, read_plan};
