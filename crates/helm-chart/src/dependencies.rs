//! What Helm does with a chart's dependencies before it renders: aliases, conditions, tags, and values
//! that a parent imports (helm v3.22: `pkg/chartutil/dependencies.go`, as `helm install` calls it).
//!
//! Helm changes the chart in place, and two aliases of one chart share its list of dependencies: what
//! the first one renames stays renamed for the second. That is so here too. Only what two aliases of one
//! chart do to a subchart that its Chart.yaml does not name is not shared.

pub mod coalesce;
mod processing;

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;

use crate::chart::{Chart, Dependency, Metadata};
use crate::values::table::{Table, TooMuch, Work};
use crate::version;

use coalesce::{Error, Nulls};
use processing::Processing;

/// Which subcharts are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enabled {
    /// Those that conditions and tags enable, as Helm does.
    AsHelm,
    /// All, because a user may enable them.
    All,
}

/// A chart after its dependencies were processed, with the values that its templates see.
#[derive(Debug)]
pub struct Settled<'c> {
    /// The chart and its subcharts.
    pub chart: Processed<'c>,
    /// The values of the chart; those of a subchart are below its name.
    pub values: Table,
    /// What Helm logs about the values, in its words.
    pub warnings: Vec<String>,
}

/// A chart after its dependencies were processed: what Helm renders.
#[derive(Debug, Clone)]
pub struct Processed<'c> {
    /// Its name: the alias, where the parent gives one.
    pub name: Rc<str>,
    /// The chart as it was read, for its files. Name, values, dependencies and subcharts are here.
    pub chart: &'c Chart,
    /// Its own values with what it imports, before any are laid over them.
    pub values: Table,
    /// The subcharts that are taken: those that Chart.yaml does not name, then in its order.
    pub subcharts: Vec<Processed<'c>>,
    dependencies: Option<Vec<Rc<RefCell<Shared>>>>,
    origin: Origin,
}

/// What Helm's own pointers say about where a subchart's subcharts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It is the chart that was read.
    Read,
    /// It is a copy, to whose subcharts Helm tells that it is their parent.
    Copied,
    /// It is a copy without dependencies: its subcharts still know the chart that was read as parent.
    CopiedAlone,
}

/// Where Helm says that a chart is: `chart/charts/sub`.
#[derive(Debug, Clone)]
pub struct ChartPath {
    /// The path that its templates have.
    pub path: String,
    /// The same for the chart that it is a copy of: with names instead of aliases.
    of_original: String,
}

impl ChartPath {
    /// The place of a chart that is no subchart.
    #[must_use]
    pub fn root(name: &str) -> Self {
        Self {
            path: name.to_owned(),
            of_original: name.to_owned(),
        }
    }
}

/// A dependency as several aliases of one chart see it.
#[derive(Debug)]
struct Shared {
    dependency: Dependency,
    /// Whether its imports were resolved. Helm does not recognize the resolved ones a second time.
    imported: bool,
}

/// Processes the dependencies of a chart, and coalesces its values under those of a user.
///
/// # Errors
/// Where Helm fails too, and when the values cost too much.
pub fn settle<'c>(chart: &'c Chart, user: &Value, enabled: Enabled) -> Result<Settled<'c>, Error> {
    let (mut work, mut warnings) = (Work::default(), Vec::new());
    let user = Table::from(user);
    let mut processed = Processed::new(chart, &mut work)?;
    let mut processing = Processing {
        enabled,
        work: &mut work,
        warnings: &mut warnings,
    };
    processing.enable(&mut processed, &user, "")?;
    processing.import(&mut processed)?;
    let values = processing.coalesce(&processed, &user, Nulls::Remove)?;
    Ok(Settled {
        chart: processed,
        values,
        warnings,
    })
}

impl<'c> Processed<'c> {
    fn new(chart: &'c Chart, work: &mut Work) -> Result<Self, TooMuch> {
        work.spend(1)?;
        let subcharts = chart.subcharts.iter();
        Ok(Self {
            name: Rc::from(chart.name()),
            chart,
            values: Table::from(&chart.values),
            subcharts: subcharts
                .map(|subchart| Self::new(subchart, work))
                .collect::<Result<_, _>>()?,
            dependencies: chart.metadata.dependencies.as_ref().map(|list| share(list)),
            origin: Origin::Read,
        })
    }

    /// Where a subchart of this chart is.
    #[must_use]
    pub fn place_of(&self, subchart: &Self, place: &ChartPath) -> ChartPath {
        let above = match self.origin {
            Origin::Read | Origin::Copied => &place.path,
            Origin::CopiedAlone => &place.of_original,
        };
        let path = format!("{above}/charts/{}", subchart.name);
        let of_original = match subchart.origin {
            Origin::Read => path.clone(),
            Origin::Copied | Origin::CopiedAlone => {
                format!("{}/charts/{}", place.of_original, subchart.chart.name())
            }
        };
        ChartPath { path, of_original }
    }

    /// The metadata that `.Chart` shows.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        let dependencies = self.dependencies.as_ref().map(|list| {
            let list = list.iter();
            list.map(|shared| shared.borrow().dependency.clone())
                .collect()
        });
        Metadata {
            name: self.name.to_string(),
            dependencies,
            ..self.chart.metadata.clone()
        }
    }

    /// A copy under another name, which shares its dependencies with this one.
    fn under(&self, name: &str, work: &mut Work) -> Result<Self, TooMuch> {
        work.spend(self.size())?;
        Ok(Self {
            name: Rc::from(name),
            origin: match self.dependencies {
                None => Origin::CopiedAlone,
                Some(_) => Origin::Copied,
            },
            ..self.clone()
        })
    }

    /// A copy that shares its dependencies with no other.
    fn detached(&self, work: &mut Work) -> Result<Self, TooMuch> {
        work.spend(1)?;
        let dependencies = self.dependencies.as_ref().map(|list| {
            let list = list.iter();
            list.map(|shared| shared.borrow().dependency.clone())
                .collect::<Vec<_>>()
        });
        let subcharts = self.subcharts.iter();
        Ok(Self {
            subcharts: subcharts
                .map(|subchart| subchart.detached(work))
                .collect::<Result<_, _>>()?,
            dependencies: dependencies.as_deref().map(share),
            name: Rc::clone(&self.name),
            chart: self.chart,
            values: self.values.clone(),
            origin: self.origin,
        })
    }

    fn size(&self) -> usize {
        1 + self.dependencies.as_ref().map_or(0, Vec::len)
            + self.subcharts.iter().map(Self::size).sum::<usize>()
    }

    fn meets(&self, dependency: &Dependency) -> bool {
        *self.name == *dependency.name
            && version::is_compatible(&dependency.version, self.chart.version())
    }
}

fn share(dependencies: &[Dependency]) -> Vec<Rc<RefCell<Shared>>> {
    let shared = |dependency: &Dependency| {
        Rc::new(RefCell::new(Shared {
            dependency: dependency.clone(),
            imported: false,
        }))
    };
    dependencies.iter().map(shared).collect()
}

#[cfg(test)]
mod tests;
