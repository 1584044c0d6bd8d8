//! The page of a report.

use lab::aws::Aws;
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::Registry;

use crate::Result;
use crate::data::Data;
use crate::ecr::{build, image};
use crate::run::Run;

use super::parsed;

#[tokio::test]
async fn a_role_that_may_not_write_the_page_deploys_all_the_same() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let denied =
        Fault::status(403).body("<Error><Code>AccessDenied</Code><Message>no</Message></Error>");
    aws.faults().add(Rule::new(denied).on("PUT", "report.html"));
    let data = Data::images(&["quay.io/team/app:1"]);
    let done = build(&aws, &data, &source).run().await.ended(0);
    done.said(&["the report's page could not be uploaded", "AccessDenied"]);
    Ok(())
}

#[tokio::test]
async fn a_deployment_writes_a_page_that_report_makes_again() -> Result {
    let source = Registry::start().await?;
    Image::new().layer(5000, 1).push(&source, "team/app", "1")?;
    Image::new()
        .layer(5000, 1)
        .push(&source, "team/twin", "1")?;
    let target = Registry::start().await?;
    Image::new()
        .layer(10, 9)
        .push(&target, "mirror/quay.io/team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1", "quay.io/team/twin:1"]);
    let run = data
        .run("deploy")
        .args(["--registry-prefix", &format!("{}/mirror/", target.host())]);
    let done = run.endpoint("quay.io", &source.url()).run().await.ended(0);
    let report = done.out().join("replication_report.json");
    let written = parsed(&std::fs::read_to_string(&report)?);
    let artifacts = written["artifacts"].as_array().expect("artifacts");
    assert!(
        artifacts.iter().all(|one| one["start"].is_number()),
        "{written}"
    );
    assert!(artifacts[0]["replaced"].is_string(), "{written}");
    let (sent, content) = artifacts.iter().fold((0, 0), |(sent, content), one| {
        let number = |key: &str| one[key].as_u64().unwrap_or_default();
        (sent + number("bytes"), content + number("contentBytes"))
    });
    assert!(
        content >= sent + 5000,
        "the twin's layer is sent once: {sent} of {content}"
    );
    let page = std::fs::read_to_string(done.out().join("replication_report.html"))?;
    assert!(page.contains("quay.io/team/twin:1") && page.contains("before <code>sha256:"));
    let again = Run::new()
        .arg("report")
        .arg(&report)
        .args(["--output", "-"])
        .run()
        .await
        .ended(0);
    assert_eq!(again.stdout, page);
    let refused = Run::new()
        .arg("report")
        .arg(done.out().join("updated_images.json"))
        .run()
        .await
        .ended(2);
    assert!(
        refused.stderr.contains("give the replication_report.json"),
        "{}",
        refused.stderr
    );
    Ok(())
}
