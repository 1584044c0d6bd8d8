//! The corpus: real charts, and what the predecessor made of them.

use std::fs;
use std::path::{Path, PathBuf};

use lab::chart::ChartRepository;
use serde_json::Value;

use super::run::Run;

/// The corpus, served.
pub(crate) struct Corpus {
    dir: PathBuf,
    pub(crate) server: ChartRepository,
    hosts: Vec<String>,
}

impl Corpus {
    /// Serves it; `None` where it is not there, which `REPLICATION_CORPUS=required` does not accept.
    pub(crate) async fn serve() -> anyhow::Result<Option<Self>> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
        if !dir.is_dir() {
            assert!(!is_required(), "{} is missing", dir.display());
            println!("skipped: {} is missing", dir.display());
            return Ok(None);
        }
        let mut hosts = Vec::new();
        for entry in fs::read_dir(dir.join("repos"))? {
            hosts.push(entry?.file_name().to_string_lossy().into_owned());
        }
        let server = ChartRepository::folder(dir.join("repos")).await?;
        Ok(Some(Self { dir, server, hosts }))
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    pub(crate) fn json(&self, path: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&fs::read(self.path(path))?)?)
    }

    /// A plan for the account that the expected results are made for.
    pub(crate) fn plan(&self, version: &str) -> Run {
        let run = Run::new()
            .args(["plan", "--no-observe", "--eks-version", version])
            .args([
                "--registry-prefix",
                "123456789012.dkr.ecr.us-east-1.amazonaws.com/idf-",
            ])
            .out();
        self.hosts.iter().fold(run, |run, host| {
            run.endpoint(host, &format!("{}/{host}", self.server.url()))
        })
    }

    /// The same with the predecessor's data files.
    pub(crate) fn plan_of_predecessor(&self, version: &str) -> Run {
        let run = self.plan(version);
        run.arg("--data-dir").arg(self.path("idf-versions"))
    }

    /// The same with our own data files: the default.
    pub(crate) fn plan_of_ours(&self, version: &str) -> Run {
        self.plan(version).current_dir(env!("CARGO_MANIFEST_DIR"))
    }
}

/// Whether the corpus has to be there.
#[expect(
    clippy::disallowed_methods,
    reason = "what may be skipped is the test's own question, not the program's"
)]
fn is_required() -> bool {
    std::env::var("REPLICATION_CORPUS").as_deref() == Ok("required")
}

/// Says that a test cannot be made here. CI does not accept it.
#[expect(
    clippy::disallowed_methods,
    reason = "whether this is CI is the test's own question, not the program's"
)]
pub(crate) fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    println!("skipped: {why}");
}
