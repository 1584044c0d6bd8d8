//! `deploy --locked` and `plan --locked`: only what is locked is copied, and every kind of drift is said.

use std::collections::BTreeMap;
use std::fs;

use lab::aws::Aws;
use lab::registry::Registry;
use serde_json::Value;

use super::Result;
use super::ecr::seed_farmer;
use super::locking::{World, chart, image};
use super::run::Run;

impl World {
    /// `deploy --locked` to a plain registry.
    fn deploy_to(&self, target: &Registry) -> Run {
        let prefix = format!("{}/mirror/", target.host());
        let run = self.run("deploy").out().arg("--locked");
        run.arg("--registry-prefix").arg(prefix)
    }

    /// `deploy` as a build with `Locked: true`.
    fn build(&self, aws: &Aws) -> Run {
        let run = seed_farmer(self.run("deploy").envs(aws.env())).out();
        run.env("SEEDFARMER_PARAMETER_LOCKED", "true")
    }

    fn clear(&self) {
        self.source.wire().clear();
        self.charts.wire().clear();
    }

    /// How many requests any source has received.
    fn asked(&self) -> usize {
        self.source.wire().requests().len() + self.charts.wire().requests().len()
    }

    fn change(&self, from: &str, to: &str) -> Result {
        let path = self.data.file_path("default.yaml");
        let text = fs::read_to_string(&path)?;
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replace(from, to))?;
        Ok(())
    }
}

