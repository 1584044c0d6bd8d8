//! `replicator diff`: what differs between locks, results, EKS versions, and the present.

use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::locking::{World, image};
use super::run::Run;

async fn diff(world: &World, args: &[&str], code: i32) -> Value {
    let run = world.data.given_to(Run::new().arg("diff").args(args));
    let run = run
        .endpoint("quay.io", &world.source.url())
        .endpoint("charts.corp", &world.charts.url());
    let done = run
        .args(["-o", "json", "--exit-code"])
        .run()
        .await
        .ended(code);
    serde_json::from_str(&done.stdout).expect("JSON")
}

#[tokio::test]
async fn a_lock_is_compared_with_the_present() -> Result {
    let world = World::start().await?;
    world.lock().await;
    let lock = world.data.file_path("1.34.lock.json");
    let lock = lock.to_str().expect("a path");
    let same = diff(&world, &[lock], 0).await;
    assert_eq!((&same["charts"], &same["images"]), (&json!([]), &json!([])));

    let moved = image(7).push(&world.source, "team/app", "1")?;
    let found = diff(&world, &[lock, "1.34"], 3).await;
    let images = found["images"].as_array().expect("a list");
    assert_eq!(images.len(), 1);
    assert_eq!(images[0]["name"], "quay.io/team/app");
    assert_eq!(images[0]["change"], "moved");
    assert_eq!(images[0]["from"]["digest"], world.app.root.digest);
    assert_eq!(images[0]["to"]["digest"], moved.root.digest);
    assert!(images[0]["to"]["bytes"].as_u64() > Some(3000));
    Ok(())
}

#[tokio::test]
async fn two_versions_of_eks_are_compared_in_words() -> Result {
    let world = World::start().await?;
    image(3).push(&world.source, "team/more", "1")?;
    image(4).push(&world.source, "team/tool", "3")?;
    let newer = "ami: {}\nadditional_images: {tool: 'quay.io/team/tool:3', more: 'quay.io/team/more:1'}\n\
                 charts: {app: {skip: true}}\n";
    let world = World {
        data: world.data.file("1.35.yaml", newer),
        ..world
    };
    let run = world
        .data
        .given_to(Run::new().args(["diff", "1.34", "1.35"]));
    let run = run
        .endpoint("quay.io", &world.source.url())
        .endpoint("charts.corp", &world.charts.url());
    let done = run.run().await.ended(0);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines[0], "charts");
    assert!(
        lines[1].starts_with("  removed app 1.0.0 ("),
        "{}",
        done.stdout
    );
    assert_eq!(lines[2], "images");
    assert!(
        lines[3].starts_with("  removed quay.io/team/app 1 ("),
        "{}",
        done.stdout
    );
    assert!(
        lines[4].starts_with("  added   quay.io/team/more 1 ("),
        "{}",
        done.stdout
    );
    assert!(
        lines[5].starts_with("  changed quay.io/team/tool 2 (") && lines[5].contains("-> 3 ("),
        "{}",
        done.stdout
    );
    assert_eq!(lines.len(), 6);
    Ok(())
}

#[tokio::test]
async fn a_result_is_compared_with_the_lock_that_it_was_made_of() -> Result {
    let (world, target) = (World::start().await?, Registry::start().await?);
    world.lock().await;
    let prefix = format!("{}/mirror/", target.host());
    let deployed = world
        .run("deploy")
        .out()
        .args(["--registry-prefix", &prefix]);
    let deployed = deployed.run().await.ended(0);
    let result = deployed.out().join("replication_result.json");
    let lock = world.data.file_path("1.34.lock.json");
    let (result, lock) = (
        result.to_str().expect("a path"),
        lock.to_str().expect("a path"),
    );
    for pair in [[lock, result], [result, lock], [result, result]] {
        let found = diff(&world, &pair, 0).await;
        assert_eq!(
            (&found["charts"], &found["images"]),
            (&json!([]), &json!([]))
        );
    }
    Ok(())
}

#[tokio::test]
async fn other_files_are_bad_input() -> Result {
    let world = World::start().await?;
    for (name, text) in [
        ("a.json", "{}"),
        ("b.json", "x"),
        ("c.json", "{\"lockVersion\": 9}"),
    ] {
        let path = world.data.file_path(name);
        std::fs::write(&path, text)?;
        let run = Run::new().args(["diff", "no-such-file", path.to_str().expect("a path")]);
        run.run().await.ended(2);
        let run = Run::new().arg("diff").arg(&path).arg(&path);
        run.run().await.ended(2);
    }
    Ok(())
}

#[tokio::test]
async fn differences_are_printed_in_the_forms_of_other_commands() -> Result {
    let world = World::start().await?;
    world.lock().await;
    let lock = world.data.file_path("1.34.lock.json");
    let lock = lock.to_str().expect("a path");
    for (form, printed) in [
        ("text", "no differences\n"),
        ("table", "no differences\n"),
        ("wide", "no differences\n"),
        ("yaml", "charts: []\n"),
    ] {
        let run = Run::new().args(["diff", lock, lock, "-o", form]);
        let done = run.run().await.ended(0);
        assert!(
            done.stdout.starts_with(printed),
            "{form}: {:?}",
            done.stdout
        );
    }
    Ok(())
}
