//! The rules for sources: whether their keys can be read, and whether the module's role may read those of KMS.

use crate::doctor::Finding;
use crate::inventory::Inventory;
use crate::progress;
use crate::session::Session;
use crate::settings::TrustMode;
use crate::trust::Policy;

const CHECK: &str = "trust";

/// Reads every key, keyring and trust root that the rules name; nothing where sources are not verified.
pub(super) async fn check(session: &Session, inventory: &Inventory) -> Vec<Finding> {
    let settings = &session.settings;
    let policy = match Policy::load(settings.trust, &inventory.trust, &session.aws).await {
        Ok(None) => return Vec::new(),
        Ok(Some(policy)) => policy,
        Err(problems) => {
            let usual = "correct the rule, or the file that it names (docs/trust.md)";
            let broken = problems.iter().map(|problem| {
                let found = format!("{}: {}", problem.place, problem.what);
                Finding::broken(CHECK, found, problem.remedy.as_deref().unwrap_or(usual))
            });
            return broken.collect();
        }
    };
    let mode = match settings.trust {
        TrustMode::Require => "require",
        _ => "warn",
    };
    let rules = progress::count(policy.len(), "rule");
    let mut findings = vec![Finding::ok(
        CHECK,
        format!("{mode}, {rules} and their keys"),
    )];
    // These credentials may have more rights than the role.
    let of_role = &settings.trust_keys;
    let unlisted = policy
        .kms_keys()
        .filter(|arn| !of_role.iter().any(|one| one == arn));
    findings.extend(unlisted.map(|arn| {
        let found = format!("{arn} is not in TrustKmsKeyArns: the module's role may not read it");
        Finding::warning(CHECK, found, "add its ARN to the parameter TrustKmsKeyArns")
    }));
    findings
}
