//! What is granted is what is called.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use lab::aws::{Aws, KeySpec};
use lab::chart::{Chart, ChartRepository};
use lab::content::Descriptor;
use lab::faults::{Fault, Rule};
use lab::registry::Registry;
use serde_json::{Value, json};

use crate::bundles::Sources;
use crate::corpus::skip;
use crate::data::Data;
use crate::ecr::{build, image, seed_farmer};
use crate::pruning_world::{APP, World};
use crate::run::Run;
use crate::settings::{KEY, with_settings};
use crate::signer::Signer;
use crate::{Result, trust};

use super::{policy, policy_script, python, said, template_parameters};

/// The IAM actions behind a request to a registry (ECR's guide, "Private registry authentication").
fn registry_actions(action: &str) -> &'static [&'static str] {
    match action {
        "manifest.get" | "manifest.head" => &["ecr:BatchGetImage"],
        "referrers.list" => &["ecr:BatchGetImage", "ecr:ListImageReferrers"],
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
        ("s3", "HeadObject") => &["GetObject"],
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
        _ if service == "kms" => resource.to_owned(),
        _ => "*".to_owned(),
    }
}

/// All calls that were made, as the check of the template wants them.
fn calls(aws: &Aws) -> Value {
    let context = json!({
        "aws:ResourceTag/SeedFarmerProjectName": "idf",
        "aws:ResourceTag/ManagedBy": "replicator",
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
        let name = &path[..end.unwrap_or_else(|| panic!("{}", request.path))];
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

/// What grants.
#[derive(Clone, Copy)]
enum Grants<'a> {
    /// The template, resolved for parameters.
    Template(&'a [(&'a str, &'a str)]),
    /// What `replicator policy` printed.
    Policy(&'a str),
}

/// Asks about calls; with `strict`, an action that is granted and never used is a failure.
fn assert_granted(python: &Path, grants: Grants, calls: &Value, strict: bool) -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("calls.json");
    fs::write(&file, calls.to_string())?;
    let mut check = policy_script(python);
    check.arg("--calls").arg(file);
    check.args(strict.then_some("--strict"));
    match grants {
        Grants::Template(parameters) => {
            check.args(template_parameters(parameters));
        }
        Grants::Policy(text) => {
            let policy = folder.path().join("policy.json");
            fs::write(&policy, text)?;
            check.arg("--statements").arg(policy);
        }
    }
    said(check)?;
    Ok(())
}

#[tokio::test]
async fn the_partition_of_a_policy_is_the_regions_and_no_call_is_made() {
    for (region, partition) in [
        ("eu-west-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
    ] {
        let run = Run::new().args(["policy", "--project", "idf", "--deployment", "dev"]);
        let run = run.args(["--module", "replication-images", "--role", "r"]);
        let run = run.args(["--account", "123456789012", "--region", region]);
        let printed = run.run().await.ended(0);
        let arn = format!("arn:{partition}:ecr:{region}:123456789012:repository/");
        assert!(printed.stdout.contains(&arn), "{}", printed.stdout);
    }
}

#[tokio::test]
async fn what_prune_calls_is_what_the_policy_for_it_grants() -> Result {
    let Some(python) = python() else {
        skip("`make module-lint` has not installed its Python here");
        return Ok(());
    };
    let world = World::start().await?;
    world.push(APP, "1", &image())?;
    world.publish("dev", &[]);
    world.plan(&[]).await;
    let apply = world.prune(&["--apply", "prune-plan.json"]);
    apply.run().await.ended(0);
    let run = Run::new().args(["policy", "--for", "prune", "--project", "Idf"]);
    let run = run.args(["--account", "123456789012", "--region", "us-east-1"]);
    let printed = run.run().await.ended(0);
    let granted = Grants::Policy(&printed.stdout);
    assert_granted(&python, granted, &calls(&world.aws), true)?;
    let both = Run::new().args(["policy", "--for", "prune", "--boundary"]);
    both.run().await.ended(2);
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
    let granted = Grants::Template(&[("ProjectName", "Idf")]);
    assert_granted(&python, granted, &calls(&aws), false)?;

    // With all of them: what a new repository needs, what an existing one needs, and the end.
    let key = aws.put_key(KeySpec::P256);
    aws.put_secret("sources", r#"{"username": "me", "password": "p"}"#);
    let with_all = |run: Run| {
        with_settings(run)
            .env("SEEDFARMER_PARAMETER_KMS_KEY_ARN", KEY)
            .env("SEEDFARMER_PARAMETER_ATTESTATION_KMS_KEY_ARN", &key)
            .env("SEEDFARMER_PARAMETER_BLOB_MOUNTING", "enable")
            .env("SEEDFARMER_PARAMETER_BUCKET_VERSIONING", "true")
            .env("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "sources")
    };
    with_all(build(&aws, &data, &source)).run().await.ended(0);
    // Something new for a repository that exists, and for another one that mounts from it.
    aws.registry().change_ecr(|ecr| ecr.blob_mounting = true);
    let next = image().layer(100, 7);
    next.push(&source, "team/app", "2")?;
    next.push(&source, "team/more", "2")?;
    // Which a key of KMS has signed.
    let trusted = aws.put_key(KeySpec::P256);
    let signer = Signer::of_kms(&aws, &trusted);
    for repository in ["team/app", "team/more"] {
        let (kind, bytes, digest) = source.manifest(repository, "2").expect("an image");
        let root = Descriptor::of(&kind, &bytes);
        assert_eq!(root.digest, digest);
        signer.sign_bundle(&source, repository, &root)?;
    }
    let rules = format!("  - {{match: quay.io, cosign: {{key: \"awskms:///{trusted}\"}}}}\n");
    let data = trust::data(&["quay.io/team/app:2", "quay.io/team/more:2"], &rules);
    with_all(build(&aws, &data, &source))
        .env("SEEDFARMER_PARAMETER_TRUST", "require")
        .env("SEEDFARMER_PARAMETER_TRUST_KMS_KEY_ARNS", &trusted)
        .run()
        .await
        .ended(0);
    // More builds, one of which is still queued at the end.
    image().layer(200, 8).push(&source, "team/app", "3")?;
    let data = Data::images(&["quay.io/team/app:3"]);
    aws.builds().set_limit(Some(1));
    let pause = Fault::Stall(Duration::from_secs(2));
    source.faults().add(Rule::new(pause).on("GET", "/blobs/"));
    let spread = with_all(build(&aws, &data, &source))
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
        ("AttestationKmsKeyArn", key.as_str()),
        ("TrustKmsKeyArns", trusted.as_str()),
    ];
    let all = calls(&aws);
    assert!(actions(&all).len() > 25, "{:?}", actions(&all));
    assert_granted(&python, Grants::Template(&parameters), &all, true)?;
    let printed = policy(&parameters).run().await.ended(0).stdout;
    assert_granted(&python, Grants::Policy(&printed), &all, true)
}

#[tokio::test]
async fn a_bundle_in_a_bucket_may_be_read_and_nothing_else_of_the_bucket() -> Result {
    let Some(python) = python() else {
        skip("`make module-lint` has not installed its Python here");
        return Ok(());
    };
    let (aws, parent) = (Aws::start().await?, tempfile::tempdir()?);
    let bundle = parent.path().join("bundle.tar");
    Sources::start().await?.save(&bundle).await.ended(0);
    aws.put_bucket("carried");
    aws.put_object("carried", "2026/bundle.tar", fs::read(&bundle)?);
    let place = "s3://carried/2026/bundle.tar";
    let run = seed_farmer(Run::new().arg("deploy").envs(aws.env())).out();
    run.env("SEEDFARMER_PARAMETER_BUNDLE", place)
        .run()
        .await
        .ended(0);
    let all = calls(&aws);
    assert_granted(&python, Grants::Template(&[("Bundle", place)]), &all, false)?;
    let refused =
        std::panic::catch_unwind(|| assert_granted(&python, Grants::Template(&[]), &all, false));
    assert!(
        refused.is_err(),
        "the bundle may be read without the parameter"
    );
    Ok(())
}

#[tokio::test]
async fn without_destroy_nothing_that_deletes_is_granted() -> Result {
    let Some(python) = python() else {
        skip("`make module-lint` has not installed its Python here");
        return Ok(());
    };
    let delete = json!([{"action": "ecr:DeleteRepository", "resource": arn("ecr", "", "idf-a")}]);
    let destroys = Grants::Template(&[("RetentionType", " Destroy")]);
    assert_granted(&python, destroys, &delete, false)?;
    let keeps = Grants::Template(&[]);
    let refused = std::panic::catch_unwind(|| assert_granted(&python, keeps, &delete, false));
    assert!(refused.is_err(), "deleting is granted without DESTROY");
    Ok(())
}
