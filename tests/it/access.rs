//! Logging in, and keeping credentials to those whom they are for.

use std::time::Duration;

use lab::faults::{Fault, Rule};
use lab::image::{Image, Pushed};
use lab::registry::{Auth, Registry};

use super::Result;
use super::content::assert_same;
use super::data::Data;
use super::run::docker_config;

const PASSWORD: &str = "pass:word-42";

async fn locked(auth: Auth) -> anyhow::Result<(Registry, Pushed)> {
    let registry = Registry::builder().auth(auth).start().await?;
    let image = Image::new().platform("linux/amd64").layer(500, 1);
    let pushed = image.push(&registry, "team/app", "1")?;
    Ok((registry, pushed))
}

fn app() -> Data {
    Data::images(&["quay.io/team/app:1"])
}

#[tokio::test]
async fn basic_credentials_come_from_the_home_folder() -> Result {
    let (source, pushed) = locked(Auth::basic("me", PASSWORD)).await?;
    let target = Registry::start().await?;
    let run = app().deploy(&target).login("quay.io", "me", PASSWORD);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    assert_same(&source, &pushed, &target, "1");
    let strangers = target.wire().requests();
    assert!(
        strangers
            .iter()
            .all(|request| request.authorization.is_none())
    );
    Ok(())
}

#[tokio::test]
async fn bearer_tokens_are_had_with_the_credentials_of_docker_config() -> Result {
    let (source, pushed) = locked(Auth::bearer("me", PASSWORD)).await?;
    let target = Registry::builder()
        .auth(Auth::bearer("you", "other"))
        .start()
        .await?;
    let dir = tempfile::tempdir()?;
    let both = docker_config("https://quay.io/v2/", "me", PASSWORD).replace("}}}", "},")
        + &docker_config(&target.host(), "you", "other").replace("{\"auths\":{", "");
    std::fs::write(dir.path().join("config.json"), both)?;
    let run = app().deploy(&target).env("DOCKER_CONFIG", dir.path());
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    assert_same(&source, &pushed, &target, "1");
    // One token for all that wait, at each side.
    assert_eq!(source.wire().count("GET", "/token"), 1);
    assert_eq!(target.wire().count("GET", "/token"), 1);
    let after_token = source.wire().requests();
    let content = after_token.iter().filter(|request| request.status == 200);
    assert!(content.skip(1).all(|request| {
        let header = request.authorization.as_deref();
        header.is_some_and(|header| header.starts_with("Bearer "))
    }));
    Ok(())
}

#[tokio::test]
async fn a_token_that_runs_out_in_the_middle_is_renewed() -> Result {
    let (source, target) = (
        Registry::builder()
            .auth(Auth::public(Duration::from_secs(2)))
            .start()
            .await?,
        Registry::start().await?,
    );
    // Longer than a token lives: each wave waits for an answer.
    let image = (0..40).fold(Image::new(), |image, seed| image.layer(100, seed));
    let pushed = image.push(&source, "team/app", "1")?;
    source.faults().latency(300);
    let run = app().deploy(&target).args(["--jobs", "1"]);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    assert_same(&source, &pushed, &target, "1");
    let tokens = source.wire().count("GET", "/token");
    assert!(tokens >= 2, "{tokens} token");
    Ok(())
}

