//! A chart as its templates see it, with the subcharts that the data file lists for it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use helm_chart::chart::Chart;
use helm_chart::dependencies::{Enabled, Processed, Settled, settle};
use helm_chart::values::table::Work;
use helm_chart::values::{Overrides, Path};
use helm_chart::yaml::template_text;

use crate::inventory::{ChartSpec, Subchart};
use crate::problem::Problem;

/// A chart with the subcharts that the data file lists for it.
pub(super) struct Context<'a> {
    pub(super) spec: &'a ChartSpec,
    pub(super) chart: &'a Chart,
    /// The chart itself.
    pub(super) top: Seen<'a>,
    /// By the name that images give; the ones that the chart does not have are absent.
    pub(super) subcharts: BTreeMap<&'a str, Seen<'a>>,
    /// The keys of the chart's subcharts.
    pub(super) subchart_keys: Vec<String>,
}

/// A chart or subchart with the values that its templates see.
pub(super) struct Seen<'a> {
    /// The keys below which its values are in those of the top chart.
    keys: Vec<String>,
    /// The charts from the top down to this one.
    charts: Vec<&'a Chart>,
    pub(super) values: Value,
    pub(super) metadata: Value,
}

/// Where an override goes.
#[derive(Debug, Clone)]
pub(super) struct OverridePath {
    /// The path from the top where it is written.
    pub(super) write: Path,
    /// The path from the top where the chart's templates read it.
    pub(super) read: Path,
}

/// A value that must be seen after all overrides are written.
pub(super) struct Expected {
    pub(super) path: Path,
    pub(super) text: String,
    /// Where the data file wants it.
    pub(super) place: String,
}

impl<'a> Context<'a> {
    /// All subcharts are taken, also those that the chart disables: a user may enable them.
    ///
    /// # Errors
    /// When Helm cannot coalesce the chart's values.
    pub(super) fn new(spec: &'a ChartSpec, chart: &'a Chart) -> Result<Self, Problem> {
        let failed = |what: String| Problem::input(spec.place.as_str(), what);
        let settled = settle(chart, &Value::Object(Map::new()), Enabled::All)
            .map_err(|error| failed(format!("{}: {error}", text_of(spec, chart))))?;
        let seen = |keys| Seen::new(&settled, keys);
        let found = |subchart: &'a Subchart| {
            let keys = find(&settled.chart, subchart)?;
            Some(seen(keys).map(|seen| (subchart.alias.as_str(), seen)))
        };
        let too_much = |error: helm_chart::values::table::TooMuch| failed(error.to_string());
        let subcharts = spec.subcharts.iter().filter_map(found);
        Ok(Self {
            spec,
            chart,
            top: seen(Vec::new()).map_err(too_much)?,
            subcharts: subcharts.collect::<Result<_, _>>().map_err(too_much)?,
            subchart_keys: settled
                .chart
                .subcharts
                .iter()
                .map(|subchart| subchart.name.to_string())
                .collect(),
        })
    }

    /// The chart's name and version.
    pub(super) fn text(&self) -> String {
        text_of(self.spec, self.chart)
    }

    /// Writes an override, which the chart's templates must then see. `wanted_at` is where the data file
    /// wants it.
    ///
    /// # Errors
    /// When another image needs another text there.
    pub(super) fn write(
        &self,
        overrides: &mut Overrides,
        place: &OverridePath,
        text: &str,
        wanted_at: &str,
    ) -> Result<Expected, Problem> {
        let written = overrides.write(&place.write, text, &self.top.values);
        let expected = written.map(|()| Expected {
            path: place.read.clone(),
            text: text.to_owned(),
            place: wanted_at.to_owned(),
        });
        expected.map_err(|conflict| {
            let what = format!(
                "`{}` would need the value `{text}`, but another image of {} needs `{}` at `{}`",
                place.write,
                self.text(),
                conflict.text,
                conflict.path
            );
            Problem::input(wanted_at, what)
        })
    }

    /// The overrides that the chart's templates would not see.
    pub(super) fn unseen(&self, overrides: &Value, expected: &[Expected]) -> Vec<Problem> {
        if expected.is_empty() {
            return Vec::new();
        }
        let values = settle(self.chart, overrides, Enabled::All)
            .map_err(|error| error.to_string())
            .and_then(|settled| {
                let json = settled.values.to_json(&mut Work::default());
                json.map_err(|error| error.to_string())
            });
        let values = match values {
            Ok(values) => values,
            Err(error) => {
                let what = format!("{} cannot take its overrides: {error}", self.text());
                return vec![Problem::input(self.spec.place.as_str(), what)];
            }
        };
        let unseen = expected.iter().filter_map(|expected| {
            let seen = expected.path.get(&values).and_then(template_text);
            if seen.as_deref() == Some(&expected.text) {
                return None;
            }
            let what = format!(
                "{} would not see the override `{}` at `{}`: it sees {}",
                self.text(),
                expected.text,
                expected.path,
                seen.map_or_else(|| "nothing there".to_owned(), |seen| format!("`{seen}`"))
            );
            Some(Problem::input(expected.place.as_str(), what))
        });
        unseen.collect()
    }
}

