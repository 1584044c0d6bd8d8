//! Common errors.

use expect_test::expect_file;
use lab::aws::Aws;
use lab::faults::{Fault, Rule};
use lab::registry::Registry;
use serde_json::json;

use crate::Result;
use crate::content::mirrored;
use crate::data::{Data, chart_entry, plan_of_no_folder};
use crate::ecr::build;
use crate::run::Run;

use super::{CHART_IMAGE, Volatile, World, image};

/// The messages of some runs, one after the other.
#[derive(Default)]
struct Errors(Vec<String>);

impl Errors {
    async fn add(&mut self, title: &str, run: Run, volatile: &Volatile) {
        let ended = run.run().await;
        let code = ended.code.expect("no signal");
        assert_ne!(code, 0, "{title}: {}", ended.stderr);
        let said = volatile.settle(&ended, &ended.stderr);
        self.0
            .push(format!("# {title}\n\n{said}exit code {code}\n\n\n"));
    }
}

#[tokio::test]
async fn errors_of_settings_and_data_files() {
    let mut errors = Errors::default();
    let data = Data::images(&["quay.io/a/b:1"]);
    let none = Volatile::default();
    let run = Run::new().args(["deploy", "--registry-prefix", "oci:mirror"]);
    errors.add("no EKS version", run, &none).await;
    let run = data.run_version("plan", "1.35").arg("--no-observe");
    let run = run.args(["--registry-prefix", "target.corp/"]);
    errors
        .add("an unknown EKS version", run, &Volatile::of(&data))
        .await;
    let run = Run::new().args(["deploy", "--eks-versoin", "1.34"]);
    errors.add("a misspelt flag", run, &none).await;
    let run = data
        .run("deploy")
        .args(["--registry-prefix", "https://target.corp/idf-"]);
    errors
        .add("a prefix with a scheme", run, &Volatile::of(&data))
        .await;
    let run = data.plan().args(["--platforms", "amd64", "--jobs", "0"]);
    let run = run.args(["--endpoint", "quay.io", "--patience", "soon"]);
    errors
        .add("several settings out of range", run, &Volatile::of(&data))
        .await;
    let run = data.given_to(Run::new().args(["plan", "--eks-version", "1.34"]));
    let run = run.args(["--registry-prefix", "target.corp/", "--out", "/dev/null/x"]);
    errors
        .add(
            "an output folder that cannot exist",
            run,
            &Volatile::of(&data),
        )
        .await;

    let missing = Data::images(&[]);
    errors
        .add(
            "a data folder that does not exist",
            plan_of_no_folder(),
            &none,
        )
        .await;
    errors
        .add("nothing to copy", missing.plan(), &Volatile::of(&missing))
        .await;
    for (title, default, version) in [
        (
            "broken YAML",
            "charts: {}\n",
            "ami:\n  version: 1\ncharts: [\n  x\n",
        ),
        ("a misspelt key", "chart: {}\n", "ami: {}\n"),
        (
            "a repository without a scheme",
            "charts:\n  a: {name: a, repository: charts.corp, version: 1.0.0}\n",
            "ami: {}\n",
        ),
        (
            "two sources for one target",
            "additional_images: {a: 'quay.corp:5000/a:1', b: 'quay.corp-5000/a:1'}\n",
            "ami: {}\n",
        ),
    ] {
        let data = Data::new(default, version);
        errors.add(title, data.plan(), &Volatile::of(&data)).await;
    }
    let run = Run::new().args(["copy", "quay.io/UPPER:1", "oci:mirror:x"]);
    errors.add("an invalid reference", run, &none).await;
    let run = Run::new().args(["verify", "/no/such/file.json"]);
    errors
        .add("a result document that does not exist", run, &none)
        .await;
    let run = Run::new()
        .args(["deploy", "--eks-version", "1.34"])
        .arg("--data-dir")
        .arg(data.path());
    let run = run.args([
        "--registry-prefix",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/idf-",
    ]);
    errors
        .add(
            "ECR outside of Seed-Farmer without names",
            run,
            &Volatile::of(&data),
        )
        .await;
    expect_file!["errors-input.txt"].assert_eq(&errors.0.concat());
}

