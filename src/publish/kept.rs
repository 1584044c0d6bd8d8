//! The results that a later one replaced. The last ten are kept, so that each can be published again.
//!
//! A kept result has a name such as `20261126T214000Z-1.34-3f9a1c0b7e2d`: when it was published, its EKS version, and
//! the beginning of its SHA-256. In the bucket it is `<deployment>-<module>-results/NAME-metadata.json`, with its proof
//! in `NAME-closure.json` beside it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::SystemTime;

use futures_util::{StreamExt, stream};

use crate::aws::{Bucket, Error};
use crate::document::ResultDocument;
use crate::timestamp::rfc3339;
use oci_copy::reference::Digest;

use super::OBJECT_END;

/// How many replaced results are kept.
pub const KEPT: usize = 10;

/// The end of the folder of a module's kept results, after `<deployment>-<module>`.
pub(super) const KEPT_END: &str = "-results/";

/// How many digits of a document's SHA-256 are in its name.
const DIGITS: usize = 12;

/// How many documents are read in parallel.
const AT_ONCE: usize = 8;

/// The name of a kept result. Names sort by the time of publication.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeptName(String);

impl KeptName {
    /// The name of a document that was published at a time; `None` if it is not the result of a deployment.
    #[must_use]
    pub fn new(document: &str, published: SystemTime) -> Option<Self> {
        let result: ResultDocument = serde_json::from_str(document).ok()?;
        if result.plan {
            return None;
        }
        let time: String = rfc3339(published)
            .chars()
            .filter(|letter| !matches!(letter, '-' | ':'))
            .collect();
        let version = result.written.eks_version.filter(|text| is_version(text));
        let version = version.map_or(String::new(), |version| format!("{version}-"));
        Some(Self(format!("{time}-{version}{}", mark(document))))
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('-').collect();
        let (time, version, mark) = match parts[..] {
            [time, mark] => (time, None, mark),
            [time, version, mark] => (time, Some(version), mark),
            _ => return None,
        };
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_good = begins_with_time(time)
            && time.len() == TIME.len()
            && version.is_none_or(is_version)
            && mark.len() == DIGITS
            && mark.bytes().all(is_hex);
        is_good.then(|| Self(text.to_owned()))
    }

    /// When it was published, such as `2026-11-26T21:40:00Z`.
    #[must_use]
    pub fn published(&self) -> String {
        let part = |from: usize, to: usize| &self.0[from..to];
        format!(
            "{}-{}-{}T{}:{}:{}Z",
            part(0, 4),
            part(4, 6),
            part(6, 8),
            part(9, 11),
            part(11, 13),
            part(13, 15)
        )
    }

    /// The EKS version, where the document has one.
    #[must_use]
    pub fn eks_version(&self) -> Option<&str> {
        self.0
            .split('-')
            .rev()
            .nth(1)
            .filter(|part| is_version(part))
    }

    /// The beginning of the document's SHA-256.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.0[self.0.len() - DIGITS..]
    }
}

impl fmt::Display for KeptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kept result that a user means: by its number, 1 for the newest, or by its name or the beginning of it.
///
/// # Errors
/// Why it is none or not one.
pub fn find<'a>(names: &'a BTreeSet<KeptName>, wanted: &str) -> Result<&'a KeptName, String> {
    if let Ok(number) = wanted.parse::<usize>() {
        let newest = number.checked_sub(1);
        let found = newest.and_then(|index| names.iter().rev().nth(index));
        return found.ok_or_else(|| match names.len() {
            0 => "no result is kept".to_owned(),
            count => format!("the kept results have the numbers 1 to {count}"),
        });
    }
    let mut found = names.iter().filter(|name| name.0.starts_with(wanted));
    match (found.next(), found.next()) {
        (Some(name), None) => Ok(name),
        (Some(one), Some(other)) => Err(format!("it can mean {one} or {other}")),
        (None, _) => Err("no kept result has this name".to_owned()),
    }
}

/// Whether a text can mean a kept result: a number, or the beginning of a name.
#[must_use]
pub fn can_be_kept(text: &str) -> bool {
    let is_number = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number && !text.is_empty() || begins_with_time(text)
}

