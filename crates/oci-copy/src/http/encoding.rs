//! `Content-Encoding`. We ask for none; some servers and proxies compress all the same.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// What gzip data begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why a body cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Undecoded {
    /// It would have more bytes than are allowed.
    TooLarge,
    /// In words.
    Because(String),
}

/// A body as it was before the encodings that the headers name; `limit` bytes at most.
pub(super) fn decoded(headers: &HeaderMap, body: Bytes, limit: u64) -> Result<Bytes, Undecoded> {
    let mut body = body;
    for encoding in encodings(headers).iter().rev() {
        if !is_gzip(encoding) {
            let why = format!(
                "the answer has the Content-Encoding `{encoding}`, although none was asked for"
            );
            return Err(Undecoded::Because(why));
        }
        // Some proxies decode and leave the header.
        if body.starts_with(&GZIP) {
            body = gunzip(&body, limit)?;
        }
    }
    Ok(body)
}

/// An archive that is compressed itself: servers take its own compression for an encoding (Apache's
/// `x-gzip`), so it is decoded only where that leaves an archive.
pub(super) fn archive(headers: &HeaderMap, body: Bytes, limit: u64) -> Bytes {
    let is_encoded = encodings(headers).iter().any(|encoding| is_gzip(encoding));
    match gunzip(&body, limit) {
        Ok(inner) if is_encoded && inner.starts_with(&GZIP) => inner,
        _ => body,
    }
}

/// Whether the headers name an encoding.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    !encodings(headers).is_empty()
}

fn encodings(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONTENT_ENCODING).into_iter();
    let names = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_lowercase());
    names
        .filter(|name| !name.is_empty() && name != "identity")
        .take(4)
        .collect()
}

fn is_gzip(encoding: &str) -> bool {
    matches!(encoding, "gzip" | "x-gzip")
}

fn gunzip(body: &[u8], limit: u64) -> Result<Bytes, Undecoded> {
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(body)
        .take(limit.saturating_add(1))
        .read_to_end(&mut plain);
    if plain.len() as u64 > limit {
        return Err(Undecoded::TooLarge);
    }
    match read {
        Ok(_) => Ok(plain.into()),
        Err(_) => Err(Undecoded::Because(
            "the answer has the Content-Encoding `gzip`, and its content is damaged".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    fn headers(encodings: &[&'static str]) -> HeaderMap {
        let values = encodings.iter().map(|value| value.parse().unwrap());
        values.map(|value| (CONTENT_ENCODING, value)).collect()
    }

    #[test]
    fn what_is_compressed_on_the_way_is_decoded() {
        let text = Bytes::from_static(b"text");
        let (once, twice) = (gzip(&text), gzip(&gzip(&text)));
        for (encodings, body) in [
            (&[][..], &text),
            (&["identity"], &text),
            (&[""], &text),
            (&["gzip"], &once),
            (&["x-gzip"], &once),
            (&["GZIP"], &once),
            (&["gzip"], &text),
            (&["gzip, gzip"], &twice),
            (&["gzip", "gzip"], &twice),
        ] {
            let plain = decoded(&headers(encodings), body.clone(), 100);
            assert_eq!(plain.as_ref(), Ok(&text), "{encodings:?}");
        }
        assert!(
            matches!(decoded(&headers(&["br"]), text, 4), Err(Undecoded::Because(why)) if why.contains("`br`"))
        );
    }

    #[test]
    fn a_bomb_and_damage_are_refused() {
        let bomb = gzip(&vec![0; 1_000_000]);
        let gzipped = headers(&["gzip"]);
        assert_eq!(decoded(&gzipped, bomb, 999_999), Err(Undecoded::TooLarge));
        let half = gzip(b"some text that is long enough").slice(..20);
        assert!(matches!(
            decoded(&gzipped, half, 100),
            Err(Undecoded::Because(_))
        ));
    }

    #[test]
    fn the_compression_of_an_archive_is_its_own() {
        let archive_bytes = gzip(b"a tar");
        for encodings in [&[][..], &["gzip"], &["x-gzip"], &["br"]] {
            let taken = archive(&headers(encodings), archive_bytes.clone(), 1000);
            assert_eq!(taken, archive_bytes, "{encodings:?}");
        }
        assert_eq!(
            archive(&headers(&["gzip"]), gzip(&archive_bytes), 1000),
            archive_bytes
        );
    }
}
