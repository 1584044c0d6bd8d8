//! Looking at what is there: `replicator inspect`, `ls` and `report`.

mod listing;
mod page;

use lab::image::Image;
use lab::registry::Registry;
use serde_json::Value;

use super::Result;
use super::ecr::image;
use super::run::Run;

const BUCKET: &str = "idf-dkr-img-rep-md-us-east-1-123456789012";

const PAGE: &str = "dev-replication-images-report.html";

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[tokio::test]
async fn an_index_is_shown_with_its_platforms_sizes_and_layers() -> Result {
    let registry = Registry::start().await?;
    let pushed = image().push(&registry, "team/app", "1")?;
    let name = format!("{}/team/app:1", registry.host());
    let table = Run::new().args(["inspect", &name]).run().await.ended(0);
    for wanted in [
        name.as_str(),
        "application/vnd.oci.image.index.v1+json",
        "linux/amd64",
        "linux/arm64",
        "no signatures",
    ] {
        assert!(
            table.stdout.contains(wanted),
            "no {wanted} in\n{}",
            table.stdout
        );
    }
    assert!(
        table.stdout.lines().all(|line| line.chars().count() <= 120),
        "{}",
        table.stdout
    );
    let found = Run::new()
        .args(["inspect", &name, "-o", "json"])
        .run()
        .await
        .ended(0);
    let found = parsed(&found.stdout);
    assert_eq!(found["digest"], pushed.root.digest.as_str());
    let images = found["images"].as_array().expect("images");
    assert_eq!(images.len(), 2);
    let layers = images[0]["layers"].as_array().expect("layers");
    let of_layers: u64 = layers
        .iter()
        .filter_map(|layer| layer["size"].as_u64())
        .sum();
    assert!(
        images[0]["size"].as_u64() > Some(of_layers),
        "the config counts too"
    );
    assert!(
        found["size"].as_u64() < images[0]["size"].as_u64().map(|size| size * 2),
        "shared layers count once"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_is_an_error_that_says_so() -> Result {
    let registry = Registry::start().await?;
    image().push(&registry, "team/app", "1")?;
    let name = format!("{}/team/app:2", registry.host());
    let missing = Run::new().args(["inspect", &name]).run().await.ended(1);
    assert!(missing.stderr.contains("there is no"), "{}", missing.stderr);
    let bad = Run::new().args(["inspect", "UPPER:1"]).run().await.ended(2);
    assert!(bad.stderr.contains("REF"), "{}", bad.stderr);
    Ok(())
}

#[tokio::test]
async fn tables_fit_the_terminal() -> Result {
    let registry = Registry::start().await?;
    let long =
        "mirror/registry.example/organisation/a-component-with-quite-a-long-name-that-is-cut";
    for (name, tag, seed) in [
        ("mirror/quay.io/team/app", "7.1", 2),
        ("mirror/quay.io/team/agent", "2", 3),
        (long, "v0.139.0-enterprise.12", 4),
    ] {
        let image = Image::new().platform("linux/amd64").platform("linux/arm64");
        image
            .base(5000, 1)
            .layer(3000, seed)
            .push(&registry, name, tag)?;
    }
    let (host, dir) = (registry.host(), tempfile::tempdir()?);
    let result = dir.path().join("replication_result.json");
    let digests = serde_json::json!({
        format!("{host}/mirror/quay.io/team/app:7.1"): format!("sha256:{}", "0".repeat(64)),
        format!("{host}/mirror/quay.io/team/gone:1"): format!("sha256:{}", "0".repeat(64)),
    });
    std::fs::write(
        &result,
        serde_json::json!({"charts": {}, "digests": digests}).to_string(),
    )?;
    for columns in ["80", "140"] {
        let listed = Run::new()
            .args(["ls", &format!("{host}/mirror/"), "--result"])
            .arg(&result);
        let listed = listed.env("COLUMNS", columns).run().await.ended(0).stdout;
        let inspected =
            Run::new().args(["inspect", &format!("{host}/{long}:v0.139.0-enterprise.12")]);
        let inspected = inspected
            .env("COLUMNS", columns)
            .run()
            .await
            .ended(0)
            .stdout;
        let shown = format!("# ls\n\n{listed}\n# inspect\n\n{inspected}");
        let tables = shown.lines().filter(|line| line.starts_with("  "));
        let widest = tables.map(|line| line.chars().count()).max();
        assert!(widest <= columns.parse().ok(), "{shown}");
        let path = format!("snapshots/looking-{columns}.txt");
        expect_test::expect_file![path].assert_eq(&shown.replace(&host, "registry.corp"));
    }
    Ok(())
}
