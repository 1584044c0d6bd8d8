//! Logins as docker and podman keep them, challenges and tokens as registries write them, and what proxies
//! on the way do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use lab::chart::{Chart, ChartRepository};
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::{Auth, Registry};
use serde_json::{Value, json};

use super::Result;
use super::data::Data;
use super::run::{Finished, Run};

/// A registry with `team/app:1` and `library/app:1`.
async fn source(auth: Auth) -> anyhow::Result<Registry> {
    let registry = Registry::builder().auth(auth).start().await?;
    for repository in ["team/app", "library/app"] {
        Image::new()
            .layer(500, 1)
            .push(&registry, repository, "1")?;
    }
    Ok(registry)
}

/// Copies an image of quay.io or Docker Hub, which are both the source, with this configuration file.
async fn copied(source: &Registry, image: &str, config: &Value) -> anyhow::Result<Finished> {
    let (target, folder) = (Registry::start().await?, tempfile::tempdir()?);
    let file = folder.path().join("config.json");
    fs::write(&file, config.to_string())?;
    let run = Run::new().args(["copy", image, &format!("{}/app:1", target.host())]);
    let run = run
        .args(["--tries", "1"])
        .endpoint("quay.io", &source.url())
        .endpoint("docker.io", &source.url())
        .env("REGISTRY_AUTH_FILE", &file)
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()));
    helper(
        folder.path(),
        "static",
        "echo '{\"Username\":\"me\",\"Secret\":\"pw\"}'",
    )?;
    helper(folder.path(), "broken", "echo hunter2; exit 3")?;
    helper(
        folder.path(),
        "empty",
        "echo credentials not found in native keychain; exit 1",
    )?;
    Ok(run.out().run().await)
}

