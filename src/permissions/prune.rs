//! What `replicator prune` needs, which a person runs: modulestack.yaml grants none of the deletions.

use serde_json::json;

use crate::reference::Prefix;

use super::{Policy, Scope, Statement, Unresolved};

impl Policy {
    /// What `replicator prune` and `replicator prune --apply` need.
    ///
    /// # Errors
    /// When the template has something that is not known here, which tests exclude.
    pub fn prune(scope: &Scope) -> Result<Self, Unresolved> {
        let Scope {
            account,
            region,
            partition,
            project,
            ..
        } = scope;
        let of_module = Self::of(scope)?.0;
        // The bucket and the keys of results are those of the module.
        let resources = |sid: &str| {
            let statements = of_module.iter().filter(|statement| statement.sid == sid);
            let resources = statements.flat_map(|statement| statement.resources.clone());
            resources.collect::<Vec<_>>()
        };
        let (account, region, path) = match &scope.prefix {
            Some(Prefix::Ecr { host, path }) => (&host.account, &host.region, path.clone()),
            _ => (account, region, format!("{}-", project.to_lowercase())),
        };
        let repositories =
            |path: &str| format!("arn:{partition}:ecr:{region}:{account}:repository/{path}*");
        let is_ours = json!({
            "StringEqualsIgnoreCase": {"aws:ResourceTag/SeedFarmerProjectName": project},
            "StringEquals": {"aws:ResourceTag/ManagedBy": crate::settings::MANAGED_BY},
        });
        Ok(Self(vec![
            Statement::new(
                "WhatIsThere",
                &["ecr:DescribeRepositories", "ecr:ListTagsForResource"],
                vec![repositories("")],
            ),
            Statement::new(
                "Images",
                &["ecr:DescribeImages", "ecr:BatchGetImage"],
                vec![repositories(&path)],
            ),
            Statement {
                condition: Some(is_ours),
                ..Statement::new(
                    "Deletion",
                    &["ecr:BatchDeleteImage", "ecr:DeleteRepository"],
                    vec![repositories(&path)],
                )
            },
            Statement::new("Bucket", &["s3:ListBucket"], resources("Bucket")),
            Statement::new("Results", &["s3:GetObject"], resources("OtherResults")),
        ]))
    }
}
