//! What rendered charts name, and the messages about images that are not copied.

use lab::chart::{Chart, ChartRepository};
use serde_json::{Value, json};

use super::Result;
use super::data::Data;
use super::run::{Finished, Run};

pub(super) const DIGEST: &str =
    "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The one image that the data file of most tests lists.
pub(super) const LISTED: &str =
    "    images:\n      app:\n        repository: {location: values, path: image}\n";

/// A chart with one template and values.
pub(super) fn chart(values: &str, template: &str) -> Chart {
    Chart::new("app", "1.0.0")
        .values(values)
        .file("templates/x.yaml", template)
}

pub(super) fn pod(spec: &str) -> String {
    format!("kind: Pod\nmetadata: {{name: web}}\nspec:\n{spec}")
}

pub(super) struct Planned {
    repository: ChartRepository,
    pub(super) data: Data,
}

impl Planned {
    pub(super) async fn new(chart: Chart, more: &str) -> anyhow::Result<Self> {
        let repository = ChartRepository::start(vec![chart]).await?;
        let data = Data::chart(&repository.url(), more);
        Ok(Self { repository, data })
    }

    pub(super) fn run(&self, mode: &str) -> Run {
        self.data.plan().args(["--closure", mode])
    }

    /// In `report` a warning and exit code 0, in `require` the same words and exit code 2.
    pub(super) async fn is_a_gap(&self, words: &[&str]) -> Finished {
        let reported = self
            .run("report")
            .run()
            .await
            .ended(0)
            .said(&["warning: charts.app: "]);
        let reported = reported.said(words);
        self.run("require").run().await.ended(2).said(words);
        reported
    }

    pub(super) async fn is_proved(&self) -> Finished {
        let done = self.run("require").run().await.ended(0);
        assert_eq!(
            proof(&done)["charts"]["app"]["outcome"],
            "proved",
            "{}",
            done.stderr
        );
        done
    }
}

pub(super) fn proof(done: &Finished) -> Value {
    done.json("replication_closure.json")
}

/// The states of the references of the chart, by reference.
pub(super) fn states(done: &Finished) -> Vec<(String, String)> {
    let proof = proof(done);
    let references = proof["charts"]["app"]["references"].as_array().cloned();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let each = references.into_iter().flatten();
    each.map(|one| (text(&one["image"]), text(&one["state"])))
        .collect()
}

pub(super) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    pairs.iter().map(owned).collect()
}

pub(super) const AT_TARGET: &str = "target.corp/idf-quay.io/team/app:1";

#[tokio::test]
async fn a_chart_whose_images_are_all_copied_is_proved() -> Result {
    let chart = chart(
        "image: quay.io/team/app:1\n",
        &pod("  containers: [{image: {{ .Values.image }}}]\n"),
    );
    let planned = Planned::new(chart, LISTED).await?;
    let done = planned.is_proved().await;
    assert_eq!(states(&done), pairs(&[(AT_TARGET, "copied")]));
    assert_eq!(done.lines_with("warning"), 0, "{}", done.stderr);
    assert!(
        done.stdout
            .contains("closure: 1 reference, 1 at the target")
    );
    let proof = proof(&done);
    assert_eq!(proof["kubernetesVersion"], "v1.34.0-eks-0");
    assert_eq!(proof["mode"], "require");
    // One index, one archive, one question for a provenance file: rendering asks for nothing.
    planned.repository.wire().clear();
    planned.run("report").run().await.ended(0);
    assert_eq!(planned.repository.wire().requests().len(), 3);
    Ok(())
}

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

/// How much memory the proof of a run may take, in bytes: design of the closure.
const MEMORY: u64 = 64 << 20;

