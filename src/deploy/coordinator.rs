//! Whether a deployment shares its copies with other builds of CodeBuild.

use std::sync::{Arc, OnceLock};

use crate::fan_out::Coordinator;
use crate::reference::Prefix;
use crate::settings::{Environment, FanOut, Flags};

use super::prepare::Prepared;

/// The coordinator, in a CodeBuild build whose target is ECR and unless `FanOut` is off.
pub(super) fn coordinator(
    prepared: &Prepared,
    (flags, environment): (&Flags, &Environment),
) -> Option<Coordinator> {
    // A bundle is read here, once.
    let publication = prepared.publication.as_ref();
    let publication = publication.filter(|_| prepared.bundle.is_none())?;
    let session = &prepared.session;
    let settings = &session.settings;
    let Prefix::Ecr { host, .. } = &prepared.planned.plan.prefix else {
        return None;
    };
    if settings.fan_out == FanOut::Off {
        return None;
    }
    if settings.build.is_none() {
        if let FanOut::Builds(_) = settings.fan_out {
            tracing::warn!("this is not a CodeBuild build, so no workers can be started");
        }
        return None;
    }
    // Workers read the secret themselves.
    let stores = Arc::clone(&session.stores);
    let own_hosts = move |host: &str| stores.http().credentials().is_only_here(host);
    Some(Coordinator {
        place: publication.runs(host),
        flags: flags.clone(),
        environment: environment.clone(),
        hosts: prepared.inventory.source_hosts().all(),
        own_hosts: Box::new(own_hosts),
        aws: Arc::clone(&session.aws),
        stores: Arc::clone(&session.stores),
        gate: prepared.planned.gate(),
        settings: settings.clone(),
        laid_out: OnceLock::new(),
    })
}

/// Deletes what the run has in the bucket.
pub(super) async fn clear(coordinator: Option<&Coordinator>) {
    if let Some(coordinator) = coordinator
        && let Err(error) = coordinator.clear().await
    {
        tracing::warn!("cannot delete the run's objects from the bucket: {error:#}");
    }
}
