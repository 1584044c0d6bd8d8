//! ASCII armor: packets as Base64 between two lines.

use crate::text::from_base64;

use super::Error;

/// A block of a text: its kind, such as `PGP SIGNATURE`, its bytes, and what follows it.
type Block<'a> = (&'a str, Vec<u8>, &'a str);

/// The next block of a text.
pub(super) fn next(text: &str) -> Option<Result<Block<'_>, Error>> {
    const BEGIN: &str = "-----BEGIN ";
    let start = text.find(BEGIN)? + BEGIN.len();
    Some(block(&text[start..]).ok_or(Error::Malformed("its armor is broken")))
}

fn block(text: &str) -> Option<Block<'_>> {
    let (first, rest) = text.split_once('\n')?;
    let kind = first.trim_end().strip_suffix("-----")?;
    let end = format!("-----END {kind}-----");
    let (body, rest) = rest.split_once(end.as_str())?;
    // Headers end with an empty line; a block without any may have none.
    let mut lines = body.lines().map(str::trim).peekable();
    let is_header = |line: &&str| line.contains(": ") || line.ends_with(':');
    while lines.next_if(is_header).is_some() {}
    // A line with `=` alone in front is the checksum, which proves nothing.
    let data: Vec<&str> = lines.filter(|line| !line.starts_with('=')).collect();
    Some((kind, from_base64(&data.concat())?, rest))
}