#[tokio::test]
async fn the_proof_of_a_large_chart_takes_a_bounded_amount_of_memory() -> Result {
    // About as much as the largest public charts: some 600 kB of templates.
    let rule = "  - {alert: '{{ .Release.Name }}-{{ .Values.name | quote | trunc 9 }}', expr: 'sum(rate(requests[5m])) by (job) > 1'}\n";
    let template = format!(
        "kind: Rules\nmetadata: {{name: rules}}\nspec:\n{}",
        rule.repeat(170)
    );
    let build = |folder: &str| {
        let base = chart(
            "image: quay.io/team/app:1\nname: some\n",
            &pod("  containers: [{image: {{ .Values.image }}}]\n"),
        );
        (0..30).fold(base, |chart, number| {
            chart.file(&format!("{folder}/r{number}.yaml"), template.clone())
        })
    };
    let scenarios = "    scenarios: {a: {name: a}, b: {name: b}, c: {name: c}}\n";
    let mut peaks = Vec::new();
    for folder in ["files", "templates"] {
        let planned = Planned::new(build(folder), &format!("{scenarios}{LISTED}")).await?;
        peaks.push(planned.is_proved().await.peak);
    }
    assert!(peaks[0] > 0 && peaks[1] < peaks[0] + MEMORY, "{peaks:?}");
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

#[tokio::test]
async fn an_image_that_follows_from_chance_is_not_proved() -> Result {
    let template = pod(
        "  containers: [{image: 'quay.io/team/app:{{ randAlpha 5 | lower }}'}]\n  old: {{ .Values.image }}\n",
    );
    let planned = Planned::new(chart("image: quay.io/team/app:1\n", &template), LISTED).await?;
    planned
        .is_a_gap(&["not proved", "follows from a clock, a key or a random text"])
        .await;
    // A password in another place does no harm.
    let template =
        pod("  containers: [{image: {{ .Values.image }}}]\n  password: {{ randAlpha 5 }}\n");
    let planned = Planned::new(chart("image: quay.io/team/app:1\n", &template), LISTED).await?;
    planned.is_proved().await;
    Ok(())
}

#[tokio::test]
async fn the_cluster_is_that_of_the_eks_version_unless_another_one_is_named() -> Result {
    let template = pod(
        "  containers: [{image: {{ .Values.image }}}]\n  {{- if semverCompare \">=1.35-0\" .Capabilities.KubeVersion.Version }}\n  side: {image: 'quay.io/team/new:1'}\n  {{- end }}\n",
    );
    let planned = Planned::new(chart("image: quay.io/team/app:1\n", &template), LISTED).await?;
    planned.is_proved().await;
    let run = planned.run("require").args(["--kube-version", "v1.36.2"]);
    run.run()
        .await
        .ended(2)
        .said(&["quay.io/team/new:1 is not copied"]);
    let run = planned.run("perhaps").args(["--kube-version", "new"]);
    run.run().await.ended(2).said(&[
        "--closure: `perhaps` is none of report, require, complete",
        "--kube-version: ",
    ]);
    Ok(())
}

#[tokio::test]
async fn a_chart_without_templates_is_not_checked_and_a_folder_as_target_is() -> Result {
    let bare = Chart::new("app", "1.0.0").values("image: quay.io/team/app:1\n");
    let planned = Planned::new(bare, LISTED).await?;
    let done = planned.run("require").run().await.ended(0);
    assert_eq!(
        done.files(),
        ["replication_result.json", "updated_images.json"]
    );

    let template =
        pod("  containers: [{image: {{ .Values.image }}}, {image: 'quay.io/team/b:1'}]\n");
    let planned = Planned::new(chart("image: quay.io/team/app:1\n", &template), LISTED).await?;
    let run = planned
        .data
        .run("plan")
        .args(["--no-observe", "--registry-prefix", "oci:mirror"]);
    let done = run
        .run()
        .await
        .ended(0)
        .said(&["quay.io/team/b:1 is not copied"]);
    assert_eq!(
        states(&done),
        pairs(&[
            ("oci:mirror:quay.io/team/app:1", "copied"),
            ("quay.io/team/b:1", "gap")
        ])
    );
    Ok(())
}
