//! What was found as the text of a data file.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use helm_chart::discover::Unmoved;
use helm_chart::render::images::Image;

use crate::inventory::{Installation, Origin, Part, Removal};

use crate::yaml::{scalar, write as yaml};

use super::Found;

/// A chart as a data file has it.
#[derive(Debug)]
pub struct Fragment<'a> {
    /// The chart's name.
    pub name: &'a str,
    /// Where it comes from: a URL or a path.
    pub repository: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The values and the namespace that it was rendered with.
    pub installation: &'a Installation,
    /// The API versions that it was rendered with besides Helm's.
    pub api_versions: &'a [String],
    /// Its images.
    pub found: &'a Found,
}

impl Fragment<'_> {
    /// The data file: valid by itself, and ready to be pasted below `charts:` without its first line.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let found = self.found;
        let mut text = String::new();
        if !self.api_versions.is_empty() {
            yaml(&json!({"apiVersions": self.api_versions}), 0, &mut text);
        }
        text.push_str("charts:\n");
        for unmoved in &found.discovery.unmoved {
            comment(
                &format!("Not moved: {}: {}", used(unmoved), unmoved.reason),
                2,
                &mut text,
            );
        }
        writeln!(text, "  {}:", scalar(&key(self.name))).expect("a String takes all text");
        if !self.repository.contains("://") && !self.repository.starts_with('/') {
            let about = "The path in repository is relative to this file's folder, or else to the working directory.";
            comment(about, 4, &mut text);
        }
        yaml(&self.head(), 4, &mut text);
        if found.images.is_empty() {
            text.push_str("    images: {}\n");
            return text;
        }
        text.push_str("    images:\n");
        for (spec, image) in found.images.iter().zip(&found.discovery.images) {
            let mut about = image.reference.clone();
            if let Some(first) = image.uses.first() {
                write!(about, " ({})", user(first)).expect("a String takes all text");
            }
            if !image.switches.is_empty() {
                let switches = image.switches.iter().map(|switch| switch.join("."));
                write!(about, ", with {}", switches.collect::<Vec<_>>().join(", "))
                    .expect("a String takes all text");
            }
            comment(&about, 6, &mut text);
            let parts = [
                ("registry", spec.registry.as_ref()),
                ("repository", Some(&spec.repository)),
                ("tag", spec.tag.as_ref()),
            ];
            let mut entry: Map<String, Value> = parts
                .into_iter()
                .filter_map(|(field, part)| Some((field.to_owned(), part_of(part?))))
                .collect();
            match &spec.remove[..] {
                [] => {}
                [one] => drop(entry.insert("remove".to_owned(), removal(one))),
                several => {
                    let list = several.iter().map(removal).collect();
                    entry.insert("remove".to_owned(), list);
                }
            }
            writeln!(text, "      {}:", scalar(&spec.key)).expect("a String takes all text");
            yaml(&Value::Object(entry), 8, &mut text);
            if let Some(digest) = &image.digest {
                comment(&format!("digest: {digest}"), 8, &mut text);
            }
        }
        text
    }

    /// What stands before the images.
    fn head(&self) -> Value {
        let found = self.found;
        let mut head = Map::from_iter([
            ("name".to_owned(), json!(self.name)),
            ("repository".to_owned(), json!(self.repository)),
            ("version".to_owned(), json!(self.version)),
        ]);
        let installation = self.installation;
        if let Some(namespace) = &installation.namespace {
            head.insert("namespace".to_owned(), json!(namespace));
        }
        if !installation.values.is_empty() {
            head.insert("values".to_owned(), json!(installation.values));
        }
        if !found.discovery.required.is_empty() {
            head.insert("overrides".to_owned(), json!(found.discovery.required));
        }
        if !found.subcharts.is_empty() {
            let aliases = found
                .subcharts
                .iter()
                .map(|subchart| subchart.alias.as_str());
            head.insert("subcharts".to_owned(), aliases.collect());
        }
        Value::Object(head)
    }

    /// For machines: the same, with every place where an image is used.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let found = self.found;
        let uses = |images: &[Image]| -> Value {
            let one = |image: &Image| {
                json!({
                    "kind": image.kind,
                    "name": image.name,
                    "field": image.field,
                    "template": image.template,
                    "hook": image.hook,
                    "test": image.is_test(),
                })
            };
            images.iter().map(one).collect()
        };
        let switches = |switches: &[Vec<String>]| -> Value {
            switches.iter().map(|switch| switch.join(".")).collect()
        };
        let images = found.images.iter().zip(&found.discovery.images);
        let images = images.map(|(spec, image)| {
            json!({
                "key": spec.key,
                "image": image.reference,
                "registry": spec.registry.as_ref().map(part_of),
                "repository": part_of(&spec.repository),
                "tag": spec.tag.as_ref().map(part_of),
                "remove": spec.remove.iter().map(removal).collect::<Value>(),
                "digest": image.digest.as_ref().map(ToString::to_string),
                "switches": switches(&image.switches),
                "uses": uses(&image.uses),
            })
        });
        let unmoved = found.discovery.unmoved.iter().map(|unmoved| {
            json!({
                "image": unmoved.reference,
                "reason": unmoved.reason.to_string(),
                "switches": switches(&unmoved.switches),
                "uses": uses(&unmoved.uses),
            })
        });
        let mut document = self.head();
        document["images"] = images.collect();
        document["unmoved"] = unmoved.collect();
        document["renders"] = json!(found.discovery.renders);
        document["partial"] = json!(found.discovery.is_partial);
        document
    }
}

