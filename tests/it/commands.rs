//! `replicator copy`, and what the program says of itself.

use lab::aws::Aws;
use lab::image::Image;
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::content::writes;
use super::run::Run;

fn image(seed: u64) -> Image {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    image.layer(3000, seed)
}

fn digest_of(registry: &Registry, repository: &str, tag: &str) -> Option<String> {
    registry
        .manifest(repository, tag)
        .map(|(_, _, digest)| digest)
}

#[tokio::test]
async fn one_reference_is_copied_and_the_second_time_nothing_is_sent() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = image(1).push(&source, "team/app", "1")?;
    let from = format!("{}/team/app:1", source.host());
    let to = format!("docker://{}/any/name:2", target.host());
    let first = Run::new().args(["copy", &from, &to]).run().await.ended(0);
    assert_eq!(
        digest_of(&target, "any/name", "2"),
        Some(pushed.root.digest)
    );
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    assert_eq!(first.stdout, "");
    assert_eq!(first.files(), Vec::<String>::new(), "no file without --out");

    target.wire().clear();
    let run = Run::new().args(["copy", &from, &to]).out();
    let second = run.run().await.ended(0);
    assert_eq!(writes(target.wire()), Vec::<String>::new());
    assert_eq!(
        second.files(),
        ["replication_report.html", "replication_report.json"]
    );
    assert_eq!(second.report_of("any/name:2")["done"], "already there");
    Ok(())
}

#[tokio::test]
async fn a_name_without_a_host_is_one_of_docker_hub() -> Result {
    let (hub, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = image(1).push(&hub, "library/busybox", "latest")?;
    let to = format!("{}/busybox:1", target.host());
    let run = Run::new().args(["copy", "busybox", &to]);
    run.endpoint("docker.io", &hub.url()).run().await.ended(0);
    assert_eq!(digest_of(&target, "busybox", "1"), Some(pushed.root.digest));
    Ok(())
}

#[tokio::test]
async fn a_list_of_pairs_is_copied_each_once() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let mut pairs = Vec::new();
    for number in 0..3 {
        image(number).push(&source, "team/app", &number.to_string())?;
        let (src, target) = (source.host(), target.host());
        pairs.push(json!({"src": format!("{src}/team/app:{number}"), "target": format!("{target}/copied:{number}")}));
    }
    pairs.push(pairs[0].clone());
    let dir = tempfile::tempdir()?;
    let list = dir.path().join("updated_images.json");
    // Editors of Windows write a byte order mark.
    std::fs::write(&list, format!("\u{feff}{}", Value::from(pairs.clone())))?;
    let run = Run::new().args(["copy", "--list"]).arg(&list).out();
    let done = run.run().await.ended(0);
    assert_eq!(target.tags("copied"), ["0", "1", "2"]);
    assert_eq!(done.done().len(), 3);
    assert_eq!(target.check_integrity(), Vec::<String>::new());

    pairs.push(
        json!({"src": format!("{}/team/other:1", source.host()), "target": pairs[0]["target"]}),
    );
    pairs.push(json!({"src": "not a name", "target": "UPPER/case"}));
    std::fs::write(&list, Value::from(pairs).to_string())?;
    source.wire().clear();
    let run = Run::new().args(["copy", "--list"]).arg(&list).out();
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&[
        "3 problems",
        "pair 5: two sources for one target",
        "`not a name`",
        "UPPER/case",
    ]);
    assert_eq!(source.wire().requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_folder_takes_and_gives_what_a_registry_does() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = image(1).push(&source, "team/app", "1")?;
    let dir = tempfile::tempdir()?;
    let folder = format!("oci:{}:app:1", dir.path().join("mirror").display());
    let from = format!("{}/team/app:1", source.host());
    let to = format!("{}/app:1", target.host());
    for (from, to) in [(&from, &folder), (&folder, &to)] {
        Run::new().args(["copy", from, to]).run().await.ended(0);
    }
    assert_eq!(digest_of(&target, "app", "1"), Some(pushed.root.digest));
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    let missing = folder.replace("app:1", "app:2");
    let run = Run::new().args(["copy", &missing, &to]);
    run.run().await.ended(1).said(&["source", &missing]);
    Ok(())
}

