//! What must hold of names and of plans, whatever they were made from.

use std::collections::BTreeSet;

use oci_copy::reference::ImageName;
use replication::document::Kind;
use replication::plan::Plan;
use serde_json::Value;

/// A name is what was written, and its target is one that no further step changes.
///
/// # Panics
/// When it does not hold.
pub fn name(name: &ImageName, text: &str) {
    assert_eq!(name.to_string(), text);
    assert_eq!(text.parse::<ImageName>().as_ref(), Ok(name));
    let target = name.target();
    let again = target.parse::<ImageName>().expect("a target is a name");
    assert_eq!(again.target(), target);
    assert_eq!(again.repository, again.repository.to_lowercase());
    assert_eq!((&again.tag, &again.digest), (&name.tag, &name.digest));
}

/// Each target is there once, whatever is published points at one of them, and nothing of it can
/// break out of another program's line.
///
/// # Panics
/// When it does not hold.
pub fn plan(plan: &Plan) {
    let targets: BTreeSet<&str> = plan
        .copies
        .iter()
        .map(|copy| copy.target_text.as_str())
        .collect();
    assert_eq!(
        targets.len(),
        plan.copies.len(),
        "two copies for one target"
    );
    for copy in &plan.copies {
        assert!(!copy.used_by.is_empty());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@".contains(c);
        assert!(
            copy.target_text.chars().all(is_plain),
            "{}",
            copy.target_text
        );
    }
    let images = plan.copies.iter().filter(|copy| copy.kind == Kind::Image);
    let pairs = plan.updated_images();
    assert_eq!(pairs.len(), images.count());

    let text = plan.result.to_json();
    let result: Value = serde_json::from_str(&text).expect("JSON");
    let prefix = plan.prefix.to_string();
    for (key, image) in result["additional_images"].as_object().expect("a map") {
        assert_plain(key);
        assert!(targets.contains(image.as_str().expect("a text")), "{image}");
    }
    for (key, chart) in result["charts"].as_object().expect("a map") {
        assert_plain(key);
        let field = |name: &str| chart["helm"][name].as_str().expect("a text");
        assert_plain(field("version"));
        assert_plain(field("name"));
        let repository = field("repository").trim_start_matches("oci://");
        let target = format!("{repository}:{}", field("version").replace('+', "_"));
        assert!(targets.contains(target.as_str()), "{target}");
        values(&chart["values"], &|text| {
            let Some(rest) = text.strip_prefix(&prefix) else {
                return;
            };
            let is_part = |target: &&str| {
                let below = target.strip_prefix(text);
                below.is_some_and(|more| more.is_empty() || more.starts_with([':', '@', '/']))
            };
            assert!(targets.iter().any(is_part), "{rest}");
        });
    }
}

fn assert_plain(text: &str) {
    let is_letter = |c: char| c.is_alphanumeric() || "-_.:/@+".contains(c);
    assert!(text.chars().all(is_letter), "{text:?}");
}

fn values(value: &Value, check: &impl Fn(&str)) {
    match value {
        Value::String(text) => check(text),
        Value::Array(list) => list.iter().for_each(|value| values(value, check)),
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            assert_ne!(key, "__proto__");
            values(value, check);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
