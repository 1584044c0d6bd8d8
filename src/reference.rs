//! Names at the target, and the hosts of ECR: what stands in front of a name, and from where it is read
//! instead. Pure.

mod ecr_host;
mod mappings;
mod prefix;

pub use ecr_host::EcrHost;
pub use mappings::Mappings;
pub use prefix::Prefix;
