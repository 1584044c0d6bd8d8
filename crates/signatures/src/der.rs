//! Just enough of DER to find out what a public key is.

/// The value that stands first in some DER: its tag, its content, and what follows it.
///
/// Takes lengths below 2^24, which no key exceeds.
#[must_use]
pub fn split(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits
                .iter()
                .fold(0, |length, digit| length << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The content of a value that has to have a tag, and what follows it.
#[must_use]
pub fn expect(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = split(der)?;
    (found == tag).then_some((content, rest))
}

/// The tag of a sequence.
pub const SEQUENCE: u8 = 0x30;
/// The tag of an object identifier.
pub const OID: u8 = 0x06;

/// A value of a tag, whose length takes 2^24 bytes at most.
#[must_use]
pub fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let digits = &length[zeros..];
    let head = if let short @ 0..=0x7f = content.len() {
        vec![tag, u8::try_from(short).unwrap_or_default()]
    } else {
        let count = u8::try_from(digits.len()).unwrap_or_default();
        [&[tag, 0x80 | count], digits].concat()
    };
    [&head, content].concat()
}
