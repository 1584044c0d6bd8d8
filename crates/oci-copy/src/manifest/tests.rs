use super::*;
use serde_json::json;

fn platforms(names: &[&str]) -> Vec<Platform> {
    let platforms = names.iter().map(|name| {
        let (os, architecture) = name.split_once('/').unwrap();
        Platform::new(os, None, architecture, None)
    });
    platforms.collect()
}

fn index() -> Manifest {
    let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
    let child = |letter: &str, architecture: &str| {
        json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest(letter), "size": 10,
               "platform": {"os": "linux", "architecture": architecture}})
    };
    let attestation = |letter: &str, about: &str| {
        json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest(letter), "size": 10,
               "platform": {"os": "unknown", "architecture": "unknown"},
               "annotations": {"vnd.docker.reference.digest": digest(about), "vnd.docker.reference.type": "attestation-manifest"}})
    };
    let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "z": 1,
        "manifests": [child("a", "amd64"), child("b", "arm64"), attestation("c", "a"), attestation("d", "b")], "annotations": {"k": "v"}});
    Manifest::parse(None, Bytes::from(serde_json::to_vec(&index).unwrap())).unwrap()
}

#[test]
fn a_selection_keeps_the_attestations_of_what_it_keeps() {
    let index = index();
    assert_eq!(index.platforms(), ["linux/amd64", "linux/arm64"]);
    let wanted = platforms(&["linux/arm64"]);
    let selected = index.select(&wanted).unwrap().expect("the index changes");
    let Refers::Manifests(children) = &selected.refers else {
        panic!("not an index")
    };
    let letters: Vec<String> = children
        .iter()
        .map(|child| child.digest.hex()[..1].to_owned())
        .collect();
    assert_eq!(letters, ["b", "d"]);
    let text = String::from_utf8(selected.bytes.to_vec()).unwrap();
    assert!(
        text.starts_with(r#"{"schemaVersion":2,"mediaType""#)
            && text.contains(r#""z":1"#)
            && text.ends_with(r#""annotations":{"k":"v"}}"#),
        "{text}"
    );
    assert_ne!(selected.digest, index.digest);
}

#[test]
fn a_selection_of_everything_changes_nothing_and_one_of_nothing_is_refused() {
    let index = index();
    assert_eq!(
        index.select(&platforms(&["linux/arm64", "linux/amd64"])),
        Ok(None)
    );
    assert_eq!(index.select(&[]), Ok(None));
    let none = index.select(&platforms(&["linux/s390x"]));
    assert_eq!(
        none,
        Err(vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()])
    );
}

#[test]
fn what_is_no_manifest_gets_a_verdict() {
    let parse = |content_type: Option<&str>, text: &str| {
        Manifest::parse(content_type, Bytes::copy_from_slice(text.as_bytes()))
    };
    assert!(matches!(
        parse(None, r#"{"schemaVersion":1}"#),
        Err(InvalidManifest::Schema1)
    ));
    assert!(matches!(
        parse(
            Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
            "{}"
        ),
        Err(InvalidManifest::Schema1)
    ));
    assert!(matches!(
        parse(Some("text/html"), "<html>"),
        Err(InvalidManifest::Content { .. })
    ));
    assert!(matches!(
        parse(Some(media_type::OCI_INDEX), "{}"),
        Err(InvalidManifest::Content { .. })
    ));
    let helm = r#"{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;
    assert_eq!(
        parse(Some("application/json"), helm).unwrap().media_type,
        media_type::OCI_MANIFEST
    );
}

#[test]
fn null_is_an_empty_list_as_programs_in_go_write_it() {
    let digest = Digest::of(b"");
    let config =
        json!({"mediaType": "x", "digest": digest, "size": 0, "annotations": null, "urls": null});
    for (text, layers) in [
        (json!({"config": config, "layers": null}), true),
        (
            json!({"mediaType": media_type::OCI_INDEX, "manifests": null}),
            false,
        ),
    ] {
        let manifest = Manifest::parse(None, Bytes::from(text.to_string())).unwrap();
        assert_eq!(matches!(manifest.refers, Refers::Blobs { .. }), layers);
    }
}

#[test]
fn what_a_selection_would_stumble_over_is_no_manifest() {
    let child = |architecture: &str| {
        format!(
            r#"{{"digest":"{}","size":1,"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#,
            Digest::of(architecture.as_bytes())
        )
    };
    let index = format!(
        r#"{{"manifests":[{},{}],"more":1e999}}"#,
        child("amd64"),
        child("arm64")
    );
    let error = Manifest::parse(None, Bytes::from(index)).unwrap_err();
    assert!(matches!(error, InvalidManifest::Content { .. }), "{error}");
}

#[test]
fn an_endless_list_and_endless_bytes_are_refused() {
    let child = format!(r#"{{"digest":"{}","size":1}}"#, Digest::of(b""));
    let index = |count: usize| format!(r#"{{"manifests":[{}]}}"#, vec![&*child; count].join(","));
    let parse = |text: String| Manifest::parse(None, Bytes::from(text));
    assert!(parse(index(MAX_PARTS)).is_ok());
    let error = parse(index(MAX_PARTS + 1)).unwrap_err().to_string();
    assert_eq!(
        error,
        "it has 10001 manifests, more than 10000 are not taken"
    );
    let error = parse(index(100_000)).unwrap_err();
    assert!(matches!(error, InvalidManifest::TooLarge(_)), "{error}");
}

#[test]
fn digests_and_sizes_that_are_none_are_refused() {
    let good = format!("sha256:{}", "a".repeat(64));
    let short = "sha256:abc".to_owned();
    let unknown = format!("md5:{}", "a".repeat(32));
    for (digest, size) in [
        (&good, "-1"),
        (&good, "18446744073709551616"),
        (&good, "1.5"),
        (&good, "\"1\""),
        (&good, "null"),
        (&short, "1"),
        (&unknown, "1"),
        (&String::new(), "1"),
    ] {
        let text = format!(r#"{{"config":{{"digest":"{digest}","size":{size}}},"layers":[]}}"#);
        let error = Manifest::parse(Some(media_type::OCI_MANIFEST), Bytes::from(text));
        assert!(
            matches!(error, Err(InvalidManifest::Content { .. })),
            "{digest} {size}"
        );
    }
}
