//! Groups of flags that commands share. Those of parameters come from the table of parameters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::settings::Flags;
use crate::settings::parameters::{self, Group, Value};

/// A value that is not blank; a blank one is a mistake, such as a shell variable that is not set.
fn given(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Err("it is blank: give a value, or leave the flag out");
    }
    Ok(text.to_owned())
}

/// A whole number; its range is checked with the parameter.
fn number(text: &str) -> Result<String, std::num::ParseIntError> {
    text.parse::<usize>().map(|number| number.to_string())
}

/// What the number of jobs is where no layers are moved.
pub(super) const JOBS_OF_REQUESTS: &str =
    "Maximum number of requests in parallel, 1 to 256 [env: REPLICATOR_JOBS] [default: 16]";

/// The flags about a target and its module, for commands that write to none.
pub(super) const OF_TARGETS: [&str; 6] = [
    "out",
    "registry_prefix",
    "fan_out",
    "project",
    "deployment",
    "module",
];

/// The flags that select what is copied, for commands that copy nothing.
pub(super) const OF_COPYING: [&str; 3] = ["platforms", "referrers", "no_referrers"];

/// Hides flags that a command takes and does not need.
pub(super) fn hidden(names: &'static [&'static str]) -> impl Fn(Arg) -> Arg {
    |arg| {
        if names.contains(&arg.get_id().as_str()) {
            arg.hide(true)
        } else {
            arg
        }
    }
}

/// The flags of a group of parameters, by the parameter's name.
#[derive(Debug, Clone)]
struct OfParameters<const GROUP: u8>(BTreeMap<String, Vec<String>>);

const NETWORK: u8 = Group::Network as u8;
const DATA: u8 = Group::Data as u8;
const REPOSITORIES: u8 = Group::Repositories as u8;
const DESTROY: u8 = Group::Destroy as u8;
const BUNDLE: u8 = Group::Bundle as u8;

fn of_group(group: u8) -> impl Iterator<Item = (&'static str, parameters::Flag, String)> {
    let all = parameters::ALL.iter();
    let with_flag = all.filter_map(|one| Some((one.name, one.flag?, one.flag_help())));
    with_flag.filter(move |(_, flag, _)| flag.group as u8 == group)
}

