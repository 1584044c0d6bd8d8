//! An account with images of which some are old, for tests of `replicator prune`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lab::aws::Aws;
use lab::image::{Image, Pushed};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::run::Run;

pub(crate) const BUCKET: &str = "idf-dkr-img-rep-md-us-east-1-123456789012";
pub(crate) const APP: &str = "idf-quay.io/team/app";

/// An account with repositories of the project `idf`, whose content is old unless a test says otherwise.
pub(crate) struct World {
    pub(crate) aws: Aws,
    /// Where the command runs, and writes its plan.
    pub(crate) dir: Arc<TempDir>,
}

pub(crate) fn ago(days: u64) -> SystemTime {
    SystemTime::now() - Duration::from_hours(24 * days)
}

/// An image of two platforms, with a layer that all such images share.
pub(crate) fn image(seed: u64) -> Image {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    image.base(500_000, 1).layer(3000, seed)
}

impl World {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let world = Self {
            aws: Aws::start().await?,
            dir: Arc::new(tempfile::tempdir()?),
        };
        world.repository(APP, "idf");
        Ok(world)
    }

    /// A repository of a project, which this program created long ago.
    pub(crate) fn repository(&self, name: &str, project: &str) {
        self.aws.put_repository(name, |repository| {
            let tags = [
                ("SeedFarmerProjectName", project),
                ("ManagedBy", "replicator"),
            ];
            let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
            repository.tags = tags.into();
            repository.created = ago(300);
        });
    }

    /// An image that was pushed 200 days ago and pulled 150 days ago.
    pub(crate) fn push(
        &self,
        repository: &str,
        tag: &str,
        image: &Image,
    ) -> anyhow::Result<Pushed> {
        let pushed = image.push(self.aws.registry(), repository, tag)?;
        for manifest in &pushed.manifests {
            self.times(repository, &manifest.digest, 200, Some(150));
        }
        Ok(pushed)
    }

    /// Sets how many days ago a manifest was pushed, and pulled.
    pub(crate) fn times(&self, repository: &str, digest: &str, pushed: u64, pulled: Option<u64>) {
        let pulled = pulled.map(ago);
        self.aws
            .set_image_times(repository, digest, ago(pushed), pulled);
    }

    /// Publishes a deployment's result, which names images by repository and tag.
    pub(crate) fn publish(&self, deployment: &str, images: &[(&str, &str)]) {
        let host = self.aws.ecr_host();
        let digests = images.iter().map(|(repository, tag)| {
            let manifest = self.aws.registry().manifest(repository, tag);
            let digest = manifest.map(|(_, _, digest)| digest).unwrap_or_default();
            (format!("{host}/{repository}:{tag}"), json!(digest))
        });
        let digests: serde_json::Map<String, Value> = digests.collect();
        let document = json!({"ami": {"version": ""}, "charts": {}, "digests": digests});
        let key = format!("{deployment}-replication-images-metadata.json");
        self.aws.put_object(BUCKET, &key, document.to_string());
    }

    pub(crate) fn prune(&self, args: &[&str]) -> Run {
        let run = Run::new().arg("prune").args(args).envs(self.aws.env());
        let run = run.env("SEEDFARMER_PROJECT_NAME", "idf");
        run.current_dir(self.dir.path()).needs(&self.dir)
    }

    /// Makes a plan and returns it.
    pub(crate) async fn plan(&self, args: &[&str]) -> Value {
        self.prune(args).run().await.ended(0);
        self.written()
    }

    /// The plan that was written.
    pub(crate) fn written(&self) -> Value {
        let text = std::fs::read(self.dir.path().join("prune-plan.json"));
        serde_json::from_slice(&text.expect("a plan")).expect("JSON")
    }
}

/// The digests that a plan has of a repository, sorted.
pub(crate) fn planned(plan: &Value, repository: &str) -> Vec<String> {
    let repositories = plan["repositories"].as_array().expect("a list");
    let of = repositories.iter().filter(|one| one["name"] == repository);
    let images = of.flat_map(|one| one["images"].as_array().expect("a list"));
    let digests = images.filter_map(|image| image["digest"].as_str());
    let mut digests: Vec<String> = digests.map(str::to_owned).collect();
    digests.sort();
    digests
}

/// The digests of images, sorted.
pub(crate) fn digests(images: &[&Pushed]) -> Vec<String> {
    let manifests = images.iter().flat_map(|image| &image.manifests);
    let mut digests: Vec<String> = manifests.map(|one| one.digest.clone()).collect();
    digests.sort();
    digests.dedup();
    digests
}

/// A lock that names an image of `quay.io/team/app`.
pub(crate) fn lock(tag: &str, digest: &str) -> String {
    let image = json!({
        "source": format!("quay.io/team/app:{tag}"), "target": format!("quay.io/team/app:{tag}"), "digest": digest,
        "bytes": 1, "usedBy": ["x"],
    });
    let lock = json!({"lockVersion": 1, "eksVersion": "1.34", "inventory": digest, "parameters": {}, "charts": {},
                      "images": [image]});
    lock.to_string()
}
