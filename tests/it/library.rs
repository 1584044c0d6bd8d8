//! The library, called without the command line.

mod recorded;

use std::time::Duration;

use lab::faults::{Fault, Rule};
use lab::registry::Registry;
use replication::comparison::compare;
use replication::deploy::{Pairs, PlanOptions, Preview, copy, deploy, lock, plan};
use replication::diagnosis::{DiagnosisOptions, diagnose};
use replication::doctor;
use replication::document::{Pair, PlanState};
use replication::listing::{Query, list};
use replication::problem::is_input;
use replication::progress::{Display, Progress, Screen};
use replication::save::{SaveOptions, save};
use replication::settings::{Environment, Flags};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Result;
use super::locking::{World, image};

/// The flags of a deployment of a world, without an EKS version.
fn flags(world: &World, target: &Registry) -> Flags {
    of_sources(world).with("registry_prefix", format!("{}/mirror/", target.host()))
}

/// The same without a target.
fn of_sources(world: &World) -> Flags {
    Flags::default()
        .with("data_dir", world.data.path().display().to_string())
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

#[tokio::test]
async fn a_program_saves_and_loads_with_the_library_alone() -> Result {
    let (world, target) = (World::start().await?, Registry::start().await?);
    let (out, stop) = (tempfile::tempdir()?, CancellationToken::new());
    let progress = Progress::start(&Screen::new(Display::Hidden));
    let environment = Environment::default();
    let of_sources = of_sources(&world).with("eks_version", "1.34");
    let (file, input) = (out.path().join("bundle.tar"), (&of_sources, &environment));
    let file = file.display().to_string();

    let tiny = SaveOptions {
        split: Some(1),
        ..SaveOptions::default()
    };
    let refused = Box::pin(save(&file, &tiny, input, &progress, &stop)).await;
    assert!(is_input(&refused.expect_err("a part of one byte")));
    let options = SaveOptions::default();
    let saved = Box::pin(save(&file, &options, input, &progress, &stop)).await?;
    assert_eq!(saved.names, [file.as_str()]);
    assert_eq!(saved.bytes, std::fs::metadata(&file)?.len());

    world.source.wire().clear();
    let prefix = format!("{}/mirror/", target.host());
    let flags = Flags::default()
        .with("bundle", file)
        .with("registry_prefix", prefix);
    let flags = into(flags, &out);
    Box::pin(deploy(&flags, &environment, &progress, &stop)).await?;
    let text = std::fs::read_to_string(out.path().join("replication_result.json"))?;
    assert!(text.contains(&world.app.root.digest), "{text}");
    assert!(world.source.wire().requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_program_locks_and_compares_with_the_library_alone() -> Result {
    let (world, stop) = (World::start().await?, CancellationToken::new());
    let progress = Progress::start(&Screen::new(Display::Hidden));
    let (environment, flags) = (Environment::default(), of_sources(&world));
    let of_version = flags.clone().with("eks_version", "1.34");

    let locked = lock(&of_version, &environment, &progress, &stop);
    let (path, lock) = Box::pin(locked).await?;
    assert_eq!(path, world.data.file_path("1.34.lock.json"));
    assert_eq!(lock.to_json(), world.lock_text());

    let (path, input) = (path.display().to_string(), (&flags, &environment));
    let same = Box::pin(compare(&path, None, input, &progress, &stop)).await?;
    assert!(same.differences.is_empty());
    assert_eq!((same.from, same.to.as_str()), (path.clone(), "EKS 1.34"));
    image(9).push(&world.source, "team/tool", "2")?;
    let moved = compare(&path, Some("1.34"), input, &progress, &stop);
    let moved = Box::pin(moved).await?.differences;
    assert_eq!((moved.images.len(), moved.charts.len()), (1, 0));
    let neither = Box::pin(compare("none.json", None, input, &progress, &stop)).await;
    assert!(is_input(&neither.expect_err("there is no such file")));
    Ok(())
}

#[tokio::test]
async fn a_program_copies_pairs_with_the_library_alone() -> Result {
    let (world, target) = (World::start().await?, Registry::start().await?);
    let (out, stop) = (tempfile::tempdir()?, CancellationToken::new());
    let progress = Progress::start(&Screen::new(Display::Hidden));
    let environment = Environment::default();
    let endpoint = format!("quay.io={}", world.source.url());
    let flags = into(Flags::default().with("endpoints", endpoint), &out);
    let pair = |name: &str| {
        Pairs::One(Pair {
            src: format!("quay.io/{name}"),
            target: format!("{}/copied/{name}", target.host()),
        })
    };

    let input = (&flags, &environment);
    Box::pin(copy(&pair("team/app:1"), input, &progress, &stop)).await?;
    assert!(target.tags("copied/team/app").contains(&"1".to_owned()));
    assert!(out.path().join("replication_report.json").exists());
    let failed = Box::pin(copy(&pair("team/none:1"), input, &progress, &stop)).await;
    assert!(!is_input(&failed.expect_err("the source does not have it")));
    let no_list = Pairs::File(out.path().join("none.json"));
    let refused = Box::pin(copy(&no_list, input, &progress, &stop)).await;
    assert!(is_input(&refused.expect_err("there is no such file")));
    Ok(())
}

#[tokio::test]
async fn a_program_diagnoses_with_the_library_alone() -> Result {
    let (world, target) = (World::start().await?, Registry::start().await?);
    let (environment, stop) = (Environment::default(), CancellationToken::new());
    let progress = Progress::start(&Screen::new(Display::Hidden));
    let (flags, options) = (flags(&world, &target), DiagnosisOptions::default());

    let refused = Box::pin(diagnose(&flags, &environment, &options, &progress, &stop)).await;
    assert!(is_input(&refused.expect_err("no EKS version")));
    let flags = flags.with("eks_version", "1.34");
    let found = Box::pin(diagnose(&flags, &environment, &options, &progress, &stop)).await?;
    let is_broken = |one: &&doctor::Finding| one.state == doctor::State::Broken;
    assert_eq!(found.iter().filter(is_broken).count(), 0, "{found:?}");
    world.source.faults().add(Rule::new(Fault::status(403)));
    let found = Box::pin(diagnose(&flags, &environment, &options, &progress, &stop)).await?;
    let broken: Vec<_> = found.iter().filter(is_broken).collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_stopped_ends_at_once() -> Result {
    const PATIENCE: Duration = Duration::from_secs(20);
    let (world, target) = (World::start().await?, Registry::start().await?);
    for faults in [
        world.source.faults(),
        world.charts.faults(),
        target.faults(),
    ] {
        faults.add(Rule::new(Fault::Stall(3 * PATIENCE)));
    }
    let (environment, stop) = (Environment::default(), CancellationToken::new());
    let progress = Progress::start(&Screen::new(Display::Hidden));
    let sources = of_sources(&world);
    let flags = flags(&world, &target).with("eks_version", "1.34");
    let of_version = sources.clone().with("eks_version", "1.34");
    let out = tempfile::tempdir()?;
    let file = out.path().join("bundle.tar").display().to_string();
    let (saving, diagnosing) = (SaveOptions::default(), DiagnosisOptions::default());
    let query = Query {
        prefix: format!("{}/mirror/", target.host()),
        result: None,
        limit: 100,
    };

    let locked = lock(&of_version, &environment, &progress, &stop);
    let input = (&sources, &environment);
    let compared = compare("1.34", None, input, &progress, &stop);
    let diagnosed = diagnose(&flags, &environment, &diagnosing, &progress, &stop);
    let listed = list(&query, input, &progress, &stop);
    let saved = (&of_version, &environment);
    let saved = save(&file, &saving, saved, &progress, &stop);
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.cancel();
    };
    let (locked, compared, diagnosed, listed, saved, ()) = tokio::join!(
        timeout(PATIENCE, Box::pin(locked)),
        timeout(PATIENCE, Box::pin(compared)),
        timeout(PATIENCE, Box::pin(diagnosed)),
        timeout(PATIENCE, Box::pin(listed)),
        timeout(PATIENCE, Box::pin(saved)),
        stopping,
    );
    let errors = [
        locked?.err(),
        compared?.err(),
        diagnosed?.err(),
        listed?.err(),
        saved?.err(),
    ];
    for error in errors {
        let error = error.expect("it was stopped").to_string();
        assert!(error.starts_with("stopped before "), "{error}");
    }
    assert_eq!(std::fs::read_dir(out.path())?.count(), 0);
    Ok(())
}
