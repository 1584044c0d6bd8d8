//! What the cluster finds at the target: the copies of a plan, or of a result document.

use std::collections::{BTreeMap, BTreeSet};

use helm_chart::set;
use serde_json::Value;

use crate::document::Kind;
use crate::plan::Plan;
use crate::reference::Prefix;
use oci_copy::reference::{DEFAULT_TAG, Digest, Location};

use super::{Digests, Values};

/// What replaces an image layout folder while charts are rendered: values with `oci:DIR:` make no
/// references.
const FOLDER: &str = "image-layout.invalid/";

/// The images at the target, by the name that a client asks for.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// The target prefix as results have it.
    prefix: String,
    /// What stands in front of references at the target while charts are rendered.
    rendered_prefix: String,
    copied: BTreeSet<Wanted>,
    /// The sources of copies, with the target.
    sources: BTreeMap<Wanted, String>,
}

/// What a client asks for: host, repository, and a digest or else a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted(String, String);

impl Coverage {
    /// What a plan copies. `digests` are those of tags, where they are known.
    #[must_use]
    pub fn of_plan(plan: &Plan, digests: &Digests) -> Self {
        let mut coverage = Self::new(&plan.prefix);
        for copy in plan.copies.iter().filter(|copy| copy.kind == Kind::Image) {
            let digest = digests.get(&copy.target_text);
            coverage.add(&copy.target_text, digest);
            for wanted in Wanted::names(&copy.source_text) {
                coverage.sources.insert(wanted, copy.target_text.clone());
            }
        }
        coverage
    }

    /// Nothing yet, below a prefix.
    #[must_use]
    pub fn new(prefix: &Prefix) -> Self {
        let text = prefix.to_string();
        let rendered_prefix = match prefix {
            Prefix::Layout { .. } => FOLDER.to_owned(),
            Prefix::Ecr { .. } | Prefix::Registry { .. } => text.clone(),
        };
        Self {
            prefix: text,
            rendered_prefix,
            ..Self::default()
        }
    }

    /// Adds an image at the target, with the digest of its tag.
    pub fn add(&mut self, target_text: &str, digest: Option<&Digest>) {
        let text = self.inward(target_text);
        self.copied.extend(Wanted::names(&text));
        if let (Some(digest), Some(wanted)) = (digest, Wanted::names(&text).first()) {
            self.copied
                .insert(Wanted(wanted.0.clone(), digest.to_string()));
        }
    }

    /// Published values as they are while charts are rendered.
    #[must_use]
    pub fn values(&self, published: &Values) -> Values {
        if self.prefix == self.rendered_prefix {
            return published.clone();
        }
        match mapped(Value::Object(published.clone()), &|text| self.inward(text)) {
            Value::Object(values) => values,
            _ => Values::new(),
        }
    }

    /// Values that were found by rendering, as results have them.
    #[must_use]
    pub(super) fn outward_values(&self, values: Values) -> Values {
        match mapped(Value::Object(values), &|text| self.outward(text)) {
            Value::Object(values) => values,
            _ => Values::new(),
        }
    }

    /// A reference of a result as it is rendered.
    #[must_use]
    pub(super) fn inward(&self, text: &str) -> String {
        match text.strip_prefix(&self.prefix) {
            Some(name) => format!("{}{name}", self.rendered_prefix),
            None => text.to_owned(),
        }
    }

    /// A rendered reference as results have it.
    #[must_use]
    pub fn outward(&self, reference: &str) -> String {
        match reference.strip_prefix(&self.rendered_prefix) {
            Some(name) => format!("{}{name}", self.prefix),
            None => reference.to_owned(),
        }
    }

    /// Whether a rendered reference is at the target.
    #[must_use]
    pub fn has(&self, reference: &str) -> bool {
        let pulled = Wanted::pulled(reference);
        pulled.is_some_and(|wanted| self.copied.contains(&wanted))
    }

    /// Whether a rendered reference is below the prefix.
    #[must_use]
    pub fn is_below(&self, reference: &str) -> bool {
        reference.starts_with(&self.rendered_prefix)
    }

    /// The target of a reference that is a source of the plan.
    #[must_use]
    pub fn copy_of(&self, reference: &str) -> Option<&str> {
        let wanted = Wanted::pulled(reference)?;
        self.sources.get(&wanted).map(String::as_str)
    }
}

/// A value with all its texts changed.
fn mapped(value: Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(&text)),
        Value::Array(list) => list
            .into_iter()
            .map(|value| mapped(value, change))
            .collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, mapped(value, change)))
            .collect(),
        other => other,
    }
}

impl Wanted {
    /// All names under which an image can be asked for: its digest, its tag.
    fn names(text: &str) -> Vec<Self> {
        let Ok(location) = text.parse::<Location>() else {
            return Vec::new();
        };
        let (Some(host), Some(repository)) = (location.host(), location.repository()) else {
            return Vec::new();
        };
        let place = format!("{host}/{repository}");
        let digest = location.digest().map(|digest| digest.to_string());
        let tag = location.tag().map(str::to_owned);
        let names: Vec<Self> = digest
            .into_iter()
            .chain(tag)
            .map(|name| Self(place.clone(), name))
            .collect();
        if names.is_empty() {
            vec![Self(place, DEFAULT_TAG.to_owned())]
        } else {
            names
        }
    }

    /// The name that a client asks for: a digest wins.
    fn pulled(text: &str) -> Option<Self> {
        Self::names(text).into_iter().next()
    }
}

/// The value of a path that the operator reads, with a registry's `/` at its end taken off.
#[must_use]
pub(super) fn registry_at(
    values: &Values,
    published: &Values,
    path: &helm_chart::values::Path,
) -> Option<String> {
    let mut all = values.clone();
    set::merge(&mut all, published.clone());
    let all = Value::Object(all);
    let text = path.get(&all)?.as_str()?.trim_end_matches('/');
    (!text.is_empty()).then(|| text.to_owned())
}
