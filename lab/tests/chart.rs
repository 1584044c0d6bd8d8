//! Charts and their repositories as a client sees them.

use lab::chart::{CONTENT, Chart, ChartRepository};
use lab::content::digest_of;
use lab::registry::Registry;
use serde_json::Value;
use std::io::Read as _;

type Result = anyhow::Result<()>;

fn app() -> Chart {
    let common = Chart::new("common", "0.1.0").values("tag: 1\n");
    Chart::new("app", "1.2.3+build")
        .app_version("4.5")
        .meta("kubeVersion: \">= 1.25\"")
        .values("image: {tag: \"\"}\n")
        .dependency("common", "0.1.0", Some("shared"))
        .packed_subchart(&Chart::new("packed", "2.0.0"))
        .subchart(common)
        .provenance("signed")
}

#[test]
fn archives_are_deterministic_and_hold_the_files() -> Result {
    assert_eq!(app().archive(), app().archive());
    let archive = app().archive();
    let mut files = Vec::new();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(archive.as_slice())).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let mut text = Vec::new();
        entry.read_to_end(&mut text)?;
        files.push((path, String::from_utf8_lossy(&text).into_owned()));
    }
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let expected = [
        "app/Chart.yaml",
        "app/values.yaml",
        "app/charts/packed-2.0.0.tgz",
        "app/charts/common/Chart.yaml",
        "app/charts/common/values.yaml",
    ];
    assert_eq!(paths, expected);
    assert!(
        files[0]
            .1
            .contains("version: \"1.2.3+build\"\nappVersion: \"4.5\"\n"),
        "{}",
        files[0].1
    );
    Ok(())
}

#[tokio::test]
async fn a_repository_serves_its_index_and_its_archives() -> Result {
    let repository = ChartRepository::builder()
        .chart(app())
        .basic("me", "secret")
        .absolute_urls()
        .start()
        .await?;
    let client = reqwest::Client::new();
    let index = format!("{}/index.yaml", repository.url());
    assert_eq!(client.get(&index).send().await?.status(), 401);
    let index = client
        .get(&index)
        .basic_auth("me", Some("secret"))
        .send()
        .await?
        .text()
        .await?;
    let entry = index
        .lines()
        .find_map(|line| line.strip_prefix("  - "))
        .unwrap();
    let entry: Value = serde_json::from_str(entry)?;
    assert_eq!(entry["version"], "1.2.3+build");
    let url = entry["urls"][0].as_str().unwrap();
    let archive = client
        .get(url)
        .basic_auth("me", Some("secret"))
        .send()
        .await?
        .bytes()
        .await?;
    assert_eq!(
        digest_of(&archive),
        format!("sha256:{}", entry["digest"].as_str().unwrap())
    );
    assert!(repository.file("app-1.2.3+build.tgz.prov").is_some());

    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("stable"))?;
    std::fs::write(folder.path().join("stable/index.yaml"), "apiVersion: v1\n")?;
    let repository = ChartRepository::folder(folder.path()).await?;
    let index = format!("{}/stable/index.yaml", repository.url());
    assert_eq!(
        client.get(&index).send().await?.text().await?,
        "apiVersion: v1\n"
    );
    assert_eq!(
        client
            .get(format!("{}/stable/../../x", repository.url()))
            .send()
            .await?
            .status(),
        404
    );
    repository.set_file("stable/index.yaml", "entries: {}\n");
    assert_eq!(
        client.get(&index).send().await?.text().await?,
        "entries: {}\n"
    );
    assert_eq!(repository.wire().count_action("index.get"), 2);
    Ok(())
}

#[tokio::test]
async fn a_chart_in_a_registry_looks_as_helm_pushes_it() -> Result {
    let registry = Registry::start().await?;
    app().push_oci(&registry, "charts/app")?;
    assert_eq!(registry.tags("charts/app"), ["1.2.3_build"]);
    let (_, manifest, _) = registry.manifest("charts/app", "1.2.3_build").unwrap();
    let manifest: Value = serde_json::from_slice(&manifest)?;
    assert_eq!(manifest.get("mediaType"), None);
    let layers = manifest["layers"].as_array().unwrap();
    let content = layers
        .iter()
        .find(|layer| layer["mediaType"] == CONTENT)
        .unwrap();
    let archive = registry
        .blob("charts/app", content["digest"].as_str().unwrap())
        .unwrap();
    assert_eq!(archive, app().archive());
    assert_eq!(registry.check_integrity(), Vec::<String>::new());
    Ok(())
}
