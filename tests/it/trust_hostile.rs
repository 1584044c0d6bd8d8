//! Signatures that are made to break a verification, or to pass it: nothing of them is believed or endless.

use lab::content::Descriptor;
use lab::image::{Pushed, cosign_tag};
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::signer::{Signer, put_bundle, put_tag};
use super::trust::{app, data, deploy, image};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[tokio::test]
async fn bundles_that_are_none_are_refused_and_do_not_hide_a_right_one() -> Result {
    let (signer, source) = (Signer::new(), Registry::start().await?);
    let pushed = image(&source)?;
    let right = signer.bundle(&pushed.root.digest);
    let changed = |pointer: &str, value: Value| {
        let mut bundle = right.clone();
        *bundle.pointer_mut(pointer).expect("a value") = value;
        bundle
    };
    let envelope = &right["dsseEnvelope"];
    let signature = &envelope["signatures"][0];
    let mut nested = json!([]);
    for _ in 0..100 {
        nested = json!([nested]);
    }
    let bundles = [
        json!(null),
        json!([]),
        json!({}),
        nested.clone(),
        changed(
            "/mediaType",
            json!("application/vnd.dev.sigstore.bundle.v9+json"),
        ),
        changed("/mediaType", json!(1)),
        changed("/verificationMaterial", json!({})),
        changed(
            "/verificationMaterial",
            json!({"certificate": {"rawBytes": "AAAA"}}),
        ),
        changed("/dsseEnvelope", json!(null)),
        changed("/dsseEnvelope/payload", json!("not Base64")),
        changed("/dsseEnvelope/payload", json!("")),
        changed("/dsseEnvelope/payload", nested),
        changed("/dsseEnvelope/payloadType", json!("text/plain")),
        changed("/dsseEnvelope/signatures", json!([])),
        changed("/dsseEnvelope/signatures", json!([signature, signature])),
        changed("/dsseEnvelope/signatures/0/sig", json!("")),
        changed("/dsseEnvelope/signatures/0/sig", json!("A".repeat(100_000))),
    ];
    let data = app(&signer.rule("quay.io/*"));
    for bundle in &bundles {
        put_bundle(&source, "team/app", &pushed.root, bundle)?;
    }
    let target = Registry::start().await?;
    let run = deploy(&data, &source, &target, "require");
    let refused = run.run().await.ended(1);
    refused.said(&[
        "is not trusted",
        "found: ",
        "a signature that cannot be read",
        "8 other reasons",
    ]);
    assert_eq!(target.repositories(), Vec::<String>::new());
    // As a warning it is copied with all of them.
    let other = Registry::start().await?;
    let run = deploy(&data, &source, &other, "warn");
    run.run().await.ended(0).said(&["is not trusted"]);
    put_bundle(&source, "team/app", &pushed.root, &right)?;
    let run = deploy(&data, &source, &target, "require");
    run.run().await.ended(0);
    Ok(())
}

#[tokio::test]
async fn what_is_under_a_tag_of_signatures_is_no_signature_because_it_is_there() -> Result {
    type Put<'a> = Box<dyn Fn(&Registry, &Pushed) -> anyhow::Result<()> + 'a>;
    let (signer, stranger) = (Signer::new(), Signer::new());
    let tag = |image: &Pushed| cosign_tag(&image.root.digest, "sig");
    let cases: Vec<(&str, Put<'_>, &str)> = vec![
        (
            "the image itself, as some registries answer",
            Box::new(|at, image| {
                let (kind, bytes, _) = at.manifest("team/app", "1").expect("the image");
                at.put_manifest("team/app", &tag(image), &kind, bytes.to_vec());
                Ok(())
            }),
            "found: no signature",
        ),
        (
            "an index of itself as far as it goes",
            Box::new(|at, image| {
                let list =
                    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [image.root]});
                at.put_manifest("team/app", &tag(image), INDEX, list.to_string());
                Ok(())
            }),
            "found: no signature",
        ),
        (
            "a payload that is not one",
            Box::new(|at, image| {
                let digest = &image.root.digest;
                let (payload, _) = signer.payload(digest);
                put_tag(
                    at,
                    "team/app",
                    digest,
                    &[(payload, "not Base64".to_owned())],
                )
            }),
            "a signature that cannot be read",
        ),
        (
            "a signature of another kind of text by the key",
            Box::new(|at, image| {
                let digest = &image.root.digest;
                let text = json!({"critical": {"image": digest}}).to_string();
                let signature = signer.sign(text.as_bytes());
                put_tag(at, "team/app", digest, &[(text, signature)])
            }),
            "a signature that cannot be read (its payload",
        ),
        (
            "a thousand signatures by others",
            Box::new(|at, image| {
                let digest = &image.root.digest;
                let one = stranger.payload(digest);
                put_tag(at, "team/app", digest, &vec![one; 1000])
            }),
            "that this key did not make, or whose content was changed; 1000 signatures in all",
        ),
    ];
    for (name, put, why) in cases {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        let pushed = image(&source)?;
        put(&source, &pushed)?;
        let data = app(&signer.rule("quay.io/*"));
        source.wire().clear();
        let run = deploy(&data, &source, &target, "require").arg("--no-referrers");
        run.run().await.ended(1).said(&[why]);
        assert_eq!(target.repositories(), Vec::<String>::new(), "{name}");
        let asked = source.wire().requests().len();
        assert!(asked < 20, "{name}: {asked} requests");
    }
    Ok(())
}

