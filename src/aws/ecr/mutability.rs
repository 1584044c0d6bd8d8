//! The tag mutability of repositories.

use aws_sdk_ecr::types::{ImageTagMutability, Repository};

/// Which tags of a repository can be moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mutability {
    immutable: bool,
    /// Filters for the tags that are the exception; `*` matches any characters.
    except: Vec<String>,
}

impl Mutability {
    /// The same mode for all tags.
    pub(super) fn all(immutable: bool) -> Self {
        Self {
            immutable,
            except: Vec::new(),
        }
    }

    /// Whether a tag cannot be moved.
    pub(super) fn is_fixed(&self, tag: &str) -> bool {
        let is_excepted = self.except.iter().any(|filter| matches(filter, tag));
        self.immutable != is_excepted
    }
}

impl From<&Repository> for Mutability {
    fn from(described: &Repository) -> Self {
        let immutable = matches!(
            described.image_tag_mutability(),
            Some(ImageTagMutability::Immutable | ImageTagMutability::ImmutableWithExclusion)
        );
        let has_exceptions = matches!(
            described.image_tag_mutability(),
            Some(
                ImageTagMutability::MutableWithExclusion
                    | ImageTagMutability::ImmutableWithExclusion
            )
        );
        let filters = described.image_tag_mutability_exclusion_filters().iter();
        let filters = filters.filter(|_| has_exceptions);
        let mut except: Vec<String> = filters.map(|filter| filter.filter().to_owned()).collect();
        // Even without filters this is not the plain mode.
        if has_exceptions && except.is_empty() {
            except.push(String::new());
        }
        Self { immutable, except }
    }
}

impl From<Mutability> for ImageTagMutability {
    fn from(mutability: Mutability) -> Self {
        match (mutability.immutable, mutability.except.is_empty()) {
            (true, true) => Self::Immutable,
            (true, false) => Self::ImmutableWithExclusion,
            (false, true) => Self::Mutable,
            (false, false) => Self::MutableWithExclusion,
        }
    }
}

impl std::fmt::Display for Mutability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(ImageTagMutability::from(self.clone()).as_str())?;
        if self.except.iter().any(|filter| !filter.is_empty()) {
            write!(f, " ({})", self.except.join(", "))?;
        }
        Ok(())
    }
}

/// Whether a filter with `*` matches a whole tag.
fn matches(filter: &str, tag: &str) -> bool {
    let Some((start, rest)) = filter.split_once('*') else {
        return filter == tag;
    };
    let Some(tag) = tag.strip_prefix(start) else {
        return false;
    };
    let ends = tag.char_indices().map(|(at, _)| at).chain([tag.len()]);
    ends.into_iter().any(|at| matches(rest, &tag[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_turn_the_mode_round() {
        let with = |immutable, filters: &[&str]| Mutability {
            immutable,
            except: filters.iter().map(ToString::to_string).collect(),
        };
        assert!(Mutability::all(true).is_fixed("1") && !Mutability::all(false).is_fixed("1"));
        let except = with(true, &["latest*", "*-rc*"]);
        for (tag, is_fixed) in [("1.0", true), ("latest", false), ("latest-2", false)] {
            assert_eq!(except.is_fixed(tag), is_fixed, "{tag}");
        }
        assert!(!except.is_fixed("1-rc2") && except.is_fixed("not-latest"));
        let except = with(false, &["v1"]);
        assert!(except.is_fixed("v1") && !except.is_fixed("v10"));
        assert_eq!(except.to_string(), "MUTABLE_WITH_EXCLUSION (v1)");
    }
}