/// What a time in a name looks like: `0` is any digit.
const TIME: &str = "00000000T000000Z";

/// Whether a text begins as the name of a kept result does.
fn begins_with_time(text: &str) -> bool {
    text.len() >= TIME.len()
        && TIME
            .bytes()
            .zip(text.bytes())
            .all(|(wanted, found)| match wanted {
                b'0' => found.is_ascii_digit(),
                letter => letter == found,
            })
}

/// Whether a text can be the version in a name; others are left out of it.
fn is_version(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// The beginning of a document's SHA-256.
#[must_use]
pub fn mark(document: &str) -> String {
    Digest::of(document.as_bytes()).hex()[..DIGITS].to_owned()
}

/// The digest of the proof that a document names.
fn proof_named_by(document: &str) -> Option<Digest> {
    let result: ResultDocument = serde_json::from_str(document).ok()?;
    result.written.closure.map(|closure| closure.proof)
}

/// Whether a document names a proof.
#[must_use]
pub fn names_proof(document: &str) -> bool {
    proof_named_by(document).is_some()
}

/// Whether a proof is the one that a document names.
#[must_use]
pub fn is_proof_of(document: &str, proof: &str) -> bool {
    proof_named_by(document).is_some_and(|wanted| wanted == Digest::of(proof.as_bytes()))
}

/// The names of kept results that are removed once a document is the current one: those with its content, all but
/// the newest with the same content, and what is older than the last ten.
#[must_use]
pub(super) fn surplus(names: &BTreeSet<KeptName>, current: &str) -> Vec<KeptName> {
    let mut seen = BTreeSet::from([mark(current)]);
    let mut kept = 0;
    let mut removed = Vec::new();
    for name in names.iter().rev() {
        if kept < KEPT && seen.insert(name.mark().to_owned()) {
            kept += 1;
        } else {
            removed.push(name.clone());
        }
    }
    removed
}

/// A result document in the bucket.
#[derive(Debug)]
pub struct BucketResult {
    /// Its key.
    pub key: String,
    /// Its name, if a later one replaced it; `None` for the current result of a deployment.
    pub kept: Option<KeptName>,
    /// Its text, or why it cannot be read.
    pub text: Result<String, String>,
}

/// Which result documents of a bucket are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultSet {
    /// The current one of each deployment.
    Current,
    /// The kept ones too.
    All,
}

/// Reads the result documents of all deployments of a bucket, in the order of their keys; none if there is no bucket.
///
/// # Errors
/// When the bucket cannot be listed. A document that cannot be read is not an error.
pub async fn bucket_results(bucket: &Bucket, which: ResultSet) -> Result<Vec<BucketResult>, Error> {
    let keys = match which {
        ResultSet::Current => bucket.list_top().await?,
        ResultSet::All => {
            let keys = bucket.list("").await?;
            keys.into_iter().map(|(key, _)| key).collect()
        }
    };
    let found = keys.into_iter().filter_map(|key| {
        let kept = match key.rsplit_once('/') {
            None => key.strip_suffix(OBJECT_END).map(|_| None),
            Some(_) => kept_name(&key).map(Some),
        };
        kept.map(|kept| (key, kept))
    });
    let read = stream::iter(found).map(|(key, kept)| async move {
        let text = match bucket.get_text(&key).await {
            Ok(Some(text)) => Ok(text),
            // It was deleted meanwhile.
            Ok(None) => return None,
            Err(error) => Err(error.to_string()),
        };
        Some(BucketResult { key, kept, text })
    });
    let read: Vec<Option<BucketResult>> = read.buffered(AT_ONCE).collect().await;
    Ok(read.into_iter().flatten().collect())
}

