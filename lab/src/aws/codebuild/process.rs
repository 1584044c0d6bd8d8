//! The process of a build: its commands, its folder, its environment, its end.

use super::Home;
use super::record::Record;
use crate::aws::access;
use serde_json::Value;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The file of a build's folder that has what the build writes.
pub(super) const LOG: &str = "log";
/// The folder with what stands in for the programs of CodeBuild's images.
const PROGRAMS: &str = "bin";
/// The build's home and working folder.
const WORK: &str = "work";

const AWS_CLI: &str = include_str!("aws.sh");
const IMAGE: &str = "aws/codebuild/amazonlinux-x86_64-standard:6.0";
const PHASES: [&str; 4] = ["install", "pre_build", "build", "post_build"];

/// Runs the commands that are its arguments in one shell, up to the first that fails. A shell without
/// a trap would end on SIGTERM before the command that it waits for has cleaned up.
const SHELL: &str = r#"
trap 'exit 143' TERM
lab_commands=("$@")
set --
for lab_command in "${lab_commands[@]}"; do
    printf '[Container] Running command %s\n' "$lab_command"
    eval "$lab_command"
    lab_status=$?
    [ "$lab_status" -eq 0 ] && continue
    printf '[Container] Command did not exit successfully, exit status %s\n' "$lab_status"
    exit "$lab_status"
done
"#;

/// What a build does.
pub(super) struct Buildspec {
    /// Of all phases, in order.
    commands: Vec<String>,
}

impl Buildspec {
    /// Reads a buildspec that is written in the JSON part of YAML.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, String> {
        let text = text.ok_or("there is no buildspec")?;
        let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let version = &document["version"];
        if version.as_f64() != Some(0.2) && version != "0.2" {
            return Err(format!("version {version} is not 0.2"));
        }
        let phases = document["phases"]
            .as_object()
            .ok_or("there are no phases")?;
        if let Some(name) = phases.keys().find(|name| !PHASES.contains(&name.as_str())) {
            return Err(format!("there is no phase {name}"));
        }
        let mut commands = Vec::new();
        for name in PHASES {
            let Some(phase) = phases.get(name) else {
                continue;
            };
            let listed = phase["commands"].as_array();
            let listed = listed.ok_or_else(|| format!("{name} has no list of commands"))?;
            for command in listed {
                let text = command.as_str();
                let text = text.ok_or_else(|| format!("{name}: {command} is not a text"))?;
                commands.push(text.to_owned());
            }
        }
        Ok(Self { commands })
    }
}

/// The folder of a build, with its empty home and the programs.
pub(super) fn folder() -> io::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join(WORK))?;
    let programs = folder.path().join(PROGRAMS);
    fs::create_dir(&programs)?;
    let program = programs.join("aws");
    fs::write(&program, AWS_CLI)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// Removes what a build that has ended worked with. Its log stays.
pub(super) fn clear(folder: Option<&TempDir>) {
    if let Some(folder) = folder {
        fs::remove_dir_all(folder.path().join(WORK)).ok();
    }
}

/// Starts the process of a build that has a folder.
pub(super) fn spawn(
    home: &Home,
    record: &Record,
    buildspec: &Buildspec,
    extra: Vec<(String, String)>,
) -> io::Result<Child> {
    let folder = record.folder.as_ref().ok_or(io::ErrorKind::NotFound)?;
    let (work, programs) = (folder.path().join(WORK), folder.path().join(PROGRAMS));
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.path().join(LOG))?;
    let overrides = record.input["environmentVariablesOverride"].as_array();
    let overrides = overrides.into_iter().flatten().map(|variable| {
        let text = |key: &str| variable[key].as_str().unwrap_or_default().to_owned();
        (text("name"), text("value"))
    });
    Command::new("bash")
        .arg("-c")
        .arg(SHELL)
        .arg("bash")
        .args(&buildspec.commands)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .env("HOME", &work)
        .env("CODEBUILD_SRC_DIR", &work)
        .envs(identity(home, record))
        .envs(access(&home.url, &home.region))
        .envs(overrides)
        .envs(extra)
        .current_dir(&work)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
}

/// The variables that tell a build who it is.
pub(super) fn identity(home: &Home, record: &Record) -> Vec<(String, String)> {
    [
        ("CODEBUILD_BUILD_ID", record.id.clone()),
        ("CODEBUILD_BUILD_ARN", arn(home, record)),
        ("CODEBUILD_BUILD_IMAGE", image(record).to_owned()),
        ("CODEBUILD_BUILD_NUMBER", record.number.to_string()),
        ("CODEBUILD_INITIATOR", home.caller.clone()),
        ("CODEBUILD_LOG_PATH", record.uuid().to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

pub(super) fn arn(home: &Home, record: &Record) -> String {
    let (region, account) = (&home.region, &home.account);
    format!("arn:aws:codebuild:{region}:{account}:build/{}", record.id)
}

pub(super) fn image(record: &Record) -> &str {
    record.input["imageOverride"].as_str().unwrap_or(IMAGE)
}

/// The signal for a process group.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    Term,
    Kill,
}

/// Tells all processes of a group. That none is left is no error.
pub(super) fn signal(group: u32, signal: Signal) {
    let name = match signal {
        Signal::Term => "-TERM",
        Signal::Kill => "-KILL",
    };
    Command::new("kill")
        .args([name, "--", &format!("-{group}")])
        .stderr(Stdio::null())
        .status()
        .ok();
}
