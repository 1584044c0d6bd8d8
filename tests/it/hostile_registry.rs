//! Registries that mean no good: manifests made to harm, and answers that lead astray. Each fails
//! alone, with the image's name and the reason, and no tag names it.

use lab::content::digest_of;
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::content::{mirrored, writes};
use super::data::Data;
use super::run::Finished;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a run may take, in bytes.
const MEMORY: u64 = 200 << 20;

/// Deploys `quay.io/team/bad:1` beside a good image, which must arrive.
async fn deployed(source: &Registry) -> anyhow::Result<(Finished, Registry)> {
    let target = Registry::start().await?;
    Image::new().layer(100, 1).push(source, "team/good", "1")?;
    let data = Data::images(&["quay.io/team/bad:1", "quay.io/team/good:1"]);
    let run = data.deploy(&target).args(["--tries", "2"]);
    let done = run.endpoint("quay.io", &source.url()).run().await;
    assert!(done.peak < MEMORY, "{} bytes of memory", done.peak);
    assert_eq!(target.tags(&mirrored("team/good")), ["1"]);
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok((done, target))
}

/// The same, and it must fail, for these reasons, without a result and without a tag.
async fn refused(source: &Registry, reasons: &[&str]) -> anyhow::Result<Registry> {
    let (failed, target) = deployed(source).await?;
    let failed = failed.ended(1);
    assert_eq!(target.tags(&mirrored("team/bad")), Vec::<String>::new());
    assert_eq!(
        failed.files(),
        [
            "replication_report.html",
            "replication_report.json",
            "updated_images.json"
        ]
    );
    let error = failed.report_of("team/bad:1")["error"].to_string();
    for reason in reasons {
        assert!(error.contains(reason), "`{reason}` is missing in {error}");
    }
    failed.said(&["quay.io/team/bad:1", "1 of 2 artifacts failed"]);
    Ok(target)
}

fn child(digest: &str, size: impl Into<Value>) -> Value {
    json!({"mediaType": MANIFEST, "digest": digest, "size": size.into()})
}

/// An image with one layer, whose descriptor is changed.
fn with_layer(source: &Registry, change: impl FnOnce(&mut Value)) -> anyhow::Result<String> {
    let config = source.put_blob("team/bad", b"{}")?;
    let layer = source.put_blob("team/bad", b"a layer")?;
    let mut layer = json!({"mediaType": "x", "digest": layer.digest, "size": layer.size});
    change(&mut layer);
    Ok(json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string())
}

