//! Parameters, hosts and flags in spellings other than the documented one: they count, or they are refused.

mod endpoints;
mod mappings;

use lab::chart::{Chart, ChartRepository};
use serde_json::Value;

use super::Result;
use super::data::{Data, chart_entry};
use super::run::Run;

/// A plan of one image whose settings come from the environment.
fn from_environment(data: &Data, vars: &[(&str, &str)]) -> Run {
    let run = data
        .given_to(Run::new().args(["plan", "--no-observe"]))
        .out();
    let vars = vars
        .iter()
        .map(|(name, value)| (format!("SEEDFARMER_PARAMETER_{name}"), (*value).to_owned()));
    run.envs(vars)
}

fn sources(pairs: &Value) -> Vec<String> {
    let pairs = pairs.as_array().expect("a list").iter();
    pairs
        .map(|pair| pair["src"].as_str().expect("a text").to_owned())
        .collect()
}

#[tokio::test]
async fn a_parameter_counts_in_every_spelling_that_seed_farmer_produces() {
    let data = Data::images(&["quay.io/a/b:1"]);
    for (version, prefix) in [
        ("EKS_VERSION", "REGISTRY_PREFIX"),
        ("EKS-VERSION", "REGISTRY-PREFIX"),
        ("EKSVERSION", "REGISTRYPREFIX"),
        ("eks_version", "registryPrefix"),
        ("EKS.VERSION", "Registry_Prefix"),
    ] {
        let vars = [(version, "1.34"), (prefix, "target.corp/x-")];
        let planned = from_environment(&data, &vars).run().await.ended(0);
        assert_eq!(planned.stderr, "", "{version}");
        assert!(
            planned.stdout.contains("target prefix: target.corp/x-\n"),
            "{}",
            planned.stdout
        );
    }
}

#[tokio::test]
async fn a_spelling_that_does_not_reach_the_stack_counts_with_a_warning() {
    let data = Data::images(&["quay.io/a/b:1"]);
    let vars = [
        ("EKS-VERSION", "1.34"),
        ("REGISTRY_PREFIX", "target.corp/x-"),
        ("FAN-OUT", "sometimes"),
    ];
    let refused = from_environment(&data, &vars).run().await.ended(2);
    refused.left_nothing().said(&[
        "parameter FanOut: `sometimes`",
        "SEEDFARMER_PARAMETER_FAN-OUT counts as FanOut",
        "modulestack.yaml",
    ]);
}

#[tokio::test]
async fn two_spellings_of_a_parameter_must_agree() {
    let data = Data::images(&["quay.io/a/b:1"]);
    let run = |other: &str| {
        let vars = [
            ("EKS_VERSION", "1.34"),
            ("EKS-VERSION", other),
            ("REGISTRY_PREFIX", "target.corp/x-"),
        ];
        from_environment(&data, &vars)
    };
    for agreeing in ["1.34", "null", " "] {
        run(agreeing).run().await.ended(0);
    }
    let refused = run("1.33").run().await.ended(2).left_nothing();
    refused.said(&[
        "parameter eks-version: it is given twice with different values",
        "SEEDFARMER_PARAMETER_EKS-VERSION",
        "SEEDFARMER_PARAMETER_EKS_VERSION",
        "remove one of the two",
    ]);
}

#[tokio::test]
async fn a_parameter_close_to_a_known_one_is_a_warning_and_others_are_not() {
    let data = Data::images(&["quay.io/a/b:1"]);
    let vars = [
        ("EKS_VERSION", "1.34"),
        ("REGISTRY_PREFIX", "target.corp/x-"),
        ("PLATFORM", "linux/amd64"),
        ("RETENTION", "DESTROY"),
        ("HELM_REPO_SECRET", "x"),
        ("ENDPOINT", "x"),
        ("VPC_ID", "vpc-1"),
        ("HELM_DISTRO_URL", "x"),
        ("TEAM", "x"),
    ];
    let planned = from_environment(&data, &vars).run().await.ended(0);
    assert_eq!(planned.lines_with("warning:"), 4, "{}", planned.stderr);
    planned.said(&[
        "SEEDFARMER_PARAMETER_PLATFORM: there is no such parameter and it is ignored; nearest: Platforms",
        "nearest: RetentionType",
        "nearest: HelmRepoSecret",
        "nearest: Endpoints",
    ]);
}

#[tokio::test]
async fn a_chart_without_images_is_a_warning_unless_its_entry_says_so() -> Result {
    let charts = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    let image = "    images: {a: {repository: {name: b.corp/c}, tag: {name: '1'}}}\n";
    for (more, version, warnings) in [
        ("", "ami: {}\n", 1),
        ("    images:\n", "ami: {}\n", 1),
        // The image without a value has a separate warning.
        ("    images: {a: ~}\n", "ami: {}\n", 2),
        ("    images: {}\n", "ami: {}\n", 0),
        ("", "charts: {app: {images: {}}}\n", 0),
        (image, "charts: {app: {images: {a: ~}}}\n", 0),
    ] {
        let data = Data::new(&chart_entry("app", &charts.url(), more), version);
        let planned = data.plan().run().await.ended(0);
        let told = planned.lines_with("charts.app: no image is listed");
        let all = planned.lines_with("warning:");
        assert_eq!((told, all), (warnings.min(1), warnings), "{more}{version}");
    }
    Ok(())
}

