//! The program as its users meet it: the real binary, against the lab's servers on loopback.

#![forbid(unsafe_code)]

mod corpus;
mod data;
mod run;

mod bad_charts;
mod bad_input;
mod data_files;
mod parity;

/// What a test gives back.
type Result = anyhow::Result<()>;
