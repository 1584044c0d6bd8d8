//! What a registry does on request.

use std::time::Duration;

use lab::content::{Synthetic, digest_of};
use lab::faults::{Fault, Rule};
use lab::registry::Registry;
use reqwest::{Client, StatusCode};

use super::Result;

#[tokio::test]
async fn faults_hit_what_they_are_aimed_at() -> Result {
    let registry = Registry::start().await?;
    let blob = registry.seed_synthetic("a", 300_000, 1);
    let url = format!("{}/v2/a/blobs/{}", registry.url(), blob.digest);
    let faults = registry.faults();
    faults.add(
        Rule::new(Fault::status(429).header("Retry-After", "7"))
            .on("GET", "/blobs/")
            .nth(1),
    );
    faults.add(Rule::new(Fault::Reset).on("GET", "/blobs/").times(1));
    faults.add(
        Rule::new(Fault::Truncate { after: 100_000 })
            .on("GET", "/blobs/")
            .times(1),
    );
    faults.add(
        Rule::new(Fault::Corrupt { at: 250_000 })
            .on("GET", "/blobs/")
            .times(1),
    );
    faults.add(
        Rule::new(Fault::Redirect(format!(
            "{}/v2/moved{{path}}",
            registry.url()
        )))
        .on("GET", "/v2/a/")
        .times(1),
    );
    let stall = Fault::StallWithin {
        after: 5,
        pause: Duration::from_millis(120),
    };
    faults.add(Rule::new(stall).on("GET", "/v2/a/").times(1));

    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let throttled = client.get(&url).send().await?;
    assert_eq!(
        (
            throttled.status().as_u16(),
            &throttled.headers()["retry-after"].to_str()?
        ),
        (429, &"7")
    );
    assert!(client.get(&url).send().await.is_err(), "reset");
    let truncated = client.get(&url).send().await?;
    assert_eq!(truncated.content_length(), Some(300_000));
    assert!(truncated.bytes().await.is_err(), "truncated");
    let corrupt = client.get(&url).send().await?.bytes().await?;
    assert_eq!(corrupt.len(), 300_000);
    assert_ne!(digest_of(&corrupt), blob.digest);
    let moved = client.get(&url).send().await?;
    assert!(
        moved.headers()["location"]
            .to_str()?
            .contains("/v2/moved/v2/a/blobs/")
    );
    let started = std::time::Instant::now();
    assert_eq!(
        digest_of(&client.get(&url).send().await?.bytes().await?),
        blob.digest
    );
    assert!(started.elapsed() >= Duration::from_millis(120));
    let kinds: Vec<&str> = faults
        .injected()
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(
        kinds,
        [
            "answer",
            "reset",
            "truncate",
            "corrupt",
            "redirect",
            "stall-within"
        ]
    );
    let bytes_out: Vec<u64> = registry
        .wire()
        .requests()
        .iter()
        .map(|request| request.bytes_out)
        .collect();
    assert_eq!(bytes_out, [0, 0, 100_000, 300_000, 0, 300_000]);
    Ok(())
}

#[tokio::test]
async fn an_upload_can_be_dropped_and_an_answer_lost() -> Result {
    let registry = Registry::start().await?;
    let bytes = Synthetic {
        seed: 1,
        size: 400_000,
    }
    .bytes();
    let client = Client::new();
    let start = format!("{}/v2/a/blobs/uploads/", registry.url());
    registry.faults().add(
        Rule::new(Fault::DropUpload { after: 100_000 })
            .on("PATCH", "")
            .times(1),
    );
    registry
        .faults()
        .add(Rule::new(Fault::LoseAnswer).on("PUT", "").times(1));

    let location = client.post(&start).send().await?.headers()["location"]
        .to_str()?
        .to_owned();
    let session = format!("{}{location}", registry.url());
    assert!(
        client
            .patch(&session)
            .body(bytes.clone())
            .send()
            .await
            .is_err()
    );
    let status = client.get(&session).send().await?;
    assert_eq!(status.headers()["range"], "0-99999");
    let rest = client
        .patch(&session)
        .header("content-range", "100000-399999")
        .body(bytes[100_000..].to_vec());
    assert_eq!(rest.send().await?.status(), StatusCode::ACCEPTED);
    assert!(
        client
            .put(format!("{session}&digest={}", digest_of(&bytes)))
            .send()
            .await
            .is_err()
    );
    assert_eq!(
        registry.blob("a", &digest_of(&bytes)).as_deref(),
        Some(bytes.as_slice())
    );
    Ok(())
}
