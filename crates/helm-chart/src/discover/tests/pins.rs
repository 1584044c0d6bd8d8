//! Digests in place of tags.

use super::*;
use crate::discover::pin::{self, Pin, Pinned};

fn digest(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

/// Reference, letter of the digest, path and text of the tag, path of the digest.
type Wanted<'a> = (
    &'a str,
    &'a str,
    Option<(&'a str, &'a str)>,
    Option<&'a str>,
);

fn pinned(chart: &Chart, pins: &[Wanted<'_>]) -> Pinned {
    let pins: Vec<Pin> = pins
        .iter()
        .map(|(reference, letter, tag, place)| Pin {
            reference: (*reference).to_owned(),
            digest: digest(letter),
            tag: tag.map(|(path, text)| (path.parse().unwrap(), text.to_owned())),
            place: place.map(|path| path.parse().unwrap()),
        })
        .collect();
    let request = pin::Request {
        chart,
        scenarios: &[json!({})],
        options: &Options::default(),
        published: &Map::new(),
        values: &chart.values,
    };
    pin::pin(&request, &pins)
}

const IMAGE: &str = "spec: {image: '{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}'}\n";

#[test]
fn a_tag_gets_its_digest_or_the_value_for_a_digest_is_set() {
    let values = "image: {repository: quay.io/a, tag: v1, digest: ''}\n";
    let chart = plain(
        values,
        &format!("kind: Pod\nmetadata: {{name: x}}\n{IMAGE}"),
    );
    let found = pinned(
        &chart,
        &[(
            "quay.io/a:v1",
            "a",
            Some(("image.tag", "v1")),
            Some("image.digest"),
        )],
    );
    assert_eq!(
        Json::Object(found.values),
        json!({"image": {"digest": digest("a")}})
    );
    assert!(found.refused.is_empty());
    let found = pinned(
        &chart,
        &[("quay.io/a:v1", "a", Some(("image.tag", "v1")), None)],
    );
    let tag = format!("v1@{}", digest("a"));
    assert_eq!(Json::Object(found.values), json!({"image": {"tag": tag}}));
}

#[test]
fn a_digest_that_would_end_up_in_a_label_or_a_name_is_refused_and_the_others_are_not() {
    let chart = plain(
        "image: {repository: quay.io/a, tag: v1}\nother: {repository: quay.io/b, tag: v2}\n",
        &format!(
            "kind: Pod\nmetadata: {{name: x, labels: {{version: '{{{{ .Values.image.tag }}}}'}}}}\n{IMAGE}more: {{image: '{{{{ .Values.other.repository }}}}:{{{{ .Values.other.tag }}}}'}}\n"
        ),
    );
    let found = pinned(
        &chart,
        &[
            ("quay.io/a:v1", "a", Some(("image.tag", "v1")), None),
            ("quay.io/b:v2", "b", Some(("other.tag", "v2")), None),
        ],
    );
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
fn an_image_without_a_value_and_a_shared_tag_are_refused() {
    let chart = plain(
        "tag: v1\n",
        "kind: Pod\nmetadata: {name: x}\nspec: {a: {image: 'a:{{ .Values.tag }}'}, b: {image: 'b:{{ .Values.tag }}'}, c: {image: 'c:1'}}\n",
    );
    let found = pinned(
        &chart,
        &[
            ("a:v1", "a", Some(("tag", "v1")), None),
            ("b:v1", "b", Some(("tag", "v1")), None),
            ("c:1", "c", None, None),
            ("d:1", "d", Some(("d", "1")), None),
        ],
    );
    assert!(found.values.is_empty());
    let reasons: Vec<&str> = found
        .refused
        .iter()
        .map(|(_, reason)| reason.as_str())
        .collect();
    let shared = "its tag is the tag of another image too, which has another digest";
    assert_eq!(
        reasons,
        [
            shared,
            shared,
            "the chart has no value for its tag or its digest",
            "no scenario that renders uses it",
        ]
    );
}

#[test]
fn a_template_that_makes_something_else_of_the_digest_is_refused() {
    let chart = plain(
        "image: {repository: quay.io/a, tag: v1, digest: ''}\n",
        "kind: Pod\nmetadata: {name: x}\nspec: {image: '{{ .Values.image.repository }}:{{ .Values.image.tag | trunc 20 }}'}\n",
    );
    let found = pinned(
        &chart,
        &[(
            "quay.io/a:v1",
            "a",
            Some(("image.tag", "v1")),
            Some("image.digest"),
        )],
    );
    assert!(found.values.is_empty());
    assert!(
        found.refused[0].1.contains("quay.io/a:v1 would become"),
        "{:?}",
        found.refused
    );
}
