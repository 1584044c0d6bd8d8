//! Hosts of endpoints and images.

use lab::chart::{Chart, ChartRepository};
use lab::image::Image;
use lab::registry::Registry;
use serde_json::json;

use crate::Result;
use crate::data::{Data, chart_entry};
use crate::run::Run;

#[tokio::test]
async fn endpoints_count_in_every_form_and_spelling() -> Result {
    let charts = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    let default = chart_entry("app", "https://charts.invalid", "    images: {}\n");
    let data = Data::new(&default, "ami: {}\n");
    let url = charts.url();
    for text in [
        format!("charts.invalid={url}"),
        format!(" CHARTS.invalid = {url} ,"),
        format!("https://charts.invalid/={url}"),
        format!("other.invalid=http://127.0.0.1:1\ncharts.invalid={url}"),
        json!([format!("charts.invalid={url}")]).to_string(),
        json!({ "charts.invalid": url }).to_string(),
    ] {
        let asked = charts.wire().requests().len();
        let run = data.plan().env("SEEDFARMER_PARAMETER_ENDPOINTS", &text);
        run.run().await.ended(0);
        assert!(charts.wire().requests().len() > asked, "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn the_host_of_an_image_counts_in_any_case() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    Image::new().layer(10, 1).push(&source, "team/app", "1")?;
    let run = Run::new().args(["copy", "Quay.IO/team/app:1"]);
    let run = run.arg(format!("{}/app:1", target.host())).out();
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    assert_eq!(target.tags("app"), ["1"]);
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_can_have_no_effect_is_refused() {
    let data = Data::images(&["quay.io/a/b:1"]);
    for (text, why) in [
        ("[", "is not JSON"),
        ("[[\"a\"]]", "is not a text"),
        ("[]", "empty list"),
        ("quay.io", "HOST=URL"),
        (
            "quay.io/team=http://a",
            "write `quay.io`, or map the path with docker_mappings",
        ),
        ("quay io=http://a", "is not a host"),
        ("quay.io=http://me:pw@a", "holds credentials"),
        (
            "quay.io=http://a,Quay.io=http://b",
            "twice with different URLs",
        ),
    ] {
        let run = data.plan().env("SEEDFARMER_PARAMETER_ENDPOINTS", text);
        let refused = run.run().await.ended(2).left_nothing();
        refused.said(&["parameter Endpoints: ", why]);
    }
    for host in ["https://", "quay.io/x", "a b"] {
        let run = data.plan().args(["--plain-http", host]);
        run.run().await.ended(2).said(&["--plain-http: "]);
    }
}

#[tokio::test]
async fn a_shared_variable_may_name_hosts_that_this_run_does_not_use() {
    let data = Data::images(&["quay.io/a/b:1"]);
    let shared = "ghcr.io=http://a,docker.io=http://b,quay.io=http://c";
    let run = data.plan().env("REPLICATOR_ENDPOINTS", shared);
    let run = run.env("REPLICATOR_PLAIN_HTTP", "registry.corp");
    let planned = run.run().await.ended(0);
    assert_eq!(planned.lines_with("warning:"), 0, "{}", planned.stderr);

    let run = data.plan().env("REPLICATOR_ENDPOINTS", "qauy.io=http://a");
    let planned = run.run().await.ended(0);
    planned.said(&["endpoint for qauy.io: ", "(nearest: quay.io)"]);
}

#[tokio::test]
async fn a_lock_names_only_hosts_that_exist() -> Result {
    let source = Registry::start().await?;
    Image::new().layer(10, 1).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = data.run("lock").endpoint("quay.io", &source.url());
    let run = run.args(["--endpoint", "ghcr.io=http://a"]);
    let locked = run.run().await.ended(0);
    let locked = locked.said(&["endpoint for ghcr.io: ", "the hosts are quay.io"]);
    assert!(
        !locked.stderr.contains("target.invalid"),
        "{}",
        locked.stderr
    );
    Ok(())
}

#[tokio::test]
async fn hosts_that_are_not_used_are_a_warning_that_names_those_that_are() {
    let data = Data::images(&["quay.io/a/b:1", "busybox:1"]);
    let run = data.plan().args(["--plain-http", "ghcr.io"]);
    let run = run.args([
        "--endpoint",
        "qauy.io=http://a",
        "--endpoint",
        "index.docker.io=http://b",
    ]);
    let planned = run.run().await.ended(0);
    assert_eq!(planned.lines_with("warning:"), 2, "{}", planned.stderr);
    planned.said(&[
        "endpoint for qauy.io: nothing is read from or written to this host (nearest: quay.io)",
        "--plain-http ghcr.io: ",
        "the hosts are docker.io, quay.io, target.corp",
    ]);
}
