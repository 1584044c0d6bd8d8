//! The bundle that is the only source, and where it is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::problem::Problem;

use super::{Flags, Parameters};

/// The bundle that is the only source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Where it is: `Bundle`.
    pub place: BundleLocation,
    /// The account that owns its bucket, where that is another one: `BundleBucketOwner`.
    pub bucket_owner: Option<String>,
}

impl Bundle {
    /// The bundle that flags and parameters name, if they do.
    pub(super) fn new(
        flags: &Flags,
        parameters: &Parameters,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let place = |text: &str| text.parse::<BundleLocation>().map(Some);
        let place = parameters.read(flags, "bundle", None, problems, place);
        let account = |text: &str| {
            let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
            let wrong =
                || format!("`{text}` is not an account of AWS: it has 12 digits, in quotes");
            is_account.then(|| Some(text.to_owned())).ok_or_else(wrong)
        };
        let owner = parameters.read(flags, "bundle_bucket_owner", None, problems, account);
        Some(Self {
            place: place.flatten()?,
            bucket_owner: owner.flatten(),
        })
    }
}

/// Where a bundle is: a file, or an object of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleLocation {
    /// A file, or the first of its parts.
    File(PathBuf),
    /// `s3://BUCKET/KEY`
    Object {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
    },
}

impl FromStr for BundleLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("s3://") else {
            if text.contains("://") {
                return Err(format!("`{text}` is neither a file nor s3://BUCKET/KEY"));
            }
            return Ok(Self::File(text.into()));
        };
        match rest.split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() && !key.ends_with('/') => {
                Ok(Self::Object {
                    bucket: bucket.to_owned(),
                    key: key.to_owned(),
                })
            }
            _ => Err(format!(
                "`{text}` names no object: it is written s3://BUCKET/KEY"
            )),
        }
    }
}

impl fmt::Display for BundleLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}
