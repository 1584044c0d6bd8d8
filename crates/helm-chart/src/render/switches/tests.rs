use std::fs;

use serde_json::json;

use super::*;

fn found_in(values: &str, template: &str) -> Found {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("templates")).unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n");
    file("values.yaml", values);
    file("templates/x.yaml", template);
    let chart = Chart::read_folder(folder.path()).unwrap();
    search(&chart, &json!({}), &Options::default()).unwrap()
}

fn added(found: &Found) -> Vec<(String, Vec<String>)> {
    let added = found.added.iter();
    let mut added: Vec<_> = added
        .map(|(image, switches)| {
            let switches = switches.iter().map(|path| path.join(".")).collect();
            (image.reference.clone(), switches)
        })
        .collect();
    added.sort();
    added
}

fn pairs(pairs: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let text = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    pairs
        .iter()
        .map(|(image, switches)| ((*image).to_owned(), text(switches)))
        .collect()
}

#[test]
fn each_image_has_the_switches_that_it_needs() {
    let found = found_in(
        "a: {enabled: false, b: {install: false}}\nc: {use: false}\nd: {enabled: false}\non: {enabled: true}\n",
        "kind: Pod\nbase: {image: base}\n\
         {{ if .Values.a.enabled }}a: {image: 'a:1'}\n\
         {{ if .Values.a.b.install }}ab: {image: 'ab:1'}{{ end }}{{ end }}\n\
         {{ if and .Values.c.use .Values.d.enabled }}cd: {image: 'cd:1'}{{ end }}\n\
         {{ if .Values.c.use }}c: {image: base}{{ end }}\n",
    );
    assert_eq!(
        added(&found),
        pairs(&[
            ("a:1", &["a.enabled"]),
            ("ab:1", &["a.b.install", "a.enabled"]),
            ("cd:1", &["c.use", "d.enabled"]),
        ])
    );
    assert_eq!(found.images.len(), 1);
    assert!(found.refused.is_empty() && !found.is_partial);
}

#[test]
fn switches_that_fail_or_exclude_each_other_do_not_hide_the_others() {
    let found = found_in(
        "a: {enabled: false}\nb: {enabled: false}\nc: {enabled: false}\nd: {enabled: false}\n",
        "kind: Pod\n\
         {{ if and .Values.a.enabled .Values.b.enabled }}{{ fail \"a or b\" }}{{ end }}\n\
         {{ if .Values.c.enabled }}{{ fail \"c needs more\" }}{{ end }}\n\
         {{ if .Values.a.enabled }}a: {image: 'a:1'}{{ end }}\n\
         {{ if .Values.b.enabled }}b: {image: 'b:1'}{{ end }}\n\
         {{ if and .Values.d.enabled (not .Values.a.enabled) }}d: {image: 'd:1'}{{ end }}\n",
    );
    assert_eq!(
        added(&found),
        pairs(&[
            ("a:1", &["a.enabled"]),
            ("b:1", &["b.enabled"]),
            ("d:1", &["d.enabled"]),
        ])
    );
    let [(switch, reason)] = &found.refused[..] else {
        panic!("{:?}", found.refused);
    };
    assert_eq!(switch.join("."), "c.enabled");
    assert!(reason.contains("c needs more"), "{reason}");
}

#[test]
fn a_chart_without_switches_is_rendered_once() {
    let found = found_in("a: false\nenabled: true\n", "kind: Pod\nspec: {image: x}\n");
    assert_eq!((found.images.len(), found.added.len()), (1, 0));
}
