//! The charts of both data files, merged.

use url::Url;

use crate::problem::{Problem, did_you_mean};
use crate::values::Path;

use super::file::{Entry, Reader};
use super::{ChartRepository, ChartSpec, ImageSpec, Origin, Part, Removal, Subchart};

const CHART_KEYS: [&str; 7] = [
    "name",
    "repository",
    "version",
    "skip",
    "subcharts",
    "images",
    "replication",
];
const IMAGE_KEYS: [&str; 4] = ["registry", "repository", "tag", "remove"];
const PART_KEYS: [&str; 6] = ["location", "path", "subchart", "prefix", "name", "set"];

/// The entries that say something about one thing, the version file's last: the later one wins.
struct Layers<'a>(Vec<Entry<'a>>);

impl<'a> Layers<'a> {
    /// The entries below a key; a null takes back what the entries before it say.
    fn below(&self, key: &str) -> Layers<'a> {
        let mut below = Vec::new();
        for entry in self.0.iter().filter_map(|entry| entry.get(key)) {
            if entry.is_null() {
                below.clear();
            } else {
                below.push(entry);
            }
        }
        Layers(below)
    }

    /// The one that counts where entries do not merge.
    fn last(&self) -> Option<&Entry<'a>> {
        self.0.last()
    }

    /// The names below a key, in order of appearance; a name that a later entry sets to null is gone.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for entry in self.0.iter().flat_map(Entry::entries) {
            if entry.is_null() {
                names.retain(|name| name != entry.name());
            } else if !names.iter().any(|name| name == entry.name()) {
                names.push(entry.name().to_owned());
            }
        }
        names
    }
}

