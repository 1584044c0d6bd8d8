//! The `replicator` program: parse, run, print what went wrong, exit.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_buffers();
    replication::cli::main()
}

/// Lets the C library keep the memory of freed buffers for the next ones: a layer's pieces have up to 400 KiB
/// each, and to return each to the system and fault it in again cost a tenth of the CPU time of a large layer.
/// glibc raises its thresholds when a larger block is freed (mallopt(3), `M_MMAP_THRESHOLD`); the block is never
/// touched, so it needs no memory. Other C libraries ignore it.
fn keep_buffers() {
    /// Twice this much stays at most. glibc's highest threshold is 32 MiB.
    const BLOCK: usize = 16 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(BLOCK)));
}
