//! What the program calls is what modulestack.yaml grants, and nothing more.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lab::aws::Aws;
use lab::chart::{Chart, ChartRepository};
use lab::faults::{Fault, Rule};
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::corpus::skip;
use super::data::Data;
use super::ecr::{build, image, seed_farmer};
use super::run::Run;

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/4f5e";
const LIFECYCLE: &str = r#"{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 9}, "action": {"type": "expire"}}]}"#;
const POLICY: &str = r#"{"Statement": []}"#;

/// The IAM actions behind a request to a registry (ECR's guide, "Private registry authentication").
fn registry_actions(action: &str) -> &'static [&'static str] {
    match action {
        "manifest.get" | "manifest.head" | "referrers.list" => &["ecr:BatchGetImage"],
        "manifest.put" => &["ecr:PutImage"],
        "blob.get" => &["ecr:GetDownloadUrlForLayer"],
        "blob.head" => &["ecr:BatchCheckLayerAvailability"],
        "blob.mount" => &["ecr:InitiateLayerUpload", "ecr:GetDownloadUrlForLayer"],
        "upload.start" => &["ecr:InitiateLayerUpload"],
        "upload.put" => &["ecr:UploadLayerPart", "ecr:CompleteLayerUpload"],
        other => panic!("it is not known what `{other}` needs"),
    }
}

/// The IAM actions behind a call. S3's names of calls and actions differ.
fn call_actions(service: &str, action: &str) -> Vec<String> {
    let actions: &[&str] = match (service, action) {
        ("sts", _) => &[],
        ("ecr", "CreateRepository") => &["CreateRepository", "TagResource"],
        ("s3", "HeadBucket" | "ListObjectsV2") => &["ListBucket"],
        ("s3", "PutPublicAccessBlock") => &["PutBucketPublicAccessBlock"],
        ("s3", "GetPublicAccessBlock") => &["GetBucketPublicAccessBlock"],
        ("s3", "PutBucketEncryption") => &["PutEncryptionConfiguration"],
        ("s3", "GetBucketEncryption") => &["GetEncryptionConfiguration"],
        (_, action) => &[action],
    };
    actions
        .iter()
        .map(|action| format!("{service}:{action}"))
        .collect()
}

fn arn(service: &str, action: &str, resource: &str) -> String {
    let unbound = [
        "GetAuthorizationToken",
        "GetAccountSetting",
        "PutAccountSetting",
    ];
    match service {
        "ecr" if unbound.contains(&action) => "*".to_owned(),
        "ecr" if resource.is_empty() => {
            "arn:aws:ecr:us-east-1:123456789012:repository/*".to_owned()
        }
        "ecr" => {
            let name = resource
                .rsplit_once("repository/")
                .map_or(resource, |(_, name)| name);
            format!("arn:aws:ecr:us-east-1:123456789012:repository/{name}")
        }
        "s3" => format!("arn:aws:s3:::{resource}"),
        "iam" => format!("arn:aws:iam::123456789012:role/{resource}"),
        "codebuild" => {
            // Builds are authorised by their project (CodeBuild's guide, "Permissions reference").
            let project = resource.split(':').next().unwrap_or(resource);
            format!("arn:aws:codebuild:us-east-1:123456789012:project/{project}")
        }
        "secretsmanager" => {
            format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{resource}-a1B2c3")
        }
        // STS asks for no permission.
        _ => "*".to_owned(),
    }
}

/// All calls that were made, as the check of the template wants them.
fn calls(aws: &Aws) -> Value {
    let context = json!({
        "aws:ResourceTag/SeedFarmerProjectName": "idf",
        "iam:PassedToService": "codebuild.amazonaws.com",
    });
    let mut calls = Vec::new();
    for call in aws.calls() {
        // Who starts a build with a role passes that role on.
        if call.action == "StartBuild" {
            let role = arn("iam", "PassRole", "a-role");
            calls.push(json!({"action": "iam:PassRole", "resource": role, "context": context}));
        }
        let resource = arn(call.service, &call.action, &call.resource);
        for action in call_actions(call.service, &call.action) {
            calls.push(json!({"action": action, "resource": resource, "context": context}));
        }
    }
    for request in aws.registry().wire().requests() {
        let path = request.path.trim_start_matches("/v2/");
        let end = ["/manifests/", "/blobs/", "/referrers/"]
            .iter()
            .filter_map(|part| path.find(part))
            .min();
        let name = &path[..end.expect("a repository's request")];
        for action in registry_actions(&request.action) {
            let resource = arn("ecr", "", name);
            calls.push(json!({"action": action, "resource": resource, "context": context}));
        }
    }
    Value::Array(calls)
}

fn actions(calls: &Value) -> BTreeSet<String> {
    let calls = calls.as_array().expect("a list").iter();
    calls
        .filter_map(|call| call["action"].as_str().map(str::to_owned))
        .collect()
}

/// The Python that `make module-lint` installs. Where it never ran there is nothing to check with.
fn python() -> Option<PathBuf> {
    let home = std::env::home_dir()?;
    let cache = home.join(".cache/replicator-module");
    let found = fs::read_dir(cache)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin/python")));
    found.filter(|python| python.exists()).max()
}

