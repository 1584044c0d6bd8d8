//! `replicator copy`

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::deploy::copying::{CopyOptions, copy_all};
use crate::document::{Kind, Pair, parse_pairs};
use crate::plan::{self, CopySource};
use crate::problem::{Problem, Problems};
use crate::progress::Progress;
use crate::publish;
use crate::session::Session;
use crate::settings::{Settings, unused_hosts};
use oci_copy::reference::Location;

use super::flags::NetworkFlags;
use super::{Exit, Invocation};

/// Copy one reference, or the pairs of an `updated_images.json`
///
/// A reference is host[:port]/repository[:tag][@digest], or oci:DIR:NAME in an image layout folder. All
/// platforms are copied, with unchanged digests. A missing ECR repository is created.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  replicator copy busybox:1.36 localhost:5000/busybox:1.36
  replicator copy quay.io/prometheus/prometheus:v3.5.0 oci:mirror:prometheus:v3.5.0
  replicator copy --list updated_images.json")]
pub(super) struct Copy {
    /// The source reference
    #[arg(
        value_name = "SRC",
        required_unless_present = "list",
        requires = "target"
    )]
    source: Option<String>,
    /// The target reference
    #[arg(value_name = "DST")]
    target: Option<String>,
    /// A JSON file with the pairs to copy: [{"src": …, "target": …}, …]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source", "target"])]
    list: Option<PathBuf>,
    /// The folder for `replication_report.json` [default: no report]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkFlags,
}

impl Copy {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let settings = Settings::without_target(&self.network.flags(), with.environment);
        let pairs = self.pairs().map_err(Problems::from);
        let (settings, pairs) = Problems::both(settings, pairs)?;
        if let Some(out) = &self.out {
            publish::check_out(out)?;
        }
        let copies = copies(pairs)?;
        let hosts = copies.iter().flat_map(plan::Copy::hosts);
        for warning in unused_hosts(&settings.network, &hosts.map(str::to_owned).collect()) {
            tracing::warn!("{warning}");
        }
        let session = Session::open(settings, with.stop)?;
        let options = CopyOptions {
            report_to: self.out.as_deref(),
            ..CopyOptions::default()
        };
        let progress = Progress::start(with.screen);
        copy_all(&session, &progress, &copies, options).await?;
        Ok(Exit::Done)
    }

    fn pairs(&self) -> Result<Vec<Pair>, Problem> {
        match (&self.list, &self.source, &self.target) {
            (Some(list), _, _) => read_list(list).map_err(|error| {
                Problem::input(format!("--list {}", list.display()), format!("{error:#}"))
            }),
            (None, Some(src), Some(target)) => Ok(vec![Pair {
                src: src.clone(),
                target: target.clone(),
            }]),
            (None, _, _) => Err(Problem::input(
                "copy",
                "it needs SRC and DST, or --list FILE",
            )),
        }
    }
}

/// The largest list that is read, in bytes: 100,000 pairs have about 20 MB.
const LARGEST: u64 = 64 * 1024 * 1024;

fn read_list(path: &Path) -> anyhow::Result<Vec<Pair>> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text))
        .context("cannot read the file")?;
    ensure!(
        text.len() as u64 <= LARGEST,
        "it has more than {LARGEST} bytes"
    );
    parse_pairs(&text)
}

/// Each pair once; two sources for one target are a conflict.
fn copies(pairs: Vec<Pair>) -> Result<Vec<plan::Copy>, Problems> {
    let (all, mut problems) = (pairs.len(), Vec::new());
    let mut copies: Vec<plan::Copy> = Vec::with_capacity(all);
    let mut by_target: HashMap<Location, usize> = HashMap::with_capacity(all);
    for (index, Pair { src, target }) in pairs.into_iter().enumerate() {
        let place = if all > 1 {
            format!("pair {}", index + 1)
        } else {
            "copy".to_owned()
        };
        let mut locate = |text: &str| {
            text.parse::<Location>()
                .map_err(|error| problems.push(Problem::input(place.as_str(), error.to_string())))
                .ok()
        };
        let (Some(from), Some(to)) = (locate(&src), locate(&target)) else {
            continue;
        };
        match by_target.get(&to).map(|index| &copies[*index]) {
            None => {
                by_target.insert(to.clone(), copies.len());
                copies.push(plan::Copy {
                    kind: Kind::Image,
                    source: CopySource::At(from),
                    source_text: src,
                    target: to,
                    target_text: target,
                    used_by: Vec::new(),
                    expected: None,
                });
            }
            Some(other) if matches!(&other.source, CopySource::At(location) if *location == from) =>
                {}
            Some(other) => {
                let what = format!(
                    "two sources for one target {target}: {} and {src}",
                    other.source_text
                );
                problems.push(Problem::input(place, what));
            }
        }
    }
    Problems::check(problems)?;
    Ok(copies)
}
