//! Sources prove what the rules under `trust` ask for, or nothing of them is copied.

use lab::chart::{Chart, ChartRepository};
use lab::image::{Image, Pushed};
use lab::registry::Registry;
use serde_json::json;

use super::Result;
use super::data::{Data, chart_entry};
use super::run::Run;
use super::signer::{ChartSigner, Signer, put_bundle, put_tag};

/// An image of two platforms, `quay.io/team/app:1`.
fn image(source: &Registry) -> anyhow::Result<Pushed> {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    Ok(image.layer(3000, 1).push(source, "team/app", "1")?)
}

fn data(images: &[&str], rules: &str) -> Data {
    let lines = images.iter().enumerate();
    let lines: Vec<String> = lines
        .map(|(number, image)| format!("  image{number}: \"{image}\"\n"))
        .collect();
    let default = format!("additional_images:\n{}trust:\n{rules}", lines.concat());
    Data::new(&default, "ami: {version: 1.34.0}\n")
}

fn app(rules: &str) -> Data {
    data(&["quay.io/team/app:1"], rules)
}

fn deploy(data: &Data, source: &Registry, target: &Registry, mode: &str) -> Run {
    let run = data.deploy(target).endpoint("quay.io", &source.url());
    run.args(["--trust", mode])
}

const APP: &str = "mirror/quay.io/team/app";

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
        "asks for a reference with a digest (@sha256:…); found: its reference pins no digest",
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

