//! TLS: which certificates are believed, and that what it began stays in it.

use lab::aws::Aws;
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::Registry;

use super::Result;
use super::builds::{Corpus, PROJECT, logs, program, slow, slow_until, totals};
use super::data::Data;
use super::ecr::{build, image, seed_farmer};
use super::run::{Run, Running};
use super::tls_front::TlsFront;

/// A registry behind TLS.
struct Secured {
    registry: Registry,
    front: TlsFront,
}

impl Secured {
    async fn new(registry: Registry, names: &str) -> anyhow::Result<Self> {
        let front = TlsFront::new(registry.host(), names).await?;
        Ok(Self { registry, front })
    }

    fn host(&self) -> String {
        self.front.host()
    }

    /// A copy from one image name to another that asks this host by TLS.
    fn copy(&self, from: &str, to: &str) -> Run {
        let run = Run::new().args(["copy", from, to, "--tries", "1"]);
        run.endpoint(&self.host(), &self.front.url())
    }

    fn trusted(&self, run: Run) -> Run {
        run.env("SSL_CERT_FILE", self.front.file("cert.pem"))
    }
}

async fn plain() -> anyhow::Result<Registry> {
    let registry = Registry::start().await?;
    Image::new()
        .layer(500, 1)
        .push(&registry, "team/app", "1")?;
    Ok(registry)
}

#[tokio::test]
async fn a_self_signed_certificate_is_believed_where_it_is_trusted_itself() -> Result {
    let (source, target) = (plain().await?, Registry::start().await?);
    let source = Secured::new(source, "DNS:localhost").await?;
    let (from, to) = (
        format!("{}/team/app:1", source.host()),
        format!("{}/a:1", target.host()),
    );
    source.trusted(source.copy(&from, &to)).run().await.ended(0);
    assert_eq!(target.tags("a"), ["1"]);
    // Or with a flag, besides the machine's own list.
    let to = format!("{}/c:1", target.host());
    let run = source.copy(&from, &to).arg("--ca-file");
    let run = run.arg(source.front.file("cert.pem"));
    run.run().await.ended(0);
    let run = source
        .copy(&from, &to)
        .env("REPLICATOR_CA_FILE", source.front.file("key.pem"));
    run.run()
        .await
        .ended(2)
        .said(&["REPLICATOR_CA_FILE", "key.pem", "no certificate"]);
    // Not trusted, and trusted for another name: the error says which, and what to do.
    let to = format!("{}/b:1", target.host());
    let refused = source.copy(&from, &to).run().await.ended(1);
    refused.said(&["certificate", "SSL_CERT_FILE", "--ca-file", "--plain-http"]);
    let other = Secured::new(plain().await?, "DNS:other.example").await?;
    let from = format!("{}/team/app:1", other.host());
    let refused = other.trusted(other.copy(&from, &to)).run().await.ended(1);
    refused.said(&["other names"]);
    Ok(())
}

#[tokio::test]
async fn a_registry_without_tls_is_named_as_such() -> Result {
    let source = plain().await?;
    let port = source
        .host()
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .to_owned();
    let from = format!("localhost:{port}/team/app:1");
    let run = Run::new().args(["copy", &from, "oci:there:app:1", "--tries", "1"]);
    let run = run.endpoint(
        &format!("localhost:{port}"),
        &format!("https://localhost:{port}"),
    );
    run.run().await.ended(1).said(&["--plain-http"]);
    Ok(())
}

