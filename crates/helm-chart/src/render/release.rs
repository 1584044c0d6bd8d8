//! A chart as `helm template` renders it: dependencies, values, schema, templates, manifests.
//!
//! As helm v3.22 in `pkg/engine/engine.go`, `pkg/action/{install,action}.go` and
//! `cmd/helm/template.go`.

mod dots;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value as Json;

use super::images::{self, Image};
use super::manifests::{self, Hook, Manifest};
use super::objects::Capabilities;
use super::template::{self, Engine};
use super::{functions, schema, session, text};
use crate::chart::Chart;
use crate::dependencies::{ChartPath, Enabled, Processed, settle};
use crate::values::table::{Entry, Table, Work};
use crate::version;

use dots::Dots;

/// What a release is called, and what its cluster can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The release's name: `.Release.Name`.
    pub name: String,
    /// The release's namespace: `.Release.Namespace`.
    pub namespace: String,
    /// Whether `.Release.IsUpgrade` is set instead of `.Release.IsInstall`.
    pub is_upgrade: bool,
    /// The cluster's version and API versions.
    pub capabilities: Capabilities,
    /// Whether values.schema.json is not looked at.
    pub skip_schema: bool,
    /// The number from which everything follows that is not repeatable: clock, keys, random texts.
    pub stand_in: u64,
    /// What the render may use.
    pub limits: template::Limits,
}

impl Default for Options {
    /// `release-name` in `default`, as `helm template` without a name.
    fn default() -> Self {
        Self {
            name: "release-name".to_owned(),
            namespace: "default".to_owned(),
            is_upgrade: false,
            capabilities: Capabilities::default(),
            skip_schema: false,
            stand_in: 0,
            limits: template::Limits::default(),
        }
    }
}

/// A rendered chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// What Helm installs, in its order.
    pub manifests: Vec<Manifest>,
    /// What it installs at certain moments, in its order.
    pub hooks: Vec<Hook>,
    /// The files in `crds/` of the chart and its subcharts, by path, with their content.
    pub crds: Vec<(String, Arc<[u8]>)>,
    /// What Helm says about the values on standard error.
    pub warnings: Vec<String>,
    /// Whether a template used a clock, a key or a random text: another [`Options::stand_in`] could
    /// give something else.
    pub used_stand_in: bool,
}

/// Why a chart cannot be rendered, in Helm's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    is_limit: bool,
}

impl Error {
    /// Whether one of our limits was reached; Helm might have rendered the chart.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.is_limit
    }

    /// A limit may be reached in a named template or a text of `tpl`: also says what was rendered.
    fn in_template(name: &str, error: template::Error) -> Self {
        let mut error = Self::from(error);
        if error.is_limit && !error.message.contains(name) {
            write!(error.message, " (while {name} was rendered)").expect("a String takes all text");
        }
        error
    }

    pub(crate) fn helm(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_limit: false,
        }
    }
}

impl From<template::Error> for Error {
    fn from(error: template::Error) -> Self {
        Self {
            is_limit: error.is_limit(),
            message: error.to_string(),
        }
    }
}

impl Rendered {
    /// The text that `helm template` prints.
    #[must_use]
    pub fn to_text(&self, with: Print) -> String {
        let size = self
            .manifests
            .iter()
            .map(|manifest| manifest.content.len() + 256);
        let mut text = String::with_capacity(size.sum());
        if with.crds {
            for (source, content) in &self.crds {
                manifests::print(source, &String::from_utf8_lossy(content), &mut text);
            }
        }
        for manifest in &self.manifests {
            manifests::print(&manifest.source, &manifest.content, &mut text);
        }
        // It starts with `---`.
        text.truncate(text.trim_end().len());
        text.push('\n');
        for hook in self
            .hooks
            .iter()
            .filter(|hook| with.hooks && (with.tests || !hook.is_test()))
        {
            manifests::print(&hook.manifest.source, &hook.manifest.content, &mut text);
        }
        text
    }

    /// The images that its objects name.
    #[must_use]
    pub fn images(&self) -> Vec<Image> {
        images::find(&self.manifests, &self.hooks)
    }
}

/// What of a rendered chart is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print {
    /// The files in `crds/`.
    pub crds: bool,
    /// Hooks.
    pub hooks: bool,
    /// Hooks that only `helm test` starts.
    pub tests: bool,
}

impl Default for Print {
    /// As `helm template`: without `crds/`, with hooks and tests.
    fn default() -> Self {
        Self {
            crds: false,
            hooks: true,
            tests: true,
        }
    }
}

/// Renders a chart with a user's values, in which integers are Go's `int64`, as `--set` gives them, and
/// everything else is a `float64`.
///
/// # Errors
/// What Helm refuses, in its words; a chart that exceeds the limits.
pub fn render(chart: &Chart, user: &Json, options: &Options) -> Result<Rendered, Error> {
    session::alone(|| render_here(chart, user, options))
        .map_err(|error| Error::helm(format!("cannot start a thread: {error}")))?
}

