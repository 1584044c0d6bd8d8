//! The speed of a link, and what it leaves alone.

use lab::aws::Aws;
use lab::content::Synthetic;
use lab::faults::{Fault, Rule};
use lab::link::Link;
use reqwest::{Client, Proxy, StatusCode, redirect};
use std::time::{Duration, Instant};

type Result<T = ()> = anyhow::Result<T>;

const RATE: u64 = 1_000_000;

fn client(link: &Link) -> Result<Client> {
    let builder = Client::builder().proxy(Proxy::http(link.url())?);
    Ok(builder.redirect(redirect::Policy::none()).build()?)
}

fn bytes(seed: u64, size: u64) -> Vec<u8> {
    Synthetic { seed, size }.bytes()
}

async fn get(client: &Client, url: String) -> Result<(Vec<u8>, Duration)> {
    let started = Instant::now();
    let response = client.get(url).send().await?.error_for_status()?;
    Ok((response.bytes().await?.to_vec(), started.elapsed()))
}

/// Bytes per second, and whether they are within 15 % of the link's.
fn is_the_rate(bytes: usize, took: Duration) -> bool {
    let rate = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / took.as_secs_f64();
    println!("{rate:.0} bytes per second");
    (850_000.0..1_150_000.0).contains(&rate)
}

#[tokio::test]
async fn two_downloads_share_the_speed_of_a_link_and_arrive_unchanged() -> Result {
    let (aws, link) = (Aws::start().await?, Link::start(RATE)?);
    let (one, two) = (bytes(1, 1_000_000), bytes(2, 1_000_000));
    aws.put_object("b", "one", one.clone());
    aws.put_object("b", "two", two.clone());
    let client = client(&link)?;
    let started = Instant::now();
    let (first, second) = tokio::join!(
        get(&client, format!("{}/b/one", aws.url())),
        get(&client, format!("{}/b/two", aws.url())),
    );
    let took = started.elapsed();
    let ((first, first_took), (second, second_took)) = (first?, second?);
    assert!(first == one && second == two);
    assert!(is_the_rate(2_000_000, took), "{took:?}");
    // Neither had the link for itself.
    assert!(first_took.min(second_took) > took.mul_f64(0.8));
    assert_eq!((link.bytes_up(), link.bytes_down()), (0, 2_000_000));
    Ok(())
}

#[tokio::test]
async fn both_directions_of_a_link_are_shaped_and_independent() -> Result {
    let (aws, link) = (Aws::start().await?, Link::start(RATE)?);
    let content = bytes(1, 1_000_000);
    aws.put_object("b", "down", content.clone());
    let client = client(&link)?;
    let started = Instant::now();
    let up = client.put(format!("{}/b/up", aws.url()));
    let (up, down) = tokio::join!(
        up.body(content.clone()).send(),
        get(&client, format!("{}/b/down", aws.url())),
    );
    let took = started.elapsed();
    assert_eq!(up?.status(), StatusCode::OK);
    assert!(down?.0 == content);
    assert_eq!(aws.object("b", "up").as_deref(), Some(&*content));
    assert!(is_the_rate(1_000_000, took), "{took:?}");
    assert_eq!((link.bytes_up(), link.bytes_down()), (1_000_000, 1_000_000));
    Ok(())
}

#[tokio::test]
async fn a_fast_link_is_nearly_as_fast_as_it_says() -> Result {
    let (aws, link) = (Aws::start().await?, Link::start(40_000_000)?);
    let content = bytes(1, 20_000_000);
    aws.put_object("b", "k", content.clone());
    let (got, took) = get(&client(&link)?, format!("{}/b/k", aws.url())).await?;
    assert!(got == content);
    assert!((0.45..1.0).contains(&took.as_secs_f64()), "{took:?}");
    Ok(())
}

#[tokio::test]
async fn a_link_keeps_connections_alive_and_passes_answers_through() -> Result {
    let (aws, link) = (Aws::start().await?, Link::start(RATE)?);
    aws.put_object("b", "k", "content");
    let (client, url) = (client(&link)?, format!("{}/b/k", aws.url()));
    for _ in 0..5 {
        assert_eq!(get(&client, url.clone()).await?.0, b"content");
    }
    let head = client.head(&url).send().await?;
    assert_eq!(
        (head.status(), head.headers()["content-length"].to_str()?),
        (StatusCode::OK, "7")
    );
    let missing = client.get(format!("{url}/no")).send().await?;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert!(missing.text().await?.contains("NoSuchKey"));
    let delete = client
        .delete(&url)
        .header("connection", "x-private")
        .header("x-private", "1");
    assert_eq!(delete.send().await?.status(), StatusCode::NO_CONTENT);
    assert_eq!(aws.wire().most_connections(), 1);
    let requests = aws.wire().requests();
    let headers = &requests[requests.len() - 1].headers;
    assert!(!headers.contains_key("x-private") && !headers.contains_key("transfer-encoding"));

    let elsewhere = Fault::Redirect("http://elsewhere.test{path}".to_owned());
    aws.faults().add(Rule::new(elsewhere).times(1));
    let redirected = client.get(&url).send().await?;
    assert_eq!(redirected.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(
        redirected.headers()["location"],
        "http://elsewhere.test/b/k"
    );
    Ok(())
}

#[tokio::test]
async fn a_link_ends_when_its_server_cuts_the_connection_and_when_it_is_dropped() -> Result {
    let (aws, link) = (Aws::start().await?, Link::start(RATE)?);
    aws.put_object("b", "k", bytes(1, 100_000));
    let (client, url) = (client(&link)?, format!("{}/b/k", aws.url()));
    aws.faults().add(Rule::new(Fault::Reset).times(1));
    assert!(client.get(&url).send().await.is_err());
    aws.faults()
        .add(Rule::new(Fault::Truncate { after: 50_000 }).times(1));
    assert!(get(&client, url.clone()).await.is_err());
    let closed = client.get("http://127.0.0.1:1/").send().await?;
    assert_eq!(closed.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(get(&client, url.clone()).await?.0.len(), 100_000);
    drop(link);
    assert!(get(&client, url).await.is_err());
    Ok(())
}
