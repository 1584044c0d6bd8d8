//! `replicator policy`

use crate::aws::Aws;
use crate::permissions::{self, MOST_INLINE, MOST_MANAGED, Scope};
use crate::progress;
use crate::settings::{Flags, Settings, Targets};

use super::flags::{DataFlags, RepositoryFlags, RetentionFlags};
use super::{Exit, Invocation, print};

/// Print what the module's role must be allowed to do, as an IAM policy
///
/// Prints the least privilege that deploy, verify and destroy need with these settings: what modulestack.yaml
/// grants the role of a Seed-Farmer module with the same parameters. With --boundary it is a permissions boundary
/// for that role, which also holds what every build of Seed-Farmer does. Account and role come from flags or the
/// environment, or else from STS; nothing else is called.
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
    /// The partition, such as aws-cn [env: `AWS_PARTITION`] [default: the region's]
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
            For::Module => Scope::of_module(&settings, parameters, &aws, self.role.clone()).await?,
            For::Prune => Scope::of_prune(&settings, parameters, &aws).await?,
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
