//! What users read, as files to review: every `--help`, a plan, the log of a deployment, and common errors.
//!
//! After a change: `UPDATE_EXPECT=1 cargo test --test it snapshots`.

use expect_test::expect_file;
use lab::aws::Aws;
use lab::chart::{Chart, ChartRepository};
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::Registry;
use serde_json::json;

use super::Result;
use super::content::mirrored;
use super::data::{Data, chart_entry};
use super::ecr::build;
use super::run::{Finished, Run};

/// Texts that differ from run to run, with what takes their place.
#[derive(Default)]
struct Volatile(Vec<(String, &'static str)>);

impl Volatile {
    fn with(mut self, text: impl Into<String>, shown: &'static str) -> Self {
        self.0.push((text.into(), shown));
        self
    }

    fn of(data: &Data) -> Self {
        Self::default().with(data.path().display().to_string(), "versions")
    }

    /// A text as it is in every run.
    fn settle(&self, run: &Finished, text: &str) -> String {
        let mut text = text.replace(&run.out().display().to_string(), "out");
        for (volatile, shown) in &self.0 {
            text = text.replace(volatile, shown);
        }
        let lines: Vec<String> = text.lines().map(without_times).collect();
        let mut lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        // Artifacts finish in any order.
        for finished in lines.chunk_by_mut(|a, b| is_finished(a) == is_finished(b)) {
            if finished.first().is_some_and(|line| is_finished(line)) {
                finished.sort_unstable();
            }
        }
        lines.join("\n") + "\n"
    }
}

fn is_finished(line: &str) -> bool {
    line.contains("[n/")
}

/// A line with `0.0 s` for every time, and without the order in which artifacts finished.
fn without_times(line: &str) -> String {
    // What was sent before a failure depends on timing.
    let sent = line.strip_prefix("0 copied (");
    if let Some((_, rest)) = sent.and_then(|sent| sent.split_once(')')) {
        return without_times(&format!("0 copied, some bytes sent{rest}"));
    }
    let words: Vec<&str> = line.split(' ').collect();
    let is_unit = |word: &str| word.trim_end_matches([':', ',', ')', ';']) == "s";
    let mut shown: Vec<String> = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let number = word.trim_start_matches('(');
        let is_time = words.get(index + 1).is_some_and(|next| is_unit(next))
            && number.parse::<f64>().is_ok()
            && number.contains('.');
        let count = word.strip_prefix('[').and_then(|rest| rest.split_once('/'));
        shown.push(match count {
            _ if is_time => word.replace(number, "0.0"),
            Some((_, all)) if all.ends_with(']') => format!("[n/{all}"),
            _ => (*word).to_owned(),
        });
    }
    shown.join(" ")
}

/// The commands that `replicator --help` lists.
async fn commands() -> Vec<String> {
    let help = Run::new().arg("--help").run().await.ended(0).stdout;
    let (_, listed) = help.split_once("Commands:\n").expect("a list of commands");
    let listed = listed.lines().take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.split_whitespace().next());
    let names = names.filter(|name| *name != "help").map(str::to_owned);
    names.collect()
}

