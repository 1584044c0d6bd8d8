//! The proof as a document: what was rendered, and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use helm_chart::render::images::FieldKind;

use crate::inventory::Scenario;
use oci_copy::reference::Digest;

use super::render::SWITCHES_ON;
use super::{Mode, Values};

/// What was proved of a plan, with all that is needed to prove it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// What a gap does.
    pub mode: Mode,
    /// The target prefix.
    pub prefix: String,
    /// The EKS version.
    pub eks_version: String,
    /// The Kubernetes version that charts were rendered for.
    pub kubernetes_version: String,
    /// The API versions of the cluster besides those that Helm assumes.
    pub api_versions: Vec<String>,
    /// Each chart by its key.
    pub charts: BTreeMap<String, ChartProof>,
    /// Sums over all charts.
    pub totals: Totals,
}

/// What was proved of a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChartProof {
    /// The chart's own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its archive.
    pub archive: Digest,
    /// The digest of its published values, as compact JSON.
    pub published: Digest,
    /// The release's namespace.
    pub namespace: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// The ways in which it is installed, each with all values that its consumer sets.
    pub scenarios: Vec<Install>,
    /// The references that may stay as they are.
    pub allow: Vec<String>,
    /// The images that its operator starts by itself, each with the path of the operator's registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operator_images: Vec<Operator>,
    /// All references, each once, in order of appearance.
    pub references: Vec<Reference>,
    /// The scenarios that could not be rendered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// The paths of published values that change nothing in any scenario, nor with the chart's switches on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_effect: Vec<String>,
    /// With `PinDigests`: the copied images that are named by their tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpinned: Vec<Unpinned>,
}

/// A copied image that is named by its tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpinned {
    /// Its reference at the target.
    pub image: String,
    /// Why its digest cannot be written.
    pub reason: String,
}

/// What came of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Every reference is at the target or allowed, but for those of `helm test`.
    #[serde(rename = "proved")]
    Proved,
    /// Some reference is a gap.
    #[serde(rename = "gaps")]
    Gaps,
    /// A scenario could not be rendered.
    #[serde(rename = "not proved")]
    NotProved,
    /// There is nothing to render.
    #[serde(rename = "no templates")]
    NoTemplates,
}

/// A way in which a chart is installed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Install {
    /// Its name.
    pub name: String,
    /// What the consumer sets, besides what is published.
    pub values: Values,
}

/// An image that an operator starts by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// Its name, with the tag.
    pub image: String,
    /// The values path of the registry that the operator is given.
    pub registry_path: Option<String>,
}

/// An image reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// As it is rendered.
    pub image: String,
    /// Whether it is at the target.
    pub state: State,
    /// Where it is named.
    pub uses: Vec<Use>,
    /// Of how many more uses nothing is recorded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_uses: usize,
    /// Of a gap: the values paths that set it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_by: Vec<String>,
    /// Of a gap: why no value sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a gap: the copy of it that the plan makes, which the chart does not use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_to: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Whether a reference is at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// It is copied.
    #[serde(rename = "copied")]
    Copied,
    /// A pattern of the data file lets it stay where it is.
    #[serde(rename = "allowed")]
    Allowed,
    /// It is not copied, and only `helm test` needs it.
    #[serde(rename = "test only")]
    TestOnly,
    /// It would be pulled from elsewhere.
    #[serde(rename = "gap")]
    Gap,
    /// It is below the target's prefix, but not copied.
    #[serde(rename = "not at the target")]
    NotAtTarget,
}

impl Reference {
    /// Whether it is a gap only with the chart's switches on, and no value sets it: a user of that part has to decide.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        let scenarios = self.uses.iter().flat_map(|one| &one.scenarios);
        let mut scenarios = scenarios.filter(|name| !name.starts_with(SWITCHES_ON));
        self.state == State::Gap && self.set_by.is_empty() && scenarios.next().is_none()
    }
}

impl State {
    /// Whether the cluster would not find it at the target.
    #[must_use]
    pub fn is_gap(self) -> bool {
        matches!(self, Self::Gap | Self::NotAtTarget)
    }
}

