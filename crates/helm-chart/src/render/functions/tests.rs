//! Each function against what Helm 3.22.0 makes of the same call.

use super::super::func::{Context, Failure};
use super::super::value::{Map, Value};
use super::find;

/// A run without limits.
struct Free;

impl Context for Free {
    fn spend(&mut self, _: usize) -> Result<(), Failure> {
        Ok(())
    }

    fn step(&mut self, _: usize) -> Result<(), Failure> {
        Ok(())
    }

    fn left(&self) -> usize {
        usize::MAX
    }

    fn include(&mut self, name: &str, _: &Value) -> Result<Value, Failure> {
        Ok(Value::from(name))
    }

    fn tpl(&mut self, text: &str, _: &Value) -> Result<Value, Failure> {
        Ok(Value::from(text))
    }

    fn stand_in(&self) -> u64 {
        0
    }
}

fn call(name: &str, args: &[Value]) -> Result<Value, Failure> {
    (find(name).expect("the function exists").call)(&mut Free, args)
}

fn text(name: &str, args: &[Value]) -> String {
    match call(name, args) {
        Ok(Value::String(text)) => text.to_string(),
        other => panic!("{name} gave {other:?}"),
    }
}

#[test]
fn merged_maps_are_changed_in_place_and_shared() {
    let nested: Map = [("a", Value::int(1))].into_iter().collect();
    let target: Map = [("kept", Value::Map(nested.clone()))].into_iter().collect();
    let shared: Map = [("b", Value::int(2))].into_iter().collect();
    let more: Map = [
        ("kept", Value::Map(shared.clone())),
        ("new", Value::Map(shared.clone())),
    ]
    .into_iter()
    .collect();
    call("merge", &[Value::Map(target.clone()), Value::Map(more)]).unwrap();
    assert_eq!(nested.len(), 2, "a nested map of the target is changed");
    assert_eq!(shared.len(), 1, "a nested map of the source is not");
    match target.get("new") {
        Some(Value::Map(new)) => assert!(new.is_same(&shared), "what is new is shared"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wildcard_constraint_allows_any_release_and_no_prerelease() {
    let allows = |constraint: &str, version: &str| {
        matches!(
            call("semverCompare", &[constraint.into(), version.into()]),
            Ok(Value::Bool(true))
        )
    };
    assert!(allows(">=1.19-0", "v1.34.0-eks-0"));
    assert!(allows("^1.2 || ~3.1", "3.1.9"));
    assert!(allows("1.2 - 2", "2.0.0"));
    assert!(!allows("*", "1.0.0-rc.1"));
    assert!(!allows(">1", "1.9.9"));
}

#[test]
fn a_replacement_expands_groups_as_go_does() {
    let replaced = |regex: &str, s: &str, with: &str| {
        text("regexReplaceAll", &[regex.into(), s.into(), with.into()])
    };
    assert_eq!(replaced("a(x*)b", "-ab-axxb-", "${1}W"), "-W-xxW-");
    assert_eq!(replaced("a(x*)b", "-ab-axxb-", "$1W"), "---");
    assert_eq!(replaced("x*", "abc", "-"), "-a-b-c-");
    assert_eq!(replaced("(?P<n>b)", "abc", "<$n$$>"), "a<b$>c");
}