/// Asks the template, resolved for parameters, about calls; with `strict`, an action that is granted
/// and never used is a failure.
fn assert_granted(
    python: &Path,
    parameters: &[(&str, &str)],
    calls: &Value,
    strict: bool,
) -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("calls.json");
    fs::write(&file, calls.to_string())?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/module/policy.py");
    let mut check = Command::new(python);
    check.arg(script).arg("--calls").arg(file);
    check.args(strict.then_some("--strict"));
    for (name, value) in parameters {
        check.arg("--param").arg(format!("{name}={value}"));
    }
    let answer = check.output()?;
    let said = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(
        answer.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&answer.stderr)
    );
    Ok(())
}

#[tokio::test]
async fn every_call_is_granted_and_every_grant_is_called() -> Result {
    let Some(python) = python() else {
        skip("`make module-lint` has not installed its Python here");
        return Ok(());
    };
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let first = image().push(&source, "team/app", "1")?;
    first.attach(&source, "application/spdx+json")?;
    let data = Data::images(&["quay.io/team/app:1"]);

    // With no parameter but the version.
    build(&aws, &data, &source).run().await.ended(0);
    assert_granted(&python, &[("ProjectName", "Idf")], &calls(&aws), false)?;

    // With all of them: what a new repository needs, what an existing one needs, and the end.
    aws.put_secret("sources", r#"{"username": "me", "password": "p"}"#);
    let with_settings = |run: Run| {
        run.env(
            "SEEDFARMER_PARAMETER_CUSTOM_TAGS",
            r#"{"team": "platform"}"#,
        )
        .env("SEEDFARMER_PARAMETER_IMAGE_TAG_MUTABILITY", "IMMUTABLE")
        .env("SEEDFARMER_PARAMETER_SCAN_ON_PUSH", "true")
        .env("SEEDFARMER_PARAMETER_LIFECYCLE_POLICY", LIFECYCLE)
        .env("SEEDFARMER_PARAMETER_REPOSITORY_POLICY", POLICY)
        .env("SEEDFARMER_PARAMETER_KMS_KEY_ARN", KEY)
        .env("SEEDFARMER_PARAMETER_BLOB_MOUNTING", "enable")
        .env("SEEDFARMER_PARAMETER_BUCKET_VERSIONING", "true")
        .env("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "sources")
    };
    with_settings(build(&aws, &data, &source))
        .run()
        .await
        .ended(0);
    // Something new for a repository that exists, and for another one that mounts from it.
    aws.registry().change_ecr(|ecr| ecr.blob_mounting = true);
    let next = image().layer(100, 7);
    next.push(&source, "team/app", "2")?;
    next.push(&source, "team/more", "2")?;
    let data = Data::images(&["quay.io/team/app:2", "quay.io/team/more:2"]);
    with_settings(build(&aws, &data, &source))
        .run()
        .await
        .ended(0);
    // More builds, one of which is still queued at the end.
    image().layer(200, 8).push(&source, "team/app", "3")?;
    let data = Data::images(&["quay.io/team/app:3"]);
    aws.builds().set_limit(Some(1));
    let pause = Fault::Stall(Duration::from_secs(2));
    source.faults().add(Rule::new(pause).on("GET", "/blobs/"));
    let spread = with_settings(build(&aws, &data, &source))
        .envs(aws.begin_build("codeseeder-idf"))
        .env("SEEDFARMER_PARAMETER_FAN_OUT", "2");
    spread.run().await.ended(0);
    // A chart, with its proof beside the result, which is proved again.
    let chart = Chart::new("app", "1.0.0")
        .values("image: quay.io/team/app:1\n")
        .file(
            "templates/x.yaml",
            "kind: Pod\nspec: {image: {{ .Values.image }}}\n",
        );
    let charts = ChartRepository::start(vec![chart]).await?;
    let listed = "    images: {app: {repository: {location: values, path: image}}}\n";
    let data = Data::chart(&charts.url(), listed);
    build(&aws, &data, &source).run().await.ended(0);
    let verify = Run::new().args(["verify", "--prove"]).envs(aws.env());
    seed_farmer(verify).run().await.ended(0);
    let end = seed_farmer(Run::new().arg("destroy").envs(aws.env()));
    end.env("SEEDFARMER_PARAMETER_RETENTION_TYPE", "DESTROY")
        .run()
        .await
        .ended(0);

    let parameters = [
        ("ProjectName", "Idf"),
        ("RetentionType", "DESTROY"),
        ("HelmRepoSecretName", "sources"),
        ("ImageTagMutability", "IMMUTABLE"),
        ("BlobMounting", "enable"),
    ];
    let all = calls(&aws);
    assert!(actions(&all).len() > 25, "{:?}", actions(&all));
    assert_granted(&python, &parameters, &all, true)
}

#[tokio::test]
async fn without_destroy_nothing_that_deletes_is_granted() -> Result {
    let Some(python) = python() else {
        skip("`make module-lint` has not installed its Python here");
        return Ok(());
    };
    let delete = json!([{"action": "ecr:DeleteRepository", "resource": arn("ecr", "", "idf-a")}]);
    assert_granted(&python, &[("RetentionType", " Destroy")], &delete, false)?;
    let refused = std::panic::catch_unwind(|| assert_granted(&python, &[], &delete, false));
    assert!(refused.is_err(), "deleting is granted without DESTROY");
    Ok(())
}
