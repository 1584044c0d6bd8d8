//! Images that the cluster would pull from elsewhere.

use lab::chart::Chart;
use serde_json::json;

use crate::Result;

use super::{AT_TARGET, LISTED, Planned, chart, pairs, pod, proof, states};

#[tokio::test]
async fn a_missing_image_is_a_gap_with_the_value_that_sets_it() -> Result {
    let chart = chart(
        "image: quay.io/team/app:1\nproxy: {image: {repository: quay.io/team/proxy, tag: '2'}}\n",
        &pod(
            "  containers:\n  - image: {{ .Values.image }}\n  - image: {{ .Values.proxy.image.repository }}:{{ .Values.proxy.image.tag }}\n  - image: quay.io/team/fixed:3\n",
        ),
    );
    let planned = Planned::new(chart, LISTED).await?;
    let done = planned
        .is_a_gap(&[
            "chart app 1.0.0: 2 images are not at the target",
            "quay.io/team/proxy:2 is not copied: Pod web (spec.containers[1].image; app/templates/x.yaml; \
             scenario default); set by proxy.image.repository",
            "quay.io/team/fixed:3 is not copied: Pod web (spec.containers[2].image; app/templates/x.yaml; \
             scenario default); no value changes it: it is fixed in app/templates/x.yaml",
        ])
        .await;
    assert_eq!(
        states(&done),
        pairs(&[
            (AT_TARGET, "copied"),
            ("quay.io/team/proxy:2", "gap"),
            ("quay.io/team/fixed:3", "gap")
        ])
    );
    let short = &done.result()["closure"];
    assert_eq!(
        (&short["references"], &short["gaps"]),
        (&json!(3), &json!(2))
    );
    Ok(())
}

#[tokio::test]
async fn a_deployment_that_requires_closure_copies_nothing_when_there_is_a_gap() -> Result {
    let (source, target) = (
        lab::registry::Registry::start().await?,
        lab::registry::Registry::start().await?,
    );
    lab::image::Image::new().push(&source, "team/app", "1")?;
    let chart = chart(
        "image: quay.io/team/app:1\n",
        &pod("  containers: [{image: {{ .Values.image }}}, {image: quay.io/team/other:1}]\n"),
    );
    let planned = Planned::new(chart, LISTED).await?;
    let run = || {
        planned
            .data
            .deploy(&target)
            .endpoint("quay.io", &source.url())
    };
    let refused = run().args(["--closure", "require"]).run().await.ended(2);
    refused
        .left_nothing()
        .said(&["quay.io/team/other:1 is not copied"]);
    assert_eq!(
        source.wire().requests().len() + target.wire().requests().len(),
        0
    );

    let done = run()
        .run()
        .await
        .ended(0)
        .said(&["warning: charts.app", "quay.io/team/other:1"]);
    let report = done.json("replication_report.json");
    assert_eq!(report["closure"]["totals"]["gaps"], 1);
    assert_eq!(report["closure"], proof(&done));
    Ok(())
}

#[tokio::test]
async fn images_in_arguments_variables_custom_resources_and_hooks_are_gaps() -> Result {
    let pod = |spec: &str| {
        pod(&format!(
            "  containers:\n  - image: {{{{ .Values.image }}}}\n    {spec}\n"
        ))
    };
    let cases = [
        (
            pod("args: ['--reloader=quay.io/team/other:2']"),
            "quay.io/team/other:2 is not copied: Pod web (in args, spec.containers[0].args[0]; app/templates/x.yaml",
        ),
        (
            pod("env: [{name: RELATED_IMAGE, value: 'quay.io/team/other:2'}]"),
            "quay.io/team/other:2 is not copied: Pod web (in env, spec.containers[0].env[0].value; app/templates/x.yaml",
        ),
        (
            pod("name: c")
                + "---\napiVersion: x.io/v1\nkind: Engine\nmetadata: {name: e}\nspec: {baseImage: 'quay.io/team/other:2'}\n",
            "quay.io/team/other:2 is not copied: Engine e (spec.baseImage; app/templates/x.yaml",
        ),
        (
            pod("name: c")
                + "---\nkind: Job\nmetadata: {name: j, annotations: {helm.sh/hook: pre-install}}\nspec: {image: 'quay.io/team/other:2'}\n",
            "quay.io/team/other:2 is not copied: Job j (spec.image; app/templates/x.yaml",
        ),
    ];
    for (template, words) in cases {
        let planned = Planned::new(chart("image: quay.io/team/app:1\n", &template), LISTED).await?;
        planned.is_a_gap(&[words]).await;
    }
    Ok(())
}

#[tokio::test]
async fn an_image_that_only_helm_test_needs_is_reported_and_fails_nothing() -> Result {
    let template = pod("  containers: [{image: {{ .Values.image }}}]\n")
        + "---\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\nspec: {image: 'quay.io/team/bats:1'}\n";
    let planned = Planned::new(chart("image: quay.io/team/app:1\n", &template), LISTED).await?;
    let done = planned.is_proved().await;
    let done = done.said(&["only `helm test` needs it: quay.io/team/bats:1"]);
    assert_eq!(states(&done)[1].1, "test only");
    Ok(())
}

#[tokio::test]
async fn an_image_of_an_aliased_subchart_is_a_gap_below_the_alias() -> Result {
    let sub = Chart::new("sub", "0.1.0")
        .values("image: quay.io/team/sub:1\n")
        .file(
            "templates/x.yaml",
            pod("  containers: [{image: {{ .Values.image }}}]\n")
                .replace("web", "{{ .Chart.Name }}"),
        );
    let chart = chart(
        "image: quay.io/team/app:1\n",
        &pod("  containers: [{image: {{ .Values.image }}}]\n"),
    )
    .dependency("sub", "0.1.0", Some("first"))
    .dependency("sub", "0.1.0", Some("second"))
    .subchart(sub);
    let one = "    subcharts: [{name: sub, alias: first}]\n".to_owned()
        + LISTED
        + "      sub:\n        repository: {location: values, path: image, subchart: first}\n";
    let planned = Planned::new(chart, &one).await?;
    let words = "quay.io/team/sub:1 is copied, but the chart still names the source: Pod second \
                 (spec.containers[0].image; app/charts/second/templates/x.yaml; scenario default); set by second.image";
    let done = planned.is_a_gap(&[words]).await;
    assert_eq!(states(&done).len(), 3);
    Ok(())
}

#[tokio::test]
async fn every_scenario_is_rendered_and_a_gap_names_those_that_have_it() -> Result {
    let template = pod(
        "  containers:\n  - image: {{ .Values.image }}\n  {{- if .Values.proxy }}\n  - image: quay.io/team/proxy:1\n  {{- end }}\n",
    );
    let scenarios =
        "    values: {proxy: false}\n    scenarios: {eks: {proxy: true}, dev: {proxy: true}}\n";
    let planned = Planned::new(
        chart("image: quay.io/team/app:1\nproxy: false\n", &template),
        &format!("{scenarios}{LISTED}"),
    )
    .await?;
    planned
        .is_a_gap(&["quay.io/team/proxy:1 is not copied", "scenario eks, dev)"])
        .await;
    let allowed = format!("{scenarios}    allow: ['quay.io/team/proxy']\n{LISTED}");
    let planned = Planned::new(
        chart("image: quay.io/team/app:1\nproxy: false\n", &template),
        &allowed,
    )
    .await?;
    let done = planned.is_proved().await;
    assert_eq!(
        states(&done)[1],
        ("quay.io/team/proxy:1".to_owned(), "allowed".to_owned())
    );
    Ok(())
}
