//! Unknown keys of data files: a misspelt one is an error, any other a warning.

use std::collections::HashSet;

use crate::problem::{Problem, slip};

use super::file::{DataReader, Entry};

/// A place of the format: its name in messages, and the keys it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    place: &'static str,
    pub(super) known: &'static [&'static str],
}

/// The top of a file.
pub(super) const TOP: Keys = Keys {
    place: "at the top of the file",
    known: &[
        "ami",
        "charts",
        "additional_images",
        "docker_mappings",
        "apiVersions",
        "trust",
    ],
};

/// `ami`
pub(super) const AMI: Keys = Keys {
    place: "in `ami`",
    known: &["version"],
};

/// `charts.<key>`
pub(super) const CHART: Keys = Keys {
    place: "in a chart",
    known: &[
        "name",
        "repository",
        "version",
        "skip",
        "subcharts",
        "images",
        "replication",
        "switches",
        "operatorImages",
        "allow",
        "overrides",
        "values",
        "scenarios",
        "namespace",
    ],
};

/// An entry of `subcharts`.
pub(super) const SUBCHART: Keys = Keys {
    place: "in a subchart",
    known: &["name", "alias"],
};

/// `images.<key>`
pub(super) const IMAGE: Keys = Keys {
    place: "in an image",
    known: &["registry", "repository", "tag", "remove"],
};

/// `registry`, `repository` or `tag` of an image.
pub(super) const PART: Keys = Keys {
    place: "in registry, repository or tag of an image",
    known: &[
        "location", "path", "subchart", "prefix", "suffix", "name", "set", "also",
    ],
};

/// An entry of `operatorImages`.
pub(super) const OPERATOR_IMAGE: Keys = Keys {
    place: "in an entry of operatorImages",
    known: &["image", "registryPath"],
};

/// `remove` of an image.
pub(super) const REMOVAL: Keys = Keys {
    place: "in `remove` of an image",
    known: &["location", "path", "subchart"],
};

/// A rule of `trust`.
pub(super) const TRUST_RULE: Keys = Keys {
    place: "in a rule of `trust`",
    known: &[
        "match",
        "cosign",
        "keyless",
        "provenance",
        "digest",
        "none",
        "reason",
    ],
};

/// `cosign` of a rule.
pub(super) const TRUST_COSIGN: Keys = Keys {
    place: "in `cosign` of a rule",
    known: &["key"],
};

/// `keyless` of a rule.
pub(super) const TRUST_KEYLESS: Keys = Keys {
    place: "in `keyless` of a rule",
    known: &["issuer", "identity", "identityPattern", "trustRoot"],
};

/// `provenance` of a rule.
pub(super) const TRUST_PROVENANCE: Keys = Keys {
    place: "in `provenance` of a rule",
    known: &["keyring"],
};

/// The places in which each unknown key may be a misplaced one.
const ALL: [Keys; 8] = [
    TOP,
    AMI,
    CHART,
    SUBCHART,
    IMAGE,
    PART,
    REMOVAL,
    OPERATOR_IMAGE,
];

impl DataReader {
    /// Checks all keys of some mappings. A key that looks like a known one, or that belongs elsewhere, is an error,
    /// because its content would be ignored silently. Any other unknown key is a warning, except `x-…`, which other
    /// formats use for extensions.
    pub(super) fn check_keys(&mut self, parents: &[Entry<'_>], keys: Keys) {
        for entry in parents.iter().flat_map(Entry::entries) {
            let name = entry.name();
            if keys.known.contains(&name) || name.starts_with("x-") {
                continue;
            }
            let elsewhere: Vec<&str> = ALL
                .iter()
                .filter(|place| place.known.contains(&name))
                .map(|place| place.place)
                .collect();
            let remedy = if let Some(near) = slip(name, keys.known.iter().copied()) {
                format!("write `{near}`")
            } else if !elsewhere.is_empty() {
                format!("it belongs {}", elsewhere.join(", or "))
            } else {
                self.warnings.push(format!(
                    "{}: this key is not known and is ignored; known {}: {}",
                    entry.place(),
                    keys.place,
                    keys.known.join(", ")
                ));
                continue;
            };
            let what = format!("there is no key `{name}` {}", keys.place);
            let known = format!("known here: {}", keys.known.join(", "));
            let problem = Problem::input(entry.place(), what);
            self.problems
                .push(problem.remedy(format!("{remedy}\n{known}")));
        }
    }

    /// The same where an unknown key is always an error: what it asks for must not be ignored.
    pub(super) fn strict_keys(&mut self, parent: &Entry<'_>, keys: Keys) {
        for entry in parent.entries() {
            let name = entry.name();
            if keys.known.contains(&name) {
                continue;
            }
            let near = slip(name, keys.known.iter().copied());
            let near = near.map(|near| format!("write `{near}`\n"));
            let what = format!("there is no key `{name}` {}", keys.place);
            let known = format!("known here: {}", keys.known.join(", "));
            let remedy = near.unwrap_or_default() + &known;
            let problem = Problem::input(entry.place(), what).remedy(remedy);
            self.problems.push(problem);
        }
    }

    /// A null resets what an earlier file says; one that resets nothing is a forgotten value.
    pub(super) fn warn_of_nulls(&mut self, sections: &[Entry<'_>]) {
        let mut said: HashSet<String> = HashSet::new();
        for section in sections {
            let entries = section.entries();
            for entry in entries.iter().filter(|entry| entry.is_null()) {
                if !said.contains(entry.name()) {
                    self.warnings.push(format!(
                        "{}: there is no value here, and nothing that it resets, so it is ignored",
                        entry.place()
                    ));
                }
            }
            said.extend(entries.iter().map(|entry| entry.name().to_owned()));
        }
    }
}
