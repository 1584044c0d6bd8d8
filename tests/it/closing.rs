//! `Closure: complete`, and what operators start.

use super::Result;
use super::closure::{AT_TARGET, DIGEST, LISTED, Planned, chart, pairs, pod, proof, states};

#[tokio::test]
async fn complete_copies_what_is_missing_and_sets_its_value() -> Result {
    let template = pod(
        "  containers:\n  - image: {{ .Values.image }}\n  - image: {{ .Values.proxy.image.repository }}:{{ .Values.proxy.image.tag }}\n",
    );
    let values =
        "image: quay.io/team/app:1\nproxy: {image: {repository: quay.io/team/proxy, tag: '2'}}\n";
    let planned = Planned::new(chart(values, &template), LISTED).await?;
    let done = planned.run("complete").run().await.ended(0);
    let done = done.said(&["charts.app: closed by copying quay.io/team/proxy:2 and setting "]);
    assert_eq!(
        states(&done),
        pairs(&[
            (AT_TARGET, "copied"),
            ("target.corp/idf-quay.io/team/proxy:2", "copied")
        ])
    );
    let proxy = &done.result()["charts"]["app"]["values"]["proxy"]["image"]["repository"];
    assert_eq!(*proxy, "target.corp/idf-quay.io/team/proxy");
    let copied = done.json("updated_images.json");
    assert_eq!(copied.as_array().map(Vec::len), Some(2));
    assert_eq!(proof(&done)["mode"], "complete");
    // With a folder as target, too.
    let run = planned
        .data
        .run("plan")
        .args(["--no-observe", "--closure", "complete"]);
    let done = run
        .args(["--registry-prefix", "oci:mirror"])
        .run()
        .await
        .ended(0);
    let proxy = &done.result()["charts"]["app"]["values"]["proxy"]["image"]["repository"];
    assert_eq!(*proxy, "oci:mirror:quay.io/team/proxy");
    Ok(())
}

#[tokio::test]
async fn what_complete_cannot_close_is_exit_code_2_with_the_reason() -> Result {
    let template =
        pod("  containers: [{image: {{ .Values.image }}}, {image: 'quay.io/team/fixed:3'}]\n");
    let planned = Planned::new(chart("image: quay.io/team/app:1\n", &template), LISTED).await?;
    let refused = planned.run("complete").run().await.ended(2);
    refused.said(&[
        "quay.io/team/fixed:3 is not copied",
        "no value changes it: it is fixed in app/templates/x.yaml",
    ]);
    Ok(())
}

#[tokio::test]
async fn an_image_that_an_override_makes_the_chart_name_is_a_gap_that_complete_copies() -> Result {
    // As ingress-nginx does it: another name, with a digest of its own.
    let template = pod(
        "  containers: [{image: '{{ .Values.image.registry }}/team/app{{ if .Values.image.chroot }}-chroot@{{ .Values.image.digestChroot }}{{ else }}:1{{ end }}'}]\n",
    );
    let values = format!(
        "image: {{registry: quay.io, repository: team/app, tag: '1', chroot: true, digestChroot: '{DIGEST}'}}\n"
    );
    let listed = "    images:\n      app:\n        registry: {location: values, path: image.registry}\n        repository: {name: team/app}\n        tag: {name: '1'}\n";
    let planned = Planned::new(chart(&values, &template), listed).await?;
    let name = format!("target.corp/idf-quay.io/team/app-chroot@{DIGEST}");
    planned
        .is_a_gap(&[&format!(
            "{name} is below the target's prefix, but nothing copies it"
        )])
        .await;
    let done = planned.run("complete").run().await.ended(0);
    assert_eq!(states(&done), pairs(&[(name.as_str(), "copied")]));
    Ok(())
}

#[tokio::test]
async fn what_an_operator_starts_is_at_the_target_where_the_operator_is_told_so() -> Result {
    let template =
        "kind: Engine\nmetadata: {name: e}\nspec: {registry: '{{ .Values.operator.registry }}'}\n";
    let values = "operator: {registry: quay.io}\n";
    let images = "    operatorImages:\n    - {image: 'quay.io/team/agent:1', registryPath: operator.registry}\n";
    let planned = Planned::new(chart(values, template), images).await?;
    let done = planned.is_proved().await;
    assert_eq!(
        states(&done),
        pairs(&[("target.corp/idf-quay.io/team/agent:1", "copied")])
    );
    // Without the path the operator pulls from where it always does.
    let images = "    operatorImages: [{image: 'quay.io/team/agent:1'}]\n";
    let planned = Planned::new(chart(values, template), images).await?;
    let words = "quay.io/team/agent:1 is copied, but the chart still names the source: its operator starts it";
    planned.is_a_gap(&[words]).await;
    Ok(())
}
