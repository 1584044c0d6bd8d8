//! The chaos run: the real program against registries that misbehave, driven by a seed; and the load run.
//!
//! ```text
//! make chaos RUNS=1000            # runs, faults by kind, violations with their seeds
//! make chaos RUNS=1 SEED=123      # the same run once more
//! make load                       # 2,000 artifacts against ECR's quotas
//! ```
//!
//! Every run draws a corpus, two registries, their habits and their faults from its seed, starts the
//! program, perhaps kills it, and then checks what must hold whatever happened: see [`check`].

mod check;
mod child;
mod draw;
mod layout;
mod load;
mod logins;
mod run;
mod tally;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use futures_util::{StreamExt, stream};

use tally::Tally;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The program to run [default: the `replicator` of the same build]
    #[arg(long, global = true)]
    binary: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs with faults
    Run {
        /// How many
        #[arg(long, default_value_t = 200)]
        runs: u64,
        /// The first run's seed; each further run has the next one [default: made of the day]
        #[arg(long)]
        seed: Option<u64>,
        /// Runs at once
        #[arg(long, default_value_t = 2)]
        parallel: usize,
        /// Lets no manifest check lag behind uploads: to see what else is wrong
        #[arg(long)]
        no_lag: bool,
        /// Shows what was drawn and all that the program said
        #[arg(long)]
        show: bool,
    },
    /// Many artifacts against quotas
    Load(load::Load),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let binary = match cli.binary {
        Some(binary) => binary.canonicalize()?,
        None => sibling()?,
    };
    match cli.command {
        Command::Run {
            runs,
            seed,
            parallel,
            no_lag,
            show,
        } => {
            chaos(
                &binary,
                runs,
                seed.unwrap_or_else(of_the_day),
                parallel,
                RunOptions { no_lag, show },
            )
            .await
        }
        Command::Load(load) => load.run(&binary).await,
    }
}

/// The program that was built together with this driver.
fn sibling() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let binary = own.with_file_name("replicator");
    binary
        .is_file()
        .then_some(binary)
        .ok_or_else(|| anyhow::anyhow!("build the program first: cargo build --bin replicator"))
}

/// A seed that is another one each day, with room for a day's runs.
fn of_the_day() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs() / 86_400 * 100_000
}

/// Options for looking into a violation.
#[derive(Debug, Clone, Copy)]
struct RunOptions {
    no_lag: bool,
    show: bool,
}

async fn chaos(
    binary: &std::path::Path,
    runs: u64,
    seed: u64,
    parallel: usize,
    options: RunOptions,
) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    println!(
        "chaos: {runs} runs, seeds {seed} to {}",
        seed + runs.max(1) - 1
    );
    let tally = Arc::new(Mutex::new(Tally::default()));
    stream::iter(seed..seed + runs)
        .for_each_concurrent(parallel, |seed| {
            let tally = Arc::clone(&tally);
            async move {
                let ended = run::run(binary, seed, options).await;
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.add(seed, ended);
                if tally.runs.is_multiple_of(50) {
                    let seconds = started.elapsed().as_secs();
                    println!(
                        "… {} runs in {seconds} s, {} violations",
                        tally.runs,
                        tally.violations.len()
                    );
                }
            }
        })
        .await;
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    print!("{tally}");
    println!("took {:.0} s", started.elapsed().as_secs_f64());
    Ok(if tally.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
