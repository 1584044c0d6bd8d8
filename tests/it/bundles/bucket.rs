//! Bundles in buckets.

use std::fs;
use std::path::Path;

use lab::aws::Aws;
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::Registry;

use crate::Result;
use crate::data::Data;
use crate::ecr::seed_farmer;
use crate::run::Run;

use super::{Sources, content, load};

/// A build whose parameters name a bundle in a bucket.
fn from_bucket(aws: &Aws) -> Run {
    let run = seed_farmer(Run::new().arg("deploy").envs(aws.env())).out();
    run.env(
        "SEEDFARMER_PARAMETER_BUNDLE",
        "s3://carried/2026/bundle.tar",
    )
}

#[tokio::test]
async fn a_bundle_in_a_bucket_is_read_by_ranges_and_once() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let (direct, target) = (Aws::start().await?, Aws::start().await?);
    let bundle = parent.path().join("bundle.tar");
    let deployed = sources
        .data
        .given_to(Run::new().arg("deploy"))
        .envs(direct.env());
    let deployed = seed_farmer(deployed)
        .out()
        .endpoint("quay.io", &sources.registry.url());
    let deployed = deployed.run().await.ended(0);
    sources.save(&bundle).await.ended(0);
    drop(sources);
    let size = fs::metadata(&bundle)?.len();
    target.put_bucket("carried");
    target.put_object("carried", "2026/bundle.tar", fs::read(&bundle)?);
    let run = from_bucket(&target).env("SEEDFARMER_PARAMETER_BUNDLE_BUCKET_OWNER", "210987654321");
    let loaded = run.run().await.ended(0);
    assert_eq!(content(target.registry()), content(direct.registry()));
    assert_eq!(loaded.result(), deployed.result());
    let read = target
        .wire()
        .requests()
        .into_iter()
        .filter(|request| request.path.contains("bundle.tar"));
    let sent: u64 = read.map(|request| request.bytes_out).sum();
    assert!(
        sent < 2 * size,
        "{sent} bytes were read of a bundle of {size}"
    );
    assert_eq!(
        loaded
            .files()
            .iter()
            .filter(|name| name.contains("bundle"))
            .count(),
        0
    );
    Ok(())
}

#[tokio::test]
async fn a_bundle_in_a_bucket_that_is_changed_cut_or_gone_is_refused() -> Result {
    let (sources, parent, aws) = (
        Sources::start().await?,
        tempfile::tempdir()?,
        Aws::start().await?,
    );
    let bundle = parent.path().join("bundle.tar");
    sources.save(&bundle).await.ended(0);
    let whole = fs::read(&bundle)?;
    let mut changed = whole.clone();
    let last = changed.len() - 1100;
    changed[last] ^= 1;
    aws.put_bucket("carried");
    from_bucket(&aws)
        .run()
        .await
        .ended(2)
        .said(&["s3://carried/2026/bundle.tar: there is no such object"]);
    for (bytes, said) in [
        (changed, "damaged, nothing was written"),
        (whole[..last].to_vec(), "it was cut"),
    ] {
        aws.put_object("carried", "2026/bundle.tar", bytes);
        from_bucket(&aws)
            .run()
            .await
            .ended(2)
            .said(&[said])
            .left_nothing();
    }
    assert_eq!(aws.registry().repositories(), Vec::<String>::new());
    aws.fail("HeadObject", "AccessDenied", 403, 1);
    from_bucket(&aws)
        .run()
        .await
        .ended(2)
        .said(&["BundleBucketOwner"]);
    Ok(())
}

#[tokio::test]
async fn a_bundle_is_saved_into_a_bucket_as_it_would_be_into_a_file() -> Result {
    let (registry, parent, aws) = (
        Registry::start().await?,
        tempfile::tempdir()?,
        Aws::start().await?,
    );
    let app = Image::new()
        .layer(9 << 20, 1)
        .layer(9 << 20, 2)
        .layer(3000, 3)
        .layer(9 << 20, 4);
    app.push(&registry, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let file = parent.path().join("bundle.tar");
    let save = |place: &std::ffi::OsStr| {
        let run = data.run("save").endpoint("quay.io", &registry.url());
        run.envs(aws.env())
            .env("AWS_REGION", "us-east-1")
            .arg(place)
    };
    save(file.as_os_str()).run().await.ended(0);
    aws.put_bucket("carried");
    let place = std::ffi::OsStr::new("s3://carried/bundle.tar");
    // A part does not arrive; what was sent before is kept, and not sent again.
    let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let refusal = Rule::new(Fault::status(403).body(denied));
    aws.faults()
        .add(refusal.on("PUT", "bundle.tar").nth(4).times(1));
    save(place)
        .run()
        .await
        .ended(1)
        .said(&["the same command goes on with it"]);
    assert!(aws.object("carried", "bundle.tar").is_none());
    aws.clear_calls();
    save(place).run().await.ended(0);
    let whole = fs::read(&file)?;
    assert!(
        aws.object("carried", "bundle.tar")
            .is_some_and(|object| object == whole)
    );
    assert_eq!(aws.count("CreateMultipartUpload"), 0);
    assert!(aws.count("UploadPart") < whole.len().div_ceil(8 << 20));
    // An interrupted upload of something else is given up.
    aws.fail("CompleteMultipartUpload", "AccessDenied", 403, 1);
    save(place).run().await.ended(1);
    let other = Image::new()
        .layer(9 << 20, 5)
        .push(&registry, "team/app", "1")?;
    save(place).run().await.ended(0);
    assert_eq!(aws.count("AbortMultipartUpload"), 1);
    let target = Registry::start().await?;
    let run = load(Path::new(place), &format!("{}/mirror/", target.host())).envs(aws.env());
    run.env("AWS_REGION", "us-east-1").run().await.ended(0);
    let loaded = target
        .manifest("mirror/quay.io/team/app", "1")
        .map(|(_, _, digest)| digest);
    assert_eq!(loaded, Some(other.root.digest));
    Ok(())
}
