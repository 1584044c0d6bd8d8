//! `replicator ls`.

use lab::aws::Aws;
use lab::faults::{Fault, Rule};
use lab::registry::Registry;
use serde_json::{Value, json};

use crate::Result;
use crate::data::Data;
use crate::ecr::{build, image, seed_farmer};
use crate::run::{Finished, Run};
use crate::snapshots::{World, several_charts};

use super::{BUCKET, PAGE, parsed};

#[tokio::test]
async fn a_registry_lists_what_is_below_a_prefix_page_by_page() -> Result {
    let registry = Registry::start().await?;
    for number in 0..8 {
        image().push(&registry, &format!("mirror/app-{number}"), "1")?;
    }
    image().push(&registry, "mirror/app-0", "2")?;
    image().push(&registry, "other/app", "1")?;
    let prefix = format!("{}/mirror/", registry.host());
    let listed = Run::new().args(["ls", &prefix]).run().await.ended(0);
    assert!(listed.stdout.contains("9 artifacts"), "{}", listed.stdout);
    assert!(
        listed.stdout.contains("mirror/app-7:1"),
        "{}",
        listed.stdout
    );
    assert!(!listed.stdout.contains("other/app"), "{}", listed.stdout);
    let first = Run::new()
        .args(["ls", &prefix, "--limit", "2", "-o", "json"])
        .run()
        .await
        .ended(0);
    let first = parsed(&first.stdout);
    assert_eq!(first["artifacts"].as_array().map(Vec::len), Some(2));
    assert_eq!(first["leftOut"], 7);
    assert!(first["artifacts"][0]["size"].as_u64() > Some(8000));
    Ok(())
}