impl<const GROUP: u8> Args for OfParameters<GROUP> {
    fn augment_args(command: Command) -> Command {
        of_group(GROUP).fold(command, |command, (name, flag, help)| {
            let arg = Arg::new(name).long(flag.long).help(help);
            let arg = match flag.heading {
                Some(heading) => arg.help_heading(heading),
                None => arg,
            };
            command.arg(match flag.value {
                Value::Text(shown) => arg.value_name(shown).value_parser(given),
                Value::Number(shown) => arg.value_name(shown).value_parser(number),
                Value::Repeated(shown) => arg.value_name(shown).action(ArgAction::Append),
                Value::Switch => arg.action(ArgAction::SetTrue),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const GROUP: u8> FromArgMatches for OfParameters<GROUP> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = of_group(GROUP).filter_map(|(name, flag, _)| {
            let values: Vec<String> = if flag.value == Value::Switch {
                matches
                    .get_flag(name)
                    .then(|| "true".to_owned())
                    .into_iter()
                    .collect()
            } else {
                matches
                    .get_many(name)
                    .unwrap_or_default()
                    .cloned()
                    .collect()
            };
            (!values.is_empty()).then(|| (name.to_owned(), values))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flags of commands that use registries.
#[derive(Debug, Args)]
pub(super) struct NetworkFlags {
    #[command(flatten)]
    parameters: OfParameters<NETWORK>,
    /// The same as --referrers none
    #[arg(long, help_heading = "Copying", conflicts_with = "referrers")]
    no_referrers: bool,
}

/// The flags of commands that read data files.
#[derive(Debug, Args)]
pub(super) struct DataFlags {
    #[command(flatten)]
    parameters: OfParameters<DATA>,
    /// The folder for result files [default: .]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The Seed-Farmer project [env: `SEEDFARMER_PROJECT_NAME`]
    #[arg(long, value_name = "NAME", help_heading = "Seed-Farmer", value_parser = given)]
    project: Option<String>,
    /// The Seed-Farmer deployment [env: `SEEDFARMER_DEPLOYMENT_NAME`]
    #[arg(long, value_name = "NAME", help_heading = "Seed-Farmer", value_parser = given)]
    deployment: Option<String>,
    /// The Seed-Farmer module as <group>-<module> [env: `SEEDFARMER_MODULE_NAME`]
    #[arg(long, value_name = "NAME", help_heading = "Seed-Farmer", value_parser = given)]
    module: Option<String>,
}

/// The flags of `deploy` for ECR's repositories and for secrets.
#[derive(Debug, Args)]
pub(super) struct RepositoryFlags {
    #[command(flatten)]
    parameters: OfParameters<REPOSITORIES>,
}

/// The flags of commands that read a bundle.
#[derive(Debug, Args)]
pub(super) struct BundleFlags {
    #[command(flatten)]
    parameters: OfParameters<BUNDLE>,
}

/// The flags of `destroy` for the retention.
#[derive(Debug, Args)]
pub(super) struct RetentionFlags {
    #[command(flatten)]
    parameters: OfParameters<DESTROY>,
}

/// Which module is meant, for commands that read no data files.
#[derive(Debug, Args)]
pub(super) struct ModuleFlags {
    /// The Seed-Farmer project [env: `SEEDFARMER_PROJECT_NAME`]
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// The Seed-Farmer deployment [env: `SEEDFARMER_DEPLOYMENT_NAME`]
    #[arg(long, value_name = "NAME")]
    deployment: Option<String>,
    /// The Seed-Farmer module as <group>-<module> [env: `SEEDFARMER_MODULE_NAME`]
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
}

impl ModuleFlags {
    pub(super) fn onto(&self, flags: Flags) -> Flags {
        Flags {
            project: self.project.clone(),
            deployment: self.deployment.clone(),
            module: self.module.clone(),
            ..flags
        }
    }
}

impl RepositoryFlags {
    pub(super) fn onto(&self, mut flags: Flags) -> Flags {
        flags.parameters.extend(self.parameters.0.clone());
        flags
    }
}

impl BundleFlags {
    pub(super) fn onto(&self, mut flags: Flags) -> Flags {
        flags.parameters.extend(self.parameters.0.clone());
        flags
    }
}

impl RetentionFlags {
    pub(super) fn flags(&self) -> Flags {
        self.onto(Flags::default())
    }

    pub(super) fn onto(&self, mut flags: Flags) -> Flags {
        flags.parameters.extend(self.parameters.0.clone());
        flags
    }
}

impl DataFlags {
    pub(super) fn flags(&self, network: &NetworkFlags) -> Flags {
        self.onto(network.flags())
    }

    pub(super) fn onto(&self, flags: Flags) -> Flags {
        let mut flags = Flags {
            out: self.out.clone(),
            project: self.project.clone(),
            deployment: self.deployment.clone(),
            module: self.module.clone(),
            ..flags
        };
        flags.parameters.extend(self.parameters.0.clone());
        flags
    }
}

impl NetworkFlags {
    /// The first given flag that selects what is copied; commands that copy nothing refuse it.
    pub(super) fn about_copying(&self) -> Option<&'static str> {
        let is_given = |name: &str| self.parameters.0.contains_key(name);
        let given = [
            ("--platforms", is_given("platforms")),
            ("--referrers", is_given("referrers")),
            ("--no-referrers", self.no_referrers),
        ];
        given
            .into_iter()
            .find_map(|(name, is_given)| is_given.then_some(name))
    }

    pub(super) fn flags(&self) -> Flags {
        let flags = Flags {
            parameters: self.parameters.0.clone(),
            ..Flags::default()
        };
        if self.no_referrers {
            flags.with("referrers", "none")
        } else {
            flags
        }
    }
}
