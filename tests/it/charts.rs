//! Charts: where they come from, and the artifacts that they become.

use lab::chart::{CONFIG, CONTENT, Chart, ChartRepository, PROVENANCE};
use lab::registry::{Auth, Registry};
use serde_json::{Value, json};

use super::Result;
use super::content::writes;
use super::data::{Data, chart_entry};

pub(crate) fn app() -> Chart {
    Chart::new("app", "1.0.0")
        .app_version("7.1")
        .meta("description: A < B & C")
        .meta("maintainers: [{name: Me, email: me@corp}, {name: You}]")
        .meta("sources: [https://git.corp/app]")
        .values("image: quay.io/team/app:1\n")
}

pub(crate) fn parsed(registry: &Registry, repository: &str, reference: &str) -> (String, Value) {
    let manifest = registry.manifest(repository, reference);
    let (_, bytes, digest) = manifest.unwrap_or_else(|| panic!("no {repository}:{reference}"));
    (digest, serde_json::from_slice(&bytes).expect("JSON"))
}

/// The digests of the layers of a type.
pub(crate) fn layers(manifest: &Value, media_type: &str) -> Vec<String> {
    let layers = manifest["layers"].as_array().expect("layers").iter();
    let layers = layers.filter(|layer| layer["mediaType"] == media_type);
    layers
        .map(|layer| layer["digest"].as_str().expect("a digest").to_owned())
        .collect()
}

#[tokio::test]
async fn an_archive_becomes_the_artifact_that_helm_would_push() -> Result {
    let repository = ChartRepository::start(vec![app()]).await?;
    let target = Registry::start().await?;
    let data = Data::chart(&format!("{}/", repository.url()), "");
    let done = data.deploy(&target).run().await.ended(0);
    let to = format!("mirror/{}/app", repository.host().replace(':', "-"));
    let (digest, manifest) = parsed(&target, &to, "1.0.0");

    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["config"]["mediaType"], CONFIG);
    assert_eq!(layers(&manifest, CONTENT), [app().digest()]);
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
    let archive = target.blob(&to, &app().digest()).expect("the archive");
    assert_eq!(archive, app().archive());
    let config = manifest["config"]["digest"].as_str().expect("a digest");
    let config = target.blob(&to, config).expect("the config");
    let config: Value = serde_json::from_slice(&config)?;
    assert_eq!(
        (&config["name"], &config["appVersion"]),
        (&json!("app"), &json!("7.1"))
    );
    assert_eq!(config["description"], "A < B & C");
    let annotations = &manifest["annotations"];
    for (key, text) in [
        ("title", "app"),
        ("version", "1.0.0"),
        ("description", "A < B & C"),
        ("authors", "Me (me@corp), You"),
        ("source", "https://git.corp/app"),
    ] {
        assert_eq!(annotations[format!("org.opencontainers.image.{key}")], text);
    }
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    let report = done.report_of(":1.0.0");
    assert_eq!(
        (&report["kind"], &report["digest"]),
        (&json!("chart"), &json!(digest))
    );
    let helm = &done.result()["charts"]["app"]["helm"];
    assert_eq!(helm["repository"], format!("oci://{}/{to}", target.host()));
    Ok(())
}

#[tokio::test]
async fn the_same_chart_has_the_same_digest_everywhere_and_is_not_sent_twice() -> Result {
    let repository = ChartRepository::start(vec![app()]).await?;
    let data = Data::chart(&format!("{}/stable", repository.url()), "");
    let index = repository.file("index.yaml").expect("an index");
    repository.set_file("stable/index.yaml", index);
    repository.set_file("stable/app-1.0.0.tgz", app().archive());
    let mut digests = Vec::new();
    for _ in 0..2 {
        let target = Registry::start().await?;
        data.deploy(&target).run().await.ended(0);
        digests.push(parsed(&target, "mirror/stable/app", "1.0.0").0);
        target.wire().clear();
        let again = data.deploy(&target).run().await.ended(0);
        assert_eq!(writes(target.wire()), Vec::<String>::new());
        assert_eq!(again.report_of(":1.0.0")["done"], "already there");
    }
    assert_eq!(digests[0], digests[1]);
    Ok(())
}

