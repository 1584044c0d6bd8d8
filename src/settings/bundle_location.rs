//! Where a bundle is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

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
