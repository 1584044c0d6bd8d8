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
async fn what_an_operator_starts_is_at_the_target_if_its_registry_is_set() -> Result {
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

/// An image for parts that are off: of the same name as one that the data file lists, another one, and one that is
/// fixed in the template.
fn with_parts_that_are_off() -> (&'static str, String) {
    let template = "  containers:
  - image: {{ .Values.image }}
{{- if .Values.windows.enabled }}
  - image: {{ .Values.windows.image }}
{{- end }}
{{- if .Values.extra.enabled }}
  - image: {{ .Values.extra.repository }}:{{ .Values.extra.tag }}
  - image: quay.io/team/fixed:3
{{- end }}
";
    let values = "image: quay.io/team/app:1
windows: {enabled: false, image: quay.io/team/app:1}
extra: {enabled: false, repository: quay.io/team/extra, tag: '2'}
";
    (values, pod(template))
}

#[tokio::test]
async fn with_switches_parts_that_are_off_are_proved_and_closed_too() -> Result {
    let (values, template) = with_parts_that_are_off();
    let planned = Planned::new(chart(values, &template), LISTED).await?;
    planned.is_proved().await;
    let on = |mode: &str| planned.run(mode).arg("--switches").run();
    let gaps = [
        "quay.io/team/app:1 is copied, but the chart still names the source",
        "scenario switches on); set by windows.image",
        "quay.io/team/extra:2 is not copied",
        "quay.io/team/fixed:3 is not copied",
    ];
    on("report").await.ended(0).said(&gaps);
    on("require").await.ended(2).said(&gaps[..3]);
    let closed = on("complete").await.ended(0);
    // What no value sets is for those to decide who turn that part on.
    let closed = closed.said(&[
        "charts.app: closed by copying ",
        "warning: charts.app: chart app 1.0.0: 1 image is not at the target",
        "no value changes it: it is fixed in app/templates/x.yaml",
    ]);
    let values = &closed.result()["charts"]["app"]["values"];
    assert_eq!(values["windows"]["image"], AT_TARGET);
    assert_eq!(
        values["extra"]["repository"],
        "target.corp/idf-quay.io/team/extra"
    );
    assert!(values["windows"]["enabled"].is_null(), "it stays off");
    let names: Vec<String> = states(&closed).into_iter().map(|(name, _)| name).collect();
    assert!(
        names.contains(&"target.corp/idf-quay.io/team/extra:2".to_owned()),
        "{names:?}"
    );
    let scenarios = &proof(&closed)["charts"]["app"]["scenarios"];
    assert_eq!(scenarios[1]["name"], "switches on");
    Ok(())
}

#[tokio::test]
async fn an_image_that_a_switch_adds_under_a_listed_name_is_set_at_its_own_path() -> Result {
    let (values, template) = with_parts_that_are_off();
    let auto = "    images:
      auto: true
      switches: true
      app:
        repository: {location: values, path: image}
";
    let planned = Planned::new(chart(values, &template), auto).await?;
    let done = planned.run("require").run().await.ended(0);
    let values = &done.result()["charts"]["app"]["values"];
    assert_eq!(values["image"], AT_TARGET);
    assert_eq!(values["windows"]["image"], AT_TARGET);
    Ok(())
}

#[tokio::test]
async fn what_may_stay_is_not_copied_where_images_are_found() -> Result {
    let template =
        pod("  containers: [{image: {{ .Values.image }}}, {image: '{{ .Values.agent.image }}'}]\n");
    let values = "image: quay.io/team/app:1\nagent: {image: 'aws.corp/team/agent:1'}\n";
    let auto = "    images: auto\n    allow: ['aws.corp/*']\n";
    let planned = Planned::new(chart(values, &template), auto).await?;
    let done = planned.is_proved().await;
    let pairs = done.json("updated_images.json");
    assert_eq!(pairs.as_array().map(Vec::len), Some(1), "{pairs}");
    assert!(done.result()["charts"]["app"]["values"]["agent"].is_null());
    Ok(())
}

#[tokio::test]
async fn an_image_whose_digest_wins_over_its_tag_is_closed_without_the_digest() -> Result {
    let template = pod(
        "  containers:\n  - image: {{ .Values.image }}\n  - image: {{ .Values.proxy.image }}:{{ .Values.proxy.tag }}{{ with .Values.proxy.digest }}@{{ . }}{{ end }}\n",
    );
    let values = format!(
        "image: quay.io/team/app:1\nproxy: {{image: quay.io/team/proxy, tag: '2', digest: '{DIGEST}'}}\n"
    );
    let planned = Planned::new(chart(&values, &template), LISTED).await?;
    let done = planned.run("complete").run().await.ended(0);
    let proxy = &done.result()["charts"]["app"]["values"]["proxy"];
    assert_eq!(proxy["digest"], "");
    assert_eq!(
        states(&done)[1],
        (
            "target.corp/idf-quay.io/team/proxy:2".to_owned(),
            "copied".to_owned()
        )
    );
    Ok(())
}
