//! Credentials: which hosts get them, and that no output contains them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lab::aws::Aws;
use lab::chart::{Chart, ChartRepository};
use lab::registry::{Auth, Registry};
use serde_json::json;

use super::Result;
use super::data::Data;
use super::ecr::{image, seed_farmer};
use super::run::{Finished, Run};

/// A password that nothing else looks like.
const MARK: &str = "hunter2-c0ffee";

/// A private mirror and chart repository, and a public registry that asks for nothing.
struct PrivateSources {
    aws: Aws,
    mirror: Registry,
    public: Registry,
    charts: ChartRepository,
}

impl PrivateSources {
    async fn new() -> anyhow::Result<Self> {
        let mirror = Registry::builder()
            .auth(Auth::basic("me", MARK))
            .start()
            .await?;
        let public = Registry::start().await?;
        image().push(&mirror, "quay/team/app", "1")?;
        image().push(&public, "team/open", "1")?;
        let charts = ChartRepository::builder()
            .basic("me", MARK)
            .chart(Chart::new("app", "1.2.3"));
        Ok(Self {
            aws: Aws::start().await?,
            mirror,
            public,
            charts: charts.start().await?,
        })
    }

    fn data(&self) -> Data {
        let version = format!(
            "additional_images: {{app: \"quay.io/team/app:1\", open: \"{}/team/open:1\"}}\n\
             docker_mappings: {{quay.io: \"{}/quay\"}}\n",
            self.public.host(),
            self.mirror.host()
        );
        let default = format!(
            "charts: {{app: {{name: app, repository: \"{}\", version: 1.2.3}}}}\n",
            self.charts.url()
        );
        Data::new(&default, &version)
    }

    /// Deploys at the highest verbosity with a secret.
    async fn deploy(&self, secret: &str, key: Option<&str>) -> Finished {
        self.aws.put_secret("sources", secret);
        let run = self.data().given_to(Run::new().args(["deploy", "-vv"]));
        let run = seed_farmer(run.envs(self.aws.env())).out();
        let run = run.env("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "sources");
        match key {
            Some(key) => {
                run.env("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_KEY", key)
                    .run()
                    .await
            }
            None => run.run().await,
        }
    }
}

/// Nothing that a run left behind shows a secret.
fn assert_silent(done: &Finished) {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("me:{MARK}"));
    let mut texts = vec![done.stdout.clone(), done.stderr.clone()];
    texts.extend(done.files().iter().map(|name| done.text(name)));
    for text in texts {
        assert!(
            !text.contains(MARK) && !text.contains(&encoded),
            "a secret shows in\n{text}"
        );
    }
}

#[tokio::test]
async fn all_three_shapes_of_a_secret_open_what_they_are_for_and_nothing_shows_them() -> Result {
    let place = PrivateSources::new().await?;
    let login = json!({"username": "me", "password": MARK});
    let charts = place.charts.host();
    for (secret, key) in [
        (login.clone(), None),
        (
            json!({"other": {"username": "x", "password": "y"}, "mine": login}),
            Some("mine"),
        ),
        (json!({place.mirror.host(): login, charts: login}), None),
    ] {
        let done = place.deploy(&secret.to_string(), key).await.ended(0);
        assert_silent(&done);
    }
    let public = place.public.wire().requests();
    assert!(public.len() > 3 && public.iter().all(|request| request.authorization.is_none()));
    Ok(())
}

