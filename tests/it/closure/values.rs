//! Published values that have no effect, or another one.

use serde_json::json;

use crate::Result;

use super::{AT_TARGET, DIGEST, LISTED, Planned, chart, pod, proof};

#[tokio::test]
async fn a_wrong_path_leaves_the_source_in_place_and_is_reported() -> Result {
    let chart = chart(
        "image: quay.io/team/app:1\nold: {image: quay.io/team/app:1}\n",
        &pod("  containers: [{image: {{ .Values.image }}}]\n"),
    );
    let listed = LISTED.replace("path: image", "path: old.image");
    let planned = Planned::new(chart, &listed).await?;
    let words = "quay.io/team/app:1 is copied, but the chart still names the source: Pod web";
    let done = planned.is_a_gap(&[words, "set by image"]).await;
    done.said(&["1 published value has no effect in the scenarios default: old.image"]);
    Ok(())
}

#[tokio::test]
async fn a_path_without_effect_is_a_warning() -> Result {
    let chart = chart(
        "image: quay.io/team/app:1\nextra: quay.io/team/app:1\n",
        &pod("  containers: [{image: {{ .Values.image }}}]\n"),
    );
    let more = "      more:\n        repository: {location: values, path: extra}\n";
    let planned = Planned::new(chart, &format!("{LISTED}{more}")).await?;
    let done = planned.is_proved().await;
    done.said(&["warning: charts.app: chart app 1.0.0: 1 published value has no effect in the scenarios default: extra"]);
    Ok(())
}

#[tokio::test]
async fn a_value_of_a_part_that_is_off_is_a_warning_only_where_nothing_starts_the_part() -> Result {
    let part = |condition: &str| {
        chart(
            "image: quay.io/team/app:1\nproxy: {enabled: false, mode: none, image: quay.io/team/app:1}\n",
            &pod(&format!(
                "  containers:\n  - image: {{{{ .Values.image }}}}\n  {{{{- if {condition} }}}}\n  - image: {{{{ .Values.proxy.image }}}}\n  {{{{- end }}}}\n"
            )),
        )
    };
    let listed = format!(
        "{LISTED}      proxy:\n        repository: {{location: values, path: proxy.image}}\n"
    );
    let switched = part(".Values.proxy.enabled");
    let done = Planned::new(switched, &listed).await?.is_proved().await;
    assert_eq!(done.lines_with("warning"), 0, "{}", done.stderr);
    let chosen = || part("eq .Values.proxy.mode \"on\"");
    let done = Planned::new(chosen(), &listed).await?.is_proved().await;
    done.said(&["1 published value has no effect in the scenarios default: proxy.image"]);
    let scenario = format!("    scenarios: {{proxy: {{proxy: {{mode: 'on'}}}}}}\n{listed}");
    let done = Planned::new(chosen(), &scenario).await?.is_proved().await;
    assert_eq!(done.lines_with("warning"), 0, "{}", done.stderr);
    Ok(())
}

#[tokio::test]
async fn a_digest_that_wins_over_the_tag_is_reported_with_its_path() -> Result {
    let values = format!("image: {{repository: quay.io/team/app, tag: '1', digest: '{DIGEST}'}}\n");
    let template = pod(
        "  containers: [{image: '{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}'}]\n",
    );
    let listed = "    images:\n      app:\n        repository: {location: values, path: image.repository}\n        tag: {location: values, path: image.tag}\n";
    let planned = Planned::new(chart(&values, &template), listed).await?;
    let words = format!(
        "{AT_TARGET}@{DIGEST} is below the target's prefix, but nothing copies it: Pod web"
    );
    let wins = "its digest wins over the tag: empty `image.digest` with `remove` in the data file";
    planned.is_a_gap(&[&words, wins]).await;

    let removed = format!("{listed}        remove: [{{location: values, path: image.digest}}]\n");
    Planned::new(chart(&values, &template), &removed)
        .await?
        .is_proved()
        .await;
    Ok(())
}

#[tokio::test]
async fn a_schema_that_rejects_the_published_values_is_reported_with_the_path() -> Result {
    let schema = json!({"properties": {"image": {"type": "object", "properties": {"repository": {"pattern": "^quay\\.io/"}}}}});
    let chart = chart(
        "image: {repository: 'quay.io/team/app:1'}\n",
        &pod("  containers: [{image: {{ .Values.image.repository }}}]\n"),
    )
    .file("values.schema.json", schema.to_string());
    let listed = LISTED.replace("path: image", "path: image.repository");
    let planned = Planned::new(chart, &listed).await?;
    let done = planned
        .is_a_gap(&[
            "not proved: it does not render",
            "at '/image/repository': 'target.corp/idf-quay.io/team/app:1' does not match pattern '^quay",
            "without the published values it renders",
        ])
        .await;
    assert_eq!(
        proof(&done)["charts"]["app"]["failures"][0]["cause"],
        "published values"
    );
    Ok(())
}

#[tokio::test]
async fn a_chart_that_needs_a_value_is_proved_with_the_consumers_values() -> Result {
    let template = pod(
        "  cluster: {{ required \"clusterName is needed\" .Values.clusterName }}\n  containers: [{image: {{ .Values.image }}}]\n",
    );
    let chart = || chart("image: quay.io/team/app:1\n", &template);
    let planned = Planned::new(chart(), LISTED).await?;
    let done = planned
        .is_a_gap(&[
            "scenario default: execution error at (app/templates/x.yaml:4:14): clusterName is needed",
            "it does not render without the published values either: write what its consumer sets under `values`",
        ])
        .await;
    assert_eq!(proof(&done)["charts"]["app"]["outcome"], "not proved");
    assert!(done.stdout.contains("1 chart not proved"));
    let with = format!("    values: {{clusterName: c}}\n{LISTED}");
    Planned::new(chart(), &with).await?.is_proved().await;
    Ok(())
}

#[tokio::test]
async fn a_chart_that_refuses_other_registries_gets_the_override_suggested() -> Result {
    let template = pod(
        "  {{- if and (not .Values.global.security.allowInsecureImages) (not (hasPrefix \"quay.io\" .Values.image)) }}\n  {{- fail \"Unrecognized images: set global.security.allowInsecureImages to true\" }}\n  {{- end }}\n  containers: [{image: {{ .Values.image }}}]\n",
    );
    let values = "image: quay.io/team/app:1\nglobal: {security: {allowInsecureImages: false}}\n";
    let planned = Planned::new(chart(values, &template), LISTED).await?;
    planned
        .is_a_gap(&[
            "write `overrides: {global: {security: {allowInsecureImages: true}}}` below the chart",
        ])
        .await;
    let with =
        format!("    overrides: {{global: {{security: {{allowInsecureImages: true}}}}}}\n{LISTED}");
    Planned::new(chart(values, &template), &with)
        .await?
        .is_proved()
        .await;
    Ok(())
}
