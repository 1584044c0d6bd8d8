//! A [`Lock`] -> the plan of what it has. The charts are not needed for it.

use indexmap::IndexMap;

use crate::document::{
    Ami, Chart, Helm, Kind, LOCKED_PREFIX, Lock, LockedChart, LockedImage, ResultDocument,
};
use crate::inventory::{ChartSpec, Inventory};
use crate::plan::{Copy, CopySource, Plan};
use crate::problem::{Problem, Problems};
use crate::reference::Prefix;
use oci_copy::reference::{Digest, InvalidName, Location};

/// The plan of a lock that belongs to the data files ([`super::check`]). Images are read by their digests; a bundle has
/// them as they are at the target. A chart's source is its own place at the target, until it is known to be missing there.
///
/// # Errors
/// Names that are not possible below the prefix, and a result document that is too large.
pub fn plan(lock: &Lock, inventory: &Inventory, prefix: &Prefix) -> Result<Plan, Problems> {
    let (mut copies, mut problems) = (Vec::new(), Vec::new());
    for image in &lock.images {
        let digest = match &image.source_digest {
            Some(digest) if inventory.bundled_lock.is_none() => digest,
            _ => &image.digest,
        };
        match image_copy(image, digest, prefix) {
            Ok(copy) => copies.push(copy),
            Err(error) => problems.push(Problem::input(&image.source, error.to_string())),
        }
    }
    let (mut charts, mut of_charts) = (IndexMap::new(), Vec::<Copy>::new());
    for spec in &inventory.charts {
        let Some(locked) = lock.charts.get(&spec.key) else {
            continue;
        };
        charts.insert(spec.key.clone(), entry(spec, locked, prefix));
        match chart_copy(spec, locked, prefix) {
            Ok(copy) => match of_charts.iter_mut().find(|one| one.target == copy.target) {
                Some(same) => same.used_by.extend(copy.used_by),
                None => of_charts.push(copy),
            },
            Err(error) => problems.push(Problem::input(&spec.place, error.to_string())),
        }
    }
    Problems::check(problems)?;
    copies.append(&mut of_charts);
    let additional = inventory.additional_images.iter();
    let additional = additional.map(|image| (image.key.clone(), prefix.join(&image.name.target())));
    let result = ResultDocument {
        ami: Ami {
            version: inventory.ami_version.clone(),
        },
        charts,
        additional_images: additional.collect(),
        ..ResultDocument::default()
    };
    result.check_size()?;
    Ok(Plan {
        prefix: prefix.clone(),
        copies,
        result: result.of_version(&inventory.eks_version),
        warnings: Vec::new(),
    })
}

/// The same location by a digest.
///
/// # Errors
/// When it is a place in a folder.
pub fn by_digest(location: &Location, digest: &Digest) -> Result<Location, InvalidName> {
    let text = location.to_string();
    let name = text.split('@').next().unwrap_or(&text);
    match location {
        Location::Registry(_) => format!("{name}@{digest}").parse(),
        Location::Layout { .. } => Ok(location.clone()),
    }
}

fn image_copy(image: &LockedImage, digest: &Digest, prefix: &Prefix) -> Result<Copy, InvalidName> {
    Ok(Copy {
        kind: Kind::Image,
        source: CopySource::At(by_digest(&image.source.parse()?, digest)?),
        source_text: image.source.clone(),
        target: prefix.locate(&image.target)?,
        target_text: prefix.join(&image.target),
        used_by: image.used_by.iter().cloned().collect(),
        expected: Some(image.digest.clone()),
    })
}

fn chart_copy(
    spec: &ChartSpec,
    locked: &LockedChart,
    prefix: &Prefix,
) -> Result<Copy, InvalidName> {
    let target = prefix.locate(&locked.target)?;
    let repository = spec.repository_text.trim_end_matches('/');
    Ok(Copy {
        kind: Kind::Chart,
        source: CopySource::At(by_digest(&target, &locked.digest)?),
        source_text: format!("{repository}/{}:{}", locked.name, locked.version),
        target,
        target_text: prefix.join(&locked.target),
        used_by: vec![spec.key.clone()],
        expected: Some(locked.digest.clone()),
    })
}

fn entry(spec: &ChartSpec, locked: &LockedChart, prefix: &Prefix) -> Chart {
    Chart {
        helm: Helm {
            name: Some(spec.name.clone()),
            repository: prefix.chart_repository(&locked.target_repository),
            version: locked.version.clone(),
            source_repository: Some(spec.repository_text.clone()),
        },
        values: super::with_prefix(&locked.values, LOCKED_PREFIX, &prefix.to_string()),
    }
}
