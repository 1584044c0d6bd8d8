//! Whether a lock still is one of the data files and the parameters.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::Lock;
use crate::inventory::Inventory;
use crate::problem::{Problem, Problems};

/// Checks that data files and parameters are those that a lock was made of.
///
/// # Errors
/// All differences.
pub fn check(
    lock: &Lock,
    inventory: &Inventory,
    parameters: &BTreeMap<String, String>,
    place: &str,
) -> Result<(), Problems> {
    let mut what = differences_of_parameters(lock, parameters);
    if lock.eks_version != inventory.eks_version {
        what.push(format!(
            "it is for EKS {}, and the data files are for EKS {}",
            lock.eks_version, inventory.eks_version
        ));
    } else if lock.inventory != inventory.checksum() {
        let of_data = differences_of_data(lock, inventory);
        if of_data.is_empty() {
            what.push(
                "the data files have changed: ami, docker_mappings or apiVersions are others"
                    .to_owned(),
            );
        }
        what.extend(of_data);
    }
    let remedy = if inventory.bundled_lock.is_some() {
        "load the bundle with the parameters that it was saved with, or save one of this lock"
    } else {
        "look at what has changed with `replicator diff`, then run `replicator lock` again"
    };
    let what = what.into_iter();
    let problems = what.map(|what| Problem::input(place, what).remedy(remedy));
    Problems::check(problems.collect())
}

fn differences_of_parameters(lock: &Lock, now: &BTreeMap<String, String>) -> Vec<String> {
    let none = "nothing".to_owned();
    let names: BTreeSet<&String> = lock.parameters.keys().chain(now.keys()).collect();
    let differences = names.into_iter().filter_map(|name| {
        let (then, now) = (lock.parameters.get(name), now.get(name));
        let (then, now) = (then.unwrap_or(&none), now.unwrap_or(&none));
        (then != now).then(|| format!("{name} was {then} when it was locked, and is {now} now"))
    });
    differences.collect()
}

fn differences_of_data(lock: &Lock, inventory: &Inventory) -> Vec<String> {
    let mut what = Vec::new();
    for spec in &inventory.charts {
        let key = &spec.key;
        let Some(locked) = lock.charts.get(key) else {
            what.push(format!(
                "charts.{key} ({} {}) is in the data files, and not locked",
                spec.name, spec.version
            ));
            continue;
        };
        let wanted = locked.wanted.as_ref().unwrap_or(&locked.version);
        let fields = [
            ("name", &locked.name, &spec.name),
            ("repository", &locked.repository, &spec.repository_text),
            ("version", wanted, &spec.version),
        ];
        let before = what.len();
        let changed = fields.into_iter().filter(|(_, then, now)| then != now);
        what.extend(changed.map(|(field, then, now)| {
            format!("charts.{key}: {field} {then} is locked, and the data files have {now}")
        }));
        if what.len() == before && locked.entry != spec.checksum() {
            what.push(format!(
                "charts.{key}: its images, values or other settings are not those that were locked"
            ));
        }
    }
    let keys: BTreeSet<&String> = inventory.charts.iter().map(|spec| &spec.key).collect();
    let gone = lock.charts.iter().filter(|(key, _)| !keys.contains(key));
    what.extend(gone.map(|(key, chart)| {
        format!(
            "charts.{key} ({} {}) is locked, and not in the data files",
            chart.name, chart.version
        )
    }));
    for image in &inventory.additional_images {
        let (key, target) = (&image.key, image.name.target());
        let is_locked = |locked: &&crate::document::LockedImage| locked.used_by.contains(key);
        match lock.images.iter().find(is_locked) {
            None => what.push(format!(
                "additional_images.{key} ({}) is in the data files, and not locked",
                image.name
            )),
            Some(locked) if locked.target != target => what.push(format!(
                "additional_images.{key}: {} is locked, and the data files have {}",
                locked.target, image.name
            )),
            Some(_) => {}
        }
    }
    let keys: BTreeSet<&String> = keys
        .into_iter()
        .chain(inventory.additional_images.iter().map(|image| &image.key))
        .collect();
    let gone = lock.images.iter();
    let gone = gone.flat_map(|image| image.used_by.iter().map(move |key| (key, image)));
    let gone = gone.filter(|(key, _)| !keys.contains(key) && !lock.charts.contains_key(*key));
    what.extend(gone.map(|(key, image)| {
        format!(
            "additional_images.{key} ({}) is locked, and not in the data files",
            image.source
        )
    }));
    what
}
