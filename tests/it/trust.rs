//! Sources prove what the rules under `trust` ask for, or nothing of them is copied.

use lab::image::{Image, Pushed};
use lab::registry::Registry;
use serde_json::json;

use super::Result;
use super::data::Data;
use super::run::Run;
use super::signer::{Signer, put_bundle, put_tag};

/// An image of two platforms, `quay.io/team/app:1`.
pub(crate) fn image(source: &Registry) -> anyhow::Result<Pushed> {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    Ok(image.layer(3000, 1).push(source, "team/app", "1")?)
}

pub(crate) fn data(images: &[&str], rules: &str) -> Data {
    let lines = images.iter().enumerate();
    let lines: Vec<String> = lines
        .map(|(number, image)| format!("  image{number}: \"{image}\"\n"))
        .collect();
    let default = format!("additional_images:\n{}trust:\n{rules}", lines.concat());
    Data::new(&default, "ami: {version: 1.34.0}\n")
}

pub(crate) fn app(rules: &str) -> Data {
    data(&["quay.io/team/app:1"], rules)
}

pub(crate) fn deploy(data: &Data, source: &Registry, target: &Registry, mode: &str) -> Run {
    let run = data.deploy(target).endpoint("quay.io", &source.url());
    run.args(["--trust", mode])
}

pub(crate) const APP: &str = "mirror/quay.io/team/app";

#[tokio::test]
async fn an_image_is_copied_if_the_key_signed_it_under_a_tag_or_with_a_bundle() -> Result {
    let signer = Signer::new();
    let without = Registry::builder().without_referrers();
    for (number, source) in [
        Registry::start().await?,
        Registry::start().await?,
        without.start().await?,
    ]
    .iter()
    .enumerate()
    {
        let target = Registry::start().await?;
        let pushed = image(source)?;
        if number == 1 {
            signer.sign_bundle(source, "team/app", &pushed.root)?;
        } else {
            signer.sign_tag(source, "team/app", &pushed.root.digest)?;
        }
        let data = app(&signer.rule("quay.io/team/*"));
        let run = deploy(&data, source, &target, "require")
            .run()
            .await
            .ended(0);
        let trust = run.report_of("team/app:1")["trust"].clone();
        assert_eq!(trust["state"], "signed", "{trust}");
        assert_eq!(trust["rule"], "quay.io/team/*");
        assert_eq!(trust["digest"], pushed.root.digest);
        assert!(
            trust["signedBy"]
                .as_str()
                .is_some_and(|by| by.starts_with("key sha256:"))
        );
        assert!(target.manifest(APP, "1").is_some());
    }
    Ok(())
}

