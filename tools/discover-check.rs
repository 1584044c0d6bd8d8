//! Discovers the images of real charts without any hand-written path, and says how many references moved exactly
//! to the target, with how many renders and how fast; and how the paths in our data files compare.
//!
//! `discover-check FOLDER`: archives `NAME-VERSION.tgz`. Prints Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use helm_chart::archive::Keep;
use helm_chart::chart::Chart;
use helm_chart::render::{Capabilities, KubeVersion};
use replication::discovery::{self, Found, Search};
use replication::inventory::{ChartSpec, Installation, Inventory};
use replication::plan::Plan;
use replication::reference::Prefix;
use serde_json::{Map, Value};

const DATA: &str = "data/eks_dockerimage-replication/versions";
const PREFIX: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/idf-";

/// What was found of some charts.
#[derive(Default)]
struct Sum {
    charts: usize,
    references: usize,
    moved: usize,
    renders: Vec<usize>,
    slowest: Duration,
    unmoved: BTreeSet<String>,
    failed: Vec<String>,
}

impl Sum {
    fn add(&mut self, chart: &str, found: &Found, took: Duration) {
        let discovery = &found.discovery;
        let moved: usize = discovery.images.iter().map(|image| image.uses.len()).sum();
        let unmoved: usize = discovery.unmoved.iter().map(|image| image.uses.len()).sum();
        self.charts += 1;
        self.moved += moved;
        self.references += moved + unmoved;
        self.renders.push(discovery.renders);
        self.slowest = self.slowest.max(took);
        for image in &discovery.unmoved {
            let test = image
                .uses
                .iter()
                .all(helm_chart::render::images::Image::is_test);
            let test = if test { " (`helm test` only)" } else { "" };
            self.unmoved.insert(format!(
                "{chart}: {}{test}: {}",
                image.reference, image.reason
            ));
        }
        for (scenario, error) in &discovery.failed {
            let line = error.lines().next().unwrap_or_default();
            self.failed
                .push(format!("{chart}, scenario {scenario}: {line}"));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    fn row(&mut self, name: &str) -> String {
        self.renders.sort_unstable();
        let share = 100.0 * self.moved as f64 / self.references.max(1) as f64;
        let at = |part: usize| {
            self.renders
                .get((self.renders.len() * part / 100).min(self.renders.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default()
        };
        format!(
            "| {name} | {} | {} | {} | {share:.1} % | {} | {} | {} | {} ms |",
            self.charts,
            self.references,
            self.moved,
            at(50),
            at(90),
            at(100),
            self.slowest.as_millis(),
        )
    }
}

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).context("give a folder of charts")?;
    let folder = Path::new(&folder);
    let mut ours = BTreeSet::new();
    let (mut unmoved, mut differences, mut failed) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    println!(
        "| charts | number | references | moved | share | renders, median | 90 % | most | slowest |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let prefix: Prefix = PREFIX.parse()?;
    for minor in 30..=37 {
        let version = format!("1.{minor}");
        let read = |name: &str| std::fs::read(Path::new(DATA).join(name));
        let (default, file) = (read("default.yaml")?, read(&format!("{version}.yaml"))?);
        let inventory = Inventory::parse(&version, &default, &file)
            .map_err(|problems| anyhow::anyhow!("{version}: {problems:?}"))?;
        let mut sum = Sum::default();
        for spec in &inventory.charts {
            let name = format!("{}-{}", spec.name, spec.version);
            let Ok(archive) = std::fs::read(folder.join(format!("{name}.tgz"))) else {
                failed.insert(format!("{name}: no archive"));
                continue;
            };
            ours.insert(format!("{name}.tgz"));
            let mut chart = Chart::read(&archive, Keep::Everything)?;
            as_released(&mut chart);
            let search = Search {
                installation: spec.installation.under(&spec.overrides),
                capabilities: Capabilities {
                    kube_version: KubeVersion::parse(&format!("v{version}.0-eks-0"))
                        .map_err(anyhow::Error::msg)?,
                    api_versions: inventory.api_versions.clone(),
                },
                switches: false,
                allow: Vec::new(),
            };
            let start = Instant::now();
            match discovery::find(&chart, &search, Some(&prefix)) {
                Ok(found) => {
                    sum.add(&name, &found, start.elapsed());
                    differences.extend(compare(&inventory, spec, &chart, &found, &prefix));
                }
                Err(error) => drop(failed.insert(format!("{name}: {error}"))),
            }
        }
        println!("{}", sum.row(&format!("EKS {version}")));
        unmoved.append(&mut sum.unmoved);
        failed.extend(sum.failed);
    }
    let mut sum = Sum::default();
    let mut refused = 0;
    let mut files: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let is_archive = file.path().extension().is_some_and(|end| end == "tgz");
        if !is_archive || ours.contains(&name) {
            continue;
        }
        let Ok(chart) = Chart::read(&std::fs::read(file.path())?, Keep::Everything) else {
            refused += 1;
            continue;
        };
        let search = Search {
            installation: Installation::default(),
            capabilities: Capabilities::default(),
            switches: false,
            allow: Vec::new(),
        };
        let start = Instant::now();
        match discovery::find(&chart, &search, Some(&prefix)) {
            Ok(found) => sum.add(name.trim_end_matches(".tgz"), &found, start.elapsed()),
            Err(_) => refused += 1,
        }
    }
    println!("{}", sum.row("others, default values"));
    println!("\n{refused} other charts do not render with their default values.");
    list("Not moved, of our data files", &unmoved);
    list("Not moved, of others", &sum.unmoved);
    list("Not rendered, of our data files", &failed);
    list("Hand-written and discovered values differ", &differences);
    Ok(())
}

/// The chart as its publisher releases it, where the archive was packed from a source repository: without what
/// .helmignore names, without a subchart's folder where its pinned version is packed beside it, and with an
/// appVersion. `tests/interop/closure/repositories.py` does the same.
fn as_released(chart: &mut Chart) {
    let ignored = chart.files.iter().find(|file| file.name == ".helmignore");
    let ignored = ignored.map(|file| String::from_utf8_lossy(&file.data).into_owned());
    let ignored: BTreeSet<&str> = ignored.iter().flat_map(|text| text.lines()).collect();
    let templates = &mut chart.templates;
    templates.retain(|file| !ignored.contains(file.name.as_str()));
    for dependency in chart.metadata.dependencies.iter().flatten() {
        let is_it = |subchart: &Chart| subchart.name() == dependency.name;
        let is_pinned = |subchart: &Chart| subchart.version() == dependency.version;
        if chart
            .subcharts
            .iter()
            .any(|one| is_it(one) && is_pinned(one))
        {
            let subcharts = &mut chart.subcharts;
            subcharts.retain(|one| !is_it(one) || is_pinned(one));
        }
    }
    if chart.metadata.app_version.is_empty() {
        chart
            .metadata
            .app_version
            .clone_from(&chart.metadata.version);
    }
}

fn list(title: &str, lines: &BTreeSet<String>) {
    println!("\n{title}: {}\n", lines.len());
    for line in lines {
        println!("- {line}");
    }
}

/// The leaves that only one of the two ways sets, or sets differently. What the hand-written entries set for images that
/// no scenario starts is left out: nothing shows there.
fn compare(
    inventory: &Inventory,
    spec: &ChartSpec,
    chart: &Chart,
    found: &Found,
    prefix: &Prefix,
) -> Vec<String> {
    let name = format!("{}-{}", spec.name, spec.version);
    let written = Plan::published(inventory, spec, chart, prefix);
    let auto = ChartSpec {
        images: Vec::new(),
        operator_images: Vec::new(),
        overrides: Map::new(),
        ..spec.clone()
    };
    let discovered = Plan::published(inventory, &found.beside(&auto), chart, prefix);
    let (Some(written), Some(discovered)) = (written, discovered) else {
        return vec![format!("{name}: cannot be planned")];
    };
    let (written, discovered) = (
        leaves(&Value::Object(written)),
        leaves(&Value::Object(discovered)),
    );
    let mut lines = Vec::new();
    for (path, text) in &discovered {
        match written.get(path) {
            None => lines.push(format!("{name}: only discovered: {path} = {text}")),
            Some(other) if other != text => lines.push(format!(
                "{name}: {path}: written {other}, discovered {text}"
            )),
            Some(_) => {}
        }
    }
    for (path, text) in &written {
        if !discovered.contains_key(path) {
            lines.push(format!("{name}: only written: {path} = {text}"));
        }
    }
    lines
}

fn leaves(values: &Value) -> BTreeMap<String, String> {
    let paths = helm_chart::values::Path::all(values).into_iter();
    let leaf = |path: String| {
        let value = path
            .parse::<helm_chart::values::Path>()
            .ok()?
            .get(values)?
            .clone();
        let is_leaf = !value.is_object() && !value.is_array();
        is_leaf.then(|| (path, value.to_string().replace(PREFIX, "<prefix>")))
    };
    paths.filter_map(leaf).collect()
}