#[tokio::test]
async fn wherever_the_target_refuses_a_token_a_new_one_is_tried() -> Result {
    let source = Registry::start().await?;
    let target = Registry::builder()
        .auth(Auth::bearer("me", PASSWORD))
        .start()
        .await?;
    let challenge = format!(
        "Bearer realm=\"{}/token\",service=\"lab\",error=\"invalid_token\"",
        target.url()
    );
    let (mut names, mut all) = (Vec::new(), Vec::new());
    let faults = [
        ("open", "POST", "/blobs/uploads/"),
        ("send", "PUT", "/blobs/uploads/"),
        ("name", "PUT", "/manifests/"),
    ];
    for (seed, (name, method, path)) in (1..).zip(faults) {
        let fault = Fault::status(401).header("WWW-Authenticate", &challenge);
        let rule = Rule::new(fault).on(method, &format!("/{name}{path}"));
        // The first request of all is refused anyway, without a token.
        target.faults().add(rule.nth(2));
        names.push(format!("quay.io/team/{name}:1"));
        let image = Image::new()
            .platform("linux/amd64")
            .layer(500, seed)
            .layer(600, 10 + seed);
        all.push(image.push(&source, &format!("team/{name}"), "1")?);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let run = Data::images(&names)
        .deploy(&target)
        .login(&target.host(), "me", PASSWORD);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    for pushed in &all {
        assert_same(&source, pushed, &target, "1");
    }
    assert_eq!(target.faults().injected().len(), 3);
    Ok(())
}

#[tokio::test]
async fn wrong_credentials_fail_with_a_hint_and_without_the_password() -> Result {
    for auth in [Auth::basic("me", "right"), Auth::bearer("me", "right")] {
        let (source, _) = locked(auth).await?;
        let target = Registry::start().await?;
        let run = app().deploy(&target).login("quay.io", "me", PASSWORD);
        let run = run.args(["-vv", "--tries", "1"]);
        let failed = run.endpoint("quay.io", &source.url()).run().await.ended(1);
        assert!(!failed.stderr.contains(PASSWORD));
        assert!(!failed.stderr.contains("Basic bWU6"));
        let failed = failed.said(&["source", "401", "config.json"]);
        let report = failed.report_of("team/app:1").to_string();
        assert!(!report.contains(PASSWORD), "{report}");
        assert_eq!(target.repositories(), Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn a_redirect_to_another_host_loses_the_credentials() -> Result {
    let (source, pushed) = locked(Auth::basic("me", PASSWORD)).await?;
    let (storage, target) = (Registry::start().await?, Registry::start().await?);
    Image::new()
        .platform("linux/amd64")
        .layer(500, 1)
        .push(&storage, "team/app", "1")?;
    let there = format!("{}{{path}}", storage.url());
    source
        .faults()
        .add(Rule::new(Fault::Redirect(there)).on("GET", "/blobs/"));
    let run = app().deploy(&target).login("quay.io", "me", PASSWORD);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    assert_same(&source, &pushed, &target, "1");
    let asked = storage.wire().requests();
    assert_eq!(asked.len(), pushed.blobs.len());
    assert!(asked.iter().all(|request| request.authorization.is_none()));
    Ok(())
}

#[tokio::test]
async fn a_login_goes_to_the_token_service_that_the_registry_names() -> Result {
    let (source, pushed) = locked(Auth::Anonymous).await?;
    let (service, target) = (
        Registry::builder()
            .auth(Auth::bearer("me", PASSWORD))
            .start()
            .await?,
        Registry::start().await?,
    );
    let realm = service.url().replace("127.0.0.1", "localhost");
    let challenge = format!("Bearer realm=\"{realm}/token\",service=\"x\"");
    let fault = Fault::status(401).header("WWW-Authenticate", &challenge);
    source.faults().add(Rule::new(fault).times(1));
    let run = app().deploy(&target).login("quay.io", "me", PASSWORD);
    let run = run.args(["--tries", "1"]);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    assert_same(&source, &pushed, &target, "1");
    let asked = service.wire().requests();
    let header = asked[0].authorization.as_deref();
    assert!(header.is_some_and(|header| header.starts_with("Basic ")));
    Ok(())
}

#[tokio::test]
async fn an_upload_to_another_host_goes_without_the_credentials() -> Result {
    let source = Registry::start().await?;
    let image = Image::new().layer(500, 1);
    image.push(&source, "team/app", "1")?;
    let auth = Auth::basic("me", PASSWORD);
    let target = Registry::builder().auth(auth).start().await?;
    let storage = Registry::builder().absolute_locations().start().await?;
    let client = reqwest::Client::new();
    let session = client.post(format!("{}/v2/x/blobs/uploads/", storage.url()));
    let session = session.send().await?;
    let location = session.headers()["location"].to_str()?;
    storage.wire().clear();
    let fault = Fault::status(202).header("Location", location);
    target
        .faults()
        .add(Rule::new(fault).on("POST", "/blobs/uploads/"));
    let run = app().deploy(&target).login(&target.host(), "me", PASSWORD);
    let run = run
        .args(["--tries", "1"])
        .endpoint("quay.io", &source.url());
    run.run().await.ended(1);
    let asked = storage.wire().requests();
    assert!(
        asked
            .iter()
            .any(|request| request.method == "PUT" && request.status == 201)
    );
    assert!(asked.iter().all(|request| request.authorization.is_none()));
    Ok(())
}

#[tokio::test]
async fn a_broken_docker_configuration_is_named_without_what_it_holds() -> Result {
    let target = Registry::start().await?;
    let dir = tempfile::tempdir()?;
    let text = r#"{"auths":{"quay.io":{"auth":"hunter2!"}}}"#;
    std::fs::write(dir.path().join("config.json"), text)?;
    let failed = app()
        .deploy(&target)
        .env("DOCKER_CONFIG", dir.path())
        .run()
        .await;
    assert_eq!(failed.code, Some(2));
    assert!(!failed.stderr.contains("hunter2"));
    failed
        .left_nothing()
        .said(&["config.json", "`quay.io`", "docker login"]);
    Ok(())
}
