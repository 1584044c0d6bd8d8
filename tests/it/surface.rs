//! What users see besides results: progress, the log, and errors.

use std::process::{Command, Stdio};
use std::time::Duration;

use lab::aws::Aws;
use lab::chart::{Chart, ChartRepository};
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::{Auth, Registry};

use super::Result;
use super::data::{Data, chart_entry};
use super::ecr::{build, image};
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
async fn twenty_charts_behind_one_dead_network_are_one_error_with_one_hint() {
    let entries: Vec<String> = (0..20)
        .map(|n| {
            let host = n % 10;
            chart_entry(
                &format!("app{n}"),
                &format!("https://charts{host}.corp"),
                "    images: {}\n",
            )
            .replace("charts:\n", "")
        })
        .collect();
    let data = Data::new(&format!("charts:\n{}", entries.concat()), "ami: {}\n");
    let run = (0..10).fold(data.plan(), |run, host| {
        run.endpoint(&format!("charts{host}.corp"), "http://127.0.0.1:9")
    });
    let failed = run.args(["--tries", "1"]).run().await.ended(1);
    assert_eq!(failed.lines_with("error: "), 1, "{}", failed.stderr);
    assert_eq!(failed.stderr.matches("check that this machine").count(), 1);
    let count = failed.stderr.lines().count();
    assert!(count <= 12, "{count} lines: {}", failed.stderr);
    failed.said(&["20 charts", "no connection", "charts0.corp"]);
}

#[tokio::test]
async fn a_failure_is_reported_once() -> Result {
    let data = Data::images(&["quay.io/team/a:1", "quay.io/team/b:1"]);
    let run = data.run("deploy").args(["--registry-prefix", "oci:mirror"]);
    let run = run
        .endpoint("quay.io", "http://127.0.0.1:9")
        .args(["--tries", "1"]);
    let failed = run.run().await.ended(1);
    for name in ["team/a:1", "team/b:1"] {
        let target = format!("oci:mirror:quay.io/{name}");
        assert_eq!(
            failed.stderr.matches(&target).count(),
            1,
            "{}",
            failed.stderr
        );
    }
    assert_eq!(
        failed.stderr.matches("hint: ").count(),
        1,
        "{}",
        failed.stderr
    );
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
    for (run, shown) in [
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
    ] {
        let done = run.args(["--progress", "bar"]).run().await;
        assert!(done.stderr.contains(shown), "{shown}: {}", done.stderr);
        assert!(!done.stdout.contains(shown), "{}", done.stdout);
    }
    Ok(())
}

const CONFIG: &str = "[profile base]
region = eu-west-1
[profile dev]
role_arn = arn:aws:iam::123456789012:role/dev
source_profile = base
region = us-east-1
";

const CREDENTIALS: &str = "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = base\n";

/// A run of a shell outside Seed-Farmer: with profiles, and without the variables of credentials and region.
fn with_profiles(aws: &Aws, run: Run, folder: &std::path::Path) -> anyhow::Result<Run> {
    let (config, credentials) = (folder.join("config"), folder.join("credentials"));
    std::fs::write(&config, CONFIG)?;
    std::fs::write(&credentials, CREDENTIALS)?;
    let kept = [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_EC2_METADATA_DISABLED",
    ];
    let variables = aws.env().into_iter();
    let variables = variables.filter(|(name, _)| kept.contains(&name.as_str()));
    let run = run.envs(variables).env("AWS_CONFIG_FILE", config);
    Ok(run.env("AWS_SHARED_CREDENTIALS_FILE", credentials))
}

#[tokio::test]
async fn a_profile_gives_region_and_assumed_role() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let folder = tempfile::tempdir()?;
    let deploy = |args: &[&str]| {
        let run = data.run("plan").args(args).args(["--project", "idf"]);
        with_profiles(&aws, run.endpoint("quay.io", &source.url()), folder.path())
    };
    let planned = deploy(&["--profile", "dev"])?.run().await.ended(0);
    let prefix = "123456789012.dkr.ecr.us-east-1.amazonaws.com/idf-";
    assert!(planned.stdout.contains(prefix), "{}", planned.stdout);
    assert_eq!(aws.count("AssumeRole"), 1);
    // A region wins over the profile's.
    let other = deploy(&["--profile", "base", "--region", "us-east-1"])?;
    let planned = other.run().await.ended(0);
    assert!(planned.stdout.contains(prefix), "{}", planned.stdout);
    assert_eq!(aws.count("AssumeRole"), 1);
    // A profile that does not exist.
    let refused = deploy(&["--profile", "dve"])?.run().await.ended(2);
    refused.said(&["--profile: there is no profile `dve`", "dev"]);
    let refused = deploy(&["--region", "us-east-1"])?.env("AWS_PROFILE", "nope");
    refused
        .run()
        .await
        .ended(2)
        .said(&["AWS_PROFILE: there is no profile `nope`"]);
    // Where AWS is not used, the variable does not matter.
    let run = data.plan().env("AWS_PROFILE", "nope");
    run.run().await.ended(0);
    Ok(())
}

#[tokio::test]
async fn a_profile_of_sso_is_an_error_that_says_how_to_use_it() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let data = Data::images(&["quay.io/team/app:1"]);
    for sso in [
        "sso_start_url = https://corp.awsapps.com/start\nsso_region = us-east-1\n",
        "sso_session = corp\n[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = us-east-1\n",
    ] {
        let folder = tempfile::tempdir()?;
        let account = "sso_account_id = 123456789012\nsso_role_name = dev\nregion = us-east-1\n";
        let run = data
            .run("plan")
            .args(["--project", "idf", "--profile", "sso"]);
        let run = with_profiles(&aws, run.endpoint("quay.io", &source.url()), folder.path())?;
        std::fs::write(
            folder.path().join("config"),
            format!("[profile sso]\n{account}{sso}"),
        )?;
        let refused = run.run().await.ended(1);
        let refused = refused.said(&[
            "IAM Identity Center (SSO)",
            "aws configure export-credentials --profile NAME",
            "credential_process",
        ]);
        assert!(!refused.stderr.contains("cargo"), "{}", refused.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn an_aws_error_names_host_region_and_profile() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = build(&aws, &data, &source).args(["--tries", "1"]);
    let run = run.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let failed = run.env("AWS_REGION", "us-east-1").run().await.ended(1);
    failed.said(&["http://127.0.0.1:9", "region us-east-1"]);
    Ok(())
}

#[tokio::test]
async fn outside_seed_farmer_a_parameter_is_a_variable_of_the_program() {
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = data.given_to(Run::new().args(["plan", "--no-observe"]));
    let run = run
        .env("REPLICATOR_EKS_VERSION", "1.34")
        .env("REPLICATOR_REGISTRY_PREFIX", "target.corp/idf-");
    let planned = run.run().await.ended(0);
    assert!(planned.stdout.contains("target prefix: target.corp/idf-"));
}

#[tokio::test]
async fn a_prefix_that_runs_into_names_is_shown_with_one_of_them() {
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = data.given_to(Run::new().args(["plan", "--no-observe", "--eks-version", "1.34"]));
    let run = run.args(["--registry-prefix", "localhost:5000/mirror"]);
    let planned = run.run().await.ended(0);
    let planned = planned.said(&[
        "localhost:5000/mirrorquay.io/team/app:1",
        "write localhost:5000/mirror/",
    ]);
    let name = "a complete name: localhost:5000/mirrorquay.io/team/app:1";
    assert!(planned.stdout.contains(name), "{}", planned.stdout);
}
