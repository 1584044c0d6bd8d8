//! `replicator verify --prove`: what is deployed is what was proved.

use lab::aws::Aws;
use lab::chart::{Chart, ChartRepository};
use lab::image::Image;
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::data::Data;
use super::ecr::{build, seed_farmer};
use super::run::{Finished, Run};

const LISTED: &str =
    "    images:\n      app:\n        repository: {location: values, path: image}\n";
const BUCKET: &str = "idf-dkr-img-rep-md-us-east-1-123456789012";
const DOCUMENT: &str = "dev-replication-images-metadata.json";
const PROOF: &str = "dev-replication-images-closure.json";

fn chart(more: &str) -> Chart {
    let template = format!(
        "kind: Pod\nmetadata: {{name: web}}\nspec:\n  containers: [{{image: {{{{ .Values.image }}}}}}]\n{more}"
    );
    Chart::new("app", "1.0.0")
        .values("image: quay.io/team/app:1\n")
        .file("templates/x.yaml", template)
}

struct Deployed {
    target: Registry,
    done: Finished,
    /// The chart's repository at the target.
    chart: String,
}

impl Deployed {
    async fn new() -> anyhow::Result<Self> {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        Image::new().layer(100, 1).push(&source, "team/app", "1")?;
        let charts = ChartRepository::start(vec![chart("")]).await?;
        let data = Data::chart(&charts.url(), LISTED);
        let run = data.deploy(&target).endpoint("quay.io", &source.url());
        let done = run.args(["--closure", "require"]).run().await.ended(0);
        let chart = format!("mirror/{}/app", charts.host().replace(':', "-"));
        Ok(Self {
            target,
            done,
            chart,
        })
    }

    fn verify(&self) -> Run {
        let document = self.done.out().join("replication_result.json");
        Run::new()
            .args(["verify", "--prove", "--json"])
            .arg(document)
    }

    /// Changes a document of the output folder.
    fn change(&self, name: &str, change: impl FnOnce(&mut Value)) -> Result {
        let mut document = self.done.json(name);
        change(&mut document);
        std::fs::write(self.done.out().join(name), document.to_string())?;
        Ok(())
    }
}

#[tokio::test]
async fn a_deployment_into_a_folder_is_proved_again() -> Result {
    let source = Registry::start().await?;
    Image::new().layer(100, 1).push(&source, "team/app", "1")?;
    let charts = ChartRepository::start(vec![chart("")]).await?;
    let data = Data::chart(&charts.url(), LISTED);
    let folder = tempfile::tempdir()?;
    let target = format!("oci:{}", folder.path().join("mirror").display());
    let run = data.run("deploy").endpoint("quay.io", &source.url());
    let done = run
        .args(["--registry-prefix", &target])
        .run()
        .await
        .ended(0);
    let document = done.out().join("replication_result.json");
    let verify = Run::new().args(["verify", "--prove"]).arg(document);
    verify.run().await.ended(0).said(&["proved again: 1 chart"]);
    Ok(())
}

#[tokio::test]
async fn a_deployment_is_proved_again_from_what_is_at_the_target() -> Result {
    let deployed = Deployed::new().await?;
    let done = deployed
        .verify()
        .run()
        .await
        .ended(0)
        .said(&["proved again: 1 chart"]);
    let found: Value = serde_json::from_str(&done.stdout)?;
    assert_eq!(found["proof"], json!({"charts": 1, "problems": []}));
    let short = &deployed.done.json("replication_result.json")["closure"];
    assert_eq!(
        (&short["mode"], &short["gaps"]),
        (&json!("require"), &json!(0))
    );
    Ok(())
}

