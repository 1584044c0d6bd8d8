//! Keyrings: public keys with what their owners say about them.

use super::packet::{
    self, MARKER, PADDING, PUBLIC_KEY, PUBLIC_SUBKEY, Packet, SECRET_KEY, SECRET_SUBKEY, SIGNATURE,
    TRUST, USER_ID,
};
use super::public_key::PublicKey;
use super::signature::{Signature, kind};
use super::{Error, armor};

/// The largest keyring, in bytes.
pub const MAX_KEYRING: u64 = 16 * 1024 * 1024;

/// The keys of a keyring.
#[derive(Debug)]
pub struct Keyring(Vec<Owner>);

/// A primary key with its subkeys.
#[derive(Debug)]
pub(super) struct Owner {
    key: PublicKey,
    /// The name that the key's owner prefers.
    pub(super) name: String,
    /// What the owner says of the key.
    about: Signature,
    is_revoked: bool,
    is_name_revoked: bool,
    subkeys: Vec<Subkey>,
}

#[derive(Debug)]
struct Subkey {
    key: PublicKey,
    binding: Signature,
    is_revoked: bool,
}

impl Keyring {
    /// Reads a keyring: packets, ASCII armor, or a keybox of `GnuPG` 2. Keys that are not known here are left out.
    ///
    /// # Errors
    /// When no key can be read.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() as u64 > MAX_KEYRING {
            return Err(Error::Malformed("it is too large"));
        }
        let packets = if bytes.get(8..12) == Some(b"KBXf") {
            keybox(bytes)?
        } else if bytes.trim_ascii_start().starts_with(b"-----BEGIN PGP") {
            let text = std::str::from_utf8(bytes);
            armored(text.map_err(|_| Error::Malformed("it is not text"))?)?
        } else {
            bytes.to_owned()
        };
        let mut packets = packet::read(&packets)?;
        // What programs note for themselves between the packets that count.
        packets.retain(|(tag, _)| ![MARKER, TRUST, PADDING].contains(tag));
        let is_primary = |packet: &Packet<'_>| matches!(packet.0, PUBLIC_KEY | SECRET_KEY);
        let mut owners = Vec::new();
        let mut last = Error::Malformed("it holds no public key");
        let starts: Vec<usize> = (0..packets.len())
            .filter(|index| is_primary(&packets[*index]))
            .collect();
        for (number, start) in starts.iter().enumerate() {
            let end = starts.get(number + 1).copied().unwrap_or(packets.len());
            match Owner::read(&packets[*start..end]) {
                Ok(owner) => owners.push(owner),
                Err(error) => last = error,
            }
        }
        if owners.is_empty() {
            return Err(last);
        }
        Ok(Self(owners))
    }

    /// The fingerprints of the primary keys.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<String> {
        self.0.iter().map(|owner| owner.key.name()).collect()
    }

    /// The owners that have a key of an id that may sign, with that key.
    pub(super) fn signing(&self, id: [u8; 8]) -> impl Iterator<Item = (&Owner, Signing<'_>)> {
        self.0.iter().flat_map(move |owner| {
            let primary = (owner.key.id() == id && owner.about.may_sign()).then_some(Signing {
                key: &owner.key,
                subkey: None,
            });
            let subkeys = owner.subkeys.iter();
            let subkeys =
                subkeys.filter(move |subkey| subkey.key.id() == id && subkey.binding.may_sign());
            let subkeys = subkeys.map(|subkey| Signing {
                key: &subkey.key,
                subkey: Some(subkey),
            });
            primary
                .into_iter()
                .chain(subkeys)
                .map(move |key| (owner, key))
        })
    }
}

/// A key that may sign.
pub(super) struct Signing<'a> {
    pub(super) key: &'a PublicKey,
    subkey: Option<&'a Subkey>,
}

impl Owner {
    /// Who it is: name and fingerprint.
    pub(super) fn who(&self) -> String {
        let name: String = self
            .name
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        format!("{name} ({})", self.key.name())
    }

    /// Whether a signature by one of the keys counts at a time.
    pub(super) fn check(
        &self,
        signing: &Signing<'_>,
        signature: &Signature,
        now: u64,
    ) -> Result<(), Error> {
        let name = || self.key.name();
        if self.is_revoked
            || self.is_name_revoked
            || signing.subkey.is_some_and(|subkey| subkey.is_revoked)
        {
            return Err(Error::Revoked(name()));
        }
        let is_subkey_over = signing.subkey.is_some_and(|subkey| {
            subkey.binding.is_expired(now)
                || subkey.binding.ends(&subkey.key, now)
                || !subkey.binding.is_agreed(&self.key, &subkey.key, now)
        });
        let is_over = signature.is_expired(now)
            || self.about.is_expired(now)
            || self.about.ends(&self.key, now)
            || is_subkey_over;
        if is_over {
            return Err(Error::Expired(name()));
        }
        Ok(())
    }

