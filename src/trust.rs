//! The policy for sources: what each has to prove before it is copied.
//!
//! [`Policy`] holds the rules of the data files with their keys; [`TrustGate`] asks them for each artifact of a
//! plan, from what the copy engine has read of its signatures, and records who signed what.

mod gate;
mod provenance;
mod signatures;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::aws::{self, Aws};
use crate::document::Kind;
use crate::inventory::{Identity, KeyReference, Requirement, TrustRule};
use crate::problem::{Problem, Problems};
use crate::settings::TrustMode;

use ::signatures::key::PublicKey;
use ::signatures::keyless::{self, TrustRoot};
use ::signatures::openpgp::{Keyring, MAX_KEYRING};

pub use gate::TrustGate;

/// The rules, with what they need to verify.
#[derive(Debug)]
pub struct Policy {
    mode: TrustMode,
    rules: Vec<Rule>,
    kms: KmsKeys,
}

/// The keys of KMS by their ARNs as rules write them.
type KmsKeys = BTreeMap<String, aws::PublicKey>;

/// A rule, with what it needs to verify.
#[derive(Debug)]
struct Rule {
    written: TrustRule,
    check: Check,
}

/// What a rule checks.
#[derive(Debug)]
enum Check {
    /// A signature by a key.
    Key(PublicKey),
    /// A signature by a certificate.
    Keyless {
        issuer: String,
        identity: Identity,
        root: TrustRoot,
    },
    /// A provenance file signed by a key of a keyring.
    Provenance(Keyring),
    /// A digest in the reference.
    Digest,
    /// Nothing, for a reason.
    Nothing(String),
}

/// The largest file with a key, in bytes.
const MAX_KEY: u64 = 64 * 1024;

