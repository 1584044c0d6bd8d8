//! The packets of `OpenPGP` (RFC 4880, section 4), and the numbers in them.

use super::Error;

/// A signature.
pub(super) const SIGNATURE: u8 = 2;
/// A public key, or with its secret part.
pub(super) const PUBLIC_KEY: u8 = 6;
pub(super) const SECRET_KEY: u8 = 5;
/// A subkey, or with its secret part.
pub(super) const PUBLIC_SUBKEY: u8 = 14;
pub(super) const SECRET_SUBKEY: u8 = 7;
/// Without meaning.
pub(super) const MARKER: u8 = 10;
pub(super) const PADDING: u8 = 21;
/// How far a program trusts a key.
pub(super) const TRUST: u8 = 12;
/// A name with an address.
pub(super) const USER_ID: u8 = 13;

/// The most packets that are read at once.
const MAX_PACKETS: usize = 100_000;

const BROKEN: Error = Error::Malformed("its packets are broken");

/// A packet: what it is, and its content.
pub(super) type Packet<'a> = (u8, &'a [u8]);

/// The packets of some bytes.
pub(super) fn read(mut bytes: &[u8]) -> Result<Vec<Packet<'_>>, Error> {
    let mut packets = Vec::new();
    while let Some((&head, rest)) = bytes.split_first() {
        if head & 0x80 == 0 || packets.len() >= MAX_PACKETS {
            return Err(BROKEN);
        }
        let (tag, length, rest) = if head & 0x40 != 0 {
            let (length, rest) = new_length(rest).ok_or(BROKEN)?;
            (head & 0x3f, length, rest)
        } else {
            let digits = match head & 3 {
                0 => 1,
                1 => 2,
                2 => 4,
                _ => return Err(Error::Unsupported("a packet of unknown length")),
            };
            let (length, rest) = rest.split_at_checked(digits).ok_or(BROKEN)?;
            ((head >> 2) & 0xf, number(length), rest)
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(BROKEN)?;
        packets.push((tag, content));
        bytes = rest;
    }
    Ok(packets)
}

/// A length as new packets and subpackets have it.
pub(super) fn new_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0..=191 => Some((usize::from(first), rest)),
        192..=223 => {
            let (&second, rest) = rest.split_first()?;
            let length = (usize::from(first) - 192) << 8;
            Some((length + usize::from(second) + 192, rest))
        }
        255 => {
            let (length, rest) = rest.split_at_checked(4)?;
            Some((number(length), rest))
        }
        224..=254 => None,
    }
}

/// A number, the highest byte first.
pub(super) fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// An integer of any size, without zeros in front, and what follows it.
pub(super) fn mpi(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bits, rest) = bytes.split_at_checked(2)?;
    let length = number(bits).div_ceil(8);
    let (digits, rest) = rest.split_at_checked(length)?;
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    Some((&digits[zeros..], rest))
}

/// Digits with zeros in front up to a length.
pub(super) fn padded(digits: &[u8], length: usize) -> Option<Vec<u8>> {
    let zeros = length.checked_sub(digits.len())?;
    Some([&vec![0; zeros], digits].concat())
}
