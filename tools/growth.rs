//! How the cost of a run grows with the number of artifacts: `docs/internals/growth.md` has the figures.
//!
//! ```text
//! growth [NUMBER …]
//! ```
//!
//! Copies small images between two registries of the lab, and into a folder, once and once more, and plans as
//! many charts of one repository. Prints a table: time, CPU time and peak memory of the replicator, as the
//! system counts them, and requests per artifact.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lab::chart::{Chart, ChartRepository};
use lab::image::Image;
use lab::registry::Registry;
use serde_json::json;

/// What is measured where nothing else is asked for.
const NUMBERS: [usize; 4] = [100, 1_000, 10_000, 50_000];

/// The most charts: each is rendered.
const MOST_CHARTS: usize = 1_000;

/// Ticks of CPU time in `/proc/PID/stat`, per second.
const TICKS: f64 = 100.0;

/// What is copied.
#[derive(Debug, Clone, Copy)]
enum Scenario {
    /// One image to as many repositories.
    Repositories,
    /// As many images.
    Images,
    /// One image to as many names of a folder.
    Folder,
}

/// What a run took.
#[derive(Debug, Default)]
struct Cost {
    wall: Duration,
    cpu: f64,
    peak: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let numbers: Result<Vec<usize>, _> =
        std::env::args().skip(1).map(|text| text.parse()).collect();
    let mut numbers = numbers.context("growth [NUMBER …]")?;
    if numbers.is_empty() {
        numbers = NUMBERS.to_vec();
    }
    let program = program()?;
    println!(
        "| {:34} | {:>9} | {:>8} | {:>8} | {:>11} | {:>8} | {:>12} | {:>8} |",
        "scenario", "artifacts", "wall", "CPU", "ms/artifact", "peak", "KiB/artifact", "requests"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for scenario in [Scenario::Repositories, Scenario::Images, Scenario::Folder] {
        for number in &numbers {
            copy(&program, scenario, *number).await?;
        }
    }
    for number in numbers.iter().filter(|number| **number <= MOST_CHARTS) {
        plan(&program, *number).await?;
    }
    Ok(())
}

/// The replicator beside this program.
fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let program = own.with_file_name("replicator");
    ensure!(program.is_file(), "there is no {}", program.display());
    Ok(program)
}

async fn copy(program: &Path, scenario: Scenario, number: usize) -> anyhow::Result<()> {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let folder = tempfile::tempdir()?;
    let distinct = if matches!(scenario, Scenario::Images) {
        number
    } else {
        1
    };
    for image in 0..distinct {
        Image::new()
            .layer(1_000, image as u64)
            .push(&source, &format!("team/app{image}"), "1")?;
    }
    let dir = folder.path().join("mirror");
    let pairs: Vec<_> = (0..number)
        .map(|index| {
            let target = match scenario {
                Scenario::Folder => format!("oci:{}:app{index}", dir.display()),
                _ => format!("{}/mirror/app{index}:1", target.host()),
            };
            let src = format!("{}/team/app{}:1", source.host(), index % distinct);
            json!({"src": src, "target": target})
        })
        .collect();
    let list = folder.path().join("pairs.json");
    std::fs::write(&list, serde_json::to_vec(&pairs)?)?;
    let name = match scenario {
        Scenario::Repositories => "one image, as many repositories",
        Scenario::Images => "as many images",
        Scenario::Folder => "one image, as many names of a folder",
    };
    for run in ["", ", again"] {
        source.wire().clear();
        target.wire().clear();
        let cost = measure(Command::new(program).arg("copy").arg("--list").arg(&list)).await?;
        let requests = source.wire().requests().len() + target.wire().requests().len();
        print(&format!("{name}{run}"), number, &cost, requests);
    }
    Ok(())
}

async fn plan(program: &Path, number: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut repository = ChartRepository::builder();
    for index in 0..number {
        let image = format!("image: quay.io/team/app{index}:1\n");
        let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: {{ .Values.image }}}]}\n";
        let chart = Chart::new(&format!("app{index}"), "1.0.0");
        repository = repository.chart(chart.values(&image).file("templates/pod.yaml", pod));
    }
    let repository = repository.start().await?;
    let mut data = "charts:\n".to_owned();
    for index in 0..number {
        write!(
            data,
            "  app{index}:\n    name: app{index}\n    repository: {}\n    version: 1.0.0\n    images: {{app: {{repository: \
             {{location: values, path: image}}}}}}\n",
            repository.url()
        )?;
    }
    std::fs::write(folder.path().join("default.yaml"), data)?;
    std::fs::write(folder.path().join("1.34.yaml"), "ami: {}\n")?;
    let mut command = Command::new(program);
    command
        .args([
            "plan",
            "--no-observe",
            "--eks-version",
            "1.34",
            "--registry-prefix",
            "target.corp/idf-",
        ])
        .arg("--data-dir")
        .arg(folder.path())
        .arg("--out")
        .arg(folder.path().join("out"));
    repository.wire().clear();
    let cost = measure(&mut command).await?;
    let requests = repository.wire().requests().len();
    print("plan of as many charts", number, &cost, requests);
    Ok(())
}

/// Runs a command to its end, and reads what it has used until shortly before.
async fn measure(command: &mut Command) -> anyhow::Result<Cost> {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut cost = Cost::default();
    loop {
        let (cpu, peak) = used(child.id());
        cost.cpu = cost.cpu.max(cpu);
        cost.peak = cost.peak.max(peak);
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{command:?} ended with {status}");
            cost.wall = started.elapsed();
            return Ok(cost);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// CPU time in seconds and peak memory in bytes of a process so far.
fn used(process: u32) -> (f64, u64) {
    let read =
        |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_default();
    let stat = read("stat");
    // Behind the name, which may have blanks: state, …, utime (12th), stime (13th).
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .filter_map(|text| text.parse::<f64>().ok())
        .sum();
    let status = read("status");
    let peak = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?
            .trim()
            .strip_suffix(" kB")?
            .parse::<u64>()
            .ok()
    });
    (ticks / TICKS, peak.unwrap_or_default() << 10)
}

#[expect(clippy::cast_precision_loss, reason = "figures with three digits")]
fn print(name: &str, number: usize, cost: &Cost, requests: usize) {
    let each = number as f64;
    println!(
        "| {name:34} | {number:>9} | {:>6.2} s | {:>6.2} s | {:>11.2} | {:>4} MiB | {:>12.1} | {:>8.2} |",
        cost.wall.as_secs_f64(),
        cost.cpu,
        cost.cpu * 1e3 / each,
        cost.peak >> 20,
        cost.peak as f64 / 1024.0 / each,
        requests as f64 / each
    );
}
