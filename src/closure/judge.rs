//! Renders and coverage -> what was proved of a chart.

use helm_chart::render::images::Image;

use crate::inventory::{ChartSpec, OperatorImage, Pattern, Scenario};
use oci_copy::reference::Digest;

use super::coverage::{Coverage, registry_at};
use super::proof::{ChartProof, Install, Operator, Outcome, Reference, State, Use, field_name};
use super::{Installs, Renders, Values};

/// The most places of a reference that are recorded.
const MAX_USES: usize = 20;

/// A chart to be judged: what its data file, or an earlier proof, says of it.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The chart's own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its archive.
    pub archive: Digest,
    /// The digest of its published values.
    pub published: Digest,
    /// The release's namespace.
    pub namespace: Option<String>,
    /// The references that may stay as they are.
    pub allow: Vec<Pattern>,
    /// The images that its operator starts by itself.
    pub operator_images: Vec<Operator>,
}

impl Checked {
    /// What a data file says of a chart.
    #[must_use]
    pub fn new(
        spec: &ChartSpec,
        (version, app_version): (&str, &str),
        archive: Digest,
        published: &Values,
    ) -> Self {
        let operator = |image: &OperatorImage| {
            let name = &image.name;
            let is_whole = name.tag.is_some() || name.digest.is_some();
            Operator {
                image: if is_whole {
                    name.to_string()
                } else {
                    format!("{name}:{app_version}")
                },
                registry_path: image.registry_path.as_ref().map(ToString::to_string),
            }
        };
        let text = serde_json::Value::Object(published.clone()).to_string();
        Self {
            name: spec.name.clone(),
            version: version.to_owned(),
            archive,
            published: Digest::of(text.as_bytes()),
            namespace: spec.installation.namespace.clone(),
            allow: spec.allow.clone(),
            operator_images: spec.operator_images.iter().map(operator).collect(),
        }
    }
}

impl ChartProof {
    /// The chart as it was checked, to be checked again.
    #[must_use]
    pub fn checked(&self) -> Checked {
        Checked {
            name: self.name.clone(),
            version: self.version.clone(),
            archive: self.archive.clone(),
            published: self.published.clone(),
            namespace: self.namespace.clone(),
            allow: self.allow.iter().flat_map(|text| text.parse()).collect(),
            operator_images: self.operator_images.clone(),
        }
    }

    /// How it was installed when it was checked.
    #[must_use]
    pub fn installs(&self) -> Installs {
        let scenarios = self.scenarios.iter().map(|install| Scenario {
            name: install.name.clone(),
            values: install.values.clone(),
        });
        Installs {
            namespace: self.namespace.clone(),
            scenarios: scenarios.collect(),
            switches: false,
        }
    }
}

/// Says of each reference whether it is at the target. Without renders there was nothing to render.
#[must_use]
pub fn judge(checked: Checked, renders: Option<Renders>, coverage: &Coverage) -> ChartProof {
    let mut proof = ChartProof {
        name: checked.name,
        version: checked.version,
        archive: checked.archive,
        published: checked.published,
        namespace: checked.namespace,
        outcome: Outcome::NoTemplates,
        scenarios: Vec::new(),
        allow: checked.allow.iter().map(ToString::to_string).collect(),
        operator_images: checked.operator_images,
        references: Vec::new(),
        failures: Vec::new(),
        without_effect: Vec::new(),
        unpinned: Vec::new(),
    };
    let Some(renders) = renders else {
        return proof;
    };
    let published = renders.published;
    for (scenario, result) in renders.scenarios {
        proof.scenarios.push(Install::from(&scenario));
        let images = match result {
            Ok(images) => images,
            Err(failure) => {
                proof.failures.push(failure);
                continue;
            }
        };
        for image in images {
            record_use(
                &mut proof.references,
                image.reference.clone(),
                use_of(image),
                &scenario.name,
            );
        }
        for operator in &proof.operator_images {
            let (reference, field) = started(operator, &scenario.values, &published);
            let by_operator = Use {
                scenarios: Vec::new(),
                kind: "operator".to_owned(),
                name: proof.name.clone(),
                field,
                place: "operator".to_owned(),
                template: String::new(),
                test: false,
            };
            record_use(
                &mut proof.references,
                reference,
                by_operator,
                &scenario.name,
            );
        }
    }
    for reference in &mut proof.references {
        let image = &reference.image;
        let is_test = reference.state == State::TestOnly;
        reference.state = if coverage.has(image) {
            State::Copied
        } else if checked.allow.iter().any(|pattern| pattern.covers(image)) {
            State::Allowed
        } else if is_test {
            State::TestOnly
        } else if coverage.is_below(image) {
            State::NotAtTarget
        } else {
            State::Gap
        };
        if reference.state == State::Gap {
            reference.copied_to = coverage.copy_of(image).map(str::to_owned);
        }
        reference.image = coverage.outward(&reference.image);
    }
    proof.without_effect = renders.without_effect;
    proof.outcome = if !proof.failures.is_empty() {
        Outcome::NotProved
    } else if proof.gaps().next().is_some() {
        Outcome::Gaps
    } else {
        Outcome::Proved
    };
    proof
}

/// Notes one more use of a reference.
fn record_use(references: &mut Vec<Reference>, image: String, one: Use, scenario: &str) {
    let known = references
        .iter()
        .position(|reference| reference.image == image);
    let at = known.unwrap_or_else(|| {
        references.push(Reference {
            image,
            state: State::TestOnly,
            uses: Vec::new(),
            more_uses: 0,
            set_by: Vec::new(),
            reason: None,
            copied_to: None,
        });
        references.len() - 1
    });
    let reference = &mut references[at];
    if !one.test {
        reference.state = State::Gap;
    }
    let same = reference.uses.iter().position(|other| {
        (&other.kind, &other.name, &other.field, &other.template)
            == (&one.kind, &one.name, &one.field, &one.template)
    });
    match same {
        Some(same) => {
            let same = &mut reference.uses[same];
            if same.scenarios.last().is_none_or(|last| last != scenario) {
                same.scenarios.push(scenario.to_owned());
            }
        }
        None if reference.uses.len() < MAX_USES => reference.uses.push(Use {
            scenarios: vec![scenario.to_owned()],
            ..one
        }),
        None => reference.more_uses += 1,
    }
}

fn use_of(image: Image) -> Use {
    Use {
        scenarios: Vec::new(),
        test: image.is_test(),
        kind: image.kind,
        name: image.name,
        field: image.field,
        place: field_name(image.place).to_owned(),
        template: image.template,
    }
}

/// What an operator pulls, and the path of its registry.
fn started(operator: &Operator, scenario: &Values, published: &Values) -> (String, String) {
    let path = operator.registry_path.as_deref();
    let registry = path
        .and_then(|path| path.parse().ok())
        .and_then(|path| registry_at(scenario, published, &path));
    let image = match registry {
        Some(registry) => {
            let name = operator.image.split_once('/');
            let rest = name
                .filter(|(host, _)| oci_copy::reference::is_registry_host(host))
                .map_or(operator.image.as_str(), |(_, rest)| rest);
            format!("{registry}/{rest}")
        }
        None => operator.image.clone(),
    };
    (image, path.unwrap_or_default().to_owned())
}
