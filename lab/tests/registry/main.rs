//! The registry as a client sees it.

mod faults;

use std::time::Duration;

use lab::content::{Synthetic, digest_of};
use lab::image::{Image, media};
use lab::registry::{Auth, Registry};
use reqwest::{Client, StatusCode};

type Result = anyhow::Result<()>;

#[tokio::test]
async fn what_is_seeded_can_be_read_and_ranges_are_served() -> Result {
    let registry = Registry::start().await?;
    let image = Image::new()
        .platform("linux/amd64")
        .platform("linux/arm64/v8")
        .base(100, 1)
        .layer(200_000, 2);
    let app = image.attestations().push(&registry, "library/app", "1.0")?;
    assert_eq!(registry.check_integrity(), Vec::<String>::new());
    assert_eq!((app.manifests.len(), app.blobs.len()), (5, 9));

    let client = Client::new();
    let url = format!("{}/v2/library/app", registry.url());
    let head = client.head(format!("{url}/manifests/1.0")).send().await?;
    assert_eq!(
        head.headers()["docker-content-digest"],
        app.root.digest.as_str()
    );
    assert_eq!(
        head.headers()["content-length"],
        app.root.size.to_string().as_str()
    );
    let index = client
        .get(format!("{url}/manifests/{}", app.root.digest))
        .send()
        .await?;
    assert_eq!(index.headers()["content-type"], media::INDEX);
    assert_eq!(digest_of(&index.bytes().await?), app.root.digest);

    let layer = app.blobs.iter().find(|blob| blob.size == 200_000).unwrap();
    let whole = client
        .get(format!("{url}/blobs/{}", layer.digest))
        .send()
        .await?
        .bytes()
        .await?;
    assert_eq!(digest_of(&whole), layer.digest);
    let part = client
        .get(format!("{url}/blobs/{}", layer.digest))
        .header("range", "bytes=70000-")
        .send()
        .await?;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], "bytes 70000-199999/200000");
    assert_eq!(part.bytes().await?, whole[70_000..]);

    assert_eq!(registry.wire().count("GET", "/blobs/"), 2);
    assert_eq!(registry.wire().count_action("manifest.head"), 1);
    let sent: u64 = registry
        .wire()
        .requests()
        .iter()
        .filter(|r| r.action == "blob.get")
        .map(|r| r.bytes_out)
        .sum();
    assert_eq!(sent, 200_000 + 130_000);
    Ok(())
}

#[tokio::test]
async fn a_push_is_checked_and_committed() -> Result {
    let registry = Registry::builder().discard_over(1000).start().await?;
    let client = Client::new();
    let url = format!("{}/v2/team/app", registry.url());
    let (small, big) = (
        b"{}".to_vec(),
        Synthetic {
            seed: 1,
            size: 5000,
        }
        .bytes(),
    );
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "config": {"mediaType": media::CONFIG, "digest": digest_of(&small), "size": 2},
        "layers": [{"mediaType": media::LAYER, "digest": digest_of(&big), "size": 5000}],
    })
    .to_string();
    let put_manifest = || {
        client
            .put(format!("{url}/manifests/1"))
            .header("content-type", media::MANIFEST)
            .body(manifest.clone())
            .send()
    };
    let refused = put_manifest().await?;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(refused.text().await?.contains("MANIFEST_BLOB_UNKNOWN"));

    // One PUT, as one part.
    let session = client.post(format!("{url}/blobs/uploads/")).send().await?;
    assert_eq!(session.status(), StatusCode::ACCEPTED);
    let location = session.headers()["location"].to_str()?.to_owned();
    assert!(
        location.starts_with("/v2/team/app/blobs/uploads/") && location.contains('?'),
        "{location}"
    );
    let put = format!("{}{location}&digest={}", registry.url(), digest_of(&small));
    assert_eq!(
        client.put(put).body(small.clone()).send().await?.status(),
        StatusCode::CREATED
    );

    // Two parts and an empty PUT, in one that is too long to be kept.
    let session = client.post(format!("{url}/blobs/uploads/")).send().await?;
    let mut location = session.headers()["location"].to_str()?.to_owned();
    for (first, part) in [(0, &big[..2000]), (2000, &big[2000..])] {
        let patch = client
            .patch(format!("{}{location}", registry.url()))
            .body(part.to_vec());
        let range = format!("{first}-{}", first + part.len() - 1);
        let answer = patch.header("content-range", range).send().await?;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        location = answer.headers()["location"].to_str()?.to_owned();
    }
    let put = format!("{}{location}&digest={}", registry.url(), digest_of(&big));
    assert_eq!(client.put(put).send().await?.status(), StatusCode::CREATED);
    assert!(registry.has_blob("team/app", &digest_of(&big)));
    assert_eq!(registry.blob("team/app", &digest_of(&big)), None);

    let created = put_manifest().await?;
    assert_eq!(created.status(), StatusCode::CREATED);
    assert!(created.headers().contains_key("location"));
    assert_eq!(registry.tags("team/app"), ["1"]);
    assert_eq!(registry.check_integrity(), Vec::<String>::new());

    // Mounted where it was not, and a wrong digest.
    let mount = format!(
        "{}/v2/other/blobs/uploads/?mount={}&from=team/app",
        registry.url(),
        digest_of(&big)
    );
    assert_eq!(
        client.post(mount).send().await?.status(),
        StatusCode::CREATED
    );
    let wrong = client
        .post(format!("{url}/blobs/uploads/?digest={}", digest_of(b"x")))
        .body("y")
        .send()
        .await?;
    assert!(wrong.text().await?.contains("DIGEST_INVALID"));

    registry.remove_blob("team/app", &digest_of(&small));
    assert_eq!(registry.check_integrity().len(), 1);
    Ok(())
}

