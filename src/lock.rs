//! A plan and what its sources have -> a [`Lock`](crate::document::Lock), and what has changed since. Does no I/O.

mod build;
mod check;
mod diff;
mod plan;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::closure::Mode;
use crate::document::LOCKED_PREFIX;
use crate::settings::{ReferrerPolicy, Settings};

pub use build::Observed;
pub use check::check;
pub use diff::{Change, Contents, Difference, Differences, Version};
pub use plan::{by_digest, plan};

/// The parameters that decide what is copied, as manifests spell them: a lock is for one choice of them.
#[must_use]
pub fn parameters(settings: &Settings, eks_version: &str) -> BTreeMap<String, String> {
    let platforms = settings.copy.platforms.iter();
    let platforms: Vec<String> = platforms.map(ToString::to_string).collect();
    let platforms = if platforms.is_empty() {
        "all".to_owned()
    } else {
        platforms.join(",")
    };
    let referrers = match settings.copy.referrers {
        ReferrerPolicy::None => "none",
        ReferrerPolicy::Image => "image",
        ReferrerPolicy::All => "all",
    };
    // `report` and `require` copy the same.
    let closure = match settings.closure.mode {
        Mode::Complete => "complete",
        Mode::Report | Mode::Require => "report",
    };
    let kubernetes = settings.closure.capabilities(eks_version, &[]);
    let all = [
        ("Platforms", platforms),
        ("Referrers", referrers.to_owned()),
        ("Closure", closure.to_owned()),
        ("KubeVersion", kubernetes.kube_version.version),
        ("PinDigests", settings.closure.pin_digests.to_string()),
    ];
    let all = all.into_iter();
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Values with another beginning of the names at the target: `from` becomes `to`.
fn with_prefix(values: &Map<String, Value>, from: &str, to: &str) -> Map<String, Value> {
    let each = values.iter();
    each.map(|(key, value)| (key.clone(), moved(value, from, to)))
        .collect()
}

fn moved(value: &Value, from: &str, to: &str) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix(from) {
            Some(name) => Value::String(format!("{to}{name}")),
            None => value.clone(),
        },
        Value::Array(list) => list.iter().map(|value| moved(value, from, to)).collect(),
        Value::Object(map) => Value::Object(with_prefix(map, from, to)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Published values as a lock has them.
fn neutral(values: &Map<String, Value>, prefix: &str) -> Map<String, Value> {
    with_prefix(values, prefix, LOCKED_PREFIX)
}