#[tokio::test]
async fn a_secret_without_hosts_goes_to_chart_repositories_only_when_they_ask() -> Result {
    let place = PrivateSources::new().await?;
    let flat = json!({"username": "me", "password": MARK}).to_string();
    let done = place.deploy(&flat, None).await.ended(0);
    let asked = place.charts.wire().requests();
    assert_eq!(
        (asked[0].status, asked[0].authorization.as_deref()),
        (401, None)
    );
    assert!(
        asked[1..]
            .iter()
            .all(|request| request.authorization.is_some())
    );
    // It went to two hosts: the form that names them is better.
    let (mirror, charts) = (place.mirror.host(), place.charts.host());
    assert_silent(&done.said(&["warning: HelmRepoSecretName", &mirror, &charts]));

    for status in [403, 404] {
        place.charts.wire().clear();
        let fault = lab::faults::Fault::status(status);
        place.charts.faults().add(lab::faults::Rule::new(fault));
        let failed = place.deploy(&flat, None).await.ended(1);
        let form = format!(r#"{{"{charts}": {{"username": "…", "password": "…"}}}}"#);
        assert_silent(&failed.said(&["HelmRepoSecretName was not sent", &form]));
        let asked = place.charts.wire().requests();
        assert!(asked.iter().all(|request| request.authorization.is_none()));
        place.charts.faults().clear();
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_for_another_host_opens_nothing_else() -> Result {
    let place = PrivateSources::new().await?;
    let secret = json!({"other.example": {"username": "me", "password": MARK}});
    let done = place.deploy(&secret.to_string(), None).await.ended(1);
    assert_silent(&done);
    let asked = place
        .mirror
        .wire()
        .requests()
        .into_iter()
        .chain(place.charts.wire().requests());
    assert_eq!(
        asked
            .filter(|request| request.authorization.is_some())
            .count(),
        0
    );
    Ok(())
}

#[tokio::test]
async fn a_broken_secret_is_named_and_not_shown() -> Result {
    let place = PrivateSources::new().await?;
    for (secret, key, word) in [
        (MARK.to_owned(), None, "it is not JSON"),
        (
            json!({"mine": {"username": MARK}}).to_string(),
            Some("mine"),
            "lacks `username` or `password`",
        ),
        (
            json!({"mine": {"username": "me", "password": MARK}}).to_string(),
            Some("yours"),
            "no entry `yours`",
        ),
    ] {
        let done = place.deploy(&secret, key).await.ended(2);
        let done = done.said(&["HelmRepoSecretName (sources)", word]);
        assert_silent(&done);
    }
    place
        .aws
        .fail("GetSecretValue", "AccessDeniedException", 400, 1);
    let denied = place.deploy("{}", None).await.ended(1);
    denied.said(&[
        "secretsmanager:GetSecretValue sources: AccessDeniedException",
        "hint",
    ]);
    Ok(())
}

#[tokio::test]
async fn wrong_credentials_are_reported_without_being_shown() -> Result {
    let mirror = Registry::builder()
        .auth(Auth::bearer("me", "right"))
        .start()
        .await?;
    let target = Registry::start().await?;
    image().push(&mirror, "team/app", "1")?;
    let run = Run::new().args(["copy", "-vv", &format!("{}/team/app:1", mirror.host())]);
    let run = run
        .arg(format!("{}/app:1", target.host()))
        .login(&mirror.host(), "me", MARK);
    let done = run
        .out()
        .run()
        .await
        .ended(1)
        .said(&["401 Unauthorized", "hint"]);
    assert_silent(&done);
    Ok(())
}

#[tokio::test]
async fn a_credential_helper_is_asked_for_its_host() -> Result {
    let mirror = Registry::builder()
        .auth(Auth::bearer("me", MARK))
        .start()
        .await?;
    let target = Registry::start().await?;
    image().push(&mirror, "team/app", "1")?;
    let folder = tempfile::tempdir()?;
    let helper = folder.path().join("docker-credential-lab");
    let answer = json!({"ServerURL": "x", "Username": "me", "Secret": MARK});
    let script = format!(
        "#!/bin/sh\n[ \"$(cat)\" = '{}' ] && echo '{answer}'\n",
        mirror.host()
    );
    fs::write(&helper, script)?;
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755))?;
    let config = json!({"credHelpers": {mirror.host(): "lab"}});
    fs::write(folder.path().join("config.json"), config.to_string())?;

    let run = Run::new().args(["copy", "-vv", &format!("{}/team/app:1", mirror.host())]);
    let run = run.arg(format!("{}/app:1", target.host())).out();
    let run = run.env("DOCKER_CONFIG", folder.path());
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let done = run.env("PATH", path).run().await.ended(0);
    assert_silent(&done);
    assert_eq!(target.tags("app"), ["1"]);
    Ok(())
}
