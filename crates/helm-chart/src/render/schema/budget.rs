//! How much work a schema can ask for. References make a small text an exponential number of checks.

use std::collections::HashMap;

use serde_json::Value;

/// The most checks of one value. Schemas of public charts need some hundreds.
const MAX_CHECKS: u64 = 100_000;

/// The most references and schemas within each other.
const MAX_DEPTH: usize = 2_000;

/// Keywords whose schemas are checked against the same value.
const IN_PLACE: [&str; 10] = [
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependencies",
    "dependentSchemas",
];

/// Keywords whose schemas are checked against parts of the value.
const PARTS: [&str; 11] = [
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "unevaluatedProperties",
    "items",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "contentSchema",
];

/// Refuses a schema that would check one value again and again.
pub(super) fn bound(schema: &Value) -> Result<(), String> {
    let mut counter = Counter {
        root: schema,
        known: HashMap::new(),
    };
    if counter.checks(schema, 0) > MAX_CHECKS {
        return Err(format!(
            "the schema asks for more than {MAX_CHECKS} checks of one value, or its references are nested \
             more than {MAX_DEPTH} deep\n"
        ));
    }
    Ok(())
}

struct Counter<'s> {
    root: &'s Value,
    /// By address; a schema that is being counted, and therefore refers to itself, counts once.
    known: HashMap<*const Value, u64>,
}

impl<'s> Counter<'s> {
    /// The checks of one value: all in place, and of its parts the most expensive one.
    fn checks(&mut self, schema: &'s Value, depth: usize) -> u64 {
        let Value::Object(keywords) = schema else {
            return 1;
        };
        if depth > MAX_DEPTH {
            return u64::MAX;
        }
        let address = std::ptr::from_ref(schema);
        if let Some(known) = self.known.get(&address) {
            return *known;
        }
        self.known.insert(address, 1);
        let mut in_place: u64 = 1;
        let mut part: u64 = 0;
        for (keyword, value) in keywords {
            let keyword = keyword.as_str();
            if IN_PLACE.contains(&keyword) {
                for schema in self.schemas(keyword, value) {
                    in_place = in_place.saturating_add(self.checks(schema, depth + 1));
                }
            } else if PARTS.contains(&keyword) {
                for schema in self.schemas(keyword, value) {
                    part = part.max(self.checks(schema, depth + 1));
                }
            }
        }
        let checks = in_place.saturating_add(part);
        self.known.insert(address, checks);
        checks
    }

    /// The schemas that a keyword names: one, a list, or a map of them.
    fn schemas(&self, keyword: &str, value: &'s Value) -> Vec<&'s Value> {
        match (keyword, value) {
            ("$ref", Value::String(reference)) => {
                let pointer = reference.strip_prefix('#').unwrap_or("/");
                self.root.pointer(pointer).into_iter().collect()
            }
            (_, Value::Array(schemas)) => schemas.iter().collect(),
            (
                "properties" | "patternProperties" | "dependencies" | "dependentSchemas",
                Value::Object(schemas),
            ) => schemas.values().collect(),
            (_, schema) => vec![schema],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(length: usize, step: impl Fn(&str) -> String) -> Value {
        let step = |n: usize| format!("\"d{n}\": {}", step(&format!("#/$defs/d{}", n + 1)));
        let steps: Vec<String> = (0..length).map(step).collect();
        let text = format!(
            "{{\"$ref\": \"#/$defs/d0\", \"$defs\": {{{}, \"d{length}\": {{}}}}}}",
            steps.join(", ")
        );
        serde_json::from_str(&text).expect("a schema")
    }

    #[test]
    fn references_that_double_the_checks_are_refused() {
        let twice = |to: &str| format!(r#"{{"anyOf": [{{"$ref": "{to}"}}, {{"$ref": "{to}"}}]}}"#);
        assert!(bound(&chain(40, twice)).is_err());
        assert!(bound(&chain(8, twice)).is_ok());
        let parts = |to: &str| {
            format!(
                r#"{{"allOf": [{{"properties": {{"a": {{"$ref": "{to}"}}}}}}, {{"items": {{"$ref": "{to}"}}}}]}}"#
            )
        };
        assert!(bound(&chain(40, parts)).is_err());
    }

    #[test]
    fn long_chains_of_references_are_refused_and_circles_are_not() {
        let once = |to: &str| format!(r#"{{"$ref": "{to}"}}"#);
        assert!(bound(&chain(20_000, once)).is_err());
        assert!(bound(&chain(100, once)).is_ok());
        let circle = serde_json::json!({"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}});
        assert!(bound(&circle).is_ok());
    }
}
