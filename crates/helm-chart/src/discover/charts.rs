//! The chart and its subcharts: whose value a path is, and whose version a tag.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::shape::Part;
use super::{PartSource, Reason, ValuePath};
use crate::chart::Chart;
use crate::dependencies::{Enabled, Processed, settle};
use crate::render::release::Error;
use crate::values::Path;
use crate::values::table::Work;
use crate::yaml::template_text;

pub(super) struct Charts {
    /// The appVersion of each, by its keys, the outermost first.
    versions: BTreeMap<Vec<String>, String>,
    values: Json,
}

fn collect(
    chart: &Processed<'_>,
    keys: &mut Vec<String>,
    charts: &mut BTreeMap<Vec<String>, String>,
) {
    let version = chart.metadata().to_json()["appVersion"].clone();
    charts.insert(keys.clone(), template_text(&version).unwrap_or_default());
    for subchart in &chart.subcharts {
        keys.push(subchart.name.to_string());
        collect(subchart, keys, charts);
        keys.pop();
    }
}

impl Charts {
    pub(super) fn new(chart: &Chart) -> Result<Self, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::helm(error.to_string());
        let none = Json::Object(Map::new());
        let settled = settle(chart, &none, Enabled::All).map_err(|error| failed(&error))?;
        let mut versions = BTreeMap::new();
        collect(&settled.chart, &mut Vec::new(), &mut versions);
        let values = settled.values.to_json(&mut Work::default());
        Ok(Self {
            versions,
            values: values.map_err(|error| failed(&error))?,
        })
    }

    /// The chart's own values, as templates see them.
    pub(super) fn values(&self) -> &Json {
        &self.values
    }

    /// Where a part of a reference comes from.
    pub(super) fn source(&self, part: &Part) -> Result<PartSource, Reason> {
        let (path, text, suffix) = match part {
            Part::Text(text) => return Ok(PartSource::Text(text.clone())),
            Part::Leaf { path, text, suffix } => (path, text, suffix.as_str()),
            Part::Empty { path, text } => (path, text, ""),
        };
        let place = self.place(path);
        let full = Path::from_parts(path.clone());
        let own = full.get(&self.values);
        if own.and_then(template_text).is_some_and(|own| own == *text) {
            let suffix = suffix.to_owned();
            return Ok(PartSource::Value { place, suffix });
        }
        // An override takes the lists of the chart along, and knows no others.
        let is_listed = path
            .iter()
            .any(|key| key.bytes().all(|byte| byte.is_ascii_digit()));
        if !suffix.is_empty() || (is_listed && own.is_none()) {
            let value = full.to_string();
            return Err(Reason::Given { value });
        }
        let text = text.clone();
        Ok(PartSource::Default { text, place })
    }

    /// Where a tag comes from.
    pub(super) fn tag(&self, part: &Part, template: &str) -> Result<PartSource, Reason> {
        let path = match part {
            Part::Leaf { .. } => return self.source(part),
            Part::Empty { path, .. } => Some(path),
            Part::Text(_) => None,
        };
        let Some((subchart, prefix)) = self.version(template, part.text()) else {
            return self.source(part);
        };
        Ok(PartSource::AppVersion {
            prefix,
            // What overrides it must be a value of the same chart.
            place: path
                .map(|path| self.place(path))
                .filter(|place| place.subchart == subchart),
            subchart,
        })
    }

    /// A path from the top as one within the innermost subchart.
    pub(super) fn place(&self, path: &[String]) -> ValuePath {
        let depth = (0..path.len())
            .rev()
            .find(|depth| self.versions.contains_key(&path[..*depth]));
        let (subchart, path) = path.split_at(depth.unwrap_or(0));
        ValuePath {
            subchart: subchart.to_vec(),
            path: Path::from_parts(path.to_vec()),
        }
    }

    /// The appVersion of the chart that a path belongs to.
    pub(super) fn version_at(&self, path: &[String]) -> &str {
        let version = self.versions.get(&self.place(path).subchart);
        version.map_or("", String::as_str)
    }

    /// The chart whose appVersion a tag is, and what is in front: that of the template, or one above.
    fn version(&self, template: &str, tag: &str) -> Option<(Vec<String>, String)> {
        let mut keys: Vec<String> = template
            .split("/charts/")
            .skip(1)
            .map(|rest| rest.split('/').next().unwrap_or(rest).to_owned())
            .collect();
        loop {
            let version = self
                .versions
                .get(&keys)
                .filter(|version| !version.is_empty());
            let prefix = version.and_then(|version| tag.strip_suffix(version.as_str()));
            if let Some(prefix) = prefix.filter(|prefix| ["", "v"].contains(prefix)) {
                return Some((keys, prefix.to_owned()));
            }
            keys.pop()?;
        }
    }
}
