//! What the program calls is what modulestack.yaml grants, and nothing more.

mod grants;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::aws::Aws;
use replication::settings::parameters::ALL;
use serde_json::Value;

use super::Result;
use super::corpus::skip;
use super::ecr::seed_farmer;
use super::run::Run;
use super::settings::KEY;

const TRUST_KEYS: &str =
    "arn:aws:kms:us-east-1:123456789012:key/1a, arn:aws:kms:eu-west-1:210987654321:key/2b";

/// The Python that `make module-lint` installs. Where it never ran there is nothing to check with.
fn python() -> Option<PathBuf> {
    let home = std::env::home_dir()?;
    let cache = home.join(".cache/replicator-module");
    let found = fs::read_dir(cache)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin/python")));
    found.filter(|python| python.exists()).max()
}

fn policy_script(python: &Path) -> Command {
    let mut script = Command::new(python);
    script.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/module/policy.py"));
    script
}

fn template_parameters(parameters: &[(&str, &str)]) -> Vec<String> {
    let given = parameters.iter();
    let given = given.map(|(name, value)| [String::from("--param"), format!("{name}={value}")]);
    given.flatten().collect()
}

/// What a command that succeeds prints.
fn said(mut command: Command) -> anyhow::Result<String> {
    let answer = command.output()?;
    let said = String::from_utf8_lossy(&answer.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{said}{stderr}");
    Ok(said)
}

/// `replicator policy` for the module's role, with parameters as the template names them.
fn policy(parameters: &[(&str, &str)]) -> Run {
    let run = seed_farmer(Run::new().args(["policy", "--role", "a-role"]))
        .env("AWS_ACCOUNT_ID", "123456789012")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_PARTITION", "aws");
    parameters.iter().fold(run, |run, (name, value)| {
        if *name == "ProjectName" {
            return run.env("SEEDFARMER_PROJECT_NAME", value);
        }
        let parameters = ALL.iter();
        let mut known = parameters.filter(|known| known.manifest == *name);
        run.env(&known.next().expect("a parameter").variable(), value)
    })
}

#[tokio::test]
async fn the_policy_that_is_printed_is_what_the_template_grants() -> Result {
    let Some(python) = python() else {
        skip("`make module-lint` has not installed its Python here");
        return Ok(());
    };
    let sets: [&[(&str, &str)]; 5] = [
        &[],
        &[("ProjectName", "MyProj-2"), ("FanOut", " OFF")],
        &[
            ("RetentionType", "Destroy"),
            ("KmsKeyArn", KEY),
            ("TrustKmsKeyArns", TRUST_KEYS),
        ],
        &[
            ("HelmRepoSecretName", "team/helm"),
            ("ReplicatorDistroUrl", "s3://tools/v1/replicator"),
            ("ReplicatorDistroSecretName", "distro"),
        ],
        &[
            (
                "HelmRepoSecretName",
                "arn:aws:secretsmanager:eu-west-1:210987654321:secret:helm",
            ),
            ("ImageTagMutability", "MUTABLE"),
            ("BlobMounting", "Enable"),
        ],
    ];
    for parameters in sets {
        let mut script = policy_script(&python);
        script.args(template_parameters(parameters));
        let granted: Value = serde_json::from_str(&said(script)?)?;
        let printed = policy(parameters).run().await.ended(0);
        let printed: Value = serde_json::from_str(&printed.stdout)?;
        // A project's name is a condition too, whose case does not count.
        let lower = |value: &Value| value.to_string().to_lowercase();
        let (printed, granted) = (&printed["Statement"], &granted);
        assert_eq!(lower(printed), lower(granted), "{parameters:?}");
        assert!(granted.as_array().is_some_and(|all| all.len() > 5));
    }
    Ok(())
}

#[tokio::test]
async fn a_policy_without_its_names_says_which_are_missing() {
    let run = Run::new().arg("policy").env("AWS_REGION", "us-east-1");
    let ended = run
        .env("SEEDFARMER_PROJECT_NAME", "idf")
        .run()
        .await
        .ended(2);
    for name in ["SEEDFARMER_DEPLOYMENT_NAME", "SEEDFARMER_MODULE_NAME"] {
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_boundary_holds_what_the_policy_grants_and_what_the_build_itself_does() -> Result {
    let inline = policy(&[]).run().await.ended(0);
    let boundary = policy(&[]).arg("--boundary").run().await.ended(0);
    let [inline, boundary] =
        [inline, boundary].map(|run| serde_json::from_str::<Value>(&run.stdout).expect("a policy"));
    let statements = |policy: &Value| policy["Statement"].as_array().cloned().expect("a list");
    let all = statements(&boundary);
    for granted in statements(&inline) {
        assert!(all.contains(&granted), "{granted}");
    }
    let text = boundary.to_string();
    for needed in ["logs:PutLogEvents", "ssm:PutParameter", "seedfarmer-idf*"] {
        assert!(text.contains(needed), "{needed}");
    }
    Ok(())
}

#[tokio::test]
async fn whose_policy_it_is_comes_from_the_credentials_where_nothing_else_says_it() -> Result {
    let arn = "arn:aws-cn:sts::123456789012:assumed-role/MyRole/session";
    let aws = Aws::builder().arn(arn).start().await?;
    let run = seed_farmer(Run::new().arg("policy").envs(aws.env()));
    let printed = run.run().await.ended(0).stdout;
    assert!(printed.contains("arn:aws-cn:iam::123456789012:role/MyRole"));
    let user = Aws::builder().arn("arn:aws:iam::123456789012:user/me");
    let aws = user.start().await?;
    let run = seed_farmer(Run::new().arg("policy").envs(aws.env()));
    let ended = run.run().await.ended(2);
    assert!(ended.stderr.contains("--role"), "{}", ended.stderr);
    Ok(())
}
