//! The library, called without the command line.

use lab::registry::Registry;
use replication::deploy::deploy;
use replication::problem::is_input;
use replication::progress::{Display, Progress, Screen};
use replication::settings::{Environment, Flags};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::Result;
use super::locking::World;

/// The flags of a deployment of a world into a folder's results.
fn flags(world: &World, target: &Registry, out: &TempDir) -> Flags {
    let flags = Flags {
        out: Some(out.path().to_owned()),
        ..Flags::default()
    };
    flags
        .with("data_dir", world.data.path().display().to_string())
        .with("registry_prefix", format!("{}/mirror/", target.host()))
        .with("endpoints", format!("quay.io={}", world.source.url()))
        .with("endpoints", format!("charts.corp={}", world.charts.url()))
}

#[tokio::test]
async fn a_program_deploys_with_the_library_alone() -> Result {
    let (world, target) = (World::start().await?, Registry::start().await?);
    let (out, stop) = (tempfile::tempdir()?, CancellationToken::new());
    let progress = Progress::start(&Screen::new(Display::Hidden));
    let environment = Environment::default();
    let flags = flags(&world, &target, &out);
    let result = out.path().join("replication_result.json");

    let refused = Box::pin(deploy(&flags, &environment, &progress, &stop)).await;
    let refused = refused.expect_err("no EKS version");
    assert!(is_input(&refused), "{refused:#}");

    let flags = flags.with("eks_version", "1.34");
    Box::pin(deploy(&flags, &environment, &progress, &stop)).await?;
    let text = std::fs::read_to_string(&result)?;
    assert!(text.contains(&world.app.root.digest), "{text}");

    stop.cancel();
    let stopped = Box::pin(deploy(&flags, &environment, &progress, &stop)).await;
    let stopped = stopped.expect_err("it was stopped");
    assert!(!is_input(&stopped), "{stopped:#}");
    Ok(())
}