#[tokio::test]
async fn a_prefix_that_runs_into_the_names_is_a_warning_with_a_complete_name() {
    let data = Data::images(&["quay.io/a/b:1"]);
    for (prefix, warnings) in [
        ("target.corp/idf", 1),
        ("target.corp/idf-", 0),
        ("target.corp/idf/", 0),
        ("target.corp/", 0),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/idf", 1),
        ("oci:mirror", 0),
    ] {
        let run = data
            .run("plan")
            .args(["--no-observe", "--registry-prefix", prefix]);
        let planned = run.run().await.ended(0);
        assert_eq!(
            planned.lines_with("warning:"),
            warnings,
            "{}",
            planned.stderr
        );
        let name = format!("a complete name at the target is {prefix}quay.io/a/b:1");
        assert_eq!(planned.lines_with(&name), warnings, "{}", planned.stderr);
    }
}

#[tokio::test]
async fn flags_without_a_usable_value_are_refused() {
    let data = Data::images(&["quay.io/a/b:1"]);
    for (flag, value) in [
        ("--platforms", ""),
        ("--platforms", ","),
        ("--platforms", "all,linux/amd64"),
        ("--platforms", "linux/amd46"),
        ("--registry-prefix", " "),
        ("--eks-version", ""),
        ("--referrers", ""),
        ("--jobs", "0"),
        ("--jobs", "257"),
        ("--tries", "0"),
        ("--tries", "-1"),
        ("--patience", "0"),
        ("--connect-timeout", "-1"),
        ("--answer-timeout", "1e99"),
        ("--slowest-transfer", "-1"),
        ("--slowest-transfer", "99999999999999999999"),
        ("--quotas", ","),
        ("--quotas", "PutImage=1,putimage=2"),
        ("--fan-out", "65"),
        ("--hash", "never"),
        ("--out", ""),
    ] {
        let run = data.given_to(Run::new().args(["plan", "--no-observe"]));
        let run = if flag == "--eks-version" {
            run
        } else {
            run.args(["--eks-version", "1.34"])
        };
        let run = if flag == "--registry-prefix" {
            run
        } else {
            run.args(["--registry-prefix", "t.corp/"])
        };
        let refused = run.arg(format!("{flag}={value}")).run().await.ended(2);
        refused.said(&[flag]);
    }
    let run = data
        .run("deploy")
        .args(["--registry-prefix", "t.corp/", "--secret-key", "k"]);
    run.run()
        .await
        .ended(2)
        .left_nothing()
        .said(&["HelmRepoSecretName"]);
    for (project, region) in [
        ("My Project", "eu-west-1"),
        ("-x", "eu-west-1"),
        ("idf", "europe"),
    ] {
        let run = data
            .run("plan")
            .env("AWS_REGION", region)
            .arg(format!("--project={project}"));
        run.run().await.ended(2).left_nothing();
    }
}

#[tokio::test]
async fn lists_of_copies_that_copy_nothing_are_refused() -> Result {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("list.json");
    for text in [
        "[]",
        "[{\"src\": \"a.corp/a:1\", \"dst\": \"b.corp/a:1\"}]",
        "{}",
    ] {
        std::fs::write(&path, text)?;
        let run = Run::new().args(["copy", "--list"]).arg(&path);
        run.run().await.ended(2).said(&["--list"]);
    }
    Ok(())
}

#[tokio::test]
async fn what_a_plan_wrote_and_what_names_nothing_is_not_verified() -> Result {
    let data = Data::images(&["quay.io/a/b:1"]);
    let planned = data.plan().run().await.ended(0);
    let path = planned.out().join("replication_result.json");
    let refused = Run::new().arg("verify").arg(&path).run().await.ended(2);
    refused.said(&["the document of a plan", "replicator deploy"]);

    for text in [
        "{\"charts\": {}}",
        "{\"ami\": {}, \"charts\": {}, \"additional_images\": {}, \"digests\": {}}",
        "{\"artifacts\": []}",
    ] {
        std::fs::write(&path, text)?;
        let refused = Run::new().arg("verify").arg(&path).run().await.ended(2);
        refused.said(&["names no artifact"]);
    }
    let run = Run::new()
        .args(["verify", "--platforms", "linux/amd64"])
        .arg(&path);
    run.run()
        .await
        .ended(2)
        .said(&["--platforms", "leave the flag out"]);
    Ok(())
}

#[tokio::test]
async fn a_prefix_that_runs_into_names_is_shown_with_one_of_them() {
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = data.given_to(Run::new().args(["plan", "--no-observe", "--eks-version", "1.34"]));
    let run = run.args(["--registry-prefix", "localhost:5000/mirror"]);
    let planned = run.run().await.ended(0);
    let planned = planned.said(&[
        "localhost:5000/mirrorquay.io/team/app:1",
        "write localhost:5000/mirror/",
    ]);
    let name = "a complete name: localhost:5000/mirrorquay.io/team/app:1";
    assert!(planned.stdout.contains(name), "{}", planned.stdout);
}
