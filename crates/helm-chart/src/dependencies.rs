//! What Helm does with a chart's dependencies before it renders: aliases, conditions, tags, and values
//! that a parent imports (helm v3.22: `pkg/chartutil/dependencies.go`, as `helm install` calls it).
//!
//! Helm changes the chart in place, and two aliases of one chart share its list of dependencies: what
//! the first one renames stays renamed for the second. That is so here too. Only what two aliases of one
//! chart do to a subchart that its Chart.yaml does not name is not shared.

pub mod coalesce;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::chart::{Chart, Dependency, Metadata};
use crate::values::table::{Entry, Table, TooMuch, Work};
use crate::version;
use crate::yaml::template_text;

use coalesce::{Coalescer, Error, Nulls};

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

struct Processing<'w> {
    enabled: Enabled,
    work: &'w mut Work,
    warnings: &'w mut Vec<String>,
}

impl Processing<'_> {
    fn coalesce(
        &mut self,
        chart: &Processed<'_>,
        user: &Table,
        nulls: Nulls,
    ) -> Result<Table, Error> {
        let mut coalescer = Coalescer {
            nulls,
            work: self.work,
            warnings: self.warnings,
        };
        coalescer.chart(chart, user)
    }

    /// Gives subcharts their aliases and drops the disabled ones (helm: `processDependencyEnabled`).
    /// `values` are those of the chart's root; `path` is where this chart's are in them.
    fn enable(
        &mut self,
        chart: &mut Processed<'_>,
        values: &Table,
        path: &str,
    ) -> Result<(), Error> {
        let Some(dependencies) = chart.dependencies.clone() else {
            return Ok(());
        };
        let mut subcharts = Vec::new();
        for subchart in &chart.subcharts {
            self.work.spend(dependencies.len())?;
            let meets = |shared: &Rc<RefCell<Shared>>| subchart.meets(&shared.borrow().dependency);
            if !dependencies.iter().any(meets) {
                subcharts.push(subchart.detached(self.work)?);
            }
        }
        for shared in &dependencies {
            self.work.spend(chart.subcharts.len())?;
            let dependency = &mut shared.borrow_mut().dependency;
            let found = chart
                .subcharts
                .iter()
                .find(|subchart| subchart.meets(dependency));
            if let Some(found) = found {
                subcharts.push(found.under(dependency.key(), self.work)?);
            }
            dependency.name = dependency.key().to_owned();
            dependency.enabled = true;
        }
        chart.subcharts = subcharts;
        let values = self.coalesce(chart, values, Nulls::Remove)?;
        if self.enabled == Enabled::AsHelm {
            self.switch(&dependencies, &values, path);
        }
        let is_enabled = |shared: &Rc<RefCell<Shared>>| shared.borrow().dependency.enabled;
        let disabled: BTreeSet<String> = dependencies
            .iter()
            .filter(|shared| !is_enabled(shared))
            .map(|shared| shared.borrow().dependency.name.clone())
            .collect();
        chart
            .subcharts
            .retain(|subchart| !disabled.contains(&*subchart.name));
        for subchart in &mut chart.subcharts {
            let path = format!("{path}{}.", subchart.name);
            self.enable(subchart, &values, &path)?;
        }
        let remaining: Vec<_> = dependencies
            .into_iter()
            .filter(|shared| !disabled.contains(&shared.borrow().dependency.name))
            .collect();
        chart.dependencies = (!remaining.is_empty()).then_some(remaining);
        Ok(())
    }

    fn switch(&mut self, dependencies: &[Rc<RefCell<Shared>>], values: &Table, path: &str) {
        let tags = values.table("tags");
        for shared in dependencies {
            let dependency = &mut shared.borrow_mut().dependency;
            if let Some(tags) = &tags {
                let mut known = Vec::new();
                for tag in &dependency.tags {
                    match tags.get(tag) {
                        Some(Entry::Leaf(value)) if value.is_boolean() => {
                            known.push(value.as_bool() == Some(true));
                        }
                        Some(_) => self.warnings.push(format!(
                            "Warning: Tag '{tag}' for chart {} returned non-bool value",
                            dependency.name
                        )),
                        None => {}
                    }
                }
                dependency.enabled = known.is_empty() || known.contains(&true);
            }
            let conditions = dependency.condition.trim().split(',');
            for condition in conditions.filter(|condition| !condition.is_empty()) {
                let Some(value) = path_value(values, &format!("{path}{condition}")) else {
                    continue;
                };
                if let Some(enabled) = value.as_bool() {
                    dependency.enabled = enabled;
                    break;
                }
                self.warnings.push(format!(
                    "Warning: Condition path '{condition}' for chart {} returned non-bool value",
                    dependency.name
                ));
            }
        }
    }

    /// Brings values of subcharts up to those that import them, the deepest first (helm:
    /// `processDependencyImportValues`).
    fn import(&mut self, chart: &mut Processed<'_>) -> Result<(), Error> {
        for subchart in &mut chart.subcharts {
            self.import(subchart)?;
        }
        let Some(dependencies) = chart.dependencies.clone() else {
            return Ok(());
        };
        let values = self.coalesce(chart, &Table::default(), Nulls::Keep)?;
        let imported = Table::default();
        for shared in &dependencies {
            let shared = &mut *shared.borrow_mut();
            let dependency = &mut shared.dependency;
            let imports = std::mem::take(&mut dependency.import_values);
            if std::mem::replace(&mut shared.imported, true) {
                continue;
            }
            for import in imports {
                let (child, parent) = match import {
                    Value::String(name) => (format!("exports.{name}"), ".".to_owned()),
                    Value::Object(map) => (go_text(map.get("child")), go_text(map.get("parent"))),
                    _ => continue,
                };
                let keys = std::iter::once(&*dependency.name).chain(child.split('.'));
                match values.at(keys) {
                    Some(table) => {
                        let table = wrapped(&parent, &table);
                        self.tables(&imported, &table)?;
                    }
                    None => self.warnings.push(format!(
                        "Warning: ImportValues missing table from chart {}: {child}",
                        dependency.name
                    )),
                }
                let resolved = json!({"child": child, "parent": parent});
                dependency.import_values.push(resolved);
            }
        }
        // What the parent has itself is above what it imports.
        let values = values.copy(self.work)?;
        self.tables(&values, &imported)?;
        chart.values = values;
        Ok(())
    }

    fn tables(&mut self, over: &Table, under: &Table) -> Result<(), TooMuch> {
        let mut coalescer = Coalescer {
            nulls: Nulls::Keep,
            work: self.work,
            warnings: self.warnings,
        };
        coalescer.tables(over, under, "", Nulls::Keep)
    }
}

/// A value that is no table (helm: `PathValue`).
fn path_value(values: &Table, path: &str) -> Option<Rc<Value>> {
    let (tables, key) = path.rsplit_once('.').unwrap_or(("", path));
    let table = values.at(tables.split('.').filter(|_| !tables.is_empty()))?;
    match table.get(key)? {
        Entry::Leaf(value) => Some(value),
        Entry::Table(_) => None,
    }
}

/// A table below the keys of a path; `.` is none (helm: `pathToMap`).
fn wrapped(path: &str, table: &Table) -> Table {
    if path == "." {
        return table.clone();
    }
    path.rsplit('.').fold(table.clone(), |below, key| {
        let above = Table::default();
        above.insert(key, Entry::Table(below));
        above
    })
}

/// Go's `%v` of a value that is a text, as far as anybody writes it.
fn go_text(value: Option<&Value>) -> String {
    value
        .and_then(template_text)
        .unwrap_or_else(|| "<nil>".to_owned())
}

#[cfg(test)]
mod tests;
