//! Rendering: templates, values, and values as text. The tests of the program run this over the corpus.

use std::sync::LazyLock;

use helm_chart::archive::Keep;
use helm_chart::chart::Chart;
use helm_chart::render::format::{
    self, from_json, from_yaml, to_json, to_json_value, to_yaml, to_yaml_pretty,
};
use helm_chart::render::func::Failure;
use helm_chart::render::release::{Error, Options, Print, Rendered, render};
use helm_chart::render::template::{Limits, on_own_stack};
use helm_chart::render::value::{Map, Value};
use helm_chart::yaml::{self, Spent};
use serde_json::Value as Json;

use crate::build;

/// Small, so that what exceeds them is found soon.
const LIMITS: Limits = Limits {
    steps: 50_000,
    bytes: 2 << 20,
    depth: 100,
    nesting: 50,
    levels: 1_000,
};

/// Named templates that fuzzed templates can use.
const HELPERS: &str = r#"{{- define "app.name" -}}{{ .Chart.Name | trunc 63 | trimSuffix "-" }}{{- end }}
{{- define "app.labels" }}
app: {{ include "app.name" . | quote }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}"#;

/// Values of all kinds.
const VALUES: &str = "name: app\ncount: 3\nlarge: 1e+20\nratio: 0.5\nyes: true\nnone: null\nempty: ''\n\
    text: \"line one\\nline two: é\\u2028\"\nlist: [a, 1, {b: c}, [d]]\nstrings: [b, a, c]\n\
    map: {one: 1, two: zwei, three: {four: [5]}}\nlabels: {tier: web, 'on': 'off'}\n\
    version: 1.2.3-rc.1\ntpl: '{{ .Values.name | upper }}'\nimage: {registry: quay.io, repository: a/b, tag: '1'}\n";

/// Uses values in the ways in which charts do.
const MANIFEST: &str = r#"{{- $v := .Values -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ default "app" $v.name | toString | trunc 20 | quote }}
  labels: {{- include "app.labels" . | nindent 4 }}
  annotations:
    sum: {{ toYaml $v | sha256sum }}
data:
  {{- range $key, $value := $v }}
  {{ $key | quote }}: {{ printf "%v %d %s %q %T" $value $value $value $value $value | quote }}
  {{- if kindIs "map" $value }}
  # {{ keys $value | sortAlpha | join "," | quote }} {{ len (deepCopy $value) }}
  {{- else if kindIs "slice" $value }}
  # {{ len (uniq $value) }} {{ toJson (reverse $value) | quote }}
  {{- else if kindIs "string" $value }}
  # {{ tpl $value $ | quote }} {{ trunc 5 $value | title | quote }} {{ b64enc $value }}
  {{- else if kindIs "float64" $value }}
  # {{ int64 $value }} {{ add $value 1 }} {{ round $value 2 }}
  {{- end }}
  {{- end }}
  yaml: {{- toYaml $v | nindent 4 }}
  pretty: |- {{- toYamlPretty $v | nindent 4 }}
  toml: |- {{- toToml $v | nindent 4 }}
  json: {{ toRawJson $v | quote }}
  merged: {{ toJson (mergeOverwrite (deepCopy $v) (dict "name" "other")) | quote }}
  image: {{ with $v.image }}{{ if kindIs "map" . }}{{ .registry }}/{{ .repository }}:{{ .tag }}{{ end }}{{ end }}
"#;

/// A chart with the templates of these names and texts.
fn chart(values: &str) -> Chart {
    let archive = build::chart("app", values);
    let mut chart = Chart::read(&archive, Keep::Everything).expect("a chart");
    add(&mut chart, "templates/_helpers.tpl", HELPERS);
    chart
}

fn add(chart: &mut Chart, name: &str, text: &str) {
    chart.templates.push(helm_chart::archive::File {
        name: name.to_owned(),
        data: text.as_bytes().into(),
    });
}

/// Renders it, twice, and looks at what came out.
fn check(chart: &Chart, user: &Json) {
    let options = Options {
        limits: LIMITS,
        ..Options::default()
    };
    let rendered = render(chart, user, &options);
    assert_eq!(rendered, render(chart, user, &options), "renders differ");
    match rendered {
        Ok(rendered) => check_rendered(&rendered),
        Err(error) => assert_names_the_place(&error),
    }
}

fn check_rendered(rendered: &Rendered) {
    let size: usize = rendered.manifests.iter().map(|m| m.content.len()).sum();
    assert!(size <= LIMITS.bytes, "{size} bytes");
    assert!(!rendered.to_text(Print::default()).is_empty());
    for image in rendered.images() {
        assert!(!image.reference.is_empty());
    }
}

