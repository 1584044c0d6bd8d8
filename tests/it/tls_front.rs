//! TLS in front of a server of the lab.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// Takes connections with TLS, and passes them on to a host without it.
pub(crate) struct TlsFront {
    folder: TempDir,
    port: u16,
    task: AbortHandle,
}

impl TlsFront {
    /// With the self-signed certificate that distribution's guide makes, for these names.
    pub(crate) async fn new(host: String, names: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificate = folder.path().join("cert.pem");
        let key = folder.path().join("key.pem");
        openssl(
            &[
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
            ],
            &[
                "-subj",
                "/CN=lab",
                "-addext",
                &format!("subjectAltName={names}"),
                "-keyout",
                &key.to_string_lossy(),
                "-out",
                &certificate.to_string_lossy(),
            ],
        )?;
        Self::serve(host, folder, "cert.pem").await
    }

    /// With a certificate of an authority, as the AWS SDK asks for: `ca.pem` is the authority's.
    pub(crate) async fn of_authority(host: String) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let new = ["-newkey", "rsa:2048", "-nodes"];
        let authority = ["-keyout", &path("ca.key"), "-out", &path("ca.pem")];
        openssl(
            &["req", "-x509", "-days", "30", "-subj", "/CN=lab CA"],
            &[&new[..], &authority].concat(),
        )?;
        let request = ["-keyout", &path("key.pem"), "-out", &path("request.pem")];
        openssl(
            &["req", "-new", "-subj", "/CN=localhost"],
            &[&new[..], &request].concat(),
        )?;
        std::fs::write(path("names"), "subjectAltName=DNS:localhost\n")?;
        let signed = ["-CA", &path("ca.pem"), "-CAkey", &path("ca.key")];
        let files = ["-in", &path("request.pem"), "-out", &path("cert.pem")];
        let names = ["-CAcreateserial", "-extfile", &path("names")];
        openssl(
            &["x509", "-req", "-days", "30"],
            &[&signed[..], &files, &names].concat(),
        )?;
        Self::serve(host, folder, "cert.pem").await
    }

    async fn serve(host: String, folder: TempDir, certificate: &str) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(
                    folder.path().join(certificate),
                )?],
                PrivateKeyDer::from_pem_file(folder.path().join("key.pem"))?,
            )?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
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
            folder,
            port,
            task: task.abort_handle(),
        })
    }

    /// `localhost` with its port.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.host())
    }

    /// A file with what it was made of: `cert.pem`, `key.pem` and, of an authority, `ca.pem`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn openssl(first: &[&str], more: &[&str]) -> anyhow::Result<()> {
    let made = Command::new("openssl").args(first).args(more).output()?;
    anyhow::ensure!(made.status.success(), "openssl: {made:?}");
    Ok(())
}
