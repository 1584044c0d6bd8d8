//! The steps of the processing: aliases, conditions and tags, imported values.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Value, json};

use super::coalesce::{Coalescer, Error, Nulls};
use super::{Enabled, Processed, Shared};
use crate::values::table::{Entry, Table, TooMuch, Work};
use crate::yaml::template_text;

/// What Helm does with the dependencies of a chart and of its subcharts.
pub(super) struct Processing<'w> {
    pub(super) enabled: Enabled,
    pub(super) work: &'w mut Work,
    pub(super) warnings: &'w mut Vec<String>,
}

impl Processing<'_> {
    pub(super) fn coalesce(
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
    pub(super) fn enable(
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
    pub(super) fn import(&mut self, chart: &mut Processed<'_>) -> Result<(), Error> {
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