#[tokio::test]
async fn a_list_that_is_none_is_refused() -> Result {
    let dir = tempfile::tempdir()?;
    let list = dir.path().join("list.json");
    std::fs::write(&list, r#"{"src": "a"}"#)?;
    let run = Run::new().args(["copy", "--list"]).arg(&list).out();
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&["list.json", "not a JSON list"]);
    std::fs::remove_file(&list)?;
    let run = Run::new().args(["copy", "--list"]).arg(&list).out();
    run.run()
        .await
        .ended(2)
        .left_nothing()
        .said(&["list.json", "cannot read"]);
    Ok(())
}

#[tokio::test]
async fn a_copy_that_fails_says_which_side() -> Result {
    let target = Registry::start().await?;
    let to = format!("{}/app:1", target.host());
    let from = "127.0.0.1:1/team/app:1";
    let run = Run::new().args(["copy", from, &to, "--tries", "1"]);
    run.run()
        .await
        .ended(1)
        .said(&["source", from, "no connection"]);
    let source = Registry::start().await?;
    image(1).push(&source, "team/app", "1")?;
    let from = format!("{}/team/app:1", source.host());
    let run = Run::new().args(["copy", &from, "127.0.0.1:1/app:1", "--tries", "1"]);
    run.run()
        .await
        .ended(1)
        .said(&["target", "127.0.0.1:1/app:1", "no connection"]);
    Ok(())
}

#[tokio::test]
async fn a_copy_into_ecr_creates_its_repository_and_publishes_nothing() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let pushed = image(1).push(&source, "team/app", "1")?;
    let from = format!("{}/team/app:1", source.host());
    let to = format!("{}/by-hand/app:1", aws.ecr_host());
    let run = Run::new().args(["copy", &from, &to]).envs(aws.env());
    run.run().await.ended(0);
    assert_eq!(
        digest_of(aws.registry(), "by-hand/app", "1"),
        Some(pushed.root.digest)
    );
    assert_eq!(aws.count("CreateRepository"), 1);
    assert!(aws.calls().iter().all(|call| call.service != "s3"));

    // And out of it again.
    let target = Registry::start().await?;
    let back = format!("{}/app:1", target.host());
    let run = Run::new().args(["copy", &to, &back]).envs(aws.env());
    run.run().await.ended(0);
    assert_eq!(target.tags("app"), ["1"]);
    Ok(())
}

#[tokio::test]
async fn a_command_line_that_cannot_be_is_bad_input() {
    for args in [
        &["copy"][..],
        &["copy", "one"],
        &["deploy", "--no-such-flag"],
        &["fly"],
        &["copy", "a", "b", "--list", "c"],
        &["plan", "--jobs", "many"],
    ] {
        let refused = Run::new().args(args).run().await.ended(2);
        assert_eq!(refused.stdout, "");
        assert!(refused.stderr.contains("--help"), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn help_and_version_go_to_standard_output() {
    let help = Run::new().arg("--help").run().await.ended(0);
    for word in [
        "deploy",
        "plan",
        "copy",
        "Exit codes: 0 done; 1",
        "oci:mirror",
    ] {
        assert!(
            help.stdout.contains(word),
            "`{word}` is missing in {}",
            help.stdout
        );
    }
    let version = Run::new().arg("--version").run().await.ended(0);
    assert_eq!(
        version.stdout,
        format!("replicator {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(version.stderr, "");
}

#[tokio::test]
async fn a_json_log_is_one_object_a_line_with_its_fields() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = image(1).push(&source, "team/app", "1")?;
    let from = format!("{}/team/app:1", source.host());
    let to = format!("{}/app:1", target.host());
    let run = Run::new().args(["copy", &from, &to, "--log-format", "json", "-v"]);
    let done = run.run().await.ended(0);
    let lines: std::result::Result<Vec<Value>, _> =
        done.stderr.lines().map(serde_json::from_str).collect();
    let lines = lines?;
    let copied = lines
        .iter()
        .find(|line| line["digest"] == pushed.root.digest);
    let copied = copied.expect("a line for the artifact");
    assert_eq!(
        (&copied["source"], &copied["target"]),
        (&json!(from), &json!(to))
    );
    assert_eq!(copied["level"], "INFO");
    Ok(())
}