fn helper(folder: &Path, name: &str, script: &str) -> Result {
    let path = folder.join(format!("docker-credential-{name}"));
    fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn entry(password: &str) -> Value {
    json!({"username": "me", "password": password})
}

#[tokio::test]
async fn a_repository_gets_the_entry_with_the_longest_path_that_covers_it() -> Result {
    let source = source(Auth::basic("me", "pw")).await?;
    let config = json!({"auths": {"quay.io": entry("host"), "quay.io/team": entry("pw"), "quay.io/te": entry("x")}});
    copied(&source, "quay.io/team/app:1", &config)
        .await?
        .ended(0);
    let other = copied(&source, "quay.io/library/app:1", &config).await?;
    other.ended(1).said(&["401"]);
    Ok(())
}

#[tokio::test]
async fn docker_hub_has_one_login_under_all_its_names() -> Result {
    let source = source(Auth::bearer("me", "pw")).await?;
    let key = "https://index.docker.io/v1/";
    let config = json!({"auths": {
        key: entry("pw"),
        format!("{key}access-token"): entry("access"),
        format!("{key}refresh-token"): entry("refresh"),
    }});
    for image in [
        "app:1",
        "index.docker.io/app:1",
        "registry-1.docker.io/library/app:1",
    ] {
        copied(&source, image, &config).await?.ended(0);
    }
    Ok(())
}

#[tokio::test]
async fn tokens_of_the_configuration_are_used_as_what_they_are() -> Result {
    let locked = source(Auth::bearer("me", "identity")).await?;
    let config = json!({"auths": {"quay.io": {"identitytoken": "identity"}}});
    copied(&locked, "quay.io/team/app:1", &config)
        .await?
        .ended(0);
    assert_eq!(locked.wire().count("POST", "/token"), 1);

    let open = source(Auth::Anonymous).await?;
    let fault = Fault::status(401).header(
        "WWW-Authenticate",
        "Bearer realm=\"http://127.0.0.1:1/none\"",
    );
    open.faults().add(Rule::new(fault).times(1));
    let config = json!({"auths": {"quay.io": {"registrytoken": "given"}}});
    copied(&open, "quay.io/team/app:1", &config).await?.ended(0);
    let requests = open.wire().requests();
    let sent = requests[1..]
        .iter()
        .map(|request| request.authorization.as_deref());
    assert!(
        sent.into_iter()
            .all(|header| header == Some("Bearer given"))
    );
    Ok(())
}

#[tokio::test]
async fn an_identity_token_is_not_sent_on_to_another_host() -> Result {
    let (locked, other) = (
        source(Auth::bearer("me", "identity")).await?,
        Registry::start().await?,
    );
    let there = format!("{}{{path}}", other.url());
    locked
        .faults()
        .add(Rule::new(Fault::Redirect(there)).on("POST", "/token"));
    let config = json!({"auths": {"quay.io": {"identitytoken": "identity"}}});
    let failed = copied(&locked, "quay.io/team/app:1", &config).await?;
    failed.ended(1).said(&["/token", "307"]);
    assert!(other.wire().requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_helper_may_answer_without_reading_and_one_that_fails_is_named() -> Result {
    let source = source(Auth::basic("me", "pw")).await?;
    let with = |name: &str| json!({"credHelpers": {"quay.io": name}});
    for _ in 0..5 {
        copied(&source, "quay.io/team/app:1", &with("static"))
            .await?
            .ended(0);
    }
    for name in ["broken", "missing"] {
        let failed = copied(&source, "quay.io/team/app:1", &with(name))
            .await?
            .ended(1);
        let error = failed.report_of("app:1")["error"].to_string();
        assert!(
            error.contains(&format!("docker-credential-{name}")),
            "{error}"
        );
        assert!(
            error.contains("401") && !failed.stderr.contains("hunter2"),
            "{error}"
        );
    }
    // What the helper does not have, an entry may have.
    let both = json!({"credHelpers": {"quay.io": "empty"}, "auths": {"quay.io": entry("pw")}});
    copied(&source, "quay.io/team/app:1", &both).await?.ended(0);
    // A helper that fails does not matter where no login is needed.
    let public = self::source(Auth::Anonymous).await?;
    let config = json!({"credsStore": "missing"});
    copied(&public, "quay.io/team/app:1", &config)
        .await?
        .ended(0);
    Ok(())
}

#[tokio::test]
async fn a_token_is_asked_for_the_scope_of_the_challenge_too() -> Result {
    let source = source(Auth::public(Duration::from_mins(5))).await?;
    let challenge = format!(
        "Bearer realm=\"{}/token\",service=\"lab\",scope=\"repository:real/app:pull\"",
        source.url()
    );
    let fault = Fault::status(401).header("WWW-Authenticate", &challenge);
    source.faults().add(Rule::new(fault).times(1));
    copied(&source, "quay.io/team/app:1", &json!({}))
        .await?
        .ended(0);
    let requests = source.wire().requests();
    let token = requests.iter().find(|request| request.path == "/token");
    let query = &token.expect("a request for a token").query;
    for scope in [
        "repository%3Ateam%2Fapp%3Apull",
        "repository%3Areal%2Fapp%3Apull",
    ] {
        assert!(query.contains(scope), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn answers_of_token_services_are_read_tolerantly() -> Result {
    for answer in [
        json!({"access_token": "t"}),
        json!({"token": null, "access_token": "t", "expires_in": 0}),
        json!({"token": "t", "access_token": null, "expires_in": -1}),
        json!({"token": "t", "expires_in": null}),
        json!({"token": "t", "expires_in": "3600"}),
        json!({"token": "t", "expires_in": 1e30}),
    ] {
        let source = source(Auth::Anonymous).await?;
        let challenge = format!("Bearer realm=\"{}/token\"", source.url());
        let fault = Fault::status(401).header("WWW-Authenticate", &challenge);
        source
            .faults()
            .add(Rule::new(fault).on("", "/v2/").times(1));
        let fault = Fault::status(200).body(&answer.to_string());
        source.faults().add(Rule::new(fault).on("GET", "/token"));
        copied(&source, "quay.io/team/app:1", &json!({}))
            .await?
            .ended(0);
        let requests = source.wire().requests();
        let sent = requests
            .last()
            .and_then(|request| request.authorization.clone());
        assert_eq!(sent.as_deref(), Some("Bearer t"), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn manifests_and_indexes_that_a_proxy_compressed_are_decoded() -> Result {
    let source = source(Auth::public(Duration::from_mins(5))).await?;
    for path in [
        "/manifests/",
        "/token",
        "/referrers/",
        "/tags/list",
        "/blobs/",
    ] {
        source.faults().add(Rule::new(Fault::Gzip).on("GET", path));
    }
    copied(&source, "quay.io/team/app:1", &json!({}))
        .await?
        .ended(0);
    assert!(source.faults().injected().len() >= 4);

    let charts = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    charts
        .faults()
        .add(Rule::new(Fault::Gzip).on("GET", ".yaml"));
    charts
        .faults()
        .add(Rule::new(Fault::Gzip).on("GET", ".tgz"));
    let data = Data::chart(&charts.url(), "");
    data.plan().run().await.ended(0);
    Ok(())
}

#[tokio::test]
async fn an_error_whose_body_drips_is_given_up() -> Result {
    let source = source(Auth::Anonymous).await?;
    let slow = Fault::Slow {
        bytes_per_second: 2,
    };
    source
        .faults()
        .add(Rule::new(slow).on("GET", "/manifests/"));
    // The answer for a repository that is not there has a body.
    let failed = copied(&source, "quay.io/team/none:1", &json!({}))
        .await?
        .ended(1);
    assert!(failed.took < Duration::from_secs(25), "{:?}", failed.took);
    Ok(())
}

#[tokio::test]
async fn loopback_is_never_asked_through_a_proxy() -> Result {
    let (source, target, proxy) = (
        source(Auth::Anonymous).await?,
        Registry::start().await?,
        Registry::start().await?,
    );
    let from = format!("{}/team/app:1", source.host());
    let run = Run::new().args(["copy", &from, &format!("{}/app:1", target.host())]);
    let run = run
        .env("HTTP_PROXY", proxy.url())
        .env("all_proxy", proxy.url());
    run.run().await.ended(0);
    assert!(proxy.wire().requests().is_empty());
    // What is not on this machine goes through it.
    let run = Run::new().args([
        "copy",
        "reg.invalid/app:1",
        &format!("{}/app:1", target.host()),
    ]);
    let run = run.args(["--plain-http", "reg.invalid", "--tries", "1"]);
    run.env("http_proxy", proxy.url()).run().await.ended(1);
    assert!(!proxy.wire().requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn an_address_of_ip_version_6_is_a_registry() -> Result {
    let source = source(Auth::basic("me", "pw")).await?;
    let target = Registry::start().await?;
    let host = "[2001:db8::1]:5000";
    let run = Data::images(&[&format!("{host}/team/app:1")]).deploy(&target);
    let run = run.endpoint(host, &source.url()).login(host, "me", "pw");
    run.run().await.ended(0);
    assert_eq!(
        target.tags("mirror/2001-db8-0-0-0-0-0-1-5000/team/app"),
        ["1"]
    );
    Ok(())
}

#[tokio::test]
async fn a_token_in_the_url_of_a_chart_repository_shows_nowhere() -> Result {
    let target = Registry::start().await?;
    let charts = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    let data = Data::chart(&format!("\"{}?token=hunter2\"", charts.url()), "");
    let done = data.deploy(&target).arg("-vv").run().await.ended(0);
    let requests = charts.wire().requests();
    assert!(
        requests
            .iter()
            .all(|request| request.query == "token=hunter2")
    );
    charts.faults().add(Rule::new(Fault::status(403)));
    let failed = data.deploy(&target).arg("-vv").run().await.ended(1);
    for run in [done, failed] {
        let mut texts = vec![run.stdout.clone(), run.stderr.clone()];
        texts.extend(run.files().iter().map(|name| run.text(name)));
        assert!(
            texts.iter().all(|text| !text.contains("hunter2")),
            "{texts:?}"
        );
    }
    for repository in [
        "https://me:hunter2@charts.corp/c",
        "oci://me:hunter2@charts.corp/c",
        "https://me:hunter2@/c",
    ] {
        let refused = Data::chart(repository, "").plan().run().await.ended(2);
        assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn the_token_of_a_chart_repository_stays_with_its_host() -> Result {
    let chart = Chart::new("app", "1.0.0");
    let (charts, other) = (
        ChartRepository::start(vec![chart.clone()]).await?,
        ChartRepository::start(vec![chart]).await?,
    );
    let index = charts.file("index.yaml").expect("an index");
    let index = String::from_utf8(index.to_vec())?;
    let data = Data::chart(&format!("\"{}?token=hunter2\"", charts.url()), "");
    // An archive elsewhere, by a URL that is relative to the scheme, and by a redirect.
    charts.set_index(index.replace(
        "app-1.0.0.tgz",
        &format!("//{}/app-1.0.0.tgz", other.host()),
    ));
    data.plan().run().await.ended(0);
    charts.set_index(index);
    let there = format!("{}/app-1.0.0.tgz", other.url());
    charts
        .faults()
        .add(Rule::new(Fault::Redirect(there)).on("GET", ".tgz"));
    data.plan().run().await.ended(0);
    let asked = other.wire().requests();
    assert!(asked.len() >= 2);
    for request in asked {
        let headers = format!("{:?}", request.headers);
        assert!(!request.query.contains("hunter2") && !headers.contains("hunter2"));
    }
    Ok(())
}
