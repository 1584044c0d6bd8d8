//! What is planned for real charts: as the predecessor has it, but for the differences that are meant.

use std::collections::BTreeSet;
use std::path::Path;

use lab::chart::Chart;
use replication::inventory::Inventory;
use replication::settings::{DEFAULT_DATA_DIR, DataFiles};
use serde_json::{Value, json};

use super::Result;
use super::corpus::Corpus;

/// Where the predecessor writes a tag that it read from Chart.yaml to a value that no chart reads.
const JUNK: [&str; 12] = [
    "/charts/calico/values",
    "/charts/ebs_csi_driver/values",
    "/charts/external_dns/values",
    "/charts/external_secrets/values",
    "/charts/fluentbit/values",
    "/charts/grafana/values",
    "/charts/kured/values",
    "/charts/kyverno/values",
    "/charts/metrics_server/values",
    "/charts/nvidia_device_plugin/values",
    "/charts/prometheus_stack/values",
    "/charts/prometheus_stack/values/kube-state-metrics",
];

/// The sources that the predecessor's list of images names again; external-secrets three times in all.
const REPEATED: [&str; 5] = [
    "public.ecr.aws/cloudwatch-agent/cloudwatch-agent:1.300041.0b681",
    "public.ecr.aws/aws-secrets-manager/secrets-store-csi-driver-provider-aws:1.0.r2-6-gee95299-2022.04.14.21.07",
    "ghcr.io/external-secrets/external-secrets:v0.8.1",
    "ghcr.io/external-secrets/external-secrets:v0.8.1",
    "quay.io/thanos/thanos:v0.36.1",
];

/// The predecessor's result without its junk, and with the key by which kept results are told apart.
fn expected_result(corpus: &Corpus) -> anyhow::Result<Value> {
    let mut expected = corpus.json("expected/1.30/replication-result.json")?;
    expected["eks_version"] = json!("1.30");
    for place in JUNK {
        let values = expected.pointer_mut(place).and_then(Value::as_object_mut);
        let removed = values.and_then(|values| values.shift_remove("appVersion"));
        assert!(removed.is_some(), "{place} has no junk");
    }
    Ok(expected)
}

/// The predecessor's pairs without those that it repeats.
fn expected_pairs(corpus: &Corpus) -> anyhow::Result<Value> {
    let mut expected = corpus.json("expected/1.30/updated_images.json")?;
    let pairs = expected.as_array_mut().expect("a list");
    for repeated in REPEATED {
        let last = pairs.iter().rposition(|pair| pair["src"] == repeated);
        let first = pairs.iter().position(|pair| pair["src"] == repeated);
        assert!(first < last, "{repeated} is not repeated");
        pairs.remove(last.expect("it is there"));
    }
    Ok(expected)
}

