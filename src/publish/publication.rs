//! Where a module publishes: its bucket, and the keys in it.

use std::path::Path;

use anyhow::Context;

use crate::aws::{self, Aws, Bucket};
use crate::fan_out::RunPlace;
use crate::problem::{Problem, Problems};
use crate::reference::EcrHost;
use crate::settings::Module;
use oci_copy::reference::Digest;

use super::kept::KeptName;
use super::metadata::{self, MODULE_METADATA};

/// The longest name of a bucket (S3's rules for general purpose buckets).
const MAX_BUCKET: usize = 63;

/// The end of a result document's key.
pub(super) const OBJECT_END: &str = "-metadata.json";

/// How the key of its proof ends, which lies beside it.
const PROOF_END: &str = "-closure.json";

/// How the key of the report's page ends, which lies beside it too.
const PAGE_END: &str = "-report.html";

/// Where the result document is published, besides the local folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    project: String,
    pub(super) object: String,
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
