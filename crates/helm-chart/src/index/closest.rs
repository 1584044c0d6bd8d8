//! The versions of a chart around one that is looked for.

use crate::version::{self, Constraint};

/// The known versions around one that is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closest {
    /// At most two versions before it, the closest first.
    pub below: Vec<String>,
    /// At most two versions after it, the closest first.
    pub above: Vec<String>,
    /// The newest version that is no prerelease, if there is one, else the newest.
    pub newest: Option<String>,
}

/// The newest of some versions that a constraint allows, as `helm --version` means it; without one,
/// the newest that is not a prerelease.
///
/// # Errors
/// A constraint that is none.
pub fn newest_matching<'a>(
    constraint: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Result<Option<&'a str>, String> {
    let constraint = if constraint.is_empty() {
        "*"
    } else {
        constraint
    };
    let constraint = Constraint::parse(constraint)?;
    Ok(known
        .into_iter()
        .filter_map(|text| Some((version::parse(text)?, text)))
        .filter(|(version, _)| constraint.allows(version))
        .max_by(|(a, _), (b, _)| a.cmp(b))
        .map(|(_, text)| text))
}

/// The versions closest to one, which need not be one itself. What is no semantic version is left
/// out of the known ones.
pub fn closest<'a>(version: &str, known: impl IntoIterator<Item = &'a str>) -> Closest {
    let mut known: Vec<_> = known
        .into_iter()
        .filter_map(|text| Some((version::parse(text)?, text)))
        .collect();
    known.sort();
    let newest = known
        .iter()
        .rfind(|(parsed, _)| parsed.prerelease.is_empty())
        .or(known.last());
    let (below, above) = match version::parse(version) {
        Some(asked) => known.split_at(known.partition_point(|(parsed, _)| *parsed <= asked)),
        None => Default::default(),
    };
    let text = |(_, text): &(version::Version, &str)| (*text).to_owned();
    Closest {
        below: below.iter().rev().take(2).map(text).collect(),
        above: above.iter().take(2).map(text).collect(),
        newest: newest.map(text),
    }
}

impl Closest {
    /// These versions as a sentence for a person; None if there are none.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let newest = self.newest.as_ref()?;
        let around: Vec<_> = self
            .below
            .iter()
            .rev()
            .chain(&self.above)
            .map(String::as_str)
            .collect();
        Some(if around.is_empty() {
            format!("the newest version is {newest}")
        } else {
            format!(
                "the closest versions are {}; the newest is {newest}",
                around.join(", ")
            )
        })
    }
}
