//! What users see besides results: progress and the log.

use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use lab::chart::{Chart, ChartRepository};
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::{Auth, Registry};

use super::Result;
use super::data::Data;
use super::ecr::image;
use super::run::Run;

/// A source whose only image takes some seconds.
async fn slow_source() -> anyhow::Result<Registry> {
    let source = Registry::start().await?;
    let image = Image::new().layer(3_000_000, 1).layer(500, 2);
    image.push(&source, "team/slow", "1")?;
    let slow = Fault::Slow {
        bytes_per_second: 1_000_000,
    };
    source.faults().add(Rule::new(slow).on("GET", "/blobs/"));
    Ok(source)
}

/// What a program writes to a terminal of a width. `script` gives it one.
async fn on_terminal(width: usize, command: String) -> anyhow::Result<String> {
    let run = tokio::task::spawn_blocking(move || {
        Command::new("script")
            .args(["-qefc", &format!("stty cols {width} rows 24; {command}")])
            .arg("/dev/null")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .output()
    });
    Ok(String::from_utf8(run.await??.stdout)?)
}

/// The lines that were ever on a terminal, without its control sequences.
fn lines(written: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut letters = written.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => {
                letters.find(char::is_ascii_alphabetic);
                plain.push('\n');
            }
            '\r' => plain.push('\n'),
            letter => plain.push(letter),
        }
    }
    let lines = plain.lines().map(str::to_owned);
    lines.filter(|line| !line.is_empty()).collect()
}

fn copy_command(source: &Registry, more: &str) -> String {
    let program = env!("CARGO_BIN_EXE_replicator");
    let from = format!("{}/team/slow:1", source.host());
    format!("exec {program} copy {from} oci:$(mktemp -d)/mirror:slow:1 {more}")
}