fn as_set(pairs: &Value) -> BTreeSet<String> {
    let pairs = pairs.as_array().expect("a list").iter();
    pairs.map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_predecessors_data_gives_the_predecessors_result() -> Result {
    let Some(corpus) = Corpus::serve().await? else {
        return Ok(());
    };
    let planned = corpus.plan_of_predecessor("1.30").run().await.ended(0);
    assert_eq!(planned.result(), expected_result(&corpus)?);
    assert_eq!(
        planned.json("updated_images.json"),
        expected_pairs(&corpus)?
    );
    Ok(())
}

/// What our data adds to the predecessor's values for 1.30; `PREFIX` is the target's.
const ADDED_VALUES: [(&str, &str); 12] = [
    // The operator takes its images from here; the EKS module alone sets it otherwise.
    (
        "/charts/calico/values/installation/registry",
        "PREFIXquay.io",
    ),
    (
        "/charts/kyverno/values/testImage/repository",
        "PREFIXbusybox",
    ),
    ("/charts/kyverno/values/testImage/tag", "1.35"),
    // Without it the chart asks for the public digest of controller.image.chroot.
    (
        "/charts/nginx_controller/values/controller/image/digestChroot",
        "",
    ),
    (
        "/charts/prometheus_stack/values/grafana/image/registry",
        "PREFIXdocker.io",
    ),
    (
        "/charts/prometheus_stack/values/grafana/image/repository",
        "grafana/grafana",
    ),
    (
        "/charts/prometheus_stack/values/grafana/sidecar/image/registry",
        "PREFIXquay.io",
    ),
    (
        "/charts/prometheus_stack/values/grafana/sidecar/image/repository",
        "kiwigrid/k8s-sidecar",
    ),
    (
        "/charts/prometheus_stack/values/grafana/sidecar/image/tag",
        "1.28.0",
    ),
    (
        "/charts/prometheus_stack/values/grafana/testFramework/image",
        r#"{"registry":"PREFIXdocker.io","repository":"bats/bats","tag":"v1.4.1"}"#,
    ),
    (
        "/charts/prometheus_stack/values/prometheus-node-exporter/image/registry",
        "PREFIXquay.io",
    ),
    (
        "/charts/prometheus_stack/values/prometheus-node-exporter/image/repository",
        "prometheus/node-exporter",
    ),
];

/// What our data has otherwise than the predecessor's for 1.30.
const CHANGED_VALUES: [(&str, &str, &str); 2] = [
    // The last release of the AMI for 1.30.
    ("/ami/version", "1.30.11-20250715", "1.30.14-20260714"),
    // The autoscaler of this Kubernetes version.
    (
        "/charts/cluster_autoscaler/values/image/tag",
        "v1.26.2",
        "v1.30.7",
    ),
];

/// The sources of the images that our data adds for 1.30, and of those that it does without.
const ADDED_IMAGES: [&str; 4] = [
    "busybox:1.35",
    "quay.io/prometheus/node-exporter:v1.8.2",
    "registry.k8s.io/autoscaling/cluster-autoscaler:v1.30.7",
    "registry.k8s.io/ingress-nginx/controller-chroot:v1.10.0",
];
const DROPPED_IMAGES: [&str; 1] = ["registry.k8s.io/autoscaling/cluster-autoscaler:v1.26.2"];

#[tokio::test]
async fn our_data_gives_the_same_for_1_30_but_for_what_is_listed_here() -> Result {
    let Some(corpus) = Corpus::serve().await? else {
        return Ok(());
    };
    let planned = corpus.plan_of_ours("1.30").run().await.ended(0);
    let (mut ours, theirs) = (planned.result(), expected_result(&corpus)?);
    for (place, text) in ADDED_VALUES {
        let text = text.replace(
            "PREFIX",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/idf-",
        );
        let value = serde_json::from_str(&text).ok().filter(Value::is_object);
        let value = value.unwrap_or(Value::String(text));
        assert_eq!(theirs.pointer(place), None, "{place} is no addition");
        assert_eq!(take(&mut ours, place), Some(value), "{place}");
    }
    for (place, theirs_text, ours_text) in CHANGED_VALUES {
        assert_eq!(theirs.pointer(place), Some(&json!(theirs_text)), "{place}");
        let value = ours.pointer_mut(place).expect("a value that changed");
        assert_eq!(*value, ours_text, "{place}");
        *value = json!(theirs_text);
    }
    assert_eq!(ours, theirs);

    let sources = |pairs: &Value| -> BTreeSet<String> {
        let pairs = pairs.as_array().expect("a list").iter();
        pairs
            .map(|pair| pair["src"].as_str().expect("a text").to_owned())
            .collect()
    };
    let list = |images: &[&str]| -> BTreeSet<String> {
        images.iter().map(|image| (*image).to_owned()).collect()
    };
    let pairs = planned.json("updated_images.json");
    let theirs = expected_pairs(&corpus)?;
    let (ours_sources, theirs_sources) = (sources(&pairs), sources(&theirs));
    let added: BTreeSet<String> = &ours_sources - &theirs_sources;
    let dropped: BTreeSet<String> = &theirs_sources - &ours_sources;
    assert_eq!(added, list(&ADDED_IMAGES));
    assert_eq!(dropped, list(&DROPPED_IMAGES));
    assert_eq!(pairs.as_array().map(Vec::len), Some(ours_sources.len()));
    let same = as_set(&pairs).intersection(&as_set(&theirs)).count();
    assert_eq!(same, theirs_sources.len() - dropped.len());
    Ok(())
}

/// Takes a value out, and the mappings that are empty without it.
fn take(document: &mut Value, place: &str) -> Option<Value> {
    let (above, key) = place.rsplit_once('/')?;
    let mapping = document.pointer_mut(above)?.as_object_mut()?;
    let value = mapping.shift_remove(key);
    if mapping.is_empty() {
        take(document, above);
    }
    value
}

#[tokio::test]
async fn our_data_plans_every_version() -> Result {
    let Some(corpus) = Corpus::serve().await? else {
        return Ok(());
    };
    // Two versions of one chart that the corpus does not hold.
    let folder = "kubernetes.github.io/autoscaler";
    let index = std::fs::read_to_string(corpus.path(&format!("repos/{folder}/index.yaml")))?;
    let mut entries = "  cluster-autoscaler:\n".to_owned();
    for version in ["9.44.0", "9.46.6"] {
        let chart = Chart::new("cluster-autoscaler", version).values(
            "image: {repository: registry.k8s.io/autoscaling/cluster-autoscaler, tag: v0}\n",
        );
        let file = chart.file_name();
        let entry =
            format!("  - {{name: cluster-autoscaler, version: {version}, urls: [{file}]}}\n");
        entries.push_str(&entry);
        corpus
            .server
            .set_file(&format!("{folder}/{file}"), chart.archive());
    }
    let index = index.replacen("  cluster-autoscaler:\n", &entries, 1);
    corpus
        .server
        .set_file(&format!("{folder}/index.yaml"), index);

    for version in ["1.30", "1.31", "1.32", "1.33", "1.34"] {
        let planned = corpus.plan_of_ours(version).run().await.ended(0);
        // The corpus keeps some charts without their dependencies, which is a warning.
        let (warnings, stripped) = (
            planned.lines_with("warning"),
            planned.lines_with("its charts/ folder lacks"),
        );
        assert_eq!(warnings, stripped, "{}", planned.stderr);
        let result = planned.result();
        assert_eq!(
            result["charts"].as_object().map(serde_json::Map::len),
            Some(20)
        );
        let ami = result["ami"]["version"].as_str().expect("a version");
        assert!(ami.starts_with(version), "{ami}");
        let autoscaler = &result["charts"]["cluster_autoscaler"]["values"]["image"]["tag"];
        assert!(
            autoscaler.as_str().is_some_and(|tag| tag.contains(version)),
            "{autoscaler}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_predecessors_data_for_1_34_is_refused_with_all_that_the_charts_have_lost() -> Result {
    let Some(corpus) = Corpus::serve().await? else {
        return Ok(());
    };
    let refused = corpus.plan_of_predecessor("1.34").run().await.ended(2);
    let refused = refused.left_nothing().said(&[
        "7 problems",
        "default.yaml:431: charts.kyverno.images.init_image.registry: kyverno 3.4.4 has no value `initImage.registry`",
        "nearest: `admissionController.initContainer.image.registry`",
        "no value `initImage.repository`",
        "nearest: `admissionController.initContainer.image.repository`",
        "charts.kyverno.images.kyverno.registry: kyverno 3.4.4 has no value `image.registry`",
        "kyverno 3.4.4 has no value `image.repository`",
        "charts.kyverno.images.webhooks_cleanup.repository: kyverno 3.4.4 has a mapping at `webhooksCleanup.image`",
        "below it: ",
        "webhooksCleanup.image.registry, webhooksCleanup.image.repository",
        "policy-reporter 3.3.2 has no subchart `kyvernoPlugin`",
        "policy-reporter 3.3.2 has no subchart `ui`",
    ]);
    assert_eq!(refused.lines_with("  - "), 7);
    Ok(())
}

#[test]
fn our_data_reads_for_every_version_without_a_warning() {
    for (version, autoscaler) in [
        ("1.30", "v1.30."),
        ("1.31", "v1.31."),
        ("1.32", "v1.32."),
        ("1.33", "v1.33."),
        ("1.34", "v1.34."),
        ("1.35", "v1.35."),
        ("1.36", "v1.36."),
        // There is none for 1.37 yet.
        ("1.37", "v1.36."),
    ] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(DEFAULT_DATA_DIR);
        let files = DataFiles {
            eks_version: version.to_owned(),
            dir,
        };
        let inventory = Inventory::read(&files).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(inventory.warnings, Vec::<String>::new(), "{version}");
        assert_eq!(inventory.charts.len(), 20, "{version}");
        assert!(
            inventory.ami_version.starts_with(version),
            "{}",
            inventory.ami_version
        );
        for chart in &inventory.charts {
            let scenarios = chart.installation.all();
            let names: Vec<&str> = scenarios.iter().map(|one| one.name.as_str()).collect();
            assert_eq!(names[..2], ["default", "eks"], "{version} {}", chart.key);
            let is_more = |name: &&str| ["optional", "openshift"].contains(name);
            assert!(names[2..].iter().all(is_more), "{version}: {names:?}");
        }
        let chart = inventory
            .charts
            .iter()
            .find(|chart| chart.key == "cluster_autoscaler");
        let tag = chart.and_then(|chart| chart.images[0].tag.as_ref());
        let tag = tag.and_then(|tag| tag.replacement.as_deref());
        assert!(
            tag.is_some_and(|tag| tag.starts_with(autoscaler)),
            "{version}: {tag:?}"
        );
    }
}
