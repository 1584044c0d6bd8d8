//! What a user can do about an error.

use std::fmt;

/// What a user can do about an error. A program with options for it can say which: the texts here name
/// none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remedy {
    /// In words.
    Text(&'static str),
    /// Docker Hub's limit of pulls is used up.
    PullLimit,
    /// The host cannot be reached.
    Unreachable,
    /// A proxy does not connect to the host.
    Proxy,
    /// The host's certificate is not trusted.
    Untrusted,
    /// The host speaks plain HTTP.
    PlainHttp,
    /// None of the selected platforms exists.
    Platforms,
    /// A selection of platforms changed a digest that is pinned.
    PinnedPlatforms,
}

impl Remedy {
    /// The words, without the names of options.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Text(text) => text,
            Self::PullLimit => {
                "the limit of Docker Hub for this address or account is used up for up to six hours: log in with an \
                 account that has a higher limit, or use a mirror"
            }
            Self::Unreachable => {
                "check that this machine can reach the host (DNS, route, proxy, certificate), or use a mirror"
            }
            Self::Proxy => {
                "let the proxy (HTTPS_PROXY) connect to this host, with a login if it wants one, or name the host in \
                 NO_PROXY if this machine reaches it without the proxy"
            }
            Self::Untrusted => {
                "this machine does not trust the host's certificate: name a PEM file with its authority, or with the \
                 certificate itself where it is self-signed, in SSL_CERT_FILE (in place of the machine's own list), or \
                 add it to that list"
            }
            Self::PlainHttp => {
                "the host answers without TLS: allow plain HTTP for it if that is intended"
            }
            Self::Platforms => "select platforms that it has, or all",
            Self::PinnedPlatforms => {
                "select all platforms: a selection changes the digest, and the target's name pins this one"
            }
        }
    }
}

impl From<&'static str> for Remedy {
    fn from(text: &'static str) -> Self {
        Self::Text(text)
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
