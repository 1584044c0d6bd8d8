//! An index in JSON, which Helm reads as well.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Entry, Error, Index, MAX_ENTRIES, NO_API_VERSION};

/// Reads an index that is JSON. As in Go, the last of several charts of one name counts.
pub(super) fn read(text: &str, wanted: &BTreeSet<String>) -> Result<Index, Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let (index, has_api_version) = Top(wanted)
        .deserialize(&mut deserializer)
        .and_then(|result| deserializer.end().map(|()| result))
        .map_err(Error::Json)?;
    if has_api_version {
        Ok(index)
    } else {
        Err(Error::NotAnIndex(NO_API_VERSION))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEntry {
    version: Option<String>,
    urls: Option<Vec<String>>,
    digest: Option<String>,
    created: Option<String>,
    app_version: Option<String>,
}

/// The top level: the index, and whether there is an `apiVersion`.
struct Top<'a>(&'a BTreeSet<String>);

/// The value of `entries`.
struct Charts<'a>(&'a BTreeSet<String>);

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = (Index, bool);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = (Index, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index of charts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut index = Index::default();
        let mut has_api_version = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "apiVersion" => {
                    let version: Option<String> = map.next_value()?;
                    has_api_version = version.is_some_and(|version| !version.is_empty());
                }
                "entries" => index = map.next_value_seed(Charts(self.0))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok((index, has_api_version))
    }
}

impl<'de> DeserializeSeed<'de> for Charts<'_> {
    type Value = Index;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Index, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Charts<'_> {
    type Value = Index;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the entries of an index")
    }

    fn visit_unit<E>(self) -> Result<Index, E> {
        Ok(Index::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Index, A::Error> {
        let mut index = Index::default();
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if self.0.contains(&name) {
                let entries: Option<Versions> = map.next_value()?;
                let entries = entries.map(|Versions(entries)| entries);
                index
                    .entries
                    .insert(name.clone(), entries.unwrap_or_default());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            if seen.insert(name.clone()) {
                index.add_name(name).map_err(serde::de::Error::custom)?;
            }
        }
        Ok(index)
    }
}

/// The versions of a chart. Each is taken as it comes, so that a list of nothing but nulls costs
/// nothing.
struct Versions(Vec<Entry>);

impl<'de> Deserialize<'de> for Versions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Versions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the versions of a chart")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Versions, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = list.next_element::<Option<RawEntry>>()? {
                    entries.extend(entry.and_then(RawEntry::into_entry));
                    if entries.len() > MAX_ENTRIES {
                        let error = Error::TooMany("versions of a chart");
                        return Err(serde::de::Error::custom(error));
                    }
                }
                Ok(Versions(entries))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

impl RawEntry {
    fn into_entry(self) -> Option<Entry> {
        Some(Entry {
            version: self.version.filter(|version| !version.is_empty())?,
            urls: self.urls.unwrap_or_default(),
            digest: self.digest,
            created: self.created,
            app_version: self.app_version,
        })
    }
}
