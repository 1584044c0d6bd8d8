//! What the permissions of settings depend on.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::aws::{self, Aws};
use crate::problem::{Problem, Problems};
use crate::reference::Prefix;
use crate::settings::{Settings, TargetChoice};

use super::Scope;

impl Scope {
    /// What the permissions of these settings depend on. STS is asked for account and role, if they are not given.
    ///
    /// # Errors
    /// Settings that are missing, and what STS does not say.
    pub async fn of_module(
        settings: &Settings,
        parameters: BTreeMap<String, String>,
        aws: &Arc<Aws>,
        role: Option<String>,
    ) -> anyhow::Result<Self> {
        let module = &settings.module;
        let (prefix, region) = place(settings);
        let needed = [
            ("SEEDFARMER_PROJECT_NAME, --project", &module.project),
            (
                "SEEDFARMER_DEPLOYMENT_NAME, --deployment",
                &module.deployment,
            ),
            ("SEEDFARMER_MODULE_NAME, --module", &module.name),
            ("AWS_REGION, --region", &region),
        ];
        let [project, deployment, name, region] = given(needed)?;
        let (account, partition) = owner(aws, &region, settings, role.is_none()).await?;
        let role = if let Some(role) = role {
            role
        } else {
            let identity = aws.identity(&region).await.map_err(unasked)?;
            identity.role().map(str::to_owned).ok_or_else(|| {
                let arn = &identity.arn;
                let what = format!("{arn} is not a role, and the module's role may pass itself on");
                Problems::from(Problem::input("--role", what).remedy("name the module's role"))
            })?
        };
        Ok(Self {
            account,
            region,
            partition,
            project,
            deployment,
            module: name,
            role,
            prefix,
            parameters,
        })
    }

    /// What the permissions of `replicator prune` depend on.
    ///
    /// # Errors
    /// The same.
    pub async fn of_prune(
        settings: &Settings,
        parameters: BTreeMap<String, String>,
        aws: &Arc<Aws>,
    ) -> anyhow::Result<Self> {
        let (prefix, region) = place(settings);
        let needed = [
            (
                "SEEDFARMER_PROJECT_NAME, --project",
                &settings.module.project,
            ),
            ("AWS_REGION, --region", &region),
        ];
        let [project, region] = given(needed)?;
        let (account, partition) = owner(aws, &region, settings, false).await?;
        Ok(Self {
            account,
            region,
            partition,
            project,
            prefix,
            parameters,
            ..Self::default()
        })
    }
}

/// Settings that the names in a policy contain, each with where it is given.
fn given<const N: usize>(needed: [(&str, &Option<String>); N]) -> Result<[String; N], Problems> {
    let mut problems = Vec::new();
    let given = needed.map(|(place, value)| {
        if value.is_none() {
            let what = "it is not given, and permissions are granted for names that contain it";
            problems.push(Problem::input(place, what));
        }
        value.clone().unwrap_or_default()
    });
    Problems::check(problems)?;
    Ok(given)
}

/// The prefix of the target, where it is another place in ECR than the project's, and the region.
fn place(settings: &Settings) -> (Option<Prefix>, Option<String>) {
    let (prefix, region) = match &settings.target {
        TargetChoice::Given(prefix @ Prefix::Ecr { host, .. }) => {
            (Some(prefix.clone()), Some(host.region.clone()))
        }
        _ => (None, None),
    };
    (prefix, settings.aws.region.clone().or(region))
}

/// Account and partition. The partition is the region's where STS is not asked anyway.
async fn owner(
    aws: &Arc<Aws>,
    region: &str,
    settings: &Settings,
    asks_sts: bool,
) -> anyhow::Result<(String, String)> {
    let given = &settings.aws;
    let account = aws.account(region).await.map_err(unasked)?;
    let partition = if given.partition.is_some() || given.account.is_none() || asks_sts {
        aws.partition(region).await.map_err(unasked)?
    } else {
        aws::partition_of(region).to_owned()
    };
    Ok((account, partition))
}

fn unasked(error: aws::Error) -> anyhow::Error {
    let context = "STS does not say whose permissions these are; give --account and --role";
    anyhow::Error::new(error).context(context)
}