#[tokio::test]
async fn a_provenance_file_is_copied_and_a_web_page_in_its_place_is_not() -> Result {
    let provenance = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n";
    let signed = app().provenance(provenance);
    let repository = ChartRepository::start(vec![signed]).await?;
    let url = repository.url();
    let to = format!("mirror/{}/app", repository.host().replace(':', "-"));
    let data = Data::chart(&url, "");
    let target = Registry::start().await?;
    data.deploy(&target).run().await.ended(0);
    let (_, manifest) = parsed(&target, &to, "1.0.0");
    let found = layers(&manifest, PROVENANCE);
    assert_eq!(found.len(), 1);
    assert_eq!(
        target.blob(&to, &found[0]).as_deref(),
        Some(provenance.as_bytes())
    );
    assert_eq!(layers(&manifest, CONTENT).len(), 1);

    repository.set_file("app-1.0.0.tgz.prov", "<html>Not found</html>");
    let target = Registry::start().await?;
    data.deploy(&target).run().await.ended(0);
    let (_, manifest) = parsed(&target, &to, "1.0.0");
    assert_eq!(layers(&manifest, PROVENANCE), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_chart_of_a_registry_is_copied_as_it_is() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let signed = app().provenance("-----BEGIN PGP SIGNED MESSAGE-----\n");
    let pushed = signed.push_oci(&source, "charts/app")?;
    let more = "    images: {app: {repository: {location: values, path: image}}}\n";
    let data = Data::chart("oci://ghcr.io/charts", more);
    let image = lab::image::Image::new().layer(10, 1);
    image.push(&source, "team/app", "1")?;
    let run = data.deploy(&target).endpoint("ghcr.io", &source.url());
    let done = run.endpoint("quay.io", &source.url()).run().await.ended(0);
    let copied = target.manifest("mirror/charts/app", "1.0.0");
    assert_eq!(copied, source.manifest("charts/app", "1.0.0"));
    let report = done.report_of("charts/app:1.0.0");
    assert_eq!(report["digest"], pushed.root.digest);
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    let values = &done.result()["charts"]["app"]["values"];
    assert_eq!(
        values["image"],
        format!("{}/mirror/quay.io/team/app:1", target.host())
    );
    Ok(())
}

#[tokio::test]
async fn a_registry_without_the_chart_or_its_version_is_answered_with_what_it_has() -> Result {
    let source = Registry::start().await?;
    for version in ["0.9.0", "1.1.0"] {
        Chart::new("app", version).push_oci(&source, "charts/app")?;
    }
    lab::image::Image::new()
        .layer(10, 1)
        .push(&source, "charts/image", "1.0.0")?;
    let data = Data::chart("oci://ghcr.io/charts", "");
    let refused = data
        .plan()
        .endpoint("ghcr.io", &source.url())
        .run()
        .await
        .ended(2);
    refused
        .left_nothing()
        .said(&["oci://ghcr.io/charts", "0.9.0", "1.1.0"]);

    let entry = chart_entry("image", "oci://ghcr.io/charts", "");
    let run = Data::new(&entry, "ami: {}\n").plan();
    let failed = run.endpoint("ghcr.io", &source.url()).run().await;
    assert_ne!(failed.code, Some(0));
    failed.left_nothing().said(&["image and no chart"]);
    Ok(())
}

#[tokio::test]
async fn a_plus_in_a_version_is_an_underline_in_the_tag() -> Result {
    let chart = Chart::new("app", "1.0.0+build.5");
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    chart.push_oci(&source, "charts/app")?;
    let repository = ChartRepository::start(vec![chart]).await?;
    for (url, from) in [
        (
            format!("{}/", repository.url()),
            repository.host().replace(':', "-"),
        ),
        ("oci://ghcr.io/charts".to_owned(), "charts".to_owned()),
    ] {
        let entry = chart_entry("app", &url, "").replace("1.0.0", "1.0.0+build.5");
        let run = Data::new(&entry, "ami: {}\n").deploy(&target);
        let done = run.endpoint("ghcr.io", &source.url()).run().await.ended(0);
        assert_eq!(
            target.tags(&format!("mirror/{from}/app")),
            ["1.0.0_build.5"]
        );
        let helm = &done.result()["charts"]["app"]["helm"];
        assert_eq!(helm["version"], "1.0.0+build.5");
    }
    Ok(())
}

#[tokio::test]
async fn a_version_is_found_with_or_without_its_v() -> Result {
    let charts = [Chart::new("with", "v1.0.0"), Chart::new("without", "1.0.0")];
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    for name in ["with", "without"] {
        let chart = if name == "with" {
            &charts[0]
        } else {
            &charts[1]
        };
        chart.push_oci(&source, &format!("charts/{name}"))?;
    }
    let repository = ChartRepository::start(charts.to_vec()).await?;
    let default = "charts:
  a: {name: with, repository: URL, version: 1.0.0}
  b: {name: without, repository: URL, version: v1.0.0}
  c: {name: with, repository: 'oci://ghcr.io/charts', version: 1.0.0}
  d: {name: without, repository: 'oci://ghcr.io/charts', version: v1.0.0}
";
    let data = Data::new(&default.replace("URL", &repository.url()), "ami: {}\n");
    let run = data.deploy(&target).endpoint("ghcr.io", &source.url());
    let done = run.run().await.ended(0);
    let result = done.result();
    // Helm gets the chart's own text, which is the tag of the copy.
    for (key, version) in [
        ("a", "v1.0.0"),
        ("b", "1.0.0"),
        ("c", "v1.0.0"),
        ("d", "1.0.0"),
    ] {
        let helm = &result["charts"][key]["helm"];
        assert_eq!(helm["version"], version, "{key}");
        let prefix = format!("oci://{}/", target.host());
        let repository = helm["repository"]
            .as_str()
            .and_then(|text| text.strip_prefix(&prefix));
        assert_eq!(
            target.tags(repository.expect("an address")),
            [version],
            "{key}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn credentials_go_only_to_the_repository_that_they_are_for() -> Result {
    let locked = ChartRepository::builder()
        .basic("me", "secret")
        .chart(app());
    let locked = locked.start().await?;
    let storage = ChartRepository::start(vec![app()]).await?;
    let data = Data::chart("https://charts.corp/", "");
    let run = || data.plan().endpoint("charts.corp", &locked.url());
    let failed = run().run().await.ended(1).left_nothing();
    failed.said(&["401", "config.json"]);
    run()
        .login("charts.corp", "me", "secret")
        .run()
        .await
        .ended(0);

    let there = format!("{}{{path}}", storage.url());
    let rule = lab::faults::Rule::new(lab::faults::Fault::Redirect(there));
    locked.faults().add(rule.on("GET", ".tgz"));
    run()
        .login("charts.corp", "me", "secret")
        .run()
        .await
        .ended(0);
    let asked = storage.wire().requests();
    assert!(asked.iter().any(|request| request.path.contains("tgz")));
    assert!(asked.iter().all(|request| request.authorization.is_none()));
    Ok(())
}

#[tokio::test]
async fn the_archive_at_another_host_is_asked_for_without_credentials() -> Result {
    let storage = ChartRepository::builder().chart(app()).absolute_urls();
    let storage = storage.start().await?;
    let index = storage.file("index.yaml").expect("an index");
    let locked = ChartRepository::builder()
        .basic("me", "secret")
        .start()
        .await?;
    locked.set_index(index);
    let data = Data::chart("https://charts.corp/", "");
    let run = data.plan().login("charts.corp", "me", "secret");
    run.endpoint("charts.corp", &locked.url())
        .run()
        .await
        .ended(0);
    let asked = storage.wire().requests();
    assert!(asked.iter().any(|request| request.path.contains("tgz")));
    assert!(asked.iter().all(|request| request.authorization.is_none()));
    Ok(())
}

#[tokio::test]
async fn an_index_is_fetched_once_for_all_charts_of_its_repository() -> Result {
    let charts = ["a", "b", "c"].map(|name| Chart::new(name, "1.0.0"));
    let repository = ChartRepository::start(charts.to_vec()).await?;
    let entry = |name: &str| {
        format!(
            "  {name}: {{name: {name}, repository: {}, version: 1.0.0}}\n",
            repository.url()
        )
    };
    let entries = ["a", "b", "c"].map(entry).concat();
    Data::new(&format!("charts:\n{entries}"), "ami: {}\n")
        .plan()
        .run()
        .await
        .ended(0);
    assert_eq!(repository.wire().count("GET", "/index.yaml"), 1);
    assert_eq!(
        repository.wire().count("GET", "tgz"),
        6,
        "archives and provenance files"
    );
    Ok(())
}

#[tokio::test]
async fn a_chart_needs_no_login_to_a_locked_target_to_be_planned() -> Result {
    let repository = ChartRepository::start(vec![app()]).await?;
    let target = Registry::builder()
        .auth(Auth::basic("a", "b"))
        .start()
        .await?;
    let run = Data::chart(&repository.url(), "").run("plan");
    let run = run
        .arg("--registry-prefix")
        .arg(format!("{}/x/", target.host()));
    let planned = run.run().await.ended(1);
    assert_eq!(
        planned.lines_with("could not query "),
        1,
        "{}",
        planned.stderr
    );
    assert!(planned.stdout.contains("unknown"));
    Ok(())
}

#[tokio::test]
async fn a_chart_beside_images_in_an_index_is_taken_out_of_it() -> Result {
    use lab::image::{Image, media};
    for says_so in [true, false] {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        let chart = Chart::new("app", "1.0.0");
        chart.push_oci(&source, "charts/app")?;
        let (kind, bytes, digest) = source.manifest("charts/app", "1.0.0").expect("the chart");
        let image = Image::new().layer(900, 1).push(&source, "charts/app", "")?;
        let mut entry = json!({"mediaType": kind, "digest": digest, "size": bytes.len()});
        if says_so {
            entry["artifactType"] = json!("application/vnd.cncf.helm.config.v1+json");
        }
        let platform = json!({"os": "linux", "architecture": "amd64"});
        let image = image.root.with("platform", platform);
        let index =
            json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": [image, entry]});
        source.put_manifest("charts/app", "1.0.0", media::INDEX, index.to_string());
        let default = chart_entry("app", &format!("oci://{}/charts", source.host()), "");
        let data = Data::new(&default, "ami: {}\n");
        data.deploy(&target).run().await.ended(0);
        let name = target.repositories().pop().expect("the chart's repository");
        let found = target.manifest(&name, "1.0.0").map(|found| found.2);
        assert_eq!(found, Some(digest));
    }
    Ok(())
}
