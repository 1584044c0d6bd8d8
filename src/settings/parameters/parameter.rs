//! What a parameter of the module is.

/// A parameter of the module.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// The internal name: its variable is `SEEDFARMER_PARAMETER_` with this name in capitals.
    pub name: &'static str,
    /// As manifests spell it.
    pub manifest: &'static str,
    /// Its flag; none where only `scripts/get-replicator.sh` reads it.
    pub flag: Option<Flag>,
    /// What it does, then its values.
    pub help: &'static str,
    /// The default, if there is one.
    pub default: Option<&'static str>,
    /// Whether modulestack.yaml has it too. Seed-Farmer's rule for its spelling is stricter than ours.
    pub is_in_stack: bool,
    /// Whether workers get it. Others can hold secrets, and forwarded parameters are stored in the bucket.
    pub is_for_workers: bool,
}

/// The flag of a parameter.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Without the dashes.
    pub long: &'static str,
    /// The commands that have it.
    pub group: Group,
    /// What its value is.
    pub value: Value,
    /// Its heading in `--help`; none is clap's own.
    pub heading: Option<&'static str>,
}

/// The commands that have a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Those that use registries.
    Network,
    /// Those that read data files.
    Data,
    /// `deploy`.
    Repositories,
    /// `destroy`.
    Destroy,
    /// Those that read a bundle.
    Bundle,
}

/// What the value of a flag is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A text, named like this in `--help`.
    Text(&'static str),
    /// A whole number.
    Number(&'static str),
    /// A text, and the flag can be repeated.
    Repeated(&'static str),
    /// No value: the flag says `true`.
    Switch,
}

impl Parameter {
    pub(super) const fn new(
        name: &'static str,
        manifest: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            manifest,
            flag: None,
            help,
            default: None,
            is_in_stack: false,
            is_for_workers: false,
        }
    }

    pub(super) const fn flag(self, long: &'static str, group: Group, value: Value) -> Self {
        let heading = match group {
            Group::Network => Some("Network"),
            Group::Repositories => Some("ECR"),
            Group::Bundle => Some("Bundle"),
            Group::Data | Group::Destroy => None,
        };
        Self {
            flag: Some(Flag {
                long,
                group,
                value,
                heading,
            }),
            ..self
        }
    }

    pub(super) const fn under(self, heading: &'static str) -> Self {
        let flag = match self.flag {
            Some(flag) => Some(Flag {
                heading: Some(heading),
                ..flag
            }),
            None => None,
        };
        Self { flag, ..self }
    }

    pub(super) const fn default(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    pub(super) const fn in_stack(self) -> Self {
        Self {
            is_in_stack: true,
            ..self
        }
    }

    pub(super) const fn for_workers(self) -> Self {
        Self {
            is_for_workers: true,
            ..self
        }
    }

    /// Its variable in a build.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}", super::PREFIX, self.name.to_uppercase())
    }

    /// Its variable outside Seed-Farmer.
    #[must_use]
    pub fn own_variable(&self) -> String {
        format!("{}{}", super::OWN_PREFIX, self.name.to_uppercase())
    }

    /// The text of `--help`.
    #[must_use]
    pub fn flag_help(&self) -> String {
        let default = self.default.map(|default| format!(" [default: {default}]"));
        let default = default.unwrap_or_default();
        let (help, variable, manifest) = (self.help, self.own_variable(), self.manifest);
        format!("{help} [env: {variable}] [parameter: `{manifest}`]{default}")
    }
}
