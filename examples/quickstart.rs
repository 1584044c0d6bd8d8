//! The whole pipeline on one machine: no AWS, no Docker, no network but loopback.
//!
//! ```text
//! cargo run --example quickstart
//! ```
//!
//! Three made-up charts in a chart repository, and the images they use in a registry, are replicated
//! into another registry: the stages and the order of `replicator deploy`. Only the registries and the
//! chart repository are stand-ins, served by this process; `endpoints` says that they answer for their
//! hosts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use oci_copy::copy::{Engine, Outcome, Request};
use oci_copy::http::{Credentials, Http};
use oci_copy::store::Stores;
use replication::aws::{Aws, EcrProviders};
use replication::charts;
use replication::document::Kind;
use replication::inventory::Inventory;
use replication::plan::Plan;
use replication::progress::{self, Display, Progress, Screen};
use replication::publish;
use replication::settings::{DataFiles, Environment, Flags, Settings, TargetChoice};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let started = Instant::now();
    println!("replicator quickstart: three charts and their images into a private registry\n");
    let folder = fresh_folder()?;
    let shop = shop::open(&folder.join("data")).await?;

    // Environment and flags -> settings; data files -> inventory.
    let environment = Environment::default();
    let flags = Flags {
        out: Some(folder.clone()),
        ..Flags::default()
    };
    let flags = flags
        .with("eks_version", "1.34")
        .with("data_dir", folder.join("data").display().to_string())
        .with("registry_prefix", TARGET);
    let endpoints = shop.endpoints().into_iter();
    let flags = endpoints.fold(flags, |flags, endpoint| flags.with("endpoints", endpoint));
    let settings = Settings::new(&flags, &environment)?;
    let inventory = Inventory::read(&DataFiles::new(&flags, &environment)?)?;

    // The doors to the outside. AWS is asked only where the target is ECR.
    let aws = Aws::new(&settings)?;
    let http = Http::new(&settings.network, Credentials::default())?;
    let stores = Arc::new(Stores::new(
        Arc::new(http),
        EcrProviders(aws),
        &settings.network,
    ));

    // Inventory -> charts -> plan: every copy, and every value that makes a chart use the copies.
    let TargetChoice::Given(prefix) = &settings.target else {
        anyhow::bail!("a prefix was given");
    };
    let charts = charts::fetch(&inventory, &stores).await?;
    let plan = Plan::new(&inventory, &charts, prefix)?;
    publish::write_pairs(&plan, &settings.out)?;

    // Plan -> outcomes -> what others read.
    let copying = Instant::now();
    let progress = Progress::start(&Screen::new(Display::auto()));
    progress.copying(plan.copies.len());
    let engine = Engine::new(
        stores,
        &settings.copy,
        Arc::clone(&*progress) as Arc<dyn oci_copy::copy::Events>,
    );
    let requests: Vec<Request> = plan.copies.iter().map(Into::into).collect();
    let outcomes = engine.run(&requests, std::future::pending()).await;
    drop(progress);
    let report = publish::report(&plan.copies, &outcomes, copying, None);
    publish::write_report(&report, &settings.out)?;
    let result = publish::write_result(&plan, &outcomes, &BTreeSet::new(), &settings.out)?;

    if report.totals.failed > 0 {
        anyhow::bail!(
            "{} artifacts failed: see {}",
            report.totals.failed,
            folder.display()
        );
    }
    show(&plan, &outcomes);
    show_values(&charts, &result, "storefront")?;
    show_folder(&folder);
    println!(
        "\n✓ {} copied, {}, in {}\n",
        progress::count(report.totals.copied, "artifact"),
        progress::bytes(report.totals.bytes),
        progress::duration(started.elapsed())
    );
    println!("Next, the real charts of EKS 1.34: what would be copied, then copy it into a folder");
    println!("  replicator plan --eks-version 1.34 --registry-prefix oci:mirror");
    println!("  replicator deploy --eks-version 1.34 --registry-prefix oci:mirror");
    println!("(`cargo install --path . --locked` installs the program)");
    Ok(())
}

/// Where everything is copied to.
const TARGET: &str = "registry.internal/shop/";

/// `.target/quickstart` of this repository, emptied: ignored by git, and still there afterwards.
fn fresh_folder() -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".target/quickstart");
    // Shorter to read, and to type, where it is below the working directory.
    let here = std::env::current_dir()?;
    let folder = folder
        .strip_prefix(&here)
        .map_or(folder.clone(), Path::to_owned);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// What arrived: each artifact with its digest and its platforms.
fn show(plan: &Plan, outcomes: &[Outcome]) {
    let prefix = plan.prefix.to_string();
    println!("{:40}  {:19}  PLATFORMS", "ARTIFACT", "DIGEST");
    for (copy, outcome) in plan.copies.iter().zip(outcomes) {
        let name = copy.target_text.strip_prefix(&prefix);
        let digest = outcome.digest.as_ref().map(ToString::to_string);
        let digest: String = digest.unwrap_or_default().chars().take(19).collect();
        let platforms = match (copy.kind, outcome.platforms.join(", ")) {
            (Kind::Chart, _) => "a Helm chart".to_owned(),
            (Kind::Image, one) if one.is_empty() => "a single image".to_owned(),
            (Kind::Image, several) => several,
        };
        println!(
            "{:40}  {digest}  {platforms}",
            name.unwrap_or(&copy.target_text)
        );
    }
}