/// A place that names an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The scenarios in which it does.
    pub scenarios: Vec<String>,
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The path to the string.
    pub field: String,
    /// What kind of string it is: field, args, env or configuration.
    pub place: String,
    /// The template.
    pub template: String,
    /// Whether only `helm test` starts it.
    pub test: bool,
}

/// Why a scenario could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The scenario.
    pub scenario: String,
    /// What Helm says.
    pub reason: String,
    /// What it is about.
    pub cause: Cause,
}

/// What a failed render is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Chart and the consumer's values: it does not render without the published values either.
    #[serde(rename = "chart")]
    Chart,
    /// The published values: without them it renders.
    #[serde(rename = "published values")]
    Published,
    /// The chart refuses images of other registries unless a value allows them.
    #[serde(rename = "insecure images")]
    InsecureImages,
    /// The chart is not for this version of Kubernetes.
    #[serde(rename = "kubernetes version")]
    KubernetesVersion,
    /// Two renders name different images.
    #[serde(rename = "not repeatable")]
    NotRepeatable,
    /// A limit of this program was reached.
    #[serde(rename = "limit")]
    Limit,
}

impl Cause {
    /// What an error text is about, as far as it says so.
    pub(super) fn of_text(text: &str, is_limit: bool) -> Self {
        if is_limit {
            Self::Limit
        } else if text.contains("allowInsecureImages") {
            Self::InsecureImages
        } else if text.starts_with("chart requires kubeVersion") {
            Self::KubernetesVersion
        } else {
            Self::Chart
        }
    }
}

/// Sums over all charts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Charts in all.
    pub charts: usize,
    /// Charts of which a scenario could not be rendered.
    pub not_proved: usize,
    /// References, each once a chart.
    pub references: usize,
    /// Of them: at the target.
    pub copied: usize,
    /// Of them: allowed to stay where they are.
    pub allowed: usize,
    /// Of them: only `helm test` needs them.
    pub test_only: usize,
    /// Of them: neither.
    pub gaps: usize,
}

/// The proof in short form, as it stands in a result document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Short {
    /// The SHA-256 of the proof's bytes.
    pub proof: Digest,
    /// What a gap did.
    pub mode: Mode,
    /// Sums.
    #[serde(flatten)]
    pub totals: Totals,
}

impl Proof {
    /// The document's text: the same proof gives the same bytes.
    ///
    /// # Panics
    /// Never: all of it is JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers, lists and mappings are JSON")
    }

    /// The short form, which names the text by its digest.
    #[must_use]
    pub fn short(&self) -> Short {
        Short {
            proof: Digest::of(self.to_json().as_bytes()),
            mode: self.mode,
            totals: self.totals,
        }
    }

    /// The sums over some charts.
    #[must_use]
    pub fn sums(charts: &BTreeMap<String, ChartProof>) -> Totals {
        let mut totals = Totals {
            charts: charts.len(),
            ..Totals::default()
        };
        for chart in charts.values() {
            totals.not_proved += usize::from(!chart.failures.is_empty());
            totals.references += chart.references.len();
            for reference in &chart.references {
                *match reference.state {
                    State::Copied => &mut totals.copied,
                    State::Allowed => &mut totals.allowed,
                    State::TestOnly => &mut totals.test_only,
                    State::Gap | State::NotAtTarget => &mut totals.gaps,
                } += 1;
            }
        }
        totals
    }
}

impl ChartProof {
    /// The references that the cluster would not find at the target.
    pub fn gaps(&self) -> impl Iterator<Item = &Reference> {
        let references = self.references.iter();
        references.filter(|reference| reference.state.is_gap())
    }
}

impl From<&Scenario> for Install {
    fn from(scenario: &Scenario) -> Self {
        Self {
            name: scenario.name.clone(),
            values: scenario.values.clone(),
        }
    }
}

/// The name of a kind of string in the proof.
pub(super) fn field_name(place: FieldKind) -> &'static str {
    match place {
        FieldKind::Field => "field",
        FieldKind::Args => "args",
        FieldKind::Env => "env",
        FieldKind::Configuration => "configuration",
    }
}
