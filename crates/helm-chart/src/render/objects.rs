//! What a template sees besides its values: `.Chart`, `.Files`, `.Capabilities`.
//!
//! Types, fields and methods are those of helm v3.22 (`pkg/engine`, `pkg/chart`, `pkg/chartutil`).

mod capabilities;
mod chart;
mod files;

pub(super) use capabilities::capabilities;
pub use capabilities::{Capabilities, HELM_VERSION, KubeVersion};
pub(super) use chart::chart;
pub(super) use files::Files;