#[tokio::test]
async fn a_locked_plan_that_observes_nothing_does_not_query_the_target() -> Result {
    let world = World::start().await?;
    world.lock().await;
    let target = Registry::start().await?;
    let prefix = format!("{}/mirror/", target.host());
    let plan = world.run("plan").args(["--locked", "--registry-prefix"]);
    let planned = plan.arg(&prefix).arg("--no-observe").run().await.ended(0);
    assert!(planned.stdout.contains(&prefix), "{}", planned.stdout);
    assert_eq!(target.wire().requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_locked_deployment_is_the_unlocked_one() -> Result {
    let world = World::start().await?;
    world.lock().await;
    let (target, other) = (Registry::start().await?, Registry::start().await?);
    let locked = world.deploy_to(&target).run().await.ended(0);
    let prefix = format!("{}/mirror/", other.host());
    let plain = world
        .run("deploy")
        .out()
        .args(["--registry-prefix", &prefix]);
    let plain = plain.run().await.ended(0);
    let (here, there) = (target.host(), other.host());
    for key in ["charts", "additional_images", "digests", "ami"] {
        let locked = locked.result()[key].to_string().replace(&here, &there);
        let locked: Value = serde_json::from_str(&locked)?;
        assert_eq!(locked, plain.result()[key], "{key}");
    }
    for repository in other.repositories() {
        assert_eq!(
            target.manifests(&repository),
            other.manifests(&repository),
            "{repository}"
        );
        assert_eq!(
            target.tags(&repository),
            other.tags(&repository),
            "{repository}"
        );
    }
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_locked_run_with_nothing_to_do_asks_no_source_and_each_repository_once() -> Result {
    let (world, aws) = (World::start().await?, Aws::start().await?);
    world.lock().await;
    let first = world.build(&aws).run().await.ended(0);
    world.clear();
    aws.clear_calls();
    aws.registry().wire().clear();
    let again = world.build(&aws).run().await.ended(0);
    assert_eq!(world.asked(), 0, "{:?}", world.source.wire().requests());
    let mut batches: BTreeMap<String, usize> = BTreeMap::new();
    for call in aws.calls() {
        if call.action.starts_with("Batch") {
            *batches.entry(call.resource.clone()).or_default() += 1;
        }
        assert_ne!(call.action, "PutImage");
    }
    let repositories = [
        "idf-charts.corp/app",
        "idf-quay.io/team/app",
        "idf-quay.io/team/tool",
    ];
    let once = repositories.map(|name| (name.to_owned(), 1));
    assert_eq!(batches, BTreeMap::from(once));
    let written = aws.registry().wire().requests();
    assert!(written.iter().all(|request| request.method != "PUT"));
    assert_eq!(again.result(), first.result());
    assert_eq!(
        again.json("replication_closure.json"),
        first.json("replication_closure.json")
    );
    Ok(())
}

#[tokio::test]
async fn a_warm_run_with_selected_platforms_asks_no_source_either() -> Result {
    let (world, target) = (World::start().await?, Registry::start().await?);
    let selected = ["--platforms", "linux/arm64"];
    world.run("lock").args(selected).run().await.ended(0);
    world.deploy_to(&target).args(selected).run().await.ended(0);
    world.clear();
    world.deploy_to(&target).args(selected).run().await.ended(0);
    assert_eq!(world.asked(), 0);
    Ok(())
}

#[tokio::test]
async fn a_tag_that_has_moved_is_said_and_not_followed() -> Result {
    let (world, target) = (World::start().await?, Registry::start().await?);
    world.lock().await;
    let moved = image(7).push(&world.source, "team/app", "1")?;
    assert_ne!(moved.root.digest, world.app.root.digest);
    let deployed = world.deploy_to(&target).run().await.ended(0);
    let said = |text: &str| {
        text.contains("quay.io/team/app:1 has moved since it was locked")
            && text.contains(&world.app.root.digest)
            && text.contains(&moved.root.digest)
    };
    assert!(said(&deployed.stderr), "{}", deployed.stderr);
    let (_, _, there) = target
        .manifest("mirror/quay.io/team/app", "1")
        .expect("the image");
    assert_eq!(there, world.app.root.digest);

    let prefix = format!("{}/mirror/", target.host());
    for more in [vec!["--locked"], vec![]] {
        let plan = world
            .run("plan")
            .args(["--registry-prefix", &prefix])
            .args(&more);
        let plan = plan.run().await.ended(0);
        assert!(said(&plan.stderr), "{more:?}: {}", plan.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_tag_that_is_gone_is_said_and_its_content_is_copied_while_it_is_there() -> Result {
    let (world, target) = (World::start().await?, Registry::start().await?);
    world.lock().await;
    world.source.remove_manifest("team/app", "1");
    let done = world.deploy_to(&target).run().await.ended(0);
    let said = "quay.io/team/app:1 is gone since it was locked";
    assert!(done.stderr.contains(said), "{}", done.stderr);

    let other = Registry::start().await?;
    let digest = &world.app.root.digest;
    world.source.remove_manifest("team/app", digest);
    let failed = world.deploy_to(&other).run().await.ended(1);
    let said = "there is no quay.io/team/app:1";
    assert!(failed.stderr.contains(said), "{}", failed.stderr);
    Ok(())
}

#[tokio::test]
async fn a_chart_that_was_published_again_is_refused() -> Result {
    let (mut world, target) = (World::start().await?, Registry::start().await?);
    world.lock().await;
    let other = chart().file("templates/more.yaml", "# more\n");
    world.charts = lab::chart::ChartRepository::start(vec![other]).await?;
    let refused = world.deploy_to(&target).run().await.ended(2);
    assert!(
        refused
            .stderr
            .contains("charts.app: app 1.0.0 has moved since it was locked"),
        "{}",
        refused.stderr
    );
    assert!(target.repositories().is_empty());
    Ok(())
}

#[tokio::test]
async fn data_files_and_parameters_that_differ_from_the_lock_are_bad_input() -> Result {
    let target = Registry::start().await?;
    for (from, to, said) in [
        (
            "version: 1.0.0",
            "version: 1.0.1",
            "version 1.0.0 is locked, and the data files have 1.0.1",
        ),
        (
            "path: image.tag",
            "path: image.version",
            "charts.app: its images, values or other settings",
        ),
        ("team/tool:2", "team/tool:3", "additional_images.tool"),
        ("  tool:", "  hammer:", "additional_images.hammer"),
        ("charts.corp", "other.corp", "https://charts.corp is locked"),
        (
            "additional_images:",
            "docker_mappings: {quay.io: m.corp}\nadditional_images:",
            "docker_mappings",
        ),
    ] {
        let world = World::start().await?;
        world.lock().await;
        world.change(from, to)?;
        world.clear();
        let refused = world.deploy_to(&target).run().await.ended(2);
        assert!(refused.stderr.contains(said), "{to}: {}", refused.stderr);
        assert_eq!(world.asked(), 0, "{to}");
    }
    let world = World::start().await?;
    world.lock().await;
    world.change("charts:", "# a comment\ncharts:")?;
    let other = world
        .deploy_to(&target)
        .args(["--platforms", "linux/arm64"]);
    let refused = other.run().await.ended(2);
    assert!(
        refused
            .stderr
            .contains("Platforms was all when it was locked, and is linux/arm64 now"),
        "{}",
        refused.stderr
    );
    fs::remove_file(world.data.file_path("1.34.lock.json"))?;
    let refused = world.deploy_to(&target).run().await.ended(2);
    assert!(
        refused.stderr.contains("replicator lock"),
        "{}",
        refused.stderr
    );
    assert!(target.repositories().is_empty());
    Ok(())
}

#[tokio::test]
async fn charts_that_the_target_has_are_not_fetched_from_their_sources() -> Result {
    let (world, target) = (World::start().await?, Registry::start().await?);
    world.lock().await;
    world.deploy_to(&target).run().await.ended(0);
    world.clear();
    // The output folder is another one, so that there is no earlier proof.
    let done = world.deploy_to(&target).run().await.ended(0);
    assert_eq!(world.asked(), 0);
    assert_eq!(done.json("replication_closure.json")["totals"]["copied"], 1);
    Ok(())
}
