//! `replicator copy`

use std::path::PathBuf;

use crate::deploy::{self, Pairs};
use crate::document::Pair;
use crate::problem::{Problem, Problems};
use crate::progress::Progress;
use crate::settings::Flags;

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
        let pairs = self.pairs()?;
        let flags = Flags {
            out: self.out.clone(),
            ..self.network.flags()
        };
        let progress = Progress::start(with.screen);
        let input = (&flags, with.environment);
        Box::pin(deploy::copy(&pairs, input, &progress, with.stop)).await?;
        Ok(Exit::Done)
    }

    fn pairs(&self) -> Result<Pairs, Problems> {
        match (&self.list, &self.source, &self.target) {
            (Some(list), _, _) => Ok(Pairs::File(list.clone())),
            (None, Some(src), Some(target)) => Ok(Pairs::One(Pair {
                src: src.clone(),
                target: target.clone(),
            })),
            (None, _, _) => {
                Err(Problem::input("copy", "it needs SRC and DST, or --list FILE").into())
            }
        }
    }
}
