//! What a chart says of itself: Chart.yaml and values.yaml, of its subcharts too.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde_json::{Map, Value};

use crate::values::overlay;
use crate::yaml::{self, Kind, Limits, Node, Spent};

use crate::archive::{self, Files};

/// What a chart says of itself, read as Helm reads it.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Its name.
    pub name: String,
    /// Its version, as it is written.
    pub version: String,
    /// Chart.yaml as Helm holds it: the fields it knows, in its order.
    pub metadata: Value,
    /// values.yaml.
    pub values: Value,
    /// The subcharts by the name of their folder.
    subcharts: BTreeMap<String, Chart>,
}

/// A subchart with the values that it really sees.
#[derive(Debug, Clone)]
pub struct Sub {
    /// The key under which the parent's values hold its values.
    pub key: String,
    /// Its Chart.yaml.
    pub metadata: Value,
    /// Its values with the parent's over them.
    pub values: Value,
}

/// The fields of Chart.yaml that Helm knows, in the order in which it writes them (helm:
/// `pkg/chart/v2/metadata.go`), and how each is read.
const FIELDS: [(&str, Field); 17] = [
    ("name", Field::Text),
    ("home", Field::Text),
    ("sources", Field::Texts),
    ("version", Field::Text),
    ("description", Field::Text),
    ("keywords", Field::Texts),
    (
        "maintainers",
        Field::Items(&[
            ("name", Field::Text),
            ("email", Field::Text),
            ("url", Field::Text),
        ]),
    ),
    ("icon", Field::Text),
    ("apiVersion", Field::Text),
    ("condition", Field::Text),
    ("tags", Field::Text),
    ("appVersion", Field::Text),
    ("deprecated", Field::Flag),
    ("annotations", Field::Map),
    ("kubeVersion", Field::Text),
    ("dependencies", Field::Items(&DEPENDENCY)),
    ("type", Field::Text),
];

/// What the files of a chart and of all its subcharts may cost together: some fifty times what the
/// largest public chart costs.
const LIMITS: Limits = Limits {
    nodes: 500_000,
    depth: 128,
    bytes: 16 << 20,
};

/// The largest metadata, as JSON in bytes. It becomes part of a manifest, and of those registries
/// take 4 MiB, with `<` as six characters.
const MAX_METADATA: usize = 512 << 10;

const DEPENDENCY: [(&str, Field); 8] = [
    ("name", Field::Text),
    ("version", Field::Text),
    ("repository", Field::Text),
    ("condition", Field::Text),
    ("tags", Field::Texts),
    ("enabled", Field::Flag),
    ("import-values", Field::Any),
    ("alias", Field::Text),
];

#[derive(Clone, Copy)]
enum Field {
    Text,
    Texts,
    Flag,
    Map,
    Any,
    Items(&'static [(&'static str, Field)]),
}

impl Chart {
    /// Reads a chart from its archive.
    ///
    /// # Errors
    /// When the archive, Chart.yaml or values.yaml is broken or over the limits.
    pub fn read(archive: &[u8]) -> anyhow::Result<Self> {
        Self::from_files(&archive::read(archive)?, &mut Spent::default())
    }

    fn from_files(files: &Files, spent: &mut Spent) -> anyhow::Result<Self> {
        let node = document(files, "Chart.yaml", spent)?
            .context("it has no Chart.yaml in its top folder")?;
        let mut metadata = object(&node, &FIELDS);
        // A chart of the old format keeps its dependencies apart.
        if !metadata.contains_key("dependencies")
            && let Some(requirements) = document(files, "requirements.yaml", spent)?
            && let Some(dependencies) = requirements
                .get("dependencies")
                .and_then(|list| value(list, Field::Items(&DEPENDENCY)))
        {
            metadata.insert("dependencies".to_owned(), dependencies);
        }
        let text = |key: &str| metadata.get(key).and_then(Value::as_str).map(str::to_owned);
        let name = text("name").context("its Chart.yaml has no `name`")?;
        let version = text("version").context("its Chart.yaml has no `version`")?;
        ensure!(
            !name.contains(['/', '\\']) && name != "..",
            "its Chart.yaml has the name `{name}`"
        );
        let values = match files.get("values.yaml") {
            Some(bytes) => yaml::values_within(utf8(bytes, "values.yaml")?, &LIMITS, spent)
                .context("its values.yaml is broken")?,
            None => Value::Object(Map::new()),
        };
        let mut subcharts = BTreeMap::new();
        for folder in folders(files) {
            let prefix = format!("charts/{folder}/");
            let below: Files = files
                .range(prefix.clone()..)
                .map_while(|(path, bytes)| {
                    Some((path.strip_prefix(&prefix)?.to_owned(), bytes.clone()))
                })
                .collect();
            if below.contains_key("Chart.yaml") {
                let chart = Self::from_files(&below, spent)
                    .with_context(|| format!("in its subchart {folder}"))?;
                subcharts.insert(folder, chart);
            }
        }
        let metadata = Value::Object(metadata);
        ensure!(
            metadata.to_string().len() <= MAX_METADATA,
            "its Chart.yaml says more than {} KiB",
            MAX_METADATA >> 10
        );
        Ok(Self {
            name,
            version,
            metadata,
            values,
            subcharts,
        })
    }

