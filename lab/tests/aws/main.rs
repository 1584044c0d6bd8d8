//! The habits of ECR, and the APIs around it, on the wire.

mod services;

use std::time::Duration;

use lab::aws::Aws;
use lab::content::{Synthetic, digest_of};
use lab::image::{Image, media};
use lab::registry::{EcrBehaviour, Mutability};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

type Result<T = ()> = anyhow::Result<T>;

/// Calls an action of ECR's API: the status and the answer.
async fn ecr(aws: &Aws, action: &str, input: Value) -> Result<(u16, Value)> {
    let target = format!("AmazonEC2ContainerRegistry_V20150921.{action}");
    let request = Client::new()
        .post(aws.url())
        .header("x-amz-target", target)
        .body(input.to_string());
    let answer = request.send().await?;
    Ok((
        answer.status().as_u16(),
        serde_json::from_slice(&answer.bytes().await?)?,
    ))
}

/// A client of an account's registry with a password from the API.
struct Docker {
    client: Client,
    token: String,
    url: String,
}

impl Docker {
    async fn login(aws: &Aws) -> Result<Self> {
        let (_, answer) = ecr(aws, "GetAuthorizationToken", json!({})).await?;
        let data = &answer["authorizationData"][0];
        let (token, url) = (
            data["authorizationToken"].as_str(),
            data["proxyEndpoint"].as_str(),
        );
        let (token, url) = (
            token.unwrap_or_default().to_owned(),
            url.unwrap_or_default().to_owned(),
        );
        Ok(Self {
            client: Client::new(),
            token,
            url,
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        Ok(request
            .header("authorization", format!("Basic {}", self.token))
            .send()
            .await?)
    }

    async fn start(&self, repository: &str, query: &str) -> Result<Response> {
        self.send(self.client.post(format!(
            "{}/v2/{repository}/blobs/uploads/{query}",
            self.url
        )))
        .await
    }

    async fn session(&self, repository: &str) -> Result<String> {
        let started = self.start(repository, "").await?;
        Ok(format!(
            "{}{}",
            self.url,
            started.headers()["location"].to_str()?
        ))
    }

    async fn push(&self, repository: &str, bytes: &[u8]) -> Result<Response> {
        let url = format!(
            "{}&digest={}",
            self.session(repository).await?,
            digest_of(bytes)
        );
        self.send(self.client.put(url).body(bytes.to_vec())).await
    }

    async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        body: String,
    ) -> Result<Response> {
        let url = format!("{}/v2/{repository}/manifests/{reference}", self.url);
        self.send(
            self.client
                .put(url)
                .header("content-type", media::MANIFEST)
                .body(body),
        )
        .await
    }
}

fn manifest(blobs: &[&[u8]]) -> String {
    let describe = |bytes: &&[u8]| json!({"mediaType": media::LAYER, "digest": digest_of(bytes), "size": bytes.len()});
    let layers: Vec<Value> = blobs[1..].iter().map(describe).collect();
    json!({"schemaVersion": 2, "config": describe(&blobs[0]), "layers": layers}).to_string()
}

#[tokio::test]
async fn repositories_are_created_through_the_api_and_pushed_to_with_its_password() -> Result {
    let aws = Aws::start().await?;
    let docker = Docker::login(&aws).await?;
    let ping = reqwest::get(format!("{}/v2/", docker.url)).await?;
    assert!(
        ping.headers()["www-authenticate"]
            .to_str()?
            .starts_with("Basic ")
    );
    assert_eq!(
        docker.start("team/app", "").await?.status(),
        StatusCode::NOT_FOUND
    );

    let (status, created) = ecr(
        &aws,
        "CreateRepository",
        json!({"repositoryName": "team/app", "tags": [{"Key": "a", "Value": "b"}], "imageTagMutability": "IMMUTABLE"}),
    )
    .await?;
    assert_eq!(
        (status, &created["repository"]["repositoryName"]),
        (200, &json!("team/app"))
    );
    assert_eq!(
        aws.repository("team/app").unwrap().mutability,
        Mutability::Immutable
    );
    let (status, again) = ecr(
        &aws,
        "CreateRepository",
        json!({"repositoryName": "team/app"}),
    )
    .await?;
    assert_eq!(
        (status, &again["__type"]),
        (400, &json!("RepositoryAlreadyExistsException"))
    );

    let (config, layer) = (b"{}".as_slice(), b"layer".as_slice());
    assert_eq!(
        docker.push("team/app", config).await?.status(),
        StatusCode::CREATED
    );
    let early = docker
        .put_manifest("team/app", "1", manifest(&[config, layer]))
        .await?;
    assert!(early.text().await?.contains("required for pushing image"));
    assert_eq!(
        docker.push("team/app", layer).await?.status(),
        StatusCode::CREATED
    );
    let put = docker
        .put_manifest("team/app", "1", manifest(&[config, layer]))
        .await?;
    assert_eq!(
        (put.status(), put.headers().get("location")),
        (StatusCode::CREATED, None)
    );
    let again = docker
        .put_manifest("team/app", "1", manifest(&[config, layer]))
        .await?;
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    assert!(again.text().await?.contains("TAG_INVALID"));
    let layerless = docker
        .put_manifest("team/app", "2", manifest(&[config]))
        .await?;
    assert_eq!(layerless.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        docker.push("team/app", b"").await?.status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );

    let ids = json!([{"imageTag": "1"}, {"imageTag": "9"}]);
    let (_, images) = ecr(
        &aws,
        "BatchGetImage",
        json!({"repositoryName": "team/app", "imageIds": ids}),
    )
    .await?;
    assert_eq!(
        images["images"][0]["imageManifest"],
        manifest(&[config, layer])
    );
    assert_eq!(images["failures"][0]["failureCode"], "ImageNotFound");
    aws.registry().expire_tokens();
    assert_eq!(
        docker.start("team/app", "").await?.status(),
        StatusCode::FORBIDDEN
    );
    Ok(())
}

#[tokio::test]
async fn parts_are_answered_and_checked_as_ecr_does() -> Result {
    let aws = Aws::start().await?;
    aws.put_repository("a", |_| {});
    let docker = Docker::login(&aws).await?;
    let bytes = Synthetic {
        seed: 1,
        size: 300_000,
    }
    .bytes();
    let session = docker.session("a").await?;
    for part in bytes.chunks(150_000) {
        let patched = docker
            .send(docker.client.patch(&session).body(part.to_vec()))
            .await?;
        assert_eq!(patched.status(), StatusCode::CREATED);
        assert_eq!(patched.headers()["range"], "0-149999");
    }
    let put = docker
        .send(
            docker
                .client
                .put(format!("{session}&digest={}", digest_of(&bytes))),
        )
        .await?;
    assert!(put.text().await?.contains("LayerPartTooSmall"));

    let session = docker.session("a").await?;
    aws.registry().faults().add(
        lab::faults::Rule::new(lab::faults::Fault::DropUpload { after: 1000 })
            .on("PUT", "")
            .times(1),
    );
    let put = format!("{session}&digest={}", digest_of(&bytes));
    assert!(
        docker
            .send(docker.client.put(&put).body(bytes.clone()))
            .await
            .is_err()
    );
    let again = docker
        .send(docker.client.put(&put).body(bytes.clone()))
        .await?;
    assert_eq!(again.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert!(again.text().await?.contains("is 0 instead of 1000"));
    Ok(())
}

#[tokio::test]
async fn mounting_needs_the_setting_and_a_manifest() -> Result {
    let aws = Aws::start().await?;
    aws.put_repository("to", |_| {});
    let app = Image::new()
        .layer(100, 1)
        .push(aws.registry(), "from", "1")?;
    let loose = aws.registry().put_blob("from", b"loose")?;
    let docker = Docker::login(&aws).await?;
    let query = |digest: &str| format!("?mount={digest}&from=from");
    let layer = &app.blobs[0].digest;
    assert_eq!(
        docker.start("to", &query(layer)).await?.status(),
        StatusCode::ACCEPTED
    );
    ecr(
        &aws,
        "PutAccountSetting",
        json!({"name": "BLOB_MOUNTING", "value": "ENABLED"}),
    )
    .await?;
    assert_eq!(
        docker.start("to", &query(layer)).await?.status(),
        StatusCode::CREATED
    );
    assert_eq!(
        docker.start("to", &query(&loose.digest)).await?.status(),
        StatusCode::ACCEPTED
    );
    aws.put_repository("to", |settings| settings.encryption = "KMS".into());
    assert_eq!(
        docker.start("to", &query(layer)).await?.status(),
        StatusCode::ACCEPTED
    );
    let layers = json!({"repositoryName": "to", "layerDigests": [layer, loose.digest]});
    let (_, layers) = ecr(&aws, "BatchCheckLayerAvailability", layers).await?;
    let states: Vec<&Value> = (0..2)
        .map(|i| &layers["layers"][i]["layerAvailability"])
        .collect();
    assert_eq!(states, ["AVAILABLE", "UNAVAILABLE"]);
    Ok(())
}

#[tokio::test]
async fn quotas_and_lag_can_be_switched_on() -> Result {
    let lag = Duration::from_millis(300);
    let behaviour = EcrBehaviour {
        put_image_rate: 2,
        validator_lag: lag,
        ..EcrBehaviour::default()
    };
    let aws = Aws::builder().ecr(behaviour).start().await?;
    aws.put_repository("a", |_| {});
    let docker = Docker::login(&aws).await?;
    docker.push("a", b"one").await?;
    docker.push("a", b"two").await?;
    let body = manifest(&[b"one", b"two"]);
    assert_eq!(
        docker.put_manifest("a", "1", body.clone()).await?.status(),
        StatusCode::BAD_REQUEST
    );
    tokio::time::sleep(lag).await;
    assert_eq!(
        docker.put_manifest("a", "1", body.clone()).await?.status(),
        StatusCode::CREATED
    );
    let throttled = docker.put_manifest("a", "2", body).await?;
    assert_eq!(throttled.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(throttled.text().await?.contains("TOOMANYREQUESTS"));
    Ok(())
}

#[tokio::test]
async fn images_are_deleted_unless_an_index_needs_them_and_pulls_are_recorded() -> Result {
    let aws = Aws::start().await?;
    let image = Image::new().platform("linux/amd64").layer(100, 1);
    let pushed = image.push(aws.registry(), "app", "1")?;
    let sbom = pushed.attach(aws.registry(), "application/spdx+json")?;
    let [index, platform, sbom] =
        [&pushed.root, &pushed.manifests[0], &sbom.root].map(|one| one.digest.clone());
    let describe = async |digest: &str| -> Result<Value> {
        let input = json!({"repositoryName": "app", "imageIds": [{"imageDigest": digest}]});
        let (_, answer) = ecr(&aws, "DescribeImages", input).await?;
        Ok(answer["imageDetails"][0].clone())
    };
    assert_eq!(
        describe(&sbom).await?["subjectManifestDigest"],
        json!(index)
    );
    assert_eq!(describe(&index).await?.get("lastRecordedPullTime"), None);
    let by_digest = |digests: &[&String]| -> Value {
        let ids: Vec<Value> = digests
            .iter()
            .map(|digest| json!({"imageDigest": digest}))
            .collect();
        json!({"repositoryName": "app", "imageIds": ids})
    };
    ecr(&aws, "BatchGetImage", by_digest(&[&index])).await?;
    assert!(describe(&index).await?["lastRecordedPullTime"].is_f64());
    assert_eq!(describe(&platform).await?.get("lastRecordedPullTime"), None);

    // In one call, the index does not go before its platform.
    let both = by_digest(&[&index, &platform, &sbom]);
    let (status, answer) = ecr(&aws, "BatchDeleteImage", both.clone()).await?;
    assert_eq!(status, 200);
    assert_eq!(answer["imageIds"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        answer["failures"][0]["failureCode"],
        "ImageReferencedByManifestList"
    );
    let (_, answer) = ecr(&aws, "BatchDeleteImage", both).await?;
    assert_eq!(answer["imageIds"], json!([{"imageDigest": platform}]));
    assert_eq!(answer["failures"][0]["failureCode"], "ImageNotFound");
    assert_eq!(aws.registry().manifests("app"), Vec::<String>::new());
    Ok(())
}
