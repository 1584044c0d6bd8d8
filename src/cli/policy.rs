//! `replicator policy`

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::aws::{self, Aws};
use crate::permissions::{self, MOST_INLINE, MOST_MANAGED, Scope};
use crate::problem::{Problem, Problems};
use crate::progress;
use crate::reference::Prefix;
use crate::settings::{Flags, Settings, TargetChoice, Targets};

use super::flags::{DataFlags, RepositoryFlags, RetentionFlags};
use super::{Exit, Invocation, print};

/// Print what the module's role must be allowed to do, as an IAM policy
///
/// Prints the least privilege that deploy, verify and destroy need with these settings: what modulestack.yaml
/// grants the role of a Seed-Farmer module with the same parameters. With --boundary it is a permissions boundary
/// for that role, which also holds what every build of Seed-Farmer does. Account, partition and role come from
/// flags or the environment, or else from STS; nothing else is called.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  replicator policy --project idf --deployment dev --module replication-images \\
    --account 123456789012 --region eu-west-1 --role idf-dev-replication-images
  replicator policy --boundary > boundary.json
      in a Seed-Farmer build: all settings come from the environment
  replicator policy --for prune --project idf --region eu-west-1

Exit codes: 0 done; 1 STS was asked and failed; 2 bad settings.",
    mut_arg("eks_version", |arg| arg.hide(true)),
    mut_arg("data_dir", |arg| arg.hide(true)),
    mut_arg("closure", |arg| arg.hide(true)),
    mut_arg("kube_version", |arg| arg.hide(true)),
    mut_arg("out", |arg| arg.hide(true))
)]
pub(super) struct Policy {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    repositories: RepositoryFlags,
    #[command(flatten)]
    retention: RetentionFlags,
    /// The account [env: `AWS_ACCOUNT_ID`] [default: that of the credentials]
    #[arg(long, value_name = "ID", help_heading = "AWS")]
    account: Option<String>,
    /// The partition, such as aws-cn [env: `AWS_PARTITION`] [default: that of the credentials]
    #[arg(long, value_name = "NAME", help_heading = "AWS")]
    partition: Option<String>,
    /// The name of the module's role, which it may pass to CodeBuild [default: that of the credentials]
    #[arg(long, value_name = "NAME", help_heading = "AWS")]
    role: Option<String>,
    /// Print a permissions boundary instead
    #[arg(long, help_heading = "Output")]
    boundary: bool,
    /// For what: module (deploy, verify and destroy) or prune, which needs neither deployment, module nor role
    #[arg(long = "for", value_enum, value_name = "WHAT", default_value_t = For::Module, hide_possible_values = true,
          hide_default_value = true, conflicts_with = "boundary", help_heading = "Output")]
    what: For,
}

/// What permissions are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum For {
    Module,
    Prune,
}

impl Policy {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let flags = self.data.onto(self.retention.flags());
        let flags = Flags {
            ..self.repositories.onto(flags)
        };
        let mut settings = Settings::with_targets(&flags, with.environment, Targets::Ecr)?;
        let given = [
            (&mut settings.aws.account, &self.account),
            (&mut settings.aws.partition, &self.partition),
        ];
        for (setting, given) in given {
            if given.is_some() {
                setting.clone_from(given);
            }
        }
        let aws = Aws::new(&settings)?;
        let parameters = with.environment.parameters.of_stack(&flags);
        let scope = match self.what {
            For::Module => scope(&settings, parameters, &aws, self.role.clone()).await?,
            For::Prune => scope_of_prune(&settings, parameters, &aws).await?,
        };
        let policy = match self.what {
            For::Module => permissions::Policy::of(&scope)?,
            For::Prune => permissions::Policy::prune(&scope)?,
        };
        let (policy, most, what) = if self.boundary {
            let boundary = policy.boundary(&scope);
            (boundary, MOST_MANAGED, "a permissions boundary")
        } else {
            (policy, MOST_INLINE, "all inline policies of a role")
        };
        let size = policy.size();
        let said = format!(
            "{}: {} characters of the {} that IAM takes for {what}",
            progress::count(policy.0.len(), "statement"),
            size,
            most,
        );
        if size > most {
            tracing::warn!("{said}");
        } else {
            tracing::info!("{said}");
        }
        print(format!("{:#}\n", policy.document())).await?;
        Ok(Exit::Done)
    }
}

/// What the permissions of these settings depend on. STS is asked for what is not given.
pub(super) async fn scope(
    settings: &Settings,
    parameters: BTreeMap<String, String>,
    aws: &Arc<Aws>,
    role: Option<String>,
) -> anyhow::Result<Scope> {
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
    let (account, partition) = owner(aws, &region).await?;
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
    Ok(Scope {
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

/// What the permissions of `replicator prune` depend on.
async fn scope_of_prune(
    settings: &Settings,
    parameters: BTreeMap<String, String>,
    aws: &Arc<Aws>,
) -> anyhow::Result<Scope> {
    let (prefix, region) = place(settings);
    let needed = [
        (
            "SEEDFARMER_PROJECT_NAME, --project",
            &settings.module.project,
        ),
        ("AWS_REGION, --region", &region),
    ];
    let [project, region] = given(needed)?;
    let (account, partition) = owner(aws, &region).await?;
    Ok(Scope {
        account,
        region,
        partition,
        project,
        prefix,
        parameters,
        ..Scope::default()
    })
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

/// Account and partition.
async fn owner(aws: &Arc<Aws>, region: &str) -> anyhow::Result<(String, String)> {
    let account = aws.account(region).await.map_err(unasked)?;
    let partition = aws.partition(region).await.map_err(unasked)?;
    Ok((account, partition))
}

fn unasked(error: aws::Error) -> anyhow::Error {
    let context =
        "STS does not say whose permissions these are; give --account, --partition and --role";
    anyhow::Error::new(error).context(context)
}
