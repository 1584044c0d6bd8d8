//! What is planned for real charts: as the predecessor has it, but for the differences that are meant.

use std::collections::BTreeSet;

use lab::chart::Chart;
use serde_json::Value;

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

/// The predecessor's result without its junk.
fn expected_result(corpus: &Corpus) -> anyhow::Result<Value> {
    let mut expected = corpus.json("expected/1.30/replication-result.json")?;
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

#[tokio::test]
async fn our_data_gives_the_same_for_1_30() -> Result {
    let Some(corpus) = Corpus::serve().await? else {
        return Ok(());
    };
    let planned = corpus.plan_of_ours("1.30").run().await.ended(0);
    assert_eq!(planned.result(), expected_result(&corpus)?);
    let (ours, theirs) = (
        planned.json("updated_images.json"),
        expected_pairs(&corpus)?,
    );
    assert_eq!(as_set(&ours), as_set(&theirs));
    assert_eq!(
        ours.as_array().map(Vec::len),
        theirs.as_array().map(Vec::len)
    );
    Ok(())
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
        // The corpus keeps some charts without their dependencies, which is told.
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
        let wanted = if version == "1.30" { "v1.26" } else { version };
        assert!(
            autoscaler.as_str().is_some_and(|tag| tag.contains(wanted)),
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