#[tokio::test]
async fn off_sends_no_request_more_and_require_two_at_most() -> Result {
    let signer = Signer::new();
    let source = Registry::start().await?;
    let pushed = image(&source)?;
    signer.sign_tag(&source, "team/app", &pushed.root.digest)?;
    let data = app(&signer.rule("quay.io/*"));
    let mut counts = Vec::new();
    for mode in ["none", "off", "require"] {
        let target = Registry::start().await?;
        source.wire().clear();
        let run = if mode == "none" {
            data.deploy(&target).endpoint("quay.io", &source.url())
        } else {
            deploy(&data, &source, &target, mode)
        };
        run.run().await.ended(0);
        counts.push(source.wire().requests().len());
    }
    assert_eq!(counts[0], counts[1]);
    assert!(counts[2] <= counts[0] + 2, "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn the_mode_is_off_warn_or_require() -> Result {
    let data = app("  - {match: \"*\", digest: true}\n");
    for wrong in ["on", "true", "True", "strict"] {
        let run = data
            .plan()
            .env("SEEDFARMER_PARAMETER_TRUST", wrong)
            .run()
            .await
            .ended(2);
        run.said(&["parameter Trust: ", "is none of off, warn, require"]);
    }
    for off in ["off", "false", "False", "null", ""] {
        data.plan()
            .env("SEEDFARMER_PARAMETER_TRUST", off)
            .run()
            .await
            .ended(0);
    }
    let none = Data::images(&["quay.io/team/app:1"]);
    for mode in ["warn", "require"] {
        let run = none.plan().args(["--trust", mode]).run().await.ended(2);
        run.said(&["the data files have no `trust` list"]);
    }
    Ok(())
}

#[tokio::test]
async fn rules_are_checked_strictly_whatever_the_mode() -> Result {
    for (rules, words) in [
        (
            "  - {match: quay.io/*}\n",
            &["default.yaml:4: trust.0", "asks for nothing"][..],
        ),
        (
            "  - {digest: true}\n",
            &["trust.0", "the rule has no `match`"],
        ),
        (
            "  - {match: a b, digest: true}\n",
            &["trust.0.match", "is not a pattern of sources"],
        ),
        (
            "  - {match: \"*\", digest: true, none: true, reason: x}\n",
            &["asks for digest and none"],
        ),
        (
            "  - {match: \"*\", digest: false}\n",
            &["trust.0.digest", "is `true` or is left out"],
        ),
        (
            "  - {match: \"*\", none: true}\n",
            &["there is no `reason`"],
        ),
        (
            "  - {match: \"*\", digest: true, reason: x}\n",
            &["`reason` belongs to `none: true` only"],
        ),
        (
            "  - {match: \"*\", cosign: {}}\n",
            &["trust.0.cosign", "there is no `key`"],
        ),
        (
            "  - {match: \"*\", cosign: {keys: a}}\n",
            &[
                "there is no key `keys` in `cosign` of a rule",
                "write `key`",
            ],
        ),
        (
            "  - {match: \"*\", cosign: {key: a, x-note: b}}\n",
            &["there is no key `x-note`"],
        ),
        (
            "  - {match: \"*\", cosign: {key: \"awskms:///alias/a\"}}\n",
            &["does not name a key of KMS", "three slashes"],
        ),
        (
            "  - {match: \"*\", cosign: {key: \"https://a.corp/k\"}}\n",
            &["is none of a PEM text, a file and awskms"],
        ),
        (
            "  - {match: \"*\", keyless: {issuer: \"https://a.corp\"}}\n",
            &["there is no `identity`"],
        ),
        (
            "  - {match: \"*\", keyless: {issuer: a, identity: b}}\n",
            &["is not the URL of an issuer"],
        ),
        (
            "  - {match: \"*\", keyless: {issuer: \"https://a.corp\", identityPattern: \"*\"}}\n",
            &["would allow every identity"],
        ),
        (
            "  - {match: \"*\", provenance: keyring.gpg}\n",
            &["trust.0.provenance", "a mapping is expected"],
        ),
        ("  - quay.io/*\n", &["trust.0", "a mapping is expected"]),
        (
            "  quay.io: {digest: true}\n",
            &["a list of rules is expected"],
        ),
    ] {
        app(rules).plan().run().await.ended(2).said(words);
    }
    Ok(())
}

#[tokio::test]
async fn keys_are_read_where_the_data_file_is_and_only_if_they_are_needed() -> Result {
    let signer = Signer::new();
    let rule = "  - {match: \"*\", cosign: {key: keys.pub}}\n";
    app(rule).plan().run().await.ended(0);
    let missing = app(rule)
        .plan()
        .args(["--trust", "warn"])
        .run()
        .await
        .ended(2);
    missing.said(&["default.yaml:4: trust.0: cannot read ", "keys.pub"]);
    let broken = app(rule).file("keys.pub", "-----BEGIN PRIVATE KEY-----\n");
    let broken = broken.plan().args(["--trust", "warn"]).run().await.ended(2);
    broken.said(&["it holds a private key"]);
    let good = app(rule).file("keys.pub", &signer.public_key());
    good.plan().args(["--trust", "warn"]).run().await.ended(0);
    // The list of the version file replaces the other.
    let replaced = app(rule).file("1.34.yaml", "trust: [{match: quay.io, digest: true}]\n");
    replaced
        .plan()
        .args(["--trust", "warn"])
        .run()
        .await
        .ended(0);
    Ok(())
}

/// A chart without images, and the data for it.
async fn chart(
    signed: impl Fn(&Chart) -> Option<String>,
    rules: &str,
) -> anyhow::Result<(ChartRepository, Registry, Data)> {
    let chart = Chart::new("app", "1.0.0");
    let chart = match signed(&chart) {
        Some(provenance) => chart.provenance(&provenance),
        None => chart,
    };
    let repository = ChartRepository::start(vec![chart.clone()]).await?;
    let registry = Registry::start().await?;
    chart.push_oci(&registry, "charts/oci")?;
    let entry = chart_entry("app", &repository.url(), "");
    let data = Data::new(&format!("{entry}trust:\n{rules}"), "ami: {}\n");
    Ok((repository, registry, data))
}

#[tokio::test]
async fn a_chart_is_copied_if_its_provenance_file_is_signed_by_a_key_of_the_keyring() -> Result {
    let signer = ChartSigner::new();
    // A rule for provenance matches no image.
    let rules = "  - {match: \"*\", provenance: {keyring: keyring.gpg}}\n  - {match: \"*\", digest: true}\n";
    let sign = |chart: &Chart| Some(signer.provenance("app-1.0.0.tgz", &chart.archive()));
    let (_repository, _, data) = chart(sign, rules).await?;
    std::fs::write(data.file_path("keyring.gpg"), signer.keyring())?;
    let target = Registry::start().await?;
    let run = data
        .deploy(&target)
        .args(["--trust", "require"])
        .run()
        .await
        .ended(0);
    let trust = run.report_of("app:1.0.0")["trust"].clone();
    assert_eq!(trust["state"], "signed");
    assert_eq!(trust["digest"], Chart::new("app", "1.0.0").digest());
    let by = trust["signedBy"].as_str().unwrap_or_default();
    assert!(by.starts_with("Team <team@example.com> ("), "{by}");
    Ok(())
}

#[tokio::test]
async fn a_chart_of_a_registry_has_its_provenance_in_its_artifact() -> Result {
    let signer = ChartSigner::new();
    let source = Registry::start().await?;
    let chart = Chart::new("app", "1.0.0");
    let provenance = signer.provenance("app-1.0.0.tgz", &chart.archive());
    chart
        .provenance(&provenance)
        .push_oci(&source, "charts/app")?;
    let rules =
        "trust:\n  - {match: \"oci://ghcr.io/charts\", provenance: {keyring: keyring.gpg}}\n";
    let entry = chart_entry("app", "oci://ghcr.io/charts", "");
    let data = Data::new(&format!("{entry}{rules}"), "ami: {}\n");
    std::fs::write(data.file_path("keyring.gpg"), signer.keyring())?;
    let target = Registry::start().await?;
    let run = data.deploy(&target).endpoint("ghcr.io", &source.url());
    let run = run.args(["--trust", "require"]).run().await.ended(0);
    assert_eq!(run.report_of("app:1.0.0")["trust"]["state"], "signed");
    Ok(())
}

#[tokio::test]
async fn a_chart_whose_provenance_is_wrong_is_refused() -> Result {
    type Sign<'a> = Box<dyn Fn(&Chart) -> Option<String> + 'a>;
    let (signer, stranger) = (ChartSigner::new(), ChartSigner::new());
    let rules = "  - {match: \"*\", provenance: {keyring: keyring.gpg}}\n";
    let cases: [(Sign<'_>, &str); 5] = [
        (
            Box::new(|_| None),
            "found: no provenance file (.prov) beside the chart",
        ),
        (
            Box::new(|chart| Some(stranger.provenance("app-1.0.0.tgz", &chart.archive()))),
            "which the keyring does not have or which may not sign",
        ),
        (
            Box::new(|_| Some(signer.provenance("app-1.0.0.tgz", b"another archive"))),
            "a provenance file for another archive, sha256:",
        ),
        (
            Box::new(|chart| Some(signer.provenance("app-1.0.1.tgz", &chart.archive()))),
            "a provenance file that does not name app-1.0.0.tgz",
        ),
        (
            Box::new(|chart| {
                let text = signer.provenance("app-1.0.0.tgz", &chart.archive());
                Some(text.replace("name: app", "name: bad"))
            }),
            "it was changed, or another key signed it",
        ),
    ];
    for (sign, why) in cases {
        let (_repository, _, data) = chart(sign, rules).await?;
        std::fs::write(data.file_path("keyring.gpg"), signer.keyring())?;
        let target = Registry::start().await?;
        let run = data
            .deploy(&target)
            .args(["--trust", "require"])
            .run()
            .await
            .ended(1);
        run.said(&["asks for a provenance file signed by the key ", why]);
        assert_eq!(target.repositories(), Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn a_key_of_kms_is_read_once() -> Result {
    let data = app(
        "  - {match: \"*\", cosign: {key: \"awskms:///arn:aws:kms:eu-west-1:111122223333:key/1\"}}\n",
    );
    // Without an answer of KMS nothing is planned.
    let run = data
        .plan()
        .args(["--trust", "warn"])
        .env("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9");
    let run = run
        .env("AWS_ACCESS_KEY_ID", "a")
        .env("AWS_SECRET_ACCESS_KEY", "b")
        .args(["--tries", "1"]);
    run.run()
        .await
        .ended(2)
        .said(&["default.yaml:4: trust.0: "]);
    Ok(())
}

#[tokio::test]
async fn a_keyless_rule_refuses_keys_and_takes_a_named_trust_root() -> Result {
    let signer = Signer::new();
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = image(&source)?;
    signer.sign_tag(&source, "team/app", &pushed.root.digest)?;
    signer.sign_bundle(&source, "team/app", &pushed.root)?;
    let rule = |more: &str| {
        format!(
            "  - {{match: \"*\", keyless: {{issuer: \"https://issuer.corp\", identity: me@corp{more}}}}}\n"
        )
    };
    let run = deploy(&app(&rule("")), &source, &target, "require")
        .run()
        .await
        .ended(1);
    run.said(&["asks for a keyless cosign signature by me@corp, vouched for by https://issuer.corp; found: a signature by a key"]);
    let data = app(&rule(", trustRoot: root.json"));
    let missing = deploy(&data, &source, &target, "require")
        .run()
        .await
        .ended(2);
    missing.said(&["trust.0: cannot read ", "root.json"]);
    let data = data.file("root.json", "[]");
    let broken = deploy(&data, &source, &target, "require")
        .run()
        .await
        .ended(2);
    broken.said(&["root.json is not a trust root"]);
    Ok(())
}