#[tokio::test]
async fn a_long_list_of_referrers_costs_a_bounded_number_of_requests() -> Result {
    let signer = Signer::new();
    for has_list in [true, false] {
        let source = Registry::builder();
        let source = if has_list {
            source.start().await?
        } else {
            source.without_referrers().start().await?
        };
        let pushed = image(&source)?;
        let stranger = Signer::new();
        if has_list {
            for _ in 0..150 {
                // ECDSA signs the same text differently each time.
                put_bundle(
                    &source,
                    "team/app",
                    &pushed.root,
                    &stranger.bundle(&pushed.root.digest),
                )?;
            }
        } else {
            // The list that stands in names what does not exist.
            let of = |number: usize| {
                let mut one = json!(Descriptor::of(INDEX, number.to_string().as_bytes()));
                one["artifactType"] = json!("application/vnd.dev.sigstore.bundle.v0.3+json");
                one
            };
            let all: Vec<Value> = (0..2000).map(of).collect();
            let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": all});
            let tag = pushed.root.digest.replace(':', "-");
            source.put_manifest("team/app", &tag, INDEX, list.to_string());
        }
        let target = Registry::start().await?;
        let data = app(&signer.rule("quay.io/*"));
        source.wire().clear();
        let run = deploy(&data, &source, &target, "require").arg("--no-referrers");
        run.run().await.ended(1).said(&["is not trusted"]);
        let asked = source.wire().requests().len();
        assert!(asked < 110, "{asked} requests");
    }
    Ok(())
}

#[tokio::test]
async fn a_payload_that_is_not_what_its_descriptor_says_is_an_error_and_no_signature() -> Result {
    let signer = Signer::new();
    for (size, why) in [
        (7, "read the signatures"),
        (200_000, "its payload is too large"),
    ] {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        let pushed = image(&source)?;
        let digest = &pushed.root.digest;
        signer.sign_tag(&source, "team/app", digest)?;
        let tag = cosign_tag(digest, "sig");
        let (kind, bytes, _) = source.manifest("team/app", &tag).expect("signatures");
        let mut manifest: Value = serde_json::from_slice(&bytes)?;
        manifest["layers"][0]["size"] = json!(size);
        source.put_manifest("team/app", &tag, &kind, manifest.to_string());
        let data = app(&signer.rule("quay.io/*"));
        let run = deploy(&data, &source, &target, "require").args(["--tries", "1"]);
        run.run().await.ended(1).said(&[why]);
        assert_eq!(target.repositories(), Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn a_rule_for_one_name_of_docker_hub_is_not_avoided_by_another() -> Result {
    let signer = Signer::new();
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    image(&source)?;
    let names = [
        "team/app:1",
        "docker.io/team/app:1",
        "index.docker.io/team/app:1",
    ];
    for name in names {
        for pattern in names.map(|name| name.trim_end_matches(":1")) {
            let rules = signer.rule(pattern) + "  - {match: \"*\", none: true, reason: the rest}\n";
            let run = data(&[name], &rules).deploy(&target);
            let run = run.endpoint("docker.io", &source.url());
            let run = run.args(["--trust", "require"]).run().await.ended(1);
            run.said(&["asks for a cosign signature by the key"]);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_key_is_read_from_nothing_but_a_small_file() -> Result {
    let huge = "x".repeat(70_000);
    for (key, why) in [
        ("/dev/zero", "it is not a file"),
        (".", "it is not a file"),
        (
            "../../../../../../../../etc/hostname",
            "it holds no public key",
        ),
        ("huge.pub", "it has more than 65536 bytes"),
    ] {
        let data = app(&format!(
            "  - {{match: \"*\", cosign: {{key: \"{key}\"}}}}\n"
        ));
        let run = data.file("huge.pub", &huge).plan();
        run.args(["--trust", "require"])
            .run()
            .await
            .ended(2)
            .said(&[why]);
    }
    Ok(())
}
