//! The `replicator` program: parse, run, print what went wrong, exit.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    replication::cli::main()
}