#[tokio::test]
async fn bearer_tokens_are_scoped_and_expire() -> Result {
    let auth = Auth::Bearer {
        username: "me".into(),
        password: "secret".into(),
        anonymous: true,
        lifetime: Duration::from_mins(1),
    };
    let registry = Registry::builder().auth(auth).start().await?;
    Image::new().layer(10, 1).push(&registry, "a/b", "1")?;
    let client = Client::new();
    let manifest = format!("{}/v2/a/b/manifests/1", registry.url());
    let refused = client.get(&manifest).send().await?;
    let challenge = refused.headers()["www-authenticate"].to_str()?.to_owned();
    assert!(
        challenge.ends_with("scope=\"repository:a/b:pull\""),
        "{challenge}"
    );

    let token = async |scope: &str, user: Option<&str>| -> anyhow::Result<String> {
        let mut request = client.get(format!(
            "{}/token?service=lab&scope={scope}",
            registry.url()
        ));
        if let Some(user) = user {
            request = request.basic_auth(user, Some("secret"));
        }
        let answer: serde_json::Value =
            serde_json::from_slice(&request.send().await?.bytes().await?)?;
        Ok(answer["token"].as_str().unwrap_or_default().to_owned())
    };
    let anonymous = token("repository:a/b:pull,push", None).await?;
    assert_eq!(
        client
            .get(&manifest)
            .bearer_auth(&anonymous)
            .send()
            .await?
            .status(),
        StatusCode::OK
    );
    let start = format!("{}/v2/a/b/blobs/uploads/", registry.url());
    assert_eq!(
        client
            .post(&start)
            .bearer_auth(&anonymous)
            .send()
            .await?
            .status(),
        StatusCode::UNAUTHORIZED
    );
    let mine = token("repository:a/b:pull,push", Some("me")).await?;
    assert_eq!(
        client
            .post(&start)
            .bearer_auth(&mine)
            .send()
            .await?
            .status(),
        StatusCode::ACCEPTED
    );
    assert_eq!(token("repository:a/b:pull", Some("you")).await?, "");
    registry.expire_tokens();
    assert_eq!(
        client
            .get(&manifest)
            .bearer_auth(&mine)
            .send()
            .await?
            .status(),
        StatusCode::UNAUTHORIZED
    );
    Ok(())
}

#[tokio::test]
async fn referrers_are_listed_and_filtered_and_signatures_have_tags() -> Result {
    let registry = Registry::start().await?;
    let app = Image::new().layer(10, 1).push(&registry, "app", "1")?;
    app.attach(&registry, "application/vnd.sbom")?;
    app.attach(&registry, "application/vnd.sig")?;
    app.sign(&registry)?;
    let url = format!("{}/v2/app/referrers/{}", registry.url(), app.root.digest);
    let count = async |url: String| -> anyhow::Result<usize> {
        let index: serde_json::Value =
            serde_json::from_slice(&reqwest::get(url).await?.bytes().await?)?;
        Ok(index["manifests"].as_array().map_or(0, Vec::len))
    };
    assert_eq!(count(url.clone()).await?, 2);
    assert_eq!(
        count(format!("{url}?artifactType=application/vnd.sig")).await?,
        1
    );
    assert_eq!(
        registry.tags("app"),
        ["1", &lab::image::cosign_tag(&app.root.digest, "sig")]
    );

    let old = Registry::builder().without_referrers().start().await?;
    let app = Image::new().layer(10, 1).push(&old, "app", "1")?;
    app.attach(&old, "application/vnd.sbom")?;
    assert!(old.tags("app").contains(&app.root.digest.replace(':', "-")));
    assert_eq!(old.check_integrity(), Vec::<String>::new());
    Ok(())
}
