//! Attestations: what a deployment has copied is signed once, and `verify` checks it.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::aws::{Aws, KeySpec};
use lab::image::Image;
use lab::registry::Registry;
use oci_copy::reference::Digest;
use serde_json::Value;

use super::Result;
use super::data::Data;
use super::ecr::{build, image, seed_farmer};
use super::run::Run;

const REPOSITORY: &str = "idf-quay.io/team/app";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const VARIABLE: &str = "SEEDFARMER_PARAMETER_ATTESTATION_KMS_KEY_ARN";

struct World {
    aws: Aws,
    source: Registry,
    data: Data,
    key: String,
}

impl World {
    async fn start() -> anyhow::Result<Self> {
        let (aws, source) = (Aws::start().await?, Registry::start().await?);
        image().push(&source, "team/app", "1")?;
        let key = aws.put_key(KeySpec::P256);
        Ok(Self {
            aws,
            source,
            data: Data::images(&["quay.io/team/app:1"]),
            key,
        })
    }

    fn deploy(&self) -> Run {
        build(&self.aws, &self.data, &self.source).env(VARIABLE, &self.key)
    }

    fn verify(&self) -> Run {
        seed_farmer(Run::new().arg("verify").envs(self.aws.env()))
    }

    /// The attestations of the copy: the digest of the manifest, the bundle, and the statement.
    fn attestations(&self) -> Vec<(String, Value, Value)> {
        attestations(self.aws.registry(), REPOSITORY)
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn attestations(registry: &Registry, repository: &str) -> Vec<(String, Value, Value)> {
    let manifests = registry.manifests(repository).into_iter();
    let manifests = manifests.map(|digest| {
        let (_, bytes, _) = registry.manifest(repository, &digest).expect("a manifest");
        (digest, json(&bytes))
    });
    let ours = manifests.filter(|(_, manifest)| {
        let kind = &manifest["annotations"]["dev.sigstore.bundle.predicateType"];
        manifest["artifactType"] == BUNDLE
            && kind.as_str().is_some_and(|kind| kind.ends_with("/copy/v1"))
    });
    ours.map(|(digest, manifest)| {
        let layer = manifest["layers"][0]["digest"].as_str().expect("a layer");
        let bundle = json(&registry.blob(repository, layer).expect("a blob"));
        let payload = bundle["dsseEnvelope"]["payload"]
            .as_str()
            .expect("a payload");
        let statement = json(&STANDARD.decode(payload).expect("Base64"));
        (digest, bundle, statement)
    })
    .collect()
}

#[tokio::test]
async fn a_copy_is_attested_once_and_a_second_run_writes_nothing() -> Result {
    let world = World::start().await?;
    world.deploy().run().await.ended(0);
    let all = world.attestations();
    let [(digest, bundle, statement)] = all.as_slice() else {
        panic!("{all:?}");
    };
    let (_, _, target) = world
        .aws
        .registry()
        .manifest(REPOSITORY, "1")
        .expect("the copy");
    let hex = target.trim_start_matches("sha256:");
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], hex);
    let predicate = &statement["predicate"];
    assert_eq!(predicate["source"]["reference"], "quay.io/team/app:1");
    assert_eq!(predicate["source"]["digest"], target.as_str());
    assert_eq!(predicate["target"]["digest"], target.as_str());
    assert_eq!(predicate["platforms"].as_array().map(Vec::len), Some(2));
    assert_eq!(predicate["role"], "arn:aws:iam::123456789012:user/lab");
    assert_eq!(predicate["program"]["name"], "replicator");
    assert!(predicate["program"]["digest"].is_string(), "{predicate}");
    assert!(
        predicate["attestedAt"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    assert_eq!(bundle["mediaType"], BUNDLE);
    assert_eq!(world.aws.count("Sign"), 1);
    assert_eq!(world.aws.registry().check_integrity(), Vec::<String>::new());

    world.aws.registry().wire().clear();
    let again = world.deploy().run().await.ended(0);
    assert!(
        again.stderr.contains("0 artifacts attested"),
        "{}",
        again.stderr
    );
    assert_eq!(world.aws.count("Sign"), 1);
    let requests = world.aws.registry().wire().requests();
    assert!(requests.iter().all(|request| request.method != "PUT"));
    assert_eq!(world.attestations()[0].0, *digest);
    Ok(())
}

#[tokio::test]
async fn an_attestation_names_the_lock_that_was_kept_to() -> Result {
    let world = World::start().await?;
    let lock = world.data.path().join("approved.json");
    let run = Run::new().args(["lock", "--eks-version", "1.34", "--lock"]);
    let run = world.data.given_to(run.arg(lock.display().to_string()));
    let run = run.endpoint("quay.io", &world.source.url());
    run.run().await.ended(0);
    let deploy = world.deploy().arg("--locked").arg("--lock");
    let deploy = deploy.arg(lock.display().to_string());
    deploy.run().await.ended(0);
    let [(_, _, statement)] = world.attestations().try_into().expect("one attestation");
    let digest = Digest::of(&fs::read(&lock)?).to_string();
    assert_eq!(statement["predicate"]["lock"], digest);
    Ok(())
}

#[tokio::test]
async fn verify_accepts_the_key_and_refuses_others_and_what_was_removed() -> Result {
    let world = World::start().await?;
    world.deploy().run().await.ended(0);
    let verified = world
        .verify()
        .env(VARIABLE, &world.key)
        .run()
        .await
        .ended(0);
    assert!(
        verified.stderr.contains("attested: 1 artifact"),
        "{}",
        verified.stderr
    );
    // Without a key nothing is asked about attestations, with a file no KMS.
    let plain = world.verify().run().await.ended(0);
    assert!(!plain.stderr.contains("attested"), "{}", plain.stderr);
    let folder = tempfile::tempdir()?;
    let file = |name: &str, key: &str| {
        let path = folder.path().join(name);
        fs::write(&path, world.aws.public_key(key).expect("a key")).expect("a file");
        path
    };
    let own = file("own.pem", &world.key);
    let run = world
        .verify()
        .arg("--attestation-key")
        .arg(&own)
        .arg("--json");
    let document = json(run.run().await.ended(0).stdout.as_bytes());
    assert_eq!(document["attestations"]["verified"], 1);
    let stranger = world.aws.put_key(KeySpec::P256);
    let stranger = file("stranger.pem", &stranger);
    let run = world.verify().arg("--attestation-key").arg(&stranger);
    let refused = run.run().await.ended(1);
    assert!(
        refused.stderr.contains("this key did not make"),
        "{}",
        refused.stderr
    );
    let (digest, ..) = &world.attestations()[0];
    world.aws.registry().remove_manifest(REPOSITORY, digest);
    let run = world.verify().arg("--attestation-key").arg(&own);
    let refused = run.run().await.ended(1);
    assert!(
        refused.stderr.contains("no attestation of its copy"),
        "{}",
        refused.stderr
    );
    // The next deployment attests again.
    world.deploy().run().await.ended(0);
    assert_eq!(world.attestations().len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_attestation_of_another_digest_does_not_count() -> Result {
    let world = World::start().await?;
    world.deploy().run().await.ended(0);
    let (_, bundle, _) = world.attestations().remove(0);
    // Someone pushes other content and gives it the old attestation.
    let registry = world.aws.registry();
    let other = image().layer(10, 99).push(registry, REPOSITORY, "1")?;
    let bytes = bundle.to_string();
    let layer = registry.put_blob(REPOSITORY, bytes.as_bytes())?;
    let config = registry.put_blob(REPOSITORY, b"{}")?;
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": BUNDLE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config.digest, "size": 2},
        "layers": [{"mediaType": BUNDLE, "digest": layer.digest, "size": bytes.len()}],
        "subject": {"mediaType": other.root.media_type, "digest": other.root.digest, "size": other.root.size},
        "annotations": {"dev.sigstore.bundle.predicateType": "https://github.com/awslabs/idf-modules/replication/copy/v1"},
    });
    let kind = "application/vnd.oci.image.manifest.v1+json";
    registry.put_manifest(REPOSITORY, "", kind, manifest.to_string());
    let folder = tempfile::tempdir()?;
    let result = folder.path().join("result.json");
    let name = format!("{}/{REPOSITORY}:1", world.aws.ecr_host());
    fs::write(
        &result,
        serde_json::json!({"charts": {}, "additional_images": {"app": name}}).to_string(),
    )?;
    let run = Run::new().arg("verify").arg(&result).envs(world.aws.env());
    let refused = run.env(VARIABLE, &world.key).run().await.ended(1);
    assert!(
        refused.stderr.contains("another digest"),
        "{}",
        refused.stderr
    );
    Ok(())
}

#[tokio::test]
async fn referrers_of_the_source_and_the_attestation_do_not_disturb_each_other() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let pushed = image().push(&source, "team/app", "1")?;
    let sbom = pushed.attach(&source, "application/spdx+json")?;
    let key = aws.put_key(KeySpec::P256);
    let data = Data::images(&["quay.io/team/app:1"]);
    // A registry without the API of referrers keeps one list for both.
    let target = Registry::builder().without_referrers().start().await?;
    let deploy = || {
        let run = data.run("deploy").envs(aws.env()).env(VARIABLE, &key);
        let prefix = format!("{}/mirror/", target.host());
        run.arg("--registry-prefix")
            .arg(prefix)
            .endpoint("quay.io", &source.url())
    };
    deploy().run().await.ended(0);
    let repository = "mirror/quay.io/team/app";
    let list = || {
        let tag = pushed.root.digest.replace(':', "-");
        let (_, list, _) = target.manifest(repository, &tag).expect("the list");
        let list = json(&list);
        let listed = list["manifests"].as_array().expect("a list").iter();
        let mut listed: Vec<String> = listed
            .map(|one| one["digest"].as_str().expect("a digest").to_owned())
            .collect();
        listed.sort();
        listed
    };
    let (attestation, ..) = attestations(&target, repository).remove(0);
    let mut both = vec![attestation.clone(), sbom.root.digest.clone()];
    both.sort();
    assert_eq!(list(), both);
    target.remove_manifest(repository, "1");
    deploy().run().await.ended(0);
    assert_eq!(list(), both);
    assert_eq!(aws.count("Sign"), 1);
    Ok(())
}

#[tokio::test]
async fn where_platforms_are_selected_the_source_keeps_its_own_digest() -> Result {
    let world = World::start().await?;
    let (_, _, whole) = world.source.manifest("team/app", "1").expect("the source");
    let run = world.deploy().args(["--platforms", "linux/amd64"]);
    run.run().await.ended(0);
    let (_, _, statement) = &world.attestations()[0];
    let predicate = &statement["predicate"];
    assert_eq!(predicate["source"]["digest"], whole.as_str());
    assert_ne!(predicate["target"]["digest"], whole.as_str());
    Ok(())
}

#[tokio::test]
async fn a_key_that_cosign_cannot_verify_stops_before_anything_is_copied() -> Result {
    let world = World::start().await?;
    for (spec, why) in [
        (KeySpec::P384, "ECDSA_SHA_384"),
        (KeySpec::Symmetric, "InvalidKeyUsageException"),
    ] {
        let key = world.aws.put_key(spec);
        let run = build(&world.aws, &world.data, &world.source).env(VARIABLE, &key);
        let refused = run.run().await.ended(2);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
    let run = build(&world.aws, &world.data, &world.source).env(VARIABLE, "alias/x");
    let refused = run.run().await.ended(2);
    assert!(
        refused.stderr.contains("AttestationKmsKeyArn"),
        "{}",
        refused.stderr
    );
    assert_eq!(world.aws.count("CreateRepository"), 0);
    Ok(())
}

#[tokio::test]
async fn a_copy_that_cannot_be_attested_is_not_published() -> Result {
    let world = World::start().await?;
    world.aws.deny("kms:Sign");
    let failed = world.deploy().run().await.ended(1);
    assert!(failed.stderr.contains("kms:Sign"), "{}", failed.stderr);
    assert!(failed.stderr.contains("cannot attest"), "{}", failed.stderr);
    assert_eq!(world.aws.count("PutObject"), 0);
    Ok(())
}

#[tokio::test]
async fn a_statement_that_kms_does_not_hash_is_signed_by_its_digest() -> Result {
    let mut world = World::start().await?;
    // The statement names each platform, and KMS hashes 4096 bytes at most. Long names, because ECR takes few manifests
    // a second.
    let mut image = Image::new().layer(10, 5);
    for number in 0..30 {
        image = image.platform(&format!("linux/arch{number:0>150}"));
    }
    image.push(&world.source, "team/many", "1")?;
    world.data = Data::images(&["quay.io/team/many:1"]);
    world.deploy().run().await.ended(0);
    let all = attestations(world.aws.registry(), "idf-quay.io/team/many");
    let (_, _, statement) = &all[0];
    let platforms = statement["predicate"]["platforms"].as_array();
    assert_eq!(platforms.map(Vec::len), Some(30));
    assert!(statement.to_string().len() > 4096);
    let verify = world.verify().env(VARIABLE, &world.key);
    let verified = verify.run().await.ended(0);
    verified.said(&["attested: 1 artifact"]);
    // As the public half alone sees it.
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("key.pem");
    fs::write(&path, world.aws.public_key(&world.key).expect("a key"))?;
    let verify = world.verify().arg("--attestation-key").arg(&path);
    verify.run().await.ended(0);
    Ok(())
}