/// The name of a kept result in its key.
pub(super) fn kept_name(key: &str) -> Option<KeptName> {
    let (folder, file) = key.rsplit_once('/')?;
    if !folder.ends_with(&KEPT_END[..KEPT_END.len() - 1]) {
        return None;
    }
    KeptName::parse(file.strip_suffix(OBJECT_END)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn document(version: Option<&str>, app: usize) -> String {
        let mut result = ResultDocument::default();
        result
            .additional_images
            .insert("a".to_owned(), format!("r.corp/p-a:{app}"));
        result.written.eks_version = version.map(str::to_owned);
        result.to_json()
    }

    fn name(document: &str, seconds: u64) -> KeptName {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_729_200 + seconds);
        KeptName::new(document, time).expect("a result")
    }

    #[test]
    fn a_name_says_when_which_version_and_which_content() {
        for version in [Some("1.34"), None] {
            let text = document(version, 1);
            let name = name(&text, 0);
            assert_eq!(name.published(), "2026-11-26T21:40:00Z");
            assert_eq!(name.eks_version(), version);
            assert_eq!(name.mark(), &Digest::of(text.as_bytes()).hex()[..12]);
            assert_eq!(KeptName::parse(&name.to_string()), Some(name.clone()));
            assert_eq!(
                kept_name(&format!("d-m-results/{name}-metadata.json")),
                Some(name)
            );
        }
        // What cannot stand in a name is left out of it.
        assert_eq!(name(&document(Some("../x"), 1), 0).eks_version(), None);
    }

    #[test]
    fn only_results_of_deployments_have_names() {
        let plan = ResultDocument::default().as_plan().to_json();
        for text in ["", "before", "{}", "[]", &plan] {
            assert_eq!(KeptName::new(text, SystemTime::now()), None, "{text}");
        }
        for text in [
            "",
            "1.34",
            "20261126T214000Z",
            "20261126T214000Z-1.34-3f9a1c0b7e2",
            "20261126T214000Z-1.34-3F9a1c0b7e2d",
            "20261126T214000Z-x-3f9a1c0b7e2d",
            "2026x126T214000Z-1.34-3f9a1c0b7e2d",
        ] {
            assert_eq!(KeptName::parse(text), None, "{text}");
        }
        for key in [
            "x-metadata.json",
            "d-m-runs/20261126T214000Z-3f9a1c0b7e2d-metadata.json",
        ] {
            assert_eq!(kept_name(key), None, "{key}");
        }
    }

    #[test]
    fn a_user_means_a_result_by_number_or_name() {
        let names: BTreeSet<KeptName> = (0..3)
            .map(|index| name(&document(None, index), index as u64))
            .collect();
        let [oldest, middle, newest] = &names.iter().collect::<Vec<_>>()[..] else {
            panic!("three names");
        };
        let meant = |text: &str| find(&names, text).ok();
        assert_eq!(meant("1"), Some(*newest));
        assert_eq!(meant("3"), Some(*oldest));
        assert_eq!(meant("20261126T214001Z"), Some(*middle));
        assert_eq!(meant(&newest.to_string()), Some(*newest));
        for (text, why) in [
            ("0", "1 to 3"),
            ("4", "1 to 3"),
            ("20261126T2140", "can mean"),
            ("20261127T", "no kept"),
        ] {
            let error = find(&names, text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(find(&BTreeSet::new(), "1").is_err_and(|why| why == "no result is kept"));
        for (text, can) in [
            ("1", true),
            ("20261126T214001Z", true),
            ("1.34", false),
            ("", false),
            ("x.json", false),
        ] {
            assert_eq!(can_be_kept(text), can, "{text}");
        }
    }

    #[test]
    fn the_last_ten_stay_and_each_content_once() {
        let names: BTreeSet<KeptName> = (0..12)
            .map(|index| name(&document(None, index), index as u64))
            .collect();
        let oldest: Vec<KeptName> = names.iter().take(2).rev().cloned().collect();
        assert_eq!(surplus(&names, "another"), oldest);
        // The current one does not count.
        let removed = surplus(&names, &document(None, 11));
        assert_eq!(removed.len(), 2, "{removed:?}");
        assert!(removed.contains(names.last().expect("a name")));
        // The newest of the same content stays.
        let (old, new) = (name(&document(None, 1), 1), name(&document(None, 1), 9));
        let both = BTreeSet::from([old.clone(), new]);
        assert_eq!(surplus(&both, "another"), [old]);
    }
}
