//! `PinDigests`: the published values name the digests that the copies have.

use lab::chart::{Chart, ChartRepository};
use lab::image::Image;
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::data::Data;
use super::run::{Finished, Run};

/// Three images: one whose tag alone can be set, one with a value for a digest, and one whose tag is a label too.
const VALUES: &str = "tagged: {image: quay.io/team/tagged, tag: '1'}\n\
    digested: {repository: quay.io/team/digested, tag: '1', digest: ''}\n\
    labelled: {repository: quay.io/team/labelled, tag: '1'}\n";

const TEMPLATE: &str = "kind: Pod
metadata: {name: web, labels: {version: '{{ .Values.labelled.tag }}'}}
spec:
  containers:
  - image: {{ .Values.tagged.image }}:{{ .Values.tagged.tag }}
  - image: {{ .Values.digested.repository }}:{{ .Values.digested.tag }}{{ with .Values.digested.digest }}@{{ . }}{{ end }}
  - image: {{ .Values.labelled.repository }}:{{ .Values.labelled.tag }}
";

const IMAGES: &str = "    images:
      tagged: {repository: {location: values, path: tagged.image}, tag: {location: values, path: tagged.tag}}
      digested: {repository: {location: values, path: digested.repository}, tag: {location: values, path: digested.tag}}
      labelled: {repository: {location: values, path: labelled.repository}, tag: {location: values, path: labelled.tag}}
";

struct Lab {
    source: Registry,
    target: Registry,
    _charts: ChartRepository,
    data: Data,
}

impl Lab {
    async fn new(more: &str) -> anyhow::Result<Self> {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        for (seed, name) in (1..).zip(["tagged", "digested", "labelled"]) {
            let image = Image::new().platform("linux/amd64").platform("linux/arm64");
            let image = image.layer(100, seed);
            image.push(&source, &format!("team/{name}"), "1")?;
        }
        let chart = Chart::new("app", "1.0.0").values(VALUES);
        let charts = ChartRepository::start(vec![chart.file("templates/x.yaml", TEMPLATE)]).await?;
        let data = Data::chart(&charts.url(), &format!("{more}{IMAGES}"));
        Ok(Self {
            source,
            target,
            _charts: charts,
            data,
        })
    }

    fn to_source(&self, run: Run) -> Run {
        run.endpoint("quay.io", &self.source.url())
            .args(["--closure", "require"])
    }

    fn deploy(&self) -> Run {
        self.to_source(self.data.deploy(&self.target))
    }

    fn plan(&self) -> Run {
        let prefix = format!("{}/mirror/", self.target.host());
        let run = self.data.run("plan").arg("--registry-prefix").arg(prefix);
        self.to_source(run)
    }

    /// The digest of a copy as the result document records it.
    fn digest(&self, done: &Finished, name: &str) -> String {
        let copy = format!("{}/mirror/quay.io/team/{name}:1", self.target.host());
        let digest = done.result()["digests"][&copy].as_str().map(str::to_owned);
        digest.unwrap_or_else(|| panic!("no digest of {copy}"))
    }
}

fn values(done: &Finished) -> Value {
    done.result()["charts"]["app"]["values"].clone()
}

