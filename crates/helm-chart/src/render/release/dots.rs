//! What each template of a chart and its subcharts is executed on.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value as Json;

use super::super::format::from_json_value;
use super::super::objects::{self, Files};
use super::super::template::VALUES;
use super::super::value::{ElementType, Map, Value};
use super::Options;
use crate::dependencies::{ChartPath, Processed};
use crate::values::table::{Entry, Table};

/// All templates of a chart and its subcharts, in the order in which Helm parses and executes them: the
/// deepest paths first, of equal ones the last name.
pub(super) struct Dots {
    pub(super) templates: Vec<Template>,
}

/// A template and what it is executed on.
pub(super) struct Template {
    /// Its whole path: `chart/charts/sub/templates/x.yaml`.
    pub(super) name: String,
    pub(super) text: Arc<[u8]>,
    base_path: String,
    dot: Map,
}

impl Template {
    /// What the template is executed on. All templates of a chart share it, so what one of them changes
    /// others see.
    pub(super) fn dot(&self) -> Value {
        let about = Map::typed(Some(VALUES), ElementType::Any);
        about.insert("Name", Value::from(self.name.as_str()));
        about.insert("BasePath", Value::from(self.base_path.as_str()));
        self.dot.insert("Template", Value::Map(about));
        Value::Map(self.dot.clone())
    }
}

impl Dots {
    pub(super) fn new(
        chart: &Processed<'_>,
        values: &Table,
        user: &Json,
        options: &Options,
    ) -> Self {
        let mut converted = Converted::default();
        let values = converted.table(values, Some(VALUES));
        restore_integers(user, &values);
        let release: Map = [
            ("Name", Value::from(options.name.as_str())),
            ("Namespace", Value::from(options.namespace.as_str())),
            ("IsUpgrade", Value::Bool(options.is_upgrade)),
            ("IsInstall", Value::Bool(!options.is_upgrade)),
            ("Revision", Value::int(1)),
            ("Service", Value::from("Helm")),
        ]
        .into_iter()
        .collect();
        let shared = Shared {
            release: Value::Map(release),
            capabilities: objects::capabilities(&options.capabilities),
        };
        let mut dots = Self {
            templates: Vec::new(),
        };
        dots.chart(chart, &ChartPath::root(&chart.name), &values, true, &shared);
        let place = |name: &str| (name.matches('/').count(), name.to_owned());
        dots.templates
            .sort_by_key(|template| std::cmp::Reverse(place(&template.name)));
        // A file that is there twice is the later one.
        dots.templates.dedup_by(|later, first| {
            let is_same = later.name == first.name;
            if is_same {
                std::mem::swap(later, first);
            }
            is_same
        });
        dots
    }

    fn chart(
        &mut self,
        chart: &Processed<'_>,
        place: &ChartPath,
        values: &Map,
        is_root: bool,
        shared: &Shared,
    ) -> Map {
        let metadata = serde_json::to_value(chart.metadata()).unwrap_or_default();
        let files = Files::new(&chart.chart.files);
        let dot = Map::typed(Some(VALUES), ElementType::Any);
        let subcharts = Map::new();
        dot.insert("Chart", objects::chart(&metadata, is_root));
        dot.insert("Files", Value::Object(Rc::new(files)));
        dot.insert("Release", shared.release.clone());
        dot.insert("Capabilities", shared.capabilities.clone());
        dot.insert("Values", Value::Map(values.clone()));
        dot.insert("Subcharts", Value::Map(subcharts.clone()));
        for subchart in &chart.subcharts {
            // Helm reads a dot in a name as a step down.
            let below = subchart
                .name
                .split('.')
                .try_fold(values.clone(), |map, key| match map.get(key) {
                    Some(Value::Map(inner)) => Some(inner),
                    _ => None,
                });
            let below = below.unwrap_or_else(|| Map::typed(Some(VALUES), ElementType::Any));
            let inside = chart.place_of(subchart, place);
            let inner = self.chart(subchart, &inside, &below, false, shared);
            subcharts.insert(&*subchart.name, Value::Map(inner));
        }
        let path = &place.path;
        let is_library = chart.chart.metadata.kind.eq_ignore_ascii_case("library");
        for file in &chart.chart.templates {
            let base = file.name.rsplit('/').next().unwrap_or(&file.name);
            if is_library && !base.starts_with('_') {
                continue;
            }
            self.templates.push(Template {
                name: format!("{path}/{}", file.name),
                text: Arc::clone(&file.data),
                base_path: format!("{path}/templates"),
                dot: dot.clone(),
            });
        }
        dot
    }
}

/// What all charts of a release see.
struct Shared {
    release: Value,
    capabilities: Value,
}

/// Tables as maps, each once: what shares a table shares the map.
#[derive(Default)]
struct Converted(HashMap<*const (), Map>);

impl Converted {
    fn table(&mut self, table: &Table, named: Option<&'static str>) -> Map {
        let address = Rc::as_ptr(&table.0).cast::<()>();
        if let Some(map) = self.0.get(&address) {
            return map.clone();
        }
        let map = Map::typed(named, ElementType::Any);
        self.0.insert(address, map.clone());
        for (key, entry) in table.0.borrow().iter() {
            let value = match entry {
                Entry::Table(inner) => Value::Map(self.table(inner, None)),
                Entry::Leaf(leaf) => from_json_value(leaf),
            };
            map.0.entries.borrow_mut().insert(Rc::clone(key), value);
        }
        map
    }
}

/// Integers of a user's values stay integers where nothing else replaced them.
fn restore_integers(user: &Json, values: &Map) {
    for (key, given) in user.as_object().into_iter().flatten() {
        match (given, values.get(key)) {
            (Json::Object(_), Some(Value::Map(inner))) => restore_integers(given, &inner),
            (Json::Array(_) | Json::Number(_), Some(value)) => {
                if let Some(restored) = restored(given, &value) {
                    values.insert(key.as_str(), restored);
                }
            }
            _ => {}
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "the float was made of this very integer"
)]
fn restored(given: &Json, value: &Value) -> Option<Value> {
    match (given, value) {
        (Json::Number(number), Value::Float(float)) => {
            let integer = number.as_i64()?;
            (integer as f64 == *float).then(|| Value::int64(integer))
        }
        (Json::Array(given), Value::List(list)) if given.len() == list.items.len() => {
            let pairs = given.iter().zip(&list.items);
            let items =
                pairs.map(|(given, item)| restored(given, item).unwrap_or_else(|| item.clone()));
            Some(Value::list(items.collect()))
        }
        (Json::Object(_), Value::Map(map)) => {
            restore_integers(given, map);
            None
        }
        _ => None,
    }
}
