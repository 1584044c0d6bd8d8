//! Outcomes -> published documents: files, the result document in its bucket, the module's metadata.

mod folder;
mod history;
mod kept;
mod metadata;
mod report;
mod results;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use anyhow::Context;

use crate::aws::{self, Aws, Bucket};
use crate::closure::Proof;
use crate::document::{
    MAX_RESULT, PAGE_FILE, PAIRS_FILE, PROOF_FILE, REPORT_FILE, RESULT_FILE, ResultDocument,
};
use crate::fan_out::RunPlace;
use crate::plan::Plan;
use crate::problem::{Problem, Problems};
use crate::progress;
use crate::reference::EcrHost;
use crate::settings::Module;
use oci_copy::copy::{Done, Outcome};
use oci_copy::reference::Digest;
use oci_copy::store::write_whole;

pub use folder::{keep_in, kept_file, kept_in, remove_surplus_in};
pub use kept::{
    BucketResult, KEPT, KeptName, ResultSet, bucket_results, can_be_kept, find, is_proof_of, mark,
    names_proof,
};
pub use metadata::MODULE_METADATA;
pub use report::{report, write_report};
pub use results::{Named, Results};

/// The longest name of a bucket (S3's rules for general purpose buckets).
const MAX_BUCKET: usize = 63;

/// The end of a result document's key.
const OBJECT_END: &str = "-metadata.json";

/// How the key of its proof ends, which lies beside it.
const PROOF_END: &str = "-closure.json";

/// How the key of the report's page ends, which lies beside it too.
const PAGE_END: &str = "-report.html";

/// Where the result document is published, besides the local folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    project: String,
    object: String,
}

/// A published result document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub object: String,
    /// The result that it replaced, if that is kept now.
    pub kept: Option<KeptName>,
}

impl Publication {
    /// The publication of a module.
    ///
    /// # Errors
    /// All names that are missing.
    pub fn new(module: &Module) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let mut need = |value: &Option<String>, variable: &str, flag: &str| {
            if value.is_none() {
                let problem = Problem::input(
                    variable,
                    "it is not set, and the result document is named after it",
                );
                problems.push(problem.remedy(format!("outside Seed-Farmer use {flag}")));
            }
            value.clone().unwrap_or_default()
        };
        let project = need(&module.project, "SEEDFARMER_PROJECT_NAME", "--project");
        let deployment = need(
            &module.deployment,
            "SEEDFARMER_DEPLOYMENT_NAME",
            "--deployment",
        );
        let name = need(
            &module.name,
            "SEEDFARMER_MODULE_NAME",
            "--module (it is <group>-<module>)",
        );
        Problems::check(problems)?;
        Ok(Self {
            project,
            object: format!("{deployment}-{name}{OBJECT_END}"),
        })
    }

    /// The bucket for an account and region, and the document's key in it.
    pub async fn bucket(&self, host: &EcrHost, aws: &Aws) -> (Bucket, &str) {
        (project_bucket(&self.project, host, aws).await, &self.object)
    }

    /// The key of the document.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The key of the proof, beside the document's.
    #[must_use]
    pub fn proof_object(&self) -> String {
        proof_key(&self.object)
    }

    /// The key of the report's page, beside the document's.
    #[must_use]
    pub fn page_object(&self) -> String {
        page_key(&self.object)
    }

    /// The run store: keys that only this module uses.
    #[must_use]
    pub fn runs(&self, host: &EcrHost) -> RunPlace {
        let module = self.object.trim_end_matches(OBJECT_END);
        RunPlace {
            host: host.clone(),
            bucket: bucket_name(&self.project, &host.region, &host.account),
            prefix: format!("{module}-runs/"),
        }
    }

    /// Makes sure that the bucket exists and can be used.
    ///
    /// # Errors
    /// When it belongs to another account, this role may not use it, or S3 refuses a setting.
    pub async fn prepare(&self, host: &EcrHost, aws: &Aws) -> Result<(), aws::Error> {
        let partition = aws.partition(&host.region).await?;
        let (bucket, _) = self.bucket(host, aws).await;
        bucket.ensure(&aws.bucket_settings(&partition)).await
    }

    /// Uploads the proof, the result document, which names the proof by its digest, and the report's page, and
    /// writes the module's metadata into the working directory, where Seed-Farmer looks for it. The result that is
    /// replaced is kept.
    ///
    /// # Errors
    /// When a step fails, naming object or file.
    pub async fn publish(
        &self,
        (result, proof, page): (&str, Option<&str>, &str),
        host: &EcrHost,
        module: &Module,
        aws: &Aws,
    ) -> anyhow::Result<Published> {
        let bucket = bucket_name(&self.project, &host.region, &host.account);
        let mut published = Published {
            bucket,
            object: self.object.clone(),
            kept: None,
        };
        let place = format!(
            "cannot publish the result document s3://{}/{}",
            published.bucket, published.object
        );
        let place = || place.clone();
        let (bucket, _) = self.bucket(host, aws).await;
        let put = match self.put(&bucket, result, proof).await {
            // Another deployment was destroyed meanwhile, and deleted the empty bucket.
            Err(error) if error.code() == Some("NoSuchBucket") => {
                self.prepare(host, aws).await.with_context(place)?;
                self.put(&bucket, result, proof).await
            }
            put => put,
        };
        published.kept = put.with_context(place)?;
        // A role from before there were pages may not write it, and nothing depends on it.
        if let Err(error) = bucket.put_page(&self.page_object(), page).await {
            tracing::warn!("the report's page could not be uploaded: {error}");
        }
        metadata::write(
            Path::new(MODULE_METADATA),
            module.metadata.as_deref(),
            &published,
        )?;
        Ok(published)
    }
}

