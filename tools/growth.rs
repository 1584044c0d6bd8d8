//! How the cost of a run grows with the number of artifacts: `docs/internals/growth.md` has the figures.
//!
//! ```text
//! growth [NUMBER …]
//! ```
//!
//! Copies small images between two registries of the lab, and into a folder, once and once more; plans data files
//! of up to 1,000 charts; and reads the index of a chart repository with up to 100,000 versions. Prints a table:
//! time, CPU time and peak memory of the replicator, as the system counts them, and requests per artifact.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lab::chart::{Chart, ChartRepository};
use lab::image::Image;
use lab::process::peak_memory;
use lab::registry::Registry;
use serde_json::json;

/// What is measured where nothing else is asked for.
const NUMBERS: [usize; 4] = [100, 1_000, 10_000, 50_000];

/// Charts of one repository, with an image each. With 1,000 the result is more than one environment variable can
/// hold, which the program has to say.
const CHARTS: [usize; 4] = [100, 200, 400, 1_000];

/// Charts of a folder, without images, with names and addresses as short as they can be: 1,000 just fit.
const SMALL_CHARTS: [usize; 3] = [100, 300, 1_000];

/// Versions in an index: 1, 5 and 20 MB.
const VERSIONS: [usize; 3] = [5_000, 25_000, 100_000];

/// Versions of a chart in an index of many charts.
const EACH: usize = 50;

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

/// Where the charts of a plan are.
#[derive(Debug, Clone, Copy)]
enum Charts {
    Repository,
    Folder,
}

/// What a run took, and what it ended with.
#[derive(Debug, Default)]
struct Cost {
    wall: Duration,
    cpu: f64,
    peak: u64,
    code: Option<i32>,
    /// The last lines of its log.
    log: String,
}

impl Cost {
    /// The cost of a run that has to succeed.
    fn of_success(self) -> anyhow::Result<Self> {
        ensure!(
            self.code == Some(0),
            "the run ended with {:?}:\n{}",
            self.code,
            self.log
        );
        Ok(self)
    }
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
    for (charts, numbers) in [
        (Charts::Repository, &CHARTS[..]),
        (Charts::Folder, &SMALL_CHARTS),
    ] {
        for number in numbers {
            plan(&program, charts, *number).await?;
        }
    }
    for each in [EACH, usize::MAX] {
        for number in VERSIONS {
            index(&program, number, each.min(number)).await?;
        }
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
        let cost = cost.of_success()?;
        let requests = source.wire().requests().len() + target.wire().requests().len();
        print(&format!("{name}{run}"), number, &cost, requests);
    }
    Ok(())
}

async fn plan(program: &Path, charts: Charts, number: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut repository = ChartRepository::builder();
    for index in 0..number {
        let name = short(index);
        let chart = match charts {
            Charts::Repository => {
                let image = format!("image: quay.io/team/{name}:1\n");
                let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: {{ .Values.image }}}]}\n";
                Chart::new(&name, "1.0.0")
                    .values(&image)
                    .file("templates/pod.yaml", pod)
            }
            Charts::Folder => Chart::new(&name, "1.0.0"),
        };
        if let Charts::Folder = charts {
            std::fs::create_dir_all(folder.path().join("c"))?;
            std::fs::write(
                folder.path().join("c").join(chart.file_name()),
                chart.archive(),
            )?;
        }
        repository = repository.chart(chart);
    }
    let repository = repository.start().await?;
    let (from, images) = match charts {
        Charts::Repository => (
            repository.url(),
            ", images: {app: {repository: {location: values, path: image}}}",
        ),
        Charts::Folder => ("./c".to_owned(), ""),
    };
    let mut data = "charts:\n".to_owned();
    for index in 0..number {
        let name = short(index);
        writeln!(
            data,
            "  {name}: {{name: {name}, repository: '{from}', version: 1.0.0{images}}}"
        )?;
    }
    let mut command = planned(program, folder.path(), &data)?;
    repository.wire().clear();
    let cost = measure(&mut command).await?;
    let requests = repository.wire().requests().len();
    let name = match charts {
        Charts::Repository => "plan of as many charts, an image each",
        Charts::Folder => "plan of as many charts of a folder",
    };
    print(name, number, &cost, requests);
    if cost.code != Some(0) {
        println!("\nIt ended with exit code {:?}:\n{}\n", cost.code, cost.log);
    }
    Ok(())
}

