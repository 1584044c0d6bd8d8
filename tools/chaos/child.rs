//! The program as a process: watched, killed, never waited for without an end.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use lab::process::peak_memory;
use tokio::process::Command;

use crate::draw::End;

/// The longest that a run may take.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: by a signal, or by us because it took too long.
    pub(crate) code: Option<i32>,
    pub(crate) took: Duration,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The most memory that it ever had, in KiB.
    pub(crate) most_memory: u64,
    /// The most sockets that were seen open.
    pub(crate) most_sockets: usize,
    pub(crate) too_long: bool,
    /// Whether the end that was wanted came before its own.
    pub(crate) is_cut_short: bool,
}

/// A process to be started in a new folder, which has `home`, `work` and `out`.
pub(crate) struct Child<'a> {
    pub(crate) binary: &'a Path,
    pub(crate) folder: &'a Path,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) limit: Duration,
}

impl Child<'_> {
    /// Runs it to its end, or to the one that is wanted.
    pub(crate) async fn run(&self, end: End) -> anyhow::Result<Ended> {
        let path = |name: &str| self.folder.join(name);
        let file = |name: &str| std::fs::File::create(path(name));
        let mut child = Command::new(self.binary)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", path("home"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(path("work"))
            .stdin(Stdio::null())
            .stdout(file("stdout")?)
            .stderr(file("stderr")?)
            .kill_on_drop(true)
            .spawn()
            .context("the program does not start")?;
        let (started, id) = (Instant::now(), child.id().context("a process")?);
        let (mut most_memory, mut most_sockets) = (0, 0);
        let (mut too_long, mut is_cut_short) = (false, false);
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            most_memory = most_memory.max(peak_memory(id) >> 10);
            most_sockets = most_sockets.max(sockets(id));
            match end {
                End::Killed(after) if !is_cut_short && started.elapsed() >= after => {
                    child.start_kill()?;
                    is_cut_short = true;
                }
                End::Terminated(after) if !is_cut_short && started.elapsed() >= after => {
                    terminate(id).await;
                    is_cut_short = true;
                }
                _ => {}
            }
            if started.elapsed() > self.limit {
                child.start_kill()?;
                too_long = true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        Ok(Ended {
            code: status.code(),
            took: started.elapsed(),
            stdout: text(&path("stdout"))?,
            stderr: text(&path("stderr"))?,
            most_memory,
            most_sockets,
            too_long,
            is_cut_short,
        })
    }
}

/// Asks a process to stop, as CodeBuild does.
async fn terminate(id: u32) {
    let kill = Command::new("kill")
        .args(["-TERM", &id.to_string()])
        .status();
    // It may have ended by itself.
    kill.await.ok();
}

fn text(path: &PathBuf) -> anyhow::Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
}

fn sockets(id: u32) -> usize {
    let files = std::fs::read_dir(format!("/proc/{id}/fd"))
        .into_iter()
        .flatten();
    let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}
