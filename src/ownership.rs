//! The owner of a repository, by its tags.

use std::collections::BTreeMap;

use crate::settings::{MANAGED_BY, OWNERSHIP_TAGS};

/// The owner of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This program created it for the project.
    Project,
    /// Another project's or another program's, with the tag that says so.
    Another(String),
    /// No tag names another project or program.
    Unknown,
}

/// The owner of a repository with these tags, from the perspective of a project.
#[must_use]
pub fn owner(tags: &BTreeMap<String, String>, project: &str) -> Owner {
    let [project_key, .., managed_key] = OWNERSHIP_TAGS;
    let project_tag = tags.get(project_key);
    let managed_tag = tags.get(managed_key);
    let is_project = |value: &String| value.eq_ignore_ascii_case(project);
    let is_program = |value: &String| value == MANAGED_BY;
    match (project_tag, managed_tag) {
        (Some(value), _) if !is_project(value) => Owner::Another(format!("{project_key}={value}")),
        (_, Some(value)) if !is_program(value) => Owner::Another(format!("{managed_key}={value}")),
        (Some(_), Some(_)) => Owner::Project,
        _ => Owner::Unknown,
    }
}

/// Whether the tags say that this program created the resource for the project.
#[must_use]
pub fn is_owned(tags: &BTreeMap<String, String>, project: &str) -> bool {
    owner(tags, project) == Owner::Project
}

/// Whether any tag names an owner.
#[must_use]
pub fn has_owner(tags: &BTreeMap<String, String>) -> bool {
    tags.keys()
        .any(|key| OWNERSHIP_TAGS.contains(&key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_tell_the_owner() {
        let of = |tags: &[(&str, &str)]| {
            let tags = tags.iter();
            let tags = tags.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            owner(&tags.collect(), "idf")
        };
        let another = |tag: &str| Owner::Another(tag.to_owned());
        assert_eq!(of(&[]), Owner::Unknown);
        assert_eq!(of(&[("Owner", "other-team")]), Owner::Unknown);
        assert_eq!(of(&[("SeedFarmerProjectName", "IDF")]), Owner::Unknown);
        assert_eq!(of(&[("ManagedBy", "replicator")]), Owner::Unknown);
        assert_eq!(
            of(&[
                ("SeedFarmerProjectName", "Idf"),
                ("ManagedBy", "replicator")
            ]),
            Owner::Project
        );
        assert_eq!(
            of(&[
                ("SeedFarmerProjectName", "idf-x"),
                ("ManagedBy", "replicator")
            ]),
            another("SeedFarmerProjectName=idf-x")
        );
        assert_eq!(
            of(&[("ManagedBy", "terraform")]),
            another("ManagedBy=terraform")
        );
        assert_eq!(
            of(&[("SeedFarmerProjectName", "idf"), ("ManagedBy", "cdk")]),
            another("ManagedBy=cdk")
        );
    }
}