async fn help(args: &[&str]) -> String {
    let help = Run::new().args(args).arg("--help").run().await.ended(0);
    let lines: Vec<&str> = help.stdout.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

#[tokio::test]
async fn the_reference_has_the_help_of_every_command() {
    let commands = commands().await;
    let made = "# Commands\n\n<!-- Made from --help: UPDATE_EXPECT=1 cargo test --test it snapshots -->\n\n";
    let mut page = vec![made.to_owned()];
    for command in &commands {
        page.push(format!("- [replicator {command}](#replicator-{command})\n"));
    }
    let text = help(&[]).await;
    page.push(format!("\n## replicator\n\n```text\n{text}\n```\n"));
    for command in &commands {
        let text = help(&[command]).await;
        page.push(format!(
            "\n## replicator {command}\n\n```text\n{text}\n```\n"
        ));
    }
    expect_file!["../../docs/reference/commands.md"].assert_eq(&page.concat());
}

#[tokio::test]
async fn the_help_of_a_worker_is_for_developers() {
    expect_file!["snapshots/work.txt"].assert_eq(&(help(&["work"]).await + "\n"));
}

fn image(seed: u64) -> Image {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    image.base(5000, 1).layer(3000, seed)
}

/// A chart with an image in its values, three images, and a target that has one of them.
struct World {
    source: Registry,
    target: Registry,
    charts: ChartRepository,
    data: Data,
}

const CHART_IMAGE: &str = "    images:
      app:
        repository: {location: values, path: image.repository}
        tag: {location: chart, path: appVersion}
";

impl World {
    async fn start() -> anyhow::Result<Self> {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        let chart = Chart::new("app", "1.0.0").app_version("7.1");
        let chart = chart.values("image: {repository: quay.io/team/app}\n");
        let charts = ChartRepository::start(vec![chart]).await?;
        image(2).push(&source, "team/app", "7.1")?;
        image(3).push(&source, "team/agent", "2")?;
        image(3).push(&target, &mirrored("team/agent"), "2")?;
        let default = chart_entry("app", "https://charts.corp", CHART_IMAGE)
            + "additional_images: {agent: 'quay.io/team/agent:2'}\n";
        Ok(Self {
            source,
            target,
            charts,
            data: Data::new(&default, "ami: {version: 1.34.0}\n"),
        })
    }

    fn run(&self, command: &str) -> Run {
        let prefix = format!("{}/mirror/", self.target.host());
        let run = self.data.run(command).arg("--registry-prefix").arg(prefix);
        run.endpoint("quay.io", &self.source.url())
            .endpoint("charts.corp", &self.charts.url())
    }

    fn volatile(&self) -> Volatile {
        Volatile::of(&self.data)
            .with(self.source.host(), "source.corp")
            .with(self.target.host(), "target.corp")
            .with(self.charts.host(), "charts.corp")
    }
}

/// Three charts, one without templates, with a long name, an image that two of them use, a tag that moved, an image
/// that is gone, and one of many platforms.
async fn several_charts() -> anyhow::Result<World> {
    let world = World::start().await?;
    let cache = Chart::new("cache", "21.0.4").values("image: {repository: quay.io/team/cache}\n");
    let cache = cache.file(
        "templates/pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: cache}\nspec:\n  containers:\n  - {name: a, image: \"{{ .Values.image.repository }}:1\"}\n  - {name: b, image: docker.io/library/busybox:1}\n",
    );
    let long = "observability/collectors/opentelemetry-collector-contrib-distribution";
    let charts = ChartRepository::start(vec![
        Chart::new("app", "1.0.0")
            .app_version("7.1")
            .values("image: {repository: quay.io/team/app}\n"),
        cache,
        Chart::new("collector", "0.9.0").values(&format!(
            "image: {{repository: quay.io/{long}, tag: v0.139.0-enterprise.12}}\nproxy: quay.io/team/agent:2\n"
        )),
    ])
    .await?;
    image(4).push(&world.source, "team/cache", "1")?;
    image(5).push(&world.target, &mirrored("team/cache"), "1")?;
    let many = ["linux/amd64", "linux/arm64", "linux/s390x", "linux/ppc64le"];
    let many = many
        .iter()
        .fold(Image::new(), |image, one| image.platform(one));
    many.base(900_000, 8)
        .push(&world.source, long, "v0.139.0-enterprise.12")?;
    let default = "charts:
  app:
    name: app
    repository: https://charts.corp
    version: 1.0.0
    images:
      app:
        repository: {location: values, path: image.repository}
        tag: {location: chart, path: appVersion}
  cache:
    name: cache
    repository: https://charts.corp
    version: 21.0.4
    images:
      cache: {repository: {location: values, path: image.repository}, tag: {name: '1'}}
  collector:
    name: collector
    repository: https://charts.corp
    version: 0.9.0
    images:
      collector:
        repository: {location: values, path: image.repository}
        tag: {location: values, path: image.tag}
      proxy: {repository: {location: values, path: proxy}}
additional_images:
  agent: quay.io/team/agent:2
  gone: quay.io/team/gone:1
docker_mappings: {}
";
    Ok(World {
        charts,
        data: Data::new(default, "ami: {version: 1.34.0}\n"),
        ..world
    })
}

#[tokio::test]
async fn a_plan_is_a_table() -> Result {
    let world = several_charts().await?;
    for (width, expected) in [
        ("80", expect_file!["snapshots/plan-80.txt"]),
        ("140", expect_file!["snapshots/plan-140.txt"]),
        ("40", expect_file!["snapshots/plan-40.txt"]),
    ] {
        let planned = world.run("plan").env("COLUMNS", width).run().await.ended(1);
        let table = planned.stdout.split("\n\n").nth(1);
        let table = table.unwrap_or_else(|| panic!("{}", planned.stderr));
        let most: usize = width.parse()?;
        for line in table.lines().filter(|line| !line.starts_with('(')) {
            assert!(line.chars().count() <= most, "{width}: {line}");
        }
        expected.assert_eq(&world.volatile().settle(&planned, &planned.stdout));
    }
    let run = world.run("plan").args(["-o", "wide"]);
    let planned = run.env("COLUMNS", "80").run().await.ended(1);
    let shown = world.volatile().settle(&planned, &planned.stdout);
    expect_file!["snapshots/plan-wide.txt"].assert_eq(&shown);
    Ok(())
}

#[tokio::test]
async fn the_log_of_a_deployment_has_a_line_for_each_artifact() -> Result {
    let world = World::start().await?;
    let done = world.run("deploy").run().await.ended(0);
    let shown = world.volatile().settle(&done, &done.stderr);
    expect_file!["snapshots/deploy.txt"].assert_eq(&shown);
    Ok(())
}

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
    let run = Run::new().args([
        "plan",
        "--eks-version",
        "1.34",
        "--data-dir",
        "/no/such/folder",
    ]);
    let run = run.args(["--registry-prefix", "oci:mirror"]);
    errors
        .add("a data folder that does not exist", run, &none)
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
    expect_file!["snapshots/errors-input.txt"].assert_eq(&errors.0.concat());
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
    expect_file!["snapshots/errors-charts.txt"].assert_eq(&errors.0.concat());
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
    expect_file!["snapshots/errors-registries.txt"].assert_eq(&errors.0.concat());
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
    expect_file!["snapshots/errors-target.txt"].assert_eq(&errors.0.concat());
    Ok(())
}
