//! YAML that templates read.

use super::*;

fn go_syntax(value: Value) -> String {
    sprintf("%#v", &[value], &Limits::default()).unwrap()
}

#[test]
fn yaml_is_read_as_a_map_or_a_list() {
    for (text, map) in [
        ("", "map[string]interface {}{}"),
        ("~", "map[string]interface {}{}"),
        ("# c\n", "map[string]interface {}{}"),
        (
            "a: 1\nb: yes\nc: 0x10\nd: 1_000\n",
            r#"map[string]interface {}{"a":1, "b":true, "c":16, "d":1000}"#,
        ),
        (
            "a: 12345678901234567890",
            r#"map[string]interface {}{"a":1.2345678901234567e+19}"#,
        ),
        (
            "1: x\ntrue: w\n1.50: z",
            r#"map[string]interface {}{"1":"x", "1.5":"z", "true":"w"}"#,
        ),
        ("a: 1\n---\nb: 2", r#"map[string]interface {}{"a":1}"#),
        ("a: 1\na: 2", r#"map[string]interface {}{"a":2}"#),
        (
            "[1]",
            r#"map[string]interface {}{"Error":"error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}"}"#,
        ),
        (
            "a",
            r#"map[string]interface {}{"Error":"error unmarshaling JSON: while decoding JSON: json: cannot unmarshal string into Go value of type map[string]interface {}"}"#,
        ),
        (
            "a: .inf",
            r#"map[string]interface {}{"Error":"error converting YAML to JSON: json: unsupported value: +Inf"}"#,
        ),
        (
            "a: \"b",
            r#"map[string]interface {}{"Error":"error converting YAML to JSON: yaml: found unexpected end of stream"}"#,
        ),
        (
            "a: 1\nb: \"\\q\"",
            r#"map[string]interface {}{"Error":"error converting YAML to JSON: yaml: line 2: found unknown escape character"}"#,
        ),
        (
            "a: \u{7}",
            r#"map[string]interface {}{"Error":"error converting YAML to JSON: yaml: control characters are not allowed"}"#,
        ),
    ] {
        assert_eq!(go_syntax(from_yaml(text)), map, "{text}");
    }
    for (text, list) in [
        ("", "[]interface {}{}"),
        (
            "- 1\n- a: b\n",
            r#"[]interface {}{1, map[string]interface {}{"a":"b"}}"#,
        ),
        (
            "a: 1",
            r#"[]interface {}{"error unmarshaling JSON: while decoding JSON: json: cannot unmarshal object into Go value of type []interface {}"}"#,
        ),
    ] {
        assert_eq!(go_syntax(from_yaml_array(text)), list, "{text}");
    }
}

#[test]
fn line_breaks_of_yaml_1_1_come_back_from_both_writers() {
    let limits = Limits::default();
    // Not U+0085: goyaml folds it when it reads the JSON of a value, so toYaml does not keep it.
    for line_break in ['\n', '\r', '\u{2028}', '\u{2029}'] {
        for text in [
            "a@b",
            "@",
            "@@a",
            "a@@",
            " @ a",
            "a b@ c\td",
            "a@\n@ b",
            "'\"\\@#: ",
        ] {
            let text = text.replace('@', &line_break.to_string());
            for content in [text.clone(), text.clone() + &" and more words".repeat(20)] {
                let value = map([("k", Value::from(content))]);
                for written in [to_yaml(&value, &limits), to_yaml_pretty(&value, &limits)] {
                    let written = written.unwrap() + "\n";
                    let read = to_json_value(&from_yaml(&written), &limits).unwrap();
                    assert_eq!(read, to_json_value(&value, &limits).unwrap(), "{written}");
                }
            }
        }
    }
}
