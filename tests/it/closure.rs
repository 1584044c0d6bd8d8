//! What rendered charts name, and the messages about images that are not copied.

mod gaps;
mod values;

use lab::chart::{Chart, ChartRepository};
use serde_json::Value;

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
