//! JSON as encoding/json writes and reads it.

use super::*;

/// Go's `%#v`, which shows all types.
fn go_syntax(value: Value) -> String {
    sprintf("%#v", &[value], &Limits::default()).unwrap()
}

#[test]
fn strings_are_escaped_for_html_or_not() {
    for (text, json, raw) in [
        ("a", r#""a""#, r#""a""#),
        ("<a>&'b'", r#""\u003ca\u003e\u0026'b'""#, r#""<a>&'b'""#),
        ("\"\\/", r#""\"\\/""#, r#""\"\\/""#),
        (
            "\u{8}\u{c}\n\r\t\0\u{1f}",
            r#""\b\f\n\r\t\u0000\u001f""#,
            r#""\b\f\n\r\t\u0000\u001f""#,
        ),
        (
            "\u{7f}\u{85}é日😀\u{feff}",
            "\"\u{7f}\u{85}é日😀\u{feff}\"",
            "\"\u{7f}\u{85}é日😀\u{feff}\"",
        ),
        (
            "\u{2028}\u{2029}\u{fffd}",
            "\"\\u2028\\u2029\u{fffd}\"",
            "\"\\u2028\\u2029\u{fffd}\"",
        ),
    ] {
        let limits = Limits::default();
        let value = Value::from(text);
        assert_eq!(to_json(&value, &limits).as_deref(), Ok(json));
        assert_eq!(to_raw_json(&value, &limits).as_deref(), Ok(raw));
    }
    let binary = Value::String(crate::render::text::from_bytes(b"a\xff"));
    let json = to_json(&binary, &Limits::default());
    assert_eq!(json.as_deref(), Ok(r#""a\ufffd""#));
}

#[test]
fn containers_are_compact_or_indented() {
    let limits = Limits::default();
    let value = map([
        (
            "b",
            Value::list(vec![Value::Float(1.0), Value::Nil, Value::list(vec![])]),
        ),
        ("a", map([])),
        ("c", Value::Bytes(b"hi".as_slice().into())),
        ("d<", Value::Int(-1, IntType::Uint64)),
    ]);
    let json = to_json(&value, &limits);
    let compact = r#"{"a":{},"b":[1,null,[]],"c":"aGk=","d\u003c":18446744073709551615}"#;
    assert_eq!(json.as_deref(), Ok(compact));
    let pretty = to_pretty_json(&value, &limits);
    let indented = "{\n  \"a\": {},\n  \"b\": [\n    1,\n    null,\n    []\n  ],\n  \"c\": \"aGk=\",\n  \"d\\u003c\": 18446744073709551615\n}";
    assert_eq!(pretty.as_deref(), Ok(indented));
}

#[test]
fn what_json_does_not_have_is_an_error() {
    for (float, error) in [
        (f64::INFINITY, "json: unsupported value: +Inf"),
        (f64::NEG_INFINITY, "json: unsupported value: -Inf"),
        (f64::NAN, "json: unsupported value: NaN"),
    ] {
        let value = Value::list(vec![Value::Float(float)]);
        let json = to_json(&value, &Limits::default());
        assert_eq!(json, Err(Failure::Error(error.to_owned())));
    }
}

#[test]
fn texts_are_read_with_the_error_texts_of_go() {
    for (text, expected) in [
        ("{}", Ok("map[string]interface {}{}")),
        (
            r#" {"a":[1,true,null,"x"]} "#,
            Ok(r#"map[string]interface {}{"a":[]interface {}{1, true, interface {}(nil), "x"}}"#),
        ),
        (r#"{"a":1,"a":2}"#, Ok(r#"map[string]interface {}{"a":2}"#)),
        (r#""\ud83d\ude00\ud800\u0041\/""#, Ok("\"😀\u{fffd}A/\"")),
        (
            "[-0,1e5,1E-2,123456789012345678901]",
            Ok("[]interface {}{-0, 100000, 0.01, 1.2345678901234568e+20}"),
        ),
        ("", Err("unexpected end of JSON input")),
        (" [1", Err("unexpected end of JSON input")),
        (r#"{"a""#, Err("unexpected end of JSON input")),
        (r#""a"#, Err("unexpected end of JSON input")),
        (
            "x",
            Err("invalid character 'x' looking for beginning of value"),
        ),
        (
            "'",
            Err(r"invalid character '\'' looking for beginning of value"),
        ),
        (
            "é",
            Err("invalid character 'Ã' looking for beginning of value"),
        ),
        (
            "[1,]",
            Err("invalid character ']' looking for beginning of value"),
        ),
        ("[1 2]", Err("invalid character '2' after array element")),
        (
            "{a}",
            Err("invalid character 'a' looking for beginning of object key string"),
        ),
        (
            r#"{"a":1,}"#,
            Err("invalid character '}' looking for beginning of object key string"),
        ),
        (r#"{"a" 1}"#, Err("invalid character '1' after object key")),
        (
            r#"{"a":1 "b"}"#,
            Err("invalid character '\"' after object key:value pair"),
        ),
        ("{} x", Err("invalid character 'x' after top-level value")),
        (
            "trux",
            Err("invalid character 'x' in literal true (expecting 'e')"),
        ),
        (
            "nul",
            Err("invalid character ' ' in literal null (expecting 'l')"),
        ),
        ("-", Err("invalid character ' ' in numeric literal")),
        ("01", Err("invalid character '1' after top-level value")),
        (
            "1.",
            Err("invalid character ' ' after decimal point in numeric literal"),
        ),
        (
            "1e+",
            Err("invalid character ' ' in exponent of numeric literal"),
        ),
        ("\"a\nb\"", Err(r"invalid character '\n' in string literal")),
        (
            r#""\x""#,
            Err("invalid character 'x' in string escape code"),
        ),
        (
            r#""\u12g""#,
            Err(r"invalid character 'g' in \u hexadecimal character escape"),
        ),
        (
            "1e400",
            Err("json: cannot unmarshal number 1e400 into Go value of type float64"),
        ),
    ] {
        let got = crate::render::format::json::unmarshal(text).map(go_syntax);
        let expected = expected.map(str::to_owned);
        assert_eq!(
            got,
            expected.map_err(|error| Failure::Error(error.to_owned())),
            "{text}"
        );
    }
}

#[test]
fn a_text_of_another_type_becomes_an_error_inside_of_the_value() {
    for (text, map, list) in [
        (
            "null",
            "map[string]interface {}(nil)",
            "[]interface {}(nil)",
        ),
        (
            "{}",
            "map[string]interface {}{}",
            r#"[]interface {}{"json: cannot unmarshal object into Go value of type []interface {}"}"#,
        ),
        (
            "[]",
            r#"map[string]interface {}{"Error":"json: cannot unmarshal array into Go value of type map[string]interface {}"}"#,
            "[]interface {}{}",
        ),
        (
            "1e400",
            r#"map[string]interface {}{"Error":"json: cannot unmarshal number into Go value of type map[string]interface {}"}"#,
            r#"[]interface {}{"json: cannot unmarshal number into Go value of type []interface {}"}"#,
        ),
        (
            r#"{"a":1e400}"#,
            r#"map[string]interface {}{"Error":"json: cannot unmarshal number 1e400 into Go value of type float64", "a":interface {}(nil)}"#,
            r#"[]interface {}{"json: cannot unmarshal object into Go value of type []interface {}"}"#,
        ),
        (
            "",
            r#"map[string]interface {}{"Error":"unexpected end of JSON input"}"#,
            r#"[]interface {}{"unexpected end of JSON input"}"#,
        ),
    ] {
        assert_eq!(from_json(text).map(go_syntax).as_deref(), Ok(map));
        assert_eq!(from_json_array(text).map(go_syntax).as_deref(), Ok(list));
    }
    let deep = "[".repeat(100_000);
    assert!(matches!(
        crate::render::format::json::unmarshal(&deep),
        Err(Failure::Limit(_))
    ));
}
