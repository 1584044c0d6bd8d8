//! Small charts, one for each way in which charts name their images.

use std::fs;
use std::path::Path as File;

use serde_json::{Value as Json, json};

use super::*;

mod hard;
mod pins;

const PREFIX: &str = "mirror.test/idf-";

/// A chart of the files, its subcharts below `charts/` among them.
fn chart(files: &[(&str, &str)]) -> Chart {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(File::new("."))).unwrap();
        fs::write(path, text).unwrap();
    }
    Chart::read_folder(folder.path()).unwrap()
}

const META: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\nappVersion: 2.5.0\n";

fn plain(values: &str, template: &str) -> Chart {
    chart(&[
        ("Chart.yaml", META),
        ("values.yaml", values),
        ("templates/x.yaml", template),
    ])
}

fn discovery(chart: &Chart, scenarios: &[Json], switches: bool) -> Discovery {
    let request = Request {
        chart,
        scenarios,
        options: &Options::default(),
        switches,
        target: &|reference| Some(format!("{PREFIX}{}", reference.to_lowercase())),
    };
    let found = discover(&request).unwrap();
    assert_eq!(
        found,
        discover(&request).unwrap(),
        "it differs the second time"
    );
    found
}

fn of(chart: &Chart) -> Discovery {
    discovery(chart, &[json!({})], false)
}

fn source(source: &PartSource) -> String {
    match source {
        PartSource::Value { place, suffix } if suffix.is_empty() => place.to_string(),
        PartSource::Value { place, suffix } => format!("{place} + {suffix}"),
        PartSource::Default { text, place } => format!("{place} or {text}"),
        PartSource::AppVersion {
            subchart,
            prefix,
            place,
        } => {
            let place = place
                .as_ref()
                .map(|place| format!("{place} or "))
                .unwrap_or_default();
            format!("{place}{prefix}appVersion of [{}]", subchart.join("."))
        }
        PartSource::Text(text) => format!("'{text}'"),
    }
}

/// `reference: registry | repository | tag`, with what is removed.
fn lines(found: &Discovery) -> Vec<String> {
    let images = found.images.iter().map(|image| {
        let part = |part: &Option<PartSource>| part.as_ref().map_or("-".to_owned(), source);
        let removed: Vec<String> = image
            .remove
            .iter()
            .map(|place| format!(" without {place}"))
            .collect();
        let removed = removed.concat();
        format!(
            "{}: {} | {} | {}{removed}",
            image.reference,
            part(&image.registry),
            source(&image.repository),
            part(&image.tag),
        )
    });
    let mut lines: Vec<String> = images.collect();
    lines.extend(
        found
            .unmoved
            .iter()
            .map(|image| format!("{}: {}", image.reference, image.reason)),
    );
    lines
}

#[track_caller]
fn finds(chart: &Chart, expected: &[&str]) -> Discovery {
    let found = of(chart);
    assert_eq!(lines(&found), expected);
    found
}

#[test]
fn registry_repository_and_tag_are_told_apart() {
    let chart = plain(
        "image: {registry: quay.io, repository: team/app, tag: '1.2'}\npullPolicy: Always\n",
        "kind: Pod\nspec: {image: '{{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}'}\n",
    );
    let found = finds(
        &chart,
        &["quay.io/team/app:1.2: image.registry | image.repository | image.tag"],
    );
    assert_eq!(
        Json::Object(found.values),
        json!({"image": {"registry": "mirror.test/idf-quay.io", "repository": "team/app", "tag": "1.2"}})
    );
    assert_eq!(found.renders, 3);
}

#[test]
fn a_whole_reference_is_one_value() {
    let chart = plain(
        "image: quay.io/team/app:1.2\nrepo: ghcr.io/x/y\n",
        "kind: Pod\nspec: {a: {image: '{{ .Values.image }}'}, b: {image: '{{ .Values.repo }}:{{ .Chart.AppVersion }}'}}\n",
    );
    finds(
        &chart,
        &[
            "quay.io/team/app:1.2: - | image | -",
            "ghcr.io/x/y:2.5.0: - | repo | appVersion of []",
        ],
    );
}

#[test]
fn values_in_lists_arguments_and_variables_are_found() {
    let chart = plain(
        "list:\n- {name: a, image: 'quay.io/a:1', n: 3}\n- {name: b, image: 'quay.io/b:1'}\n\
         reloader: quay.io/r/r:2\nenv:\n- {name: RELATED_IMAGE, value: 'quay.io/e/e:3'}\n",
        "kind: Pod\nspec:\n  containers: {{ toYaml .Values.list | nindent 4 }}\n  more:\n  - args: ['--reloader={{ .Values.reloader }}']\n    env: {{ toYaml .Values.env | nindent 6 }}\n",
    );
    let found = finds(
        &chart,
        &[
            "quay.io/a:1: - | list.0.image | -",
            "quay.io/b:1: - | list.1.image | -",
            "quay.io/r/r:2: - | reloader | -",
            "quay.io/e/e:3: - | env.0.value | -",
        ],
    );
    assert_eq!(found.values["list"][0]["name"], "a");
}

