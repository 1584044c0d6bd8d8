//! The library, called without the command line.

use lab::faults::{Fault, Rule};
use lab::registry::Registry;
use replication::deploy::{PlanOptions, Preview, deploy, plan};
use replication::document::PlanState;
use replication::problem::is_input;
use replication::progress::{Display, Progress, Screen};
use replication::settings::{Environment, Flags};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::Result;
use super::locking::World;

/// The flags of a deployment of a world, without an EKS version.
fn flags(world: &World, target: &Registry) -> Flags {
    Flags::default()
        .with("data_dir", world.data.path().display().to_string())
        .with("registry_prefix", format!("{}/mirror/", target.host()))
        .with("endpoints", format!("quay.io={}", world.source.url()))
        .with("endpoints", format!("charts.corp={}", world.charts.url()))
}

/// The same with an output folder.
fn into(flags: Flags, out: &TempDir) -> Flags {
    Flags {
        out: Some(out.path().to_owned()),
        ..flags
    }
}

/// Plans with the library.
async fn preview(flags: &Flags, options: PlanOptions) -> anyhow::Result<Preview> {
    let progress = Progress::start(&Screen::new(Display::Hidden));
    let (environment, stop) = (Environment::default(), CancellationToken::new());
    Box::pin(plan(flags, &environment, &progress, &stop, options)).await
}

/// How each artifact of a plan is.
fn states(preview: &Preview) -> Vec<PlanState> {
    preview.preflights.iter().map(PlanState::of).collect()
}

#[tokio::test]
async fn a_program_deploys_with_the_library_alone() -> Result {
    let (world, target) = (World::start().await?, Registry::start().await?);
    let (out, stop) = (tempfile::tempdir()?, CancellationToken::new());
    let progress = Progress::start(&Screen::new(Display::Hidden));
    let environment = Environment::default();
    let flags = into(flags(&world, &target), &out);
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

#[tokio::test]
async fn a_program_plans_with_the_library_alone() -> Result {
    let (world, target) = (World::start().await?, Registry::start().await?);
    let (out, stop) = (tempfile::tempdir()?, CancellationToken::new());
    let progress = Progress::start(&Screen::new(Display::Hidden));
    let environment = Environment::default();
    let flags = flags(&world, &target).with("eks_version", "1.34");

    let before = preview(&flags, PlanOptions::default()).await?;
    assert_eq!(states(&before), [PlanState::Missing; 3]);
    assert!(before.has_changes() && before.estimate.load.bytes > 0);
    assert!(before.proof.is_some() && before.gaps.is_ok());
    before.check()?;
    let document = serde_json::to_value(before.to_document())?;
    let app = format!("{}/mirror/quay.io/team/app:1", target.host());
    let mut artifacts = document["artifacts"].as_array().expect("a list").iter();
    let app = artifacts
        .find(|one| one["target"] == app)
        .expect("an image");
    assert_eq!(app["digest"], world.app.root.digest);
    assert_eq!(target.wire().count_action("manifest.put"), 0);

    let flags = into(flags, &out);
    Box::pin(deploy(&flags, &environment, &progress, &stop)).await?;
    // A plan does not replace the result of a deployment.
    let refused = preview(&flags, PlanOptions::default()).await.err();
    assert!(refused.is_some_and(|error| is_input(&error)));
    let flags = Flags { out: None, ..flags };
    let after = preview(&flags, PlanOptions::default()).await?;
    assert_eq!(states(&after), [PlanState::Present; 3]);
    assert!(!after.has_changes() && after.estimate.load.bytes == 0);

    stop.cancel();
    let options = PlanOptions::default();
    let stopped = Box::pin(plan(&flags, &environment, &progress, &stop, options)).await;
    assert!(stopped.is_err_and(|error| !is_input(&error)));
    Ok(())
}

#[tokio::test]
async fn a_preview_says_what_could_not_be_queried() -> Result {
    let (world, target) = (World::start().await?, Registry::start().await?);
    let flags = flags(&world, &target).with("eks_version", "1.34");
    target.faults().add(Rule::new(Fault::status(403)));

    let asked = preview(&flags, PlanOptions::default()).await?;
    assert_eq!(asked.unanswered.len(), 1, "{:?}", asked.unanswered);
    assert!(asked.unanswered[0].contains(&target.host()));
    assert!(asked.warnings.contains(&asked.unanswered[0]));
    let failed = asked.check().expect_err("the plan is incomplete");
    assert!(!is_input(&failed), "{failed:#}");

    let options = PlanOptions {
        no_observe: true,
        bandwidth: Some(1e6),
    };
    let not_asked = preview(&flags, options).await?;
    assert_eq!(states(&not_asked), [PlanState::Unknown; 3]);
    assert!(not_asked.unanswered.is_empty() && not_asked.estimate.unknown == 3);
    not_asked.check()?;
    Ok(())
}
