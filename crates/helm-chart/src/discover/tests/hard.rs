//! Charts that refuse, references that stay, scenarios and switches.

use super::*;

#[test]
fn templates_that_refuse_markers_do_not_hide_the_other_values() {
    let template = "kind: Pod\nspec:\n\
        {{- if not (has .Values.mode.image (list \"team/fast\" \"team/slow\")) }}{{ fail \"unknown mode\" }}{{ end }}\n\
        {{- if not (semverCompare \">=1.2 <1.4\" .Values.image.tag) }}{{ fail (printf \"tag %s\" .Values.image.tag) }}{{ end }}\n\
        {{- if not (regexMatch \"quay[.]io$\" .Values.image.registry) }}{{ fail \"registry\" }}{{ end }}\n\
        \x20 a: {image: '{{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}'}\n\
        \x20 b: {image: 'quay.io/{{ .Values.mode.image }}:1'}\n";
    let values =
        "image: {registry: quay.io, repository: team/app, tag: 1.3.0}\nmode: {image: team/fast}\n";
    finds(
        &plain(values, template),
        &[
            "quay.io/team/app:1.3.0: image.registry | image.repository | image.tag",
            "quay.io/team/fast:1: no value changes it: it is fixed in c/templates/x.yaml",
        ],
    );
}

#[test]
fn what_cannot_be_moved_is_named_with_the_reason() {
    let found = finds(
        &plain(
            "tag: v1\nrepository: a/b\nmangled: {image: quay.io/m/m}\nconfig: 'x: ghcr.io/in/text:1'\nguarded: {repository: quay.io/g}\n",
            "kind: Pod\nspec:\n  a: {image: 'quay.io/fixed:1'}\n  b: {image: 'quay.io/{{ .Values.repository }}:{{ .Values.tag }}'}\n\
             \x20 c: {image: '{{ .Values.mangled.image | replace \"/m\" \"/n\" | replace \"io\" \"test\" }}:1'}\n  d: '{{ .Values.config }}'\n\
             \x20 e: {image: '{{ .Values.guarded.repository | replace \"mirror\" \"other\" }}:1'}\n",
        ),
        &[
            "quay.io/fixed:1: no value changes it: it is fixed in c/templates/x.yaml",
            "quay.io/a/b:v1: its beginning is fixed in c/templates/x.yaml; of its name only repository can be set",
            "quay.test/n/n:1: c/templates/x.yaml changes the value at mangled.image before it uses it",
            "ghcr.io/in/text:1: it is within the longer text at config, which would have to be set as a whole",
            "quay.io/g:1: with guarded.repository set it becomes other.test/idf-quay.io/g:1 and not mirror.test/idf-quay.io/g:1",
        ],
    );
    assert!(found.values.is_empty());
}

#[test]
fn what_bitnami_charts_demand_is_set() {
    let template = "kind: Pod\n\
        {{- if and (ne .Values.image.registry \"docker.io\") (not .Values.global.security.allowInsecureImages) }}\
        {{ fail \"Unrecognized images; set global.security.allowInsecureImages\" }}{{ end }}\n\
        spec: {image: '{{ .Values.image.registry }}/{{ .Values.image.repository }}:1'}\n";
    let found = finds(
        &plain(
            "global: {security: {allowInsecureImages: false}}\nimage: {registry: docker.io, repository: b/n}\n",
            template,
        ),
        &["docker.io/b/n:1: image.registry | image.repository | '1'"],
    );
    assert_eq!(
        found.required["global"]["security"]["allowInsecureImages"],
        true
    );
    assert_eq!(
        found.values["global"]["security"]["allowInsecureImages"],
        true
    );
}

