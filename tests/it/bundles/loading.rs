//! What is loaded is what a deployment copies.

use std::fs;

use lab::aws::Aws;
use lab::registry::Registry;

use crate::Result;
use crate::ecr::seed_farmer;
use crate::run::Run;

use super::{Sources, content, files, image, load, names, without};

#[tokio::test]
async fn what_is_loaded_into_a_folder_is_what_a_deployment_copies() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let at = |name: &str| parent.path().join(name);
    let prefix = |name: &str| format!("oci:{}", at(name).display());
    let direct = sources
        .run("deploy")
        .args(["--registry-prefix", &prefix("direct")]);
    let direct = direct.run().await.ended(0);
    sources.save(&at("bundle.tar")).await.ended(0);
    drop(sources);
    let loaded = load(&at("bundle.tar"), &prefix("loaded"))
        .run()
        .await
        .ended(0);
    assert_eq!(names(&at("loaded"))?, names(&at("direct"))?);
    assert_eq!(files(&at("loaded"))?, files(&at("direct"))?);
    assert_eq!(
        without(&loaded.result(), &format!("{}:", prefix("loaded"))),
        without(&direct.result(), &format!("{}:", prefix("direct")))
    );
    Ok(())
}

#[tokio::test]
async fn what_is_loaded_into_a_registry_is_what_a_deployment_copies() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let (direct, target) = (Registry::start().await?, Registry::start().await?);
    let bundle = parent.path().join("bundle.tar");
    let prefix = |registry: &Registry| format!("{}/mirror/", registry.host());
    let deployed = sources
        .data
        .deploy(&direct)
        .endpoint("quay.io", &sources.registry.url());
    let deployed = deployed.run().await.ended(0);
    sources.save(&bundle).await.ended(0);
    drop(sources);
    let loaded = load(&bundle, &prefix(&target)).run().await.ended(0);
    assert_eq!(content(&target), content(&direct));
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    assert_eq!(
        without(&loaded.result(), &prefix(&target)),
        without(&deployed.result(), &prefix(&direct))
    );
    assert_eq!(
        loaded.json("replication_closure.json")["totals"],
        deployed.json("replication_closure.json")["totals"]
    );
    let again = load(&bundle, &prefix(&target)).run().await.ended(0);
    assert!(again.done().iter().all(|(_, done)| done == "already there"));
    Ok(())
}

#[tokio::test]
async fn what_is_loaded_into_ecr_is_what_a_deployment_copies_and_is_published() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let (direct, target) = (Aws::start().await?, Aws::start().await?);
    let bundle = parent.path().join("bundle.tar");
    let module = |run: Run, aws: &Aws| seed_farmer(run.envs(aws.env())).out();
    let deployed = module(sources.data.given_to(Run::new().arg("deploy")), &direct);
    let deployed = deployed
        .endpoint("quay.io", &sources.registry.url())
        .run()
        .await
        .ended(0);
    sources.save(&bundle).await.ended(0);
    drop(sources);
    // In a build, with nothing but variables.
    let build =
        module(Run::new().arg("deploy"), &target).env("SEEDFARMER_PARAMETER_BUNDLE", &bundle);
    let loaded = build.run().await.ended(0);
    assert_eq!(content(target.registry()), content(direct.registry()));
    assert_eq!(loaded.result(), deployed.result());
    let object = |aws: &Aws| {
        aws.object(
            "idf-dkr-img-rep-md-us-east-1-123456789012",
            "dev-replication-images-metadata.json",
        )
    };
    assert!(object(&target).is_some());
    assert_eq!(object(&target), object(&direct));
    assert!(loaded.work_file("SEEDFARMER_MODULE_METADATA").is_some());
    Ok(())
}

#[tokio::test]
async fn a_bundle_of_another_version_is_not_loaded() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let bundle = parent.path().join("bundle.tar");
    sources.save(&bundle).await.ended(0);
    let run = load(&bundle, "oci:mirror")
        .args(["--eks-version", "1.33"])
        .run()
        .await
        .ended(2);
    run.said(&["eks-version 1.33", "is of EKS 1.34"])
        .left_nothing();
    Ok(())
}

#[tokio::test]
async fn a_locked_load_keeps_to_the_lock_in_the_bundle() -> Result {
    for platforms in [&[][..], &["--platforms", "linux/arm64"]] {
        let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
        let (direct, target) = (Registry::start().await?, Registry::start().await?);
        let bundle = parent.path().join("bundle.tar");
        let prefix = |registry: &Registry| format!("{}/mirror/", registry.host());
        // A selection of platforms changes digests, which this image pins.
        let default = sources.data.file_path("default.yaml");
        let text = fs::read_to_string(&default)?;
        let unpinned = text.lines().filter(|line| !line.starts_with("  pinned:"));
        fs::write(&default, unpinned.collect::<Vec<_>>().join("\n"))?;
        let save = sources.run("save").args(platforms).arg(&bundle);
        save.run().await.ended(0);
        drop(sources);
        let plain = load(&bundle, &prefix(&direct)).args(platforms);
        let plain = plain.run().await.ended(0);
        // The second time everything is there.
        for done in ["copied", "already there"] {
            let run = load(&bundle, &prefix(&target)).args(platforms);
            let loaded = run.arg("--locked").run().await.ended(0);
            assert!(
                loaded.done().iter().all(|(_, one)| one == done),
                "{:?}",
                loaded.done()
            );
            assert_eq!(content(&target), content(&direct));
            assert_eq!(
                without(&loaded.result(), &prefix(&target)),
                without(&plain.result(), &prefix(&direct))
            );
            loaded.said(&["bundle.tar (replicator/1.34.lock.json) has is copied"]);
        }
        let planned = load(&bundle, &prefix(&target)).args(platforms);
        planned.args(["--locked", "--dry-run"]).run().await.ended(0);
    }
    Ok(())
}

#[tokio::test]
async fn a_bundle_of_another_lock_or_of_other_parameters_is_not_loaded() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let (bundle, approved) = (
        parent.path().join("bundle.tar"),
        parent.path().join("approved.json"),
    );
    let lock = sources.run("lock").arg("--lock").arg(&approved);
    lock.run().await.ended(0);
    image(9).push(&sources.registry, "team/docker", "1")?;
    sources.save(&bundle).await.ended(0);
    let refused = load(&bundle, "oci:mirror").arg("--lock").arg(&approved);
    let refused = refused.run().await.ended(2).left_nothing();
    refused.said(&["bundle.tar", "it does not have quay.io/team/docker:1"]);
    let refused = load(&bundle, "oci:mirror").args(["--locked", "--platforms", "linux/arm64"]);
    let refused = refused.run().await.ended(2).left_nothing();
    refused.said(&[
        "Platforms was all when it was locked, and is linux/arm64 now",
        "load the bundle with the parameters that it was saved with",
    ]);
    Ok(())
}