#[tokio::test]
async fn nothing_goes_out_of_tls_to_where_an_answer_leads() -> Result {
    let source = plain().await?;
    let from = format!("{}/team/app:1", source.host());
    // The registry behind TLS names upload locations as it sees itself: plain, at another port.
    let target = Registry::builder().absolute_locations().start().await?;
    let target = Secured::new(target, "DNS:localhost,IP:127.0.0.1").await?;
    let to = format!("{}/a:1", target.host());
    let refused = target.trusted(target.copy(&from, &to)).run().await.ended(1);
    refused.said(&["upload location", "http://"]);
    assert_eq!(target.registry.wire().count("PUT", ""), 0);

    // A redirect out of TLS is refused; one to http:// at the registry itself is followed by TLS.
    let other = plain().await?;
    let secured = Secured::new(plain().await?, "DNS:localhost").await?;
    let from = format!("{}/team/app:1", secured.host());
    let to = |name: &str| format!("{}/{name}:1", source.host());
    let faults = secured.registry.faults();
    let there = format!("{}{{path}}", other.url());
    faults.add(Rule::new(Fault::Redirect(there)).on("GET", "/blobs/"));
    let refused = secured
        .trusted(secured.copy(&from, &to("b")))
        .run()
        .await
        .ended(1);
    refused.said(&["out of TLS", "http://127.0.0.1"]);
    assert!(other.wire().requests().is_empty());
    faults.clear();
    let there = format!("http://{}{{path}}", secured.host());
    faults.add(
        Rule::new(Fault::Redirect(there))
            .on("GET", "/blobs/")
            .times(1),
    );
    secured
        .trusted(secured.copy(&from, &to("c")))
        .run()
        .await
        .ended(0);
    Ok(())
}

#[tokio::test]
async fn certificates_of_a_file_are_trusted_for_aws_too() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let front = TlsFront::of_authority(aws.host()).await?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = || {
        let run = build(&aws, &data, &source).env("SEEDFARMER_PARAMETER_TRIES", "1");
        run.env("AWS_ENDPOINT_URL", front.url())
    };
    let refused = run().run().await.ended(1);
    refused.said(&[
        "ecr:DescribeRepositories",
        "UnknownIssuer",
        &front.host(),
        "--ca-file",
    ]);
    let trusting = run().env("SEEDFARMER_PARAMETER_CA_FILE", front.file("ca.pem"));
    trusting.run().await.ended(0);
    assert_eq!(aws.registry().repositories(), ["idf-quay.io/team/app"]);
    // Also where requests are signed here.
    let doctor = data.given_to(Run::new().arg("doctor").envs(aws.env()));
    let doctor = seed_farmer(doctor).endpoint("quay.io", &source.url());
    let doctor = doctor.env("AWS_ENDPOINT_URL", front.url());
    let checked = doctor.arg("--ca-file").arg(front.file("ca.pem")).run();
    checked.await.ended(0);
    Ok(())
}

#[tokio::test]
async fn workers_trust_the_certificates_that_the_coordinator_trusts() -> Result {
    let (aws, source) = slow(700).await?;
    let corpus = Corpus::new(&source, 16)?;
    let front = TlsFront::of_authority(source.host()).await?;
    let bucket = TlsFront::of_authority(aws.host()).await?;
    // Two authorities in one file.
    let both = front.file("both.pem");
    let text = |front: &TlsFront| std::fs::read_to_string(front.file("ca.pem"));
    std::fs::write(&both, text(&front)? + &text(&bucket)?)?;
    let url = bucket.url();
    aws.builds()
        .set_variables(move |_| vec![("AWS_ENDPOINT_URL_S3".to_owned(), url.clone())]);
    let data = corpus.data();
    let run = seed_farmer(
        data.given_to(Run::of(program()).arg("deploy"))
            .envs(aws.env()),
    );
    let run = run
        .out()
        .endpoint("quay.io", &front.url())
        .envs(aws.begin_build(PROJECT))
        .env("SEEDFARMER_PARAMETER_FAN_OUT", "2")
        .env("SEEDFARMER_PARAMETER_QUOTAS", "PutImage=400")
        .env("SEEDFARMER_PARAMETER_JOBS", "1")
        .arg("--ca-file")
        .arg(&both);
    let at_work = |_: &Running| logs(&aws).contains("copied ");
    let done = slow_until(&source, run, "the worker has copied", at_work).await;
    let done = done.ended(0);
    assert_eq!(totals(&done), (16, 0), "{}", logs(&aws));
    corpus.assert_arrived(&source, &aws);
    let builds = aws.builds().list();
    let log = aws.builds().log(&builds[0].id);
    assert!(log.contains("copied "), "it did nothing: {log}");
    Ok(())
}
