//! Values as text: Go's fmt, YAML as goyaml v2 and v3 write it, JSON as encoding/json does, TOML.

pub mod fmt;
pub mod json;
pub mod toml;
pub mod yaml;

mod convert;
mod output;
#[cfg(test)]
mod tests;
mod view;

pub use crate::strconv::quote;
pub use convert::{from_json_value, to_json_value};
pub use fmt::{sprint, sprintf, sprintln};
pub use json::{from_json, from_json_array, to_json, to_pretty_json, to_raw_json};
pub use output::Limits;
pub use toml::to_toml;
pub use yaml::{from_yaml, from_yaml_array, to_yaml, to_yaml_pretty};
