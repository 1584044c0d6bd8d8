//! Bundles that were cut or changed.

use std::fs;
use std::path::Path;

use lab::registry::Registry;
use serde_json::Value;

use crate::Result;

use super::{Sources, load};

/// A bundle with something changed, which must be refused before anything is written.
async fn refused(bundle: &Path, said: &str) {
    let target = Registry::start().await.expect("a registry");
    let run = load(bundle, &format!("{}/mirror/", target.host()))
        .run()
        .await
        .ended(2);
    let run = run.said(&[said]).left_nothing();
    let writes = target.wire().requests().into_iter();
    let writes: Vec<_> = writes
        .filter(|request| !matches!(request.method.as_str(), "GET" | "HEAD"))
        .collect();
    assert!(writes.is_empty(), "{writes:?}\n{}", run.stderr);
}

#[tokio::test]
async fn a_bundle_that_was_cut_or_changed_is_refused_before_anything_is_written() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let at = |name: &str| parent.path().join(name);
    sources.save(&at("bundle.tar")).await.ended(0);
    sources
        .run("save")
        .args(["--split", "64KiB"])
        .arg(at("split.tar"))
        .run()
        .await
        .ended(0);
    let whole = fs::read(at("bundle.tar"))?;
    let index: Value = {
        let end = whole[1536..]
            .windows(3)
            .position(|three| three == b"}\0\0")
            .expect("the end of the index");
        serde_json::from_slice(&whole[1536..=1536 + end])?
    };
    let member = |path: &str| {
        let members = index["members"].as_array().expect("a list").iter();
        let mut found = members.filter(|member| {
            member["path"]
                .as_str()
                .is_some_and(|text| text.contains(path))
        });
        let offset = found.next().expect("a member")["offset"]
            .as_u64()
            .expect("a number");
        usize::try_from(offset).expect("a small number")
    };
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let last = index["members"]
        .as_array()
        .and_then(|members| members.last())
        .expect("a blob");
    let last = usize::try_from(last["offset"].as_u64().expect("a number"))?;
    for (bytes, said) in [
        (flipped(5), "not a bundle"),
        (flipped(560), "its front is damaged"),
        (
            flipped(600),
            "a part of it is damaged, nothing was written: bundle.json",
        ),
        (flipped(1540), "its front is damaged"),
        (flipped(member("index.json")), "index.json (at byte"),
        (
            flipped(member("replicator/data/default.yaml")),
            "default.yaml (at byte",
        ),
        (
            flipped(last - 512),
            "damaged, nothing was written: blobs/sha256/",
        ),
        (flipped(last), "damaged, nothing was written: blobs/sha256/"),
        (flipped(whole.len() - 1), "the end of the archive"),
        (whole[..whole.len() - 1].to_vec(), "it was cut"),
        (whole[..last].to_vec(), "it was cut"),
        (whole[..700].to_vec(), "not a bundle"),
        (Vec::new(), "give the file that `replicator save` wrote"),
        (
            b"charts: {}\n".repeat(500),
            "give the file that `replicator save` wrote",
        ),
        ([&whole[..], b"x"].concat(), "something was added"),
    ] {
        fs::write(at("changed.tar"), bytes)?;
        refused(&at("changed.tar"), said).await;
    }
    fs::rename(at("split.tar.001"), at("kept"))?;
    refused(&at("split.tar"), "split.tar.001 is missing").await;
    fs::rename(at("kept"), at("split.tar.001"))?;
    fs::remove_file(at("split.tar.002"))?;
    refused(&at("split.tar"), "parts are missing").await;
    refused(&at("none.tar"), "there is no such file").await;
    Ok(())
}
