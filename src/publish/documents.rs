//! The documents of an output folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use anyhow::Context;

use crate::closure::Proof;
use crate::document::{
    MAX_RESULT, PAGE_FILE, PAIRS_FILE, PROOF_FILE, REPORT_FILE, RESULT_FILE, ResultDocument,
};
use crate::files;
use crate::plan::Plan;
use crate::problem::{Problem, Problems};
use crate::progress;
use oci_copy::copy::{Done, Outcome};
use oci_copy::store::write_whole;

/// Writes a plan's documents into a folder. It never replaces the result of a deployment.
///
/// # Errors
/// When there is such a result, or a file cannot be written.
pub fn write_plan(plan: &Plan, proof: Option<&Proof>, out: &Path) -> anyhow::Result<()> {
    let path = out.join(RESULT_FILE);
    if path.exists() && !is_plan(&path) {
        let what = "it is the result of a deployment, which a plan does not replace";
        let remedy = "name another folder for the plan with --out, or remove the file";
        let problem = Problem::input(path.display().to_string(), what).remedy(remedy);
        return Err(Problems::from(problem).into());
    }
    write_pairs(plan, out)?;
    write_proof(proof, out)?;
    write(out, RESULT_FILE, &plan.result.as_plan().to_json())
}

/// Whether a file is the result document of a plan.
fn is_plan(path: &Path) -> bool {
    let mut text = Vec::new();
    let limit = 2 * MAX_RESULT as u64;
    let read = std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text));
    let document = serde_json::from_slice::<ResultDocument>(&text);
    read.is_ok() && document.is_ok_and(|document| document.plan)
}

/// Checks, without writing anything, that the output folder exists or can be created, with files in it.
///
/// # Errors
/// When it or a folder above it is not a folder, or a folder has the name of a file.
pub fn check_out(out: &Path) -> Result<(), Problems> {
    files::nearest_folder(out).map_err(|why| unusable_out(out, why))?;
    let names = [RESULT_FILE, PAIRS_FILE, PROOF_FILE, REPORT_FILE, PAGE_FILE];
    let mut paths = names.into_iter().map(|name| out.join(name));
    match paths.find(|path| path.is_dir()) {
        Some(path) => Err(unusable_out(
            out,
            format!(
                "{} is a folder, and a file is written there",
                path.display()
            ),
        )),
        None => Ok(()),
    }
}

/// Checks that files can be written in the output folder; leaves nothing there.
///
/// # Errors
/// When they cannot.
pub fn check_writable_out(out: &Path) -> Result<(), Problems> {
    check_out(out)?;
    files::check_folder(out).map_err(|why| unusable_out(out, why))
}

/// The problem of an output folder that cannot be written to.
#[must_use]
pub fn unusable_out(out: &Path, why: impl Into<String>) -> Problems {
    let problem = Problem::input(format!("--out {}", out.display()), why);
    problem
        .remedy("name a folder that can be written to")
        .into()
}

/// Writes the pairs of images.
///
/// # Errors
/// When the file cannot be written.
pub fn write_pairs(plan: &Plan, out: &Path) -> anyhow::Result<()> {
    let pairs = serde_json::to_string(&plan.updated_images())?;
    write(out, PAIRS_FILE, &pairs)
}

/// Writes what was proved; without a proof none stays.
///
/// # Errors
/// When the file cannot be written.
pub fn write_proof(proof: Option<&Proof>, out: &Path) -> anyhow::Result<()> {
    match proof {
        Some(proof) => write(out, PROOF_FILE, &proof.to_json()),
        None => remove(out, PROOF_FILE),
    }
}

/// Removes an earlier run's result document and its proof: while a deployment is under way, and after one that
/// failed, none may stand there.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_result(out: &Path) -> anyhow::Result<()> {
    remove(out, RESULT_FILE)?;
    remove(out, PROOF_FILE)
}

fn remove(out: &Path, name: &str) -> anyhow::Result<()> {
    let path = out.join(name);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove the earlier {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes the result document of a deployment that copied every artifact. `shared` are the repositories that it
/// wrote to although this program did not create them.
///
/// # Errors
/// When an artifact was not copied, or the file cannot be written.
pub fn write_result(
    plan: &Plan,
    outcomes: &[Outcome],
    shared: &BTreeSet<String>,
    out: &Path,
) -> anyhow::Result<String> {
    let mut digests = BTreeMap::new();
    for (copy, outcome) in plan.copies.iter().zip(outcomes) {
        anyhow::ensure!(
            !matches!(outcome.done, Done::Failed(_)),
            "{} is not at the target",
            copy.target_text
        );
        if let Some(digest) = &outcome.digest {
            digests.insert(copy.target_text.clone(), digest.to_string());
        }
    }
    let without = if shared.is_empty() {
        plan.result.clone()
    } else {
        plan.result
            .with(|result| result.written.shared_repositories.clone_from(shared))
    };
    let result = without.with(|result| result.written.digests = Some(digests.clone()));
    if result == without && !digests.is_empty() {
        tracing::warn!(
            "{RESULT_FILE} is too small for the digests of {}: only {REPORT_FILE} has them for `replicator verify`",
            progress::count(digests.len(), "artifact")
        );
    }
    let text = result.to_json();
    write(out, RESULT_FILE, &text)?;
    Ok(text)
}

/// Writes a file by its path, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    write_whole(path, text.as_bytes()).map_err(anyhow::Error::new)
}

pub(super) fn write(out: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot create the output folder {}", out.display()))?;
    let path = out.join(name);
    write_whole(&path, text.as_bytes()).map_err(anyhow::Error::new)
}
