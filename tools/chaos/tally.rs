//! What all runs together came to.

use std::collections::BTreeMap;
use std::fmt;

use crate::run::Outcome;

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) runs: u64,
    processes: u64,
    faults: BTreeMap<String, u64>,
    habits: BTreeMap<&'static str, u64>,
    ends: BTreeMap<String, u64>,
    most_memory: u64,
    most_sockets: usize,
    most_connections: usize,
    longest: (f64, u64),
    pub(crate) violations: Vec<(u64, String)>,
}

impl Tally {
    pub(crate) fn add(&mut self, seed: u64, ended: anyhow::Result<Outcome>) {
        self.runs += 1;
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(error) => {
                self.violate(seed, format!("the driver failed: {error:#}"));
                return;
            }
        };
        for (kind, count) in outcome.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for habit in outcome.habits {
            *self.habits.entry(habit).or_default() += 1;
        }
        for ended in &outcome.processes {
            self.processes += 1;
            let end = match ended.code {
                Some(code) => format!("exit {code}"),
                None => "killed".to_owned(),
            };
            *self.ends.entry(end).or_default() += 1;
            self.most_memory = self.most_memory.max(ended.most_memory);
            self.most_sockets = self.most_sockets.max(ended.most_sockets);
            let took = ended.took.as_secs_f64();
            if took > self.longest.0 {
                self.longest = (took, seed);
            }
        }
        self.most_connections = self.most_connections.max(outcome.most_connections);
        for violation in outcome.violations {
            self.violate(seed, violation);
        }
    }

    fn violate(&mut self, seed: u64, what: String) {
        println!("violation, seed {seed}: {what}");
        self.violations.push((seed, what));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: u64 = self.faults.values().sum();
        writeln!(f, "\n{:>8}  runs, {} processes", self.runs, self.processes)?;
        writeln!(f, "{faults:>8}  faults injected, by kind:")?;
        for (kind, count) in &self.faults {
            writeln!(f, "{count:>16}  {kind}")?;
        }
        writeln!(f, "          runs with habits and ends that make trouble:")?;
        for (habit, count) in &self.habits {
            writeln!(f, "{count:>16}  {habit}")?;
        }
        writeln!(f, "          ends of processes:")?;
        for (end, count) in &self.ends {
            writeln!(f, "{count:>16}  {end}")?;
        }
        writeln!(
            f,
            "{:>8.1}  MiB at most in one process",
            kib(self.most_memory)
        )?;
        writeln!(
            f,
            "{:>8}  sockets at most in one process",
            self.most_sockets
        )?;
        writeln!(
            f,
            "{:>8}  connections at most to one server",
            self.most_connections
        )?;
        writeln!(
            f,
            "{:>8.1}  seconds for the longest process (seed {})",
            self.longest.0, self.longest.1
        )?;
        writeln!(f, "{:>8}  violations", self.violations.len())?;
        // The same thing with other names and digests is one thing.
        let mut alike: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (seed, what) in &self.violations {
            alike.entry(kind_of(what)).or_default().push(*seed);
        }
        for (what, seeds) in alike {
            let some: Vec<String> = seeds.iter().take(12).map(u64::to_string).collect();
            let more = if seeds.len() > some.len() {
                ", …"
            } else {
                ""
            };
            writeln!(f, "{:>16}  {what}", seeds.len())?;
            writeln!(f, "                  seeds {}{more}", some.join(", "))?;
        }
        Ok(())
    }
}

/// A violation's first line, and the last of what the program said, without what differs from run to run.
fn kind_of(what: &str) -> String {
    let mut words = what.lines().next().unwrap_or_default().to_owned();
    let reason = what
        .lines()
        .rev()
        .find(|line| line.contains("cannot ") || line.contains("error:"));
    for code in [
        "BLOB_UPLOAD_UNKNOWN",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_UNKNOWN",
    ] {
        if reason.is_some() && what.contains(code) {
            words = format!("{words} ({code})");
        }
    }
    let plain = words.split(' ').map(|word| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        if digits > 5 || word.starts_with('/') {
            "…"
        } else {
            word
        }
    });
    plain.collect::<Vec<_>>().join(" ")
}

/// MiB of KiB.
#[expect(clippy::cast_precision_loss, reason = "a process has no petabytes")]
pub(crate) fn kib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