/// A reference that is not moved, and what uses it.
pub(super) fn used(unmoved: &Unmoved) -> String {
    let by = unmoved
        .uses
        .first()
        .map(|image| format!(" ({})", user(image)));
    format!("{}{}", unmoved.reference, by.unwrap_or_default())
}

/// The object that uses an image.
fn user(image: &Image) -> String {
    let test = if image.is_test() {
        ", for `helm test` only"
    } else {
        ""
    };
    let words = match image.place.words() {
        "" => String::new(),
        words => format!(", {words}"),
    };
    format!("{} {}{words}{test}", image.kind, image.name)
}

/// A chart's name as the key of a data file.
fn key(name: &str) -> String {
    name.replace(['-', '.'], "_").to_lowercase()
}

fn part_of(part: &Part) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, text: &str| {
        if !text.is_empty() {
            entry.insert(key.to_owned(), json!(text));
        }
    };
    match &part.origin {
        Origin::Fixed(name) => put("name", name),
        Origin::Values {
            path,
            subchart,
            prefix,
            suffix,
        } => {
            put("location", "values");
            put("path", &path.to_string());
            put("prefix", prefix);
            put("suffix", suffix);
            put("subchart", subchart.as_deref().unwrap_or_default());
        }
        Origin::Metadata {
            path,
            subchart,
            prefix,
            set,
        } => {
            put("location", "chart");
            put("path", &path.to_string());
            put("prefix", prefix);
            put("subchart", subchart.as_deref().unwrap_or_default());
            put(
                "set",
                &set.as_ref().map(ToString::to_string).unwrap_or_default(),
            );
        }
    }
    if !part.also.is_empty() {
        let also = part.also.iter().map(ToString::to_string);
        entry.insert("also".to_owned(), also.collect());
    }
    Value::Object(entry)
}

fn removal(removal: &Removal) -> Value {
    let mut entry = json!({"path": removal.path.to_string()});
    if let Some(subchart) = &removal.subchart {
        entry["subchart"] = json!(subchart);
    }
    entry
}

/// Writes a comment, each line of the text by itself.
fn comment(text: &str, indent: usize, out: &mut String) {
    for line in text.lines() {
        let clean: String = line.chars().filter(|c| !c.is_control()).collect();
        writeln!(out, "{:indent$}# {}", "", clean.trim_end()).expect("a String takes all text");
    }
}
