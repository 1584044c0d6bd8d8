//! What an error says to do: it names what the command has, and what helps.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use lab::aws::Aws;
use lab::faults::{Fault, Rule};
use lab::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Result;
use super::data::{Data, chart_entry};
use super::ecr::{build, image, seed_farmer};
use super::run::Run;

/// The flags that a text names.
fn flags(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    words.filter(|word| word.starts_with("--")).collect()
}

#[tokio::test]
async fn without_project_and_region_a_remedy_names_only_what_the_command_takes() {
    let module = |run: Run| {
        run.env("SEEDFARMER_PROJECT_NAME", "idf")
            .env("SEEDFARMER_DEPLOYMENT_NAME", "dev")
            .env("SEEDFARMER_MODULE_NAME", "replication-images")
    };
    let run = |args: &[&str]| Run::new().args(args);
    let data = Data::images(&["quay.io/team/app:1"]);
    let (folder, ecr) = ("`oci:mirror` for a folder", "name the target in ECR");
    for (command, run, named) in [
        ("plan", data.run("plan"), Some(folder)),
        ("deploy", data.run("deploy"), Some(folder)),
        ("prune", run(&["prune"]), Some(ecr)),
        ("policy", run(&["policy"]), Some(ecr)),
        ("policy", run(&["policy", "--for", "prune"]), Some(ecr)),
        (
            "destroy",
            run(&["destroy", "--retention-type", "DESTROY"]),
            Some(ecr),
        ),
        ("delete-repos", run(&["delete-repos", "idf", "--yes"]), None),
        ("verify", module(run(&["verify"])), None),
        ("values", module(run(&["values"])), None),
        ("publish", module(run(&["publish", "--list"])), Some(folder)),
    ] {
        let refused = run.run().await.ended(2);
        let refused = refused.said(&["no region is given", "--region"]);
        for other in [folder, ecr] {
            let is_named = refused.stderr.contains(other);
            assert_eq!(
                is_named,
                named == Some(other),
                "{command}: {}",
                refused.stderr
            );
        }
        let help = Run::new().args([command, "--help"]).run().await.ended(0);
        let known = flags(&help.stdout);
        let unknown: Vec<&str> = flags(&refused.stderr).difference(&known).copied().collect();
        assert!(unknown.is_empty(), "{command} has no {unknown:?}");
    }
}

/// A proxy that answers every request for a tunnel with a status.
async fn refusing_proxy(status: &str) -> anyhow::Result<u16> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let read = stream.read(&mut request).await;
                stream.write_all(answer.as_bytes()).await.ok();
                drop(read);
            });
        }
    });
    Ok(port)
}

