//! `doctor`: a healthy environment, and broken ones, each with its row and remedy.

mod keys;
mod sources;

use lab::aws::Aws;
use lab::registry::Registry;
use serde_json::Value;

use super::Result;
use super::data::Data;
use super::ecr::{image, seed_farmer};
use super::run::{Finished, Run};

/// An environment in which a deployment succeeds.
struct World {
    aws: Aws,
    source: Registry,
    data: Data,
}

impl World {
    async fn start() -> anyhow::Result<Self> {
        let (aws, source) = (Aws::start().await?, Registry::start().await?);
        image().push(&source, "team/app", "1")?;
        Ok(Self {
            aws,
            source,
            data: Data::images(&["docker.io/team/app:1"]),
        })
    }

    fn run(&self) -> Run {
        let run = self
            .data
            .given_to(Run::new().args(["doctor", "-o", "json"]));
        seed_farmer(run.envs(self.aws.env())).endpoint("docker.io", &self.source.url())
    }
}

/// The row of a check.
#[track_caller]
fn row(run: &Finished, check: &str) -> Value {
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let findings = document["findings"].as_array().expect("a list");
    let found = findings.iter().find(|one| one["check"] == check);
    found
        .unwrap_or_else(|| panic!("no row {check}: {}", run.stdout))
        .clone()
}

/// The one broken row, with what it says and the remedy.
#[track_caller]
fn broken(run: &Finished, check: &str, found: &str, remedy: &str) {
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let findings = document["findings"].as_array().expect("a list").iter();
    let broken: Vec<&Value> = findings.filter(|one| one["state"] == "broken").collect();
    let text = |field: &str| broken[0][field].as_str().unwrap_or_default();
    assert_eq!(broken.len(), 1, "{}", run.stdout);
    assert_eq!(text("check"), check, "{}", run.stdout);
    assert!(text("found").contains(found), "{}", run.stdout);
    assert!(text("remedy").contains(remedy), "{}", run.stdout);
}

