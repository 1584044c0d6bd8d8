//! Writes the man pages: `replicator.1` and a page for each command.
//!
//! ```text
//! man DIR
//! ```
//!
//! A program of its own, so that the shipped binary does not carry the generator.

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let dir = std::env::args().nth(1).context("usage: man DIR")?;
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {dir}"))?;
    clap_mangen::generate_to(replication::cli::definition(), &dir)
        .with_context(|| format!("cannot write the pages into {dir}"))
}
