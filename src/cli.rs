//! The commands.

mod columns;
mod completions;
mod copy;
mod deploy;
mod destroy;
mod diff;
mod discover;
mod doctor;
mod estimate;
mod findings;
mod flags;
mod images;
mod inspect;
mod load;
mod lock;
mod log;
mod ls;
mod output;
mod plan;
mod policy;
mod prune;
mod publish;
mod rendering;
mod report;
mod save;
mod signals;
mod table;
mod template;
mod values;
mod verify;
mod worker;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use futures_util::future::LocalBoxFuture;
use tokio_util::sync::CancellationToken;

use crate::problem::{Problems, is_input};
use crate::progress::{Display, Screen};
use crate::settings::Environment;
use crate::stderr;

/// How a command ends: its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Done.
    Done = 0,
    /// An artifact or a service failed; nothing was published.
    Failed = 1,
    /// Bad input or settings; nothing was started.
    BadInput = 2,
    /// With `--exit-code`: something would change.
    Changes = 3,
}

/// What every command is run with.
struct Invocation<'a> {
    environment: &'a Environment,
    screen: &'a Screen,
    /// Cancelled when the process is asked to stop.
    stop: &'a CancellationToken,
}

/// Copies Helm charts and the images they use into a private registry, and writes the Helm values
/// that make the charts use the copies.
#[derive(Debug, Parser)]
#[command(name = "replicator", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: Messages,
    #[command(flatten)]
    aws: AwsOptions,
}

const EXAMPLES: &str = "\
Examples:
  replicator plan --eks-version 1.34 --registry-prefix oci:mirror
      show what would be copied, and how large it is
  replicator deploy --eks-version 1.34 --registry-prefix oci:mirror
      copy everything into the folder `mirror` (an OCI image layout); no AWS, no server
  replicator deploy
      in a Seed-Farmer build: all settings come from the environment
  replicator copy quay.io/prometheus/prometheus:v3.5.0 localhost:5000/prometheus:v3.5.0
      copy one image
  replicator verify
      check that everything of the last deployment is still at the target
  replicator images ./chart --switches
      list the images that a chart uses, and those that its switches add

Exit codes: 0 done; 1 something failed, nothing was published; 2 bad input, nothing was started;
3 with --exit-code: something would change; 130 or 143 stopped by SIGINT or SIGTERM.";

#[derive(Debug, Subcommand)]
enum Command {
    Deploy(Box<deploy::Deploy>),
    Plan(Box<plan::Plan>),
    Copy(copy::Copy),
    Save(Box<save::Save>),
    Load(Box<load::Load>),
    Verify(verify::Verify),
    Lock(lock::MakeLock),
    Diff(Box<diff::Diff>),
    Publish(Box<publish::Publish>),
    Destroy(destroy::Destroy),
    DeleteRepos(destroy::DeleteRepos),
    Prune(prune::Prune),
    Template(Box<template::Template>),
    Images(Box<images::Images>),
    Discover(Box<discover::Discover>),
    Policy(Box<policy::Policy>),
    Doctor(Box<doctor::Doctor>),
    Values(values::Values),
    Inspect(inspect::Inspect),
    Ls(ls::Ls),
    Report(report::MakeReport),
    Completions(completions::Completions),
    #[command(name = "work")]
    Worker(worker::Worker),
}

/// Which AWS account and region are meant.
#[derive(Debug, Args)]
struct AwsOptions {
    /// The profile of the AWS CLI, for credentials and region [env: `AWS_PROFILE`]
    #[arg(long, global = true, value_name = "NAME", help_heading = "AWS")]
    profile: Option<String>,
    /// The AWS region [env: `AWS_REGION`, `AWS_DEFAULT_REGION`] [default: the profile's]
    #[arg(long, global = true, value_name = "REGION", help_heading = "AWS")]
    region: Option<String>,
}

/// Options of the log.
#[derive(Debug, Args)]
struct Messages {
    /// The format of messages: text lines or JSON objects
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, help_heading = "Output")]
    log_format: LogFormat,
    /// Also log requests with their status, retries, and whose credentials are used; twice: everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    verbose: u8,
    /// Log only warnings and errors, and show no progress
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "verbose",
        help_heading = "Output"
    )]
    quiet: bool,
    /// How to show progress: auto, bar (a bar), plain (a line every 15 seconds) or none. auto is a bar on a terminal,
    /// plain otherwise
    #[arg(long, global = true, value_enum, value_name = "HOW", default_value_t = ShowProgress::Auto,
          hide_possible_values = true, hide_default_value = true, help_heading = "Output")]
    progress: ShowProgress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ShowProgress {
    Auto,
    Bar,
    Plain,
    None,
}