impl Policy {
    /// Reads the keys of all rules; `None` where no source is asked.
    ///
    /// # Errors
    /// Every key that cannot be used, and a policy without rules.
    pub async fn load(
        mode: TrustMode,
        rules: &[TrustRule],
        aws: &Aws,
    ) -> Result<Option<Self>, Problems> {
        if mode == TrustMode::Off {
            return Ok(None);
        }
        if rules.is_empty() {
            let what = "the sources are to be verified, and the data files have no `trust` list";
            let problem = Problem::input("parameter Trust, --trust", what);
            return Err(problem
                .remedy("write rules under `trust` (see docs/trust.md), or set it to off")
                .into());
        }
        let (mut loaded, mut problems) = (Vec::new(), Vec::new());
        let mut kms = KmsKeys::new();
        for rule in rules {
            if let Err(problem) = read_kms(rule, &mut kms, aws).await {
                problems.push(problem);
                continue;
            }
            match check(&rule.requirement, &kms) {
                Ok(check) => loaded.push(Rule {
                    written: rule.clone(),
                    check,
                }),
                Err(what) => problems.push(Problem::input(rule.place.as_str(), what)),
            }
        }
        Problems::check(problems)?;
        Ok(Some(Self {
            mode,
            rules: loaded,
            kms,
        }))
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule, which [`Policy::load`] refuses.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The ARNs of the keys of KMS that the rules name, directly or by aliases.
    pub fn kms_keys(&self) -> impl Iterator<Item = &str> {
        self.kms.values().map(|key| key.arn.as_str())
    }

    /// The first rule that matches. Only charts have provenance, so such a rule matches no image.
    fn rule(&self, kind: Kind, source: &str) -> Option<&Rule> {
        let fits = |rule: &&Rule| {
            let is_for_charts = matches!(rule.written.requirement, Requirement::Provenance { .. });
            (kind == Kind::Chart || !is_for_charts) && rule.written.sources.covers(kind, source)
        };
        self.rules.iter().find(fits)
    }
}

impl Rule {
    /// What would satisfy it.
    fn wants(&self) -> String {
        match &self.check {
            Check::Key(key) => format!("a cosign signature by the key {}", key.fingerprint()),
            Check::Keyless {
                issuer, identity, ..
            } => {
                format!("a keyless cosign signature by {identity}, vouched for by {issuer}")
            }
            Check::Provenance(keyring) => {
                let keys = keyring.fingerprints();
                let more = keys.len().saturating_sub(3);
                let more = if more > 0 {
                    format!(" or {more} more")
                } else {
                    String::new()
                };
                let keys = keys[..keys.len().min(3)].join(" or ");
                format!("a provenance file signed by the key {keys}{more}")
            }
            Check::Digest => "a reference with a digest (@sha256:…), or a lock".to_owned(),
            Check::Nothing(_) => "nothing".to_owned(),
        }
    }
}

/// Reads the key of KMS that a rule names, once for all rules.
async fn read_kms(rule: &TrustRule, known: &mut KmsKeys, aws: &Aws) -> Result<(), Problem> {
    let Requirement::Cosign {
        key: KeyReference::Kms(arn),
    } = &rule.requirement
    else {
        return Ok(());
    };
    if known.contains_key(arn) {
        return Ok(());
    }
    let key = aws.kms_public_key(arn).await.map_err(|error| {
        let denied = error.code().unwrap_or_default().starts_with("AccessDenied");
        let remedy = if denied {
            Some(
                "allow kms:GetPublicKey: name the key's ARN in the parameter TrustKmsKeyArns; the policy of another \
                 account's key has to allow it too",
            )
        } else {
            error.remedy()
        };
        let is_refusal = error.is_refusal();
        let problem = Problem::outside(rule.place.as_str(), &error.into());
        let problem = if is_refusal {
            Problem::input(problem.place, problem.what)
        } else {
            problem
        };
        match remedy {
            Some(remedy) => problem.remedy(remedy),
            None => problem,
        }
    })?;
    known.insert(arn.clone(), key);
    Ok(())
}

fn check(requirement: &Requirement, kms: &KmsKeys) -> Result<Check, String> {
    match requirement {
        Requirement::Cosign { key } => {
            let read = match key {
                KeyReference::Pem(text) => {
                    PublicKey::from_pem(text).map_err(|why| format!("`key`: {why}"))
                }
                KeyReference::File(path) => {
                    let text = text_of(path, MAX_KEY)?;
                    PublicKey::from_pem(&text).map_err(|why| format!("{}: {why}", path.display()))
                }
                KeyReference::Kms(arn) => {
                    let der = kms.get(arn).map(|key| key.der.as_slice());
                    PublicKey::from_der(der.unwrap_or_default())
                        .map_err(|why| format!("the key {arn}: {why}"))
                }
            };
            Ok(Check::Key(read?))
        }
        Requirement::Digest => Ok(Check::Digest),
        Requirement::Nothing { reason } => Ok(Check::Nothing(reason.clone())),
        Requirement::Keyless {
            issuer,
            identity,
            trust_root,
        } => {
            let root = match trust_root {
                None => TrustRoot::public(),
                Some(path) => {
                    let text = text_of(path, keyless::MAX_ROOT)?;
                    let unusable = |why| format!("{} is not a trust root: {why}", path.display());
                    TrustRoot::parse(&text).map_err(unusable)
                }
            };
            Ok(Check::Keyless {
                issuer: issuer.clone(),
                identity: identity.clone(),
                root: root?,
            })
        }
        Requirement::Provenance { keyring } => {
            let bytes = bytes_of(keyring, MAX_KEYRING)?;
            let read = Keyring::parse(&bytes);
            let read =
                read.map_err(|why| format!("{} is not a keyring: {why}", keyring.display()))?;
            Ok(Check::Provenance(read))
        }
    }
}

fn text_of(path: &Path, limit: u64) -> Result<String, String> {
    let bytes = bytes_of(path, limit)?;
    String::from_utf8(bytes).map_err(|_| format!("{} is not text", path.display()))
}

/// The content of a small file.
fn bytes_of(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let failed = |why: String| format!("cannot read {}: {why}", path.display());
    let mut bytes = Vec::new();
    // Reading a pipe would not end.
    let is_file = std::fs::metadata(path).map(|about| about.is_file());
    if !is_file.map_err(|error| failed(error.to_string()))? {
        return Err(failed("it is not a file".to_owned()));
    }
    let read =
        std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    read.map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > limit {
        return Err(failed(format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// The time in seconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map(|now| now.as_secs()).unwrap_or_default()
}