#[tokio::test]
async fn an_error_names_the_proxy_and_its_answer_but_not_its_password() -> Result {
    for status in ["407 Proxy Authentication Required", "502 Bad Gateway"] {
        let port = refusing_proxy(status).await?;
        let run = Run::new().args(["copy", "quay.io/team/a:1", "oci:mirror:a:1", "--tries", "1"]);
        let run = run.env("HTTPS_PROXY", format!("http://me:hunter2@127.0.0.1:{port}"));
        let failed = run.run().await.ended(1);
        let failed = failed.said(&[
            &format!("the proxy http://127.0.0.1:{port} answers: {status}"),
            "source: ",
            "quay.io/team/a:1",
            "hint: ",
            "NO_PROXY",
        ]);
        assert!(!failed.stderr.contains("hunter2"), "{}", failed.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn an_aws_call_that_a_proxy_refuses_is_an_error_that_names_the_proxy() -> Result {
    let port = refusing_proxy("502 Bad Gateway").await?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = seed_farmer(data.given_to(Run::new().arg("deploy"))).out();
    let run = run
        .env("HTTPS_PROXY", format!("http://me:hunter2@127.0.0.1:{port}"))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIANONE")
        .env("AWS_SECRET_ACCESS_KEY", "none")
        .args(["--tries", "1"]);
    let failed = run.run().await.ended(1);
    let failed = failed.said(&["GetCallerIdentity", "us-east-1", "HTTPS_PROXY", "hint: "]);
    assert!(!failed.stderr.contains("hunter2"), "{}", failed.stderr);
    Ok(())
}

#[tokio::test]
async fn a_folder_in_place_of_a_result_file_is_refused_before_anything_is_copied() -> Result {
    let source = Registry::start().await?;
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    fs::create_dir_all(out.join("replication_report.json"))?;
    let deploy = data
        .given_to(Run::new().args(["deploy", "--eks-version", "1.34"]))
        .args(["--registry-prefix", "oci:mirror"]);
    let from = format!("{}/team/app:1", source.host());
    let copy = Run::new().args(["copy", &from, "oci:mirror:app:1"]);
    for run in [deploy.endpoint("quay.io", &source.url()), copy] {
        let refused = run.arg("--out").arg(&out).run().await.ended(2);
        refused.said(&[
            "--out",
            "replication_report.json is a folder",
            "name a folder that can be written to",
        ]);
    }
    assert_eq!(source.wire().requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_report_that_cannot_be_written_hides_neither_copies_nor_failures() -> Result {
    let source = Registry::start().await?;
    image().push(&source, "team/app", "1")?;
    let folder = tempfile::tempdir()?;
    for (tag, code, said) in [
        ("1", "1 copied", "hint: "),
        ("2", "1 failed", "there is no"),
    ] {
        let out = folder.path().join(tag);
        let stall = Rule::new(Fault::Stall(Duration::from_secs(1)));
        source.faults().add(stall.on("GET", "/manifests/").times(1));
        source.wire().clear();
        let from = format!("{}/team/app:{tag}", source.host());
        let run = Run::new().args(["copy", &from, "oci:mirror:app:1", "--out"]);
        let running = run.arg(&out).start();
        let asked = || !source.wire().requests().is_empty() || running.said("copied");
        running.until("a request", asked).await;
        fs::write(&out, "in the way")?;
        let failed = running.finish().await.ended(1);
        failed.said(&[code, "the report was not written", said]);
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_cannot_be_written_is_bad_input() -> Result {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("replication_report.json");
    let text = serde_json::json!({"artifacts": [], "totals": {
        "artifacts": 0, "copied": 0, "alreadyThere": 0, "failed": 0, "bytes": 0, "seconds": 0.0,
    }});
    fs::write(&report, text.to_string())?;
    let run = Run::new().arg("report").arg(&report);
    let page = folder.path().join("none/page.html");
    let refused = run.arg("--output").arg(&page).run().await.ended(2);
    refused.said(&["none/page.html", "--output"]);
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
async fn a_folder_that_cannot_be_the_target_is_one_error_before_anything_is_fetched() -> Result {
    let source = Registry::start().await?;
    image().push(&source, "team/app", "1")?;
    image().push(&source, "team/more", "1")?;
    let data = Data::images(&["quay.io/team/app:1", "quay.io/team/more:1"]);
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("file"), "not a folder")?;
    fs::create_dir(path("half"))?;
    fs::write(path("half/blobs"), "not a folder")?;
    let save = data.run("save").endpoint("quay.io", &source.url());
    save.arg(path("b.tar")).run().await.ended(0);
    source.wire().clear();
    let no_folder = |name: &str| format!("{} is not a folder", path(name));
    let impossible = [
        (path("file"), no_folder("file")),
        (path("file/x/y"), no_folder("file")),
        (path("half"), no_folder("half/blobs")),
        (path(&"n".repeat(300)), "too long".to_owned()),
        (
            "/proc/mirror".to_owned(),
            "/proc cannot be written to: ".to_owned(),
        ),
    ];
    for (dir, why) in &impossible {
        let prefix = format!("oci:{dir}");
        for command in ["deploy", "load", "plan"] {
            // A plan writes nothing there.
            if command == "plan" && dir == "/proc/mirror" {
                continue;
            }
            let run = if command == "load" {
                Run::new().arg(command).arg(path("b.tar")).out()
            } else {
                data.run(command).endpoint("quay.io", &source.url())
            };
            let run = run
                .args(["--registry-prefix", &prefix])
                .run()
                .await
                .ended(2);
            let errors = run.stderr.matches("--registry-prefix").count();
            assert_eq!(errors, 1, "{}", run.stderr);
            run.said(&[
                &format!("error: --registry-prefix {prefix}: "),
                why,
                "such as oci:mirror",
            ])
            .left_nothing();
        }
    }
    assert_eq!(source.wire().requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused_before_the_work_for_it() -> Result {
    let source = Registry::start().await?;
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    fs::write(&file, "not a folder")?;
    let mirror = format!("oci:{}", folder.path().join("mirror").display());
    let to = ["--registry-prefix", &mirror];
    let deploy = data.run("deploy").endpoint("quay.io", &source.url());
    let deployed = deploy.args(to).run().await.ended(0);
    let report = deployed.out().join("replication_report.json");
    source.wire().clear();
    let run = |command: &str| {
        let run = Run::new().args([command, "--eks-version", "1.34"]);
        data.given_to(run).endpoint("quay.io", &source.url())
    };
    let copy = ["copy", "quay.io/team/app:1", "oci:mirror:app:1"];
    for (place, why) in [
        (
            std::path::Path::new("/proc"),
            "/proc cannot be written to: ",
        ),
        (&file, "file is not a folder"),
    ] {
        let out = place.join("x");
        for run in [
            run("plan").args(to).arg("--out"),
            run("deploy").args(to).arg("--out"),
            Run::new().args(copy).arg("--out"),
            run("lock").arg("--lock"),
            run("save"),
            Run::new().arg("report").arg(&report).arg("--output"),
        ] {
            let refused = run.arg(&out).run().await.ended(2);
            assert!(!refused.stderr.contains(".partial-"), "{}", refused.stderr);
            refused.said(&[&out.display().to_string(), why, "can be written to"]);
        }
    }
    assert_eq!(source.wire().requests().len(), 0);
    Ok(())
}