fn assert_names_the_place(error: &Error) {
    let text = error.to_string();
    assert!(!text.is_empty());
    if error.is_limit() {
        assert!(text.contains("app/templates/"), "{text}");
    }
}

static TEMPLATES: LazyLock<Chart> = LazyLock::new(|| chart(VALUES));

/// The text of a template, over fixed values.
///
/// # Panics
/// When something does not hold.
pub fn templates(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut chart = TEMPLATES.clone();
    add(&mut chart, "templates/fuzzed.yaml", text);
    check(&chart, &Json::Null);
}

/// A chart's values, a NUL, and a user's values.
///
/// # Panics
/// When something does not hold.
pub fn chart_values(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let limits = yaml::Limits {
        nodes: 2_000,
        depth: 64,
        bytes: 1 << 16,
    };
    let read = |text: &str| yaml::values_within(text, &limits, &mut Spent::default());
    let (values, user) = text.split_once('\0').unwrap_or((text, ""));
    let (Ok(values), Ok(user)) = (read(values), read(user)) else {
        return;
    };
    let mut chart = TEMPLATES.clone();
    chart.values = values;
    add(&mut chart, "templates/map.yaml", MANIFEST);
    check(&chart, &user);
}

/// How goyaml refuses a literal whose first line begins with a tab.
const TAB_FOR_INDENTATION: &str = "found a tab character where an indentation space is expected";

/// A value is written and read back; the bytes say which.
///
/// # Panics
/// When something does not hold.
pub fn yaml_output(data: &[u8]) {
    on_own_stack(|| {
        let mut bytes = Bytes { data, nodes: 500 };
        let value = Value::Map(Map::from_iter([("v", bytes.value(40))]));
        let limits = format::Limits::default();
        let json = to_json_value(&value, &limits).expect("it is within the limits");
        for text in [to_yaml(&value, &limits), to_yaml_pretty(&value, &limits)] {
            // There are characters that goyaml does not read.
            if matches!(text, Err(Failure::Error(_))) {
                continue;
            }
            // Helm takes the last line feed off, which may be that of a text.
            let text = text.expect("it is within the limits") + "\n";
            let again = to_json_value(&from_yaml(&text), &limits).expect("it was written");
            // goyaml does not read a literal back that begins with a tab in a list, though it writes one.
            let refused = again["Error"].as_str().unwrap_or_default();
            if refused.ends_with(TAB_FOR_INDENTATION) {
                continue;
            }
            assert_eq!(again, json, "{text}");
        }
        let text = to_json(&value, &limits).expect("it is within the limits");
        let again = from_json(&text).expect("it is within the limits");
        let again = to_json_value(&again, &limits).expect("it was written");
        assert_eq!(again, json, "{text}");
    })
    .expect("a thread");
}

/// Bytes that become values.
struct Bytes<'d> {
    data: &'d [u8],
    nodes: usize,
}

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        match self.data.split_first() {
            Some((first, rest)) => {
                self.data = rest;
                *first
            }
            None => 0,
        }
    }

    /// A text of up to 255 bytes, without replacement characters for bytes that are not UTF-8, and without U+0085, which
    /// toYaml does not keep.
    fn text(&mut self) -> String {
        let length = usize::from(self.byte()).min(self.data.len());
        let (text, rest) = self.data.split_at(length);
        self.data = rest;
        let text = String::from_utf8_lossy(text);
        text.chars()
            .filter(|c| *c < '\u{100000}' && *c != '\u{85}')
            .collect()
    }

    fn value(&mut self, depth: usize) -> Value {
        self.nodes = self.nodes.saturating_sub(1);
        let kind = if depth == 0 || self.nodes == 0 {
            0
        } else {
            self.byte()
        };
        match kind % 8 {
            0 => Value::Nil,
            1 => Value::Bool(kind >= 128),
            2 => {
                let bits = (0..8).fold(0, |bits, _| bits << 8 | u64::from(self.byte()));
                let float = f64::from_bits(bits);
                Value::Float(if float.is_finite() { float } else { 0.5 })
            }
            3 => Value::Float(f64::from(self.byte()) * 10_f64.powi(i32::from(self.byte() % 30))),
            4 | 5 => Value::from(self.text()),
            6 => {
                let items = self.byte() % 16;
                Value::list((0..items).map(|_| self.value(depth - 1)).collect())
            }
            _ => {
                let entries = self.byte() % 16;
                // A key `<<` is a merge key to who reads it, to Helm too.
                let key = |text: String| if text == "<<" { text + "a" } else { text };
                let entries = (0..entries).map(|_| (key(self.text()), self.value(depth - 1)));
                Value::Map(entries.collect())
            }
        }
    }
}
