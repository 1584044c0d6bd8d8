//! Signatures of version 4.

use super::Error;
use super::packet::{new_length, number};
use super::public_key::{Hash, PublicKey};

/// What a signature is about.
pub(super) mod kind {
    pub(in crate::openpgp) const BINARY: u8 = 0x00;
    pub(in crate::openpgp) const TEXT: u8 = 0x01;
    pub(in crate::openpgp) const CERTIFICATIONS: std::ops::RangeInclusive<u8> = 0x10..=0x13;
    pub(in crate::openpgp) const SUBKEY_BINDING: u8 = 0x18;
    pub(in crate::openpgp) const PRIMARY_BINDING: u8 = 0x19;
    pub(in crate::openpgp) const KEY_REVOCATION: u8 = 0x20;
    pub(in crate::openpgp) const SUBKEY_REVOCATION: u8 = 0x28;
    pub(in crate::openpgp) const CERTIFICATION_REVOCATION: u8 = 0x30;
}

/// A signature, read but not verified.
#[derive(Debug, Clone)]
pub(super) struct Signature {
    pub(super) kind: u8,
    algorithm: u8,
    pub(super) hash: Option<Hash>,
    /// What the signature is over besides its subject.
    hashed: Vec<u8>,
    numbers: Vec<u8>,
    /// In seconds since 1970.
    pub(super) created: u64,
    /// How long it is valid, in seconds; 0 is forever.
    lifetime: u64,
    /// How long the key is valid, in seconds; 0 is forever.
    key_lifetime: u64,
    /// The id of the key that made it.
    pub(super) issuer: Option<[u8; 8]>,
    flags: Option<u8>,
    pub(super) is_primary: bool,
    /// The signature of a subkey that says whose it is.
    embedded: Option<Box<Signature>>,
    /// It asks for something that is not known here.
    is_strange: bool,
}

/// How deep signatures can be embedded.
const MAX_EMBEDDED: usize = 1;

/// The flag of keys that may sign.
const MAY_SIGN: u8 = 2;

const BROKEN: Error = Error::Malformed("a signature is broken");

impl Signature {
    /// Reads the content of a packet.
    pub(super) fn parse(packet: &[u8]) -> Result<Self, Error> {
        Self::read(packet, MAX_EMBEDDED)
    }

    fn read(packet: &[u8], depth: usize) -> Result<Self, Error> {
        let [version, kind, algorithm, hash, rest @ ..] = packet else {
            return Err(BROKEN);
        };
        if *version != 4 {
            return Err(Error::Unsupported("a signature of a version other than 4"));
        }
        let area = |rest| {
            let (length, rest) = <[u8]>::split_at_checked(rest, 2)?;
            rest.split_at_checked(number(length))
        };
        let (hashed_area, rest) = area(rest).ok_or(BROKEN)?;
        let (other_area, rest) = area(rest).ok_or(BROKEN)?;
        // Two bytes of the hash, to be quick about wrong ones.
        let numbers = rest.get(2..).ok_or(BROKEN)?;
        let hashed = &packet[..6 + hashed_area.len()];
        let length = u32::try_from(hashed.len()).map_err(|_| BROKEN)?;
        let trailer = [&[4, 0xff], length.to_be_bytes().as_slice()].concat();
        let mut signature = Self {
            kind: *kind,
            algorithm: *algorithm,
            hash: Hash::of(*hash),
            hashed: [hashed, &trailer].concat(),
            numbers: numbers.to_owned(),
            created: 0,
            lifetime: 0,
            key_lifetime: 0,
            issuer: None,
            flags: None,
            is_primary: false,
            embedded: None,
            is_strange: false,
        };
        signature.subpackets(hashed_area, true, depth)?;
        signature.subpackets(other_area, false, depth)?;
        if signature.created == 0 {
            return Err(BROKEN);
        }
        Ok(signature)
    }

    fn subpackets(&mut self, mut area: &[u8], is_hashed: bool, depth: usize) -> Result<(), Error> {
        while !area.is_empty() {
            let (length, rest) = new_length(area).ok_or(BROKEN)?;
            let (subpacket, rest) = rest.split_at_checked(length).ok_or(BROKEN)?;
            area = rest;
            let (&kind, content) = subpacket.split_first().ok_or(BROKEN)?;
            let (kind, is_critical) = (kind & 0x7f, kind & 0x80 != 0);
            let seconds = || Ok(number(content.get(..4).ok_or(BROKEN)?) as u64);
            match (kind, is_hashed) {
                (2, true) => self.created = seconds()?,
                (3, true) => self.lifetime = seconds()?,
                (9, true) => self.key_lifetime = seconds()?,
                (25, true) => self.is_primary = content.first().is_some_and(|flag| *flag != 0),
                (27, true) => self.flags = Some(content.first().copied().unwrap_or_default()),
                (16, _) => self.issuer = Some(content.try_into().map_err(|_| BROKEN)?),
                (33, _) => {
                    if let Some([.., a, b, c, d, e, f, g, h]) = content.get(1..)
                        && content[0] == 4
                        && self.issuer.is_none()
                    {
                        self.issuer = Some([*a, *b, *c, *d, *e, *f, *g, *h]);
                    }
                }
                (32, _) if depth > 0 => {
                    let embedded = Self::read(content, depth - 1)?;
                    self.embedded = Some(Box::new(embedded));
                }
                // Preferences, which change nothing here.
                (2 | 3 | 4 | 7 | 9 | 11 | 21..=31 | 34, _) => {}
                (_, true) if is_critical => self.is_strange = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a key made it of some bytes.
    pub(super) fn is_by(&self, key: &PublicKey, subject: &[u8]) -> bool {
        let Some(hash) = self.hash.filter(|_| !self.is_strange) else {
            return false;
        };
        let message = [subject, &self.hashed].concat();
        key.verifies(self.algorithm, hash, &message, &self.numbers)
    }

    /// Whether it is not valid at a time, or not any more.
    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.created > now || self.lifetime != 0 && now > self.created.saturating_add(self.lifetime)
    }

    /// Whether it says of a key that it is not valid at a time.
    pub(super) fn ends(&self, key: &PublicKey, now: u64) -> bool {
        let until = key.created.saturating_add(self.key_lifetime);
        key.created > now || self.key_lifetime != 0 && now > until
    }

    /// Whether it says of a key that it may sign.
    pub(super) fn may_sign(&self) -> bool {
        self.flags.is_some_and(|flags| flags & MAY_SIGN != 0)
    }

    /// Whether a subkey agreed to it, as those that sign have to.
    pub(super) fn is_agreed(&self, primary: &PublicKey, subkey: &PublicKey, now: u64) -> bool {
        let subject = [primary.hashed(), subkey.hashed()].concat();
        self.embedded.as_ref().is_some_and(|embedded| {
            embedded.kind == kind::PRIMARY_BINDING
                && embedded.is_by(subkey, &subject)
                && !embedded.is_expired(now)
        })
    }
}
