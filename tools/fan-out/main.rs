//! A run over several builds: played through on paper, and measured with processes that have a link each.
//!
//! ```text
//! cargo run --release -p replicator-tools --bin fan-out -- simulate --artifacts 10000 --terabytes 5
//! make fan-out                    # measures, and compares with the simulation
//! ```

mod measure;
mod simulate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays a described corpus through for 1 to 64 builds, and says what bounds each
    Simulate(simulate::Simulate),
    /// Copies a small corpus with 1, with several, and with queued builds
    Measure(measure::Measure),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Simulate(simulate) => {
            simulate.run();
            Ok(ExitCode::SUCCESS)
        }
        Command::Measure(measure) => measure.run().await,
    }
}