#[test]
fn a_schema_that_refuses_the_override_is_the_reason() {
    let chart = chart(&[
        ("Chart.yaml", META),
        (
            "values.yaml",
            "a: {image: quay.io/a:1}\nb: {image: quay.io/b:1}\n",
        ),
        (
            "values.schema.json",
            "{\"properties\": {\"b\": {\"properties\": {\"image\": {\"pattern\": \"^quay\"}}}}}",
        ),
        (
            "templates/x.yaml",
            "kind: Pod\nspec: {a: {image: '{{ .Values.a.image }}'}, b: {image: '{{ .Values.b.image }}'}}\n",
        ),
    ]);
    let found = of(&chart);
    assert_eq!(found.images.len(), 1);
    let [unmoved] = &found.unmoved[..] else {
        panic!("{:?}", found.unmoved);
    };
    assert!(
        matches!(&unmoved.reason, Reason::Refused { value, .. } if value == "b.image"),
        "{unmoved:?}"
    );
}

#[test]
fn scenarios_and_switches_add_images() {
    let chart = plain(
        "image: quay.io/a:1\nextra: {enabled: false, image: 'quay.io/extra:1'}\nmode: ''\nother: quay.io/other:1\n",
        "kind: Pod\nspec:\n  a: {image: '{{ .Values.image }}'}\n\
         {{- if .Values.extra.enabled }}\n  b: {image: '{{ .Values.extra.image }}'}\n{{- end }}\n\
         {{- if eq .Values.mode \"x\" }}\n  c: {image: '{{ .Values.other }}'}\n{{- end }}\n\
         {{- if eq .Values.mode \"broken\" }}{{ fail \"no\" }}{{ end }}\n",
    );
    let scenarios = [json!({}), json!({"mode": "x"}), json!({"mode": "broken"})];
    let found = discovery(&chart, &scenarios, false);
    assert_eq!(
        lines(&found),
        [
            "quay.io/a:1: - | image | -",
            "quay.io/other:1: - | other | -"
        ]
    );
    assert_eq!(found.failed.len(), 1);
    assert_eq!(found.failed[0].0, 2);
    let found = discovery(&chart, &[json!({})], true);
    assert_eq!(
        lines(&found),
        [
            "quay.io/a:1: - | image | -",
            "quay.io/extra:1: - | extra.image | -"
        ]
    );
    assert_eq!(found.images[1].switches, [["extra", "enabled"]]);
    assert!(found.images[0].switches.is_empty());
}

#[test]
fn a_value_that_only_the_user_has_is_set_unless_it_is_in_a_list_of_theirs() {
    let chart = plain(
        "sidecars: []\n",
        "kind: Pod\nspec: {a: {image: '{{ .Values.mine }}'}, containers: {{ toJson .Values.sidecars }}}\n",
    );
    let scenarios =
        [json!({"mine": "quay.io/mine:1", "sidecars": [{"image": "quay.io/listed:1"}]})];
    assert_eq!(
        lines(&discovery(&chart, &scenarios, false)),
        [
            "quay.io/mine:1: - | mine or quay.io/mine:1 | -",
            "quay.io/listed:1: it is in a list of the given values at sidecars.0.image, not of the chart: set it there",
        ]
    );
}

#[test]
fn two_images_that_need_one_value_differently_do_not_move_wrongly() {
    // The value is the registry of one image and all of the other.
    let chart = plain(
        "host: quay.io/a\n",
        "kind: Pod\nspec: {a: {image: '{{ .Values.host }}/b:1'}, b: {image: 'x/y:1'}, c: {image: '{{ .Values.host }}'}}\n",
    );
    let found = of(&chart);
    for image in &found.images {
        assert!(image.reference.starts_with("quay.io/a"));
    }
    assert_eq!(found.values["host"], "mirror.test/idf-quay.io/a");
    assert_eq!(found.unmoved.len(), 1);
}

#[test]
fn a_chart_that_does_not_render_is_an_error_and_one_without_images_is_not() {
    let chart = plain(
        "{}\n",
        "{{ required \"clusterName is needed\" .Values.clusterName }}",
    );
    let request = Request {
        chart: &chart,
        scenarios: &[json!({})],
        options: &Options::default(),
        switches: false,
        target: &|_| None,
    };
    assert!(
        discover(&request)
            .unwrap_err()
            .to_string()
            .contains("clusterName is needed")
    );
    let found = of(&plain("a: 1\n", "kind: ConfigMap\n"));
    assert_eq!(
        (found.images.len(), found.unmoved.len(), found.renders),
        (0, 0, 1)
    );
}

