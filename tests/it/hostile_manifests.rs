//! Manifests made to harm, given to every command that walks through them: deploy, copy, plan and verify.
//! Each ends soon, with the reason, and with few requests and little memory.

use lab::image::{Image, media};
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::data::Data;
use super::run::{Finished, Run};

/// What a run may take, in bytes.
const MEMORY: u64 = 200 << 20;

const REPOSITORY: &str = "team/bad";

/// A registry with one artifact under the tag 1, and its digest.
struct Case {
    registry: Registry,
    digest: String,
}

impl Case {
    /// Runs every command on the artifact; none may read more than so many manifests.
    async fn commands(&self, most: usize) -> Vec<(&'static str, Finished)> {
        let mut done = Vec::new();
        for command in ["deploy", "copy", "plan", "verify"] {
            self.registry.wire().clear();
            let finished = self.run(command).await;
            let (peak, reads) = (
                finished.peak,
                self.registry.wire().count("GET", "/manifests/"),
            );
            assert!(peak < MEMORY, "{command} took {peak} bytes of memory");
            assert!(reads <= most, "{command} read {reads} manifests");
            done.push((command, finished));
        }
        done
    }

    async fn run(&self, command: &str) -> Finished {
        let target = Registry::start().await.expect("a registry");
        let data = Data::images(&["quay.io/team/bad:1"]);
        let source = self.registry.url();
        let run = match command {
            "deploy" => data.deploy(&target).endpoint("quay.io", &source),
            "plan" => {
                let prefix = format!("{}/mirror/", target.host());
                let run = data
                    .run("plan")
                    .arg("--json")
                    .args(["--registry-prefix", &prefix]);
                run.endpoint("quay.io", &source)
            }
            "copy" => {
                let (from, to) = (self.name(), format!("{}/team/bad:1", target.host()));
                Run::new().args(["copy", &from, &to])
            }
            _ => {
                let result = json!({"charts": {}, "additional_images": {"bad": self.name()},
                                    "digests": {self.name(): self.digest}});
                let folder = tempfile::tempdir().expect("a folder");
                let path = folder.path().join("replication_result.json");
                std::fs::write(&path, result.to_string()).expect("a file");
                let run = Run::new().arg("verify").arg(&path).arg("--json");
                run.needs(&std::sync::Arc::new(folder))
            }
        };
        let finished = run.run().await;
        assert_eq!(target.check_integrity(), Vec::<String>::new());
        finished
    }

    fn name(&self) -> String {
        format!("{}/{REPOSITORY}:1", self.registry.host())
    }
}

/// An index of some manifests, under a tag unless that is empty.
fn index(registry: &Registry, tag: &str, number: usize, children: &[Value]) -> Value {
    let index = json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": children,
                       "annotations": {"number": number.to_string()}});
    let pushed = registry.put_manifest(REPOSITORY, tag, media::INDEX, index.to_string());
    json!({"mediaType": media::INDEX, "digest": pushed.digest, "size": pushed.size})
}

fn leaf(registry: &Registry, seed: u64) -> anyhow::Result<Value> {
    let image = Image::new()
        .layer(10, seed)
        .push(registry, REPOSITORY, "")?;
    Ok(json!({"mediaType": media::MANIFEST, "digest": image.root.digest, "size": image.root.size}))
}

fn case(registry: Registry, root: &Value) -> Case {
    let digest = root["digest"].as_str().expect("a digest").to_owned();
    Case { registry, digest }
}

#[tokio::test]
async fn indexes_below_indexes_end_at_a_depth() -> Result {
    let registry = Registry::start().await?;
    let mut root = leaf(&registry, 1)?;
    for number in 0..100 {
        root = index(&registry, "1", number, &[root]);
    }
    let case = case(registry, &root);
    for (command, finished) in case.commands(20).await {
        let finished = finished.ended(1);
        let all = format!("{}{}", finished.stdout, finished.stderr);
        assert!(all.contains("without end"), "{command}: {all}");
    }
    Ok(())
}

#[tokio::test]
async fn many_paths_to_the_same_manifests_are_not_all_walked() -> Result {
    let registry = Registry::start().await?;
    let mut level = vec![leaf(&registry, 1)?];
    // Seven levels of twelve indexes, each of which names all of the level below: 12^7 paths.
    for depth in 0..7 {
        let next = (0..12).map(|number| index(&registry, "", 100 * depth + number, &level));
        level = next.collect();
    }
    let root = index(&registry, "1", 0, &level);
    let case = case(registry, &root);
    // Each distinct manifest is read once. A tree of so many is refused; verify counts each once.
    for (command, finished) in case.commands(100).await {
        match command {
            "verify" => finished.ended(0),
            _ => finished.ended(1).said(&["without end"]),
        };
    }
    Ok(())
}

#[tokio::test]
async fn manifests_of_many_megabytes_are_not_all_kept() -> Result {
    let registry = Registry::start().await?;
    let config = registry.put_blob(REPOSITORY, b"{}")?;
    let children = (0..40).map(|number| {
        let padding = format!("{number:02}{}", "x".repeat(4_000_000));
        let manifest = json!({"schemaVersion": 2, "mediaType": media::MANIFEST, "config": config, "layers": [],
                              "annotations": {"padding": padding}});
        let pushed = registry.put_manifest(REPOSITORY, "", media::MANIFEST, manifest.to_string());
        json!({"mediaType": media::MANIFEST, "digest": pushed.digest, "size": pushed.size})
    });
    let children: Vec<Value> = children.collect();
    let root = index(&registry, "1", 0, &children);
    for (_, finished) in case(registry, &root).commands(50).await {
        finished.ended(1);
    }
    Ok(())
}

#[tokio::test]
async fn a_foreign_layer_is_left_out_by_every_command() -> Result {
    let registry = Registry::start().await?;
    let config = registry.put_blob(REPOSITORY, b"{}")?;
    let own = registry.put_blob(REPOSITORY, b"a layer of its own")?;
    let foreign = format!("sha256:{}", "a".repeat(64));
    let manifest = json!({"schemaVersion": 2, "mediaType": media::MANIFEST, "config": config, "layers": [
        {"mediaType": media::LAYER, "digest": own.digest, "size": own.size},
        {"mediaType": media::LAYER_FOREIGN, "digest": foreign, "size": 1_000_000_000,
         "urls": ["https://publisher.example/layer"]},
    ]});
    let root = registry.put_manifest(REPOSITORY, "1", media::MANIFEST, manifest.to_string());
    let root = json!({"digest": root.digest, "size": root.size});
    let (blobs, size) = (config.size + own.size, root["size"].as_u64());
    for (command, finished) in case(registry, &root).commands(50).await {
        let finished = finished.ended(0);
        match command {
            "deploy" => assert_eq!(finished.report_of("team/bad:1")["bytes"], blobs),
            "plan" => {
                let plan: Value = serde_json::from_str(&finished.stdout)?;
                assert_eq!(plan["outlook"]["bytes"], blobs);
                assert_eq!(plan["artifacts"][0]["bytes"], blobs + size.expect("a size"));
            }
            "verify" => {
                let found: Value = serde_json::from_str(&finished.stdout)?;
                assert_eq!(found["artifacts"][0]["blobs"], 2);
            }
            _ => {}
        }
    }
    Ok(())
}