#[tokio::test]
async fn another_proof_than_the_documents_is_refused() -> Result {
    let deployed = Deployed::new().await?;
    deployed.change("replication_closure.json", |proof| {
        proof["charts"]["app"]["allow"] = json!(["*.io/*"]);
    })?;
    let words =
        "replication_closure.json is not the proof of this deployment: it has the digest sha256:";
    let failed = deployed.verify().run().await.ended(1);
    failed.said(&[words, "what is deployed is not what was proved"]);
    std::fs::remove_file(deployed.done.out().join("replication_closure.json"))?;
    let failed = deployed.verify().run().await.ended(1);
    failed.said(&["the proof of the deployment is not there"]);
    // A document without a proof is no input for it.
    deployed.change("replication_result.json", |document| {
        document
            .as_object_mut()
            .map(|keys| keys.shift_remove("closure"));
    })?;
    deployed
        .verify()
        .run()
        .await
        .ended(2)
        .said(&["it names no proof"]);
    Ok(())
}

#[tokio::test]
async fn values_that_were_changed_after_the_proof_are_told() -> Result {
    let deployed = Deployed::new().await?;
    deployed.change("replication_result.json", |document| {
        document["charts"]["app"]["values"]["image"] = json!("quay.io/team/app:1");
    })?;
    let failed = deployed.verify().run().await.ended(1);
    failed.said(&[
        "charts.app: chart app 1.0.0: its values in the result document are not those that were proved",
        "charts.app: chart app 1.0.0: quay.io/team/app:1 is not at the target, and was when it was proved",
    ]);
    Ok(())
}

#[tokio::test]
async fn another_chart_at_the_target_is_reported_with_what_it_adds() -> Result {
    let deployed = Deployed::new().await?;
    let other =
        chart("---\nkind: Job\nmetadata: {name: j}\nspec: {image: 'quay.io/team/other:1'}\n");
    other.push_oci(&deployed.target, &deployed.chart)?;
    let failed = deployed.verify().run().await.ended(1);
    failed.said(&[
        "differs: ",
        "charts.app: chart app 1.0.0: the chart at the target is another one",
        "charts.app: chart app 1.0.0: quay.io/team/other:1 is not at the target",
        "what is deployed is not what was proved",
    ]);
    Ok(())
}

#[tokio::test]
async fn the_proof_lies_beside_the_document_in_the_bucket_and_goes_with_it() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    Image::new().layer(100, 1).push(&source, "team/app", "1")?;
    let charts = ChartRepository::start(vec![chart("")]).await?;
    let data = Data::chart(&charts.url(), LISTED);
    let done = build(&aws, &data, &source).run().await.ended(0);
    let proof = aws.object(BUCKET, PROOF).expect("the proof");
    assert_eq!(
        proof,
        std::fs::read(done.out().join("replication_closure.json"))?
    );
    let document: Value = serde_json::from_slice(&aws.object(BUCKET, DOCUMENT).expect("it"))?;
    assert_eq!(
        document["closure"]["proof"],
        lab::content::digest_of(&proof)
    );
    let puts: Vec<String> = aws
        .calls()
        .into_iter()
        .filter(|call| call.action == "PutObject")
        .map(|call| call.resource)
        .collect();
    assert_eq!(
        puts,
        [PROOF, DOCUMENT, "dev-replication-images-report.html"]
            .map(|object| format!("{BUCKET}/{object}"))
    );

    let verify = || seed_farmer(Run::new().args(["verify", "--prove"]).envs(aws.env()));
    verify()
        .run()
        .await
        .ended(0)
        .said(&["proved again: 1 chart"]);
    let end = seed_farmer(Run::new().arg("destroy").envs(aws.env()));
    let end = end.env("SEEDFARMER_PARAMETER_RETENTION_TYPE", "DESTROY");
    end.run().await.ended(0);
    assert!(aws.bucket(BUCKET).is_none(), "nothing was left in it");
    Ok(())
}

#[tokio::test]
async fn the_report_of_a_failed_publication_has_the_proof() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    Image::new().layer(100, 1).push(&source, "team/app", "1")?;
    let charts = ChartRepository::start(vec![chart("")]).await?;
    let data = Data::chart(&charts.url(), LISTED);
    aws.fail("PutObject", "AccessDenied", 403, 9);
    let failed = build(&aws, &data, &source).run().await.ended(1);
    let report = failed.json("replication_report.json");
    assert!(report["error"].to_string().contains("AccessDenied"));
    assert_eq!(report["closure"]["charts"]["app"]["outcome"], "proved");
    Ok(())
}