impl Reader {
    pub(super) fn charts(&mut self, roots: &[Entry<'_>]) -> Vec<ChartSpec> {
        let sections: Vec<Entry<'_>> = roots
            .iter()
            .filter_map(|root| root.get("charts"))
            .filter_map(|charts| self.mapping(&charts))
            .collect();
        let mut keys: Vec<String> = Vec::new();
        for entry in sections.iter().flat_map(Entry::entries) {
            if !keys.iter().any(|key| key == entry.name()) {
                keys.push(entry.name().to_owned());
            }
        }
        keys.iter()
            .filter_map(|key| {
                let layers: Vec<Entry<'_>> = sections
                    .iter()
                    .filter_map(|section| section.get(key))
                    .collect();
                let layers: Vec<Entry<'_>> = layers
                    .iter()
                    .filter_map(|layer| self.mapping(layer))
                    .collect();
                self.chart(key, &Layers(layers), roots, &keys)
            })
            .collect()
    }

    fn chart(
        &mut self,
        key: &str,
        layers: &Layers<'_>,
        roots: &[Entry<'_>],
        keys: &[String],
    ) -> Option<ChartSpec> {
        let top = layers.last()?.clone();
        self.note_unknown(&layers.0, &CHART_KEYS);
        let fields = ["name", "repository", "version"].map(|field| {
            let entry = layers.below(field).last().cloned();
            entry.and_then(|entry| {
                self.text_or_null(&entry)
                    .map(|text| (text.trim().to_owned(), entry))
            })
        });
        let in_default = roots
            .first()
            .and_then(|root| root.get("charts"))
            .is_some_and(|charts| charts.get(key).is_some());
        let is_whole = fields.iter().all(Option::is_some);
        if !in_default && !is_whole {
            let others = keys
                .iter()
                .filter(|other| *other != key)
                .map(String::as_str);
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
        let repository =
            repository.and_then(|(text, entry)| Some((self.repository(&text, &entry)?, text)));
        let subcharts = self.subcharts(layers);
        let images = self.images(layers, &subcharts);
        let (repository, repository_text) = repository?;
        Some(ChartSpec {
            key: key.to_owned(),
            name: name?,
            repository,
            repository_text,
            version: version?,
            subcharts,
            images,
            place: top.place(),
        })
    }

    fn skip(&mut self, layers: &Layers<'_>) -> bool {
        let skip = layers.below("skip");
        let Some(entry) = skip.last() else {
            return false;
        };
        let flag = entry
            .node()
            .as_scalar()
            .and_then(crate::yaml::Scalar::boolean);
        if flag.is_none() {
            self.wrong_kind(entry, "true or false");
        }
        flag.unwrap_or(false)
    }

    /// A chart's name becomes a repository's last part and, in the EKS module, a folder's name and a
    /// word of a shell line: Helm's own rule for names keeps all of them whole.
    fn chart_name(&mut self, name: String, entry: &Entry<'_>) -> Option<String> {
        let fits = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !fits {
            let what =
                format!("`{name}` is no chart name: letters, digits, `-`, `_` and `.` are allowed");
            self.problems.push(Problem::input(entry.place(), what));
        }
        fits.then_some(name)
    }

    /// A version that names one chart. The EKS module puts it unquoted into a shell line, so nothing
    /// but the letters of semantic versions may stand in it.
    fn pinned_version(&mut self, version: String, entry: &Entry<'_>) -> Option<String> {
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
        let core = version.strip_prefix('v').unwrap_or(&version);
        let core = core.split(['-', '+']).next().unwrap_or_default();
        let exact = core.split('.').count() >= 2
            && core
                .split('.')
                .all(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
        if exact && version.chars().all(letters) {
            return Some(version);
        }
        let what = format!("`{version}` does not name one version of the chart");
        let remedy = "a data file pins its charts: write an exact version such as 1.2.3, no range";
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
        match text.split_once("://") {
            Some(("http" | "https", _)) => match Url::parse(text) {
                Ok(url) if !url.username().is_empty() || url.password().is_some() => refuse(
                    "the URL of the chart repository holds credentials".to_owned(),
                    "remove them here, and log in with ~/.docker/config.json or a secret",
                ),
                Ok(url) => Some(ChartRepository::Http(url)),
                Err(error) => refuse(
                    format!("`{text}` is no URL: {error}"),
                    "such as https://charts.example.com/stable",
                ),
            },
            Some(("oci", rest)) => {
                let rest = rest.trim_end_matches('/');
                match format!("{rest}/x").parse::<crate::reference::Location>() {
                    Ok(_)
                        if crate::reference::is_registry_host(
                            rest.split('/').next().unwrap_or_default(),
                        ) =>
                    {
                        Some(ChartRepository::Oci(rest.to_owned()))
                    }
                    _ => refuse(
                        format!("`{text}` is no registry of charts"),
                        "such as oci://ghcr.io/team/charts",
                    ),
                }
            }
            Some((scheme, _)) => refuse(
                format!("chart repositories of the kind `{scheme}://` are not known"),
                "https://, http://, oci:// or a path",
            ),
            None => {
                // Beside the data file, as its author sees it; else as the process sees it.
                let beside = entry.folder().join(text);
                Some(ChartRepository::Path(if beside.exists() {
                    beside
                } else {
                    text.into()
                }))
            }
        }
    }

    fn subcharts(&mut self, layers: &Layers<'_>) -> Vec<Subchart> {
        let subcharts = layers.below("subcharts");
        let Some(list) = subcharts.last() else {
            return Vec::new();
        };
        if !matches!(list.node().kind, crate::yaml::Kind::Sequence(_)) {
            self.wrong_kind(list, "a list of subcharts");
        }
        list.items()
            .iter()
            .filter_map(|item| {
                if let crate::yaml::Kind::Mapping(_) = item.node().kind {
                    self.note_unknown(std::slice::from_ref(item), &["name", "alias"]);
                    let Some(name) = self.optional_text(item, "name") else {
                        self.problems
                            .push(Problem::input(item.place(), "the subchart has no `name`"));
                        return None;
                    };
                    let alias = self
                        .optional_text(item, "alias")
                        .unwrap_or_else(|| name.clone());
                    return Some(Subchart { name, alias });
                }
                let name = self.text_or_null(item)?;
                Some(Subchart {
                    alias: name.clone(),
                    name,
                })
            })
            .collect()
    }

    fn images(&mut self, layers: &Layers<'_>, subcharts: &[Subchart]) -> Vec<ImageSpec> {
        let sections: Vec<Entry<'_>> = layers
            .below("images")
            .0
            .iter()
            .filter_map(|section| self.mapping(section))
            .collect();
        let images = Layers(sections);
        let sections: Vec<Entry<'_>> = layers
            .below("replication")
            .0
            .iter()
            .filter_map(|section| self.mapping(section))
            .collect();
        let replication = Layers(sections);
        let names = images.names();
        for stray in replication
            .0
            .iter()
            .flat_map(Entry::entries)
            .filter(|entry| !names.iter().any(|n| n == entry.name()))
        {
            let problem = Problem::input(
                stray.place(),
                format!("the chart has no image `{}` to override", stray.name()),
            );
            let near = did_you_mean(stray.name(), names.iter().map(String::as_str));
            let known = format!(
                "images: {}",
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            );
            self.problems.push(problem.remedy(near.unwrap_or(known)));
        }
        names
            .iter()
            .filter_map(|key| {
                self.image(key, &images.below(key), &replication.below(key), subcharts)
            })
            .collect()
    }

    fn image(
        &mut self,
        key: &str,
        layers: &Layers<'_>,
        replication: &Layers<'_>,
        subcharts: &[Subchart],
    ) -> Option<ImageSpec> {
        let place = layers.last()?.place();
        let layers = Layers(
            layers
                .0
                .iter()
                .filter_map(|layer| self.mapping(layer))
                .collect(),
        );
        self.note_unknown(&layers.0, &IMAGE_KEYS);
        let replication = Layers(
            replication
                .0
                .iter()
                .filter_map(|layer| self.mapping(layer))
                .collect(),
        );
        for stray in replication.0.iter().flat_map(Entry::entries) {
            if !["registry", "repository", "tag"].contains(&stray.name()) {
                let what = "only registry, repository and tag of an image can be overridden";
                self.problems.push(Problem::input(stray.place(), what));
            } else if layers.below(stray.name()).last().is_none() {
                let what = format!(
                    "the image has no `{}` of its own, so it cannot be overridden",
                    stray.name()
                );
                self.problems.push(Problem::input(stray.place(), what));
            }
        }
        let mut part = |field: &str| {
            let entry = layers.below(field).last().cloned()?;
            let replacement = replication.below(field).last().cloned();
            let replacement =
                replacement.and_then(|entry| Some((self.text_or_null(&entry)?, entry.place())));
            self.part(&entry, replacement, subcharts)
        };
        let (registry, tag) = (part("registry"), part("tag"));
        let has_repository = layers.below("repository").last().is_some();
        let repository = part("repository");
        if !has_repository {
            self.problems.push(Problem::input(
                place.as_str(),
                "the image has no `repository`",
            ));
        }
        let removals = layers.below("remove").last().cloned();
        let remove = removals.map_or_else(Vec::new, |entry| {
            let entries = if entry.items().is_empty() {
                vec![entry]
            } else {
                entry.items()
            };
            entries
                .iter()
                .filter_map(|entry| self.removal(entry, subcharts))
                .collect()
        });
        Some(ImageSpec {
            key: key.to_owned(),
            registry,
            repository: repository?,
            tag,
            remove,
            place,
        })
    }

    fn part(
        &mut self,
        entry: &Entry<'_>,
        replacement: Option<(String, String)>,
        subcharts: &[Subchart],
    ) -> Option<Part> {
        let entry = &self.mapping(entry)?;
        self.note_unknown(std::slice::from_ref(entry), &PART_KEYS);
        let (place, replacement) = match replacement {
            Some((text, place)) => (place, Some(text)),
            None => (entry.place(), None),
        };
        if let Some(name) = self.optional_text(entry, "name") {
            return Some(Part {
                origin: Origin::Fixed(name),
                replacement,
                place,
            });
        }
        let path = self.path(entry, "path");
        let set = entry.get("set").and_then(|_| self.path(entry, "set"));
        let subchart = self.subchart(entry, subcharts);
        let prefix = self.optional_text(entry, "prefix").unwrap_or_default();
        let location = self.optional_text(entry, "location");
        let origin = match location.as_deref() {
            Some("values") if entry.get("set").is_some() => {
                let what = "`set` belongs to a tag that is read from the chart; here the override goes to `path`";
                self.problems.push(Problem::input(entry.place(), what));
                return None;
            }
            Some("values") => Origin::Values {
                path: path?,
                subchart: subchart?,
                prefix,
            },
            Some("chart") => Origin::Metadata {
                path: path?,
                subchart: subchart?,
                prefix,
                set,
            },
            _ => {
                let what =
                    "`location` must be `values` or `chart`, or there must be a fixed `name`";
                self.problems.push(Problem::input(entry.place(), what));
                return None;
            }
        };
        Some(Part {
            origin,
            replacement,
            place,
        })
    }

    fn removal(&mut self, entry: &Entry<'_>, subcharts: &[Subchart]) -> Option<Removal> {
        let entry = &self.mapping(entry)?;
        self.note_unknown(
            std::slice::from_ref(entry),
            &["location", "path", "subchart"],
        );
        let path = self.path(entry, "path");
        Some(Removal {
            subchart: self.subchart(entry, subcharts)?,
            path: path?,
        })
    }

    fn path(&mut self, parent: &Entry<'_>, key: &str) -> Option<Path> {
        let Some(text) = self.optional_text(parent, key) else {
            self.problems.push(Problem::input(
                parent.place(),
                format!("`{key}` is missing"),
            ));
            return None;
        };
        text.parse()
            .map_err(|what: String| self.problems.push(Problem::input(parent.place(), what)))
            .ok()
    }

    /// The alias of the subchart that an entry names; the outer `None` where it names one that the
    /// chart does not list.
    fn subchart(&mut self, entry: &Entry<'_>, subcharts: &[Subchart]) -> Option<Option<String>> {
        let Some(name) = self.optional_text(entry, "subchart") else {
            return Some(None);
        };
        let known = subcharts
            .iter()
            .find(|subchart| subchart.alias == name)
            .or_else(|| subcharts.iter().find(|subchart| subchart.name == name));
        if let Some(known) = known {
            return Some(Some(known.alias.clone()));
        }
        let listed: Vec<&str> = subcharts
            .iter()
            .map(|subchart| subchart.alias.as_str())
            .collect();
        let what = format!("the subchart `{name}` is not listed under the chart's `subcharts`");
        let remedy = format!(
            "listed: {}",
            if listed.is_empty() {
                "none".to_owned()
            } else {
                listed.join(", ")
            }
        );
        self.problems
            .push(Problem::input(entry.place(), what).remedy(remedy));
        None
    }
}
