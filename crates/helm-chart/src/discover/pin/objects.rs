//! The texts of rendered objects that a digest must not harm.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::Pin;
use crate::render::Manifest;
use crate::render::release::Rendered;
use crate::yaml::{self, Limits};

/// The longest value of a label.
const MAX_LABEL: usize = 63;
/// The longest name of an object.
const MAX_NAME: usize = 253;

/// What kind of text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A value of a label, or of a selector of labels.
    Label,
    /// The name of an object.
    Name,
    /// An annotation: any text is valid.
    Annotation,
    Other,
}

/// The objects of a render.
pub(super) struct Objects(Vec<Json>);

impl Objects {
    pub(super) fn of(rendered: &Rendered) -> Self {
        let hooks = rendered.hooks.iter().map(|hook| &hook.manifest);
        let manifests = rendered.manifests.iter().chain(hooks);
        let objects = manifests.filter_map(|Manifest { content, .. }| {
            let root = yaml::first_document(content, &Limits::default()).ok()??;
            root.to_helm_json().ok()
        });
        Self(objects.collect())
    }

    /// The labels and names that Kubernetes refuses.
    pub(super) fn invalid(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.each(&mut |kind, key, text| {
            let is_valid = match kind {
                Kind::Label => is_label(text),
                Kind::Name => is_name(text),
                Kind::Annotation | Kind::Other => true,
            };
            if !is_valid {
                found.insert(format!("{key}: {text}"));
            }
        });
        found
    }

    /// A text that has a digest outside of the image's reference.
    pub(super) fn stray(&self, pins: &[&Pin]) -> Option<String> {
        let mut found = None;
        self.each(&mut |kind, key, text| {
            if kind != Kind::Other || found.is_some() {
                return;
            }
            let is_stray = pins.iter().any(|pin| {
                let hex = pin.digest.trim_start_matches("sha256:");
                // Templates may cut it off.
                let start = &hex[..hex.len().min(12)];
                text.contains(start) && {
                    let [whole, bare] = pin.names();
                    text.replace(&whole, "").replace(&bare, "").contains(start)
                }
            });
            if is_stray {
                found = Some(format!("{key}: {text}"));
            }
        });
        found
    }

    fn each(&self, visit: &mut dyn FnMut(Kind, &str, &str)) {
        for object in &self.0 {
            walk(object, "", Kind::Other, visit);
        }
    }
}

fn walk(value: &Json, key: &str, kind: Kind, visit: &mut dyn FnMut(Kind, &str, &str)) {
    match value {
        Json::String(text) => visit(kind, key, text),
        Json::Object(map) => {
            for (inner, value) in map {
                let is_text = value.is_string();
                let kind = match key {
                    "labels" | "matchLabels" | "selector" | "nodeSelector" if is_text => {
                        Kind::Label
                    }
                    "annotations" => Kind::Annotation,
                    "metadata" if inner == "name" && is_text => Kind::Name,
                    _ => Kind::Other,
                };
                walk(value, inner, kind, visit);
            }
        }
        Json::Array(items) => {
            for item in items {
                walk(item, key, kind, visit);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// A value of a label: up to 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_label(text: &str) -> bool {
    let is_end = |letter: Option<char>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
    text.len() <= MAX_LABEL
        && is_end(text.chars().next())
        && is_end(text.chars().last())
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

/// A name of an object. Those of roles may have a colon.
fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.chars().all(|letter| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.:".contains(letter)
        })
}
