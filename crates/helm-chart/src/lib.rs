//! Helm charts as Helm sees them, without Helm and without a network.
//!
//! | room | holds |
//! |---|---|
//! | [`yaml`] | YAML with positions, read as Helm reads it |
//! | [`values`] | paths into values, values laid over values, and overrides |
//! | [`set`] | values given on a command line, as `--set` reads them |
//! | [`archive`] | a chart's archive, read within limits, and written as `helm package` writes it |
//! | [`helmignore`] | the rules of `.helmignore` |
//! | [`chart`] | a chart and its subcharts, with what Helm holds of each |
//! | [`dependencies`] | aliases, conditions, tags and imports, and the values that templates see |
//! | [`version`] | versions and constraints |
//! | [`index`] | the `index.yaml` of a chart repository |
//! | [`render`](mod@render) | a chart as Helm renders it |
//! | [`discover`](mod@discover) | where a chart keeps the names of its images |

#![forbid(unsafe_code)]

pub mod archive;
pub mod chart;
pub mod dependencies;
pub mod discover;
pub mod helmignore;
pub mod index;
pub mod render;
pub mod set;
mod strconv;
pub mod values;
pub mod version;
pub mod yaml;
