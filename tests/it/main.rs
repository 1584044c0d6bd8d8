//! The program as its users meet it: the real binary, against the lab's servers on loopback.

#![forbid(unsafe_code)]

mod architecture;
mod attesting;
mod builds;
mod chart_forms;
mod charts;
mod closing;
mod closure;
mod commands;
mod content;
mod corpus;
mod data;
mod publishing;
mod rendering;
mod resuming;
mod run;
mod signer;
mod spelling;
mod stopping;
mod unusual_registries;

mod access;
mod aws_calls;
mod bad_charts;
mod bad_input;
mod bucket;
mod bundles;
mod copying;
mod data_files;
mod data_keys;
mod destroying;
mod diffing;
mod discovering;
mod doctor;
mod ecr;
mod failing;
mod fanning;
mod foreign_builds;
mod frugal;
mod fuzz_corpus;
mod growing;
mod hostile_charts;
mod hostile_data;
mod hostile_manifests;
mod hostile_registry;
mod keeping;
mod layout;
mod links;
mod local_charts;
mod locked;
mod locking;
mod logins;
mod looking;
mod observing;
mod owners;
mod parity;
mod permissions;
mod pinning;
mod preflight;
mod properties;
mod proving;
mod pruning;
mod pruning_apply;
mod pruning_world;
mod referrers;
mod rolling_back;
mod secrets;
mod settings;
mod shells;
mod snapshots;
mod streams;
mod surface;
mod tls;
mod tls_front;
mod trust;
mod trust_charts;
mod trust_hostile;
mod trust_rules;
mod trust_runs;
mod using;
mod variables;
mod verifying;
mod words;

#[path = "../../fuzz/src/lib.rs"]
#[expect(
    unreachable_pub,
    reason = "it is the library of the fuzz targets as well"
)]
mod fuzzing;

/// What a test gives back.
type Result = anyhow::Result<()>;