fn text_of(spec: &ChartSpec, chart: &Chart) -> String {
    format!("{} {}", spec.name, chart.version())
}

/// The keys of the subchart that a data file means: by the key in the parent's values (its alias, or
/// its name), then by its own name; a subchart's subchart is behind a dot.
fn find(top: &Processed<'_>, subchart: &Subchart) -> Option<Vec<String>> {
    let by_key = |name: &str| descend(top, name, |chart, key| *chart.name == *key);
    let by_name = |name: &str| descend(top, name, |chart, key| chart.chart.name() == key);
    by_key(&subchart.alias)
        .or_else(|| by_key(&subchart.name))
        .or_else(|| by_name(&subchart.name))
}

fn descend(
    top: &Processed<'_>,
    name: &str,
    is_it: impl Fn(&Processed<'_>, &str) -> bool,
) -> Option<Vec<String>> {
    let one = |chart: &Processed<'_>, key: &str| {
        let found = chart.subcharts.iter().position(|below| is_it(below, key))?;
        let name = &chart.subcharts[found].name;
        // Two aliases of one chart: its own name says too little.
        let mut rest = chart.subcharts[found + 1..].iter();
        let is_clear = rest.all(|below| !is_it(below, key) || below.name == *name);
        is_clear.then(|| (found, name.to_string()))
    };
    if let Some((_, key)) = one(top, name) {
        return Some(vec![key]);
    }
    let (mut chart, mut keys) = (top, Vec::new());
    for part in name.split('.') {
        let (found, key) = one(chart, part)?;
        chart = &chart.subcharts[found];
        keys.push(key);
    }
    Some(keys)
}

impl<'a> Seen<'a> {
    fn new(
        settled: &Settled<'a>,
        keys: Vec<String>,
    ) -> Result<Self, helm_chart::values::table::TooMuch> {
        let mut chart = &settled.chart;
        let mut charts = vec![chart.chart];
        for key in &keys {
            let below = chart.subcharts.iter().find(|below| *below.name == **key);
            chart = below.expect("the keys were found in this chart");
            charts.push(chart.chart);
        }
        let table = settled.values.at(keys.iter().map(String::as_str));
        Ok(Self {
            charts,
            values: table.unwrap_or_default().to_json(&mut Work::default())?,
            metadata: chart.metadata().to_json(),
            keys,
        })
    }

    /// Whether its own values have something at a path that the values of a parent take away with a
    /// null.
    pub(super) fn is_taken_away(&self, path: &Path) -> bool {
        let own = self.charts.last().map(|chart| &chart.values);
        own.and_then(|values| path.get(values)).is_some() && path.get(&self.values).is_none()
    }

    /// Where an override of a value goes. A global of a chart above replaces that of a subchart, so it
    /// is written at the highest chart that has it.
    pub(super) fn place(&self, path: &Path) -> OverridePath {
        let read = path.below(&self.keys);
        let depth = (0..self.keys.len())
            .filter(|_| path.segments().next() == Some("global"))
            .find(|depth| {
                (0..=*depth).any(|from| {
                    let below = path.below(&self.keys[from..*depth]);
                    below.get(&self.charts[from].values).is_some()
                })
            });
        let write = match depth {
            Some(depth) => path.below(&self.keys[..depth]),
            None => read.clone(),
        };
        OverridePath { write, read }
    }
}