#[tokio::test]
async fn what_does_not_prove_it_is_refused_before_a_layer_is_read() -> Result {
    type Sign<'a> = Box<dyn Fn(&Registry, &Pushed) -> anyhow::Result<()> + 'a>;
    let (signer, stranger) = (Signer::new(), Signer::new());
    let other = format!("sha256:{}", "ab".repeat(32));
    let cases: Vec<(&str, Sign<'_>, &str)> = vec![
        ("unsigned", Box::new(|_, _| Ok(())), "found: no signature"),
        (
            "another key, tag",
            Box::new(|at, image| stranger.sign_tag(at, "team/app", &image.root.digest)),
            "that this key did not make",
        ),
        (
            "another key, bundle",
            Box::new(|at, image| stranger.sign_bundle(at, "team/app", &image.root)),
            "that this key did not make",
        ),
        (
            "a tag that moved",
            Box::new(|at, image| {
                put_tag(
                    at,
                    "team/app",
                    &image.root.digest,
                    &[signer.payload(&other)],
                )
            }),
            "a signature for another digest, sha256:abab",
        ),
        (
            "a bundle of another image",
            Box::new(|at, image| put_bundle(at, "team/app", &image.root, &signer.bundle(&other))),
            "a signature for another digest, sha256:abab",
        ),
        (
            "only one platform",
            Box::new(|at, image| {
                signer.sign_bundle(at, "team/app", &image.manifests[0])?;
                signer.sign_tag(at, "team/app", &image.manifests[0].digest)
            }),
            "found: no signature",
        ),
        (
            "a changed payload",
            Box::new(|at, image| {
                let (_, signature) = signer.payload(&other);
                let (payload, _) = signer.payload(&image.root.digest);
                put_tag(at, "team/app", &image.root.digest, &[(payload, signature)])
            }),
            "that this key did not make, or whose content was changed",
        ),
        (
            "no bundle",
            Box::new(|at, image| put_bundle(at, "team/app", &image.root, &json!([1]))),
            "a signature that cannot be read",
        ),
    ];
    for (name, sign, why) in cases {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        let pushed = image(&source)?;
        sign(&source, &pushed)?;
        let data = app(&signer.rule("quay.io/team/app"));
        let run = deploy(&data, &source, &target, "require")
            .run()
            .await
            .ended(1);
        let run = run.said(&[
            "quay.io/team/app:1 is not trusted: the rule for quay.io/team/app (",
            "default.yaml:4: trust.0) asks for a cosign signature by the key sha256:",
            why,
        ]);
        assert_eq!(
            run.report_of("team/app:1")["trust"]["state"],
            "untrusted",
            "{name}"
        );
        let layers = pushed.blobs.iter().filter(|blob| blob.size >= 3000);
        for layer in layers {
            assert_eq!(source.wire().count("GET", &layer.digest), 0, "{name}");
        }
        assert_eq!(target.repositories(), Vec::<String>::new(), "{name}");
        assert!(
            !run.files().contains(&"replication_result.json".to_owned()),
            "{name}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn one_signature_that_counts_is_enough_among_others() -> Result {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = image(&source)?;
    let digest = &pushed.root.digest;
    let mut signatures: Vec<_> = (0..100).map(|_| stranger.payload(digest)).collect();
    signatures.push(signer.payload(digest));
    put_tag(&source, "team/app", digest, &signatures)?;
    stranger.sign_bundle(&source, "team/app", &pushed.root)?;
    let data = app(&signer.rule("quay.io"));
    let plan = data
        .run("plan")
        .args(["--trust", "require", "--registry-prefix"]);
    let plan = plan.arg(format!("{}/mirror/", target.host()));
    let plan = plan.endpoint("quay.io", &source.url()).run().await.ended(0);
    let row = plan
        .stdout
        .lines()
        .find(|line| line.contains("team/app:1 "));
    assert!(plan.stdout.contains("TRUST") && row.is_some_and(|row| row.contains("signed")));
    // Of a hundred payloads only the one that can be the key's was read.
    let reads = source.wire().requests();
    let reads = reads
        .iter()
        .filter(|request| request.path.contains("/blobs/"));
    assert_eq!(reads.count(), 1);
    deploy(&data, &source, &target, "require")
        .run()
        .await
        .ended(0);
    Ok(())
}

#[tokio::test]
async fn what_the_target_has_already_is_verified_too() -> Result {
    let signer = Signer::new();
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = image(&source)?;
    let data = app(&signer.rule("quay.io/*"));
    deploy(&data, &source, &target, "off").run().await.ended(0);
    deploy(&data, &source, &target, "require")
        .run()
        .await
        .ended(1)
        .said(&["no signature"]);
    signer.sign_tag(&source, "team/app", &pushed.root.digest)?;
    let run = deploy(&data, &source, &target, "require")
        .run()
        .await
        .ended(0);
    assert_eq!(run.report_of("team/app:1")["done"], "already there");
    assert_eq!(run.report_of("team/app:1")["trust"]["state"], "signed");
    Ok(())
}

#[tokio::test]
async fn selected_platforms_of_a_signed_index_are_trusted() -> Result {
    let signer = Signer::new();
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = image(&source)?;
    signer.sign_bundle(&source, "team/app", &pushed.root)?;
    let data = app(&signer.rule("quay.io/*"));
    for _ in 0..2 {
        let run = deploy(&data, &source, &target, "require").args(["--platforms", "linux/arm64"]);
        let run = run.run().await.ended(0);
        assert_eq!(
            run.report_of("team/app:1")["trust"]["digest"],
            pushed.root.digest
        );
    }
    // Where no referrers are copied, signatures are read all the same.
    let target = Registry::start().await?;
    deploy(&data, &source, &target, "require")
        .arg("--no-referrers")
        .run()
        .await
        .ended(0);
    Ok(())
}

#[tokio::test]
async fn the_first_rule_that_matches_applies_and_others_are_copied() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let images: Vec<String> = ["a", "b", "c", "d"]
        .iter()
        .map(|name| format!("quay.io/team/{name}:1"))
        .collect();
    for name in ["a", "b", "c", "d"] {
        Image::new()
            .layer(900, 1)
            .push(&source, &format!("team/{name}"), "1")?;
    }
    let (_, bytes, _) = source.manifest("team/b", "1").expect("an image");
    let digest = lab::content::Descriptor::of("x", &bytes).digest;
    let pinned = format!("quay.io/team/b@{digest}");
    let rules = "  - {match: \"quay.io/team/a:*\", none: true, reason: it is built here}\n\
        \x20 - {match: quay.io/team/a, digest: true}\n\
        \x20 - {match: quay.io/team/b, digest: true}\n\
        \x20 - {match: quay.io/team/c, digest: true}\n";
    let data = data(&[&images[0], &pinned, &images[2], &images[3]], rules);
    let run = deploy(&data, &source, &target, "require")
        .run()
        .await
        .ended(1);
    let run = run.said(&[
        "quay.io/team/c:1 is not trusted: the rule for quay.io/team/c (",
        "asks for a reference with a digest (@sha256:…), or a lock; found: its reference pins no digest",
        "quay.io/team/d:1 is not trusted: no rule of `trust` matches it; add one for it, or `none: true` with a reason",
    ]);
    let exempt = run.report_of("team/a:1")["trust"].clone();
    assert_eq!(
        (&exempt["state"], &exempt["reason"]),
        (&json!("exempt"), &json!("it is built here"))
    );
    let state = |target: &str| run.report_of(target)["done"].clone();
    assert_eq!(
        (state("team/a:1"), state("team/d:1")),
        (json!("copied"), json!("failed"))
    );
    // As a warning it changes nothing else.
    let run = deploy(&data, &source, &target, "warn").run().await.ended(0);
    run.said(&[
        "quay.io/team/c:1 is not trusted: ",
        "quay.io/team/d:1 is not trusted: ",
    ]);
    Ok(())
}
