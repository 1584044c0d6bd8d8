//! `replicator report`

use std::path::{Path, PathBuf};

use crate::document::{REPORT_FILE, Report};
use crate::files;
use crate::problem::{Problem, Problems};
use crate::{publish, report_page};

use super::{Exit, Invocation, print};

/// Make a page to look at from a report
///
/// Writes one HTML file without scripts and without anything from elsewhere, light and dark, ready to print: summary,
/// failures, warnings, drift, charts with their images and closure, a timeline of the transfers by host, and the bytes
/// by registry. `deploy` writes the same page beside the report.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  replicator report
  replicator report out/replication_report.json --output report.html
  replicator report - < replication_report.json > report.html")]
pub(super) struct MakeReport {
    /// The report, its folder, or `-` for standard input
    #[arg(value_name = "FILE", default_value = REPORT_FILE)]
    file: PathBuf,
    /// The page to write, or `-` for standard output [default: FILE with the ending .html]
    #[arg(short, long, value_name = "PAGE")]
    output: Option<PathBuf>,
}

impl MakeReport {
    pub(super) async fn run(&self, _: &Invocation<'_>) -> anyhow::Result<Exit> {
        let is_piped = self.file == Path::new("-");
        let file = if self.file.is_dir() {
            self.file.join(REPORT_FILE)
        } else {
            self.file.clone()
        };
        let path = if is_piped {
            Path::new("/dev/stdin")
        } else {
            &file
        };
        let shown = path.display().to_string();
        let bad = |what: String| {
            let problem = Problem::input(shown.as_str(), what);
            Problems::from(problem.remedy("give the replication_report.json of a deployment"))
        };
        let text = files::read(path).map_err(bad)?;
        let report: Report = serde_json::from_slice(&text)
            .map_err(|error| bad(format!("it is not a report: {error}")))?;
        let page = report_page::html(&report);
        let beside = file.with_extension("html");
        let output = match &self.output {
            Some(output) => output,
            None if is_piped => Path::new("-"),
            None => &beside,
        };
        if output == Path::new("-") {
            print(page).await?;
            return Ok(Exit::Done);
        }
        files::check_file(output, Some("--output"))?;
        publish::write_file(output, &page)?;
        print(format!("{}\n", output.display())).await?;
        Ok(Exit::Done)
    }
}
