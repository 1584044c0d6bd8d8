//! JSON as Go's encoding/json writes and reads it.

mod read;
mod write;

pub(super) use read::{GoType, type_error};
pub use read::{from_json, from_json_array, unmarshal};
pub use write::{to_json, to_pretty_json, to_raw_json};