/// A chart's values before, and with the values that make it use the copies.
fn show_values(charts: &charts::Charts, result: &str, chart: &str) -> anyhow::Result<()> {
    let result: serde_json::Value = serde_json::from_str(result)?;
    let before = &charts.get(chart).context("the chart")?.chart.values;
    println!("\nThe values of `{chart}`, as its publisher has them:");
    println!("{before:#}");
    println!("\nand what is published for it, so that it uses the copies:");
    println!("{:#}", result["charts"][chart]["values"]);
    Ok(())
}

/// What was created.
fn show_folder(folder: &Path) {
    println!("\nCreated in {}:", folder.display());
    println!("  data/                    two data files: which charts, and where they name images");
    println!("  replication_result.json  the Helm values of all charts");
    println!("  updated_images.json      which image became which");
    println!("  replication_report.json  what was done with each artifact");
}

/// The made-up world: a shop's charts and images, and the data files that name them.
mod shop {
    use std::path::Path;

    use lab::chart::{Chart, ChartRepository};
    use lab::image::Image;
    use lab::registry::Registry;

    /// The sources. They answer as long as this lives.
    pub(super) struct Shop {
        registry: Registry,
        target: Registry,
        charts: ChartRepository,
    }

    impl Shop {
        /// `HOST=URL` for each host that the shop stands in for.
        pub(super) fn endpoints(&self) -> Vec<String> {
            vec![
                format!("registry.example={}", self.registry.url()),
                format!("charts.example={}", self.charts.url()),
                format!("registry.internal={}", self.target.url()),
            ]
        }
    }

    /// Starts the sources and writes the data files.
    pub(super) async fn open(data: &Path) -> anyhow::Result<Shop> {
        std::fs::create_dir_all(data)?;
        std::fs::write(data.join("default.yaml"), DEFAULT_YAML)?;
        std::fs::write(data.join("1.34.yaml"), VERSION_YAML)?;
        let registry = Registry::start().await?;
        push_images(&registry)?;
        let charts = ChartRepository::start(make_charts()).await?;
        let target = Registry::start().await?;
        Ok(Shop {
            registry,
            target,
            charts,
        })
    }

    fn push_images(registry: &Registry) -> std::io::Result<()> {
        // All are built on one base layer: it crosses the wire once.
        let base = Image::new().base(600_000, 1);
        let both = base.clone().platform("linux/amd64").platform("linux/arm64");
        let frontend = both.clone().layer(150_000, 2).attestations();
        frontend.push(registry, "shop/frontend", "2.4.0")?;
        let cart = both.clone().layer(90_000, 3);
        cart.push(registry, "shop/cart", "2.4.1")?;
        let cache = both.clone().layer(70_000, 4).docker();
        cache.push(registry, "infra/cache", "7.2")?;
        let exporter = both.layer(30_000, 5);
        exporter.push(registry, "infra/exporter", "0.16.0")?;
        let queue = base.layer(80_000, 6);
        queue.push(registry, "infra/queue", "3.9")?;
        Image::new()
            .layer(20_000, 7)
            .push(registry, "infra/pause", "3.10")?;
        Ok(())
    }

    fn make_charts() -> Vec<Chart> {
        let cache = Chart::new("cache", "1.1.0")
            .values("image: {repository: registry.example/infra/cache, tag: \"7.0\"}\n");
        let exporter = Chart::new("exporter", "0.3.0")
            .app_version("0.16.0")
            .values("image: {registry: registry.example, repository: infra/exporter, tag: \"\"}\n");
        // The parent's values win over a subchart's: the cache is really 7.2.
        let storefront = Chart::new("storefront", "5.0.2")
            .app_version("2.4.0")
            .values("image:\n  registry: registry.example\n  repository: shop/frontend\n  tag: \"\"\ncache: {image: {tag: \"7.2\"}}\n")
            .dependency("cache", "1.1.0", None)
            .dependency("exporter", "0.3.0", Some("metrics"))
            .subchart(cache)
            .subchart(exporter);
        let cart = Chart::new("cart", "1.8.0")
            .values("image: {repository: registry.example/shop/cart, tag: 2.4.0}\n");
        let queue =
            Chart::new("queue", "0.4.1+shop.1").values("image: registry.example/infra/queue:3.9\n");
        vec![storefront, cart, queue]
    }

    const DEFAULT_YAML: &str = "\
additional_images:
  pause: registry.example/infra/pause:3.10

charts:
  storefront:
    name: storefront
    repository: https://charts.example
    version: 5.0.2
    subcharts: [cache, {name: exporter, alias: metrics}]
    images:
      frontend:
        registry: {location: values, path: image.registry}
        repository: {location: values, path: image.repository}
        tag: {location: values, path: image.tag}
      cache:
        repository: {location: values, path: image.repository, subchart: cache}
        tag: {location: values, path: image.tag, subchart: cache}
      metrics:
        registry: {location: values, path: image.registry, subchart: metrics}
        repository: {location: values, path: image.repository, subchart: metrics}
        tag: {location: values, path: image.tag, subchart: metrics}
  cart:
    name: cart
    repository: https://charts.example
    version: 1.8.0
    images:
      cart:
        repository: {location: values, path: image.repository}
        tag: {location: values, path: image.tag}
  queue:
    name: queue
    repository: https://charts.example
    version: 0.4.1+shop.1
    images:
      queue:
        repository: {location: values, path: image}
";

    const VERSION_YAML: &str = "\
ami: {version: v20260101}

charts:
  cart:
    replication:
      cart: {tag: 2.4.1} # a fix that the chart does not have yet
";
}
