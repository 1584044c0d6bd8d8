use serde_json::{Value, json};

use super::{Error, Limits, Node, first_document, parse, template_text, values};

/// A plain scalar, its JSON, what a Go string field receives, what a template prints. Made with
/// Helm 4.3.1 and 3.22.0, which agree, over sigs.k8s.io/yaml 1.6.0.
const PLAIN: &str = include_str!("tests/plain_scalars.txt");

#[test]
fn plain_scalars_are_read_as_helm_reads_them() {
    let rows: Vec<_> = PLAIN.lines().collect();
    assert_eq!(rows.len(), 113);
    for row in rows {
        let [text, helm, go_string, template] = row.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let some = |text: &str| (text != "none").then(|| text.to_owned());
        for document in [
            format!("v: {text}\n"),
            format!("{{v: {text}}}"),
            format!("v: {text}"),
        ] {
            let value = helm_json(&document).unwrap().remove("v").unwrap();
            let expected: Value = serde_json::from_str(helm).unwrap();
            assert_eq!(value.to_string(), expected.to_string(), "{document}");
            assert_eq!(template_text(&value), some(template), "{document}");
            assert_eq!(
                node(&document)
                    .get("v")
                    .unwrap()
                    .as_scalar()
                    .unwrap()
                    .go_string(),
                some(go_string)
            );
        }
        let quoted = helm_json(&format!("v: '{text}'"))
            .unwrap()
            .remove("v")
            .unwrap();
        assert_eq!(quoted, Value::from(text));
    }
}

/// Texts with line breaks of YAML 1.1, escapes and tabs, each with its JSON, or null where it is refused. Made
/// with `fromYaml` of Helm 3.22.0.
const AS_GOYAML: &str = include_str!("tests/as_goyaml.jsonl");

