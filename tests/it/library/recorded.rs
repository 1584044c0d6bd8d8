//! What a deployment recorded, looked at with the library: verified, published again, listed.

use lab::registry::Registry;
use oci_copy::verify::State;
use replication::deploy::deploy;
use replication::document_location::{self, DocumentLocation};
use replication::listing::{Query, list};
use replication::problem::is_input;
use replication::progress::{Display, Progress, Screen};
use replication::rollback::Rollback;
use replication::session::Session;
use replication::settings::{Environment, Flags};
use replication::verification::DeploymentRecord;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{flags, into};
use crate::Result;
use crate::locking::World;

/// A deployment into a folder's results, and what the library is called with.
struct Deployed {
    world: World,
    target: Registry,
    out: TempDir,
    flags: Flags,
    environment: Environment,
    stop: CancellationToken,
}

impl Deployed {
    async fn start() -> anyhow::Result<Self> {
        let (world, target) = (World::start().await?, Registry::start().await?);
        let out = tempfile::tempdir()?;
        let flags = flags(&world, &target).with("eks_version", "1.34");
        let deployed = Self {
            flags: into(flags, &out),
            world,
            target,
            out,
            environment: Environment::default(),
            stop: CancellationToken::new(),
        };
        deployed.deploy().await?;
        Ok(deployed)
    }

    async fn deploy(&self) -> anyhow::Result<()> {
        let progress = Progress::start(&Screen::new(Display::Hidden));
        Box::pin(deploy(
            &self.flags,
            &self.environment,
            &progress,
            &self.stop,
        ))
        .await
    }

    fn result(&self) -> std::io::Result<String> {
        std::fs::read_to_string(self.out.path().join("replication_result.json"))
    }
}

#[tokio::test]
async fn a_program_verifies_with_the_library_alone() -> Result {
    let deployed = Deployed::start().await?;
    let progress = Progress::start(&Screen::new(Display::Hidden));
    let (out, flags) = (deployed.out.path(), Flags::default());
    let environment = &deployed.environment;
    let (settings, location) = document_location::find(None, Some(out), &flags, environment)?;
    let session = Session::open(settings, &deployed.stop)?;
    let record = DeploymentRecord::read(&location, &session).await?;
    assert!(record.warnings().is_empty());

    let found = record.check(&session, &progress).await;
    found.check()?;
    assert_eq!(found.count(State::There), 3);
    let proof = record.prove(&session, &progress).await?;
    assert_eq!((proof.charts, proof.problems.len()), (1, 0));
    let no_key = out.join("no.pem").display().to_string();
    let refused = record.check_attestations(&no_key, &session, &progress);
    assert!(is_input(&refused.await.expect_err("there is no such file")));

    deployed
        .target
        .remove_manifest("mirror/quay.io/team/tool", "2");
    let found = record.check(&session, &progress).await;
    let failed = found.check().expect_err("an image is missing").to_string();
    assert!(
        failed.starts_with("1 missing of 3 artifacts in "),
        "{failed}"
    );
    let document = found.to_document(Some(proof), None);
    assert_eq!(document.totals["missing"], 1);
    assert_eq!(document.proof.map(|proof| proof.charts), Some(1));

    let nowhere = DocumentLocation::File(out.join("none.json"));
    let missing = DeploymentRecord::read(&nowhere, &session).await;
    assert!(is_input(&missing.expect_err("there is no such file")));
    Ok(())
}

#[tokio::test]
async fn a_program_rolls_back_with_the_library_alone() -> Result {
    let deployed = Deployed::start().await?;
    let progress = Progress::start(&Screen::new(Display::Hidden));
    let first = deployed.result()?;
    let data = deployed.world.data.file_path("default.yaml");
    let text = std::fs::read_to_string(&data)?;
    std::fs::write(&data, text.replace("  tool: ", "  second: "))?;
    deployed.deploy().await?;
    let second = deployed.result()?;
    assert_ne!(first, second);

    let rollback = Rollback::open(&deployed.flags, &deployed.environment, &deployed.stop)?;
    let history = rollback.history().await?;
    assert!(history.is_folder && history.kept.len() == 1);
    let current = history.current.expect("a result");
    assert_ne!(current.mark, history.kept[0].name.mark());
    let candidate = rollback.read("1", false).await?;
    let checked = rollback.check(&candidate, &progress).await?;
    let tried = rollback.publish(&checked, true).await?;
    assert!(!tried.was_current && tried.kept.is_none());
    assert_eq!(deployed.result()?, second);

    let done = rollback.publish(&checked, false).await?;
    assert_eq!(
        (done.artifacts, done.place.as_str()),
        (3, history.place.as_str())
    );
    assert_eq!(done.kept.expect("the second").mark(), current.mark);
    assert_eq!(deployed.result()?, first);

    deployed
        .target
        .remove_manifest("mirror/quay.io/team/tool", "2");
    let candidate = rollback.read("1", false).await?;
    let checked = rollback.check(&candidate, &progress).await?;
    assert_eq!(checked.findings().count(State::Missing), 1);
    let refused = rollback.publish(&checked, false).await;
    assert!(refused.is_err(), "an image is missing");
    assert_eq!(deployed.result()?, first);
    let unknown = rollback.read("2", false).await;
    assert!(is_input(&unknown.expect_err("one is kept")));
    Ok(())
}

#[tokio::test]
async fn a_program_lists_with_the_library_alone() -> Result {
    let deployed = Deployed::start().await?;
    let progress = Progress::start(&Screen::new(Display::Hidden));
    let result = deployed.out.path().join("replication_result.json");
    let query = Query {
        prefix: format!("{}/mirror/", deployed.target.host()),
        result: Some(result.display().to_string()),
        limit: 100,
    };
    let flags = Flags::default();
    let input = (&flags, &deployed.environment);
    deployed
        .target
        .remove_manifest("mirror/quay.io/team/tool", "2");
    let (listing, totals) = Box::pin(list(&query, input, &progress, &deployed.stop)).await?;
    assert_eq!(listing.missing.len(), 1, "{listing:?}");
    assert_eq!(totals.expect("of a chart").gaps, 0);
    Ok(())
}
