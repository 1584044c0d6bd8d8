//! One run: a world, a process, perhaps a second one, and what must hold after each.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::RunOptions;
use crate::check;
use crate::child::{Child, Ended, LIMIT};
use crate::draw::{self, Drawn, End, Login, Shape};
use crate::world::World;

/// What came of one run.
pub(crate) struct Outcome {
    pub(crate) processes: Vec<Ended>,
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) habits: Vec<&'static str>,
    pub(crate) most_connections: usize,
    pub(crate) violations: Vec<String>,
}

pub(crate) async fn run(binary: &Path, seed: u64, options: RunOptions) -> anyhow::Result<Outcome> {
    let mut drawn = draw::draw(seed);
    if options.no_lag {
        drawn.validator_lag = Duration::ZERO;
    }
    let show = options.show;
    let habits = habits(&drawn);
    if show {
        println!("{drawn:#?}");
    }
    let end = drawn.end;
    let world = World::build(drawn).await?;
    let (arguments, variables) = world.command();
    let child = Child {
        binary,
        folder: world.folder.path(),
        arguments,
        variables,
        limit: LIMIT,
    };
    let mut violations = Vec::new();
    let mut note = |which: &str, ended: &Ended, found: Vec<String>| {
        if show {
            let Ended { code, took, .. } = ended;
            println!(
                "--- {which}: {code:?} in {took:?}\n{}{}",
                ended.stderr, ended.stdout
            );
        }
        let last: Vec<&str> = ended.stderr.lines().rev().take(6).collect();
        let last: Vec<String> = last
            .iter()
            .rev()
            .map(|line| format!("    | {}", line.chars().take(400).collect::<String>()))
            .collect();
        let last = last.join("\n");
        violations.extend(found.iter().map(|what| format!("{which}: {what}\n{last}")));
    };
    let first = child.run(end).await?;
    note("first run", &first, check::after(&world, &first, end));
    let is_done = first.code == Some(0);
    let mut processes = vec![first];

    // Whatever happened: the same command once more, without faults, finishes the work.
    world.calm();
    if !is_done {
        let again = child.run(End::ByItself).await?;
        let mut found = check::after(&world, &again, End::ByItself);
        if again.code != Some(0) {
            found.push(format!("without faults it ends with {:?}", again.code));
        }
        note("run without faults", &again, found);
        processes.push(again);
    } else if world.drawn.shape != Shape::CopyEcr && seed.is_multiple_of(4) {
        processes.extend(verify(&child, &world, &mut note).await?);
    }
    let mut faults = BTreeMap::new();
    for board in world.boards() {
        for (kind, count) in board.counts() {
            *faults.entry(kind).or_default() += count;
        }
    }
    let connections = world
        .wires()
        .into_iter()
        .map(lab::wire::Wire::most_connections);
    Ok(Outcome {
        most_connections: connections.max().unwrap_or_default(),
        processes,
        faults,
        habits,
        violations,
    })
}

/// What was deployed is found by `replicator verify`.
async fn verify(
    child: &Child<'_>,
    world: &World,
    note: &mut impl FnMut(&str, &Ended, Vec<String>),
) -> anyhow::Result<Option<Ended>> {
    let report = child.folder.join("out/replication_report.json");
    let mut arguments = vec!["verify".to_owned()];
    if world.drawn.shape != Shape::DeployEcr {
        arguments.push(report.display().to_string());
    }
    let variables = child.variables.clone();
    let verify = Child {
        arguments,
        variables,
        ..*child
    };
    let ended = verify.run(End::ByItself).await?;
    let found = match ended.code {
        Some(0) => Vec::new(),
        code => vec![format!("verify ends with {code:?}")],
    };
    note("verify", &ended, found);
    Ok(Some(ended))
}

fn habits(drawn: &Drawn) -> Vec<&'static str> {
    let is_ecr = drawn.shape.is_ecr();
    let plain = matches!(drawn.shape, Shape::DeployPlain | Shape::CopyPlain);
    let bearer = |login| matches!(login, Login::Bearer | Login::Public);
    let has_tokens = is_ecr || bearer(drawn.source_login) || plain && bearer(drawn.target_login);
    let is_short = drawn.lifetime < Duration::from_mins(1);
    [
        (
            is_short && has_tokens,
            "tokens that expire within a second or two",
        ),
        (
            !drawn.validator_lag.is_zero() && (is_ecr || plain),
            "manifest checks that lag behind uploads",
        ),
        (
            !drawn.creation_delay.is_zero() && is_ecr,
            "repositories that appear late",
        ),
        (drawn.quotas && is_ecr, "quotas"),
        (!drawn.ranges, "no Range"),
        (!drawn.referrers, "no list of referrers"),
        (drawn.referrers && drawn.paged, "referrers in pages of one"),
        (
            drawn.faults && drawn.refused_heads != (false, false),
            "HEAD refused",
        ),
        (
            drawn.faults && drawn.broken_mounts,
            "mounts that fail with 500",
        ),
        (
            drawn.faults && drawn.unanswered > 0 && is_ecr,
            "AWS calls without an answer",
        ),
        (matches!(drawn.end, End::Killed(_)), "kill -9"),
        (matches!(drawn.end, End::Terminated(_)), "SIGTERM"),
        (!drawn.faults, "no faults"),
    ]
    .into_iter()
    .filter_map(|(is_so, habit)| is_so.then_some(habit))
    .collect()
}
