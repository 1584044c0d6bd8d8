//! Starting workers: builds of the coordinator's project, one after the other, and what each of them runs.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::aws::{CodeBuild, Error, Machine};
use oci_copy::reference::Digest;

use super::run_store::{Program, RunStore, WorkerFile};

/// A build that was started, by its number, or why it and all after it were not.
pub(super) type Started = Result<(usize, String), (usize, Error)>;

/// What starting builds needs.
pub(super) struct Starts {
    pub(super) codebuild: Arc<CodeBuild>,
    pub(super) machine: Machine,
    pub(super) started: mpsc::UnboundedSender<Started>,
    pub(super) is_closing: CancellationToken,
}

impl Starts {
    /// Starts builds, one after the other, until one cannot be started.
    pub(super) async fn run(self, specs: Vec<(usize, String, String)>) {
        for (number, token, spec) in specs {
            if self.is_closing.is_cancelled() {
                return;
            }
            let answer = self.codebuild.start(&self.machine, &spec, &token).await;
            let is_last = answer.is_err();
            let answer = answer.map(|id| (number, id));
            let answer = answer.map_err(|error| (number, error));
            if self.started.send(answer).is_err() || is_last {
                return;
            }
        }
    }
}

/// What a worker runs: the program of this run, and nothing else. JSON is YAML too.
pub(super) fn buildspec(
    store: &RunStore,
    program: &Program,
    certificates: Option<&WorkerFile>,
    arguments: &[String],
    number: usize,
) -> String {
    let packed = store.show_program();
    let mut install = vec![
        fetch(&packed, "replicator.gz"),
        "gunzip replicator.gz".to_owned(),
        check(&program.digest, "replicator"),
        "chmod +x replicator".to_owned(),
    ];
    if let Some(WorkerFile {
        name,
        place,
        digest,
    }) = certificates
    {
        install.extend([fetch(place, name), check(digest, name)]);
    }
    let arguments: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
    json!({
        "version": 0.2,
        "phases": {
            "install": {"commands": install},
            "build": {"commands": [
                format!("./replicator {} --build {number}", arguments.join(" ")),
            ]},
        },
    })
    .to_string()
}

fn fetch(place: &str, name: &str) -> String {
    format!("aws s3 cp --only-show-errors {} {name}", quoted(place))
}

fn check(digest: &Digest, name: &str) -> String {
    format!(
        "echo '{}  {name}' | sha256sum --check --quiet",
        digest.hex()
    )
}

/// For a shell, whatever it holds.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_breaks_out_of_the_shell_line() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("a'; rm -rf /; '"), r"'a'\''; rm -rf /; '\'''");
    }
}
