//! Objects of the S3 stand-in: conditions, pages, and the attributes of an object.

use lab::aws::Aws;
use reqwest::{Client, StatusCode};

type Result<T = ()> = anyhow::Result<T>;

#[tokio::test]
async fn only_one_of_many_conditional_writes_of_an_object_succeeds() -> Result {
    let aws = Aws::start().await?;
    aws.put_bucket("b");
    let client = Client::new();
    let url = format!("{}/b/claim", aws.url());
    let writes = (0..16).map(|writer: u32| {
        let request = client.put(&url).header("if-none-match", "*");
        request.body(writer.to_string()).send()
    });
    let mut won = Vec::new();
    for (writer, answer) in futures_util::future::join_all(writes)
        .await
        .into_iter()
        .enumerate()
    {
        let answer = answer?;
        match answer.status() {
            StatusCode::OK => won.push(writer),
            status => {
                assert_eq!(status, StatusCode::PRECONDITION_FAILED);
                assert!(
                    answer
                        .text()
                        .await?
                        .contains("<Code>PreconditionFailed</Code>")
                );
            }
        }
    }
    assert_eq!(won.len(), 1);
    let kept = aws.object("b", "claim").expect("an object");
    assert_eq!(kept, won[0].to_string());
    client.delete(&url).send().await?;
    let again = client.put(&url).header("if-none-match", "*").send().await?;
    assert_eq!(again.status(), StatusCode::OK);
    Ok(())
}

/// The text between two tags, as often as they occur.
fn between(xml: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let ends = xml.split(&open).skip(1);
    let ends = ends.filter_map(|rest| rest.split_once(&close));
    ends.map(|(text, _)| text.to_owned()).collect()
}

#[tokio::test]
async fn lists_are_cut_to_a_prefix_and_come_in_pages() -> Result {
    let aws = Aws::start().await?;
    for key in ["a/1", "a/2", "a/3 +&", "a/4", "a/5", "b/1"] {
        aws.put_object("b", key, key);
    }
    let list = async |query: String| -> Result<String> {
        let url = format!("{}/b?list-type=2&{query}", aws.url());
        Ok(reqwest::get(url).await?.text().await?)
    };
    let (mut keys, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = list(format!("prefix=a%2F&max-keys=2{token}")).await?;
        keys.extend(between(&page, "Key"));
        pages += 1;
        let next = between(&page, "NextContinuationToken");
        let truncated = between(&page, "IsTruncated");
        assert_eq!(truncated, [(!next.is_empty()).to_string()]);
        let Some(next) = next.first() else {
            break;
        };
        let next = next
            .replace("&amp;", "%26")
            .replace('+', "%2B")
            .replace(' ', "%20");
        token = format!("&continuation-token={next}");
    }
    assert_eq!(keys, ["a/1", "a/2", "a/3 +&amp;", "a/4", "a/5"]);
    assert_eq!(pages, 3);
    let none = list("max-keys=0".to_owned()).await?;
    assert_eq!(between(&none, "IsTruncated"), ["false"]);
    for number in 0..1001 {
        aws.put_object("b", &format!("many/{number}"), "");
    }
    let many = list("prefix=many/&max-keys=5000".to_owned()).await?;
    assert_eq!(between(&many, "Key").len(), 1000);
    Ok(())
}

#[tokio::test]
async fn an_object_has_the_same_etag_everywhere() -> Result {
    let aws = Aws::start().await?;
    aws.put_bucket("b");
    let client = Client::new();
    let url = format!("{}/b/k", aws.url());
    let put = client.put(&url).body("one").send().await?;
    let etag = put.headers()["etag"].to_str()?.to_owned();
    for request in [client.get(&url), client.head(&url)] {
        let answer = request.send().await?;
        assert_eq!(answer.headers()["etag"].to_str()?, etag);
        assert!(answer.headers()["last-modified"].to_str()?.ends_with("GMT"));
    }
    let list = client.get(format!("{}/b", aws.url())).send().await?;
    let listed = between(&list.text().await?, "ETag");
    assert_eq!(listed, [etag.replace('"', "&quot;")]);
    let other = client.put(&url).body("two").send().await?;
    assert_ne!(other.headers()["etag"].to_str()?, etag);
    Ok(())
}
