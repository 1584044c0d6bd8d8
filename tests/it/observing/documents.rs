//! The forms of a plan, and the files that it writes.

use lab::registry::Registry;
use serde_json::Value;

use crate::Result;
use crate::content::writes;
use crate::data::Data;
use crate::run::Run;

use super::image;

#[tokio::test]
async fn a_plan_writes_no_file_unless_a_folder_is_named() -> Result {
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = Run::new().args(["plan", "--no-observe", "--eks-version", "1.34"]);
    let run = data
        .given_to(run)
        .args(["--registry-prefix", "target.corp/"]);
    let planned = run.run().await.ended(0);
    for name in [
        "replication_result.json",
        "updated_images.json",
        "replication_report.json",
        "replication_report.html",
    ] {
        assert_eq!(planned.work_file(name), None, "{name}");
    }
    assert!(planned.stdout.contains("target prefix: target.corp/"));
    Ok(())
}

#[tokio::test]
async fn a_plan_is_marked_and_never_takes_the_place_of_a_deployed_result() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    image(2).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let deployed = data.deploy(&target).endpoint("quay.io", &source.url());
    let deployed = deployed.run().await.ended(0);
    let path = deployed.out().join("replication_result.json");
    let before = std::fs::read_to_string(&path)?;
    assert!(!before.contains("\"plan\""), "{before}");

    let planned = |out: &std::path::Path| {
        let run = Run::new().args(["plan", "--no-observe", "--eks-version", "1.34"]);
        let run = data
            .given_to(run)
            .args(["--registry-prefix", "target.corp/"]);
        run.arg("--out").arg(out)
    };
    let refused = planned(&deployed.out()).run().await.ended(2);
    refused.said(&[
        "replication_result.json",
        "the result of a deployment",
        "--out",
    ]);
    assert_eq!(std::fs::read_to_string(&path)?, before);

    // Over an earlier plan, it is written.
    let folder = tempfile::tempdir()?;
    for _ in 0..2 {
        planned(folder.path()).run().await.ended(0);
        let text = std::fs::read_to_string(folder.path().join("replication_result.json"))?;
        assert_eq!(serde_json::from_str::<Value>(&text)?["plan"], true);
    }
    Ok(())
}

#[tokio::test]
async fn a_plan_comes_as_json_or_yaml_and_deploy_can_show_it_too() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    image(2).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let forms = |command: &str, args: &[&str]| {
        let run = data.run(command).arg("--registry-prefix");
        let run = run.arg(format!("{}/mirror/", target.host()));
        run.endpoint("quay.io", &source.url()).args(args).run()
    };
    let json = forms("plan", &["-o", "json"]).await.ended(0).stdout;
    assert_eq!(forms("plan", &["--json"]).await.ended(0).stdout, json);
    let dry = &["--dry-run", "-o", "json"];
    assert_eq!(forms("deploy", dry).await.ended(0).stdout, json);
    let yaml = forms("plan", &["-o", "yaml"]).await.ended(0).stdout;
    let read = helm_chart::yaml::values(&yaml)?;
    let json: Value = serde_json::from_str(&json)?;
    assert_eq!(read["artifacts"][0]["state"], "missing");
    assert_eq!(read["outlook"]["blobs"], json["outlook"]["blobs"]);
    assert_eq!(writes(target.wire()), Vec::<String>::new());
    // Without --dry-run the options of a plan mean nothing.
    let refused = data.deploy(&target).args(["-o", "json"]).run().await;
    refused.ended(2).said(&["--dry-run"]);
    Ok(())
}
