//! Base64 and base32, as Go's standard encodings read and write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::func::{Func, Param};
use super::super::text::{from_bytes, len, to_bytes};
use super::super::value::Value;
use super::args::{string, text};
use super::fixed;
use Param::String as Text;

pub(super) const FUNCS: &[Func] = &[
    fixed("b64enc", &[Text], |ctx, args| {
        ctx.spend(len(text(args, 0)) / 3 * 4)?;
        Ok(Value::from(STANDARD.encode(to_bytes(text(args, 0)))))
    }),
    fixed("b64dec", &[Text], |ctx, args| {
        ctx.spend(text(args, 0).len())?;
        match base64_decode(&to_bytes(text(args, 0))) {
            Ok(bytes) => Ok(Value::String(from_bytes(&bytes))),
            Err(message) => string(ctx, message),
        }
    }),
    fixed("b32enc", &[Text], |ctx, args| {
        ctx.spend(len(text(args, 0)) / 5 * 8)?;
        Ok(Value::from(base32_encode(&to_bytes(text(args, 0)))))
    }),
    fixed("b32dec", &[Text], |ctx, args| {
        ctx.spend(text(args, 0).len())?;
        match base32_decode(&to_bytes(text(args, 0))) {
            Ok(bytes) => Ok(Value::String(from_bytes(&bytes))),
            Err(message) => string(ctx, message),
        }
    }),
];

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The place of each byte in an alphabet.
const fn places(alphabet: &[u8]) -> [Option<u8>; 256] {
    let mut places = [None; 256];
    let mut place = 0;
    while place < alphabet.len() {
        #[expect(clippy::cast_possible_truncation, reason = "alphabets are short")]
        let found = place as u8;
        places[alphabet[place] as usize] = Some(found);
        place += 1;
    }
    places
}

/// `base64.StdEncoding.DecodeString`, with its error.
pub(super) fn base64_decode(text: &[u8]) -> Result<Vec<u8>, String> {
    const PLACES: [Option<u8>; 256] = places(BASE64);
    let corrupt = |at: usize| Err(format!("illegal base64 data at input byte {at}"));
    let is_break = |at: usize| matches!(text.get(at), Some(b'\n' | b'\r'));
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut at = 0;
    'quanta: while at < text.len() {
        let mut quantum = [0_u8; 4];
        let mut filled = 0;
        while filled < 4 {
            let Some(&byte) = text.get(at) else {
                if filled == 0 {
                    break 'quanta;
                }
                return corrupt(at - filled);
            };
            at += 1;
            if let Some(place) = PLACES[usize::from(byte)] {
                quantum[filled] = place;
                filled += 1;
                continue;
            }
            if matches!(byte, b'\n' | b'\r') {
                continue;
            }
            if byte != b'=' || filled < 2 {
                return corrupt(at - 1);
            }
            if filled == 2 {
                while is_break(at) {
                    at += 1;
                }
                match text.get(at) {
                    None => return corrupt(text.len()),
                    Some(b'=') => at += 1,
                    Some(_) => return corrupt(at - 1),
                }
            }
            while is_break(at) {
                at += 1;
            }
            if at < text.len() {
                return corrupt(at);
            }
            break;
        }
        let bits = quantum
            .iter()
            .fold(0_u32, |bits, six| bits << 6 | u32::from(*six));
        out.extend_from_slice(&bits.to_be_bytes()[1..filled]);
    }
    Ok(out)
}

fn base32_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut padded = [0_u8; 8];
        padded[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(padded);
        let characters = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            let place = (bits >> (35 - 5 * index) & 31) as usize;
            out.push(if index < characters {
                char::from(BASE32[place])
            } else {
                '='
            });
        }
    }
    out
}

/// `base32.StdEncoding.DecodeString`, with its error.
fn base32_decode(text: &[u8]) -> Result<Vec<u8>, String> {
    const PLACES: [Option<u8>; 256] = places(BASE32);
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\n' | b'\r'))
        .collect();
    let corrupt = |at: usize| Err(format!("illegal base32 data at input byte {at}"));
    let mut out = Vec::with_capacity(text.len() / 8 * 5 + 5);
    let mut rest = &text[..];
    let mut ended = false;
    while !rest.is_empty() && !ended {
        let mut quantum = [0_u8; 8];
        let mut filled = 0;
        while filled < 8 {
            let Some((&byte, after)) = rest.split_first() else {
                return corrupt(text.len() - filled);
            };
            rest = after;
            let at = text.len() - rest.len();
            if byte == b'=' && filled >= 2 && rest.len() < 8 {
                if rest.len() + filled < 7 {
                    return corrupt(text.len());
                }
                let wrong = rest.iter().take(7 - filled).position(|byte| *byte != b'=');
                if let Some(wrong) = wrong {
                    return corrupt(at + wrong - 1);
                }
                if matches!(filled, 1 | 3 | 6) {
                    return corrupt(at - 1);
                }
                ended = true;
                break;
            }
            let Some(place) = PLACES[usize::from(byte)] else {
                return corrupt(at - 1);
            };
            quantum[filled] = place;
            filled += 1;
        }
        let bits = quantum
            .iter()
            .fold(0_u64, |bits, five| bits << 5 | u64::from(*five));
        out.extend_from_slice(&bits.to_be_bytes()[3..3 + filled * 5 / 8]);
    }
    Ok(out)
}
