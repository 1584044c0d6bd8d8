//! Tables made with Go 1.26 and the libraries of helm v3.22.0, a JSON object a line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::*;
use crate::render::func::Failure;
use crate::render::value::{IntType, Map, Value};

mod hostile;
mod json;
mod read;
mod toml;

/// A value with Go's types: `{"int": "3"}`, `{"map": {}}`, `{"bytes": "aGk="}`; a bare number is a float.
fn typed(json: &Json) -> Value {
    let Json::Object(object) = json else {
        return match json {
            Json::Array(items) => Value::list(items.iter().map(typed).collect()),
            plain => from_json_value(plain),
        };
    };
    let (kind, content) = object.iter().next().unwrap();
    let text = || content.as_str().unwrap();
    let int = |int_type| Value::Int(text().parse().unwrap(), int_type);
    match kind.as_str() {
        "int" => int(IntType::Int),
        "int32" => int(IntType::Int32),
        "int64" => int(IntType::Int64),
        "uint8" => int(IntType::Uint8),
        "uint64" => int(IntType::Uint64),
        "time.Duration" => int(IntType::Duration),
        "time.Month" => int(IntType::Month),
        "float" => Value::Float(text().replace("Inf", "inf").parse().unwrap()),
        "bytes" => Value::Bytes(STANDARD.decode(text()).unwrap().into()),
        "map" => map(content
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.as_str(), typed(value)))),
        other => panic!("{other}"),
    }
}

fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Map(entries.into_iter().collect::<Map>())
}

fn rows(table: &str) -> Vec<Json> {
    let rows = table.lines().map(|row| serde_json::from_str(row).unwrap());
    rows.collect()
}

/// Fails with all rows that differ.
#[track_caller]
fn check(differences: &[String], rows: usize, expected: usize) {
    assert_eq!(rows, expected, "rows of the table");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn compare(differences: &mut Vec<String>, what: &Json, got: &Result<String, Failure>, want: &Json) {
    if got.as_deref().ok() != want.as_str() {
        differences.push(format!("{what}\n  want {want}\n  got  {got:?}"));
    }
}

/// Helm's `toYaml`, which is empty where encoding fails.
fn helm_to_yaml(value: &Value) -> Result<String, Failure> {
    match to_yaml(value, &Limits::default()) {
        Err(Failure::Error(_)) => Ok(String::new()),
        result => result,
    }
}

#[test]
fn texts_are_quoted_and_folded_as_goyaml_does() {
    let rows = rows(include_str!("tests/yaml_texts.jsonl"));
    let mut differences = Vec::new();
    for row in &rows {
        let value = map([("k", from_json_value(&row["text"]))]);
        compare(&mut differences, row, &helm_to_yaml(&value), &row["yaml"]);
        let pretty = to_yaml_pretty(&value, &Limits::default());
        compare(&mut differences, row, &pretty, &row["pretty"]);
    }
    check(&differences, rows.len(), 290);
}

#[test]
fn values_are_laid_out_as_goyaml_does() {
    let rows = rows(include_str!("tests/yaml_values.jsonl"));
    let mut differences = Vec::new();
    for row in &rows {
        let value = from_json_value(&row["value"]);
        compare(&mut differences, row, &helm_to_yaml(&value), &row["yaml"]);
        let pretty = to_yaml_pretty(&value, &Limits::default());
        compare(&mut differences, row, &pretty, &row["pretty"]);
    }
    check(&differences, rows.len(), 46);
}

#[test]
fn formats_print_as_go_prints_them() {
    let rows = rows(include_str!("tests/printf.jsonl"));
    let mut differences = Vec::new();
    for row in &rows {
        let args: Vec<_> = row["args"].as_array().unwrap().iter().map(typed).collect();
        let got = sprintf(row["format"].as_str().unwrap(), &args, &Limits::default());
        compare(&mut differences, row, &got, &row["out"]);
    }
    check(&differences, rows.len(), 724);
}

#[test]
fn floats_have_the_spelling_of_each_format() {
    let rows = rows(include_str!("tests/floats.jsonl"));
    let mut differences = Vec::new();
    let limits = Limits::default();
    for row in &rows {
        let float = Value::Float(row["float"].as_str().unwrap().parse().unwrap());
        let printed = sprint(std::slice::from_ref(&float), &limits);
        compare(&mut differences, row, &printed, &row["v"]);
        compare(
            &mut differences,
            row,
            &to_yaml(&float, &limits),
            &row["yaml"],
        );
        let pretty = to_yaml_pretty(&float, &limits);
        compare(&mut differences, row, &pretty, &row["pretty"]);
    }
    check(&differences, rows.len(), 42);
}

#[test]
fn print_puts_spaces_between_what_are_no_strings() {
    let int = |int| Value::Int(int, IntType::Int);
    let text = |text: &str| Value::String(text.into());
    for (args, print, println) in [
        (vec![], "", "\n"),
        (vec![Value::Nil], "<nil>", "<nil>\n"),
        (vec![int(1), int(2)], "1 2", "1 2\n"),
        (vec![text("a"), text("b")], "ab", "a b\n"),
        (vec![text("a"), int(1), int(2)], "a1 2", "a 1 2\n"),
        (
            vec![int(1), text("a"), Value::Nil],
            "1a<nil>",
            "1 a <nil>\n",
        ),
        (
            vec![Value::Nil, Value::Bool(true)],
            "<nil> true",
            "<nil> true\n",
        ),
    ] {
        let limits = Limits::default();
        assert_eq!(sprint(&args, &limits).as_deref(), Ok(print));
        assert_eq!(sprintln(&args, &limits).as_deref(), Ok(println));
    }
}

#[test]
fn texts_that_are_not_utf8_print_as_in_go() {
    let text = Value::String(crate::render::text::from_bytes(b"a\xff\xc3(\xe2\x82"));
    let limits = Limits::default();
    for (format, printed) in [
        ("%q", r#""a\xff\xc3(\xe2\x82""#),
        ("%#q", r#""a\xff\xc3(\xe2\x82""#),
        ("%x", "61ffc328e282"),
        ("%.2x", "61ff"),
        ("%.2q", r#""a\xff""#),
    ] {
        let got = sprintf(format, std::slice::from_ref(&text), &limits);
        assert_eq!(got.as_deref(), Ok(printed), "{format}");
    }
    let padded = sprintf("%8s|", std::slice::from_ref(&text), &limits).unwrap();
    assert_eq!(
        &*crate::render::text::to_bytes(&padded),
        b"  a\xff\xc3(\xe2\x82|"
    );
    assert_eq!(
        to_yaml(&text, &limits).as_deref(),
        Ok("a\u{fffd}\u{fffd}(\u{fffd}\u{fffd}")
    );
    let pretty = to_yaml_pretty(&text, &limits);
    assert_eq!(pretty.as_deref(), Ok("!!binary Yf/DKOKC"));
    let long = Value::String(crate::render::text::from_bytes(&[0xff; 60]));
    let pretty = to_yaml_pretty(&map([("k", long)]), &limits);
    let lines = ["/".repeat(70), "/".repeat(10)].join("\n  ");
    assert_eq!(pretty, Ok(format!("k: !!binary |\n  {lines}")));
}