    /// The subchart that a data file means, by its folder, its own name, or its alias in Chart.yaml.
    #[must_use]
    pub fn subchart(&self, wanted: &str, key: &str) -> Option<Sub> {
        let dependencies = self.metadata.get("dependencies").and_then(Value::as_array);
        let dependencies = || dependencies.into_iter().flatten();
        let text = |dependency: &Value, key: &str| {
            dependency
                .get(key)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let by_alias =
            dependencies().find(|dependency| text(dependency, "alias").as_deref() == Some(wanted));
        let name = by_alias
            .and_then(|dependency| text(dependency, "name"))
            .unwrap_or_else(|| wanted.to_owned());
        let chart = self
            .subcharts
            .get(&name)
            .or_else(|| self.subcharts.values().find(|chart| chart.name == name))?;
        // Where Chart.yaml gives the subchart another key and the data file does not say so, Chart.yaml
        // is right: Helm looks nowhere else.
        let alias = dependencies()
            .filter(|dependency| text(dependency, "name").as_deref() == Some(&chart.name))
            .find_map(|dependency| text(dependency, "alias"));
        let key = if key == wanted {
            alias.unwrap_or_else(|| key.to_owned())
        } else {
            key.to_owned()
        };
        let mut values = chart.values.clone();
        if let Some(global) = self.values.get("global") {
            overlay(&mut values, &serde_json::json!({ "global": global }));
        }
        if let Some(over) = self.values.get(&key) {
            overlay(&mut values, over);
        }
        Some(Sub {
            key,
            metadata: chart.metadata.clone(),
            values,
        })
    }

    /// The names of the subcharts' folders.
    pub fn subchart_names(&self) -> impl Iterator<Item = &str> {
        self.subcharts.keys().map(String::as_str)
    }
}

/// The folders right below `charts/`.
fn folders(files: &Files) -> Vec<String> {
    let mut folders: Vec<String> = files
        .keys()
        .filter_map(|path| Some(path.strip_prefix("charts/")?.split_once('/')?.0.to_owned()))
        .collect();
    folders.dedup();
    folders
}

fn utf8<'a>(bytes: &'a [u8], name: &str) -> anyhow::Result<&'a str> {
    std::str::from_utf8(bytes).with_context(|| format!("its {name} is not UTF-8"))
}

/// The first document of a file.
fn document(files: &Files, name: &str, spent: &mut Spent) -> anyhow::Result<Option<Node>> {
    let Some(bytes) = files.get(name) else {
        return Ok(None);
    };
    yaml::first_within(utf8(bytes, name)?, &LIMITS, spent)
        .with_context(|| format!("its {name} is broken"))
}

fn object(node: &Node, fields: &[(&str, Field)]) -> Map<String, Value> {
    fields
        .iter()
        .filter_map(|(key, field)| Some(((*key).to_owned(), value(node.get(key)?, *field)?)))
        .collect()
}

/// A field's value as Go would write it back: what is empty is left out.
fn value(node: &Node, field: Field) -> Option<Value> {
    let text = |node: &Node| node.as_scalar().and_then(yaml::Scalar::go_string);
    match field {
        Field::Text => text(node)
            .filter(|text| !text.is_empty())
            .map(Value::String),
        Field::Texts => {
            let texts: Vec<Value> = node
                .items()
                .iter()
                .filter_map(text)
                .map(Value::String)
                .collect();
            (!texts.is_empty()).then_some(Value::Array(texts))
        }
        Field::Flag => {
            matches!(node.to_helm_json(), Ok(Value::Bool(true))).then_some(Value::Bool(true))
        }
        Field::Map => {
            let Kind::Mapping(_) = node.kind else {
                return None;
            };
            // Go writes a map's keys in their order.
            let sorted: BTreeMap<String, String> = node
                .entries()
                .iter()
                .filter_map(|(key, value)| Some((text(key)?, text(value)?)))
                .collect();
            (!sorted.is_empty()).then(|| {
                sorted
                    .into_iter()
                    .map(|(key, text)| (key, Value::String(text)))
                    .collect()
            })
        }
        Field::Any => node.to_helm_json().ok().filter(|value| !value.is_null()),
        Field::Items(fields) => {
            let items: Vec<Value> = node
                .items()
                .iter()
                .map(|item| Value::Object(object(item, fields)))
                .collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
    }
}