#[tokio::test]
async fn digests_are_published_where_the_chart_takes_them_and_the_others_are_reported() -> Result {
    let lab = Lab::new("").await?;
    let deployed = lab.deploy().arg("--pin-digests").run().await.ended(0);
    let deployed = deployed.said(&[
        "charts.app: 2 images pinned to digests",
        "warning: charts.app: chart app 1.0.0: 1 image is not pinned to a digest",
        "team/labelled:1: a label or a name would become invalid: version: 1@sha256:",
    ]);
    let (tagged, digested) = (
        lab.digest(&deployed, "tagged"),
        lab.digest(&deployed, "digested"),
    );
    let values = values(&deployed);
    assert_eq!(values["tagged"]["tag"], format!("1@{tagged}"));
    assert_eq!(values["digested"]["tag"], "1");
    assert_eq!(values["digested"]["digest"], digested);
    assert_eq!(values["labelled"]["tag"], "1");
    // The report has what could not be pinned, and the references as they are rendered now.
    let chart = &deployed.json("replication_report.json")["closure"]["charts"]["app"];
    assert_eq!(chart["outcome"], "proved");
    assert_eq!(chart["unpinned"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        chart["references"][0]["image"],
        format!(
            "{}/mirror/quay.io/team/tagged:1@{tagged}",
            lab.target.host()
        )
    );
    // What is deployed is there, and is what was proved.
    let document = deployed.out().join("replication_result.json");
    let verify = Run::new().args(["verify", "--prove"]).arg(&document);
    verify.run().await.ended(0).said(&["proved again: 1 chart"]);
    // A second run publishes the same, and so does a plan.
    let again = lab.deploy().arg("--pin-digests").run().await.ended(0);
    assert_eq!(again.result(), deployed.result());
    let planned = lab.plan().arg("--pin-digests").run().await.ended(0);
    assert_eq!(planned.result()["charts"], deployed.result()["charts"]);
    Ok(())
}

#[tokio::test]
async fn a_moved_tag_is_pinned_to_its_new_digest_by_the_next_run() -> Result {
    let lab = Lab::new("").await?;
    let deploy = || lab.deploy().arg("--pin-digests");
    let first = deploy().run().await.ended(0);
    let image = Image::new().platform("linux/amd64").layer(100, 9);
    image.push(&lab.source, "team/tagged", "1")?;
    let second = deploy().run().await.ended(0);
    let tag = |done: &Finished| values(done)["tagged"]["tag"].clone();
    assert_ne!(tag(&first), tag(&second));
    assert_eq!(tag(&second), format!("1@{}", lab.digest(&second, "tagged")));
    Ok(())
}

#[tokio::test]
async fn with_selected_platforms_the_digest_is_the_one_that_the_target_has() -> Result {
    let lab = Lab::new("").await?;
    let run = lab
        .deploy()
        .args(["--pin-digests", "--platforms", "linux/arm64"]);
    let deployed = run.run().await.ended(0);
    let digest = lab.digest(&deployed, "tagged");
    assert_eq!(values(&deployed)["tagged"]["tag"], format!("1@{digest}"));
    assert!(lab.source.manifest("team/tagged", &digest).is_none());
    let copy = lab.target.manifest("mirror/quay.io/team/tagged", &digest);
    assert!(copy.is_some());
    Ok(())
}

#[tokio::test]
async fn without_the_parameter_nothing_is_pinned_and_nothing_more_is_asked() -> Result {
    let lab = Lab::new("").await?;
    let plan = |value: Option<&str>| {
        let run = lab.plan();
        match value {
            None => run,
            Some(value) => run.env("SEEDFARMER_PARAMETER_PIN_DIGESTS", value),
        }
    };
    let text = |done: &Finished| std::fs::read(done.out().join("replication_result.json"));
    let without = plan(None).run().await.ended(0);
    let requests = lab.source.wire().requests().len();
    assert_eq!(values(&without)["tagged"]["tag"], json!("1"));
    assert!(!values(&without).to_string().contains("sha256"));
    lab.source.wire().clear();
    let off = plan(Some("false")).run().await.ended(0);
    assert_eq!(text(&without)?, text(&off)?);
    assert_eq!(lab.source.wire().requests().len(), requests);
    // The plan asks each question once, whether digests are published or not.
    lab.source.wire().clear();
    let on = plan(Some("true")).run().await.ended(0);
    assert_ne!(text(&without)?, text(&on)?);
    assert_eq!(lab.source.wire().requests().len(), requests);
    plan(Some("perhaps"))
        .run()
        .await
        .ended(2)
        .said(&["PinDigests"]);
    Ok(())
}

#[tokio::test]
async fn a_plan_that_asks_no_registry_cannot_pin() -> Result {
    let lab = Lab::new("").await?;
    let refused = lab.plan().args(["--pin-digests", "--no-observe"]);
    let refused = refused.run().await.ended(2);
    refused.said(&["digests are read from the registries, and --no-observe queries none"]);
    assert!(lab.source.wire().requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn an_image_whose_digest_is_not_known_is_reported() -> Result {
    let lab = Lab::new("").await?;
    lab.source.remove_manifest("team/tagged", "1");
    let failed = lab.plan().arg("--pin-digests").run().await.ended(1);
    let failed = failed.said(&["its digest is not known, because the source did not give it"]);
    assert_eq!(values(&failed)["tagged"]["tag"], "1");
    assert!(values(&failed)["digested"]["digest"].is_string());
    Ok(())
}

#[tokio::test]
async fn a_document_that_digests_make_too_large_is_refused() -> Result {
    const MOST: usize = 131_019;
    let small = Lab::new("    overrides: {pad: ''}\n").await?;
    let size = |done: &Finished| done.result().to_string().len();
    let planned = small.plan().run().await.ended(0);
    // The mark of a plan and the proof in short form do not count: they are left out where they do not fit.
    let spare = MOST - size(&planned);
    let pad = "x".repeat(spare);
    let lab = Lab::new(&format!("    overrides: {{pad: '{pad}'}}\n")).await?;
    lab.deploy().run().await.ended(0);
    let refused = lab.deploy().arg("--pin-digests").run().await.ended(2);
    refused.said(&["the EKS module can take 131019"]);
    Ok(())
}
