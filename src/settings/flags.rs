//! The flags of the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The flags of a command. The coordinator forwards them to its workers unchanged.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Flags {
    /// The values of the flags of parameters, by the parameter's name.
    pub parameters: BTreeMap<String, Vec<String>>,
    /// `--out`
    pub out: Option<PathBuf>,
    /// `--project`
    pub project: Option<String>,
    /// `--deployment`
    pub deployment: Option<String>,
    /// `--module`
    pub module: Option<String>,
    /// `--region`
    pub region: Option<String>,
}

impl Flags {
    /// The same with a value for a parameter's flag.
    #[must_use]
    pub fn with(mut self, parameter: &str, value: impl Into<String>) -> Self {
        let values = self.parameters.entry(parameter.to_owned()).or_default();
        values.push(value.into());
        self
    }

    /// The value of a parameter's flag; the last one counts.
    pub(super) fn get(&self, parameter: &str) -> Option<&str> {
        self.all(parameter).last().map(String::as_str)
    }

    /// The values of a parameter's flag that can be repeated.
    pub(super) fn all(&self, parameter: &str) -> &[String] {
        self.parameters.get(parameter).map_or(&[], Vec::as_slice)
    }
}
