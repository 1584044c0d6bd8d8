//! Digests in place of tags.

use super::*;
use crate::discover::pin::{self, Pin, Pinned};

fn digest(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

/// Pins references, each with the letter of its digest.
fn pinned(chart: &Chart, pins: &[(&str, &str)]) -> Pinned {
    let pins: Vec<Pin> = pins
        .iter()
        .map(|(reference, letter)| Pin {
            reference: (*reference).to_owned(),
            digest: digest(letter),
        })
        .collect();
    let request = pin::Request {
        chart,
        scenarios: &[json!({})],
        options: &Options::default(),
        published: &Map::new(),
    };
    pin::pin(&request, &pins)
}

fn values_of(chart: &Chart, pins: &[(&str, &str)]) -> Json {
    let found = pinned(chart, pins);
    assert!(found.refused.is_empty(), "{:?}", found.refused);
    Json::Object(found.values)
}

fn refused(chart: &Chart, pins: &[(&str, &str)]) -> Vec<String> {
    let found = pinned(chart, pins);
    assert!(found.values.is_empty(), "{:?}", found.values);
    found.refused.into_iter().map(|(_, why)| why).collect()
}

fn pod(spec: &str) -> String {
    format!("kind: Pod\nmetadata: {{name: x}}\n{spec}")
}

const IMAGE: &str = "spec: {image: '{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}'}\n";

#[test]
fn a_tag_gets_its_digest_or_the_value_for_a_digest_is_set() {
    let with_digest = plain(
        "image: {repository: quay.io/a, tag: v1, digest: ''}\n",
        &pod(IMAGE),
    );
    let pins = [("quay.io/a:v1", "a")];
    assert_eq!(
        values_of(&with_digest, &pins),
        json!({"image": {"digest": digest("a")}})
    );
    let without = plain("image: {repository: quay.io/a, tag: v1}\n", &pod(IMAGE));
    let tag = format!("v1@{}", digest("a"));
    assert_eq!(values_of(&without, &pins), json!({"image": {"tag": tag}}));
}

#[test]
fn the_form_of_a_digest_and_of_a_tag_is_the_one_that_the_template_takes() {
    let hex = plain(
        "image: {repository: quay.io/a, tag: v1, sha: ''}\n",
        &pod(
            "spec: {image: '{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ with .Values.image.sha }}@sha256:{{ . }}{{ end }}'}\n",
        ),
    );
    let pins = [("quay.io/a:v1", "a")];
    assert_eq!(
        values_of(&hex, &pins),
        json!({"image": {"sha": "a".repeat(64)}})
    );
    let empty = plain(
        "image: {repository: quay.io/a, tag: ''}\n",
        &pod(
            "spec: {image: '{{ .Values.image.repository }}:v{{ .Values.image.tag | default \"1\" }}'}\n",
        ),
    );
    let tag = format!("1@{}", digest("a"));
    assert_eq!(values_of(&empty, &pins), json!({"image": {"tag": tag}}));
    let whole = plain(
        "image: quay.io/a:v1\n",
        &pod("spec: {image: '{{ .Values.image }}'}\n"),
    );
    let name = format!("quay.io/a:v1@{}", digest("a"));
    assert_eq!(values_of(&whole, &pins), json!({"image": name}));
}

#[test]
fn an_image_that_two_values_name_is_pinned_at_both() {
    let chart = plain(
        "a: {image: quay.io/a, tag: v1}\nb: {image: quay.io/a, tag: v1, digest: ''}\nc: {image: quay.io/a, tag: v1}\n",
        &pod(
            "spec:\n  a: {image: '{{ .Values.a.image }}:{{ .Values.a.tag }}'}\n  b: {image: '{{ .Values.b.image }}:{{ .Values.b.tag }}{{ with .Values.b.digest }}@{{ . }}{{ end }}'}\n",
        ),
    );
    let tag = format!("v1@{}", digest("a"));
    assert_eq!(
        values_of(&chart, &[("quay.io/a:v1", "a")]),
        json!({"a": {"tag": tag}, "b": {"digest": digest("a")}})
    );
}

#[test]
fn a_digest_that_would_end_up_in_a_label_or_a_name_is_refused_and_the_others_are_not() {
    let chart = plain(
        "image: {repository: quay.io/a, tag: v1}\nother: {repository: quay.io/b, tag: v2}\n",
        &format!(
            "kind: Pod\nmetadata: {{name: x, labels: {{version: '{{{{ .Values.image.tag }}}}'}}}}\n{IMAGE}more: {{image: '{{{{ .Values.other.repository }}}}:{{{{ .Values.other.tag }}}}'}}\n"
        ),
    );
    let found = pinned(&chart, &[("quay.io/a:v1", "a"), ("quay.io/b:v2", "b")]);
    let tag = format!("v2@{}", digest("b"));
    assert_eq!(Json::Object(found.values), json!({"other": {"tag": tag}}));
    let [(0, reason)] = &found.refused[..] else {
        panic!("{:?}", found.refused);
    };
    assert!(
        reason.contains("a label or a name would become invalid: version: v1@sha256:aaaa"),
        "{reason}"
    );
}

#[test]
fn a_label_that_the_template_keeps_valid_and_an_annotation_are_no_obstacle() {
    let chart = plain(
        "image: {repository: quay.io/a, tag: v1}\n",
        &format!(
            "kind: Pod\nmetadata:\n  name: x\n  annotations: {{tag: '{{{{ .Values.image.tag }}}}'}}\n  labels: {{version: '{{{{ .Values.image.tag | replace \"@\" \"_\" | replace \":\" \"_\" | trunc 63 }}}}'}}\n{IMAGE}"
        ),
    );
    let tag = format!("v1@{}", digest("a"));
    assert_eq!(
        values_of(&chart, &[("quay.io/a:v1", "a")]),
        json!({"image": {"tag": tag}})
    );
}

#[test]
fn a_digest_that_would_reach_another_text_is_refused() {
    let chart = plain(
        "image: {repository: quay.io/a, tag: v1}\n",
        &pod(&format!(
            "{IMAGE}more: {{env: [{{name: VERSION, value: '{{{{ .Values.image.tag }}}}'}}]}}\n"
        )),
    );
    let [reason] = &refused(&chart, &[("quay.io/a:v1", "a")])[..] else {
        panic!("one reason");
    };
    assert!(
        reason.starts_with("the digest would also reach another text: value: v1@sha256:aaa"),
        "{reason}"
    );
}

#[test]
fn a_chart_that_compares_versions_keeps_its_tag() {
    let chart = plain(
        "image: {repository: quay.io/a, tag: 1.2.3}\nother: {repository: quay.io/b, tag: v2}\n",
        &pod(&format!(
            "{{{{ if semverCompare \">=1.0.0\" .Values.image.tag }}}}{IMAGE}{{{{ end }}}}more: {{image: '{{{{ .Values.other.repository }}}}:{{{{ .Values.other.tag }}}}'}}\n"
        )),
    );
    let found = pinned(&chart, &[("quay.io/a:1.2.3", "a"), ("quay.io/b:v2", "b")]);
    let tag = format!("v2@{}", digest("b"));
    assert_eq!(Json::Object(found.values), json!({"other": {"tag": tag}}));
    let place = "no value takes a digest for Pod x (spec.image)";
    assert_eq!(found.refused, [(0, place.to_owned())]);
}

#[test]
fn an_image_without_a_value_and_a_shared_tag_are_refused() {
    let chart = plain(
        "tag: v1\n",
        "kind: Pod\nmetadata: {name: x}\nspec: {a: {image: 'a:{{ .Values.tag }}'}, b: {image: 'b:{{ .Values.tag }}'}, c: {image: 'c:1'}}\n",
    );
    let shared = "its tag is the tag of another image too, which has another digest";
    assert_eq!(
        refused(
            &chart,
            &[("a:v1", "a"), ("b:v1", "b"), ("c:1", "c"), ("d:1", "d")]
        ),
        [
            shared,
            shared,
            "no value takes a digest for Pod x (spec.c.image)",
            "no scenario that renders uses it",
        ]
    );
}

#[test]
fn a_template_that_makes_something_else_of_the_digest_is_refused() {
    let chart = plain(
        "image: {repository: quay.io/a, tag: v1, digest: ''}\n",
        &pod(
            "spec: {image: '{{ .Values.image.repository }}:{{ .Values.image.tag | trunc 20 }}'}\n",
        ),
    );
    assert_eq!(
        refused(&chart, &[("quay.io/a:v1", "a")]),
        ["no value takes a digest for Pod x (spec.image)"]
    );
}
