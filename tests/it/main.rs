//! The program as its users meet it: the real binary, against the lab's servers on loopback.

#![forbid(unsafe_code)]

mod charts;
mod commands;
mod content;
mod corpus;
mod data;
mod publishing;
mod run;
mod stopping;

mod access;
mod bad_charts;
mod bad_input;
mod copying;
mod data_files;
mod destroying;
mod ecr;
mod failing;
mod frugal;
mod layout;
mod local_charts;
mod observing;
mod parity;
mod permissions;
mod referrers;
mod secrets;
mod settings;

/// What a test gives back.
type Result = anyhow::Result<()>;
