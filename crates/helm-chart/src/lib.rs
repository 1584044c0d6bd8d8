//! Helm charts as Helm sees them, without Helm and without a network.
//!
//! | room | holds |
//! |---|---|
//! | [`yaml`] | YAML with positions, read as Helm reads it |
//! | [`values`] | paths into values, and values laid over values |
//! | [`archive`] | a chart's archive, read within limits, and written as `helm package` writes it |
//! | [`helmignore`] | the rules of `.helmignore` |
//! | [`chart`] | what a chart and its subcharts say of themselves |
//! | [`index`] | the `index.yaml` of a chart repository |
//! | [`render`](mod@render) | a chart as Helm renders it |

#![forbid(unsafe_code)]

pub mod archive;
pub mod chart;
pub mod helmignore;
pub mod index;
pub mod render;
pub mod values;
pub mod yaml;