#[test]
fn line_breaks_escapes_and_tabs_are_read_as_goyaml_reads_them() {
    let mut differences = Vec::new();
    for row in AS_GOYAML.lines() {
        let (text, expected): (String, Value) = serde_json::from_str(row).unwrap();
        let read = first_document(&text, &Limits::default())
            .and_then(|root| root.map_or(Ok(json!({})), |root| root.to_helm_json()));
        if read.as_ref().ok().unwrap_or(&Value::Null) != &expected {
            differences.push(format!("{text:?}\n  Helm: {expected}\n  here: {read:?}"));
        }
    }
    assert!(AS_GOYAML.lines().count() > 50);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn places_stay_right_where_the_text_is_repaired() {
    let text = "a: \"it\\'s\" # \u{2028}b: \u{85}  - c\n  - \"\\'\"\n? []\n: 1\n";
    let root = node(text);
    assert_eq!(root.get("b").unwrap().items()[0].line, 3);
    let error = root.to_helm_json().unwrap_err();
    assert_eq!((error.line, error.column), (5, 3));
}

#[test]
fn a_text_with_many_escapes_that_need_repair_ends_soon() {
    let text = "- \"\\'\"\n".repeat(100_000);
    assert!(first_document(&text, &Limits::default()).is_err());
}

#[test]
fn a_key_becomes_text() {
    let rows = [
        ("yes", Ok("true")),
        ("010", Ok("8")),
        ("1.10", Ok("1.1")),
        ("1e3", Ok("1000")),
        ("1e300", Ok(".inf")),
        ("-.inf", Ok("-.inf")),
        (".nan", Ok(".nan")),
        ("0.1", Ok("0.1")),
        ("1234567.5", Ok("1.2345675e+06")),
        ("-0.0", Ok("-0")),
        ("2001-01-01", Ok("2001-01-01")),
        ("!!binary aGk=", Ok("hi")),
        ("'1.10'", Ok("1.10")),
        ("~", Err("null cannot be a key")),
        ("[a]", Err("a list cannot be a key")),
        ("{a: b}", Err("a mapping cannot be a key")),
        (
            "18446744073709551615",
            Err("the number 18446744073709551615 is too large for a key"),
        ),
    ];
    for (key, expected) in rows {
        let keys = helm_json(&format!("{key}: x\n")).map(|map| map.keys().next().cloned().unwrap());
        assert_eq!(
            keys.as_deref().map_err(|error| error.message.as_str()),
            expected,
            "{key}"
        );
    }
}

#[test]
fn a_tag_decides() {
    let rows = [
        ("!!str 12", Some(json!("12"))),
        ("!!str", Some(json!(""))),
        ("!!str ~", Some(json!("~"))),
        ("!!int '12'", Some(json!(12))),
        ("!!int 1.0", None),
        ("!!int", None),
        ("!!float 1", Some(json!(1))),
        ("!!float 18446744073709551615", None),
        ("!!float x", None),
        ("!!bool yes", Some(json!(true))),
        ("!!bool 1", None),
        ("!!null ''", Some(json!(null))),
        ("!!null x", None),
        ("!!timestamp 2001-01-01", Some(json!("2001-01-01"))),
        ("!!timestamp 5", None),
        ("!!binary aGVsbG8=", Some(json!("hello"))),
        ("!!binary gYE=", Some(json!("\u{FFFD}\u{FFFD}"))),
        ("!!binary aGVsbG8", None),
        ("!!x 12", Some(json!("12"))),
        ("! 12", Some(json!("12"))),
        ("!x 12", Some(json!("12"))),
        ("!<tag:yaml.org,2002:int> '5'", Some(json!(5))),
        (".inf", None),
        ("-.inf", None),
        (".nan", None),
    ];
    for (text, expected) in rows {
        let value = helm_json(&format!("v: {text}\n"))
            .ok()
            .map(|mut map| map.remove("v").unwrap());
        assert_eq!(value, expected, "{text}");
    }
}

#[test]
fn data_files_keep_the_text() {
    let root = node("a: 1.10\nb: ~\nc: '~'\nd:\ne: yes\nf: 'yes'\ng: !!str null\nh: 010\n");
    let text = |key| root.get(key).unwrap().as_text();
    assert_eq!(
        ["a", "b", "c", "d", "e", "g", "h"].map(text),
        [
            Some("1.10"),
            None,
            Some("~"),
            None,
            Some("yes"),
            Some("null"),
            Some("010"),
        ]
    );
    let boolean = |key| root.get(key).unwrap().as_scalar().unwrap().boolean();
    assert_eq!(["a", "e", "f"].map(boolean), [None, Some(true), None]);
    assert_eq!(root.get("z").map(Node::kind_name), None);
    assert_eq!(root.kind_name(), "mapping");
    assert_eq!(root.get("b").unwrap().kind_name(), "null");
    assert_eq!(node("[a, {b: c}]").items().len(), 2);
}

#[test]
fn merge_keys_assign_in_order() {
    let rows = [
        (
            "a: &a {x: 1, z: 2}\nv: {<<: *a, x: 3}\n",
            Some(json!({"x": 3, "z": 2})),
        ),
        // Not what YAML means, but what goyaml v2 does.
        (
            "a: &a {x: 1, z: 2}\nv: {x: 3, <<: *a}\n",
            Some(json!({"x": 1, "z": 2})),
        ),
        (
            "v: {<<: [{x: 1}, {x: 2, z: 3}]}\n",
            Some(json!({"x": 1, "z": 3})),
        ),
        (
            "a: &a {x: 1}\nb: &b {<<: *a, z: 2}\nv: {<<: *b}\n",
            Some(json!({"x": 1, "z": 2})),
        ),
        ("v: {'<<': {x: 1}}\n", Some(json!({"<<": {"x": 1}}))),
        ("v: {! '<<': {x: 1}}\n", Some(json!({"x": 1}))),
        ("v: {!!merge '<<': {x: 1}}\n", Some(json!({"x": 1}))),
        ("v: {!!str <<: {x: 1}}\n", Some(json!({"<<": {"x": 1}}))),
        ("v: {<<: 3}\n", None),
        ("v:\n  <<:\n", None),
        ("v: {<<: [1]}\n", None),
        ("a: &a [{x: 1}]\nv: {<<: *a}\n", None),
    ];
    for (text, expected) in rows {
        assert_eq!(
            helm_json(text).ok().map(|mut map| map.remove("v").unwrap()),
            expected,
            "{text}"
        );
    }
    let root = node("a: &a {x: 1, z: 2}\nv: {<<: *a, x: 3, x: 4}\n");
    let merged = root.get("v").unwrap();
    assert_eq!(merged.get("x").unwrap().as_text(), Some("4"));
    assert_eq!(merged.get("z").unwrap().as_text(), Some("2"));
    let entries = merged
        .entries()
        .into_iter()
        .map(|(k, v)| (k.as_text(), v.as_text()));
    assert_eq!(
        entries.collect::<Vec<_>>(),
        [(Some("x"), Some("4")), (Some("z"), Some("2"))]
    );
}

#[test]
fn duplicates_are_found_and_the_last_one_counts() {
    let text = "a: 1\nb:\n  c: 1\n  d: {e: 1, e: 2}\n  c: 2\na: 3\n";
    let lines = node(text)
        .duplicates()
        .iter()
        .map(|key| (key.line, key.column))
        .collect::<Vec<_>>();
    assert_eq!(lines, [(4, 13), (5, 3), (6, 1)]);
    assert_eq!(
        Value::Object(helm_json(text).unwrap()),
        json!({"a": 3, "b": {"c": 2, "d": {"e": 2}}})
    );
}

#[test]
fn aliases_are_resolved_and_counted() {
    assert_eq!(
        Value::Object(helm_json("a: &x 1\nb: *x\nc: &x 2\nd: *x\n").unwrap()),
        json!({
            "a": 1, "b": 1, "c": 2, "d": 2
        })
    );
    for text in ["a: *x\n", "a: &x [*x]\n", "a: &x {b: *x}\n"] {
        first_document(text, &Limits::default()).unwrap_err();
    }
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (from, to) in ('a'..='y').zip('b'..='z') {
        laughs += &[
            &format!("{to}: &{to} ["),
            &*format!("*{from}, ").repeat(9),
            "]\n",
        ]
        .concat();
    }
    let error = first_document(&laughs, &Limits::default()).unwrap_err();
    assert_eq!(
        error.message,
        "the text has more than 500000 values, with aliases resolved"
    );

    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(1 << 20),
        ["*a"].repeat(99).join(",")
    );
    let error = first_document(&long, &Limits::default()).unwrap_err();
    assert_eq!(
        error.message,
        "the text has more than 16777216 bytes, with aliases resolved"
    );

    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(100), "]".repeat(100));
    first_document(&deep(""), &Limits::default()).unwrap();
    let nested = format!("a: &a {}\nb: {}\n", deep(""), deep("*a"));
    let error = first_document(&nested, &Limits::default()).unwrap_err();
    assert_eq!(
        error.message,
        "the text has more than 128 levels, with aliases resolved"
    );
    first_document(&deep(&deep("")), &Limits::default()).unwrap_err();
    first_document(&"[".repeat(100_000), &Limits::default()).unwrap_err();
}

