//! Cleartext signatures (RFC 4880, section 7).

use crate::text::hex;

use super::keyring::Keyring;
use super::packet::{self, SIGNATURE};
use super::public_key::Hash;
use super::signature::{Signature, kind};
use super::{Error, armor};

/// A signed text whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The text, with line feeds.
    pub text: String,
    /// Who signed it: the key's name and fingerprint.
    pub signed_by: String,
}

/// The largest signed text, in bytes.
const MAX_TEXT: usize = 4 * 1024 * 1024;

/// The most signatures of a text that are looked at.
const MAX_SIGNATURES: usize = 32;

/// Verifies the first signed text in some bytes. `now` is in seconds since 1970.
///
/// # Errors
/// When there is none, or its signature does not count.
pub fn verify(signed: &[u8], keyring: &Keyring, now: u64) -> Result<Verified, Error> {
    if signed.len() > MAX_TEXT {
        return Err(Error::Malformed("it is too large"));
    }
    let signed = std::str::from_utf8(signed).map_err(|_| Error::Malformed("it is not text"))?;
    let (lines, armored) = split(signed).ok_or(Error::Malformed("it holds no signed text"))?;
    let (kind, bytes, _) =
        armor::next(armored).ok_or(Error::Malformed("it holds no signature"))??;
    if kind != "PGP SIGNATURE" {
        return Err(Error::Malformed("it holds no signature"));
    }
    let signed = lines.join("\r\n");
    let mut unknown = Error::Malformed("it holds no signature");
    for (tag, content) in packet::read(&bytes)?.into_iter().take(MAX_SIGNATURES) {
        if tag != SIGNATURE {
            return Err(Error::Malformed("it holds something else than signatures"));
        }
        let signature = Signature::parse(content)?;
        let issuer = signature
            .issuer
            .ok_or(Error::Malformed("a signature names no key"))?;
        let mut keys = keyring.signing(issuer).peekable();
        if keys.peek().is_none() {
            unknown = Error::UnknownKey(hex(&issuer).to_uppercase());
            continue;
        }
        if !matches!(signature.kind, kind::BINARY | kind::TEXT) {
            return Err(Error::Malformed("its signature is not one of a text"));
        }
        if matches!(signature.hash, None | Some(Hash::Sha1)) {
            return Err(Error::Unsupported("the hash of its signature"));
        }
        let found = keys.find(|(_, signing)| signature.is_by(signing.key, signed.as_bytes()));
        let (owner, signing) = found.ok_or(Error::Mismatch)?;
        owner.check(&signing, &signature, now)?;
        return Ok(Verified {
            text: lines.join("\n"),
            signed_by: owner.who(),
        });
    }
    Err(unknown)
}

/// The lines of the first signed text, as they were signed, and what follows them.
fn split(text: &str) -> Option<(Vec<&str>, &str)> {
    const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
    const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
    let mut rest = if let Some(rest) = text.strip_prefix(BEGIN) {
        rest
    } else {
        text.split_once(&format!("\n{BEGIN}"))?.1
    };
    let mut line = || {
        let (line, after) = rest.split_once('\n')?;
        let whole = std::mem::replace(&mut rest, after);
        Some((line.strip_suffix('\r').unwrap_or(line), whole))
    };
    if !line()?.0.is_empty() {
        return None;
    }
    // Headers: only hashes are named, and nothing relies on them.
    loop {
        let (header, _) = line()?;
        if header.trim().is_empty() {
            break;
        }
        let (name, _) = header.split_once(':')?;
        if name.trim() != "Hash" || header.contains(|c: char| !(' '..='~').contains(&c)) {
            return None;
        }
    }
    let mut lines = Vec::new();
    loop {
        let (next, whole) = line()?;
        if next == SIGNATURE {
            return Some((lines, whole));
        }
        let bare = next.strip_prefix("- ").unwrap_or(next);
        lines.push(bare.trim_end_matches([' ', '\t']));
    }
}
