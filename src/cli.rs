//! The commands.

mod attest;
mod columns;
mod completions;
mod copy;
mod deploy;
mod destroy;
mod diff;
mod discover;
mod discovering;
mod doctor;
mod document_location;
mod estimate;
mod failure_summary;
mod flags;
mod images;
mod inspect;
mod load;
mod lock;
mod locked;
mod log;
mod ls;
mod output;
mod plan;
mod planning;
mod policy;
mod preflight;
mod prove;
mod prune;
mod publish;
mod rendering;
mod report;
mod save;
mod signals;
mod state;
mod table;
mod template;
mod values;
mod verify;
mod worker;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use tokio_util::sync::CancellationToken;

use crate::aws::{Aws, EcrProviders};
use crate::bundle::{self, Bundle};
use crate::inventory::Inventory;
use crate::plan::Plan;
use crate::problem::{Problem, Problems};
use crate::progress::{Display, Screen};
use crate::reference::Prefix;
use crate::settings::{
    DataFiles, Environment, Flags, Network, Settings, TargetChoice, unused_hosts,
};
use crate::source_secret::{self, SourceHosts};
use crate::stderr;
use oci_copy::http::{Credentials, DockerConfig, GivenLogins, Http};
use oci_copy::store::Stores;

/// Done.
const DONE: u8 = 0;
/// An artifact or a service failed; nothing was published.
const FAILED: u8 = 1;
/// Bad input or settings; nothing was started.
const BAD_INPUT: u8 = 2;
/// With `--exit-code`: something would change.
const CHANGES: u8 = 3;

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
        Ok(code) => code,
        Err(error) => {
            log::failure(&error);
            let asked = signals::EXIT_CODE.get().copied();
            asked.unwrap_or_else(|| exit_code(&error))
        }
    };
    stderr::flush();
    ExitCode::from(code)
}

/// Prints help, version, or the error of the command line.
fn usage(error: clap::Error) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(BAD_INPUT);
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

/// Runs a command until it ends or the process is asked to stop. Returns the exit code.
async fn run(command: &Command, environment: &Environment, screen: &Screen) -> anyhow::Result<u8> {
    let stop = CancellationToken::new();
    signals::listen(&stop);
    // These write a report, or notify other builds.
    let finishes_its_report = matches!(
        command,
        Command::Deploy(_)
            | Command::Copy(_)
            | Command::Save(_)
            | Command::Load(_)
            | Command::Worker(_)
    );
    let work = async {
        let done = match command {
            Command::Deploy(args) => {
                return Box::pin(args.run(environment, screen, &stop)).await;
            }
            Command::Load(args) => {
                return Box::pin(args.run(environment, screen, &stop)).await;
            }
            Command::Plan(args) => return Box::pin(args.run(environment, screen)).await,
            Command::Copy(args) => args.run(environment, screen, &stop).await,
            Command::Save(args) => Box::pin(args.run(environment, screen, &stop)).await,
            Command::Verify(args) => args.run(environment, screen, &stop).await,
            Command::Lock(args) => Box::pin(args.run(environment, screen, &stop)).await,
            Command::Diff(args) => return Box::pin(args.run(environment, screen, &stop)).await,
            Command::Publish(args) => Box::pin(args.run(environment, screen, &stop)).await,
            Command::Destroy(args) => Box::pin(args.run(environment)).await,
            Command::DeleteRepos(args) => Box::pin(args.run(environment)).await,
            Command::Prune(args) => return Box::pin(args.run(environment)).await,
            Command::Template(args) => Box::pin(args.run(environment, screen, &stop)).await,
            Command::Images(args) => Box::pin(args.run(environment, screen, &stop)).await,
            Command::Discover(args) => Box::pin(args.run(environment, screen, &stop)).await,
            Command::Policy(args) => Box::pin(args.run(environment)).await,
            Command::Doctor(args) => Box::pin(args.run(environment, screen, &stop)).await,
            Command::Values(args) => Box::pin(args.run(environment, &stop)).await,
            Command::Inspect(args) => Box::pin(args.run(environment, screen, &stop)).await,
            Command::Ls(args) => Box::pin(args.run(environment, screen, &stop)).await,
            Command::Report(args) => args.run().await,
            Command::Completions(args) => args.run().await,
            Command::Worker(args) => Box::pin(args.run(environment, &stop)).await,
        };
        done.map(|()| DONE)
    };
    let stopped = async {
        stop.cancelled().await;
        if finishes_its_report {
            tokio::time::sleep(GRACE).await;
        }
    };
    tokio::select! {
        biased;
        () = stopped => anyhow::bail!("stopped before the end"),
        result = work => result,
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if is_input(error) { BAD_INPUT } else { FAILED }
}

/// Whether only the input is wrong.
fn is_input(error: &anyhow::Error) -> bool {
    let problems = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Problems>());
    problems.is_some_and(Problems::is_input)
        || error
            .chain()
            .any(<dyn std::error::Error>::is::<rendering::CannotRender>)
}

