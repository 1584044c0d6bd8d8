//! Another client's view of a copy: `oci-client` pushes to one registry, the engine copies to another one,
//! and `oci-client` pulls from there.

use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use lab::registry::Registry;
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer, linux_amd64_resolver};
use oci_client::manifest::{
    OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageIndex,
    OciImageManifest, WASM_CONFIG_MEDIA_TYPE, WASM_LAYER_MEDIA_TYPE,
};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use oci_copy::copy::{Done, Engine, Options, Request};
use oci_copy::http::{Credentials, Http, Network};
use oci_copy::store::{Plain, Stores};
use serde_json::json;

type Result<T = ()> = anyhow::Result<T>;

const LOGIN: RegistryAuth = RegistryAuth::Anonymous;

const MANIFESTS: [&str; 2] = [OCI_IMAGE_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE];

/// The config of an artifact that has none.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// More than `oci-client` sends at once, so that it uploads in pieces.
const LARGE: usize = 5 << 20;

fn client() -> Client {
    Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        platform_resolver: Some(Box::new(linux_amd64_resolver)),
        ..ClientConfig::default()
    })
}

fn name(registry: &Registry, repository: &str, tag: &str) -> Reference {
    Reference::with_tag(registry.host(), repository.to_owned(), tag.to_owned())
}

fn by_digest(name: &Reference, digest: &str) -> Reference {
    let (registry, repository) = (name.registry(), name.repository());
    Reference::with_digest(
        registry.to_owned(),
        repository.to_owned(),
        digest.to_owned(),
    )
}

/// Bytes that depend on a seed.
fn bytes(seed: u8, length: usize) -> Bytes {
    let letters = (0..=250_u8).cycle().map(|letter| letter.wrapping_mul(seed));
    letters.take(length).collect()
}

/// What is pushed, and expected to come out again.
struct Content {
    layers: Vec<ImageLayer>,
    config: Config,
}

