//! TLS: which certificates are believed, and that what it began stays in it.

use std::process::Command;
use std::sync::Arc;

use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::Registry;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::Result;
use super::run::Run;

/// A registry behind TLS, with the self-signed certificate that distribution's guide makes.
struct Secured {
    registry: Registry,
    folder: TempDir,
    port: u16,
    task: AbortHandle,
}

impl Secured {
    async fn new(registry: Registry, names: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (key, certificate) = (
            folder.path().join("key.pem"),
            folder.path().join("cert.pem"),
        );
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
            ])
            .args([
                "-subj",
                "/CN=lab",
                "-addext",
                &format!("subjectAltName={names}"),
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()?;
        anyhow::ensure!(made.status.success(), "openssl: {made:?}");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(&certificate)?],
                PrivateKeyDer::from_pem_file(&key)?,
            )?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (acceptor, host) = (TlsAcceptor::from(Arc::new(config)), registry.host());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, host) = (acceptor.clone(), host.clone());
                tokio::spawn(async move {
                    let mut outside = acceptor.accept(stream).await?;
                    let mut inside = TcpStream::connect(host).await?;
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await
                });
            }
        });
        Ok(Self {
            registry,
            folder,
            port,
            task: task.abort_handle(),
        })
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// A copy from one image name to another that asks this host by TLS.
    fn copy(&self, from: &str, to: &str) -> Run {
        let run = Run::new().args(["copy", from, to, "--tries", "1"]);
        run.endpoint(&self.host(), &format!("https://{}", self.host()))
    }

    fn trusted(&self, run: Run) -> Run {
        run.env("SSL_CERT_FILE", self.folder.path().join("cert.pem"))
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.task.abort();
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
    let run = run.arg(source.folder.path().join("cert.pem"));
    run.run().await.ended(0);
    let run = source
        .copy(&from, &to)
        .env("REPLICATOR_CA_FILE", source.folder.path().join("key.pem"));
    run.run()
        .await
        .ended(2)
        .said(&["CaFile", "key.pem", "no certificate"]);
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
