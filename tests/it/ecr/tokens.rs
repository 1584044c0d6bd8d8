//! Tokens that expire, calls that are throttled, quotas.

use std::time::Duration;

use lab::aws::Aws;
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::Registry;

use crate::Result;
use crate::data::Data;

use super::{REPOSITORY, app, build, digest_at, image};

/// What ECR says to an expired token.
const EXPIRED: &str = r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;

#[tokio::test]
async fn when_all_tokens_expire_a_new_one_is_requested() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let pushed = image().push(&source, "team/app", "1")?;
    source
        .faults()
        .add(Rule::new(Fault::Stall(Duration::from_millis(800))).on("GET", "/blobs/"));
    let run = build(&aws, &app(), &source).start();
    run.until("the source is asked for a blob", || {
        source.wire().count("GET", "/blobs/") > 0
    })
    .await;
    aws.registry().expire_tokens();
    run.finish().await.ended(0);
    assert_eq!(digest_at(&aws, REPOSITORY), Some(pushed.root.digest));
    let requests = aws.registry().wire().requests();
    assert!(requests.iter().any(|request| request.status == 403));
    assert_eq!(aws.count("GetAuthorizationToken"), 2);
    Ok(())
}

#[tokio::test]
async fn wherever_a_token_is_refused_as_expired_a_new_one_is_tried() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let (mut names, mut digests) = (Vec::new(), Vec::new());
    for (name, method, path) in [
        ("open", "POST", "/blobs/uploads/"),
        ("send", "PUT", "/blobs/uploads/"),
        ("name", "PUT", "/manifests/"),
    ] {
        let fault = Fault::status(403).body(EXPIRED);
        let rule = Rule::new(fault).on(method, &format!("/{name}{path}"));
        aws.registry().faults().add(rule.times(1));
        names.push(format!("quay.io/team/{name}:1"));
        digests.push(
            image()
                .push(&source, &format!("team/{name}"), "1")?
                .root
                .digest,
        );
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    build(&aws, &Data::images(&names), &source)
        .run()
        .await
        .ended(0);
    for (name, digest) in names.iter().zip(digests) {
        let repository = format!("idf-{}", name.trim_end_matches(":1"));
        assert_eq!(digest_at(&aws, &repository), Some(digest));
    }
    assert_eq!(aws.registry().faults().injected().len(), 3);
    Ok(())
}

#[tokio::test]
async fn calls_that_are_throttled_are_made_again() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let pushed = image().push(&source, "team/app", "1")?;
    for action in [
        "GetAuthorizationToken",
        "DescribeRepositories",
        "CreateRepository",
    ] {
        aws.throttle(action, 1);
    }
    build(&aws, &app(), &source).run().await.ended(0);
    assert_eq!(digest_at(&aws, REPOSITORY), Some(pushed.root.digest));
    Ok(())
}

#[tokio::test]
async fn quotas_of_the_registry_do_not_fail_a_run() -> Result {
    let behaviour = lab::registry::EcrBehaviour::default().with_quotas();
    let aws = Aws::builder().ecr(behaviour).start().await?;
    let source = Registry::start().await?;
    let names: Vec<String> = (0..25)
        .map(|number| format!("quay.io/team/app:{number}"))
        .collect();
    for number in 0..25 {
        let image = Image::new().layer(100, number);
        image.push(&source, "team/app", &number.to_string())?;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    build(&aws, &Data::images(&names), &source)
        .run()
        .await
        .ended(0);
    assert_eq!(aws.registry().tags(REPOSITORY).len(), 25);
    let requests = aws.registry().wire().requests();
    // Kept, not run into.
    assert!(requests.iter().all(|request| request.status != 429));
    Ok(())
}