/// The key of the proof that belongs to a result document's key.
#[must_use]
pub fn proof_key(document: &str) -> String {
    let start = document.strip_suffix(OBJECT_END);
    format!("{}{PROOF_END}", start.unwrap_or(document))
}

/// The key of the report's page that belongs to a result document's key.
#[must_use]
pub fn page_key(document: &str) -> String {
    let start = document.strip_suffix(OBJECT_END);
    format!("{}{PAGE_END}", start.unwrap_or(document))
}

/// The bucket of a project's result documents in an account and region.
pub async fn project_bucket(project: &str, host: &EcrHost, aws: &Aws) -> Bucket {
    let name = bucket_name(project, &host.region, &host.account);
    aws.bucket(&name, &host.region, &host.account).await
}

/// The name of the bucket for an account's result documents. If it would be too long, a checksum replaces the
/// end of the project's name. The rest stays, because the EKS module's role may read `*-d*-rep*-*`.
fn bucket_name(project: &str, region: &str, account: &str) -> String {
    let rest = format!("-dkr-img-rep-md-{region}-{account}");
    if project.len() + rest.len() <= MAX_BUCKET {
        return format!("{project}{rest}");
    }
    let digest = Digest::of(project.as_bytes());
    let mark = &digest.hex()[..6];
    let left = MAX_BUCKET.saturating_sub(rest.len() + mark.len() + 1);
    let start: String = project.chars().take(left).collect();
    let start = start.trim_end_matches(['-', '.']);
    if start.is_empty() {
        format!("p{mark}{rest}")
    } else {
        format!("{start}-{mark}{rest}")
    }
}

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
    // The nearest path that exists must be a folder.
    let kind = out
        .ancestors()
        .find_map(|path| Some((path, path.metadata().ok()?)));
    if let Some((path, _)) = kind.filter(|(_, found)| !found.is_dir()) {
        let why = format!("{} is not a folder", path.display());
        return Err(unusable_out(out, why));
    }
    let files = [RESULT_FILE, PAIRS_FILE, PROOF_FILE, REPORT_FILE, PAGE_FILE];
    let mut files = files.into_iter().map(|name| out.join(name));
    match files.find(|path| path.is_dir()) {
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

fn write(out: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot create the output folder {}", out.display()))?;
    let path = out.join(name);
    write_whole(&path, text.as_bytes()).map_err(anyhow::Error::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_s_name_fits_and_stays_readable_for_the_eks_module() {
        let name = |project: &str, region: &str| bucket_name(project, region, "123456789012");
        assert_eq!(
            name("idf", "us-east-1"),
            "idf-dkr-img-rep-md-us-east-1-123456789012"
        );
        let long = "a".repeat(35);
        for region in ["us-east-1", "ap-southeast-1", "us-isob-east-1"] {
            for length in 1..=35 {
                let name = name(&long[..length], region);
                assert!(name.len() <= 63, "{name}");
                assert!(
                    name.contains("-dkr-img-rep-md-") && !name.contains("--"),
                    "{name}"
                );
            }
        }
        assert_ne!(name(&long, "us-east-1"), name(&long[..34], "us-east-1"));
        assert_eq!(name(&long, "us-east-1"), name(&long, "us-east-1"));
    }
}