    /// Reads the packets from a primary key to the next one.
    fn read(packets: &[Packet<'_>]) -> Result<Self, Error> {
        const FOREIGN: Error = Error::Malformed("what a key says about itself is not by this key");
        let (first, mut rest) = packets.split_first().ok_or(FOREIGN)?;
        let key = PublicKey::parse(first.1)?;
        let mut revocations = Vec::new();
        let mut names: Vec<(String, Signature, bool)> = Vec::new();
        let mut subkeys = Vec::new();
        while let Some(((tag, content), after)) = rest.split_first() {
            let count = after
                .iter()
                .take_while(|(tag, _)| *tag == SIGNATURE)
                .count();
            let (signatures, next) = after.split_at(count);
            let signatures = signatures
                .iter()
                .map(|(_, content)| Signature::parse(content));
            match *tag {
                SIGNATURE => {
                    let signature = Signature::parse(content)?;
                    if signature.kind == kind::KEY_REVOCATION {
                        revocations.push(signature);
                    }
                    rest = after;
                    continue;
                }
                USER_ID => {
                    // Others may certify a name in ways that are not known here.
                    let signatures: Vec<Signature> = signatures.filter_map(Result::ok).collect();
                    names.extend(own_name(&key, content, &signatures).ok_or(FOREIGN)?);
                }
                PUBLIC_SUBKEY | SECRET_SUBKEY => {
                    let signatures: Result<Vec<Signature>, Error> = signatures.collect();
                    // A subkey of an unknown kind does not sign.
                    if let Ok(subkey) = PublicKey::parse(content) {
                        subkeys.push(bound(&key, subkey, &signatures?).ok_or(FOREIGN)?);
                    }
                }
                _ => {}
            }
            rest = next;
        }
        if !revocations
            .iter()
            .all(|revocation| revocation.is_by(&key, &key.hashed()))
        {
            return Err(FOREIGN);
        }
        // The one that is not revoked, is marked as primary, and is the latest.
        let preferred = names
            .into_iter()
            .max_by_key(|(_, about, is_revoked)| (!is_revoked, about.is_primary, about.created));
        let (name, about, is_name_revoked) =
            preferred.ok_or(Error::Malformed("a key has no name"))?;
        Ok(Self {
            key,
            name,
            about,
            is_revoked: !revocations.is_empty(),
            is_name_revoked,
            subkeys,
        })
    }
}

/// A name with what the key's owner says of it last, and whether that was revoked. Outer `None` where a signature
/// pretends to be the owner's; inner where the owner says nothing of it.
#[expect(
    clippy::option_option,
    reason = "nothing said and something wrong are two things"
)]
fn own_name(
    key: &PublicKey,
    content: &[u8],
    signatures: &[Signature],
) -> Option<Option<(String, Signature, bool)>> {
    let length = u32::try_from(content.len()).ok()?;
    let subject = [
        &key.hashed(),
        [0xb4].as_slice(),
        &length.to_be_bytes(),
        content,
    ]
    .concat();
    let mut about: Option<&Signature> = None;
    let mut is_revoked = false;
    for signature in signatures
        .iter()
        .filter(|signature| signature.issuer == Some(key.id()))
    {
        if !signature.is_by(key, &subject) {
            return None;
        }
        if signature.kind == kind::CERTIFICATION_REVOCATION {
            is_revoked = true;
        } else if kind::CERTIFICATIONS.contains(&signature.kind)
            && about.is_none_or(|about| signature.created > about.created)
        {
            about = Some(signature);
        }
    }
    let name = String::from_utf8_lossy(content).into_owned();
    Some(about.map(|about| (name, about.clone(), is_revoked)))
}

/// A subkey with the owner's latest statement about it.
fn bound(key: &PublicKey, subkey: PublicKey, signatures: &[Signature]) -> Option<Subkey> {
    let subject = [key.hashed(), subkey.hashed()].concat();
    let mut binding: Option<&Signature> = None;
    let mut is_revoked = false;
    for signature in signatures {
        if !signature.is_by(key, &subject) {
            return None;
        }
        match signature.kind {
            kind::SUBKEY_REVOCATION => is_revoked = true,
            kind::SUBKEY_BINDING
                if binding.is_none_or(|binding| signature.created > binding.created) =>
            {
                binding = Some(signature);
            }
            _ => {}
        }
    }
    let binding = binding?.clone();
    Some(Subkey {
        key: subkey,
        binding,
        is_revoked,
    })
}

/// The packets of all blocks of an armored text.
fn armored(mut text: &str) -> Result<Vec<u8>, Error> {
    let mut packets = Vec::new();
    while let Some(block) = armor::next(text) {
        let (kind, bytes, rest) = block?;
        if !matches!(kind, "PGP PUBLIC KEY BLOCK" | "PGP PRIVATE KEY BLOCK") {
            return Err(Error::Malformed("it holds something else than keys"));
        }
        packets.extend(bytes);
        text = rest;
    }
    Ok(packets)
}

/// The packets in a keybox (`GnuPG`: `kbx/keybox-blob.c`).
fn keybox(mut bytes: &[u8]) -> Result<Vec<u8>, Error> {
    const BROKEN: Error = Error::Malformed("the keybox is broken");
    const OPENPGP: u8 = 2;
    const EPHEMERAL: usize = 2;
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let length = packet::number(bytes.get(..4).ok_or(BROKEN)?);
        let (blob, rest) = bytes
            .split_at_checked(length)
            .filter(|_| length >= 5)
            .ok_or(BROKEN)?;
        bytes = rest;
        if blob[4] != OPENPGP {
            continue;
        }
        let field = |from: usize, to: usize| blob.get(from..to).map(packet::number).ok_or(BROKEN);
        let (flags, start, length) = (field(6, 8)?, field(8, 12)?, field(12, 16)?);
        let end = start.checked_add(length).ok_or(BROKEN)?;
        let block = blob.get(start..end).ok_or(BROKEN)?;
        if flags & EPHEMERAL == 0 {
            packets.extend_from_slice(block);
        }
    }
    Ok(packets)
}
