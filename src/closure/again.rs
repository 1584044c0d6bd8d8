//! The proof of a deployment, made again from its result document, the proof and the charts at the target.

use bytes::Bytes;

use helm_chart::archive::Keep;
use helm_chart::chart::Chart;
use helm_chart::render::{Capabilities, KubeVersion};

use crate::closure::{self, ChartProof, Coverage, Proof, Values};
use crate::document::ResultDocument;
use crate::problem::{Problem, Problems};
use crate::reference::Prefix;
use oci_copy::reference::{Digest, Location};

/// A deployment as its result document records it.
#[derive(Debug)]
pub struct Deployed(ResultDocument);

/// Reads the proof that a result document names by its digest.
///
/// # Errors
/// When it is another one, or none.
pub fn read_proof(deployed: &Deployed, proof: &[u8], place: &str) -> anyhow::Result<Proof> {
    let short = deployed.0.written.closure.as_ref();
    let found = Digest::of(proof);
    anyhow::ensure!(
        short.is_some_and(|short| short.proof == found),
        "{place} is not the proof of this deployment: it has the digest {found}, and the result document names {}",
        short.map_or_else(String::new, |short| short.proof.to_string())
    );
    serde_json::from_slice(proof).map_err(|error| {
        anyhow::anyhow!("{place} is no proof of this version of the program: {error}")
    })
}

impl Deployed {
    /// Reads a result document. `place` is what problems are blamed on.
    ///
    /// # Errors
    /// When it is none, or records no proof.
    pub fn read(text: &[u8], place: &str) -> Result<Self, Problems> {
        let bad = |what: &str| {
            let remedy =
                "give the replication_result.json of a deployment; `replicator deploy` proves it";
            Problems::from(Problem::input(place, what).remedy(remedy))
        };
        let document: ResultDocument = serde_json::from_slice(text)
            .map_err(|_| bad("it is not a result document, so there is nothing to prove"))?;
        if document.written.closure.is_none() {
            return Err(bad("it names no proof"));
        }
        Ok(Self(document))
    }

    /// Where a chart is at the target; `None` where the document does not have it.
    #[must_use]
    pub fn location(&self, key: &str) -> Option<(String, Option<Location>)> {
        let helm = &self.0.charts.get(key)?.helm;
        let name = helm.repository.strip_prefix("oci://");
        let name = name.unwrap_or(&helm.repository);
        let text = format!("{name}:{}", helm.version.replace('+', "_"));
        let location = text.parse().ok();
        Some((text, location))
    }

    /// What is recorded to be at the target, and what is found there again.
    fn coverage(&self, proof: &Proof, prefix: &Prefix) -> Coverage {
        let mut coverage = Coverage::new(prefix);
        for image in self.0.additional_images.values() {
            coverage.add(image, None);
        }
        if let Some(digests) = &self.0.written.digests {
            for (image, digest) in digests {
                coverage.add(image, digest.parse().ok().as_ref());
            }
        } else {
            // A document that is too large for digests: what was proved to be copied.
            let references = proof.charts.values().flat_map(|chart| &chart.references);
            for reference in references {
                if reference.state == closure::State::Copied {
                    coverage.add(&reference.image, None);
                }
            }
        }
        coverage
    }

    /// The charts that only one of the two has.
    #[must_use]
    pub fn other_charts(&self, proof: &Proof) -> Vec<String> {
        let unproved = self
            .0
            .charts
            .keys()
            .filter(|key| !proof.charts.contains_key(*key))
            .map(|key| format!("charts.{key}: it was not proved"));
        let gone = proof
            .charts
            .keys()
            .filter(|key| !self.0.charts.contains_key(*key))
            .map(|key| {
                format!("charts.{key}: it was proved, but the result document does not have it")
            });
        unproved.chain(gone).collect()
    }

    /// Proves one chart again; what is not as it was proved.
    #[must_use]
    pub fn prove(&self, key: &str, proof: &Proof, archive: &Bytes) -> Vec<String> {
        let (Some(proved), Some(deployed)) = (proof.charts.get(key), self.0.charts.get(key)) else {
            return Vec::new();
        };
        let mut faults = Vec::new();
        let digest = Digest::of(archive);
        if digest != proved.archive {
            faults.push(format!(
                "the chart at the target is another one: its archive has the digest {digest}, and {} was proved",
                proved.archive
            ));
        }
        let text = serde_json::Value::Object(deployed.values.clone()).to_string();
        if Digest::of(text.as_bytes()) != proved.published {
            faults.push(
                "its values in the result document are not those that were proved".to_owned(),
            );
        }
        match self.prove_again(proved, &deployed.values, proof, archive) {
            Ok(again) => faults.extend(news(proved, &again)),
            Err(error) => faults.push(format!("it cannot be proved again: {error:#}")),
        }
        faults
            .into_iter()
            .map(|fault| {
                format!(
                    "charts.{key}: chart {} {}: {fault}",
                    proved.name, proved.version
                )
            })
            .collect()
    }

    fn prove_again(
        &self,
        proved: &ChartProof,
        published: &Values,
        proof: &Proof,
        archive: &Bytes,
    ) -> anyhow::Result<ChartProof> {
        let prefix: Prefix = proof.prefix.parse()?;
        let kube_version = KubeVersion::of_cluster(&proof.kubernetes_version);
        let capabilities = Capabilities {
            kube_version: kube_version.map_err(anyhow::Error::msg)?,
            api_versions: proof.api_versions.clone(),
        };
        let coverage = self.coverage(proof, &prefix);
        let chart = Chart::read(archive, Keep::Everything)?;
        let values = coverage.values(published);
        let renders = closure::has_templates(&chart)
            .then(|| closure::render(&chart, proved.installs(), &values, &capabilities));
        Ok(closure::judge(proved.checked(), renders, &coverage))
    }
}

/// The gaps and failures that were not there when the chart was proved.
fn news(proved: &ChartProof, again: &ChartProof) -> Vec<String> {
    let gaps = again.gaps().filter(|gap| {
        let before = proved.gaps().find(|before| before.image == gap.image);
        before.is_none()
    });
    let gaps = gaps.map(|gap| {
        format!(
            "{} is not at the target, and was when it was proved",
            gap.image
        )
    });
    let failures = again.failures.iter().filter(|failure| {
        let mut before = proved.failures.iter();
        !before.any(|before| before.scenario == failure.scenario)
    });
    let failures = failures.map(|failure| {
        format!(
            "it does not render any more in the scenario {}: {}",
            failure.scenario, failure.reason
        )
    });
    gaps.chain(failures).collect()
}
