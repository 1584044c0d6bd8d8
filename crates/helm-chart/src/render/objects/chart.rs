//! `.Chart`: Chart.yaml, as the structs in which Helm holds it.

use std::rc::Rc;

use serde_json::Value as Json;

use super::super::value::{ElementType, Encoded, List, Map, Object, Str, Value};

/// The object that templates see.
pub(in super::super) fn chart(metadata: &Json, is_root: bool) -> Value {
    let mut fields = read(metadata, &METADATA);
    fields.push(Field {
        name: "IsRoot",
        json: "IsRoot",
        value: Value::Bool(is_root),
        keeps_empty: true,
    });
    Value::Object(Rc::new(Struct {
        type_name: "struct { chart.Metadata; IsRoot bool }",
        kind: "struct",
        fields,
    }))
}

/// Where a field of a struct comes from, and how it is read.
type Rule = (&'static str, &'static str, Kind);

#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// A text that JSON shows even when it is empty.
    ShownText,
    Texts,
    Flag,
    TextMap,
    Anything,
    Structs(&'static str, &'static [Rule]),
}

/// helm: `pkg/chart/metadata.go`.
const METADATA: [Rule; 17] = [
    ("Name", "name", Kind::Text),
    ("Home", "home", Kind::Text),
    ("Sources", "sources", Kind::Texts),
    ("Version", "version", Kind::Text),
    ("Description", "description", Kind::Text),
    ("Keywords", "keywords", Kind::Texts),
    (
        "Maintainers",
        "maintainers",
        Kind::Structs("*chart.Maintainer", &MAINTAINER),
    ),
    ("Icon", "icon", Kind::Text),
    ("APIVersion", "apiVersion", Kind::Text),
    ("Condition", "condition", Kind::Text),
    ("Tags", "tags", Kind::Text),
    ("AppVersion", "appVersion", Kind::Text),
    ("Deprecated", "deprecated", Kind::Flag),
    ("Annotations", "annotations", Kind::TextMap),
    ("KubeVersion", "kubeVersion", Kind::Text),
    (
        "Dependencies",
        "dependencies",
        Kind::Structs("*chart.Dependency", &DEPENDENCY),
    ),
    ("Type", "type", Kind::Text),
];

const MAINTAINER: [Rule; 3] = [
    ("Name", "name", Kind::Text),
    ("Email", "email", Kind::Text),
    ("URL", "url", Kind::Text),
];

/// helm: `pkg/chart/dependency.go`, where only the repository has no `omitempty` besides the name.
const DEPENDENCY: [Rule; 8] = [
    ("Name", "name", Kind::ShownText),
    ("Version", "version", Kind::Text),
    ("Repository", "repository", Kind::ShownText),
    ("Condition", "condition", Kind::Text),
    ("Tags", "tags", Kind::Texts),
    ("Enabled", "enabled", Kind::Flag),
    ("ImportValues", "import-values", Kind::Anything),
    ("Alias", "alias", Kind::Text),
];

fn read(source: &Json, rules: &'static [Rule]) -> Vec<Field> {
    let field = |(name, json, kind): &Rule| Field {
        name,
        json,
        value: value(source.get(*json), *kind),
        keeps_empty: matches!(kind, Kind::ShownText),
    };
    rules.iter().map(field).collect()
}

fn value(source: Option<&Json>, kind: Kind) -> Value {
    let items = || source.and_then(Json::as_array).into_iter().flatten();
    let list = |elements, items: Vec<Value>| {
        let nil = source.is_none();
        Value::List(Rc::new(if nil {
            List::nil(elements)
        } else {
            List::new(elements, items)
        }))
    };
    match kind {
        Kind::Text | Kind::ShownText => {
            Value::from(source.and_then(Json::as_str).unwrap_or_default())
        }
        Kind::Flag => Value::Bool(source.and_then(Json::as_bool).unwrap_or_default()),
        Kind::Texts => {
            let texts = items().filter_map(Json::as_str).map(Value::from);
            list(ElementType::String, texts.collect())
        }
        Kind::Anything => list(
            ElementType::Any,
            items().map(super::super::format::from_json_value).collect(),
        ),
        Kind::TextMap => {
            let Some(entries) = source.and_then(Json::as_object) else {
                return Value::Map(Map::nil(ElementType::String));
            };
            let map = Map::typed(None, ElementType::String);
            for (key, text) in entries {
                map.insert(key.as_str(), Value::from(text.as_str().unwrap_or_default()));
            }
            Value::Map(map)
        }
        Kind::Structs(type_name, rules) => {
            let structs = items().map(|item| {
                let fields = read(item, rules);
                Value::Object(Rc::new(Struct {
                    type_name,
                    kind: "ptr",
                    fields,
                }) as Rc<dyn Object>)
            });
            list(ElementType::Object(type_name), structs.collect())
        }
    }
}

/// A struct, or a pointer to one.
#[derive(Debug)]
struct Struct {
    type_name: &'static str,
    kind: &'static str,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    json: &'static str,
    value: Value,
    keeps_empty: bool,
}

impl Object for Struct {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn field(&self, name: &str) -> Option<Value> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        Some(field.value.clone())
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        let fields = self.fields.iter();
        Some(
            fields
                .map(|field| (field.name.into(), field.value.clone()))
                .collect(),
        )
    }

    fn go_string(&self) -> Option<String> {
        None
    }

    fn encoded(&self) -> Encoded {
        let shown = self
            .fields
            .iter()
            .filter(|field| field.keeps_empty || field.value.truth());
        Encoded::Struct(
            shown
                .map(|field| (field.json.into(), field.value.clone()))
                .collect(),
        )
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
