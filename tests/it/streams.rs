//! Standard error and standard output that are closed or full do not block a run.

use std::io::{PipeReader, Write};
use std::process::Stdio;
use std::time::Duration;

use lab::chart::{Chart, ChartRepository};
use lab::image::Image;
use lab::registry::Registry;

use super::Result;
use super::data::Data;
use super::run::Run;

/// A pipe whose reader has gone.
fn closed() -> Stdio {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer.into()
}

/// A pipe that is full, and its reader, which does not read.
async fn full() -> (Stdio, PipeReader) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut filler = writer.try_clone().expect("the same pipe");
    std::thread::spawn(move || while filler.write_all(&[b'x'; 4096]).is_ok() {});
    // It fills up at once, and then waits for the reader to go.
    tokio::time::sleep(Duration::from_millis(200)).await;
    (writer.into(), reader)
}

fn full_disk() -> Stdio {
    let file = std::fs::OpenOptions::new().write(true).open("/dev/full");
    file.expect("the device").into()
}

async fn source() -> anyhow::Result<(Registry, String)> {
    let source = Registry::start().await?;
    Image::new().layer(5000, 1).push(&source, "team/app", "1")?;
    let from = format!("{}/team/app:1", source.host());
    Ok((source, from))
}

#[tokio::test]
async fn a_copy_ends_well_whatever_standard_error_is() -> Result {
    let (_source, from) = source().await?;
    for more in [&[][..], &["-vv"], &["--log-format", "json"]] {
        let (pipe, _reader) = full().await;
        for stderr in [closed(), pipe, full_disk()] {
            let target = Registry::start().await?;
            let to = format!("{}/app:1", target.host());
            let run = Run::new().args(["copy", &from, &to]).args(more);
            let done = run.stderr(stderr).run().await.ended(0);
            assert!(done.took < Duration::from_secs(20), "{:?}", done.took);
            assert_eq!(target.tags("app"), ["1"]);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_deployment_says_more_than_a_pipe_holds_and_ends_well() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let names: Vec<String> = (0..200)
        .map(|n| format!("quay.io/team/{}:{n}", "a".repeat(200)))
        .collect();
    for number in 0..200 {
        let image = Image::new().layer(10, number);
        image.push(
            &source,
            &format!("team/{}", "a".repeat(200)),
            &number.to_string(),
        )?;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let data = Data::images(&names);
    let (reader, writer) = std::io::pipe()?;
    let run = data.deploy(&target).endpoint("quay.io", &source.url());
    run.stderr(writer.into()).run().await.ended(0);
    drop(reader);
    Ok(())
}

#[tokio::test]
async fn failures_keep_their_exit_codes() -> Result {
    let target = Registry::start().await?;
    let to = format!("{}/app:1", target.host());
    for (args, code) in [
        (&["copy", "127.0.0.1:1/app:1", &to, "--tries", "1"][..], 1),
        (&["copy", "not a name", &to], 2),
        (&["fly"], 2),
        (&["--help"], 0),
    ] {
        let (pipe, _reader) = full().await;
        for stderr in [closed(), pipe, full_disk()] {
            Run::new().args(args).stderr(stderr).run().await.ended(code);
        }
    }
    Ok(())
}

#[tokio::test]
async fn unread_output_does_not_fail_a_run_and_a_full_disk_does() -> Result {
    let data = Data::images(&["quay.io/team/app:1"]);
    data.plan().stdout(closed()).run().await.ended(0);
    let failed = data.plan().stdout(full_disk()).run().await.ended(1);
    failed.said(&["cannot write to standard output"]);
    Run::new()
        .arg("--help")
        .stdout(closed())
        .run()
        .await
        .ended(0);
    let charts = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    for command in ["template", "images", "discover"] {
        let run = || Run::new().args([command, "app", "--repo", &charts.url()]);
        run().stdout(closed()).run().await.ended(0);
    }
    // A signal ends the wait for a reader.
    let (pipe, _reader) = full().await;
    let run = data.plan().stdout(pipe).start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    run.terminate();
    run.finish().await.ended(143);
    Ok(())
}
