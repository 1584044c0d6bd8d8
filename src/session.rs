//! What a command has opened: its settings, AWS, and the stores with their credentials.

mod sources;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use tokio_util::sync::CancellationToken;

use crate::aws::{Aws, EcrProviders};
use crate::inventory::Inventory;
use crate::plan::Plan;
use crate::problem::{Problem, Problems};
use crate::reference::{ANY_TARGET, EcrHost, Prefix};
use crate::settings::{Network, Settings, TargetChoice, unused_hosts};
use crate::source_secret::{self, SourceHosts};
use oci_copy::http::{Credentials, DockerConfig, GivenLogins, Http};
use oci_copy::store::Stores;

pub use sources::{OpenSources, Sources, read, read_without_target};

/// Ends work at once when `stop` is cancelled.
///
/// # Errors
/// Those of the work; `what` if it was stopped.
pub(crate) async fn unless_stopped<T>(
    stop: &CancellationToken,
    what: &'static str,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        done = work => done,
        () = stop.cancelled() => Err(anyhow!(what)),
    }
}

/// What every command needs.
pub struct Session {
    /// The settings.
    pub settings: Settings,
    /// Access to AWS.
    pub aws: Arc<Aws>,
    /// Access to registries, image layout folders and chart repositories.
    pub stores: Arc<Stores>,
    /// Cancelled when the run is asked to stop.
    pub stop: CancellationToken,
    /// The logins of the secret that the settings name.
    secret: GivenLogins,
}

impl Session {
    /// A session without the secret that the settings name.
    ///
    /// # Errors
    /// When the configuration of docker cannot be read, or a client cannot be made.
    pub fn open(settings: Settings, stop: &CancellationToken) -> anyhow::Result<Self> {
        let aws = Aws::new(&settings)?;
        Self::with(settings, aws, GivenLogins::default(), stop)
    }

    /// The same with the credentials of the secret that the settings name, for the hosts of an
    /// inventory that they are for.
    ///
    /// # Errors
    /// Those of [`Session::open`], and when the secret cannot be read.
    pub async fn for_inventory(
        settings: Settings,
        inventory: &Inventory,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        Self::for_sources(settings, &inventory.source_hosts(), stop).await
    }

    /// The same where only the hosts are known. Registries get a login only when they ask.
    ///
    /// # Errors
    /// Those of [`Session::open`], and when the secret cannot be read.
    pub async fn for_hosts(
        settings: Settings,
        hosts: BTreeSet<String>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let hosts = SourceHosts {
            charts: hosts,
            ..SourceHosts::default()
        };
        Self::for_sources(settings, &hosts, stop).await
    }

    async fn for_sources(
        settings: Settings,
        hosts: &SourceHosts,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let Some(name) = settings.secret.clone() else {
            return Self::open(settings, stop);
        };
        let aws = Aws::new(&settings)?;
        let place = format!("parameter HelmRepoSecretName ({})", name.name);
        let region = settings.aws.region.clone().unwrap_or_default();
        let text = aws
            .secret(&name.name, &region)
            .await
            .map_err(anyhow::Error::new)
            .context(place.clone())?;
        let secret = source_secret::read(&text, name.key.as_deref(), hosts);
        let secret = secret.map_err(|what| Problems::from(Problem::input(place, what)))?;
        let hosts: Vec<&str> = secret.hosts().into_iter().collect();
        if hosts.is_empty() {
            tracing::warn!(
                "the secret {} has no login for a host of the data files and is not used",
                name.name
            );
        } else {
            tracing::info!(
                "the secret {} has logins for {}",
                name.name,
                hosts.join(", ")
            );
        }
        Self::with(settings, aws, secret, stop)
    }

    fn with(
        settings: Settings,
        aws: Arc<Aws>,
        secret: GivenLogins,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            stores: stores(&settings, &settings.network, &aws, secret.clone())?,
            settings,
            aws,
            stop: stop.clone(),
            secret,
        })
    }

    /// Other stores with the same credentials, and with other settings of the network.
    ///
    /// # Errors
    /// When the configuration of docker cannot be read, or a client cannot be made.
    pub fn stores_with(&self, network: &Network) -> anyhow::Result<Arc<Stores>> {
        stores(&self.settings, network, &self.aws, self.secret.clone())
    }

    /// The target prefix, once account and partition are known.
    ///
    /// # Errors
    /// When AWS does not say them.
    pub async fn prefix(&self) -> anyhow::Result<Prefix> {
        match &self.settings.target {
            TargetChoice::Given(prefix) => Ok(prefix.clone()),
            TargetChoice::Named => {
                anyhow::bail!("this command has no target prefix (please report this)")
            }
            TargetChoice::Module { project, region } => {
                let host = self.aws.ecr_host(region).await.map_err(|error| {
                    anyhow::Error::new(error).context("cannot determine the default target")
                })?;
                Ok(Prefix::Ecr {
                    host,
                    path: format!("{project}-"),
                })
            }
        }
    }

    /// The registry of a module that publishes to a bucket.
    ///
    /// # Errors
    /// When AWS does not say it, or the target is not ECR.
    pub async fn ecr_host(&self) -> anyhow::Result<EcrHost> {
        match self.prefix().await? {
            Prefix::Ecr { host, .. } => Ok(host),
            other => anyhow::bail!("{other} is not ECR (please report this)"),
        }
    }

    /// Logs the warnings about a plan, and returns them.
    pub(crate) fn warn_about(&self, plan: &Plan, inventory: &Inventory) -> Vec<String> {
        let mut hosts: BTreeSet<String> = plan.hosts().map(str::to_owned).collect();
        hosts.extend(inventory.source_hosts().all());
        // Archives of charts can be at other hosts than their index.
        hosts.extend(self.stores.http().used_endpoints());
        let mut warnings = plan.warnings.clone();
        hosts.remove(ANY_TARGET.trim_end_matches('/'));
        let settings = &self.settings;
        warnings.extend(unused_hosts(
            &settings.network,
            &settings.shared_hosts,
            &hosts,
        ));
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        warnings
    }
}

fn stores(
    settings: &Settings,
    network: &Network,
    aws: &Arc<Aws>,
    secret: GivenLogins,
) -> anyhow::Result<Arc<Stores>> {
    let docker = match &settings.docker_config {
        Some(path) => DockerConfig::read(path).map_err(|error| {
            let what = format!("{error:#}");
            let problem = Problem::input(path.display().to_string(), what);
            Problems::from(problem.remedy(
                "fix the file or run `docker login`; set DOCKER_CONFIG to use another directory",
            ))
        })?,
        None => DockerConfig::default(),
    };
    let http = Http::new(network, Credentials::new(docker, secret))?;
    Ok(Arc::new(Stores::new(
        Arc::new(http),
        EcrProviders(Arc::clone(aws)),
        network,
    )))
}
