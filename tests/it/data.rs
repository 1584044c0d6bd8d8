//! Data files made for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::run::Run;

/// A folder with `default.yaml` and `1.34.yaml`.
pub(crate) struct Data(Arc<TempDir>);

impl Data {
    pub(crate) fn new(default: &str, version: &str) -> Self {
        let data = Self(Arc::new(tempfile::tempdir().expect("a temporary folder")));
        data.file("default.yaml", default)
            .file("1.34.yaml", version)
    }

    /// Nothing but images, each under the key `image<n>`.
    pub(crate) fn images(images: &[&str]) -> Self {
        let images = images.iter().enumerate();
        let lines: Vec<String> = images
            .map(|(number, image)| format!("  image{number}: \"{image}\"\n"))
            .collect();
        let lines = lines.concat();
        Self::new(
            &format!("additional_images:\n{lines}"),
            "ami: {version: 1.34.0}\n",
        )
    }

    /// One chart under the key `app` with what the data file says of it besides name, repository and
    /// version 1.0.0.
    pub(crate) fn chart(repository: &str, more: &str) -> Self {
        Self::new(&chart_entry("app", repository, more), "ami: {}\n")
    }

    /// One more file, or another text for one.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.0.path().join(name), text).expect("a file in it");
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file_path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A command on these files, for EKS 1.34, with an output folder.
    pub(crate) fn run(&self, command: &str) -> Run {
        self.run_version(command, "1.34")
    }

    pub(crate) fn run_version(&self, command: &str, version: &str) -> Run {
        let run = Run::new().args([command, "--eks-version", version]);
        self.given_to(run).out()
    }

    /// The run with `--data-dir`.
    pub(crate) fn given_to(&self, run: Run) -> Run {
        run.arg("--data-dir").arg(self.path()).needs(&self.0)
    }

    /// Plans for a registry that receives no request.
    pub(crate) fn plan(&self) -> Run {
        let run = self.run("plan");
        run.args(["--no-observe", "--registry-prefix", "target.corp/idf-"])
    }

    /// Deploys to a plain registry, below `mirror/`.
    pub(crate) fn deploy(&self, target: &lab::registry::Registry) -> Run {
        let prefix = format!("{}/mirror/", target.host());
        self.run("deploy").arg("--registry-prefix").arg(prefix)
    }
}

/// A plan of the data files of a folder that does not exist.
pub(crate) fn plan_of_no_folder() -> Run {
    let run = Run::new().args([
        "plan",
        "--eks-version",
        "1.34",
        "--registry-prefix",
        "oci:mirror",
    ]);
    run.args(["--data-dir", "/no/such/folder"])
}

/// `charts` with one entry, at version 1.0.0; `more` is indented by its author, to six blanks.
pub(crate) fn chart_entry(name: &str, repository: &str, more: &str) -> String {
    format!(
        "charts:\n  {name}:\n    name: {name}\n    repository: {repository}\n    version: 1.0.0\n{more}"
    )
}
