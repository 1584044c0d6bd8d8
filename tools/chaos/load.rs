//! Many artifacts in one deployment against a registry that throttles as ECR's quotas do: does it finish,
//! in how much memory, how near to the quotas, and how often is it refused?

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lab::aws::Aws;
use lab::chart::{Chart, ChartRepository};
use lab::image::Image;
use lab::registry::{EcrBehaviour, Registry};
use lab::wire::Request;

use crate::child::{Child, Ended};
use crate::draw::End;
use crate::tally::kib;

/// MiB that the process may have.
const MEMORY: f64 = 150.0;
/// Percent of the requests that may be refused.
const REFUSED: f64 = 1.0;

#[derive(clap::Args)]
pub(crate) struct Load {
    /// Artifacts: images with an own layer and a shared one, and the charts that name them
    #[arg(long, default_value_t = 2000)]
    artifacts: usize,
    /// How many times ECR's default quotas are granted
    #[arg(long, default_value_t = 1)]
    scale: u32,
    /// Repositories at the target
    #[arg(long, default_value_t = 100)]
    repositories: usize,
    /// Minutes until it is given up
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Further arguments for the program
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Images of one chart.
const IMAGES: usize = 500;

/// One of ECR's actions with its quota: which requests count against it.
struct Quota {
    action: &'static str,
    per_second: u32,
    counts: fn(&Request) -> bool,
}

fn quotas(scale: u32) -> [Quota; 3] {
    [
        Quota {
            action: "PutImage",
            per_second: 10 * scale,
            counts: |request| request.method == "PUT" && request.path.contains("/manifests/"),
        },
        Quota {
            action: "InitiateLayerUpload",
            per_second: 100 * scale,
            counts: |request| request.method == "POST" && request.path.contains("/blobs/uploads"),
        },
        Quota {
            action: "CompleteLayerUpload",
            per_second: 100 * scale,
            counts: |request| request.method == "PUT" && request.path.contains("/blobs/uploads"),
        },
    ]
}

fn chart_name(number: usize) -> String {
    format!("load{number}")
}

impl Load {
    pub(crate) async fn run(&self, binary: &Path) -> anyhow::Result<ExitCode> {
        let granted = EcrBehaviour::default().with_quotas();
        let granted = EcrBehaviour {
            put_image_rate: granted.put_image_rate * self.scale,
            initiate_rate: granted.initiate_rate * self.scale,
            complete_rate: granted.complete_rate * self.scale,
            blob_mounting: true,
            ..granted
        };
        let aws = Aws::builder().ecr(granted).start().await?;
        let source = Registry::start().await?;
        let charts = (0..self.charts()).map(|number| Chart::new(&chart_name(number), "1.0.0"));
        let charts = ChartRepository::start(charts.collect()).await?;
        let folder = tempfile::Builder::new().prefix("load-").tempdir()?;
        self.write_inputs(folder.path(), &source, &charts)?;
        println!(
            "load: {} artifacts in {} repositories, quotas x {}",
            self.artifacts, self.repositories, self.scale
        );
        let data = folder.path().join("data").display().to_string();
        let out = folder.path().join("out").display().to_string();
        let arguments = [
            "deploy",
            "--eks-version",
            "1.34",
            "--data-dir",
            &data,
            "--out",
            &out,
        ];
        let arguments = arguments.map(str::to_owned).into_iter();
        let module = [
            ("SEEDFARMER_PROJECT_NAME", "idf"),
            ("SEEDFARMER_DEPLOYMENT_NAME", "dev"),
            ("SEEDFARMER_MODULE_NAME", "replication-images"),
        ];
        let mut variables = aws.env();
        let quotas = quotas(self.scale);
        let quotas = quotas.map(|quota| format!("{}={}", quota.action, quota.per_second));
        variables.push(("SEEDFARMER_PARAMETER_QUOTAS".to_owned(), quotas.join(",")));
        variables.extend(module.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let child = Child {
            binary,
            folder: folder.path(),
            arguments: arguments.chain(self.arguments.iter().cloned()).collect(),
            variables,
            limit: Duration::from_secs(60 * self.minutes),
        };
        let ended = child.run(End::ByItself).await?;
        Ok(self.show(&ended, &aws, &source))
    }

    fn charts(&self) -> usize {
        self.artifacts.div_ceil(IMAGES)
    }

    /// Charts whose images have fixed names: they take no room in the result document.
    fn write_inputs(
        &self,
        folder: &Path,
        source: &Registry,
        charts: &ChartRepository,
    ) -> anyhow::Result<()> {
        for name in ["home", "work", "out", "data"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        let mut data = "charts:\n".to_owned();
        for number in 0..self.artifacts.saturating_sub(self.charts()) {
            if number % IMAGES == 0 {
                let name = chart_name(number / IMAGES);
                writeln!(
                    data,
                    "  {name}:\n    name: {name}\n    repository: {}\n    version: 1.0.0\n    images:",
                    charts.url()
                )?;
            }
            let repository = format!("load/app{}", number % self.repositories);
            let image = Image::new()
                .base(20_000, 1)
                .layer(5_000, 1_000 + number as u64);
            image.push(source, &repository, &format!("v{number}"))?;
            writeln!(
                data,
                "      image{number}: {{repository: {{name: {}/{repository}}}, tag: {{name: v{number}}}}}",
                source.host()
            )?;
        }
        std::fs::write(folder.join("data/default.yaml"), data)?;
        std::fs::write(folder.join("data/1.34.yaml"), "ami: {version: 1.34.0}\n")?;
        Ok(())
    }

    fn show(&self, ended: &Ended, aws: &Aws, source: &Registry) -> ExitCode {
        let requests = aws.registry().wire().requests();
        let refused = requests
            .iter()
            .filter(|request| request.status == 429)
            .count();
        let share = percent(refused, requests.len());
        let memory = kib(ended.most_memory);
        println!("{:>10?}  exit code", ended.code.unwrap_or(-1));
        println!("{:>10.1}  seconds", ended.took.as_secs_f64());
        println!("{memory:>10.1}  MiB at most (wanted: under {MEMORY})");
        println!("{:>10}  sockets at most", ended.most_sockets);
        println!(
            "{:>10}  requests to the target, {} to the source",
            requests.len(),
            source.wire().requests().len()
        );
        println!("{refused:>10}  refused, {share:.2} % (wanted: under {REFUSED} %)");
        println!(
            "\n{:<20} {:>8} {:>8} {:>8} {:>10} {:>10} {:>8}",
            "ACTION", "QUOTA/s", "MEAN/s", "MOST/s", "MOST/10 s", "REQUESTS", "REFUSED"
        );
        let mut above = Vec::new();
        for quota in quotas(self.scale) {
            let times: Vec<&Request> = requests
                .iter()
                .filter(|request| (quota.counts)(request))
                .collect();
            let rates = Rates::of(&times);
            println!(
                "{:<20} {:>8} {:>8.1} {:>8} {:>10.1} {:>10} {:>8}",
                quota.action,
                quota.per_second,
                rates.mean,
                rates.most,
                rates.most_of_ten,
                times.len(),
                rates.refused
            );
            // A burst holds one second's worth, so ten seconds may see a tenth more.
            if rates.most_of_ten > f64::from(quota.per_second) * 1.15 {
                above.push(quota.action);
            }
        }
        let mut others: BTreeMap<String, usize> = BTreeMap::new();
        for call in aws.calls() {
            *others
                .entry(format!("{}:{}", call.service, call.action))
                .or_default() += 1;
        }
        for request in &requests {
            if !request.action.is_empty() {
                *others.entry(request.action.clone()).or_default() += 1;
            }
        }
        println!("\nall that was understood: {others:?}");
        let wrong = aws.registry().check_integrity();
        let there: usize = aws
            .registry()
            .repositories()
            .iter()
            .map(|name| aws.registry().tags(name).len())
            .sum();
        println!(
            "{there:>10}  tags at the target, {} faults of integrity",
            wrong.len()
        );
        if ended.code != Some(0) {
            let last: Vec<&str> = ended.stderr.lines().rev().take(15).collect();
            last.iter().rev().for_each(|line| println!("    | {line}"));
        }
        let is_fine = ended.code == Some(0)
            && memory < MEMORY
            && share < REFUSED
            && above.is_empty()
            && wrong.is_empty()
            && there == self.artifacts;
        if !above.is_empty() {
            println!(
                "above its quota for ten seconds and more: {}",
                above.join(", ")
            );
        }
        println!(
            "{}",
            if is_fine {
                "as wanted"
            } else {
                "not as wanted"
            }
        );
        if is_fine {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// How often requests came.
struct Rates {
    mean: f64,
    /// In one second at most.
    most: usize,
    /// In a second at most, over ten of them.
    most_of_ten: f64,
    refused: usize,
}

impl Rates {
    fn of(requests: &[&Request]) -> Self {
        let mut times: Vec<Instant> = requests.iter().map(|request| request.started).collect();
        times.sort_unstable();
        let span = match (times.first(), times.last()) {
            (Some(first), Some(last)) => last.duration_since(*first).as_secs_f64().max(1.0),
            _ => 1.0,
        };
        let refused = requests.iter().filter(|request| request.status == 429);
        Self {
            mean: ratio(times.len(), span),
            most: within(&times, Duration::from_secs(1)),
            most_of_ten: ratio(within(&times, Duration::from_secs(10)), 10.0),
            refused: refused.count(),
        }
    }
}

/// The most of sorted moments that lie within a time.
fn within(times: &[Instant], window: Duration) -> usize {
    let (mut start, mut most) = (0, 0);
    for (end, time) in times.iter().enumerate() {
        while time.duration_since(times[start]) >= window {
            start += 1;
        }
        most = most.max(end - start + 1);
    }
    most
}

#[expect(clippy::cast_precision_loss, reason = "some thousands of requests")]
fn ratio(count: usize, of: f64) -> f64 {
    count as f64 / of
}

fn percent(part: usize, all: usize) -> f64 {
    100.0 * ratio(part, ratio(all.max(1), 1.0))
}
