//! Whether a run is spread over several builds: `deploy` decides it after its preflight, and `plan` shows
//! it. Pure.

use crate::plan::{Copy, Plan};
use crate::reference::Prefix;
use crate::settings::{FanOut, Settings};
use oci_copy::copy::{Missing, Preflight};

use super::forecast::{self, Speeds};
use super::shard::Load;
use super::shard_spec::Item;

/// What a decision depends on besides the work.
pub struct Terms<'a> {
    /// The run's settings.
    pub settings: &'a Settings,
    /// Whether the target is ECR.
    pub is_ecr: bool,
    /// The hosts whose credentials only this machine has.
    pub own_hosts: &'a (dyn Fn(&str) -> bool + Send + Sync),
    /// What one build moves, in bytes a second.
    pub rate: f64,
}

/// How many builds to use, and for what.
pub struct Decision<'p> {
    /// All that has to be moved.
    pub load: Load,
    /// Numbers of the artifacts that workers can copy and that take some time, with what is missing of them.
    pub divisible: Vec<(usize, &'p Missing)>,
    /// What those have to move.
    pub shared: Load,
    /// How fast things go.
    pub speeds: Speeds,
    /// Builds, this one included.
    pub builds: usize,
    /// Why it is one build, where that is not for lack of work.
    pub why_one: Option<&'static str>,
}

impl Terms<'_> {
    /// Whether a plan's target is ECR, the only one that builds share.
    #[must_use]
    pub fn is_ecr(plan: &Plan) -> bool {
        matches!(plan.prefix, Prefix::Ecr { .. })
    }
}

impl<'p> Decision<'p> {
    /// Decides after a preflight of all copies.
    #[must_use]
    pub fn new(copies: &[Copy], preflights: &'p [Preflight], terms: &Terms<'_>) -> Self {
        let missing = |preflight: &'p Preflight| preflight.missing.as_ref();
        let load = Load::of(preflights.iter().filter_map(missing));
        let each = copies.iter().zip(preflights).enumerate();
        let divisible = each.filter_map(|(number, (copy, preflight))| {
            let missing = missing(preflight).filter(|missing| missing.bytes() > 0)?;
            let item = Item::of(number, copy)?;
            (!(terms.own_hosts)(item.host())).then_some((number, missing))
        });
        let divisible: Vec<_> = divisible.collect();
        let shared = Load::of(divisible.iter().map(|(_, missing)| *missing));
        let speeds = Speeds::of(terms.rate, &terms.settings.quotas);
        let why_one = why_one(terms);
        let builds = match terms.settings.fan_out {
            _ if why_one.is_some() || shared.bytes == 0 => 1,
            FanOut::Builds(builds) => builds,
            FanOut::Auto | FanOut::Off => forecast::worthwhile(&shared, &speeds),
        };
        Self {
            load,
            divisible,
            shared,
            speeds,
            builds,
            why_one,
        }
    }
}

/// Why there is one build whatever there is to do.
fn why_one(terms: &Terms<'_>) -> Option<&'static str> {
    match terms.settings.fan_out {
        FanOut::Off => Some("off"),
        _ if !terms.is_ecr => Some("off: the target is not ECR"),
        _ if terms.settings.build.is_none() => Some("off: this is no build of CodeBuild"),
        FanOut::Auto | FanOut::Builds(_) => None,
    }
}
