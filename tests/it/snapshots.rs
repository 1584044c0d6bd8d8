//! What users read, as files to review: every `--help`, a plan, the log of a deployment, and common errors.
//!
//! After a change: `UPDATE_EXPECT=1 cargo test --test it snapshots`.

mod errors;
mod tables;

use std::path::Path;

use expect_test::expect_file;
use lab::chart::{Chart, ChartRepository};
use lab::image::Image;
use lab::registry::Registry;

use super::Result;
use super::content::mirrored;
use super::data::{Data, chart_entry};
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
pub(crate) async fn commands() -> Vec<String> {
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
pub(crate) struct World {
    pub(crate) source: Registry,
    pub(crate) target: Registry,
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

    pub(crate) fn run(&self, command: &str) -> Run {
        let prefix = format!("{}/mirror/", self.target.host());
        self.run_without_target(command)
            .arg("--registry-prefix")
            .arg(prefix)
    }

    fn run_without_target(&self, command: &str) -> Run {
        self.with_endpoints(self.data.run(command))
    }

    fn with_endpoints(&self, run: Run) -> Run {
        run.endpoint("quay.io", &self.source.url())
            .endpoint("charts.corp", &self.charts.url())
    }

    fn given_to(&self, run: Run) -> Run {
        self.with_endpoints(self.data.given_to(run))
    }

    /// The folder of the data files.
    fn folder(&self) -> &Path {
        self.data.path()
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
pub(crate) async fn several_charts() -> anyhow::Result<World> {
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
async fn the_log_of_a_deployment_has_a_line_for_each_artifact() -> Result {
    let world = World::start().await?;
    let done = world.run("deploy").run().await.ended(0);
    let shown = world.volatile().settle(&done, &done.stderr);
    expect_file!["snapshots/deploy.txt"].assert_eq(&shown);
    Ok(())
}
