//! Runs of the binary, each with its own environment and folders, and a time limit.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::process::peak_memory;
use serde_json::Value;
use tempfile::TempDir;

/// The longest that a run may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A run to be made. It sees no variable of the test's own environment, works in an empty folder and
/// has an empty home.
pub(crate) struct Run {
    command: Command,
    dir: TempDir,
    needed: Option<Arc<TempDir>>,
    limit: Duration,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
}

/// A run under way. It is killed when it takes too long or is dropped.
pub(crate) struct Running {
    child: Child,
    dir: TempDir,
    started: Instant,
    limit: Duration,
    _needed: Option<Arc<TempDir>>,
}

/// A run that ended by itself.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Peak memory in bytes; 0 where the system does not say.
    pub(crate) peak: u64,
    pub(crate) took: Duration,
    dir: TempDir,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self::of(Path::new(env!("CARGO_BIN_EXE_replicator")))
    }

    /// A run of a copy of the program.
    pub(crate) fn of(program: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for folder in ["home", "work"] {
            fs::create_dir(dir.path().join(folder)).expect("a folder in it");
        }
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", dir.path().join("home"))
            .current_dir(dir.path().join("work"))
            .stdin(Stdio::null());
        Self {
            command,
            dir,
            needed: None,
            limit: LIMIT,
            stdout: None,
            stderr: None,
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sends requests for `host` to `url`.
    pub(crate) fn endpoint(self, host: &str, url: &str) -> Self {
        self.arg("--endpoint").arg(format!("{host}={url}"))
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn envs(mut self, vars: impl IntoIterator<Item = (String, String)>) -> Self {
        self.command.envs(vars);
        self
    }

    pub(crate) fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Writes `~/.docker/config.json` with credentials for a host.
    pub(crate) fn login(self, host: &str, username: &str, password: &str) -> Self {
        let dir = self.dir.path().join("home/.docker");
        fs::create_dir_all(&dir).expect("a folder in the home");
        fs::write(
            dir.join("config.json"),
            docker_config(host, username, password),
        )
        .expect("a file in the home");
        self
    }

    /// The file or folder of this name in the run's output folder.
    pub(crate) fn out(self) -> Self {
        let out = self.dir.path().join("out");
        self.arg("--out").arg(out)
    }

    /// Keeps a folder until the run has ended.
    pub(crate) fn needs(mut self, folder: &Arc<TempDir>) -> Self {
        self.needed = Some(Arc::clone(folder));
        self
    }

    /// Writes standard output there.
    pub(crate) fn stdout(mut self, stdout: Stdio) -> Self {
        self.stdout = Some(stdout);
        self
    }

    /// Writes standard error there.
    pub(crate) fn stderr(mut self, stderr: Stdio) -> Self {
        self.stderr = Some(stderr);
        self
    }

    /// Reads standard input from there.
    pub(crate) fn stdin(mut self, stdin: Stdio) -> Self {
        self.command.stdin(stdin);
        self
    }

    pub(crate) fn start(mut self) -> Running {
        let file = |name: &str| File::create(self.dir.path().join(name)).expect("a file");
        let (stdout, stderr) = (file("stdout").into(), file("stderr").into());
        self.command.stdout(self.stdout.unwrap_or(stdout));
        self.command.stderr(self.stderr.unwrap_or(stderr));
        Running {
            child: self.command.spawn().expect("the binary starts"),
            dir: self.dir,
            started: Instant::now(),
            limit: self.limit,
            _needed: self.needed,
        }
    }

    pub(crate) async fn run(self) -> Finished {
        self.start().finish().await
    }
}

/// Docker's configuration file with credentials for one host.
pub(crate) fn docker_config(host: &str, username: &str, password: &str) -> String {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    serde_json::json!({"auths": {host: {"auth": auth}}}).to_string()
}

impl Running {
    /// Asks the process to stop, as CodeBuild does.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()));
    }

    /// Whether a text is in the output so far, on either stream.
    pub(crate) fn said(&self, text: &str) -> bool {
        ["stdout", "stderr"]
            .iter()
            .any(|name| self.text(name).contains(text))
    }

    /// Waits for something to happen while it runs.
    pub(crate) async fn until(&self, what: &str, happened: impl Fn() -> bool) {
        while !happened() {
            let text = || self.text("stderr");
            assert!(
                self.started.elapsed() < LIMIT,
                "not in time: {what}\n{}",
                text()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn finish(mut self) -> Finished {
        let mut peak = 0;
        let code = loop {
            peak = peak.max(peak_memory(self.child.id()));
            if let Some(status) = self.child.try_wait().expect("our own child") {
                break status.code();
            }
            assert!(
                self.started.elapsed() < self.limit,
                "the run has not ended after {:?}; standard error so far:\n{}",
                self.limit,
                self.text("stderr")
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        Finished {
            code,
            stdout: self.text("stdout"),
            stderr: self.text("stderr"),
            peak,
            took: self.started.elapsed(),
            dir: std::mem::replace(
                &mut self.dir,
                tempfile::tempdir().expect("a temporary folder"),
            ),
        }
    }

    /// What is in `stdout` or `stderr` so far.
    pub(crate) fn text(&self, name: &str) -> String {
        let bytes = fs::read(self.dir.path().join(name)).expect("the child's output");
        String::from_utf8(bytes).expect("text")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Finished {
    /// The same, if it ended with this exit code.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "the exit code\n--- stderr\n{}\n--- stdout\n{}",
            self.stderr,
            self.stdout
        );
        self
    }

    /// The same, if standard error contains all texts.
    #[track_caller]
    pub(crate) fn said(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "`{word}` is missing in\n{}",
                self.stderr
            );
        }
        self
    }

    /// The same, if nothing was created in the output folder.
    #[track_caller]
    pub(crate) fn left_nothing(self) -> Self {
        assert_eq!(self.files(), Vec::<String>::new());
        self
    }

    /// How many lines of standard error contain a text.
    pub(crate) fn lines_with(&self, text: &str) -> usize {
        self.stderr
            .lines()
            .filter(|line| line.contains(text))
            .count()
    }

    /// The names of the files in the output folder, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.out()).into_iter().flatten();
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = names
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// A JSON file of the output folder.
    #[track_caller]
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).expect("JSON")
    }

    /// A file of the output folder.
    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> String {
        let text = fs::read_to_string(self.out().join(name));
        text.unwrap_or_else(|error| panic!("{name}: {error}\n{}", self.stderr))
    }

    /// The result document, of a deployment or of a plan: without the mark that tells the two apart.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        let mut document = self.json("replication_result.json");
        let keys = document.as_object_mut().expect("a mapping");
        keys.shift_remove("plan");
        document
    }

    /// What the report says was done with each artifact: target and word, sorted.
    #[track_caller]
    pub(crate) fn done(&self) -> Vec<(String, String)> {
        let report = self.json("replication_report.json");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let artifacts = report["artifacts"].as_array().expect("a list").iter();
        let mut done: Vec<(String, String)> = artifacts
            .map(|artifact| (text(&artifact["target"]), text(&artifact["done"])))
            .collect();
        done.sort();
        done
    }

    /// The report's entry of the artifact whose target ends with a text.
    #[track_caller]
    pub(crate) fn report_of(&self, target: &str) -> Value {
        let report = self.json("replication_report.json");
        let artifacts = report["artifacts"].as_array().expect("a list").iter();
        let mut found = artifacts.filter(|artifact| {
            let text = artifact["target"].as_str();
            text.is_some_and(|text| text.ends_with(target))
        });
        let first = found.next().cloned();
        first.unwrap_or_else(|| panic!("no artifact {target} in {report:#}"))
    }

    /// A file of the working folder.
    pub(crate) fn work_file(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.dir.path().join("work").join(name)).ok()
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }
}