#[test]
fn where_the_values_of_one_scenario_decide_in_another_too_one_image_moves() {
    for account in ["\"1\"", ".Values.image.account"] {
        let template = format!(
            "kind: Pod\nspec: {{image: '{{{{ .Values.image.override | default (printf \"%s.dkr.ecr.%s.amazonaws.com/cni:v1\" {account} .Values.image.region) }}}}'}}\n"
        );
        let chart = plain(
            "image: {override: '', account: '1', region: us-west-2}\n",
            &template,
        );
        let scenarios = [json!({}), json!({"image": {"region": "eu-west-1"}})];
        let found = discovery(&chart, &scenarios, false);
        assert_eq!(found.unmoved, [], "{account}");
        let whole = "mirror.test/idf-1.dkr.ecr.us-west-2.amazonaws.com/cni:v1";
        match &found.images[..] {
            [one] if found.values["image"]["override"] == whole => {
                assert_eq!(found.values["image"].as_object().unwrap().len(), 1);
                assert_eq!(one.uses.len(), 2);
            }
            two => assert_eq!(two.len(), 2, "{:?}", found.values),
        }
    }
}

#[test]
fn an_image_does_not_take_the_place_of_another_that_no_value_moves() {
    let found = of(&plain(
        "override: ''\n",
        "kind: Pod\nspec: {a: {image: '{{ .Values.override | default \"quay.io/a:1\" }}'}, b: {image: '{{ .Values.override | default \"quay.io/b:1\" }}'}}\n",
    ));
    assert_eq!(found.images, []);
    assert_eq!(found.values, Map::new());
    assert_eq!(found.unmoved.len(), 2);
}

#[test]
fn a_digest_within_the_tag_or_parted_from_its_algorithm_moves_with_it() {
    let hex = "ab".repeat(32);
    let values = format!(
        "a: {{repository: quay.io/a, tag: 'v1@sha256:{hex}'}}\nb: {{repository: quay.io/b@sha256, tag: '{hex}'}}\nc: {{repository: quay.io/C, tag: v3}}\n"
    );
    let template = "kind: Pod\nspec:\n{{- range $key, $image := .Values }}{{ if kindIs \"map\" $image }}\n  {{ $key }}: {image: '{{ lower $image.repository }}:{{ $image.tag }}'}\n{{- end }}{{ end }}\n";
    let [a, b] = [format!("v1@sha256:{hex}"), format!(":{hex}")];
    finds(
        &plain(&values, template),
        &[
            &format!("quay.io/a:{a}: - | a.repository | a.tag"),
            &format!("quay.io/b@sha256{b}: - | b.repository + {b} | -"),
            "quay.io/c:v3: - | c.repository or quay.io/c | c.tag",
        ],
    );
}

#[test]
fn one_image_behind_a_condition_and_behind_a_tag_is_moved_at_both_places() {
    let sub =
        "kind: Pod\nmetadata: {name: '{{ .Chart.Name }}'}\nspec: {image: '{{ .Values.image }}'}\n";
    let found = discovery(
        &chart(&[
            (
                "Chart.yaml",
                &format!(
                    "{META}dependencies: [{{name: sub, version: 1.0.0, alias: one, condition: parts.one}}, {{name: sub, version: 1.0.0, alias: two, tags: [more]}}]\n"
                ),
            ),
            ("values.yaml", "parts: {one: false}\ntags: {more: false}\n"),
            (
                "charts/sub/Chart.yaml",
                "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
            ),
            ("charts/sub/values.yaml", "image: quay.io/x:1\n"),
            ("charts/sub/templates/x.yaml", sub),
        ]),
        &[json!({})],
        true,
    );
    let switches: Vec<_> = found.images.iter().map(|image| &image.switches).collect();
    assert_eq!(found.images.len(), 2, "{:?}", lines(&found));
    assert_eq!(switches[0], &[["parts", "one"]]);
    assert_eq!(switches[1], &[["tags", "more"]]);
}