/// What every command needs.
struct Session {
    settings: Settings,
    aws: Arc<Aws>,
    stores: Arc<Stores>,
    /// The logins of the secret that the settings name.
    secret: GivenLogins,
    /// Cancelled when the run is asked to stop.
    stop: CancellationToken,
}

impl Session {
    fn open(settings: Settings, stop: &CancellationToken) -> anyhow::Result<Self> {
        let aws = Aws::new(&settings)?;
        let stores = open_stores(&settings, &settings.network, &aws, GivenLogins::default())?;
        Ok(Self {
            settings,
            aws,
            stores,
            secret: GivenLogins::default(),
            stop: stop.clone(),
        })
    }

    /// The same with the credentials of the secret that the settings name, for the hosts of an
    /// inventory that they are for.
    async fn for_inventory(
        settings: Settings,
        inventory: &Inventory,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        Self::for_sources(settings, &inventory.source_hosts(), stop).await
    }

    /// The same where only the hosts are known. Registries get a login only when they ask.
    async fn for_hosts(
        settings: Settings,
        hosts: BTreeSet<String>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let hosts = SourceHosts {
            charts: hosts,
            ..SourceHosts::default()
        };
        Self::for_sources(settings, &hosts, stop).await
    }

    async fn for_sources(
        settings: Settings,
        hosts: &SourceHosts,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let Some(name) = settings.secret.clone() else {
            return Self::open(settings, stop);
        };
        let aws = Aws::new(&settings)?;
        let place = format!("parameter HelmRepoSecretName ({})", name.name);
        let region = settings.aws.region.clone().unwrap_or_default();
        let text = aws
            .secret(&name.name, &region)
            .await
            .map_err(anyhow::Error::new)
            .context(place.clone())?;
        let secret = source_secret::read(&text, name.key.as_deref(), hosts);
        let secret = secret.map_err(|what| Problems::from(Problem::input(place, what)))?;
        let hosts: Vec<&str> = secret.hosts().into_iter().collect();
        if hosts.is_empty() {
            tracing::warn!(
                "the secret {} has no login for a host of the data files and is not used",
                name.name
            );
        } else {
            tracing::info!(
                "the secret {} has logins for {}",
                name.name,
                hosts.join(", ")
            );
        }
        let stores = open_stores(&settings, &settings.network, &aws, secret.clone())?;
        Ok(Self {
            settings,
            aws,
            stores,
            secret,
            stop: stop.clone(),
        })
    }

    /// The target prefix, once account and partition are known.
    async fn prefix(&self) -> anyhow::Result<Prefix> {
        match &self.settings.target {
            TargetChoice::Given(prefix) => Ok(prefix.clone()),
            TargetChoice::Named => {
                anyhow::bail!("this command has no target prefix (please report this)")
            }
            TargetChoice::Module { project, region } => {
                let host = self.aws.ecr_host(region).await.map_err(|error| {
                    anyhow::Error::new(error).context("cannot determine the default target")
                })?;
                Ok(Prefix::Ecr {
                    host,
                    path: format!("{project}-"),
                })
            }
        }
    }
}

