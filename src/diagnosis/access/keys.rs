//! The keys of KMS that parameters name.

use crate::attestation;
use crate::doctor::Finding;
use crate::session::Session;

use super::of_error;

/// The key that encrypts repositories.
pub(super) async fn keys(session: &Session, region: &str) -> Vec<Finding> {
    const CHECK: &str = "key KmsKeyArn";
    let mut findings: Vec<Finding> = signs(session).await.into_iter().collect();
    let Some(arn) = &session.settings.repositories.kms_key else {
        return findings;
    };
    findings.push(match session.aws.kms_key(arn).await {
        Ok(key) if arn.split(':').nth(3) != Some(region) => {
            let found = format!("{arn} ({}) is not in {region}", key.spec);
            Finding::broken(CHECK, found, "name a key of the repositories' region")
        }
        Ok(key) if key.state != "Enabled" => {
            let found = format!("{arn} is {}", key.state);
            Finding::broken(
                CHECK,
                found,
                "enable the key (cancel its deletion), or name another one",
            )
        }
        Ok(key) if key.usage != "ENCRYPT_DECRYPT" => {
            let found = format!("{arn} is for {}", key.usage);
            Finding::broken(CHECK, found, "name a symmetric key for encryption")
        }
        Ok(key) => Finding::ok(CHECK, format!("{}, {}", key.state, key.spec)),
        // The role may use it through ECR only.
        Err(error)
            if error
                .code()
                .is_some_and(|code| code.starts_with("AccessDenied")) =>
        {
            let found = format!("cannot be described: {error}");
            Finding::warning(
                CHECK,
                found,
                "run doctor with credentials that may kms:DescribeKey",
            )
        }
        Err(error) => of_error(CHECK, &error, "name an existing key"),
    });
    findings
}

/// The key that signs attestations.
async fn signs(session: &Session) -> Option<Finding> {
    const CHECK: &str = "key AttestationKmsKeyArn";
    let arn = session.settings.attestation_key.as_deref()?;
    Some(match session.aws.kms_public_key(arn).await {
        Ok(key) => match attestation::algorithm(&key.der, &key.algorithms) {
            Ok(algorithm) => Finding::ok(CHECK, format!("signs with {algorithm}")),
            Err(why) => Finding::broken(CHECK, format!("{arn}: {why}"), attestation::KINDS),
        },
        Err(error) => {
            let usual =
                "name an enabled key for signatures, and allow kms:GetPublicKey and kms:Sign";
            of_error(CHECK, &error, usual)
        }
    })
}
