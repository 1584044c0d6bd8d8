//! What a run costs grows with the number of artifacts, and not faster.

use lab::image::Image;
use lab::registry::Registry;
use serde_json::json;

use super::Result;
use super::run::{Finished, Run};

/// More than are copied at once.
const FEW: u64 = 300;
const MANY: u64 = 1_200;

/// The most bytes of memory that one artifact more may cost: it has an index, three manifests and four blobs.
const MEMORY: f64 = 8.0 * 1024.0;

/// Copies the pairs of source and target.
async fn copy(pairs: Vec<(String, String)>) -> anyhow::Result<Finished> {
    let folder = tempfile::tempdir()?;
    let list = folder.path().join("pairs.json");
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(src, target)| json!({"src": src, "target": target}))
        .collect();
    std::fs::write(&list, serde_json::to_vec(&pairs)?)?;
    let run = Run::new().arg("copy").arg("--list").arg(&list);
    Ok(run.run().await.ended(0))
}

/// What each artifact more costs: requests at the target, and bytes of memory.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a test are far below 2^52"
)]
fn slope(few: (usize, u64), many: (usize, u64)) -> (f64, f64) {
    let more = (MANY - FEW) as f64;
    (
        (many.0 - few.0) as f64 / more,
        (many.1.saturating_sub(few.1)) as f64 / more,
    )
}

#[tokio::test]
async fn one_image_in_many_repositories_costs_the_same_for_each() -> Result {
    let source = Registry::start().await?;
    Image::new()
        .platform("linux/amd64")
        .platform("linux/arm64")
        .layer(900, 1)
        .push(&source, "team/app", "1")?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for number in [FEW, MANY] {
        let target = Registry::start().await?;
        let name = |n| format!("{}/mirror/app{n}:1", target.host());
        let from = format!("{}/team/app:1", source.host());
        let pairs = || (0..number).map(|n| (from.clone(), name(n))).collect();
        let first = copy(pairs()).await?;
        cold.push((target.wire().requests().len(), first.peak));
        target.wire().clear();
        let second = copy(pairs()).await?;
        warm.push((target.wire().requests().len(), second.peak));
    }
    let (requests, memory) = slope(cold[0], cold[1]);
    // An index and two manifests, four blobs that are mounted, and a look at the name.
    assert!(
        requests <= 9.0,
        "{requests} requests per artifact: {cold:?}"
    );
    assert!(memory <= MEMORY, "{memory} bytes per artifact: {cold:?}");
    let (requests, memory) = slope(warm[0], warm[1]);
    assert!(
        (requests - 1.0).abs() < f64::EPSILON,
        "{requests}: {warm:?}"
    );
    assert!(memory <= MEMORY, "{memory} bytes per artifact: {warm:?}");
    Ok(())
}

#[tokio::test]
async fn many_names_of_one_folder_are_all_in_its_index() -> Result {
    let source = Registry::start().await?;
    Image::new().layer(900, 1).push(&source, "team/app", "1")?;
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("mirror");
    let from = format!("{}/team/app:1", source.host());
    let name = |n| format!("oci:{}:app{n}", dir.display());
    copy((0..MANY).map(|n| (from.clone(), name(n))).collect()).await?;
    let index = std::fs::read(dir.join("index.json"))?;
    let index: serde_json::Value = serde_json::from_slice(&index)?;
    let names = index["manifests"].as_array().map(Vec::len);
    assert_eq!(names, Some(usize::try_from(MANY)?));
    Ok(())
}
