//! Sources and targets that misbehave: transient faults are retried, others are reported, and no tag ever
//! names what is not whole.

use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::{EcrBehaviour, Registry};

use super::Result;
use super::content::{assert_same, mirrored};
use super::data::Data;
use super::run::Run;

fn image() -> Image {
    Image::new().layer(20_000, 1).layer(30_000, 2)
}

#[tokio::test]
async fn a_missing_image_is_named_with_its_key_and_the_tag_that_was_read() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let data = Data::new(
        "additional_images:\n  agent: quay.io/team/agent\n",
        "charts: {}\n",
    );
    let run = data.deploy(&target).endpoint("quay.io", &source.url());
    run.run().await.ended(1).said(&[
        "(for agent)",
        "there is no quay.io/team/agent: the name has no tag, so the tag latest was read",
    ]);
    Ok(())
}

#[tokio::test]
async fn a_missing_source_image_fails_alone_and_nothing_is_published() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let there = image().push(&source, "team/there", "1")?;
    let data = Data::images(&[
        "quay.io/team/gone:1",
        "quay.io/team/there:1",
        "quay.io/team/there:2",
    ]);
    let run = data.deploy(&target).endpoint("quay.io", &source.url());
    let failed = run.run().await.ended(1);

    assert_same(&source, &there, &target, "1");
    assert_eq!(target.tags(&mirrored("team/there")), ["1"]);
    assert_eq!(target.tags(&mirrored("team/gone")), Vec::<String>::new());
    assert_eq!(
        failed.files(),
        [
            "replication_report.html",
            "replication_report.json",
            "updated_images.json"
        ]
    );
    assert_eq!(failed.report_of("team/there:1")["done"], "copied");
    for gone in ["team/gone:1", "team/there:2"] {
        let report = failed.report_of(gone);
        assert_eq!(report["done"], "failed");
        assert!(
            report["error"]
                .to_string()
                .contains(&format!("quay.io/{gone}")),
            "{report}"
        );
    }
    failed.said(&[
        "quay.io/team/gone:1",
        "(for image0)",
        "2 of 3 artifacts failed",
        "nothing was published",
    ]);
    Ok(())
}

#[tokio::test]
async fn damaged_content_never_arrives_and_the_error_names_the_source() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let other = |seed| Image::new().layer(20_000, seed).layer(30_000, seed + 1);
    let pushed = image().push(&source, "team/blob", "1")?;
    other(10).push(&source, "team/manifest", "1")?;
    let whole = other(20).push(&source, "team/whole", "1")?;
    let faults = source.faults();
    faults.add(Rule::new(Fault::Corrupt { at: 15_000 }).on("GET", "team/blob/blobs/"));
    faults.add(Rule::new(Fault::Corrupt { at: 30 }).on("GET", "team/manifest/manifests/"));
    let data = Data::images(&[
        "quay.io/team/blob:1",
        "quay.io/team/manifest:1",
        "quay.io/team/whole:1",
    ]);
    let run = data.deploy(&target).args(["--tries", "2"]);
    let failed = run.endpoint("quay.io", &source.url()).run().await.ended(1);

    assert_same(&source, &whole, &target, "1");
    for repository in ["team/blob", "team/manifest"] {
        assert_eq!(target.tags(&mirrored(repository)), Vec::<String>::new());
        assert_eq!(
            target.manifests(&mirrored(repository)),
            Vec::<String>::new()
        );
        let report = failed.report_of(&format!("{repository}:1"));
        assert_eq!(report["done"], "failed");
        let error = report["error"].to_string();
        for word in ["source", "sha256:", "damaged"] {
            assert!(error.contains(word), "`{word}` is missing in {error}");
        }
    }
    for blob in &pushed.blobs {
        let arrived = target.blob(&mirrored("team/blob"), &blob.digest);
        assert!(arrived.is_none() || arrived == source.blob("team/blob", &blob.digest));
    }
    Ok(())
}