#[tokio::test]
async fn sizes_and_digests_that_lie_are_found_out() -> Result {
    let source = Registry::start().await?;
    let put = |text: &str| source.put_manifest("team/bad", "1", MANIFEST, text.to_owned());
    for (field, lie, reason) in [
        ("size", json!(1), "should have 1 bytes, more came"),
        ("size", json!(70), "should have 70 bytes, fewer came"),
        ("size", json!(u64::MAX), "fewer came"),
        ("size", json!(-1), "does not hold what"),
        ("size", json!("7"), "does not hold what"),
        (
            "digest",
            json!("md5:d41d8cd98f00b204e9800998ecf8427e"),
            "does not hold what",
        ),
        ("digest", json!("sha256:../../x"), "does not hold what"),
        ("digest", json!(digest_of(b"gone")), "404"),
        ("digest", json!(7), "does not hold what"),
    ] {
        put(&with_layer(&source, |layer| layer[field] = lie)?);
        refused(&source, &[reason]).await?;
    }
    for text in [
        "{}",
        "[]",
        "7",
        "",
        "{\"schemaVersion\":2,\"layers\":[]}",
        "{\"config\":{}}",
    ] {
        put(text);
        refused(&source, &["does not hold what"]).await?;
    }
    put(&"[".repeat(100_000));
    refused(&source, &["does not hold what"]).await?;

    // What the header promises is not what comes.
    let text = with_layer(&source, |_| {})?;
    put(&text);
    let other = Fault::Answer {
        status: 200,
        headers: vec![
            ("Content-Type".to_owned(), MANIFEST.to_owned()),
            (
                "Docker-Content-Digest".to_owned(),
                digest_of(text.as_bytes()),
            ),
        ],
        body: text.replace('7', "8"),
    };
    source
        .faults()
        .add(Rule::new(other).on("GET", "/bad/manifests/"));
    refused(&source, &["damaged"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_manifest_that_is_too_large_is_not_read_to_its_end() -> Result {
    let source = Registry::start().await?;
    let children = vec![child(&digest_of(b"x"), 1); 100_000];
    let index = json!({"schemaVersion": 2, "manifests": children}).to_string();
    source.put_manifest("team/bad", "1", INDEX, index);
    refused(&source, &["4194304 bytes"]).await?;
    let least: Vec<Value> = (0..10_001)
        .map(|_| json!({"digest": digest_of(b"x"), "size": 1}))
        .collect();
    let index = json!({"manifests": least}).to_string();
    source.put_manifest("team/bad", "1", INDEX, index);
    let target = refused(&source, &["it has 10001 manifests, more than 10000"]).await?;
    assert!(
        writes(target.wire())
            .iter()
            .all(|write| !write.contains("bad"))
    );
    Ok(())
}

#[tokio::test]
async fn an_index_that_names_itself_by_a_lying_digest_is_found_out() -> Result {
    let source = Registry::start().await?;
    let digest = digest_of(b"the index itself");
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [child(&digest, 9)]})
        .to_string();
    source.put_manifest("team/bad", "1", INDEX, index.clone());
    let itself = Fault::Answer {
        status: 200,
        headers: vec![
            ("Content-Type".to_owned(), INDEX.to_owned()),
            ("Docker-Content-Digest".to_owned(), digest.clone()),
        ],
        body: index,
    };
    source.faults().add(Rule::new(itself).on("GET", &digest));
    refused(&source, &["damaged", &digest]).await?;
    Ok(())
}

#[tokio::test]
async fn indexes_without_end_are_not_followed_to_it() -> Result {
    let source = Registry::start().await?;
    let image = Image::new().layer(10, 1).push(&source, "team/bad", "")?;
    let mut root = (image.root.digest, image.root.size);
    for _ in 0..1_000 {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": INDEX, "digest": root.0, "size": root.1}
        ]});
        let index = source.put_manifest("team/bad", "1", INDEX, index.to_string());
        root = (index.digest, index.size);
    }
    let target = refused(&source, &["an index of indexes without end"]).await?;
    assert!(source.wire().count("GET", "/team/bad/manifests/") < 20);
    assert!(
        writes(target.wire())
            .iter()
            .all(|write| !write.contains("bad"))
    );
    Ok(())
}

#[tokio::test]
async fn a_child_that_is_named_many_times_is_brought_once() -> Result {
    let source = Registry::start().await?;
    let image = Image::new().layer(10, 1).push(&source, "team/bad", "")?;
    let children = vec![child(&image.root.digest, image.root.size); 1_000];
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children});
    let index = source.put_manifest("team/bad", "1", INDEX, index.to_string());
    let (done, target) = deployed(&source).await?;
    done.ended(0);
    let to = mirrored("team/bad");
    assert_eq!(
        target.manifest(&to, "1").map(|found| found.2),
        Some(index.digest)
    );
    Ok(())
}

#[tokio::test]
async fn redirects_without_end_are_not_followed_to_it() -> Result {
    for path in ["/bad/manifests/", "/bad/blobs/"] {
        let source = Registry::start().await?;
        Image::new().layer(10, 1).push(&source, "team/bad", "1")?;
        let itself = format!("{}{{path}}", source.url());
        source
            .faults()
            .add(Rule::new(Fault::Redirect(itself)).on("GET", path));
        source
            .faults()
            .add(Rule::new(Fault::Redirect(format!("{}{{path}}", source.url()))).on("HEAD", path));
        refused(&source, &["redirect"]).await?;
        let asked = source.wire().count("", path);
        assert!(asked < 60, "{asked} requests");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_registry_says_cannot_write_on_the_terminal() -> Result {
    let source = Registry::start().await?;
    let body = json!({"errors": [{"code": "DENIED", "message": "\u{1b}[2J\u{1b}]0;evil\u{7} go\r\naway"}]});
    let fault = Fault::status(400).body(&body.to_string());
    source
        .faults()
        .add(Rule::new(fault).on("", "/bad/manifests/1"));
    let (failed, _) = deployed(&source).await?;
    let failed = failed.ended(1);
    assert!(
        !failed.stderr.contains(['\u{1b}', '\u{7}', '\r']),
        "{}",
        failed.stderr
    );
    Ok(())
}
