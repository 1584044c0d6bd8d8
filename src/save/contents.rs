//! What a bundle holds, and what it is called there.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use crate::bundle::{Since, repository_of};
use crate::closure::Proof;
use crate::document::{
    BundleInfo, BundledArtifact, BundledChart, Kind, Lock, PROOF_FILE, bundle_document, lock_file,
};
use crate::inventory::Inventory;
use crate::plan::{Copy, CopySource, Plan};
use crate::progress;
use crate::settings::DataFiles;
use oci_copy::copy::Preflight;
use oci_copy::reference::Location;
use oci_copy::store::archive::Contents;

use super::pinned;

/// The plan's copies, into the bundle.
pub(super) fn bundled(plan: &Plan, file: &Path) -> anyhow::Result<Vec<Copy>> {
    let prefix = plan.prefix.to_string();
    let copies = plan.copies.iter().map(|copy| {
        let below = copy.target_text.strip_prefix(&prefix);
        let below = below.with_context(|| format!("{} is not below {prefix}", copy.target_text))?;
        let mut copy = copy.clone();
        below.clone_into(&mut copy.target_text);
        copy.target = Location::Layout {
            dir: file.to_owned(),
            name: below.to_owned(),
        };
        Ok(copy)
    });
    copies.collect()
}

/// What an artifact is called in the bundle: as its source calls it, where that is a registry.
fn name(copy: &Copy) -> String {
    match &copy.source {
        CopySource::At(location) => location.to_string(),
        CopySource::Chart(_) => copy.target_text.clone(),
    }
}

/// The repository in which an artifact's referrers are looked for.
fn repository(copy: &Copy) -> String {
    match &copy.source {
        CopySource::At(location) => format!(
            "{}/{}",
            location.host().unwrap_or_default(),
            location.repository().unwrap_or_default()
        ),
        CopySource::Chart(_) => String::new(),
    }
}

/// The artifacts that are locked, without the layers of images that an earlier bundle has brought.
pub(super) fn contents(
    copies: &[Copy],
    preflights: &[Preflight],
    lock: &Lock,
    mut since: Option<Since>,
) -> anyhow::Result<Contents> {
    let mut contents = Contents::default();
    for (copy, preflight) in copies.iter().zip(preflights) {
        let mut artifact = preflight.content().with_context(|| {
            format!(
                "{} was not looked at (please report this)",
                copy.source_text
            )
        })?;
        pinned::keep_locked(&mut artifact, copy, lock)?;
        contents.artifact(&name(copy), &repository(copy), &artifact);
        if let Some(since) = &mut since {
            let of_referrers = artifact.referrers.iter().flat_map(|one| &one.blobs);
            let blobs = artifact.blobs.iter().chain(of_referrers).copied();
            if copy.kind == Kind::Chart {
                // `load` renders charts before it looks at the target.
                since.carry(blobs);
            } else {
                since.need(repository_of(&copy.target_text), blobs);
            }
        }
    }
    if let Some(since) = &since {
        since.leave_out(&mut contents);
        let (new, left_out) = contents.sizes();
        tracing::info!(
            "{} of layers are new, {} are left out",
            progress::bytes(new),
            progress::bytes(left_out)
        );
    }
    Ok(contents)
}

/// Adds data files, proof, and what the bundle says of itself.
pub(super) fn add_documents(
    contents: &mut Contents,
    (inventory, files): (&Inventory, &DataFiles),
    copies: &[Copy],
    (lock, proof): (&Lock, Option<&Proof>),
) -> anyhow::Result<()> {
    let charts: BTreeMap<String, BundledChart> = copies
        .iter()
        .filter(|copy| copy.kind == Kind::Chart)
        .flat_map(|copy| {
            let chart = BundledChart {
                name: name(copy),
                is_artifact: matches!(copy.source, CopySource::At(_)),
            };
            copy.used_by
                .iter()
                .map(move |key| (key.clone(), chart.clone()))
        })
        .collect();
    let artifacts = copies.iter().map(|copy| BundledArtifact {
        name: name(copy),
        repository: repository_of(&copy.target_text).to_owned(),
    });
    let mut artifacts: Vec<BundledArtifact> = artifacts.collect();
    artifacts.sort();
    let info = BundleInfo::new(&inventory.eks_version, charts, artifacts);
    for path in info.data_files() {
        let name = Path::new(&path).file_name().unwrap_or_default();
        let file = files.dir.join(name);
        let text =
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        contents.document(&path, text);
    }
    if let Some(proof) = proof {
        contents.document(&bundle_document(PROOF_FILE), proof.to_json());
    }
    let lock_name = lock_file(&inventory.eks_version);
    contents.document(&bundle_document(&lock_name), lock.to_json());
    contents.document(&BundleInfo::path(), info.to_json());
    Ok(())
}
