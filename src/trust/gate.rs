//! Asks the policy for each artifact of a plan, and records the answers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use oci_copy::copy::{Candidate, Gate, Refused};
use oci_copy::reference::{Digest, ImageName};

use crate::document::{Kind, Report, Trust, TrustState};
use crate::plan::Copy;
use crate::settings::TrustMode;

use super::signatures::{self, Signed};
use super::{Check, Policy, Rule, provenance};

/// The policy as the copy engine asks it.
pub struct TrustGate {
    policy: Arc<Policy>,
    /// A lock pins the digest of each source.
    is_locked: bool,
    /// What each artifact is, by its target.
    kinds: HashMap<String, Kind>,
    /// What came out, by target, with the digest that was verified.
    answers: Mutex<BTreeMap<String, (Digest, Trust)>>,
}

impl TrustGate {
    /// A gate for the artifacts of a plan. `is_locked` says that a lock pins their digests.
    #[must_use]
    pub fn new(policy: Policy, copies: &[Copy], is_locked: bool) -> Self {
        Self {
            policy: Arc::new(policy),
            is_locked,
            kinds: kinds(copies),
            answers: Mutex::default(),
        }
    }

    /// The same gate for the same artifacts with other targets, in the same order. What came out is kept.
    #[must_use]
    pub fn renamed(&self, before: &[Copy], after: &[Copy], is_locked: bool) -> Self {
        let names = before.iter().zip(after);
        let answers = self.answers();
        let answers = names.filter_map(|(before, after)| {
            let answer = answers.get(&before.target_text)?;
            Some((after.target_text.clone(), answer.clone()))
        });
        Self {
            policy: Arc::clone(&self.policy),
            is_locked,
            kinds: kinds(after),
            answers: Mutex::new(answers.collect()),
        }
    }

    /// What came out for an artifact; `None` where it was not asked.
    #[must_use]
    pub fn answer(&self, target: &str) -> Option<Trust> {
        self.answers().get(target).map(|(_, trust)| trust.clone())
    }

    /// Adds to a report what came out.
    pub fn add_to(&self, report: &mut Report) {
        for artifact in &mut report.artifacts {
            artifact.trust = self.answer(&artifact.target);
        }
    }

    fn answers(&self) -> MutexGuard<'_, BTreeMap<String, (Digest, Trust)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, candidate: &Candidate<'_>) -> Result<Trust, Refused> {
        let request = candidate.request;
        let kind = self.kinds.get(&request.target_text);
        let kind = kind.copied().unwrap_or(Kind::Image);
        let Some(rule) = self.policy.rule(kind, &request.source_text) else {
            let reason =
                "no rule of `trust` matches it; add one for it, or `none: true` with a reason";
            return Ok(Trust {
                state: TrustState::Untrusted,
                rule: None,
                signed_by: None,
                digest: None,
                reason: Some(reason.to_owned()),
            });
        };
        let answer = |state, signed: Option<Signed>, reason| Trust {
            state,
            rule: Some(rule.written.sources.to_string()),
            digest: signed.as_ref().map(|signed| signed.digest.clone()),
            signed_by: signed.map(|signed| signed.by),
            reason,
        };
        let signed = match &rule.check {
            Check::Nothing(reason) => {
                return Ok(answer(TrustState::Exempt, None, Some(reason.clone())));
            }
            // What a chart's index pins is the registry's choice, so the reference as it is written counts.
            Check::Digest if self.is_locked || is_pinned(kind, &request.source_text) => {
                return Ok(answer(TrustState::Pinned, None, None));
            }
            Check::Digest => Err("its reference pins no digest".to_owned()),
            Check::Key(key) => signatures::by_key(candidate, key).await?,
            Check::Keyless {
                issuer,
                identity,
                root,
            } => signatures::keyless(candidate, root, (issuer, identity)).await?,
            Check::Provenance(keyring) => provenance::by_keyring(candidate, keyring).await?,
        };
        Ok(match signed {
            Ok(signed) => answer(TrustState::Signed, Some(signed), None),
            Err(found) => answer(TrustState::Untrusted, None, Some(unsatisfied(rule, &found))),
        })
    }
}

/// Whether a reference pins a digest. Those of charts cannot.
fn is_pinned(kind: Kind, source: &str) -> bool {
    let name = source.parse::<ImageName>();
    kind == Kind::Image && name.is_ok_and(|name| name.digest.is_some())
}

/// What each artifact is, by its target.
fn kinds(copies: &[Copy]) -> HashMap<String, Kind> {
    let kinds = copies.iter();
    let kinds = kinds.map(|copy| (copy.target_text.clone(), copy.kind));
    kinds.collect()
}

/// Which rule is not satisfied, what was found, and what would satisfy it.
fn unsatisfied(rule: &Rule, found: &str) -> String {
    let (place, sources) = (&rule.written.place, &rule.written.sources);
    format!(
        "the rule for {sources} ({place}) asks for {}; found: {found}",
        rule.wants()
    )
}

impl Gate for TrustGate {
    fn check<'a>(&'a self, candidate: &'a Candidate<'a>) -> BoxFuture<'a, Result<(), Refused>> {
        async move {
            let request = candidate.request;
            let known = {
                let answers = self.answers();
                let known = answers.get(&request.target_text);
                let known = known.filter(|(digest, _)| digest == candidate.digest);
                known.map(|(_, trust)| trust.clone())
            };
            let is_new = known.is_none();
            let trust = match known {
                Some(trust) => trust,
                None => match self.ask(candidate).await {
                    Ok(trust) => trust,
                    Err(refused) if self.policy.mode == TrustMode::Require => return Err(refused),
                    Err(refused) => Trust {
                        state: TrustState::Untrusted,
                        rule: None,
                        signed_by: None,
                        digest: None,
                        reason: Some(unreadable(refused)),
                    },
                },
            };
            if is_new {
                let answer = (candidate.digest.clone(), trust.clone());
                self.answers().insert(request.target_text.clone(), answer);
            }
            if trust.state != TrustState::Untrusted {
                return Ok(());
            }
            let reason = trust.reason.unwrap_or_default();
            if self.policy.mode == TrustMode::Require {
                return Err(Refused::Untrusted(reason));
            }
            if is_new {
                tracing::warn!("{} is not trusted: {reason}", request.source_text);
            }
            Ok(())
        }
        .boxed()
    }
}

fn unreadable(refused: Refused) -> String {
    match refused {
        Refused::Untrusted(reason) => reason,
        Refused::Unreadable(error) => {
            format!(
                "its signatures cannot be read: {:#}",
                anyhow::Error::new(error)
            )
        }
    }
}