const SUBCHART: &str = "kind: Pod\nmetadata: {name: '{{ .Chart.Name }}'}\nspec: {image: '{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}'}\n";

#[test]
fn two_aliases_of_one_chart_have_values_of_their_own() {
    let chart = chart(&[
        (
            "Chart.yaml",
            "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies:\n\
             - {name: sub, version: 1.0.0, repository: '', alias: one}\n- {name: sub, version: 1.0.0, repository: '', alias: two}\n",
        ),
        ("values.yaml", "two: {image: {tag: '7'}}\n"),
        (
            "charts/sub/Chart.yaml",
            "apiVersion: v2\nname: sub\nversion: 1.0.0\nappVersion: '3'\n",
        ),
        (
            "charts/sub/values.yaml",
            "image: {repository: quay.io/sub, tag: ''}\n",
        ),
        ("charts/sub/templates/x.yaml", SUBCHART),
    ]);
    finds(
        &chart,
        &[
            "quay.io/sub:3: - | one.image.repository | one.image.tag or appVersion of [one]",
            "quay.io/sub:7: - | two.image.repository | two.image.tag",
        ],
    );
}

#[test]
fn a_subchart_of_a_subchart_has_its_own_place() {
    let chart = chart(&[
        ("Chart.yaml", META),
        (
            "charts/a/Chart.yaml",
            "apiVersion: v2\nname: a\nversion: 1.0.0\n",
        ),
        (
            "charts/a/charts/b/Chart.yaml",
            "apiVersion: v2\nname: b\nversion: 1.0.0\nappVersion: '4'\n",
        ),
        (
            "charts/a/charts/b/values.yaml",
            "image: {repository: quay.io/b, tag: null}\n",
        ),
        ("charts/a/charts/b/templates/x.yaml", SUBCHART),
    ]);
    let found = finds(
        &chart,
        &["quay.io/b:4: - | a.b.image.repository | a.b.image.tag or appVersion of [a.b]"],
    );
    let place = found.images[0].repository.place().unwrap();
    assert_eq!(
        (place.subchart.join("."), place.path.to_string()),
        ("a.b".to_owned(), "image.repository".to_owned())
    );
}

#[test]
fn the_local_registry_is_preferred_and_a_global_one_is_used_where_there_is_no_other() {
    let template = "kind: Pod\nspec: {image: '{{ .Values.global.registry | default .Values.image.registry }}/{{ .Values.image.name }}:1'}\n";
    finds(
        &plain(
            "global: {registry: ''}\nimage: {registry: quay.io, name: a/b}\n",
            template,
        ),
        &["quay.io/a/b:1: image.registry | image.name | '1'"],
    );
    // The global one wins over the other, which then has no effect.
    finds(
        &plain(
            "global: {registry: ghcr.io}\nimage: {registry: quay.io, name: a/b}\n",
            template,
        ),
        &["ghcr.io/a/b:1: global.registry | image.name | '1'"],
    );
}

#[test]
fn a_global_of_a_subchart_is_written_where_the_chart_has_it() {
    let chart = chart(&[
        ("Chart.yaml", META),
        ("values.yaml", "global: {registry: quay.io}\n"),
        (
            "charts/sub/Chart.yaml",
            "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
        ),
        (
            "charts/sub/values.yaml",
            "global: {registry: other.io}\nname: x/y\n",
        ),
        (
            "charts/sub/templates/x.yaml",
            "kind: Pod\nspec: {image: '{{ .Values.global.registry }}/{{ .Values.name }}:1'}\n",
        ),
    ]);
    finds(&chart, &["quay.io/x/y:1: global.registry | sub.name | '1'"]);
}

#[test]
fn a_digest_that_wins_is_blanked() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let values = |more: &str| {
        format!("image: {{repository: quay.io/a, tag: v1, digest: '{digest}'}}\n{more}")
    };
    for reference in [
        "{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}",
        "{{ .repository }}:{{ .tag }}{{ if .digest }}@{{ .digest }}{{ end }}",
    ] {
        let template = format!(
            "kind: Pod\nspec: {{image: \"{{{{ with .Values.image }}}}{reference}{{{{ end }}}}\"}}\n"
        );
        let found = finds(
            &plain(&values("other: {digest: ''}\n"), &template),
            &["quay.io/a:v1: - | image.repository | image.tag without image.digest"],
        );
        assert_eq!(found.values["image"]["digest"], "");
    }
    // Without a tag the digest is all that there is, and stays.
    let template =
        "kind: Pod\nspec: {image: '{{ .Values.image.repository }}@{{ .Values.image.digest }}'}\n";
    finds(
        &plain(&values(""), template),
        &[&format!(
            "quay.io/a@{digest}: - | image.repository + @{digest} | -"
        )],
    );
}

