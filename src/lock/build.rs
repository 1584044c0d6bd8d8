//! A plan and what its sources have -> a [`Lock`].

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use crate::charts::{Charts, Content};
use crate::closure::Proof;
use crate::document::{
    Kind, LOCK_VERSION, Lock, LockedChart, LockedClosure, LockedImage, LockedPlatform,
    LockedReferrer,
};
use crate::inventory::{ChartSpec, Inventory};
use crate::plan::{Copy, Plan};
use oci_copy::copy::Description;
use oci_copy::reference::Digest;

/// What was found out of a plan.
pub struct Observed<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The charts that it was made of.
    pub charts: &'a Charts,
    /// What was proved of it.
    pub proof: Option<&'a Proof>,
    /// What the sources have of each copy, in the order of the plan ([`oci_copy::copy::Engine::describe`]).
    pub descriptions: &'a [Description],
}

impl Observed<'_> {
    /// The lock of data files and parameters ([`super::parameters`]).
    ///
    /// # Errors
    /// When plan, charts and descriptions do not belong together.
    pub fn lock(
        &self,
        inventory: &Inventory,
        parameters: BTreeMap<String, String>,
    ) -> anyhow::Result<Lock> {
        let copies = &self.plan.copies;
        ensure!(
            copies.len() == self.descriptions.len(),
            "not every artifact was described (please report this)"
        );
        let described = copies.iter().zip(self.descriptions);
        let charts = inventory.charts.iter().map(|spec| {
            let mut described = described.clone();
            let found = described
                .find(|(copy, _)| copy.kind == Kind::Chart && copy.used_by.contains(&spec.key));
            let (copy, description) = found.with_context(|| {
                format!("charts.{} is not copied (please report this)", spec.key)
            })?;
            Ok((spec.key.clone(), self.chart(spec, copy, description)?))
        });
        let charts = charts.collect::<anyhow::Result<_>>()?;
        let images = described.filter(|(copy, _)| copy.kind == Kind::Image);
        let mut images: Vec<LockedImage> = images
            .map(|(copy, description)| self.image(copy, description))
            .collect();
        images.sort_by(|a, b| a.target.cmp(&b.target));
        let closure = self.proof.map(|proof| LockedClosure {
            kubernetes_version: proof.kubernetes_version.clone(),
            totals: proof.totals,
        });
        Ok(Lock {
            lock_version: LOCK_VERSION,
            eks_version: inventory.eks_version.clone(),
            inventory: inventory.checksum(),
            parameters,
            charts,
            images,
            closure,
        })
    }

    fn chart(
        &self,
        spec: &ChartSpec,
        copy: &Copy,
        description: &Description,
    ) -> anyhow::Result<LockedChart> {
        let missing = || format!("charts.{} was not fetched (please report this)", spec.key);
        let fetched = self.charts.get(&spec.key).with_context(missing)?;
        let published = self.plan.result.charts.get(&spec.key);
        let published = published.with_context(missing)?;
        let repository = published.helm.repository.as_str();
        let repository = repository.strip_prefix("oci://").unwrap_or(repository);
        let artifact = match &fetched.content {
            Content::Artifact(location) => Some(location.to_string()),
            Content::Archive { .. } => None,
        };
        let version = fetched.chart.version().to_owned();
        Ok(LockedChart {
            name: spec.name.clone(),
            repository: spec.repository_text.clone(),
            wanted: (version != spec.version).then(|| spec.version.clone()),
            version,
            archive: Digest::of(&fetched.archive),
            entry: spec.checksum(),
            artifact,
            target_repository: self.below_prefix(repository),
            target: self.below_prefix(&copy.target_text),
            digest: description.digest.clone(),
            bytes: description.bytes,
            referrers: referrers(description),
            trust: None,
            values: super::neutral(&published.values, &self.plan.prefix.to_string()),
        })
    }

    fn image(&self, copy: &Copy, description: &Description) -> LockedImage {
        let Description {
            digest,
            source_digest,
            bytes,
            platforms,
            ..
        } = description;
        let platforms = platforms.iter().map(|part| LockedPlatform {
            platform: part.platform.clone(),
            digest: part.digest.clone(),
            bytes: part.bytes,
        });
        LockedImage {
            source: copy.source_text.clone(),
            target: self.below_prefix(&copy.target_text),
            digest: digest.clone(),
            source_digest: (source_digest != digest).then(|| source_digest.clone()),
            bytes: *bytes,
            platforms: platforms.collect(),
            referrers: referrers(description),
            trust: None,
            used_by: copy.used_by.iter().cloned().collect(),
        }
    }

    fn below_prefix(&self, target: &str) -> String {
        let prefix = self.plan.prefix.to_string();
        target.strip_prefix(&prefix).unwrap_or(target).to_owned()
    }
}

fn referrers(description: &Description) -> Vec<LockedReferrer> {
    let referrers = description.referrers.iter().map(|part| LockedReferrer {
        digest: part.digest.clone(),
        artifact_type: part.artifact_type.clone(),
        subject: part.subject.clone(),
        tag: part.tag.clone(),
        bytes: part.bytes,
    });
    let mut referrers: Vec<LockedReferrer> = referrers.collect();
    // A registry lists them in any order.
    referrers.sort_by(|a, b| (&a.subject, &a.digest, &a.tag).cmp(&(&b.subject, &b.digest, &b.tag)));
    referrers
}