#[tokio::test]
async fn errors_of_charts() -> Result {
    let mut errors = Errors::default();
    let world = World::start().await?;
    for (title, version, more) in [
        (
            "a values path that the chart does not have",
            "1.0.0",
            "    images:\n      app:\n        repository: {location: values, path: image.repo}\n        tag: {location: chart, path: appVersion}\n",
        ),
        (
            "an override without effect",
            "1.0.0",
            "    images:\n      app:\n        repository: {location: values, path: image.repository}\n        tag: {location: chart, path: appVersion}\n    replication: {app: {tag: '8'}}\n",
        ),
        ("a chart version that does not exist", "1.0.1", CHART_IMAGE),
    ] {
        let default = chart_entry("app", "https://charts.corp", more)
            .replace("version: 1.0.0", &format!("version: {version}"));
        let data = Data::new(&default, "ami: {}\n");
        let run = data.plan().endpoint("charts.corp", &world.charts.url());
        let volatile = Volatile::of(&data).with(world.charts.host(), "charts.corp");
        errors.add(title, run, &volatile).await;
    }
    let data = Data::chart("https://charts.corp", "");
    let run = data.plan().endpoint("charts.corp", "http://127.0.0.1:9");
    errors
        .add(
            "a chart repository that is not reachable",
            run,
            &Volatile::of(&data),
        )
        .await;
    expect_file!["errors-charts.txt"].assert_eq(&errors.0.concat());
    Ok(())
}

#[tokio::test]
async fn errors_of_registries() -> Result {
    let mut errors = Errors::default();
    let limit = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit."}]}"#;
    let layer = format!(
        "/blobs/{}",
        image(2).push(&Registry::start().await?, "a", "1")?.blobs[1].digest
    );
    for (title, rule) in [
        ("a tag that does not exist", None),
        (
            "a source that wants a login",
            Some(Rule::new(Fault::status(401))),
        ),
        ("a source that forbids", Some(Rule::new(Fault::status(403)))),
        (
            "a source that throttles",
            Some(Rule::new(Fault::status(429))),
        ),
        (
            "Docker Hub's pull limit",
            Some(Rule::new(Fault::status(429).body(limit))),
        ),
        ("a source that fails", Some(Rule::new(Fault::status(500)))),
        (
            "damaged content",
            Some(Rule::new(Fault::Corrupt { at: 100 }).on("GET", &layer)),
        ),
    ] {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        let tag = if rule.is_some() { "1" } else { "2" };
        image(2).push(&source, "team/app", tag)?;
        if let Some(rule) = rule {
            source.faults().add(rule);
        }
        let to = format!("{}/mirror/app:1", target.host());
        let run = Run::new().args(["copy", "quay.io/team/app:1", &to]).args([
            "--tries",
            "1",
            "--patience",
            "1",
        ]);
        let volatile = Volatile::default()
            .with(source.host(), "source.corp")
            .with(target.host(), "target.corp");
        errors
            .add(title, run.endpoint("quay.io", &source.url()), &volatile)
            .await;
    }
    let run = Run::new().args([
        "copy",
        "quay.io/team/app:1",
        "oci:mirror:app:1",
        "--tries",
        "1",
    ]);
    let run = run.endpoint("quay.io", "http://127.0.0.1:9");
    errors
        .add("a source that is not reachable", run, &Volatile::default())
        .await;
    expect_file!["errors-registries.txt"].assert_eq(&errors.0.concat());
    Ok(())
}

#[tokio::test]
async fn errors_of_ecr_and_of_verify() -> Result {
    let mut errors = Errors::default();
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image(2).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let volatile = |aws: &Aws| {
        let of_data = Volatile::of(&data).with(
            aws.ecr_host(),
            "123456789012.dkr.ecr.us-east-1.amazonaws.com",
        );
        of_data.with(source.host(), "source.corp")
    };
    aws.fail("CreateRepository", "AccessDeniedException", 400, 9);
    errors
        .add(
            "a role that may not create repositories",
            build(&aws, &data, &source),
            &volatile(&aws),
        )
        .await;
    let aws = Aws::start().await?;
    aws.put_repository("idf-quay.io/team/app", |repository| {
        repository
            .tags
            .insert("SeedFarmerProjectName".to_owned(), "other".to_owned());
    });
    errors
        .add(
            "a repository of another project",
            build(&aws, &data, &source),
            &volatile(&aws),
        )
        .await;

    let world = World::start().await?;
    let deployed = world.run("deploy").run().await.ended(0);
    let result = deployed.out().join("replication_result.json");
    image(9).push(&world.target, &mirrored("team/agent"), "2")?;
    let moved = Run::new().arg("verify").arg(&result);
    let volatile = world
        .volatile()
        .with(result.display().to_string(), "replication_result.json");
    errors.add("a tag that moved", moved, &volatile).await;
    world.target.remove_manifest(&mirrored("team/app"), "7.1");
    let missing = Run::new().arg("verify").arg(&result);
    errors
        .add("an image that is gone, too", missing, &volatile)
        .await;

    let folder = tempfile::tempdir()?;
    let plan = folder.path().join("plan.json");
    std::fs::write(&plan, json!({"plan": true, "charts": {}}).to_string())?;
    let volatile = Volatile::default().with(plan.display().to_string(), "plan.json");
    errors
        .add(
            "the document of a plan",
            Run::new().arg("verify").arg(&plan),
            &volatile,
        )
        .await;
    expect_file!["errors-target.txt"].assert_eq(&errors.0.concat());
    Ok(())
}