#[tokio::test]
async fn a_healthy_environment_has_a_row_for_everything_and_nothing_is_written() -> Result {
    let world = World::start().await?;
    let run = world.run().run().await.ended(0);
    let checks = [
        "identity",
        "account",
        "partition",
        "region",
        "clock",
        "registry",
        "bucket",
        "may Repositories",
        "may ResultDocument",
        "quota PutImage",
        "quota builds",
        "source docker.io",
        "disk",
        "memory",
    ];
    for check in checks {
        assert_eq!(row(&run, check)["state"], "ok", "{check}: {}", run.stdout);
    }
    for call in world.aws.calls() {
        let reads = ["Get", "Head", "List", "Describe", "Simulate"];
        assert!(
            reads.iter().any(|read| call.action.starts_with(read)),
            "{call:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_table_fits_80_columns_and_has_the_remedy_below_its_row() -> Result {
    let world = World::start().await?;
    world.aws.deny("ecr:PutImage");
    let run = world.data.given_to(Run::new().arg("doctor"));
    let run = seed_farmer(run.envs(world.aws.env())).endpoint("docker.io", &world.source.url());
    let run = run.run().await.ended(1);
    assert!(
        run.stdout.contains("BROKEN   may Repositories"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("-> grant it; `replicator policy`"),
        "{}",
        run.stdout
    );
    let widest = run.stdout.lines().map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|widest| widest <= 80), "{}", run.stdout);
    Ok(())
}

#[tokio::test]
async fn credentials_that_aws_does_not_take() -> Result {
    let world = World::start().await?;
    world
        .aws
        .fail("GetCallerIdentity", "InvalidClientTokenId", 403, 99);
    let run = world.run().run().await.ended(1);
    broken(&run, "identity", "InvalidClientTokenId", "renew them");
    assert_eq!(row(&run, "permissions")["state"], "skipped");
    Ok(())
}

#[tokio::test]
async fn credentials_of_another_account() -> Result {
    let world = World::start().await?;
    let run = world.run().env("AWS_ACCOUNT_ID", "210987654321");
    let run = run.run().await.ended(1);
    let found = "AWS_ACCOUNT_ID is 210987654321, the credentials are of 123456789012";
    broken(&run, "account", found, "use credentials of 210987654321");
    Ok(())
}

#[tokio::test]
async fn a_permission_that_is_missing() -> Result {
    let world = World::start().await?;
    world.aws.deny("ecr:PutImage");
    let run = world.run().run().await.ended(1);
    let found = "may not ecr:PutImage on arn:aws:ecr:us-east-1:123456789012:repository/idf-";
    broken(&run, "may Repositories", found, "replicator policy");
    Ok(())
}

#[tokio::test]
async fn without_the_right_to_simulate_harmless_calls_check() -> Result {
    let world = World::start().await?;
    world.aws.deny("iam:SimulatePrincipalPolicy");
    let run = world.run().run().await.ended(0);
    let row = row(&run, "permissions");
    assert_eq!(row["state"], "warning", "{row}");
    assert!(
        row["remedy"]
            .as_str()
            .is_some_and(|text| text.contains("--role-arn"))
    );
    world.aws.deny("ecr:DescribeRepositories");
    let run = world.run().run().await.ended(1);
    broken(
        &run,
        "registry",
        "ecr:DescribeRepositories",
        "modulestack.yaml",
    );
    Ok(())
}

#[tokio::test]
async fn the_permissions_of_a_named_role_are_simulated() -> Result {
    let world = World::start().await?;
    let role = "arn:aws:iam::123456789012:role/path/my-role";
    let run = world.run().args(["--role-arn", role]).run().await.ended(0);
    assert_eq!(row(&run, "may OwnRole")["state"], "ok");
    let asked = world.aws.calls();
    let mut asked = asked
        .iter()
        .filter(|call| call.action == "SimulatePrincipalPolicy");
    assert!(asked.all(|call| call.resource == role));
    Ok(())
}

#[tokio::test]
async fn quotas_that_are_too_small() -> Result {
    let world = World::start().await?;
    world.aws.put_quota("codebuild", "L-2DC20C30", 0.0);
    let run = world.run().run().await.ended(1);
    broken(&run, "quota builds", "no build can start", "L-2DC20C30");
    let world = World::start().await?;
    world.aws.put_quota("ecr", "L-CFEB8E8D", 0.0);
    let run = world.run().run().await.ended(1);
    broken(&run, "quota repositories", "the plan adds 1", "L-CFEB8E8D");
    // What only takes longer is a warning.
    let world = World::start().await?;
    world.aws.put_quota("ecr", "L-AD52DFB2", 5.0);
    let run = world.run().run().await.ended(0);
    assert_eq!(row(&run, "quota PutImage")["state"], "warning");
    Ok(())
}

#[tokio::test]
async fn a_bucket_of_another_account() -> Result {
    let world = World::start().await?;
    world.aws.fail("HeadBucket", "AccessDenied", 403, 99);
    let run = world.run().run().await.ended(1);
    broken(
        &run,
        "bucket",
        "another account owns it",
        "rename the project",
    );
    Ok(())
}

#[tokio::test]
async fn a_clock_that_is_wrong() -> Result {
    let world = World::start().await?;
    world.aws.set_clock(600);
    let run = world.run().run().await.ended(1);
    broken(&run, "clock", "behind AWS", "synchronise");
    Ok(())
}

#[tokio::test]
async fn a_vpc_without_an_endpoint() -> Result {
    let world = World::start().await?;
    let service = |name: &str| format!("com.amazonaws.us-east-1.{name}");
    world
        .aws
        .put_vpc_endpoint("vpc-1", &service("ecr.api"), "Interface");
    world
        .aws
        .put_vpc_endpoint("vpc-1", &service("s3"), "Gateway");
    world
        .aws
        .put_vpc_endpoint("vpc-2", &service("ecr.dkr"), "Interface");
    let run = || world.run().args(["--vpc-id", "vpc-1"]);
    let ended = run().run().await.ended(1);
    let remedy = "create the interface endpoint for com.amazonaws.us-east-1.ecr.dkr in vpc-1";
    broken(&ended, "vpc ecr.dkr", "nodes cannot get manifests", remedy);
    world
        .aws
        .put_vpc_endpoint("vpc-1", &service("ecr.dkr"), "Interface");
    run().run().await.ended(0);
    Ok(())
}

#[tokio::test]
async fn another_registry_as_target_needs_no_account() -> Result {
    let world = World::start().await?;
    let run = world
        .data
        .run("doctor")
        .args(["-o", "json", "--registry-prefix", "oci:mirror"]);
    let run = run
        .endpoint("docker.io", &world.source.url())
        .run()
        .await
        .ended(0);
    assert_eq!(row(&run, "source docker.io")["state"], "ok");
    assert!(!run.stdout.contains("identity"), "{}", run.stdout);
    Ok(())
}
