//! Whose certificates are believed: those that the machine's authorities vouch for, and those that are
//! among the machine's trusted ones themselves.

use crate::remedy::Remedy;
use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme,
};
use rustls_platform_verifier::Verifier;

/// Certificates that are trusted besides the machine's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    der: Vec<CertificateDer<'static>>,
    pem: Vec<u8>,
}

impl Certificates {
    /// Reads a bundle in PEM.
    ///
    /// # Errors
    /// When it has no certificate, or one that cannot be read.
    pub fn from_pem(text: &[u8]) -> Result<Self, String> {
        let read = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
        let der = read.map_err(|error| format!("it is not PEM: {error}"))?;
        if der.is_empty() {
            return Err("it has no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned());
        }
        for (number, one) in der.iter().enumerate() {
            webpki::anchor_from_trusted_cert(one).map_err(|error| {
                format!("its certificate {} is not usable: {error}", number + 1)
            })?;
        }
        Ok(Self {
            der,
            pem: text.to_vec(),
        })
    }

    /// The bundle as it was read; empty where there is none.
    #[must_use]
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }
}

/// TLS as curl has it: with the machine's trusted certificates, or those of `SSL_CERT_FILE` and
/// `SSL_CERT_DIR`; and with some more. They are read with the first certificate of a server: there are a hundred files and
/// more of them, and a run without TLS needs none.
///
/// # Errors
/// When the TLS library has no common version with itself; never.
pub(super) fn config(more: &Certificates) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let trust = Trust {
        authorities: OnceLock::new(),
        more: more.der.clone(),
        provider: Arc::clone(&provider),
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_no_client_auth())
}

#[derive(Debug)]
struct Trust {
    authorities: OnceLock<Result<Verifier, Error>>,
    more: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

/// The machine trusts no certificates at all.
#[derive(Debug)]
struct NoAuthorities(Error);

impl fmt::Display for NoAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there are no trusted certificates: {}", self.0)
    }
}

impl std::error::Error for NoAuthorities {}

impl Trust {
    fn authorities(&self) -> Result<&Verifier, Error> {
        let read = || {
            let provider = Arc::clone(&self.provider);
            if self.more.is_empty() {
                Verifier::new(provider)
            } else {
                Verifier::new_with_extra_roots(self.more.clone(), provider)
            }
        };
        let read = self.authorities.get_or_init(read).as_ref();
        read.map_err(|error| {
            let none = OtherError(Arc::new(NoAuthorities(error.clone())));
            Error::InvalidCertificate(CertificateError::Other(none))
        })
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.authorities()?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // `openssl req -x509` makes a certificate that is an authority too. WebPKI refuses those as a
            // server's, after it has checked the dates; OpenSSL and Go take one that is trusted itself.
            Err(error)
                if is_authority(&error)
                    && (self.more.contains(end_entity) || is_trusted(end_entity)) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Whether a certificate was refused only because it is one of an authority.
fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else {
        return false;
    };
    let reason = other.0.downcast_ref::<webpki::Error>();
    matches!(reason, Some(webpki::Error::CaUsedAsEndEntity))
}

/// Whether a certificate itself is among the trusted ones. Read again: it happens once in a run at most.
fn is_trusted(certificate: &CertificateDer<'_>) -> bool {
    let trusted = rustls_native_certs::load_native_certs().certs;
    trusted.iter().any(|one| one == certificate)
}

/// What a user can do about a connection that TLS refused.
pub(super) fn remedy(error: &Error) -> Option<Remedy> {
    let Error::InvalidCertificate(reason) = error else {
        return matches!(error, Error::InvalidMessage(_)).then_some(Remedy::PlainHttp);
    };
    let text = match reason {
        CertificateError::Other(other) if other.0.downcast_ref::<NoAuthorities>().is_some() => {
            "install the package ca-certificates, or name a PEM file with the authorities to trust in SSL_CERT_FILE"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the host's certificate has expired: have it renewed, and check this machine's clock"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the host's certificate is not valid yet: check this machine's clock"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the host's certificate is for other names: use one of those, or have it issued for this one \
             (subjectAltName; a common name alone does not count)"
        }
        _ => return Some(Remedy::Untrusted),
    };
    Some(Remedy::Text(text))
}

/// What TLS says about a connection, if it is to blame.
pub(super) fn error_of(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error does not name what it wraps as its source.
        cause = match error.downcast_ref::<std::io::Error>() {
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    None
}
