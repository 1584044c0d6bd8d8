//! Everything that a deployment needs, measured before it starts. [`crate::doctor`] makes a finding of each measurement.

mod access;
mod sources;
mod trust;

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::doctor::{self, Finding};
use crate::progress::Progress;
use crate::session::{self, Session, unless_stopped};
use crate::settings::{Environment, Flags, TrustMode};

/// Options of [`diagnose`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiagnosisOptions {
    /// The ARN of the role whose permissions are checked; without one, that of the credentials.
    pub role_arn: Option<String>,
    /// The id of a VPC whose endpoints are checked.
    pub vpc_id: Option<String>,
}

/// Checks credentials, account, permissions, quotas, sources, bucket, keys and this machine: the whole of
/// `replicator doctor`. Writes nothing. What is broken is a finding and no error.
///
/// # Errors
/// Bad input ([`crate::problem::is_input`]), a client that cannot be made, and that `stop` was cancelled.
pub async fn diagnose(
    flags: &Flags,
    environment: &Environment,
    options: &DiagnosisOptions,
    progress: &Progress,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<Finding>> {
    let measured = measured((flags, environment), options, (progress, stop));
    unless_stopped(stop, "stopped before the end", Box::pin(measured)).await
}

async fn measured(
    (flags, environment): (&Flags, &Environment),
    options: &DiagnosisOptions,
    (progress, stop): (&Progress, &CancellationToken),
) -> anyhow::Result<Vec<Finding>> {
    let (settings, inventory) = session::read(flags, environment)?;
    let parameters = environment.parameters.of_stack(flags);
    let mut findings = Vec::new();
    let session = Session::for_inventory(settings.clone(), &inventory, stop).await;
    let mut session = match session {
        Ok(session) => {
            if let Some(secret) = &settings.secret {
                findings.push(Finding::ok(
                    "secret",
                    format!("{} can be read", secret.name),
                ));
            }
            session
        }
        Err(error) => {
            let remedy = remedy(&error).unwrap_or(
                "check the name in HelmRepoSecretName, its entry in HelmRepoSecretKey, and the permission",
            );
            findings.push(Finding::broken("secret", format!("{error:#}"), remedy));
            Session::open(settings, stop)?
        }
    };
    let asked = access::Asked {
        role_arn: options.role_arn.as_deref(),
        vpc: options.vpc_id.as_deref(),
        parameters,
    };
    progress.steps("checking what verifies sources", 0);
    let trust = trust::check(&session, &inventory).await;
    session.settings.trust = TrustMode::Off;
    let planned = sources::check(&session, &inventory, (progress, &mut findings)).await;
    progress.steps("checking credentials and permissions", 0);
    let own = access::check(&session, planned.as_ref(), asked).await;
    findings.splice(0..0, own);
    findings.extend(trust);
    findings.extend(machine(&session.settings.out));
    Ok(findings)
}

/// What a user can do about an error of AWS or of a source, where its kind says that.
fn remedy(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        let of_aws = cause.downcast_ref::<crate::aws::Error>();
        let of_store = cause.downcast_ref::<oci_copy::store::Error>();
        let of_http = cause.downcast_ref::<oci_copy::http::Error>();
        let of_store = of_store.and_then(oci_copy::store::Error::remedy);
        let of_source = of_store.or_else(|| of_http?.remedy());
        of_source
            .map(crate::hint::text)
            .or_else(|| of_aws?.remedy())
    })
}

/// Space and memory of this machine.
fn machine(out: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let existing = out.ancestors().find(|folder| folder.is_dir());
    let folder = existing.unwrap_or(Path::new("."));
    if let Ok(space) = rustix::fs::statvfs(folder) {
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        findings.push(doctor::disk(&folder.display().to_string(), free));
    }
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    findings.extend(doctor::available_memory(&meminfo).map(doctor::memory));
    findings
}