/// A name of three characters for each of 1,000 and more charts.
fn short(number: usize) -> String {
    let digits = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digit = |number: usize| char::from(digits[number % digits.len()]);
    let first = char::from(b'a' + u8::try_from(number / 1_296 % 26).unwrap_or_default());
    [first, digit(number / 36), digit(number)].iter().collect()
}

/// A plan of a data file in a folder, run in that folder.
fn planned(program: &Path, folder: &Path, data: &str) -> anyhow::Result<Command> {
    let files = folder.join("data");
    std::fs::create_dir_all(&files)?;
    std::fs::write(files.join("default.yaml"), data)?;
    std::fs::write(files.join("1.34.yaml"), "ami: {}\n")?;
    let mut command = Command::new(program);
    command
        .args(["plan", "--no-observe", "--eks-version", "1.34"])
        .args([
            "--registry-prefix",
            "t.co/",
            "--data-dir",
            "data",
            "--out",
            "out",
        ])
        .current_dir(folder);
    Ok(command)
}

/// Plans one chart of an index that has so many versions, so many of them of each chart.
async fn index(program: &Path, versions: usize, each: usize) -> anyhow::Result<()> {
    let chart = Chart::new("wanted", "1.0.0");
    let repository = ChartRepository::start(vec![chart.clone()]).await?;
    let mut text = "apiVersion: v1\nentries:\n".to_owned();
    for number in 0..versions {
        if number % each == 0 {
            match number {
                0 => text.push_str("  wanted:\n"),
                _ => writeln!(text, "  chart-{}:", number / each)?,
            }
        }
        let (version, digest) = (number % each, chart.digest());
        write!(
            text,
            "  - apiVersion: v2\n    created: \"2025-01-01T00:00:00Z\"\n    digest: {digest}\n    name: wanted\n    \
             urls:\n    - wanted-1.0.{version}.tgz\n    version: 1.0.{version}\n"
        )?;
    }
    let bytes = text.len();
    repository.set_index(text);
    let folder = tempfile::tempdir()?;
    let data = format!(
        "charts:\n  a: {{name: wanted, repository: '{}', version: 1.0.0}}\n",
        repository.url()
    );
    let mut command = planned(program, folder.path(), &data)?;
    repository.wire().clear();
    let cost = measure(&mut command).await?.of_success()?;
    let name = if each == versions {
        "one chart"
    } else {
        "many charts"
    };
    let name = format!("index of {} MB, {name}", bytes / 1_000_000);
    print(&name, versions, &cost, repository.wire().requests().len());
    Ok(())
}

/// Runs a command to its end, and reads what it has used until shortly before.
async fn measure(command: &mut Command) -> anyhow::Result<Cost> {
    let log = tempfile::NamedTempFile::new()?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.reopen()?)
        .spawn()?;
    let mut cost = Cost::default();
    loop {
        let (cpu, peak) = used(child.id());
        cost.cpu = cost.cpu.max(cpu);
        cost.peak = cost.peak.max(peak);
        if let Some(status) = child.try_wait()? {
            cost.wall = started.elapsed();
            cost.code = status.code();
            let text = std::fs::read_to_string(log.path())?;
            let from = text.lines().count().saturating_sub(10);
            cost.log = text.lines().skip(from).collect::<Vec<_>>().join("\n");
            return Ok(cost);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// CPU time in seconds and peak memory in bytes of a process so far.
fn used(process: u32) -> (f64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may have blanks: state, …, utime (12th), stime (13th).
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .filter_map(|text| text.parse::<f64>().ok())
        .sum();
    (ticks / TICKS, peak_memory(process))
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
