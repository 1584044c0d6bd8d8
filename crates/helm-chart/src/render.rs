//! Renders a chart as Helm renders it: no Go, no helm program, no network, no clock, no randomness.
//!
//! | room | holds |
//! |---|---|
//! | [`value`] | what a template works on: Go's values, maps shared and mutable |
//! | [`text`] | Go's strings, which are bytes and need not be UTF-8 |
//! | [`func`] | how a function is declared: name, parameter types, what it may spend |
//! | [`template`] | Go's text/template: lexer, parser, executor, error texts |
//! | [`functions`] | the functions of Sprig and of Helm |
//! | [`release`] | a chart as `helm template` renders it: dependencies, values, schema, templates, manifests |
//! | [`images`] | which strings of rendered manifests name images |
//! | [`switches`] | which further images a chart names once its switches are on |
//! | [`format`] | Go's fmt, and values as YAML (goyaml v2 and v3), JSON and TOML |

pub mod format;
pub mod func;
pub mod functions;
mod glob;
pub mod images;
mod manifests;
mod objects;
pub mod release;
mod schema;
mod session;
mod show_only;
pub mod switches;
pub mod template;
pub mod text;
mod time;
pub mod value;

pub use manifests::{Hook, Manifest};
pub use objects::{Capabilities, HELM_VERSION, KubeVersion};
pub use session::together;
pub use show_only::show_only;
