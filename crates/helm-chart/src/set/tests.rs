use super::*;
use serde_json::json;

fn parsed(text: &str) -> Result<Value, String> {
    let mut values = Map::new();
    set(text, &Reading::Typed, &mut values)?;
    Ok(Value::Object(values))
}

#[test]
fn set_reads_what_helm_reads() {
    for (text, values) in [
        ("a=1", json!({"a": 1})),
        (
            "a=01,b=0,c=-3,d=1.5",
            json!({"a": "01", "b": 0, "c": -3, "d": "1.5"}),
        ),
        ("a=TRUE,b=null,c=", json!({"a": true, "b": null, "c": ""})),
        ("a.b.c=x", json!({"a": {"b": {"c": "x"}}})),
        (r"a\.b=x\,y", json!({"a.b": "x,y"})),
        ("a={x,1,true},b=2", json!({"a": ["x", 1, true], "b": 2})),
        ("a={}", json!({"a": [""]})),
        ("a[1]=x", json!({"a": [null, "x"]})),
        ("a[0].b=1,a[0].c=2", json!({"a": [{"b": 1, "c": 2}]})),
        ("a[0][1]=1", json!({"a": [[null, 1]]})),
        ("a=1,", json!({"a": 1})),
        ("", json!({})),
    ] {
        assert_eq!(parsed(text).unwrap(), values, "{text}");
    }
}

#[test]
fn set_refuses_what_helm_refuses_in_its_words() {
    for (text, message) in [
        ("a", "key \"a\" has no value"),
        ("a,b=1", "key \"a\" has no value (cannot end with ,)"),
        ("a={x", "list must terminate with '}'"),
        (
            "a[x]=1",
            "error parsing index: strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        (
            "a[70000]=1",
            "index of 70000 is greater than maximum supported index of 65536",
        ),
        (
            "a=1,a.b=2",
            "unable to parse key: interface conversion: interface {} is int64, not map[string]interface {}",
        ),
    ] {
        assert_eq!(parsed(text).unwrap_err(), message, "{text}");
    }
    let deep = format!("{}=1", vec!["a"; 40].join("."));
    assert!(
        parsed(&deep)
            .unwrap_err()
            .contains("maximum supported nested level of 30")
    );
}

#[test]
fn the_other_readings_take_text_json_files_and_literals() {
    let mut values = Map::new();
    set("a=1,b=true", &Reading::Text, &mut values).unwrap();
    set("c={\"d\": [1, null]} ,e=\"x\"", &Reading::Json, &mut values).unwrap();
    let read = |name: &str| Ok(format!("content of {name}"));
    set("f=x.txt", &Reading::File(&read), &mut values).unwrap();
    set_literal("g.h=a,b={c}", &mut values).unwrap();
    assert_eq!(
        Value::Object(values),
        json!({"a": "1", "b": "true", "c": {"d": [1.0, null]}, "e": "x",
               "f": "content of x.txt", "g": {"h": "a,b={c}"}})
    );
}