#[tokio::test]
async fn many_failures_for_one_reason_are_listed_together_and_the_odd_one_apart() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let mut names = Vec::new();
    for number in 0..12 {
        image().push(&source, &format!("team/app{number}"), "1")?;
        names.push(format!("quay.io/team/app{number}:1"));
    }
    names.push("quay.io/other/gone:1".to_owned());
    let limit = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit."}]}"#;
    let limited = Fault::status(429).body(limit);
    source.faults().add(Rule::new(limited).on("GET", "/team/"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let run = Data::images(&names).deploy(&target);
    let failed = run.endpoint("quay.io", &source.url()).run().await.ended(1);
    let failed = failed.said(&[
        "12 artifacts failed for one reason: source 127.0.0.1",
        "the limit of pulls is used up",
        "HelmRepoSecretName",
        "and 4 more: see the report",
        "source: there is no quay.io/other/gone:1",
        "13 of 13 artifacts failed",
    ]);
    assert_eq!(failed.lines_with("the first of them"), 1);
    // A rate limit of hours is not retried.
    assert_eq!(source.wire().count("GET", "/team/app3/manifests/"), 1);
    Ok(())
}

#[tokio::test]
async fn content_that_one_source_has_damaged_is_read_from_another() -> Result {
    let source = Registry::start().await?;
    let pushed = image().push(&source, "team/a", "1")?;
    image().layer(10, 9).push(&source, "team/b", "1")?;
    for (size, fault) in [
        (20_000, Fault::status(404)),
        (30_000, Fault::Corrupt { at: 15_000 }),
    ] {
        let layer = pushed.blobs.iter().find(|blob| blob.size == size);
        let path = format!("team/a/blobs/{}", layer.expect("a layer").digest);
        source.faults().add(Rule::new(fault).on("GET", &path));
    }
    let data = Data::images(&["quay.io/team/a:1", "quay.io/team/b:1"]);
    let whole = Registry::start().await?;
    let no_mounting = EcrBehaviour {
        blob_mounting: false,
        ..EcrBehaviour::OFF
    };
    let apart = Registry::builder().ecr(no_mounting).start().await?;
    for target in [whole, apart] {
        let run = data.deploy(&target).endpoint("quay.io", &source.url());
        run.args(["--tries", "2"]).run().await.ended(0);
        assert_same(&source, &pushed, &target, "1");
        assert_eq!(target.check_integrity(), Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn too_many_and_too_few_bytes_are_refused() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = image().push(&source, "team/app", "1")?;
    let layer = pushed
        .blobs
        .iter()
        .find(|blob| blob.size == 30_000)
        .expect("a layer");
    let path = format!("/blobs/{}", layer.digest);
    for body in [vec![b'x'; 30_001], vec![b'x'; 29_999]] {
        source.faults().clear();
        let body = String::from_utf8(body)?;
        source
            .faults()
            .add(Rule::new(Fault::status(200).body(&body)).on("GET", &path));
        let run = Data::images(&["quay.io/team/app:1"]).deploy(&target);
        let run = run
            .args(["--tries", "1"])
            .endpoint("quay.io", &source.url());
        let failed = run.run().await.ended(1);
        assert_eq!(target.tags(&mirrored("team/app")), Vec::<String>::new());
        let error = failed.report_of("team/app:1")["error"].to_string();
        assert!(
            error.contains("source") && error.contains("30000 bytes"),
            "{error}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn transient_faults_are_retried() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let busy = || Fault::status(429).header("Retry-After", "1");
    let faults = [
        (
            "truncated",
            true,
            Fault::Truncate { after: 1000 },
            "GET",
            "/blobs/",
        ),
        (
            "corrupted",
            true,
            Fault::Corrupt { at: 10 },
            "GET",
            "/blobs/",
        ),
        ("busy", true, busy(), "GET", "/manifests/"),
        ("cut", true, Fault::Reset, "GET", "/manifests/"),
        (
            "unwell",
            false,
            Fault::status(503),
            "POST",
            "/blobs/uploads/",
        ),
        (
            "dropped",
            false,
            Fault::DropUpload { after: 5000 },
            "PUT",
            "/blobs/uploads/",
        ),
        (
            "unheard",
            false,
            Fault::LoseAnswer,
            "PUT",
            "/blobs/uploads/",
        ),
        ("unheard2", false, Fault::LoseAnswer, "PUT", "/manifests/"),
        ("throttled", false, busy(), "PUT", "/manifests/"),
    ];
    let (mut names, mut all) = (Vec::new(), Vec::new());
    for (seed, (name, at_source, fault, method, path)) in (1..).zip(faults) {
        // Nothing in common, or one would get by mounting what it should have sent.
        let image = Image::new().layer(20_000, seed).layer(30_000, 100 + seed);
        all.push(image.push(&source, &format!("team/{name}"), "1")?);
        names.push(format!("quay.io/team/{name}:1"));
        let faults = if at_source {
            source.faults()
        } else {
            target.faults()
        };
        faults.add(
            Rule::new(fault)
                .on(method, &format!("/{name}{path}"))
                .times(1),
        );
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let run = Data::images(&names).deploy(&target);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    for pushed in &all {
        assert_same(&source, pushed, &target, "1");
    }
    assert_eq!(
        source.faults().injected().len() + target.faults().injected().len(),
        9
    );
    Ok(())
}

#[tokio::test]
async fn a_target_that_refuses_is_named_and_keeps_no_tag() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let other = image().push(&source, "team/other", "1")?;
    let refusal =
        Fault::status(403).body(r#"{"errors":[{"code":"DENIED","message":"no pushes here"}]}"#);
    target
        .faults()
        .add(Rule::new(refusal).on("PUT", "team/app/manifests/1"));
    let data = Data::images(&["quay.io/team/app:1", "quay.io/team/other:1"]);
    let failed = data
        .deploy(&target)
        .endpoint("quay.io", &source.url())
        .run()
        .await
        .ended(1);
    assert_same(&source, &other, &target, "1");
    assert_eq!(target.tags(&mirrored("team/app")), Vec::<String>::new());
    let tries = target.wire().count("PUT", "team/app/manifests/1");
    assert_eq!(tries, 1, "a permanent refusal is not retried");
    failed.said(&["target", "DENIED", "no pushes here", "credentials"]);
    Ok(())
}

#[tokio::test]
async fn no_more_tries_are_made_than_allowed() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    target
        .faults()
        .add(Rule::new(Fault::status(500)).on("PUT", "/manifests/"));
    let run = Data::images(&["quay.io/team/app:1"]).deploy(&target);
    let run = run
        .args(["--tries", "3"])
        .endpoint("quay.io", &source.url());
    run.run().await.ended(1).said(&["target", "500"]);
    assert_eq!(target.wire().count("PUT", "/manifests/"), 3);
    Ok(())
}

#[tokio::test]
async fn what_a_failed_run_sent_is_not_sent_again() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = image().push(&source, "team/app", "1")?;
    target.faults().add(
        Rule::new(Fault::status(404))
            .on("PUT", "/manifests/")
            .times(1),
    );
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = || data.deploy(&target).endpoint("quay.io", &source.url());
    run().run().await.ended(1);
    assert_eq!(
        target.wire().count("POST", "/blobs/uploads/"),
        pushed.blobs.len()
    );
    target.wire().clear();
    run().run().await.ended(0);
    assert_eq!(target.wire().count("PUT", "/blobs/uploads/"), 0);
    assert_same(&source, &pushed, &target, "1");
    Ok(())
}

#[tokio::test]
async fn other_content_than_a_manifest_is_refused_with_the_reason() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let old = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    source.put_manifest("team/old", "1", old, r#"{"schemaVersion":1}"#);
    source.put_manifest("team/page", "1", "text/html", "<html>Sign in</html>");
    let data = Data::images(&["quay.io/team/old:1", "quay.io/team/page:1"]);
    let run = data.deploy(&target).endpoint("quay.io", &source.url());
    let failed = run.run().await.ended(1);
    assert!(
        failed.report_of("old:1")["error"]
            .to_string()
            .contains("schema 1")
    );
    assert_eq!(failed.report_of("page:1")["done"], "failed");
    assert_eq!(target.repositories(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_output_folder_that_cannot_be_is_noticed_before_anything_is_copied() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let run =
        data.given_to(Run::new().args(["deploy", "--eks-version", "1.34", "--out", "/dev/null/x"]));
    let run = run
        .arg("--registry-prefix")
        .arg(format!("{}/mirror/", target.host()));
    run.endpoint("quay.io", &source.url())
        .run()
        .await
        .ended(2)
        .said(&["/dev/null/x", "is not a folder"]);
    assert_eq!(target.wire().requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn an_index_with_a_child_that_is_gone_fails_and_gets_no_tag() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let index = Image::new()
        .platform("linux/amd64")
        .platform("linux/arm64")
        .layer(100, 1);
    let pushed = index.push(&source, "team/app", "1")?;
    let child = &pushed.manifests[1].digest;
    source.remove_manifest("team/app", child);
    let run = Data::images(&["quay.io/team/app:1"]).deploy(&target);
    let failed = run.endpoint("quay.io", &source.url()).run().await.ended(1);
    assert_eq!(target.tags(&mirrored("team/app")), Vec::<String>::new());
    failed.said(&["source", child]);
    Ok(())
}