impl Content {
    /// An image of one platform.
    fn image(architecture: &str, seed: u8) -> Self {
        let config =
            json!({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers"}});
        let note = [("org.example.note".to_owned(), "kept".to_owned())];
        Self {
            layers: vec![
                ImageLayer::oci_v1_gzip(bytes(seed, LARGE), None),
                ImageLayer::oci_v1(bytes(seed + 2, 100), Some(note.into())),
            ],
            config: Config::oci_v1(config.to_string(), None),
        }
    }

    fn manifest(&self) -> OciImageManifest {
        OciImageManifest {
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            ..OciImageManifest::build(&self.layers, &self.config, None)
        }
    }

    async fn push(&self, name: &Reference, manifest: Option<OciImageManifest>) -> Result {
        let config = self.config.clone();
        client()
            .push(name, &self.layers, config, &LOGIN, manifest)
            .await
            .map(drop)
            .with_context(|| format!("push {name}"))
    }

    /// It is there, to the last byte.
    async fn assert_at(&self, name: &Reference) -> Result {
        let types = self.layers.iter().map(|layer| layer.media_type.as_str());
        let pulled = client().pull(name, &LOGIN, types.collect()).await?;
        assert_eq!(pulled.config.data, self.config.data, "{name}");
        assert_eq!(pulled.config.media_type, self.config.media_type, "{name}");
        let sorted = |mut layers: Vec<ImageLayer>| {
            layers.sort_by_key(ImageLayer::sha256_digest);
            layers
        };
        // Not by assert_eq, which would print them.
        assert!(
            sorted(pulled.layers) == sorted(self.layers.clone()),
            "the layers of {name}"
        );
        Ok(())
    }
}

/// A manifest's bytes and its digest.
async fn manifest(name: &Reference) -> Result<(Bytes, String)> {
    let pulled = client().pull_manifest_raw(name, &LOGIN, &MANIFESTS).await;
    pulled.with_context(|| format!("pull the manifest of {name}"))
}

/// The manifest is the same at both names, by tag and by digest; its digest.
async fn assert_same(from: &Reference, to: &Reference) -> Result<String> {
    let (content, digest) = manifest(from).await?;
    for to in [to.clone(), by_digest(to, &digest)] {
        assert_eq!(
            manifest(&to).await?,
            (content.clone(), digest.clone()),
            "{to}"
        );
    }
    Ok(digest)
}

async fn copy(source: &str, target: &str) -> Result {
    let network = Network::default();
    let http = Arc::new(Http::new(&network, Credentials::default())?);
    let stores = Arc::new(Stores::new(http, Plain, &network));
    let engine = Engine::new(stores, &Options::default(), Arc::new(()));
    let request = Request::new(source.parse()?, target.parse()?);
    for outcome in engine.run(&[request], std::future::pending()).await {
        match outcome.done {
            Done::Copied if outcome.notes.is_empty() => {}
            done => bail!("{source} to {target}: {done:?}, {:?}", outcome.notes),
        }
    }
    Ok(())
}

/// Copies to a registry twice: directly, and through a folder. The names there.
async fn copied(source: &Reference, target: &Registry) -> Result<[Reference; 2]> {
    let folder = tempfile::tempdir()?;
    let folder = format!("oci:{}:app", folder.path().display());
    let copies = ["direct/app", "carried/app"].map(|repository| name(target, repository, "1.0"));
    let [direct, carried] = &copies;
    copy(&source.to_string(), &direct.to_string()).await?;
    copy(&source.to_string(), &folder).await?;
    copy(&folder, &carried.to_string()).await?;
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok(copies)
}

#[tokio::test]
async fn what_another_client_pushes_it_pulls_from_the_target_by_tag_and_digest() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let image = Content::image("amd64", 3);
    let pushed = name(&source, "team/app", "1.0");
    // Without a manifest, oci-client writes one that has no media type.
    image.push(&pushed, None).await?;
    for there in copied(&pushed, &target).await? {
        let digest = assert_same(&pushed, &there).await?;
        image.assert_at(&there).await?;
        image.assert_at(&by_digest(&there, &digest)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_client_finds_each_platform_of_an_index() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let platforms = [
        ("amd64", Content::image("amd64", 5)),
        ("arm64", Content::image("arm64", 9)),
    ];
    let mut entries = Vec::new();
    for (architecture, image) in &platforms {
        let name = name(&source, "team/app", architecture);
        image.push(&name, Some(image.manifest())).await?;
        let (content, digest) = manifest(&name).await?;
        entries.push(json!({
            "mediaType": OCI_IMAGE_MEDIA_TYPE, "digest": digest, "size": content.len(),
            "platform": {"os": "linux", "architecture": architecture},
        }));
    }
    let index: OciImageIndex = serde_json::from_value(json!({
        "schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX_MEDIA_TYPE, "manifests": entries,
    }))?;
    let pushed = name(&source, "team/app", "1.0");
    client()
        .push_manifest_list(&pushed, &LOGIN, index.clone())
        .await?;
    for there in copied(&pushed, &target).await? {
        assert_same(&pushed, &there).await?;
        // The one that oci-client chooses, and each by its digest.
        platforms[0].1.assert_at(&there).await?;
        for (entry, (_, image)) in index.manifests.iter().zip(&platforms) {
            image.assert_at(&by_digest(&there, &entry.digest)).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn another_client_finds_what_refers_to_an_image() -> Result {
    const SBOM: &str = "application/vnd.example.sbom.v1";
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let image = Content::image("amd64", 7);
    let pushed = name(&source, "team/app", "1.0");
    image.push(&pushed, Some(image.manifest())).await?;
    let (content, subject) = manifest(&pushed).await?;
    let sbom = Content {
        layers: vec![ImageLayer::new(
            r#"{"packages": []}"#,
            "application/spdx+json".to_owned(),
            None,
        )],
        config: Config::new("{}", EMPTY.to_owned(), None),
    };
    let refers = OciImageManifest {
        artifact_type: Some(SBOM.to_owned()),
        subject: Some(OciDescriptor {
            media_type: OCI_IMAGE_MEDIA_TYPE.to_owned(),
            digest: subject.clone(),
            size: content.len().try_into()?,
            ..OciDescriptor::default()
        }),
        ..sbom.manifest()
    };
    let attached = name(&source, "team/app", "sbom");
    sbom.push(&attached, Some(refers)).await?;
    let (content, digest) = manifest(&attached).await?;
    for there in copied(&pushed, &target).await? {
        assert_same(&pushed, &there).await?;
        let subject = by_digest(&there, &subject);
        let listed = client().pull_referrers(&subject, Some(SBOM)).await?;
        let listed: Vec<&str> = listed
            .manifests
            .iter()
            .map(|one| one.digest.as_str())
            .collect();
        assert_eq!(listed, [digest.as_str()]);
        let referrer = by_digest(&there, &digest);
        assert_eq!(
            manifest(&referrer).await?,
            (content.clone(), digest.clone())
        );
        sbom.assert_at(&referrer).await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_client_pulls_an_artifact_that_is_no_image() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let module = Content {
        layers: vec![ImageLayer::new(
            bytes(11, 70_000),
            WASM_LAYER_MEDIA_TYPE.to_owned(),
            None,
        )],
        config: Config::new("{}", WASM_CONFIG_MEDIA_TYPE.to_owned(), None),
    };
    let pushed = name(&source, "team/module", "1.0");
    module.push(&pushed, Some(module.manifest())).await?;
    for there in copied(&pushed, &target).await? {
        assert_same(&pushed, &there).await?;
        module.assert_at(&there).await?;
    }
    Ok(())
}