impl Messages {
    fn display(&self) -> Display {
        match self.progress {
            _ if self.quiet => Display::Hidden,
            // A bar among JSON objects would be none of them.
            ShowProgress::Auto | ShowProgress::Bar if self.log_format == LogFormat::Json => {
                Display::Lines
            }
            ShowProgress::Auto => Display::auto(),
            ShowProgress::Bar => Display::Bar,
            ShowProgress::Plain => Display::Lines,
            ShowProgress::None => Display::Hidden,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// The definition of the command line: what the help, the completions and the man pages are made from.
#[must_use]
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Runs the program: parses the command line, runs the command, reports errors.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(error),
    };
    let environment = Environment::read();
    let environment = environment.with_aws(cli.aws.profile.as_deref(), cli.aws.region.as_deref());
    let screen = Screen::new(cli.log.display());
    log::start(&cli.log, &screen, environment.color);
    for warning in environment.parameters.warnings() {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = match environment.check_profile() {
                // Without the flag, a profile matters only where AWS is used.
                Err(problem) if cli.aws.profile.is_some() => Err(Problems::from(problem).into()),
                _ => runtime.block_on(run(&cli.command, &environment, &screen)),
            };
            // A thread may still hang in a name look-up; it is not waited for.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(anyhow::Error::new(error).context("cannot start the runtime")),
    };
    let code = match result {
        Ok(exit) => exit as u8,
        Err(error) => {
            log::failure(&error);
            let asked = signals::EXIT_CODE.get().copied();
            asked.unwrap_or_else(|| of_error(&error) as u8)
        }
    };
    stderr::flush();
    ExitCode::from(code)
}

/// A flag that other commands have is spelled right: they are the suggestion, and not a flag that looks like it.
fn suggest_commands(error: &mut clap::Error) {
    let unknown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) if error.kind() == ErrorKind::UnknownArgument => flag,
        _ => return,
    };
    let Some(name) = unknown.strip_prefix("--") else {
        return;
    };
    let mut definition = definition();
    definition.build();
    let commands = definition.get_subcommands().filter(|command| {
        let mut flags = command.get_arguments();
        !command.is_hide_set() && flags.any(|flag| flag.get_long() == Some(name))
    });
    let commands: Vec<&str> = commands.map(clap::Command::get_name).collect();
    if commands.is_empty() {
        return;
    }
    let tip = format!("'{unknown}' is an option of {}", commands.join(", "));
    error.remove(ContextKind::SuggestedArg);
    // The usage has the flag that looked alike.
    let usage = error.get(ContextKind::Usage).map(ToString::to_string);
    let used = usage.unwrap_or_default();
    let name = used.split_whitespace().nth(2);
    if let Some(command) = name.and_then(|name| definition.find_subcommand_mut(name)) {
        let usage = ContextValue::StyledStr(command.render_usage());
        error.insert(ContextKind::Usage, usage);
    }
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![tip.into()]),
    );
}

/// Prints help, version, or the error of the command line.
fn usage(mut error: clap::Error) -> ExitCode {
    suggest_commands(&mut error);
    let code = u8::try_from(error.exit_code()).unwrap_or(Exit::BadInput as u8);
    // A reader that does not read must not keep the process from ending.
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        error.print().ok();
        done.send(()).ok();
    });
    is_done.recv_timeout(GRACE).ok();
    ExitCode::from(code)
}

/// Writes the command's output to standard output. It is not an error if the reader closes it early.
async fn print(text: String) -> anyhow::Result<()> {
    // On a separate thread, so that signals work even if the output is not read.
    let written = tokio::task::spawn_blocking(move || {
        // Both may be one terminal, on which the bar is cleared by another thread.
        stderr::flush();
        let mut out = std::io::stdout();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    });
    match written.await? {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// How long a command may take to finish its report once it was asked to stop.
const GRACE: Duration = Duration::from_secs(3);

/// Runs a command until it ends or the process is asked to stop.
async fn run(
    command: &Command,
    environment: &Environment,
    screen: &Screen,
) -> anyhow::Result<Exit> {
    let stop = CancellationToken::new();
    signals::listen(&stop);
    let with = Invocation {
        environment,
        screen,
        stop: &stop,
    };
    let stopped = async {
        stop.cancelled().await;
        if command.finishes_its_report() {
            tokio::time::sleep(GRACE).await;
        }
    };
    tokio::select! {
        biased;
        () = stopped => anyhow::bail!("stopped before the end"),
        ended = command.run(&with) => ended,
    }
}

impl Command {
    fn run<'a>(&'a self, with: &'a Invocation<'a>) -> LocalBoxFuture<'a, anyhow::Result<Exit>> {
        match self {
            Self::Deploy(args) => Box::pin(args.run(with)),
            Self::Plan(args) => Box::pin(args.run(with)),
            Self::Copy(args) => Box::pin(args.run(with)),
            Self::Save(args) => Box::pin(args.run(with)),
            Self::Load(args) => Box::pin(args.run(with)),
            Self::Verify(args) => Box::pin(args.run(with)),
            Self::Lock(args) => Box::pin(args.run(with)),
            Self::Diff(args) => Box::pin(args.run(with)),
            Self::Publish(args) => Box::pin(args.run(with)),
            Self::Destroy(args) => Box::pin(args.run(with)),
            Self::DeleteRepos(args) => Box::pin(args.run(with)),
            Self::Prune(args) => Box::pin(args.run(with)),
            Self::Template(args) => Box::pin(args.run(with)),
            Self::Images(args) => Box::pin(args.run(with)),
            Self::Discover(args) => Box::pin(args.run(with)),
            Self::Policy(args) => Box::pin(args.run(with)),
            Self::Doctor(args) => Box::pin(args.run(with)),
            Self::Values(args) => Box::pin(args.run(with)),
            Self::Inspect(args) => Box::pin(args.run(with)),
            Self::Ls(args) => Box::pin(args.run(with)),
            Self::Report(args) => Box::pin(args.run(with)),
            Self::Completions(args) => Box::pin(args.run(with)),
            Self::Worker(args) => Box::pin(args.run(with)),
        }
    }

    /// Whether the command writes a report, or notifies other builds, after it was asked to stop.
    fn finishes_its_report(&self) -> bool {
        matches!(
            self,
            Self::Deploy(_) | Self::Copy(_) | Self::Save(_) | Self::Load(_) | Self::Worker(_)
        )
    }
}

/// How a command ends that failed.
fn of_error(error: &anyhow::Error) -> Exit {
    let mut causes = error.chain();
    let is_chart = causes.any(<dyn std::error::Error>::is::<rendering::CannotRender>);
    if is_chart || is_input(error) {
        Exit::BadInput
    } else {
        Exit::Failed
    }
}