fn render_here(chart: &Chart, user: &Json, options: &Options) -> Result<Rendered, Error> {
    check_installable(chart, &options.name)?;
    let settled = settle(chart, user, Enabled::AsHelm).map_err(|e| Error::helm(e.to_string()))?;
    if !options.skip_schema {
        let mut problems = String::new();
        validate(&settled.chart, &settled.values, &mut problems)?;
        if !problems.is_empty() {
            return Err(Error::helm(format!(
                "values don't meet the specifications of the schema(s) in the following chart(s):\n{problems}"
            )));
        }
    }
    let kube_version = &options.capabilities.kube_version.version;
    let wanted = &chart.metadata.kube_version;
    if !wanted.is_empty() && !version::is_compatible(wanted, kube_version) {
        return Err(Error::helm(format!(
            "chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {kube_version}"
        )));
    }
    let (files, used_stand_in) = execute(&settled.chart, &settled.values, user, options)?;
    let (manifests, hooks) = manifests::sort(&files).map_err(Error::helm)?;
    let mut crds = Vec::new();
    let root = ChartPath::root(&settled.chart.name);
    collect_crds(&settled.chart, &root, &mut crds);
    Ok(Rendered {
        manifests,
        hooks,
        crds,
        warnings: settled.warnings,
        used_stand_in,
    })
}

/// What `helm install` checks before it does anything.
fn check_installable(chart: &Chart, release: &str) -> Result<(), Error> {
    match chart.metadata.kind.as_str() {
        "" | "application" => {}
        other => return Err(Error::helm(format!("{other} charts are not installable"))),
    }
    let missing = chart.missing_dependencies();
    if !missing.is_empty() {
        return Err(Error::helm(format!(
            "An error occurred while checking for chart dependencies. You may need to run `helm dependency build` \
             to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: {}",
            missing.join(", ")
        )));
    }
    if !is_release_name(release) {
        return Err(Error::helm(format!(
            "release name {release:?}: invalid release name, must match regex \
             ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer than 53"
        )));
    }
    Ok(())
}

/// helm: `pkg/chartutil/validate_name.go`.
fn is_release_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let is_edge =
            |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        is_edge(part.chars().next())
            && is_edge(part.chars().last())
            && part.chars().all(|c| c == '-' || is_edge(Some(c)))
    };
    name.len() <= 53 && name.split('.').all(is_part)
}

/// Checks the coalesced values against the schemas of a chart and its subcharts.
fn validate(chart: &Processed<'_>, values: &Table, problems: &mut String) -> Result<(), Error> {
    if let Some(file) = &chart.chart.schema {
        let values = values
            .to_json(&mut Work::default())
            .map_err(|error| Error::helm(error.to_string()))?;
        if let Err(error) = schema::check(&file.data, &values) {
            write!(problems, "{}:\n{error}", chart.name).expect("a String takes all text");
        }
    }
    for subchart in &chart.subcharts {
        match values.get(&subchart.name) {
            None => {}
            Some(Entry::Table(values)) => validate(subchart, &values, problems)?,
            Some(Entry::Leaf(leaf)) if leaf.is_null() => {}
            Some(Entry::Leaf(leaf)) => {
                let found = super::format::from_json_value(&leaf);
                writeln!(
                    problems,
                    "{}:\ninvalid type for values: expected object (map), got {}",
                    subchart.name,
                    found.type_name()
                )
                .expect("a String takes all text");
            }
        }
    }
    Ok(())
}

/// Parses and executes all templates, and gives what each file prints, and whether the stand-in was used.
/// NOTES.txt is executed, and left out.
fn execute(
    chart: &Processed<'_>,
    values: &Table,
    user: &Json,
    options: &Options,
) -> Result<(BTreeMap<String, String>, bool), Error> {
    let dots = Dots::new(chart, values, user, options);
    let mut engine = Engine::new(
        functions::find,
        template::Options {
            stand_in: options.stand_in,
            limits: options.limits,
            ..template::Options::default()
        },
    );
    for template in &dots.templates {
        let (name, nesting) = (&template.name, options.limits.nesting);
        let parse = || engine.parse(name, text::from_bytes(&template.text));
        let parsed = session::template(name, &template.text, nesting, parse)?;
        engine.add_parsed(&parsed);
    }
    let mut files = BTreeMap::new();
    for template in &dots.templates {
        let base = template.name.rsplit('/').next().unwrap_or(&template.name);
        if base.starts_with('_') {
            continue;
        }
        let text = engine.render(&template.name, &template.dot());
        let text = text.map_err(|error| Error::in_template(&template.name, error))?;
        if !template.name.ends_with("NOTES.txt") {
            files.insert(template.name.clone(), text);
        }
    }
    Ok((files, engine.used_stand_in()))
}

fn collect_crds(chart: &Processed<'_>, place: &ChartPath, crds: &mut Vec<(String, Arc<[u8]>)>) {
    let is_manifest = |name: &str| {
        let ending = name
            .rsplit_once('.')
            .map(|(_, ending)| ending.to_ascii_lowercase());
        matches!(ending.as_deref(), Some("yaml" | "yml" | "json"))
    };
    for file in &chart.chart.files {
        if file.name.starts_with("crds/") && is_manifest(&file.name) {
            let content = Arc::clone(&file.data);
            crds.push((format!("{}/{}", place.path, file.name), content));
        }
    }
    for subchart in &chart.subcharts {
        collect_crds(subchart, &chart.place_of(subchart, place), crds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_releases_are_those_that_helm_takes() {
        for name in ["a", "a-b.c-1", "0"] {
            assert!(is_release_name(name), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a..b", "a_b", &"a".repeat(54)] {
            assert!(!is_release_name(name), "{name}");
        }
    }
}
