//! Renders with some values changed, and with markers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::leaf::Leaf;
use super::seen::Seen;
use crate::chart::Chart;
use crate::dependencies::{Enabled, settle};
use crate::render::release::{Error, Options, render};
use crate::set;
use crate::values::place;
use crate::values::table::Work;

/// The most renders of one chart, apart from the search for switches.
const MAX_RENDERS: usize = 300;

/// Renders one chart, and counts.
pub(super) struct Renders<'a> {
    chart: &'a Chart,
    options: &'a Options,
    /// Without the schema: markers are no values that it knows.
    lenient: Options,
    /// What the chart turned out to demand as soon as an image is another.
    pub(super) required: Map<String, Json>,
    pub(super) count: usize,
    pub(super) is_partial: bool,
}

/// One of some things that a chart does not render with.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) index: usize,
    pub(super) error: String,
}

impl<'a> Renders<'a> {
    pub(super) fn new(chart: &'a Chart, options: &'a Options) -> Self {
        Self {
            chart,
            options,
            lenient: Options {
                skip_schema: true,
                ..options.clone()
            },
            required: Map::new(),
            count: 0,
            is_partial: false,
        }
    }

    /// The values that templates see, with those of all subcharts.
    pub(super) fn settled(&self, user: &Json) -> Result<Json, Error> {
        let failed = |error: String| Error::helm(error);
        let settled = settle(self.chart, user, Enabled::All).map_err(|e| failed(e.to_string()))?;
        let json = settled.values.to_json(&mut Work::default());
        json.map_err(|error| failed(error.to_string()))
    }

    /// The references with a user's values.
    pub(super) fn plain(&mut self, user: &Json) -> Result<Seen, Error> {
        self.count += 1;
        let rendered = render(self.chart, user, self.options)?;
        Ok(Seen::new(rendered.images()))
    }

    /// The references with changed values, and with what the chart demands then.
    pub(super) fn changed(&mut self, values: &Json, with_schema: bool) -> Result<Seen, Error> {
        if self.count >= MAX_RENDERS {
            self.is_partial = true;
            return Err(Error::helm(format!(
                "more than {MAX_RENDERS} renders are needed"
            )));
        }
        let options = if with_schema {
            self.options
        } else {
            &self.lenient
        };
        loop {
            self.count += 1;
            let mut all = values.as_object().cloned().unwrap_or_default();
            set::merge(&mut all, self.required.clone());
            match render(self.chart, &Json::Object(all), options) {
                Ok(rendered) => return Ok(Seen::new(rendered.images())),
                // Charts of Bitnami take no other image without it.
                Err(error)
                    if self.required.is_empty()
                        && error.to_string().contains("allowInsecureImages") =>
                {
                    let value = json!({"global": {"security": {"allowInsecureImages": true}}});
                    self.required = value.as_object().cloned().unwrap_or_default();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The references with markers in some leaves, and the leaves whose marker the chart refuses.
    pub(super) fn marked(
        &mut self,
        values: &Values<'_>,
        markers: &BTreeMap<usize, (&Leaf, String)>,
    ) -> (Option<Seen>, Vec<Refused>) {
        // Versions last: they are refused most often, and halves are made in this order.
        let mut all: Vec<usize> = markers.keys().copied().collect();
        all.sort_by_key(|index| markers[index].0.is_tag());
        let mut last = None;
        let mut render = |on: &BTreeSet<usize>| {
            let mut changed = values.user.clone();
            for index in on {
                let (leaf, marker) = &markers[index];
                place(
                    &mut changed,
                    Some(values.settled),
                    &leaf.path,
                    Json::from(marker.as_str()),
                );
            }
            last = Some(
                self.changed(&changed, false)
                    .map_err(|error| error.to_string())?,
            );
            Ok(())
        };
        let is_named = |index: usize, error: &str| error.contains(markers[&index].1.as_str());
        let (_, refused) = most(&all, &mut render, &is_named);
        (last, refused)
    }
}

/// As many of some things as are taken together, and the others, each with the reason. Where an error names
/// some of them, they are left out first.
pub(super) fn most(
    all: &[usize],
    take: &mut dyn FnMut(&BTreeSet<usize>) -> Result<(), String>,
    is_named: &dyn Fn(usize, &str) -> bool,
) -> (BTreeSet<usize>, Vec<Refused>) {
    let mut halving = Halving {
        take,
        is_named,
        refused: Vec::new(),
    };
    let on = halving.add(&BTreeSet::new(), all);
    (on, halving.refused)
}

struct Halving<'t> {
    take: &'t mut dyn FnMut(&BTreeSet<usize>) -> Result<(), String>,
    is_named: &'t dyn Fn(usize, &str) -> bool,
    refused: Vec<Refused>,
}

impl Halving<'_> {
    fn add(&mut self, on: &BTreeSet<usize>, more: &[usize]) -> BTreeSet<usize> {
        let mut all = on.clone();
        all.extend(more);
        if more.is_empty() {
            return all;
        }
        let Err(error) = (self.take)(&all) else {
            return all;
        };
        if let [index] = *more {
            self.refused.push(Refused { index, error });
            return on.clone();
        }
        let (named, others): (Vec<usize>, Vec<usize>) = more
            .iter()
            .partition(|index| (self.is_named)(**index, &error));
        let (first, second) = if named.is_empty() || others.is_empty() {
            more.split_at(more.len() / 2)
        } else {
            (&others[..], &named[..])
        };
        let on = self.add(on, first);
        self.add(&on, second)
    }
}

/// A user's values, and what templates see of them.
pub(super) struct Values<'a> {
    pub(super) user: &'a Json,
    pub(super) settled: &'a Json,
}
