//! A list of referrers: read entry by entry, and written so that nothing in it is lost.

use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::manifest::{Descriptor, InvalidManifest, Manifest, media_type};
use crate::reference::Digest;
use crate::store::Partial;

/// Entries that have been read.
#[derive(Debug, Default)]
pub(super) struct Listing {
    found: Vec<Descriptor>,
    seen: HashSet<Digest>,
    /// Entries that no descriptor can be made of.
    unreadable: usize,
}

#[derive(Deserialize)]
struct Page {
    manifests: Option<Vec<Value>>,
}

impl Listing {
    /// Takes in a page.
    pub(super) fn add(&mut self, page: &[u8]) -> Result<(), InvalidManifest> {
        let page: Page =
            serde_json::from_slice(page).map_err(|source| InvalidManifest::Content {
                media_type: media_type::OCI_INDEX.to_owned(),
                source,
            })?;
        let entries = page.manifests.ok_or_else(|| InvalidManifest::Content {
            media_type: media_type::OCI_INDEX.to_owned(),
            source: serde::de::Error::missing_field("manifests"),
        });
        for entry in entries? {
            match serde_json::from_value::<Descriptor>(entry) {
                Ok(entry) if self.seen.insert(entry.digest.clone()) => self.found.push(entry),
                Ok(_) => {}
                Err(_) => self.unreadable += 1,
            }
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.found.len() + self.unreadable
    }

    pub(super) fn into_partial(self) -> Partial<Descriptor> {
        let notes = match self.unreadable {
            0 => Vec::new(),
            1 => vec!["a referrer stays behind: its entry in the list is no descriptor".to_owned()],
            more => vec![format!(
                "{more} referrers stay behind: their entries in the list are no descriptors"
            )],
        };
        Partial {
            found: self.found,
            notes,
        }
    }

    /// The same where the list goes on and cannot be read on.
    pub(super) fn cut_short(self, subject: &Digest, why: &str) -> Partial<Descriptor> {
        let count = self.found.len();
        let mut partial = self.into_partial();
        partial.notes.push(format!(
            "the list of referrers of {subject} could not be read to its end, {count} of them are copied: {why}"
        ));
        partial
    }
}

/// A list with some referrers added, every other entry and field as it is; `None` where it has them.
pub(super) fn with_referrers(
    before: Option<&Manifest>,
    referrers: &[Descriptor],
) -> Result<Option<Manifest>, InvalidManifest> {
    let invalid = |source| InvalidManifest::Content {
        media_type: media_type::OCI_INDEX.to_owned(),
        source,
    };
    let mut index = match before {
        Some(before) => serde_json::from_slice(&before.bytes).map_err(invalid)?,
        None => json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": []}),
    };
    let entries = index.get_mut("manifests").map(Value::take);
    let mut entries = match entries {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    };
    let is_listed = |one: &&Descriptor| {
        let digest = one.digest.to_string();
        entries.iter().any(|entry| entry["digest"] == digest)
    };
    let new: Vec<Value> = referrers
        .iter()
        .filter(|one| !is_listed(one))
        .map(|one| json!(one))
        .collect();
    if new.is_empty() && before.is_some() {
        return Ok(None);
    }
    entries.extend(new);
    index["manifests"] = Value::Array(entries);
    let media_type = before.map_or(media_type::OCI_INDEX, |before| &before.media_type);
    Manifest::parse(Some(media_type), Bytes::from(index.to_string())).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn referrer(letter: &str) -> Descriptor {
        Descriptor {
            artifact_type: Some("application/x".to_owned()),
            ..Descriptor::of(media_type::OCI_MANIFEST, letter.as_bytes())
        }
    }

    #[test]
    fn a_list_keeps_all_that_it_held() {
        let own = json!({
            "schemaVersion": 2,
            "manifests": [{"digest": Digest::of(b"own"), "size": 3, "mediaType": "x", "unknown": [1]}],
            "annotations": {"a": "b"},
        });
        let before = Manifest::parse(Some(media_type::OCI_INDEX), own.to_string().into()).unwrap();
        let after = with_referrers(Some(&before), &[referrer("a"), referrer("b")]);
        let after = after.unwrap().expect("it changes");
        let json: Value = serde_json::from_slice(&after.bytes).unwrap();
        assert_eq!(json["manifests"][0], own["manifests"][0]);
        assert_eq!(json["annotations"], own["annotations"]);
        assert_eq!(json["manifests"].as_array().unwrap().len(), 3);
        assert_eq!(json["manifests"][2]["artifactType"], "application/x");
        let again = with_referrers(Some(&after), &[referrer("b")]).unwrap();
        assert_eq!(again, None);
    }

    #[test]
    fn entries_that_are_none_are_told_and_the_others_taken() {
        let mut listing = Listing::default();
        let page = json!({"manifests": [
            referrer("a"),
            {"digest": "blake3:00", "size": 1},
            referrer("a"),
            7,
        ]});
        listing.add(page.to_string().as_bytes()).unwrap();
        let partial = listing.into_partial();
        assert_eq!(partial.found, [referrer("a")]);
        assert!(partial.notes[0].starts_with("2 referrers stay behind"));
    }
}
