//! Keys of KMS.

use lab::aws::KeySpec;

use crate::Result;
use crate::data::Data;

use super::{World, broken, row};

#[tokio::test]
async fn a_key_that_is_disabled_or_of_another_kind() -> Result {
    let world = World::start().await?;
    let key = world.aws.put_key(KeySpec::Symmetric);
    let run = || world.run().env("SEEDFARMER_PARAMETER_KMS_KEY_ARN", &key);
    let fine = run().run().await.ended(0);
    assert_eq!(row(&fine, "key KmsKeyArn")["state"], "ok");
    world.aws.set_key_state(&key, "Disabled");
    let run = run().run().await.ended(1);
    broken(&run, "key KmsKeyArn", "is Disabled", "enable the key");
    let run = world.run().env(
        "SEEDFARMER_PARAMETER_ATTESTATION_KMS_KEY_ARN",
        world.aws.put_key(KeySpec::P384),
    );
    let run = run.run().await.ended(1);
    broken(
        &run,
        "key AttestationKmsKeyArn",
        "ECDSA_SHA_384",
        "ECC_NIST_P256",
    );
    let signs = world.aws.put_key(KeySpec::P256);
    let run = world.run().env("SEEDFARMER_PARAMETER_KMS_KEY_ARN", &signs);
    let run = run.run().await.ended(1);
    broken(&run, "key KmsKeyArn", "SIGN_VERIFY", "symmetric");
    Ok(())
}

#[tokio::test]
async fn keys_of_trust_that_cannot_be_read() -> Result {
    let mut world = World::start().await?;
    let key = world.aws.put_key(KeySpec::P256);
    let rules = |key: &str| format!("trust: [{{match: docker.io, cosign: {{key: \"{key}\"}}}}]\n");
    let image = "additional_images: {app: \"docker.io/team/app:1\"}\n";
    let with_rules = |key: &str| Data::new(&(image.to_owned() + &rules(key)), "ami: {}\n");
    world.data = with_rules(&format!("awskms:///{key}"));
    let run = || world.run().env("SEEDFARMER_PARAMETER_TRUST", "require");
    // The role may lack what these credentials have.
    let unlisted = run().run().await.ended(0);
    assert!(!unlisted.stdout.contains("may TrustKeys"));
    let text = "is not in TrustKmsKeyArns: the module's role may not read it";
    assert!(unlisted.stdout.contains(text), "{}", unlisted.stdout);
    let listed = run().env(
        "SEEDFARMER_PARAMETER_TRUST_KMS_KEY_ARNS",
        format!("[\"{key}\"]"),
    );
    let listed = listed.run().await.ended(0);
    assert_eq!(
        row(&listed, "trust")["found"],
        "require, 1 rule and their keys"
    );
    assert_eq!(row(&listed, "may TrustKeys")["state"], "ok");
    world.aws.set_key_state(&key, "PendingDeletion");
    let found = "trust.0: ";
    broken(&run().run().await.ended(1), "trust", found, "docs/trust.md");
    let mut world = World::start().await?;
    world.data = with_rules("team.pub");
    let run = || world.run().env("SEEDFARMER_PARAMETER_TRUST", "warn");
    broken(
        &run().run().await.ended(1),
        "trust",
        "team.pub",
        "docs/trust.md",
    );
    Ok(())
}
