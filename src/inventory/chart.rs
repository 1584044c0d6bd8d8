//! The charts of both data files, merged.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use url::Url;

use crate::problem::{Problem, did_you_mean};
use oci_copy::reference::{is_registry_host, without_secrets};

use super::file::{DataReader, Entry};
use super::image::nested_subcharts;
use super::merge::Stack;
use super::{ChartRepository, ChartSpec, Subchart, keys};

impl DataReader {
    pub(super) fn charts<'a>(&mut self, roots: &[Entry<'a>]) -> Vec<ChartSpec> {
        let sections: Vec<Entry<'a>> = roots
            .iter()
            .filter_map(|root| root.get("charts"))
            .filter_map(|charts| self.mapping(&charts))
            .collect();
        let mut keys: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        for entry in sections.iter().flat_map(Entry::entries) {
            if entry.is_null() {
                let problem = Problem::input(entry.place(), "the entry of the chart is empty");
                let remedy =
                    "write `skip: true` below it to leave the chart out, or remove the key";
                self.problems.push(problem.remedy(remedy));
            }
            if seen.insert(entry.name().to_owned()) && self.is_word(entry.name(), &entry) {
                keys.push(entry.name().to_owned());
            }
        }
        let by_key = |section: &Entry<'a>| -> HashMap<String, Entry<'a>> {
            let entries = section.entries().into_iter();
            entries
                .map(|entry| (entry.name().to_owned(), entry))
                .collect()
        };
        let sections: Vec<HashMap<String, Entry<'a>>> = sections.iter().map(by_key).collect();
        let default = roots.first().and_then(|root| root.get("charts"));
        let default = default.map(|charts| by_key(&charts)).unwrap_or_default();
        keys.iter()
            .filter_map(|key| {
                let layers: Vec<Entry<'_>> = sections
                    .iter()
                    .filter_map(|section| section.get(key))
                    .filter_map(|layer| self.mapping(layer))
                    .collect();
                let others = || keys.iter().filter(|other| *other != key);
                let in_default = default.contains_key(key);
                self.chart(key, &Stack(layers), in_default, others)
            })
            .collect()
    }

    fn chart<'k, I: Iterator<Item = &'k String>>(
        &mut self,
        key: &str,
        layers: &Stack<'_>,
        in_default: bool,
        others: impl FnOnce() -> I,
    ) -> Option<ChartSpec> {
        let top = layers.last()?.clone();
        self.check_keys(&layers.0, keys::CHART);
        let fields = ["name", "repository", "version"].map(|field| {
            let entry = layers.below(field).last().cloned();
            entry.and_then(|entry| {
                self.text_or_null(&entry)
                    .map(|text| (text.trim().to_owned(), entry))
            })
        });
        let is_whole = fields.iter().all(Option::is_some);
        if !in_default && !is_whole {
            let others = others().map(String::as_str);
            let mut remedy = did_you_mean(key, others).unwrap_or_default();
            remedy.push_str("\nor give it name, repository and version here to add a chart");
            let problem = Problem::input(
                top.place(),
                format!("the chart `{key}` is not known: default.yaml has no such key"),
            );
            self.problems
                .push(problem.remedy(remedy.trim_start().to_owned()));
            return None;
        }
        if self.skip(layers) {
            return None;
        }
        let [name, repository, version] = fields;
        for (field, what) in [
            (&name, "name"),
            (&repository, "repository"),
            (&version, "version"),
        ] {
            if field.is_none() {
                self.problems.push(Problem::input(
                    top.place(),
                    format!("the chart has no `{what}`"),
                ));
            }
        }
        let name = name.and_then(|(name, entry)| self.chart_name(name, &entry));
        let version = version.and_then(|(version, entry)| self.pinned_version(version, &entry));
        let repository = repository.and_then(|(text, entry)| {
            Some((self.repository(&text, &entry)?, without_secrets(&text)))
        });
        let mut subcharts = self.subcharts(layers);
        let discovery = self.discovery(layers);
        let images = self.images(layers, &subcharts);
        subcharts.extend(nested_subcharts(&images, &subcharts));
        let operator_images = self.operator_images(layers);
        let has_images = !(images.is_empty() && operator_images.is_empty() && discovery.is_none());
        if !has_images && !says_that_it_has_no_images(layers) {
            self.warnings.push(format!(
                "{}: no image is listed, so none of the images of this chart is copied; list them under \
                 `images`, or write `images: {{}}` if that is meant",
                top.place()
            ));
        }
        let (repository, repository_text) = repository?;
        Some(ChartSpec {
            key: key.to_owned(),
            name: name?,
            repository,
            repository_text,
            version: version?,
            subcharts,
            images,
            found: Vec::new(),
            discovery,
            operator_images,
            allow: self.allow(layers),
            overrides: self.fixed_overrides(layers),
            installation: self.installation(layers),
            place: top.place(),
        })
    }

    fn skip(&mut self, layers: &Stack<'_>) -> bool {
        let skip = layers.below("skip");
        let Some(entry) = skip.last() else {
            return false;
        };
        self.flag(entry).unwrap_or(false)
    }

    /// A chart's name becomes a repository's last part and, in the EKS module, a folder's name and a
    /// word of a shell line: Helm's own rule for names keeps all of them whole.
    fn chart_name(&mut self, name: String, entry: &Entry<'_>) -> Option<String> {
        let fits = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !fits {
            let what = format!(
                "`{name}` is not a chart name: letters, digits, `-`, `_` and `.` are allowed"
            );
            self.problems.push(Problem::input(entry.place(), what));
        } else if name.contains(|c: char| c.is_ascii_uppercase()) {
            self.warnings.push(format!(
                "{}: the chart `{name}` has capital letters, which no repository can have: it is copied to `{}`, \
                 and the EKS module, which looks for a folder of that name in the archive, does not find the chart",
                entry.place(),
                name.to_lowercase()
            ));
        }
        fits.then_some(name)
    }

    /// A version that names one chart. The EKS module puts it unquoted into a shell line, so nothing
    /// but the letters of semantic versions may stand in it.
    fn pinned_version(&mut self, version: String, entry: &Entry<'_>) -> Option<String> {
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
        let core = version.strip_prefix('v').unwrap_or(&version);
        let core = core.split(['-', '+']).next().unwrap_or_default();
        // One number is a version too: that of a chart with an unquoted `version: 7.0`.
        let exact = core
            .split('.')
            .all(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
        if exact && version.chars().all(letters) {
            return Some(version);
        }
        let what = format!("`{version}` does not name one version of the chart");
        let remedy =
            "a data file pins its charts: write an exact version such as 1.2.3, not a range";
        self.problems
            .push(Problem::input(entry.place(), what).remedy(remedy));
        None
    }

    fn repository(&mut self, text: &str, entry: &Entry<'_>) -> Option<ChartRepository> {
        let mut refuse = |what: String, remedy: &str| {
            self.problems
                .push(Problem::input(entry.place(), what).remedy(remedy));
            None
        };
        if let Some(remote) = remote_repository(text) {
            return match remote {
                Ok(repository) => Some(repository),
                Err((what, remedy)) => refuse(what, remedy),
            };
        }
        // Beside the data file, as its author sees it; else as the process sees it.
        let beside: PathBuf = entry.folder().join(text).components().collect();
        if beside.exists() {
            return Some(ChartRepository::Path(beside));
        }
        if Path::new(text).exists() {
            return Some(ChartRepository::Path(text.into()));
        }
        let host = text.split('/').next().unwrap_or_default();
        if is_registry_host(host) && !host.starts_with('.') {
            let text = without_secrets(text);
            return refuse(
                format!("there is no folder or archive `{text}`"),
                &format!("if it is not a path, write https://{text} or oci://{text}"),
            );
        }
        Some(ChartRepository::Path(beside))
    }

    fn subcharts(&mut self, layers: &Stack<'_>) -> Vec<Subchart> {
        let subcharts = layers.below("subcharts");
        let Some(list) = subcharts.last() else {
            return Vec::new();
        };
        if !matches!(list.node().kind, helm_chart::yaml::Kind::Sequence(_)) {
            self.wrong_kind(list, "a list of subcharts");
        }
        let mut listed: Vec<Subchart> = Vec::new();
        for item in list.items() {
            let Some(subchart) = self.listed_subchart(&item) else {
                continue;
            };
            if listed.iter().any(|other| other.alias == subchart.alias) {
                let what = format!("the subchart `{}` is listed a second time", subchart.alias);
                let remedy = "remove one of the two, or give each its alias: {name: …, alias: …}";
                self.problems
                    .push(Problem::input(item.place(), what).remedy(remedy));
                continue;
            }
            listed.push(subchart);
        }
        listed
    }

    /// One entry of `subcharts`: a name, or name and alias.
    fn listed_subchart(&mut self, item: &Entry<'_>) -> Option<Subchart> {
        if !matches!(item.node().kind, helm_chart::yaml::Kind::Mapping(_)) {
            let name = self.text_or_null(item)?;
            let alias = name.clone();
            return Some(Subchart { name, alias });
        }
        self.check_keys(std::slice::from_ref(item), keys::SUBCHART);
        let Some(name) = self.optional_text(item, "name") else {
            let problem = Problem::input(item.place(), "the subchart has no `name`");
            let remedy = "write `- {name: …, alias: …}` or `- name`";
            self.problems.push(problem.remedy(remedy));
            return None;
        };
        let alias = self.optional_text(item, "alias");
        let alias = alias.unwrap_or_else(|| name.clone());
        Some(Subchart { name, alias })
    }
}

