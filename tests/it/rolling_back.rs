//! `replicator publish`: an earlier result is published again, after a look at everything that it names.

use std::fs;

use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::content::writes;
use super::data::Data;
use super::ecr::image;
use super::keeping::{BUCKET, OBJECT, World};
use super::run::{Finished, Run};

fn parsed(done: &Finished) -> Value {
    serde_json::from_str(&done.stdout).expect("JSON")
}

#[tokio::test]
async fn a_kept_result_is_published_again_with_its_proof_and_the_one_it_replaces_is_kept() -> Result
{
    let world = World::start().await?;
    world.deploy(1).await;
    let first = world.aws.object(BUCKET, OBJECT);
    let page = world
        .aws
        .object(BUCKET, "dev-replication-images-report.html");
    world.deploy(2).await;
    let second = world.object(OBJECT);

    let listed = world
        .run(&["publish", "--list", "-o", "json"])
        .run()
        .await
        .ended(0);
    let listed = parsed(&listed);
    assert_eq!(listed["current"]["eksVersion"], "1.34");
    assert_eq!(listed["kept"][0]["number"], 1);
    assert_eq!(listed["kept"][0]["name"], world.names()[0].as_str());
    let table = world
        .run(&["publish", "--list"])
        .run()
        .await
        .ended(0)
        .stdout;
    assert!(table.contains(&world.names()[0]), "{table}");

    let before = writes(world.aws.registry().wire()).len();
    let tried = world
        .run(&["publish", "1", "--dry-run"])
        .run()
        .await
        .ended(0);
    assert!(
        tried.stdout.starts_with("would publish s3://"),
        "{}",
        tried.stdout
    );
    assert_eq!(world.object(OBJECT), second);
    let done = world.run(&["publish", "1"]).run().await.ended(0);
    assert!(
        done.stdout.contains("2 artifacts at the target"),
        "{}",
        done.stdout
    );
    assert_eq!(world.aws.object(BUCKET, OBJECT), first);
    assert_eq!(
        world
            .aws
            .object(BUCKET, "dev-replication-images-report.html"),
        page
    );
    assert_eq!(
        writes(world.aws.registry().wire()).len(),
        before,
        "nothing is copied"
    );
    let metadata = done
        .work_file("SEEDFARMER_MODULE_METADATA")
        .expect("metadata");
    assert!(metadata.contains(OBJECT), "{metadata}");
    let proved = world.run(&["verify", "--prove"]).run().await.ended(0);
    proved.said(&["proved again: 1 chart"]);

    // The other way round, by its name.
    let [name] = &world.names()[..] else {
        panic!("{:?}", world.names());
    };
    let done = world
        .run(&["publish", name, "-o", "json"])
        .run()
        .await
        .ended(0);
    assert_eq!(parsed(&done)["wasCurrent"], false);
    assert_eq!(world.object(OBJECT), second);
    let again = world.run(&["publish", &format!("s3://{BUCKET}/{OBJECT}")]);
    let again = again.run().await.ended(0);
    assert!(
        again.stdout.contains("is this result already"),
        "{}",
        again.stdout
    );
    assert_eq!(world.names().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_result_of_which_something_is_missing_is_not_published() -> Result {
    let world = World::start().await?;
    world.deploy(1).await;
    world.deploy(2).await;
    let second = world.object(OBJECT);
    let tag = "idf-quay.io/team/app";
    world.aws.registry().remove_manifest(tag, "1");
    let refused = world.run(&["publish", "1"]).run().await.ended(1);
    refused.said(&[
        "quay.io/team/app:1",
        "nothing was published",
        "1 missing of 2 artifacts",
        "hint: missing: set data files and parameters back to those of this result",
    ]);
    let checked = world.run(&["verify", "1"]).run().await.ended(1);
    checked.said(&["hint: missing: set data files and parameters back"]);
    let current = world.run(&["verify"]).run().await.ended(1);
    current.said(&["hint: missing: run `replicator deploy` again"]);
    assert_eq!(world.object(OBJECT), second);
    assert_eq!(world.names().len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_published_is_bad_input() -> Result {
    let world = World::start().await?;
    world.deploy(1).await;
    let refuse = async |args: &[&str], words: &[&str]| {
        let refused = world.run(args).run().await.ended(2);
        refused.said(words);
    };
    refuse(&["publish", "1"], &["no result is kept", "publish --list"]).await;
    refuse(
        &["publish", "20990101T000000Z"],
        &["no kept result has this name"],
    )
    .await;
    refuse(&["publish", "gone.json"], &["gone.json", "cannot be read"]).await;
    refuse(&["publish", "s3://x"], &["s3://BUCKET/KEY"]).await;
    let gone = format!("s3://{BUCKET}/gone.json");
    refuse(&["publish", &gone], &["there is no such object"]).await;
    refuse(
        &["publish", "1", "--platforms", "linux/amd64"],
        &["publish copies nothing"],
    )
    .await;
    let put = |document: &Value| {
        world
            .aws
            .put_object(BUCKET, "other.json", document.to_string());
        format!("s3://{BUCKET}/other.json")
    };
    let digest = format!("sha256:{}", "a".repeat(64));
    let elsewhere = put(&json!({"charts": {}, "digests": {"r.corp/p-x:1": digest}}));
    refuse(
        &["publish", &elsewhere],
        &["r.corp/p-x:1", "which is not below"],
    )
    .await;
    let plan = put(&json!({"charts": {}, "plan": true}));
    refuse(&["publish", &plan], &["document of a plan"]).await;
    let mut without = world.object(OBJECT);
    without
        .as_object_mut()
        .expect("an object")
        .remove("digests");
    let without = put(&without);
    refuse(&["publish", &without], &["--without-digests"]).await;
    let done = world.run(&["publish", &without, "--without-digests"]);
    done.run().await.ended(0).said(&["records no digests"]);
    assert_eq!(world.object(OBJECT)["digests"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn results_of_a_bucket_are_compared() -> Result {
    let world = World::start().await?;
    world.deploy(1).await;
    world.deploy(2).await;
    let current = format!("s3://{BUCKET}/{OBJECT}");
    let found = world
        .run(&["diff", "1", &current, "-o", "json"])
        .run()
        .await
        .ended(0);
    let found = parsed(&found);
    let images = found["images"].as_array().expect("a list");
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(images[0]["from"], Value::Null);
    let same = world.run(&["diff", &current, &current, "--exit-code"]);
    same.run().await.ended(0);
    let gone = format!("s3://{BUCKET}/gone.json");
    world
        .run(&["diff", &gone, &current])
        .run()
        .await
        .ended(2)
        .said(&["no such object"]);
    Ok(())
}

#[tokio::test]
async fn where_there_is_no_bucket_the_output_folder_keeps_results() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    for version in 1..=3 {
        let image = image().layer(100 + version, version);
        image.push(&source, "team/app", &version.to_string())?;
    }
    let folder = tempfile::tempdir()?;
    let out = folder.path().to_str().expect("a path");
    let deploy = async |version: usize| {
        let data = Data::images(&[&format!("quay.io/team/app:{version}")]);
        let run = data
            .given_to(Run::new().arg("deploy"))
            .args(["--eks-version", "1.34"]);
        let run = run.endpoint("quay.io", &source.url()).args(["--out", out]);
        let prefix = format!("{}/mirror/", target.host());
        run.args(["--registry-prefix", &prefix])
            .run()
            .await
            .ended(0)
    };
    let result = || fs::read_to_string(folder.path().join("replication_result.json"));
    let kept = || {
        let kept = fs::read_dir(folder.path().join("replication_results"));
        kept.map_or(0, Iterator::count)
    };
    deploy(1).await;
    deploy(1).await;
    assert_eq!(kept(), 0, "the same content is not kept");
    let first = result()?;
    deploy(2).await;
    let second = result()?;
    assert_eq!(kept(), 1);
    let publish = |args: &[&str]| {
        Run::new()
            .arg("publish")
            .args(["--out", out])
            .args(args.to_vec())
    };
    let listed = publish(&["--list", "-o", "json"]).run().await.ended(0);
    let listed = parsed(&listed);
    let place = listed["kept"][0]["place"].as_str().expect("a place");
    assert_eq!(fs::read_to_string(place)?, first);
    let done = publish(&["1"]).run().await.ended(0);
    assert!(done.stdout.contains("kept 2"), "{}", done.stdout);
    assert_eq!(result()?, first);
    assert_eq!(kept(), 1);
    target.remove_manifest("mirror/quay.io/team/app", "2");
    let refused = publish(&["1"]).run().await.ended(1);
    refused.said(&["team/app:2", "nothing was published"]);
    assert_eq!(result()?, first);
    assert!(second.contains("app:2"));
    Ok(())
}
