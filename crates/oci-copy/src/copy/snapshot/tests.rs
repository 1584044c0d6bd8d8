use serde_json::{Value, json};

use super::*;
use crate::copy::{Origin, Request};
use crate::manifest::media_type;

fn manifest(value: &Value) -> Manifest {
    Manifest::parse(None, Bytes::from(value.to_string())).expect("a manifest")
}

fn descriptor(of: &Manifest) -> Value {
    json!({"mediaType": of.media_type, "digest": of.digest, "size": of.bytes.len()})
}

fn image(name: &str, subject: Option<&Manifest>) -> Manifest {
    let blob = |text: &str| json!({"mediaType": media_type::OCI_CONFIG, "digest": Digest::of(text.as_bytes()), "size": text.len()});
    let mut value = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": blob(name), "layers": [blob(&format!("{name} layer"))]});
    if let Some(subject) = subject {
        value["subject"] = descriptor(subject);
    }
    manifest(&value)
}

fn leaf(manifest: Manifest) -> Node {
    Node {
        manifest,
        children: Vec::new(),
    }
}

/// An index of two images, one of which is at the target already, with a signed bill of materials, a
/// cosign signature, and a referrer of the other image.
fn preflight() -> Preflight {
    let (amd, arm) = (image("amd64", None), image("arm64", None));
    let index = manifest(
        &json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX,
            "manifests": [descriptor(&amd), descriptor(&arm)]}),
    );
    let sbom = image("sbom", Some(&index));
    let signature = image("signature", Some(&sbom));
    let about_arm = image("about arm64", Some(&arm));
    let referrer = |manifest: Manifest, listed: Vec<Referrer>| Referrer {
        node: leaf(manifest),
        next: Referrers {
            listed,
            ..Referrers::default()
        },
    };
    let referrers = Referrers {
        tagged: vec![(
            cosign_tag(&index.digest, "sig").expect("a tag"),
            leaf(image("cosign", None)),
        )],
        platforms: vec![(
            arm.digest.clone(),
            Referrers {
                listed: vec![referrer(about_arm, Vec::new())],
                ..Referrers::default()
            },
        )],
        listed: vec![referrer(sbom, vec![referrer(signature, Vec::new())])],
        ..Referrers::default()
    };
    let linux = serde_json::from_value(json!({"os": "linux", "architecture": "arm64"}));
    let platforms = [(arm.digest.clone(), linux.expect("a platform"))];
    let tree = Tree {
        source: None,
        named: index.digest.clone(),
        present: None,
        root: Node {
            manifest: index.with_platforms(&HashMap::from(platforms)),
            children: vec![leaf(arm)],
        },
        referrers,
        notes: vec!["it has no linux/s390x".to_owned()],
    };
    Preflight {
        resolved: Some(Resolved::Bring(Box::new(tree))),
        ..Preflight::default()
    }
}

fn request(target: &str) -> Request {
    let location = |text: &str| text.parse().expect("a location");
    Request {
        origin: Origin::Location(location("quay.io/team/app:1")),
        source_text: "quay.io/team/app:1".to_owned(),
        target: location(target),
        target_text: target.to_owned(),
        expected: None,
    }
}

fn written() -> Value {
    serde_json::to_value(preflight().snapshot().expect("a snapshot")).expect("JSON")
}

/// What becomes of a snapshot on its way through a file.
fn restored(value: &Value) -> Result<Preflight, String> {
    let snapshot: Snapshot =
        serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())?;
    let restored = snapshot.restore(&request("example.com/app:1"));
    restored.map_err(|error| error.to_string())
}

#[test]
fn a_snapshot_brings_back_what_was_read() {
    let snapshot = preflight().snapshot().expect("a snapshot");
    let again = restored(&written()).expect("nothing was changed");
    let platforms = |preflight: &Preflight| match &preflight.resolved {
        Some(Resolved::Bring(tree)) => tree.root.manifest.platforms(),
        _ => panic!("nothing to bring"),
    };
    assert_eq!(platforms(&again), ["linux/arm64"]);
    assert_eq!(again.snapshot(), Some(snapshot.clone()));
    assert!(snapshot.bytes() > 1000);
    assert!(Preflight::default().snapshot().is_none());
}

#[test]
fn what_a_digest_does_not_prove_is_refused() {
    let of = |name: &str| {
        let other = image(name, None);
        json!({"digest": other.digest, "media_type": other.media_type, "bytes": STANDARD.encode(&other.bytes)})
    };
    let bytes = |name: &str| of(name)["bytes"].clone();
    for (place, value, why) in [
        ("/root/bytes", bytes("other"), "has the digest"),
        ("/root/children/0/bytes", bytes("other"), "has the digest"),
        ("/root/children/0", of("other"), "does not belong"),
        (
            "/referrers/listed/0/0/bytes",
            bytes("other"),
            "has the digest",
        ),
        ("/referrers/listed/0/0", of("other"), "does not belong"),
        (
            "/referrers/listed/0/1/listed/0/0",
            of("other"),
            "does not belong",
        ),
        (
            "/referrers/platforms/0/1/listed/0/0",
            of("other"),
            "does not belong",
        ),
        (
            "/referrers/platforms/0/0",
            of("other")["digest"].clone(),
            "does not belong",
        ),
        ("/referrers/tagged/0/0", json!("latest"), "does not belong"),
        ("/root/bytes", json!(STANDARD.encode("{}")), "sha256:"),
        ("/root/bytes", json!("not Base64!"), "Invalid symbol"),
        ("/named", of("other")["digest"].clone(), "has the digest"),
    ] {
        let mut changed = written();
        *changed.pointer_mut(place).expect(place) = value;
        let refused = restored(&changed).err();
        assert!(
            refused.as_ref().is_some_and(|said| said.contains(why)),
            "{place}: {refused:?}"
        );
    }
    let other = image("other", None).digest;
    let pinned = request(&format!("example.com/app@{other}"));
    let snapshot = preflight().snapshot().expect("a snapshot");
    assert!(snapshot.restore(&pinned).is_err());
}

#[test]
fn a_snapshot_without_end_is_refused() {
    let mut deep = image("leaf", None);
    let mut node = json!({"digest": deep.digest, "media_type": deep.media_type, "bytes": STANDARD.encode(&deep.bytes)});
    for _ in 0..=MAX_DEPTH {
        let index = manifest(
            &json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX,
            "manifests": [descriptor(&deep)]}),
        );
        node = json!({"digest": index.digest, "media_type": index.media_type,
            "bytes": STANDARD.encode(&index.bytes), "children": [node]});
        deep = index;
    }
    let mut changed = written();
    changed["named"] = json!(deep.digest);
    changed["root"] = node;
    changed["referrers"] = json!({});
    let refused = restored(&changed).err().expect("it is too deep");
    assert!(refused.contains("more manifests"), "{refused}");

    let mut changed = written();
    let child = changed["root"]["children"][0].clone();
    changed["root"]["children"] = json!(vec![child; MAX_MANIFESTS + 1]);
    let refused = restored(&changed).err().expect("it is too much");
    assert!(refused.contains("more manifests"), "{refused}");
}
