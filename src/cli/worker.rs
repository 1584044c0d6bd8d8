//! `replicator work`: what a worker of a run does.

use crate::aws::Aws;
use crate::fan_out::{self, WorkerTask};
use crate::session::Session;
use crate::settings::{AwsVariables, Environment, Flags, Settings};
use oci_copy::reference::Digest;

use super::{Exit, Invocation};

/// Copy a part of another build's run
///
/// Not called by hand: `deploy` starts workers with it, as `FanOut` says. It claims shards from the run store in
/// the module's bucket until none is left.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Worker {
    /// The module's bucket
    #[arg(long, value_name = "NAME")]
    bucket: String,
    /// The prefix of the run's keys
    #[arg(long, value_name = "KEY")]
    prefix: String,
    /// The digest of the run's order
    #[arg(long, value_name = "DIGEST")]
    order: Digest,
    /// The region
    #[arg(long, value_name = "NAME")]
    region: String,
    /// The account
    #[arg(long, value_name = "NUMBER")]
    account: String,
    /// The certificates to trust besides the machine's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<String>,
    /// The worker's number, from 1
    #[arg(long, value_name = "N")]
    build: usize,
}

impl Worker {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        // Account and region must be known before everything else can be read from the bucket.
        let here = Environment {
            aws: AwsVariables {
                account_id: Some(self.account.clone()),
                region: Some(self.region.clone()),
                ..with.environment.aws.clone()
            },
            ..with.environment.clone()
        };
        let aws = Aws::new(&Settings::without_target(
            &self.trusting(Flags::default()),
            &here,
        )?)?;
        let bucket = aws.bucket(&self.bucket, &self.region, &self.account).await;
        let Some(task) = WorkerTask::read(bucket, &self.prefix, &self.order, self.build).await?
        else {
            tracing::info!("the run is over");
            return Ok(Exit::Done);
        };
        let mut environment = task.environment(with.environment.clone());
        environment.aws.region = Some(self.region.clone());
        let settings = Settings::new(&self.trusting(task.flags()), &environment)?;
        let session = Session::for_hosts(settings, task.hosts(), with.stop).await?;
        task.apply_share(session.aws.share());
        fan_out::run_task(task, &session.stores, &session.settings, with.stop).await?;
        Ok(Exit::Done)
    }

    /// The flags with those certificates that this worker has fetched.
    fn trusting(&self, flags: Flags) -> Flags {
        match &self.ca_file {
            Some(file) => flags.with("ca_file", file),
            None => flags,
        }
    }
}
