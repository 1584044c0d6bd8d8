//! What an object's bytes are inside the frames of `aws-chunked`, and whether they are right.

use crate::aws::error::Failure;
use crate::server::header;
use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use flate2::Crc;
use hyper::HeaderMap;

const CHECKSUM: &str = "x-amz-checksum-crc32";

/// The content of a PUT's body, checked against the CRC-32 that came with it, if one did.
pub(super) fn payload(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Failure> {
    let streaming =
        header(headers, "x-amz-content-sha256").is_some_and(|hash| hash.starts_with("STREAMING-"));
    let (bytes, trailers) = if streaming {
        unframe(body).ok_or_else(|| {
            Failure::new(400, "IncompleteBody", "the aws-chunked body is malformed")
        })?
    } else {
        (body.clone(), String::new())
    };
    let trailer = trailers
        .lines()
        .find_map(|line| line.strip_prefix(CHECKSUM)?.strip_prefix(':'));
    if let Some(promised) =
        header(headers, CHECKSUM).or_else(|| trailer.map(|value| value.trim().to_owned()))
    {
        let mut crc = Crc::new();
        crc.update(&bytes);
        let computed = base64::engine::general_purpose::STANDARD.encode(crc.sum().to_be_bytes());
        if computed != promised {
            let message = format!("the content has the CRC-32 {computed}, not {promised}");
            return Err(Failure::new(400, "BadDigest", message));
        }
    }
    Ok(bytes)
}

/// `<hex length>[;signature]\r\n<bytes>\r\n`, again and again, up to a length of 0 and the trailers.
fn unframe(body: &Bytes) -> Option<(Bytes, String)> {
    let (mut rest, mut bytes) = (body.clone(), BytesMut::new());
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = rest.split_to(end + 2);
        let line = std::str::from_utf8(&line[..end]).ok()?;
        let length = usize::from_str_radix(line.split(';').next()?, 16).ok()?;
        if length == 0 {
            return Some((bytes.freeze(), String::from_utf8_lossy(&rest).into_owned()));
        }
        if rest.len() < length + 2 {
            return None;
        }
        bytes.extend_from_slice(&rest.split_to(length));
        if rest.split_to(2) != b"\r\n"[..] {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_off_and_the_checksum_is_checked() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-amz-content-sha256",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER".parse().unwrap(),
        );
        let body = |crc: &str| {
            Bytes::from(format!(
                "3\r\nfoo\r\n3;x=y\r\nbar\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n"
            ))
        };
        assert_eq!(payload(&headers, &body("nvYflQ==")).unwrap(), "foobar");
        assert!(payload(&headers, &body("AAAAAA==")).is_err());
        assert!(payload(&headers, &Bytes::from_static(b"6\r\nfoo\r\n0\r\n\r\n")).is_err());
    }
}