#[test]
fn documents_byte_order_marks_and_line_ends() {
    let count = |text: &str| parse(text, &Limits::default()).unwrap().len();
    assert_eq!(
        ["", "# c\n", "---\n", "a\n---\nb\n", "a: 1\n...\n"].map(count),
        [0, 0, 1, 2, 1]
    );
    let json = |text: &str| Value::Object(helm_json(text).unwrap());
    assert_eq!(json("\u{FEFF}a: 1\n"), json!({"a": 1}));
    assert_eq!(
        json("---\r\na: 1\r\nb: |\r\n  x\r\n...\r\n"),
        json!({"a": 1, "b": "x\n"})
    );
    assert_eq!(json("a:\t1\t# c\n"), json!({"a": 1}));
    assert_eq!(json("a: |\n  x"), json!({"a": "x"}));
    // Only the first document is read.
    assert_eq!(json("a: 1\n---\n{"), json!({"a": 1}));
}

#[test]
fn errors_say_where() {
    let error = first_document("a: 1\nb: {c: [}\n", &Limits::default()).unwrap_err();
    assert_eq!((error.line, error.column), (2, 8));
    assert_eq!(
        first_document("a: é\u{7}\n", &Limits::default())
            .unwrap_err()
            .to_string(),
        "line 1, column 5: the control character '\\u{7}' is not allowed"
    );
    assert_eq!(
        values("a: 1\nb:\n  c: .inf\n").unwrap_err().to_string(),
        "line 3, column 6: Helm cannot read .inf, which JSON does not have"
    );
}

#[test]
fn values_are_the_first_document_as_in_helm_3() {
    let rows = [
        ("", Some(json!({}))),
        ("# c\n", Some(json!({}))),
        ("---\n---\n", Some(json!({}))),
        ("a: 1\n---\nb: 2\n", Some(json!({"a": 1}))),
        ("---\na: 1\n...\n[", Some(json!({"a": 1}))),
        ("a: |\n  x", Some(json!({"a": "x"}))),
        ("--- {a: 1}\n", Some(json!({"a": 1}))),
        ("---foo: 1\n", Some(json!({"---foo": 1}))),
        ("a: 1\n---\n[1]\n", Some(json!({"a": 1}))),
        ("[1]\n", None),
        ("x\n", None),
    ];
    for (text, expected) in rows {
        assert_eq!(values(text).ok(), expected, "{text}");
    }
}

fn node(text: &str) -> Node {
    first_document(text, &Limits::default()).unwrap().unwrap()
}

fn helm_json(text: &str) -> Result<serde_json::Map<String, Value>, Error> {
    match first_document(text, &Limits::default())?
        .map_or(Ok(Value::Null), |node| node.to_helm_json())?
    {
        Value::Object(map) => Ok(map),
        other => panic!("no mapping: {other}"),
    }
}
