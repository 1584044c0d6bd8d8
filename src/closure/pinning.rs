//! `PinDigests`: the digests that copies will have at the target, written into the published values.

use serde_json::Value;

use helm_chart::chart::Chart;
use helm_chart::discover::pin::{self, Pin};
use helm_chart::render::Capabilities;
use helm_chart::set;

use super::proof::{ChartProof, State, Unpinned};
use super::render::options;
use super::{Coverage, Digests, Values};

/// A chart's values with digests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pinning {
    /// The values to publish.
    pub values: Values,
    /// The digests that they name, by the copies' names at the target.
    pub pinned: Digests,
    /// The images that are not, and why.
    pub left: Vec<Unpinned>,
}

/// Writes digests into the published values of a chart that was proved, where renders prove that it makes correct
/// references of them. `digests` are those of the copies by their names at the target.
#[must_use]
pub fn pin(
    proof: &ChartProof,
    chart: &Chart,
    published: &Values,
    capabilities: &Capabilities,
    (coverage, digests): (&Coverage, &Digests),
) -> Pinning {
    let mut pinning = Pinning {
        values: published.clone(),
        ..Pinning::default()
    };
    let mut pins: Vec<Pin> = Vec::new();
    let mut copies = Vec::new();
    for reference in &proof.references {
        let image = &reference.image;
        if reference.state != State::Copied || image.contains('@') {
            continue;
        }
        let is_rendered = reference.uses.iter().any(|one| one.place != "operator");
        match digests.get_key_value(image) {
            Some((copy, digest)) if is_rendered => {
                pins.push(Pin {
                    reference: coverage.inward(image),
                    digest: digest.to_string(),
                });
                copies.push((copy, digest));
            }
            digest => pinning.left.push(Unpinned {
                image: image.clone(),
                reason: match digest {
                    None => "its digest is not known, because the source did not give it",
                    Some(_) => "its operator names it, and no value of the chart",
                }
                .to_owned(),
            }),
        }
    }
    if pins.is_empty() {
        return pinning;
    }
    let wanted = set::as_floats(Value::Object(coverage.values(published)));
    let wanted = wanted.as_object().cloned().unwrap_or_default();
    let scenarios = proof.scenarios.iter();
    let scenarios: Vec<Value> = scenarios
        .map(|one| Value::Object(one.values.clone()))
        .collect();
    let request = pin::Request {
        chart,
        scenarios: &scenarios,
        options: &options(chart, proof.namespace.as_deref(), capabilities),
        published: &wanted,
    };
    let found = pin::pin(&request, &pins);
    for (index, (copy, digest)) in copies.into_iter().enumerate() {
        if found.refused.iter().all(|(refused, _)| *refused != index) {
            pinning.pinned.insert(copy.clone(), digest.clone());
        }
    }
    for (index, reason) in found.refused {
        pinning.left.push(Unpinned {
            image: coverage.outward(&pins[index].reference),
            reason,
        });
    }
    set::merge(&mut pinning.values, coverage.outward_values(found.values));
    pinning
}
