//! Names at the target, and the hosts of ECR: what stands in front of a name, and from where it is read
//! instead. Pure.

mod ecr_host;
mod mappings;
mod prefix;

pub use ecr_host::EcrHost;
pub use mappings::Mappings;
pub use prefix::Prefix;

/// The prefix of a plan for no particular target, as a lock or a bundle has it.
pub const ANY_TARGET: &str = "target.invalid/";