#[tokio::test]
async fn a_bar_never_wraps_and_nothing_of_it_is_left() -> Result {
    for width in [40, 80] {
        let source = slow_source().await?;
        let written = on_terminal(width, copy_command(&source, "2>&1")).await?;
        let bars: Vec<String> = lines(&written)
            .into_iter()
            .filter(|line| line.contains(" of ") && line.contains("iB"))
            .collect();
        assert!(bars.len() > 3, "{written:?}");
        for bar in &bars {
            assert!(bar.trim_end().chars().count() < width, "{width}: {bar}");
        }
        assert!(bars.iter().any(|bar| bar.contains(" left")) || width < 60);
        // The last frame is cleared before the summary.
        let (before, _) = written.rsplit_once("1 copied").expect("a summary");
        assert!(
            before.ends_with("\u{1b}[2K") || before.ends_with('\n'),
            "{before:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_table_begins_on_a_clean_line_of_the_terminal() -> Result {
    let registry = Registry::start().await?;
    image().push(&registry, "team/app", "1")?;
    let stall = Fault::Stall(Duration::from_millis(500));
    registry
        .faults()
        .add(Rule::new(stall).on("GET", "_catalog"));
    let program = env!("CARGO_BIN_EXE_replicator");
    let list = format!("exec {program} ls {}/team/", registry.host());
    let written = on_terminal(80, list).await?;
    let (before, table) = written.split_once("  NAME").expect("a table");
    assert!(before.contains("listing artifacts"), "{written:?}");
    assert!(before.ends_with("\u{1b}[2K"), "{written:?}");
    assert!(!table.contains('\u{1b}'), "{written:?}");
    Ok(())
}

#[tokio::test]
async fn bad_input_shows_no_bar() {
    let commands: [&[&str]; 10] = [
        &["plan", "--eks-version", "x"],
        &["deploy", "--eks-version", "x"],
        &["lock", "--eks-version", "x"],
        &["doctor", "--eks-version", "x"],
        &["save", "--eks-version", "x", "bundle.tar"],
        &["copy", "a b", "c d"],
        &["ls", "a b"],
        &["verify", "none.json"],
        &["diff", "none.json", "1.34"],
        &["publish", "9"],
    ];
    let runs = commands.map(|command| Run::new().args(command).args(["--progress", "bar"]).run());
    for ended in join_all(runs).await {
        let ended = ended.ended(2);
        assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn an_interrupted_run_clears_its_bar() -> Result {
    let source = slow_source().await?;
    let program = copy_command(&source, "2>&1").replace("exec ", "timeout --foreground -s INT 2 ");
    let written = on_terminal(80, program).await?;
    let shown = lines(&written).iter().any(|line| line.contains(" of "));
    assert!(shown, "{written:?}");
    // After the last frame of the bar, its line is cleared.
    let (_, after) = written.rsplit_once("0 of 1").unwrap_or(("", &written));
    assert!(after.contains("\u{1b}[2K"), "{after:?}");
    Ok(())
}

#[tokio::test]
async fn progress_can_be_plain_or_nothing_and_quiet_is_quiet() -> Result {
    let source = Registry::start().await?;
    image().push(&source, "team/app", "1")?;
    let from = format!("{}/team/app:1", source.host());
    let copy = |more: &[&str]| {
        let run = Run::new().args(["copy", &from, "oci:mirror:app:1"]);
        run.args(more).run()
    };
    let plain = copy(&["--progress", "plain"]).await.ended(0);
    assert!(plain.stderr.contains("[1/1] copied"), "{}", plain.stderr);
    assert!(!plain.stderr.contains('\u{1b}'), "{}", plain.stderr);
    assert_eq!(copy(&["-q"]).await.ended(0).stderr, "");
    // What ends at once shows no bar.
    let stall = Fault::Stall(Duration::from_millis(500));
    source.faults().add(Rule::new(stall).on("GET", "/blobs/"));
    let bar = copy(&["--progress", "bar"]).await.ended(0);
    assert!(bar.stderr.contains('\u{1b}'), "{}", bar.stderr);
    copy(&["-q", "-v"]).await.ended(2);
    Ok(())
}

#[tokio::test]
async fn a_log_has_a_line_every_15_seconds_also_while_charts_are_fetched() -> Result {
    let charts = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    let stall = Fault::Stall(Duration::from_secs(17));
    charts
        .faults()
        .add(Rule::new(stall).on("GET", "index.yaml"));
    let data = Data::chart(&charts.url(), "    images: {}\n");
    let planned = data.plan().run().await.ended(0);
    planned.said(&["… fetching charts: 0 of 1, 15."]);
    Ok(())
}

#[tokio::test]
async fn verbose_shows_requests_statuses_and_whose_login_is_used_but_no_secret() -> Result {
    let source = Registry::builder()
        .auth(Auth::basic("me", "hunter2"))
        .start()
        .await?;
    image().push(&source, "team/app", "1")?;
    let from = format!("{}/team/app:1", source.host());
    let run = Run::new().args(["copy", &from, "oci:mirror:app:1", "-v"]);
    let run = run.login(&source.host(), "me", "hunter2");
    let done = run.run().await.ended(0);
    for text in [
        "debug: GET http://",
        "/v2/team/app/manifests/1: 200 OK",
        "login of `me` from Docker's configuration file",
    ] {
        assert!(done.stderr.contains(text), "{text}: {}", done.stderr);
    }
    for secret in ["hunter2", "bWU6aHVudGVyMg"] {
        assert!(!done.stderr.contains(secret), "{}", done.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_failure_is_logged_while_the_rest_goes_on_and_explained_at_the_end() -> Result {
    let source = slow_source().await?;
    // Twice as long as a failure waits for the end of the run.
    let slow = Fault::Slow {
        bytes_per_second: 500_000,
    };
    source.faults().clear();
    source.faults().add(Rule::new(slow).on("GET", "/blobs/"));
    let gone: Vec<String> = (0..6).map(|n| format!("quay.io/team/gone{n}:1")).collect();
    let mut names: Vec<&str> = gone.iter().map(String::as_str).collect();
    names.push("quay.io/team/slow:1");
    source
        .faults()
        .add(Rule::new(Fault::status(403)).on("GET", "/team/gone"));
    let data = Data::images(&names);
    let run = data.run("deploy").args(["--registry-prefix", "oci:mirror"]);
    let failed = run.endpoint("quay.io", &source.url()).run().await.ended(1);
    // Three of six, before the others are done; the rest is in the summary.
    assert_eq!(failed.lines_with("/7] failed: "), 3, "{}", failed.stderr);
    let (during, end) = failed
        .stderr
        .split_once("] copied ")
        .unwrap_or_else(|| panic!("{}", failed.stderr));
    assert_eq!(during.matches("] failed: ").count(), 3, "{during}");
    assert!(during.contains("403 Forbidden; others for this reason are named at the end"));
    assert!(end.contains("6 artifacts failed for one reason"), "{end}");
    assert_eq!(failed.lines_with("error: "), 2, "{}", failed.stderr);
    Ok(())
}

#[tokio::test]
async fn every_command_that_waits_for_others_shows_what_it_does() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let charts = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let deploy = data.deploy(&target).endpoint("quay.io", &source.url());
    let deployed = deploy.run().await.ended(0);
    let result = deployed.out().join("replication_result.json");
    let stall = || Rule::new(Fault::Stall(Duration::from_millis(1500)));
    for registry in [&source, &target] {
        registry.faults().add(stall().on("GET", "/"));
        registry.faults().add(stall().on("HEAD", "/"));
    }
    charts.faults().add(stall().on("GET", "index.yaml"));
    let repository = charts.url();
    let name = format!("{}/mirror/quay.io/team/app:1", target.host());
    let prefix = format!("{}/mirror/", target.host());
    let doctor = data.run("doctor").arg("--registry-prefix").arg(&prefix);
    let chart = |command: &str| Run::new().args([command, "app", "--repo", &repository]);
    // All wait at the same time.
    let commands = [
        (
            Run::new().arg("verify").arg(&result),
            "checking artifacts: 0 of 1",
        ),
        (Run::new().args(["inspect", &name]), "reading manifests"),
        (Run::new().args(["ls", &prefix]), "listing artifacts"),
        (chart("template"), "fetching the chart"),
        (chart("images"), "fetching the chart"),
        (chart("discover"), "fetching the chart"),
        (
            doctor.endpoint("quay.io", &source.url()),
            "checking sources: 0 of 1",
        ),
    ];
    let commands = commands.map(|(run, shown)| async move {
        let done = run.args(["--progress", "bar"]).run().await;
        (done, shown)
    });
    for (done, shown) in join_all(commands).await {
        assert!(done.stderr.contains(shown), "{shown}: {}", done.stderr);
        assert!(!done.stdout.contains(shown), "{}", done.stdout);
    }
    Ok(())
}
