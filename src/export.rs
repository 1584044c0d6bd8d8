//! A result document -> what other tools need to install its charts from the target. Pure.

mod argocd;
mod flux;
mod helmfile;
mod terraform;

use std::collections::HashSet;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::document::{Chart, ResultDocument};
use crate::problem::{Problem, Problems};
use crate::reference::EcrHost;
use crate::yaml;

/// The longest name of a Helm release (Helm's own limit, because names are put in labels).
const MAX_RELEASE: usize = 53;

/// What a folder is for a user of the values.
pub const NO_REGISTRY: &str = "a folder, which no cluster can read";

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Helm values.
    Helm,
    /// An Argo CD `Application`, and a `Secret` for its repository.
    Argocd,
    /// A Flux `HelmRelease`, and an `OCIRepository`.
    Flux,
    /// A `helm_release` resource.
    Terraform,
    /// Releases of a Helmfile.
    Helmfile,
}

/// A chart of a result document, and how it is installed.
#[derive(Debug, Clone, PartialEq)]
pub struct Release<'a> {
    /// Its key in the data files.
    pub key: &'a str,
    /// The name of the release, which is a DNS label.
    pub name: String,
    /// The chart's name.
    pub chart: &'a str,
    /// The registry and path that the chart is in, without scheme and without the chart's name.
    pub repository: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its digest, where it is recorded.
    pub digest: Option<&'a str>,
    /// The namespace to install it in.
    pub namespace: &'a str,
    /// The values that make it use the copies.
    pub values: &'a Map<String, Value>,
    /// The folder that it is in, if the target is one: only Helm values can be printed then.
    pub folder: Option<&'a str>,
}

impl Release<'_> {
    /// The chart's tag at the registry: tags cannot hold `+`.
    fn tag(&self) -> String {
        self.version.replace('+', "_")
    }

    /// The host of ECR that the chart is at.
    fn ecr(&self) -> Option<EcrHost> {
        EcrHost::parse(self.repository.split('/').next()?)
    }
}

/// The charts of a document, or the one with this key or name.
///
/// # Errors
/// When there is no such chart, several have the name, or the target is a folder, which only Helm values may name.
pub fn releases<'a>(
    document: &'a ResultDocument,
    wanted: Option<&str>,
    namespace: &'a str,
    format: Format,
) -> Result<Vec<Release<'a>>, Problems> {
    let charts = document
        .charts
        .iter()
        .filter(|(key, chart)| wanted.is_none_or(|wanted| *key == wanted || name(chart) == wanted));
    let mut charts: Vec<(&String, &Chart)> = charts.collect();
    if let Some(wanted) = wanted {
        // A key is one chart, a name may be several.
        if charts.iter().any(|(key, _)| *key == wanted) {
            charts.retain(|(key, _)| *key == wanted);
        }
        if charts.len() != 1 {
            return Err(not_one(document, wanted, &charts));
        }
    }
    let mut names = HashSet::new();
    let releases = charts.into_iter().map(|(key, chart)| {
        let release = release(document, key, chart, namespace, &mut names);
        if format != Format::Helm && release.folder.is_some() {
            let what = format!("the target is {NO_REGISTRY}");
            let remedy = "deploy to a registry, or print --format helm";
            return Err(Problem::input(key.as_str(), what).remedy(remedy).into());
        }
        Ok(release)
    });
    releases.collect()
}

fn not_one(document: &ResultDocument, wanted: &str, found: &[(&String, &Chart)]) -> Problems {
    let keys = |charts: &mut dyn Iterator<Item = &String>| {
        let keys: Vec<&str> = charts.map(String::as_str).collect();
        keys.join(", ")
    };
    let (what, all) = if found.is_empty() {
        (
            "the result names no such chart",
            keys(&mut document.charts.keys()),
        )
    } else {
        (
            "several charts have this name",
            keys(&mut found.iter().map(|(key, _)| *key)),
        )
    };
    let problem = Problem::input(wanted, what);
    problem.remedy(format!("name one of: {all}")).into()
}

fn name(chart: &Chart) -> &str {
    let helm = &chart.helm;
    let last = helm.repository.rsplit(['/', ':']).next();
    helm.name.as_deref().or(last).unwrap_or_default()
}

fn release<'a>(
    document: &'a ResultDocument,
    key: &'a str,
    chart: &'a Chart,
    namespace: &'a str,
    names: &mut HashSet<String>,
) -> Release<'a> {
    let written = chart.helm.repository.as_str();
    let registry = written.strip_prefix("oci://");
    let whole = registry.unwrap_or(written);
    let (repository, last) = whole.rsplit_once('/').unwrap_or(("", whole));
    let target = format!("{whole}:{}", chart.helm.version.replace('+', "_"));
    let digests = document.written.digests.as_ref();
    let label = label(key, MAX_RELEASE - 4);
    let mut name = label.clone();
    for number in 2.. {
        if names.insert(name.clone()) {
            break;
        }
        name = format!("{label}-{number}");
    }
    Release {
        key,
        name,
        chart: last,
        repository,
        version: &chart.helm.version,
        digest: digests
            .and_then(|digests| digests.get(&target))
            .map(String::as_str),
        namespace,
        values: &chart.values,
        folder: registry.is_none().then_some(written),
    }
}

/// A text as a DNS label of at most some characters (RFC 1123): what names of Kubernetes and Helm can hold.
fn label(text: &str, longest: usize) -> String {
    let letters = text.to_lowercase();
    let letters = letters
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let label: String = letters.skip_while(|c| *c == '-').take(longest).collect();
    match label.trim_end_matches('-') {
        "" => "chart".to_owned(),
        label => label.to_owned(),
    }
}

/// Releases in a format.
#[must_use]
pub fn print(releases: &[Release<'_>], format: Format) -> String {
    match format {
        Format::Helm => helm(releases),
        Format::Argocd => documents(argocd::manifests(releases)),
        Format::Flux => documents(releases.iter().flat_map(flux::manifests)),
        Format::Terraform => terraform::resources(releases),
        Format::Helmfile => documents([helmfile::file(releases)]),
    }
}

/// YAML documents, one after the other.
fn documents(all: impl IntoIterator<Item = Value>) -> String {
    let mut text = String::new();
    for document in all {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        yaml::write(&document, 0, &mut text);
    }
    text
}

/// Values, each chart's a document, with the command that installs it in front.
fn helm(releases: &[Release<'_>]) -> String {
    let mut text = String::new();
    for release in releases {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        let Release {
            chart,
            repository,
            version,
            name,
            namespace,
            ..
        } = release;
        if let Some(host) = release.ecr() {
            let region = &host.region;
            line(
                &mut text,
                &format!(
                    "aws ecr get-login-password --region {region} | helm registry login --username AWS --password-stdin {host}"
                ),
            );
        }
        if let Some(folder) = release.folder {
            line(
                &mut text,
                &format!("{folder}:{} is in {NO_REGISTRY}", release.tag()),
            );
        } else {
            line(
                &mut text,
                &format!(
                    "helm upgrade --install {name} oci://{repository}/{chart} --version {version} --namespace {namespace} --values FILE"
                ),
            );
        }
        if release.values.is_empty() {
            text.push_str("{}\n");
        }
        yaml::write(&Value::Object(release.values.clone()), 0, &mut text);
    }
    text
}

/// A comment line.
fn line(text: &mut String, comment: &str) {
    let clean: String = comment.chars().filter(|c| !c.is_control()).collect();
    writeln!(text, "# {clean}").expect("a String takes all text");
}

#[cfg(test)]
mod tests;
