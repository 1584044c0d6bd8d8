//! What a data file and the values say of one image.

use serde_json::Value as Json;

use super::super::charts::Charts;
use super::super::shape::{self, Part, Shape};
use super::super::variant::Wanted;
use super::super::{PartSource, Reason, ValuePath};
use crate::values::{Overrides, Path};

/// What is written for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) reference: String,
    pub(super) target: String,
    pub(super) registry: Option<PartSource>,
    pub(super) repository: PartSource,
    pub(super) tag: Option<PartSource>,
    pub(super) remove: Vec<ValuePath>,
    writes: Vec<(Path, String)>,
}

impl Entry {
    /// What is written for one reference.
    pub(super) fn new(charts: &Charts, shape: &Shape, wanted: &Wanted) -> Result<Self, Reason> {
        let template = &wanted.image.template;
        let missed = || Reason::Missed {
            values: shape
                .registry_path()
                .map(|path| Path::from_parts(path.to_vec()).to_string())
                .into_iter()
                .collect(),
            found: wanted.original.clone(),
            target: wanted.target.clone(),
        };
        let (name, tag) = match shape.tag {
            Some(_) => shape::split(&wanted.target),
            None => (wanted.target.as_str(), None),
        };
        let mut writes = Vec::new();
        let registry = match &shape.registry {
            None => None,
            Some(part) => {
                let repository = shape.repository.text().to_lowercase();
                let rest = format!("/{repository}");
                let text = name.strip_suffix(rest.as_str()).ok_or_else(missed)?;
                let source = charts.source(part)?;
                writes.extend(source.write(text));
                Some(source)
            }
        };
        let repository = charts.source(&shape.repository)?;
        let text = match (&registry, &shape.repository) {
            (Some(_), part) => part.text().to_lowercase(),
            (None, Part::Leaf { suffix, .. }) => name
                .strip_suffix(suffix.as_str())
                .ok_or_else(missed)?
                .to_owned(),
            (None, _) => name.to_owned(),
        };
        writes.extend(repository.write(&text));
        let tag = match (&shape.tag, tag) {
            (Some(part), Some(tag)) => {
                let source = charts.tag(part, template)?;
                let is_own = part.text() == tag && matches!(source, PartSource::AppVersion { .. });
                writes.extend(source.write(tag).filter(|_| !is_own));
                Some(source)
            }
            _ => None,
        };
        let remove: Vec<ValuePath> = wanted
            .remove
            .iter()
            .map(|path| charts.place(path))
            .collect();
        writes.extend(remove.iter().map(|place| (place.full(), String::new())));
        Ok(Self {
            reference: wanted.original.clone(),
            target: wanted.target.clone(),
            registry,
            repository,
            tag,
            remove,
            writes,
        })
    }

    /// Adds its values to those of other images.
    ///
    /// # Errors
    /// The value that another image needs otherwise.
    pub(super) fn write(&self, overrides: &mut Overrides, chart: &Json) -> Result<(), String> {
        let mut all = overrides.clone();
        for (path, text) in &self.writes {
            all.write(path, text.as_str(), chart)
                .map_err(|conflict| conflict.path.to_string())?;
        }
        *overrides = all;
        Ok(())
    }

    pub(super) fn first_path(&self) -> String {
        let first = self.writes.first();
        first.map(|(path, _)| path.to_string()).unwrap_or_default()
    }

    pub(super) fn missed(&self, found: &str) -> Reason {
        let paths = self.writes.iter().map(|(path, _)| path.to_string());
        Reason::Missed {
            values: paths.collect(),
            found: found.to_owned(),
            target: self.target.clone(),
        }
    }
}

impl Shape {
    /// The path of the value that controls the beginning.
    fn registry_path(&self) -> Option<&[String]> {
        match self.registry.as_ref().unwrap_or(&self.repository) {
            Part::Leaf { path, .. } | Part::Empty { path, .. } => Some(path),
            Part::Text(_) => None,
        }
    }
}

impl PartSource {
    fn write(&self, text: &str) -> Option<(Path, String)> {
        Some((self.place()?.full(), text.to_owned()))
    }
}

impl ValuePath {
    /// The path from the top chart's values.
    pub(super) fn full(&self) -> Path {
        self.path.below(&self.subchart)
    }
}
