//! Values that a template can build to make a program hang.

use super::*;
use crate::render::value::{MAX_DEPTH, forget_changed_maps};

fn text(text: &str) -> Value {
    Value::String(text.into())
}

/// `set . "x" .`
fn circle() -> Value {
    let circle = map([("a", text("b"))]);
    if let Value::Map(map) = &circle {
        map.insert("x", circle.clone());
    }
    circle
}

/// Lists of lists, each of which has the next one in it twice.
fn doubled(levels: usize) -> Value {
    (0..levels).fold(text("x"), |inner, _| {
        Value::list(vec![inner.clone(), inner])
    })
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(text("x"), |inner, _| map([("a", inner)]))
}

/// As deep as a render may go, on a smaller stack than it has.
fn on_a_stack_of_8_mib(check: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(8 << 20);
    thread.spawn(check).unwrap().join().unwrap();
}

#[test]
fn a_map_that_contains_itself_is_an_error() {
    on_a_stack_of_8_mib(circles_are_errors);
}

fn circles_are_errors() {
    let limits = Limits::default();
    let circle = circle();
    let in_a_list = map([("l", Value::list(vec![circle.clone()]))]);
    for value in [&circle, &in_a_list] {
        // encoding/json finds it out, so that Helm's toYaml is empty.
        let error = Failure::Error(
            "json: unsupported value: encountered a cycle via map[string]interface {}".to_owned(),
        );
        assert_eq!(to_yaml(value, &limits), Err(error.clone()));
        assert_eq!(to_json_value(value, &limits), Err(error));
        // Go ends here, with a stack that is too large.
        for result in [
            to_yaml_pretty(value, &limits),
            to_toml(value, &limits),
            sprint(std::slice::from_ref(value), &limits),
            sprintf("%d", std::slice::from_ref(value), &limits),
        ] {
            assert!(matches!(result, Err(Failure::Limit(_))), "{result:?}");
        }
    }
    forget_changed_maps();
}

#[test]
fn levels_are_limited() {
    let check = || {
        let limits = Limits::default();
        for (value, fits) in [
            (nested(MAX_DEPTH), true),
            (nested(MAX_DEPTH + 1), false),
            (nested(100_000), false),
        ] {
            assert_eq!(to_yaml(&value, &limits).is_ok(), fits);
            assert_eq!(to_yaml_pretty(&value, &limits).is_ok(), fits);
            assert_eq!(to_json_value(&value, &limits).is_ok(), fits);
            assert_eq!(to_json(&value, &limits).is_ok(), fits);
            assert_eq!(to_toml(&value, &limits).is_ok(), fits);
            assert_eq!(sprint(&[value], &limits).is_ok(), fits);
        }
    };
    on_a_stack_of_8_mib(check);
}

#[test]
fn bytes_are_limited() {
    let limits = Limits {
        bytes: 10_000,
        ..Limits::default()
    };
    let doubled = doubled(60);
    let long = text(&"x".repeat(10_001));
    for value in [doubled, long] {
        for result in [
            to_yaml(&value, &limits),
            to_yaml_pretty(&value, &limits),
            to_json(&value, &limits),
            to_toml(&map([("k", value.clone())]), &limits),
            sprint(std::slice::from_ref(&value), &limits),
            sprintf("%q", std::slice::from_ref(&value), &limits),
        ] {
            assert!(matches!(result, Err(Failure::Limit(_))), "{result:?}");
        }
    }
    let wide = sprintf("%999999d", &[Value::Int(1, IntType::Int)], &limits);
    assert!(matches!(wide, Err(Failure::Limit(_))), "{wide:?}");
}
