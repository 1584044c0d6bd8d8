//! Where a chart keeps the names of its images: found by rendering it with markers.
//!
//! Values that can be parts of an image's name are set to markers, and the rendered references say which
//! value controls which part. No template is read. Few renders are enough, because each marker is
//! different: one for the references, one with all likely values marked, one that checks the result; more
//! where that does not explain all references, for digests, and where a chart refuses a marker.
//!
//! | part | holds |
//! |---|---|
//! | `leaf` | which values are tried, and their markers |
//! | `seen` | references by their places in the rendered objects |
//! | `shape` | what a marked reference says |
//! | `renders` | renders with markers; halves what a chart refuses |
//! | `variant` | one way in which the chart is rendered, with the references to move |
//! | `search` | the rounds |
//! | `charts` | whose value a path is, and whose version a tag |
//! | [`pin`](mod@pin) | digests written where the chart takes them |
//! | `check` | the last render, which accepts a reference only if it is exactly the target |

mod charts;
mod check;
mod leaf;
pub mod pin;
mod renders;
mod search;
mod seen;
mod shape;
#[cfg(test)]
mod tests;
mod variant;

use serde_json::{Map, Value as Json};

use crate::chart::Chart;
use crate::render::images::Image;
use crate::render::release::{Error, Options};
use crate::render::switches::Switch;
use crate::render::together;
use crate::values::Path;

/// What is discovered.
pub struct Request<'a> {
    /// The chart.
    pub chart: &'a Chart,
    /// The values of each way in which it is installed; one of `{}` for the chart as it is.
    pub scenarios: &'a [Json],
    /// How it is rendered.
    pub options: &'a Options,
    /// Whether images count that only switches add.
    pub switches: bool,
    /// What an original reference becomes; `None` where it stays as it is.
    pub target: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

/// Where a chart keeps the names of its images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Discovery {
    /// The images that its values move to the target, checked by a render.
    pub images: Vec<MovedImage>,
    /// The references that no value moves.
    pub unmoved: Vec<Unmoved>,
    /// Values of any type that the chart demands besides, such as `global.security.allowInsecureImages`.
    pub required: Map<String, Json>,
    /// All values that move the images, `required` among them: what the last render was given.
    pub values: Map<String, Json>,
    /// Scenarios, by their index, that do not render, and why.
    pub failed: Vec<(usize, String)>,
    /// How many times the chart was rendered.
    pub renders: usize,
    /// Whether the search ended early because it took too many renders.
    pub is_partial: bool,
}

/// An image, and the values that its reference is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedImage {
    /// The reference to copy: as the chart has it, without a digest that is blanked.
    pub reference: String,
    /// The part before the `/` in front of the repository, where a value holds it.
    pub registry: Option<PartSource>,
    /// The repository, or all that stands before the tag, or all of the reference.
    pub repository: PartSource,
    /// The tag, where it is not a part of `repository`.
    pub tag: Option<PartSource>,
    /// Digests that would win over the tag, and become empty.
    pub remove: Vec<ValuePath>,
    /// The empty value beside the tag that would hold a digest.
    pub digest: Option<ValuePath>,
    /// Where it is used.
    pub uses: Vec<Image>,
    /// What must be switched on for it to be used.
    pub switches: Vec<Switch>,
}

/// A value: a path within a chart or subchart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValuePath {
    /// The keys of the subcharts, the outermost first; empty for the chart itself.
    pub subchart: Vec<String>,
    /// The path within its values.
    pub path: Path,
}

/// Where a part of a reference comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartSource {
    /// A value of the chart.
    Value {
        /// Where it is.
        place: ValuePath,
        /// What the template puts behind it.
        suffix: String,
    },
    /// A text that the template has where a value is empty.
    Default {
        /// The text.
        text: String,
        /// The value.
        place: ValuePath,
    },
    /// The appVersion of the chart or a subchart.
    AppVersion {
        /// The keys of the subcharts, the outermost first.
        subchart: Vec<String>,
        /// What the template puts in front.
        prefix: String,
        /// The empty value that would be used instead.
        place: Option<ValuePath>,
    },
    /// A text that no value changes by itself.
    Text(String),
}

/// A reference that stays what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmoved {
    /// The reference.
    pub reference: String,
    /// Why.
    pub reason: Reason,
    /// Where it is used.
    pub uses: Vec<Image>,
    /// What must be switched on for it to be used.
    pub switches: Vec<Switch>,
}

/// Why a reference stays what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No value changes it.
    #[error("no value changes it: it is fixed in {template}")]
    Fixed {
        /// The template.
        template: String,
    },
    /// Its beginning is fixed.
    #[error("its beginning is fixed in {template}; of its name only {} can be set", list(.values))]
    Beginning {
        /// The template.
        template: String,
        /// The paths of the values that control other parts.
        values: Vec<String>,
    },
    /// A template makes something else of the value.
    #[error("{template} changes the value at {value} before it uses it")]
    Changed {
        /// The template.
        template: String,
        /// The value's path.
        value: String,
    },
    /// It is a part of a longer text.
    #[error("it is within the longer text at {value}, which would have to be set as a whole")]
    Within {
        /// The value's path.
        value: String,
    },
    /// The value is within a list that only the given values have.
    #[error("it is in a list of the given values at {value}, not of the chart: set it there")]
    Given {
        /// The value's path.
        value: String,
    },
    /// Another image needs another text in the same value.
    #[error("{value} is used by another image too, which needs another text there")]
    Shared {
        /// The value's path.
        value: String,
    },
    /// The chart does not render with the value.
    #[error("the chart does not render with {value} set: {error}")]
    Refused {
        /// The value's path.
        value: String,
        /// Its words.
        error: String,
    },
    /// It became something else than the target.
    #[error("with {} set it becomes {found} and not {target}", list(.values))]
    Missed {
        /// The values that were set.
        values: Vec<String>,
        /// What it became; empty when it is gone.
        found: String,
        /// What it should be.
        target: String,
    },
}

fn list(values: &[String]) -> String {
    values.join(", ")
}

impl Discovery {
    /// The values path that moves a reference, and where there are several, the first.
    #[must_use]
    pub fn path_of(&self, reference: &str) -> Option<&ValuePath> {
        let image = self
            .images
            .iter()
            .find(|image| image.reference == reference)?;
        let first = image.registry.as_ref().unwrap_or(&image.repository);
        first.place()
    }
}

impl PartSource {
    /// The value that is set.
    #[must_use]
    pub fn place(&self) -> Option<&ValuePath> {
        match self {
            Self::Value { place, .. } | Self::Default { place, .. } => Some(place),
            Self::AppVersion { place, .. } => place.as_ref(),
            Self::Text(_) => None,
        }
    }
}

impl std::fmt::Display for ValuePath {
    /// The path from the top chart's values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.below(&self.subchart).fmt(f)
    }
}

/// Finds out where a chart keeps the names of its images. The same request always gives the same answer.
///
/// # Errors
/// When the chart renders in no scenario.
pub fn discover(request: &Request<'_>) -> Result<Discovery, Error> {
    together(|| search::Search::new(request)?.run())
}
