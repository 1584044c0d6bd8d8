//! Copies pairs of references, without data files and charts.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use tokio_util::sync::CancellationToken;

use crate::document::{Kind, Pair, parse_pairs};
use crate::plan::{self, CopySource};
use crate::problem::{Problem, Problems};
use crate::progress::Progress;
use crate::publish;
use crate::session::Session;
use crate::settings::{Environment, Flags, Settings, unused_hosts};
use oci_copy::reference::Location;

use super::copying::{CopyOptions, copy_all};

/// What [`copy`] copies.
#[derive(Debug, Clone)]
pub enum Pairs {
    /// One pair.
    One(Pair),
    /// The pairs of a file, such as the `updated_images.json` of a deployment.
    File(PathBuf),
}

/// Copies pairs of references: the whole of `replicator copy`. With `out` in the flags, a report is written there.
///
/// If `stop` is cancelled, copies end as stopped.
///
/// # Errors
/// Bad input, for which nothing was started ([`crate::problem::is_input`]); otherwise how many failed. Failed artifacts
/// have been logged.
pub async fn copy(
    pairs: &Pairs,
    (flags, environment): (&Flags, &Environment),
    progress: &Arc<Progress>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let settings = Settings::without_target(flags, environment);
    let pairs = pairs.read().map_err(Problems::from);
    let (settings, pairs) = Problems::both(settings, pairs)?;
    if let Some(out) = &flags.out {
        publish::check_writable_out(out)?;
    }
    let copies = copies(pairs)?;
    let hosts = copies.iter().flat_map(plan::Copy::hosts);
    let hosts = hosts.map(str::to_owned).collect();
    for warning in unused_hosts(&settings.network, &settings.shared_hosts, &hosts) {
        tracing::warn!("{warning}");
    }
    let session = Session::open(settings, stop)?;
    let options = CopyOptions {
        report_to: flags.out.as_deref(),
        ..CopyOptions::default()
    };
    copy_all(&session, progress, &copies, options).await?;
    Ok(())
}

impl Pairs {
    fn read(&self) -> Result<Vec<Pair>, Problem> {
        match self {
            Self::One(pair) => Ok(vec![pair.clone()]),
            Self::File(list) => read_list(list).map_err(|error| {
                Problem::input(format!("--list {}", list.display()), format!("{error:#}"))
            }),
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