/// Whether a file says `images: {}`, or takes back all that another one names.
fn says_that_it_has_no_images(layers: &Stack<'_>) -> bool {
    let sections = layers.below("images");
    let mut names = sections.0.iter().map(Entry::entries);
    names.any(|names| names.is_empty() || names.iter().any(|image| !image.is_null()))
}

/// Reads the URL of a chart repository or a registry; `None` where a text has no scheme.
///
/// # Errors
/// What is wrong with it, and what to write instead.
pub(crate) fn remote_repository(
    text: &str,
) -> Option<Result<ChartRepository, (String, &'static str)>> {
    let (scheme, rest) = text.split_once("://")?;
    Some(match scheme {
        "http" | "https" => match Url::parse(text) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => Err((
                "the URL of the chart repository holds credentials".to_owned(),
                "remove them here, and use ~/.docker/config.json or HelmRepoSecretName",
            )),
            Ok(url) => Ok(ChartRepository::Http(url)),
            Err(error) => Err((
                format!("`{}` is not a URL: {error}", without_secrets(text)),
                "such as https://charts.example.com/stable",
            )),
        },
        "oci" => {
            let rest = rest.trim_end_matches('/');
            match format!("{rest}/x").parse::<oci_copy::reference::Location>() {
                Ok(_) if is_registry_host(rest.split('/').next().unwrap_or_default()) => {
                    Ok(ChartRepository::Oci(rest.to_owned()))
                }
                _ => Err((
                    format!("`{}` is not a registry of charts", without_secrets(text)),
                    "such as oci://ghcr.io/team/charts",
                )),
            }
        }
        _ => Err((
            format!("chart repositories of the kind `{scheme}://` are not known"),
            "https://, http://, oci:// or a path",
        )),
    })
}
