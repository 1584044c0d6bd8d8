//! CodeBuild: the machine of this build, and more builds like it.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_codebuild::Client;
use aws_sdk_codebuild::types::{
    self, ComputeType, EnvironmentType, ImagePullCredentialsType, ProjectFleet, SourceType,
    StatusType,
};

use super::Error;
use super::call::Calls;

/// The shortest and the longest timeout of a build, in minutes (`StartBuild`'s
/// `timeoutInMinutesOverride`).
const TIMEOUTS: (i32, i32) = (5, 2160);

/// How long a build may be queued, in minutes. The run that started it stops it earlier if there is nothing left
/// to do.
const QUEUED_TIMEOUT: i32 = 60;

/// The most ids of one `BatchGetBuilds`.
const BATCH: usize = 100;

/// The builds of one region.
pub struct CodeBuild {
    client: Client,
    calls: Arc<Calls>,
}

/// The machine of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    project: String,
    role: Option<String>,
    image: Option<String>,
    pull_credentials: Option<ImagePullCredentialsType>,
    compute: Option<ComputeType>,
    environment: Option<EnvironmentType>,
    fleet: Option<String>,
    /// Minutes.
    timeout: i32,
}

/// A build as CodeBuild describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// `<project>:<uuid>`
    pub id: String,
    /// Its phase.
    pub phase: Phase,
}

/// The phase of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It is queued, or its machine is being provisioned.
    Waiting,
    /// Its commands run.
    Running,
    /// It has ended, with CodeBuild's status.
    Over(String),
}

impl Machine {
    /// Its size, such as `BUILD_GENERAL1_LARGE`.
    #[must_use]
    pub fn compute(&self) -> Option<&str> {
        self.compute.as_ref().map(ComputeType::as_str)
    }
}

impl CodeBuild {
    pub(super) fn new(config: &SdkConfig, calls: Arc<Calls>) -> Self {
        Self {
            client: Client::new(config),
            calls,
        }
    }

    /// The machine of a build.
    ///
    /// # Errors
    /// When the call fails, or there is no such build.
    pub async fn machine(&self, id: &str) -> Result<Machine, Error> {
        const ACTION: &str = "codebuild:BatchGetBuilds";
        let request = self.client.batch_get_builds().ids(id);
        let send = || request.clone().send();
        let answer = self.calls.send(ACTION, id, send).await?;
        let build = answer.builds().first();
        let build = build.ok_or_else(|| Error::incomplete(ACTION, id, "there is no such build"))?;
        let environment = build.environment();
        let project = id.split(':').next().unwrap_or(id);
        Ok(Machine {
            project: build.project_name().unwrap_or(project).to_owned(),
            role: build.service_role().map(str::to_owned),
            image: environment.map(|environment| environment.image().to_owned()),
            pull_credentials: environment
                .and_then(|environment| environment.image_pull_credentials_type().cloned()),
            compute: environment.map(|environment| environment.compute_type().clone()),
            environment: environment.map(|environment| environment.r#type().clone()),
            fleet: environment
                .and_then(|environment| environment.fleet()?.fleet_arn().map(str::to_owned)),
            timeout: build
                .timeout_in_minutes()
                .unwrap_or(TIMEOUTS.1)
                .clamp(TIMEOUTS.0, TIMEOUTS.1),
        })
    }

    /// Starts a build without a source on such a machine, and returns its id; calls with the same token start one
    /// build.
    ///
    /// # Errors
    /// When no build is started: `AccountLimitExceededException` at the account's limit.
    pub async fn start(
        &self,
        machine: &Machine,
        buildspec: &str,
        token: &str,
    ) -> Result<String, Error> {
        const ACTION: &str = "codebuild:StartBuild";
        let fleet = machine
            .fleet
            .as_ref()
            .map(|arn| ProjectFleet::builder().fleet_arn(arn).build());
        let request = self
            .client
            .start_build()
            .project_name(&machine.project)
            .source_type_override(SourceType::NoSource)
            .buildspec_override(buildspec)
            .timeout_in_minutes_override(machine.timeout)
            .queued_timeout_in_minutes_override(QUEUED_TIMEOUT)
            .idempotency_token(token)
            .set_service_role_override(machine.role.clone())
            .set_image_override(machine.image.clone())
            .set_image_pull_credentials_type_override(machine.pull_credentials.clone())
            .set_compute_type_override(machine.compute.clone())
            .set_environment_type_override(machine.environment.clone())
            .set_fleet_override(fleet);
        let send = || request.clone().send();
        let answer = self.calls.send(ACTION, &machine.project, send).await?;
        let id = answer.build_value().and_then(|build| build.id());
        id.map(str::to_owned)
            .ok_or_else(|| Error::incomplete(ACTION, &machine.project, "the answer names no build"))
    }

    /// The builds; those that CodeBuild does not know are missing.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn describe(&self, ids: &[String]) -> Result<Vec<Build>, Error> {
        const ACTION: &str = "codebuild:BatchGetBuilds";
        let mut found = Vec::new();
        for ids in ids.chunks(BATCH) {
            let request = self.client.batch_get_builds();
            let request = request.set_ids(Some(ids.to_vec()));
            let send = || request.clone().send();
            let answer = self.calls.send(ACTION, &ids[0], send).await?;
            found.extend(answer.builds().iter().filter_map(build));
        }
        Ok(found)
    }

    /// Stops a build; it is not an error if it has ended already.
    ///
    /// # Errors
    /// When CodeBuild refuses.
    pub async fn stop(&self, id: &str) -> Result<(), Error> {
        let request = self.client.stop_build().id(id);
        let send = || request.clone().send();
        let answer = self.calls.send("codebuild:StopBuild", id, send).await;
        answer.map(drop)
    }
}

fn build(described: &types::Build) -> Option<Build> {
    let phase = match described.build_status() {
        Some(StatusType::InProgress) | None => match described.current_phase() {
            Some("SUBMITTED" | "QUEUED" | "PROVISIONING") => Phase::Waiting,
            _ => Phase::Running,
        },
        Some(status) => Phase::Over(status.as_str().to_owned()),
    };
    Some(Build {
        id: described.id()?.to_owned(),
        phase,
    })
}
