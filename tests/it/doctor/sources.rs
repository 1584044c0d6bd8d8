//! Sources that a deployment cannot read.

use lab::faults::{Fault, Rule};

use crate::Result;
use crate::data::Data;
use crate::ecr::seed_farmer;
use crate::run::Run;

use super::{World, broken};

/// What a registry answers to each HEAD of a manifest.
fn answers(status: u16, headers: &[(&str, &str)]) -> Rule {
    let headers = headers.iter();
    let fault = Fault::Answer {
        status,
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: String::new(),
    };
    Rule::new(fault).on("HEAD", "/manifests/")
}

#[tokio::test]
async fn a_source_that_cannot_be_reached() -> Result {
    let world = World::start().await?;
    let run = world
        .data
        .given_to(Run::new().args(["doctor", "-o", "json", "--tries", "1"]));
    let run = seed_farmer(run.envs(world.aws.env())).endpoint("docker.io", "http://127.0.0.1:9");
    let run = run.run().await.ended(1);
    broken(&run, "source docker.io", "127.0.0.1:9", "reach");
    Ok(())
}

#[tokio::test]
async fn a_source_that_refuses_the_login() -> Result {
    let world = World::start().await?;
    world.source.faults().add(answers(401, &[]));
    let run = world
        .run()
        .login("docker.io", "me", "wrong")
        .run()
        .await
        .ended(1);
    broken(&run, "source docker.io", "401", "credentials for this host");
    Ok(())
}

#[tokio::test]
async fn an_image_that_does_not_exist() -> Result {
    let mut world = World::start().await?;
    world.data = Data::images(&["docker.io/team/none:1"]);
    let run = world.run().run().await.ended(1);
    broken(
        &run,
        "source docker.io",
        "team/none:1 does not exist",
        "data files",
    );
    Ok(())
}

#[tokio::test]
async fn a_limit_of_pulls_that_is_used_up() -> Result {
    let world = World::start().await?;
    let says = answers(200, &[("ratelimit-remaining", "0;w=21600")]);
    world.source.faults().add(says);
    let run = world.run().run().await.ended(1);
    broken(&run, "pulls docker.io", "0 pulls left", "mirror");
    Ok(())
}

#[tokio::test]
async fn a_secret_that_does_not_exist() -> Result {
    let world = World::start().await?;
    let run = world
        .run()
        .env("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "none");
    let run = run.run().await.ended(1);
    broken(
        &run,
        "secret",
        "ResourceNotFoundException",
        "HelmRepoSecretName",
    );
    Ok(())
}
