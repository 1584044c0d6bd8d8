//! What a user can do about an error of the engine, with the options of this program.

use std::fmt;

use oci_copy::remedy::Remedy;

/// Logs what to do about the message before it.
pub(crate) fn log(remedy: impl fmt::Display) {
    tracing::error!(hint = true, "    hint: {remedy}");
}

/// An error with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Advised {
    pub(crate) what: String,
    pub(crate) remedy: &'static str,
}

/// The words for a remedy. Hints name parameters, which each command has as a flag or as a variable.
#[must_use]
pub fn text(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::PullLimit => {
            "the limit of Docker Hub for this address or account is used up for up to six hours: log in to it with an \
             account of a higher limit (HelmRepoSecretName or ~/.docker/config.json), or name a mirror \
             (Endpoints: docker.io=https://MIRROR)"
        }
        Remedy::Unreachable => {
            "check that this machine can reach the host (DNS, route, proxy, certificate); --endpoint HOST=URL names a mirror"
        }
        Remedy::Untrusted => {
            "this machine does not trust the host's certificate: name a PEM file with its authority, or with the \
             certificate itself where it is self-signed, with --ca-file (CaFile), or in SSL_CERT_FILE (in place of the \
             machine's own list); --plain-http HOST is for hosts without TLS"
        }
        Remedy::PlainHttp => {
            "the host answers without TLS: if that is intended, say so with --plain-http HOST"
        }
        Remedy::Platforms => "name one of these in Platforms, or leave Platforms out",
        Remedy::PinnedPlatforms => {
            "leave Platforms out: a selection changes the digest, and the chart asks for this one"
        }
        Remedy::Proxy | Remedy::Text(_) => remedy.text(),
    }
}
