use serde_json::json;

use super::*;
use crate::archive::Keep;

/// A chart from the text of Chart.yaml and values.yaml.
fn chart(metadata: &str, values: &str, subcharts: Vec<Chart>) -> Chart {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    for (name, text) in [("Chart.yaml", metadata), ("values.yaml", values)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        let path = format!("x/{name}");
        archive
            .append_data(&mut header, path, text.as_bytes())
            .unwrap();
    }
    let archive = archive.into_inner().unwrap().finish().unwrap();
    let mut chart = Chart::read(&archive, Keep::Everything).unwrap();
    chart.subcharts = subcharts;
    chart
}

fn named(name: &str, values: &str, more: &str, subcharts: Vec<Chart>) -> Chart {
    let metadata = format!("name: {name}\nversion: 1.2.0\n{more}\n");
    chart(&metadata, values, subcharts)
}

fn values_of(chart: &Chart, user: &Value) -> Value {
    let settled = settle(chart, user, Enabled::AsHelm).unwrap();
    settled.values.to_json(&mut Work::default()).unwrap()
}

#[test]
fn a_null_takes_a_default_away_and_stays_where_there_is_none() {
    let sub = named("sub", "a: 1\nb: {c: 2, d: ~}\n", "", vec![]);
    let top = named("top", "sub: {b: {c: ~, e: ~}}\nown: ~\n", "", vec![sub]);
    assert_eq!(
        values_of(&top, &json!({"new": null})),
        json!({
            "new": null,
            "own": null,
            "sub": {"a": 1, "b": {"d": null, "e": null}, "global": {}},
        })
    );
    assert_eq!(
        values_of(&top, &json!({"sub": {"a": null}}))["sub"].get("a"),
        None
    );
    assert_eq!(values_of(&top, &json!({"own": null})).get("own"), None);
}

#[test]
fn the_globals_of_a_parent_are_above_those_of_its_subcharts() {
    let sub = named(
        "sub",
        "global: {reg: sub, own: 1, deep: {a: sub, b: sub}}\n",
        "",
        vec![],
    );
    let top = named("top", "global: {reg: top, deep: {a: top}}\n", "", vec![sub]);
    assert_eq!(
        values_of(&top, &json!({}))["sub"]["global"],
        json!({"reg": "top", "own": 1, "deep": {"a": "top", "b": "sub"}})
    );
    let values = values_of(&top, &json!({"global": {"reg": null}}));
    assert_eq!(values["sub"]["global"]["reg"], "sub");
}

#[test]
fn what_a_subchart_adds_deep_in_the_globals_is_seen_by_its_parent_as_in_helm() {
    let sub = named("sub", "global: {a: {b: {sub: 1}}}\n", "", vec![]);
    let top = named("top", "global: {a: {b: {top: 1}}}\n", "", vec![sub]);
    let values = values_of(&top, &json!({}));
    assert_eq!(values["global"]["a"]["b"], json!({"sub": 1, "top": 1}));
}

#[test]
fn a_mapping_and_a_text_are_not_merged_and_a_subcharts_values_are_a_mapping() {
    let sub = named("sub", "image: {tag: 1}\n", "", vec![]);
    let top = named("top", "sub: {image: whole}\nname: text\n", "", vec![sub]);
    let settled = settle(&top, &json!({"name": {"first": "x"}}), Enabled::AsHelm).unwrap();
    let values = settled.values.to_json(&mut Work::default()).unwrap();
    assert_eq!(values["sub"]["image"], "whole");
    assert_eq!(values["name"], json!({"first": "x"}));
    assert!(
        settled
            .warnings
            .iter()
            .any(|line| line.contains("top.name: Not a table"))
    );
    let error = settle(&top, &json!({"sub": 1.5}), Enabled::AsHelm).unwrap_err();
    assert_eq!(error.to_string(), "type mismatch on sub: %!t(float64=1.5)");
}

#[test]
fn conditions_and_tags_enable_and_the_first_boolean_condition_wins() {
    let more = "dependencies:\n\
        - {name: a, condition: 'a.is,b.is', version: '*'}\n\
        - {name: b, tags: [x, y], version: '*'}\n";
    let subs = || ["a", "b"].map(|name| named(name, "", "", vec![])).to_vec();
    for (values, expected) in [
        ("{}", vec!["a", "b"]),
        ("{a: {is: false}}", vec!["b"]),
        ("{b: {is: false}}", vec!["b"]),
        ("{a: {is: true}, b: {is: false}}", vec!["a", "b"]),
        ("{a: {is: text}, b: {is: false}}", vec!["b"]),
        ("{tags: {x: false}}", vec!["a"]),
        ("{tags: {x: false, y: true}}", vec!["a", "b"]),
        ("{tags: {z: false}}", vec!["a", "b"]),
    ] {
        let top = named("top", values, more, subs());
        let names = |enabled| {
            let settled = settle(&top, &json!({}), enabled).unwrap();
            let subcharts = settled.chart.subcharts.iter();
            subcharts
                .map(|chart| chart.name.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(Enabled::AsHelm), expected, "{values}");
        assert_eq!(names(Enabled::All), ["a", "b"], "{values}");
    }
}

#[test]
fn values_are_imported_below_what_the_parent_has_itself() {
    let more = "dependencies:\n- name: sub\n  version: ^1\n  alias: other\n  import-values: [data, {child: deep.er, parent: up}, {child: none, parent: x}]\n";
    let sub = "exports: {data: {port: 80, kept: sub}}\ndeep: {er: {x: 1}}\n";
    let top = named(
        "top",
        "kept: top\n",
        more,
        vec![named("sub", sub, "", vec![])],
    );
    let settled = settle(&top, &json!({}), Enabled::AsHelm).unwrap();
    let values = settled.values.to_json(&mut Work::default()).unwrap();
    assert_eq!(
        (&values["port"], &values["kept"], &values["up"]),
        (&json!(80), &json!("top"), &json!({"x": 1}))
    );
    assert!(
        settled
            .warnings
            .iter()
            .any(|line| line.contains("missing table"))
    );
    let dependencies = settled.chart.metadata().dependencies.unwrap();
    assert_eq!(dependencies[0].name, "other");
    assert_eq!(
        dependencies[0].import_values[0],
        json!({"child": "exports.data", "parent": "."})
    );
}

#[test]
fn numbers_of_values_are_floats_and_lists_are_replaced() {
    let top = named(
        "top",
        "num: 12345678901234567\nl: [1, {a: 1}]\n",
        "",
        vec![],
    );
    let values = values_of(&top, &json!({"l": [2]}));
    assert_eq!(values, json!({"l": [2], "num": 12_345_678_901_234_568_u64}));
}

#[test]
fn a_chart_that_multiplies_itself_ends_with_an_error() {
    let aliases = |name: &str| {
        let line = |n: u32| format!("- {{name: {name}, version: '*', alias: a{n}}}\n");
        format!(
            "dependencies:\n{}",
            (0..40).map(line).collect::<Vec<_>>().concat()
        )
    };
    let wide: Vec<String> = (0..2_000).map(|n| format!("k{n}: {{a: 1}}\n")).collect();
    let wide = wide.concat();
    let deep = (0..5).fold(named("c0", &wide, "", vec![]), |below, n| {
        named(
            &format!("c{}", n + 1),
            "",
            &aliases(&format!("c{n}")),
            vec![below],
        )
    });
    let error = settle(&deep, &json!({}), Enabled::All).unwrap_err();
    assert!(error.to_string().contains("steps"), "{error}");
}
