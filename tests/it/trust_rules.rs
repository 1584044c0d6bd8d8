//! Rules under `trust`: how they are written, and how their keys are read.

use lab::aws::{Aws, KeySpec};
use lab::registry::Registry;

use super::Result;
use super::data::Data;
use super::signer::Signer;
use super::trust::{app, deploy, image};

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

#[tokio::test]
async fn a_key_of_kms_is_read_once_and_verifies() -> Result {
    let (aws, source, target) = (
        Aws::start().await?,
        Registry::start().await?,
        Registry::start().await?,
    );
    let key = aws.put_key(KeySpec::P256);
    let signer = Signer::of_kms(&aws, &key);
    let pushed = image(&source)?;
    signer.sign_bundle(&source, "team/app", &pushed.root)?;
    let rule =
        |sources| format!("  - {{match: \"{sources}\", cosign: {{key: \"awskms:///{key}\"}}}}\n");
    let data = app(&(rule("quay.io/team/*") + &rule("ghcr.io")));
    let run = || deploy(&data, &source, &target, "require").envs(aws.env());
    let done = run().run().await.ended(0);
    let trust = done.report_of("team/app:1")["trust"].clone();
    assert_eq!(trust["state"], "signed", "{trust}");
    assert_eq!(aws.count("GetPublicKey"), 1);

    // What KMS refuses is bad input, and nothing is asked of a source.
    source.wire().clear();
    aws.set_key_state(&key, "Disabled");
    run()
        .run()
        .await
        .ended(2)
        .said(&["KMSInvalidStateException"]);
    aws.set_key_state(&key, "Enabled");
    aws.deny("kms:GetPublicKey");
    let refused = run().run().await.ended(2);
    refused.said(&[
        "default.yaml:4: trust.0: ",
        "AccessDenied",
        "TrustKmsKeyArns",
    ]);
    assert_eq!(source.wire().requests().len(), 0);
    let aws = Aws::start().await?;
    let symmetric = aws.put_key(KeySpec::Symmetric);
    let data = app(&format!(
        "  - {{match: \"*\", cosign: {{key: \"awskms:///{symmetric}\"}}}}\n"
    ));
    let run = deploy(&data, &source, &target, "require").envs(aws.env());
    run.run().await.ended(2).said(&["InvalidKeyUsageException"]);
    Ok(())
}

#[tokio::test]
async fn without_an_answer_of_kms_nothing_is_planned() -> Result {
    let key = "arn:aws:kms:eu-west-1:111122223333:key/1";
    let data = app(&format!(
        "  - {{match: \"*\", cosign: {{key: \"awskms:///{key}\"}}}}\n"
    ));
    let run = data
        .plan()
        .args(["--trust", "warn", "--tries", "1"])
        .env("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")
        .env("AWS_ACCESS_KEY_ID", "a")
        .env("AWS_SECRET_ACCESS_KEY", "b");
    let run = run.run().await.ended(1);
    run.said(&["default.yaml:4: trust.0: "]);
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
