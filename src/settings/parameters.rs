//! Module parameters, in every spelling that Seed-Farmer passes on.

mod parameter;
mod table;

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::problem::{Problem, slip, squash};

use super::Flags;
use super::list::entries;

pub use parameter::{Flag, Group, Parameter, Value};
pub use table::ALL;

const PREFIX: &str = "SEEDFARMER_PARAMETER_";

/// The same outside Seed-Farmer.
const OWN_PREFIX: &str = "REPLICATOR_";

/// The module parameters by the names of [`ALL`], values as text; unknown ones are not kept.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Parameters {
    values: BTreeMap<String, String>,
    /// The parameters that have two values, each with both spellings.
    #[serde(skip)]
    conflicts: BTreeMap<String, [String; 2]>,
    /// The variables of this program that gave values; parameters of a build are not among them.
    #[serde(skip)]
    variables: BTreeMap<String, String>,
    #[serde(skip)]
    warnings: Vec<String>,
}

/// A text with the name under which the user gave it.
#[derive(Debug, Clone)]
pub(super) struct Given<'a> {
    place: String,
    /// The text itself.
    pub(super) text: &'a str,
}

impl Parameters {
    /// Reads `SEEDFARMER_PARAMETER_*` and `REPLICATOR_*`. Seed-Farmer derives the variable from the manifest's spelling, and does not
    /// separate all words by `_`: it keeps the dash of FAN-OUT. Here only letters and digits count.
    pub(super) fn from_vars(vars: &BTreeMap<String, String>) -> Self {
        let mut read = Self::default();
        let mut spellings: BTreeMap<&str, &str> = BTreeMap::new();
        for (variable, value) in vars {
            let of_seed_farmer = variable.strip_prefix(PREFIX);
            let Some(spelling) = of_seed_farmer.or_else(|| variable.strip_prefix(OWN_PREFIX))
            else {
                continue;
            };
            // Seed-Farmer writes an empty value as JSON's `null`.
            if value == "null" {
                continue;
            }
            let looks = squash(spelling);
            let Some(known) = ALL.iter().find(|known| squash(known.name) == looks) else {
                read.warnings.extend(misspelt(variable, spelling));
                continue;
            };
            let is_strict = spelling.eq_ignore_ascii_case(known.name);
            if known.is_in_stack && !is_strict && of_seed_farmer.is_some() {
                read.warnings.push(format!(
                    "{variable} counts as {0}, but Seed-Farmer does not hand it to modulestack.yaml in this spelling: \
                     write {0} in the manifest",
                    known.manifest
                ));
            }
            match read.values.get(known.name) {
                Some(other) if other != value => {
                    let both = [spellings[known.name], variable.as_str()].map(str::to_owned);
                    read.conflicts.insert(known.name.to_owned(), both);
                }
                Some(_) => {}
                None => {
                    read.values.insert(known.name.to_owned(), value.clone());
                    spellings.insert(known.name, variable);
                    if of_seed_farmer.is_none() {
                        read.variables
                            .insert(known.name.to_owned(), variable.clone());
                    }
                }
            }
        }
        read
    }

    /// A parameter's value; `None` when it is not given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// What gave a parameter, for messages: the variable, or in a build the parameter.
    pub(super) fn place(&self, name: &str) -> String {
        let variable = self.variables.get(name).cloned();
        variable.unwrap_or_else(|| manifest_name(name))
    }

    /// Whether a variable of this program gave the parameter, which many runs share.
    pub(super) fn is_shared(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }

    /// Warnings about parameters.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The parameters that have two values.
    pub(super) fn conflicts(&self) -> Vec<Problem> {
        let problem = |(name, [one, other]): (&String, &[String; 2])| {
            let what = format!("it is given twice with different values: {one} and {other}");
            Problem::input(manifest_name(name), what).remedy("remove one of the two")
        };
        self.conflicts.iter().map(problem).collect()
    }

    /// Keeps only some parameters.
    pub(super) fn keep(&mut self, names: &[&str]) {
        self.keep_if(|name| names.contains(&name));
    }

    /// Removes the parameters that workers do not need.
    pub(super) fn keep_those_for_workers(&mut self) {
        self.keep_if(|name| table::find(name).is_some_and(|known| known.is_for_workers));
    }

    fn keep_if(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.values.retain(|name, _| is_kept(name));
        self.conflicts.retain(|name, _| is_kept(name));
    }

    /// The flag if it is given, or else the parameter, with its name for messages.
    pub(super) fn pick<'a>(&'a self, flags: &'a Flags, parameter: &str) -> Option<Given<'a>> {
        let known = table::find(parameter);
        debug_assert!(known.is_some(), "{parameter}");
        let flag = known.and_then(|known| known.flag);
        let of_flag =
            flag.and_then(|flag| Some((format!("--{}", flag.long), flags.get(parameter)?)));
        let (place, text) =
            of_flag.or_else(|| Some((self.place(parameter), self.get(parameter)?)))?;
        // YAML's block scalars end with a line feed.
        let text = text.trim();
        Some(Given { place, text })
    }

    /// The given values of the parameters that modulestack.yaml has, by its names for them.
    #[must_use]
    pub fn of_stack(&self, flags: &Flags) -> BTreeMap<String, String> {
        let known = ALL.iter().filter(|known| known.is_in_stack);
        let given = known.filter_map(|known| {
            let value = self.pick(flags, known.name)?.text;
            // Seed-Farmer gives the template the entries of a list, joined by commas.
            let list = value
                .starts_with('[')
                .then(|| entries(value).ok())
                .flatten();
            let value = list.map_or_else(|| value.to_owned(), |list| list.join(","));
            Some((known.manifest.to_owned(), value))
        });
        given.collect()
    }

    /// The value of a parameter, parsed; the default if it is not given.
    pub(super) fn read<T, E: Display>(
        &self,
        flags: &Flags,
        parameter: &str,
        default: T,
        problems: &mut Vec<Problem>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.pick(flags, parameter) {
            None => Some(default),
            Some(given) => given.parse_with(problems, parse),
        }
    }
}

/// A warning for a variable that is probably a misspelt parameter. Others may be used elsewhere.
fn misspelt(variable: &str, spelling: &str) -> Option<String> {
    let near = slip(spelling, ALL.iter().map(|known| known.name))?;
    let near = table::find(near)?;
    Some(format!(
        "{variable}: there is no such parameter and it is ignored; nearest: {}",
        near.manifest
    ))
}

/// A parameter as manifests and README spell it.
fn manifest_name(name: &str) -> String {
    let known = table::find(name);
    format!("parameter {}", known.map_or(name, |known| known.manifest))
}

impl Given<'_> {
    /// Parses the text; an error becomes a problem that names the flag or parameter.
    pub(super) fn parse_with<T, E: Display>(
        self,
        problems: &mut Vec<Problem>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(self.text) {
            Ok(value) => Some(value),
            Err(error) => {
                problems.push(Problem::input(self.place, error.to_string()));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