fn open_stores(
    settings: &Settings,
    network: &Network,
    aws: &Arc<Aws>,
    secret: GivenLogins,
) -> anyhow::Result<Arc<Stores>> {
    let docker = match &settings.docker_config {
        Some(path) => DockerConfig::read(path).map_err(|error| {
            let what = format!("{error:#}");
            let problem = Problem::input(path.display().to_string(), what);
            Problems::from(problem.remedy(
                "fix the file or run `docker login`; set DOCKER_CONFIG to use another directory",
            ))
        })?,
        None => DockerConfig::default(),
    };
    let http = Http::new(network, Credentials::new(docker, secret))?;
    Ok(Arc::new(Stores::new(
        Arc::new(http),
        EcrProviders(Arc::clone(aws)),
        network,
    )))
}

/// Settings and inventory, with the problems of both at once.
fn read(flags: &Flags, environment: &Environment) -> Result<(Settings, Inventory), Problems> {
    let settings = Settings::new(flags, environment);
    let inventory = DataFiles::new(flags, environment).and_then(|files| Inventory::read(&files));
    let (settings, inventory) = Problems::both(settings, inventory)?;
    crate::publish::check_out(&settings.out)?;
    for warning in &inventory.warnings {
        tracing::warn!("{warning}");
    }
    Ok((settings, inventory))
}

/// What a deployment reads: settings, inventory, and the bundle if there is one.
struct Sources {
    settings: Settings,
    inventory: Inventory,
    bundle: Option<Bundle>,
}

impl Sources {
    /// Reads the data files, or opens the bundle, which has them.
    async fn read(flags: &Flags, environment: &Environment) -> anyhow::Result<Self> {
        if !flags.parameters.contains_key("bundle")
            && environment.parameters.get("bundle").is_none()
        {
            let (settings, inventory) = read(flags, environment)?;
            return Ok(Self {
                settings,
                inventory,
                bundle: None,
            });
        }
        let settings = Settings::new(flags, environment)?;
        crate::publish::check_out(&settings.out)?;
        let Some(named) = &settings.bundle else {
            anyhow::bail!("the bundle is not in the settings (please report this)");
        };
        let bundle = bundle::open(named, &settings).await?;
        let wanted = DataFiles::new(flags, environment).ok();
        if let Some(DataFiles { eks_version, .. }) = wanted
            && eks_version != bundle.eks_version()
        {
            let what = format!(
                "the bundle {} is of EKS {}",
                named.place,
                bundle.eks_version()
            );
            let problem = Problem::input(format!("eks-version {eks_version}"), what);
            let remedy = "name the bundle of this version, or leave eks-version out";
            return Err(Problems::from(problem.remedy(remedy)).into());
        }
        let inventory = bundle.inventory().await?;
        for warning in &inventory.warnings {
            tracing::warn!("{warning}");
        }
        Ok(Self {
            settings,
            inventory,
            bundle: Some(bundle),
        })
    }

    /// The session in which these sources are read, and no other ones if there is a bundle.
    async fn open(
        self,
        stop: &CancellationToken,
    ) -> anyhow::Result<(Session, Inventory, Option<Bundle>)> {
        let Self {
            settings,
            inventory,
            bundle,
        } = self;
        let session = match &bundle {
            None => Session::for_inventory(settings, &inventory, stop).await?,
            Some(bundle) => {
                let session = Session::open(settings, stop)?;
                session.stores.read_only_from(Arc::clone(bundle.archive()));
                session
            }
        };
        Ok((session, inventory, bundle))
    }
}

/// Logs the warnings about a plan, and returns them.
fn plan_warnings(plan: &Plan, inventory: &Inventory, session: &Session) -> Vec<String> {
    let mut hosts: BTreeSet<String> = plan.hosts().map(str::to_owned).collect();
    hosts.extend(inventory.source_hosts().all());
    // Archives of charts can be at other hosts than their index.
    hosts.extend(session.stores.http().used_endpoints());
    let mut warnings = plan.warnings.clone();
    warnings.extend(unused_hosts(&session.settings.network, &hosts));
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    warnings
}