#[test]
fn an_empty_digest_beside_the_tag_is_reported() {
    let template = "kind: Pod\nspec: {image: '{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}'}\n";
    let found = of(&plain(
        "image: {repository: quay.io/a, tag: v1, digest: ''}\n",
        template,
    ));
    assert_eq!(
        found.images[0].digest.as_ref().unwrap().to_string(),
        "image.digest"
    );
}

#[test]
fn an_empty_registry_with_a_default_is_set() {
    let template = "kind: Pod\nspec: {image: '{{ .Values.image.registry | default \"docker.io\" }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}'}\n";
    for registry in ["null", "''"] {
        let values = format!("image: {{registry: {registry}, repository: a/b, tag: '1'}}\n");
        finds(
            &plain(&values, template),
            &["docker.io/a/b:1: image.registry or docker.io | image.repository | image.tag"],
        );
    }
    // A registry that is in front only when it is set could not become the target: the prefix has no `/` at its end.
    let template = "kind: Pod\nspec: {image: '{{ with .Values.image.registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}:1'}\n";
    finds(
        &plain("image: {registry: '', repository: a/b}\n", template),
        &["a/b:1: - | image.repository | '1'"],
    );
}

#[test]
fn the_app_version_stays_and_its_prefix_is_reported() {
    let template = "kind: Pod\nspec: {image: '{{ .Values.image.repository }}:{{ default (printf \"v%s\" .Chart.AppVersion) .Values.image.tag }}'}\n";
    let found = finds(
        &plain("image: {repository: quay.io/a, tag: ''}\n", template),
        &["quay.io/a:v2.5.0: - | image.repository | image.tag or vappVersion of []"],
    );
    assert_eq!(
        Json::Object(found.values),
        json!({"image": {"repository": "mirror.test/idf-quay.io/a"}})
    );
}

#[test]
fn a_name_of_several_parts_moves_by_its_first() {
    finds(
        &plain(
            "imageRegistry: quay.io\nimageNamespace: jetstack\nimage: {name: app}\n",
            "kind: Pod\nspec: {image: '{{ .Values.imageRegistry }}/{{ .Values.imageNamespace }}/{{ .Values.image.name }}:{{ .Chart.AppVersion }}'}\n",
        ),
        &["quay.io/jetstack/app:2.5.0: imageRegistry | 'jetstack/app' | appVersion of []"],
    );
    finds(
        &plain(
            "account: '602401143452'\nregion: us-west-2\n",
            "kind: Pod\nspec: {image: '{{ .Values.account }}.dkr.ecr.{{ .Values.region }}.amazonaws.com/cni:v1'}\n",
        ),
        &[
            "602401143452.dkr.ecr.us-west-2.amazonaws.com/cni:v1: - | account + .dkr.ecr.us-west-2.amazonaws.com/cni | 'v1'",
        ],
    );
}

#[test]
fn a_suffix_of_the_template_stays_behind_the_value() {
    let values = "image: {registry: r.k8s.io, name: n/controller}\nrepository: quay.io/x\n";
    finds(
        &plain(
            values,
            "kind: Pod\nspec: {a: {image: '{{ .Values.image.registry }}/{{ .Values.image.name }}-chroot:1'}, b: {image: '{{ .Values.repository }}-fips:1'}}\n",
        ),
        &[
            "r.k8s.io/n/controller-chroot:1: image.registry | 'n/controller-chroot' | '1'",
            "quay.io/x-fips:1: - | repository + -fips | '1'",
        ],
    );
}

#[test]
fn an_empty_override_of_the_whole_reference_is_set_where_parts_do_not_help() {
    finds(
        &plain(
            "image: {override: '', region: us-west-2, tag: v1}\n",
            "kind: Pod\nspec: {image: '{{ .Values.image.override | default (printf \"1.dkr.ecr.%s.amazonaws.com/cni:%s\" .Values.image.region .Values.image.tag) }}'}\n",
        ),
        &[
            "1.dkr.ecr.us-west-2.amazonaws.com/cni:v1: - | image.override or 1.dkr.ecr.us-west-2.amazonaws.com/cni:v1 | -",
        ],
    );
}

#[test]
fn an_empty_registry_and_an_empty_repository_are_both_set() {
    let template = "kind: Pod\nspec: {image: '{{ .Values.image.registry | default \"docker.io\" }}/{{ .Values.image.repository | default \"team/app\" }}:{{ .Values.image.tag | default .Chart.AppVersion }}'}\n\
        {{- if not (semverCompare \"^2\" (.Values.image.tag | default .Chart.AppVersion)) }}{{ fail \"not supported\" }}{{ end }}\n";
    let found = finds(
        &plain(
            "image: {registry: null, repository: null, tag: null}\n",
            template,
        ),
        &[
            "docker.io/team/app:2.5.0: image.registry or docker.io | image.repository or team/app | image.tag or appVersion of []",
        ],
    );
    assert_eq!(found.renders, 4);
}
