//! The policy for sources: what each has to prove before it is copied.
//!
//! [`Policy`] holds the rules of the data files with their keys; [`TrustGate`] asks them for each artifact of a
//! plan, from what the copy engine has read of its signatures, and records who signed what.

mod gate;
mod signatures;

use std::io::Read;
use std::path::Path;

use crate::document::Kind;
use crate::inventory::{KeyReference, Requirement, TrustRule};
use crate::problem::{Problem, Problems};

use ::signatures::key::PublicKey;

pub use gate::TrustGate;

/// What happens to a source that does not prove what a rule asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// No source is asked.
    #[default]
    Off,
    /// It is a warning.
    Warn,
    /// It is not copied.
    Require,
}

impl Mode {
    /// Reads the parameter. YAML makes `false` of an unquoted `off`.
    ///
    /// # Errors
    /// A text that is none of the words. `true` is none: it does not say which of the two is meant.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "off" | "false" => Ok(Self::Off),
            "warn" => Ok(Self::Warn),
            "require" => Ok(Self::Require),
            _ => Err(format!("`{text}` is none of off, warn, require")),
        }
    }
}

/// The rules, with what they need to verify.
#[derive(Debug)]
pub struct Policy {
    mode: Mode,
    rules: Vec<Rule>,
}

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
    pub fn load(mode: Mode, rules: &[TrustRule]) -> Result<Option<Self>, Problems> {
        if mode == Mode::Off {
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
        for rule in rules {
            match check(&rule.requirement) {
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
        }))
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
            Check::Digest => "a reference with a digest (@sha256:…)".to_owned(),
            Check::Nothing(_) => "nothing".to_owned(),
        }
    }
}

fn check(requirement: &Requirement) -> Result<Check, String> {
    match requirement {
        Requirement::Cosign { key } => {
            let text = match key {
                KeyReference::Pem(text) => text.clone(),
                KeyReference::File(path) => text_of(path)?,
                KeyReference::Kms(key) => return Err(format!("the key {key} cannot be read")),
            };
            let key = PublicKey::from_pem(&text);
            let key = key.map_err(|error| match requirement {
                Requirement::Cosign {
                    key: KeyReference::File(path),
                } => format!("{}: {error}", path.display()),
                _ => format!("`key`: {error}"),
            })?;
            Ok(Check::Key(key))
        }
        Requirement::Digest => Ok(Check::Digest),
        Requirement::Nothing { reason } => Ok(Check::Nothing(reason.clone())),
        Requirement::Keyless { .. } | Requirement::Provenance { .. } => {
            Err("this requirement cannot be verified".to_owned())
        }
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let bytes = bytes_of(path, MAX_KEY)?;
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