#[tokio::test]
async fn a_registry_without_a_catalog_lists_a_repository_or_what_a_result_names() -> Result {
    let registry = Registry::start().await?;
    let pushed = image().push(&registry, "mirror/app", "1")?;
    image().push(&registry, "mirror/app", "2")?;
    image().push(&registry, "mirror/more", "1")?;
    registry
        .faults()
        .add(Rule::new(Fault::status(401)).on("GET", "/_catalog"));
    let host = registry.host();
    let prefix = format!("{host}/mirror/");
    let refused = Run::new().args(["ls", &prefix]).run().await.ended(1);
    assert!(
        refused.stderr.contains("does not list its repositories"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("--result"), "{}", refused.stderr);
    let one = Run::new()
        .args(["ls", &format!("{host}/mirror/app")])
        .run()
        .await
        .ended(0);
    assert!(
        one.stdout.contains("2 artifacts") && one.stdout.contains("only mirror/app is shown"),
        "{}",
        one.stdout
    );

    let dir = tempfile::tempdir()?;
    let result = dir.path().join("replication_result.json");
    let digests = serde_json::json!({
        format!("{host}/mirror/app:1"): pushed.root.digest,
        format!("{host}/mirror/more:1"): format!("sha256:{}", "0".repeat(64)),
        format!("{host}/mirror/gone:1"): pushed.root.digest,
    });
    std::fs::write(
        &result,
        serde_json::json!({"charts": {}, "digests": digests}).to_string(),
    )?;
    let run = Run::new()
        .args(["ls", &prefix, "-o", "json", "--result"])
        .arg(&result);
    let listed = parsed(&run.run().await.ended(0).stdout);
    let state = |name: &str| {
        let all = listed["artifacts"].as_array().expect("artifacts");
        let one = all
            .iter()
            .find(|one| one["reference"] == format!("{host}/mirror/{name}"));
        one.map(|one| one["result"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(state("app:1").as_deref(), Some("recorded"));
    assert_eq!(state("app:2").as_deref(), Some("unknown"));
    assert_eq!(state("more:1").as_deref(), Some("moved"));
    assert_eq!(
        listed["missing"],
        serde_json::json!([format!("{host}/mirror/gone:1")])
    );
    Ok(())
}

#[tokio::test]
async fn a_folder_lists_its_names() -> Result {
    let source = Registry::start().await?;
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let dir = tempfile::tempdir()?;
    let prefix = format!("oci:{}", dir.path().join("mirror").display());
    let run = data.run("deploy").args(["--registry-prefix", &prefix]);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    let listed = Run::new().args(["ls", &prefix]).run().await.ended(0);
    assert!(
        listed.stdout.contains("quay.io/team/app:1") && listed.stdout.contains("1 artifact\n"),
        "{}",
        listed.stdout
    );
    // By name, whatever came first.
    let from = format!("{}/team/app:1", source.host());
    let copy = Run::new().args(["copy", &from, &format!("{prefix}:an/app:1")]);
    copy.run().await.ended(0);
    let listed = Run::new().args(["ls", &prefix]).run().await.ended(0);
    let place = |name: &str| listed.stdout.find(name).expect("it is listed");
    assert!(place("an/app:1") < place("quay.io/team/app:1"));
    let none = Run::new()
        .args(["ls", &format!("oci:{}", dir.path().display())])
        .run()
        .await;
    assert_eq!(none.code, Some(1), "{}", none.stderr);
    assert!(
        none.stderr.contains("is not an image layout"),
        "{}",
        none.stderr
    );
    Ok(())
}

#[tokio::test]
async fn ecr_lists_by_its_api_with_times_and_the_page_is_beside_the_result() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let done = build(&aws, &data, &source).run().await.ended(0);
    let prefix = format!("{}/idf-", aws.ecr_host());
    let result = done.out().join("replication_result.json");
    let run = Run::new()
        .envs(aws.env())
        .args(["ls", &prefix, "--result"])
        .arg(&result);
    let listed = run.run().await.ended(0).stdout;
    for wanted in [
        "idf-quay.io/team/app:1",
        "recorded",
        "PUSHED",
        "manifests without a tag",
    ] {
        assert!(listed.contains(wanted), "no {wanted} in\n{listed}");
    }
    assert!(!listed.contains("missing:"), "{listed}");

    let page = aws.object(BUCKET, PAGE).expect("the page is uploaded");
    assert_eq!(
        page,
        std::fs::read(done.out().join("replication_report.html"))?
    );
    let destroy = seed_farmer(Run::new().arg("destroy").envs(aws.env()));
    destroy
        .env("SEEDFARMER_PARAMETER_RETENTION_TYPE", "DESTROY")
        .run()
        .await
        .ended(0);
    assert!(
        aws.object(BUCKET, PAGE).is_none(),
        "deleted with the result"
    );
    Ok(())
}

#[tokio::test]
async fn hostile_names_do_not_reach_the_terminal() -> Result {
    let registry = Registry::start().await?;
    let body = "{\"repositories\": [\"mirror/a\u{1b}[31m\u{202e}\", \"mirror/b\u{9b}31m\"]}";
    registry
        .faults()
        .add(Rule::new(Fault::status(200).body(body)).on("GET", "/_catalog"));
    let prefix = format!("{}/mirror/", registry.host());
    for form in ["table", "wide", "json", "yaml"] {
        let listed = Run::new().args(["ls", &prefix, "-o", form]).run().await;
        for text in [&listed.stdout, &listed.stderr] {
            assert!(
                !text.contains(['\u{1b}', '\u{9b}', '\u{202e}']),
                "{form}: {text:?}"
            );
        }
    }
    Ok(())
}

/// What `ls --result` says of the closure of artifacts: as a table, and each reference with its closure.
async fn closures(world: &World, deployed: &Finished) -> (String, Vec<(String, Value)>) {
    let prefix = format!("{}/mirror/", world.target.host());
    let list = || {
        let run = Run::new().args(["ls", &prefix, "--result"]);
        run.arg(deployed.out().join("replication_result.json"))
    };
    let shown = list().env("COLUMNS", "140").run().await.ended(0).stdout;
    let json = list().args(["-o", "json"]).run().await.ended(0).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let artifacts = json["artifacts"].as_array().expect("a list").iter();
    let closures = artifacts.map(|one| {
        let name = one["reference"].as_str().expect("a name");
        (name.replace(&prefix, ""), one["closure"].clone())
    });
    (shown, closures.collect())
}

#[tokio::test]
async fn the_closure_of_each_artifact_is_listed() -> Result {
    let world = several_charts().await?;
    let deployed = world.run("deploy").run().await;
    // One image is gone at the source; without it the deployment succeeds.
    assert_eq!(deployed.code, Some(1), "{}", deployed.stderr);
    image().push(&world.source, "team/gone", "1")?;
    let deployed = world.run("deploy").run().await.ended(0);
    let (shown, closures) = closures(&world, &deployed).await;
    let of = |name: &str| {
        let found = closures.iter().find(|(one, _)| one == name);
        found.unwrap_or_else(|| panic!("{closures:?}")).1.clone()
    };
    let cache = of("charts.corp/cache:21.0.4");
    assert_eq!(
        (&cache["outcome"], &cache["missing"]),
        (&json!("gaps"), &json!(1))
    );
    assert_eq!(of("quay.io/team/cache:1"), json!({"startedBy": ["cache"]}));
    assert_eq!(of("quay.io/team/gone:1"), Value::Null);
    for words in ["1 of 2 missing", "used by cache"] {
        assert!(shown.contains(words), "{shown}");
    }
    std::fs::remove_file(deployed.out().join("replication_closure.json"))?;
    let (shown, closures) = self::closures(&world, &deployed).await;
    assert!(closures.iter().all(|(_, closure)| closure.is_null()));
    assert!(
        shown.contains("replication_closure.json is not there"),
        "{shown}"
    );
    Ok(())
}
