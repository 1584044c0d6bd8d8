//! Hashes, passwords and AES. Salts and initialization vectors follow from the stand-in.

use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::super::func::{Context, Failure, Func, Param};
use super::super::text::{from_bytes, len, to_bytes};
use super::super::value::Value;
use super::args::{error, int, panic, string, text};
use super::encoding::base64_decode;
use super::random::Random;
use super::{Output, fixed};
use Param::String as Text;

pub(super) const FUNCS: &[Func] = &[
    fixed("sha1sum", &[Text], |ctx, args| {
        hash::<Sha1>(ctx, text(args, 0))
    }),
    fixed("sha256sum", &[Text], |ctx, args| {
        hash::<Sha256>(ctx, text(args, 0))
    }),
    fixed("sha512sum", &[Text], |ctx, args| {
        hash::<Sha512>(ctx, text(args, 0))
    }),
    fixed("adler32sum", &[Text], |ctx, args| {
        ctx.step(text(args, 0).len() / 64)?;
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in to_bytes(text(args, 0)).iter() {
            a = (a + u32::from(*byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        string(ctx, (b << 16 | a).to_string())
    }),
    fixed("bcrypt", &[Text], |ctx, args| {
        let hash = bcrypt(ctx, text(args, 0));
        string(ctx, hash)
    }),
    fixed("htpasswd", &[Text, Text], |ctx, args| {
        let user = text(args, 0);
        if user.contains(':') {
            return string(ctx, format!("invalid username: {user}"));
        }
        let hash = bcrypt(ctx, text(args, 1));
        string(ctx, format!("{user}:{hash}"))
    }),
    fixed(
        "derivePassword",
        &[Param::Named("uint32"), Text, Text, Text, Text],
        |ctx, args| {
            let counter = u32::try_from(int(args, 0)).unwrap_or(0);
            derive_password(
                ctx,
                counter,
                [text(args, 1), text(args, 2), text(args, 3), text(args, 4)],
            )
        },
    ),
    fixed("encryptAES", &[Text, Text], |ctx, args| {
        let plain = to_bytes(text(args, 1));
        if plain.is_empty() {
            return Ok(Value::from(""));
        }
        ctx.step(plain.len() / 16)?;
        ctx.spend(plain.len().saturating_mul(4))?;
        let mut out = Random::new(ctx, "encryptAES").bytes(BLOCK);
        let padding = BLOCK - plain.len() % BLOCK;
        let mut padded = plain.into_owned();
        padded.extend(std::iter::repeat_n(
            u8::try_from(padding).unwrap_or(0),
            padding,
        ));
        let cipher = cipher(text(args, 0));
        for block in padded.chunks(BLOCK) {
            let before = &out[out.len() - BLOCK..];
            let mixed: [u8; BLOCK] = std::array::from_fn(|index| block[index] ^ before[index]);
            let mut mixed = mixed.into();
            cipher.encrypt_block(&mut mixed);
            out.extend_from_slice(&mixed);
        }
        Ok(Value::from(STANDARD.encode(out)))
    }),
    fixed("decryptAES", &[Text, Text], |ctx, args| {
        ctx.step(text(args, 1).len() / 16)?;
        ctx.spend(text(args, 1).len())?;
        decrypt(text(args, 0), text(args, 1))
    }),
];

/// Bytes of an AES block.
const BLOCK: usize = 16;

/// A hash in hexadecimal.
fn hash<D: Digest>(ctx: &mut dyn Context, input: &str) -> Output {
    ctx.step(input.len() / 64)?;
    string(ctx, hex(&D::digest(to_bytes(input))))
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            out.extend(
                [byte >> 4, byte & 15]
                    .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
            );
            out
        })
}

/// What looks like a bcrypt hash.
fn bcrypt(ctx: &dyn Context, password: &str) -> String {
    const ALPHABET: &[u8] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    if len(password) > 72 {
        let problem = "bcrypt: password length exceeds 72 bytes";
        return format!("failed to encrypt string with bcrypt: {problem}");
    }
    let salted = Random::new(ctx, &format!("bcrypt {password}")).text(53, ALPHABET);
    format!("$2a$10${salted}")
}

/// The characters that a letter of a password's template selects.
fn characters(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

fn password_templates(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => return None,
    })
}

/// The algorithm of Master Password.
fn derive_password(
    ctx: &mut dyn Context,
    counter: u32,
    [kind, password, user, site]: [&str; 4],
) -> Output {
    const SEED: &[u8] = b"com.lyndir.masterpassword";
    let Some(templates) = password_templates(kind) else {
        return string(ctx, format!("cannot find password template {kind}"));
    };
    // 32 MiB and a tenth of a second, on purpose.
    ctx.step(4 << 20)?;
    let sized = |text: &[u8]| {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        [&length.to_be_bytes(), text].concat()
    };
    let salt = [SEED, &sized(&to_bytes(user))].concat();
    let params = scrypt::Params::new(15, 8, 2).map_err(|problem| error(problem.to_string()))?;
    let mut key = [0; 64];
    scrypt::scrypt(&to_bytes(password), &salt, &params, &mut key)
        .map_err(|problem| error(problem.to_string()))?;
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&key)
        .map_err(|problem| error(problem.to_string()))?;
    mac.update(SEED);
    mac.update(&sized(&to_bytes(site)));
    mac.update(&counter.to_be_bytes());
    let seed = mac.finalize().into_bytes();
    let template = templates[usize::from(seed[0]) % templates.len()];
    let derived: String = template
        .bytes()
        .zip(&seed[1..])
        .map(|(class, byte)| {
            let characters = characters(class);
            char::from(characters[usize::from(*byte) % characters.len()])
        })
        .collect();
    string(ctx, derived)
}

/// AES with the password as it is, cut or filled with zeros.
fn cipher(password: &str) -> Aes256 {
    let password = to_bytes(password);
    let key: [u8; 32] = std::array::from_fn(|index| password.get(index).copied().unwrap_or(0));
    Aes256::new(&key.into())
}

fn decrypt(password: &str, encrypted: &str) -> Output {
    if encrypted.is_empty() {
        return Ok(Value::from(""));
    }
    let encoded = to_bytes(encrypted);
    let bytes = base64_decode(&encoded).map_err(error)?;
    if bytes.len() < BLOCK {
        let capacity = encoded.len() / 4 * 3;
        return Err(out_of_range(&format!(":{BLOCK}] with capacity {capacity}")));
    }
    if !bytes.len().is_multiple_of(BLOCK) {
        return Err(panic("crypto/cipher: input not full blocks"));
    }
    let cipher = cipher(password);
    let mut plain = Vec::with_capacity(bytes.len());
    let blocks: Vec<&[u8]> = bytes.chunks(BLOCK).collect();
    for pair in blocks.windows(2) {
        let block: [u8; BLOCK] = std::array::from_fn(|index| pair[1][index]);
        let mut block = block.into();
        cipher.decrypt_block(&mut block);
        plain.extend(
            block
                .iter()
                .zip(pair[0])
                .map(|(byte, before)| byte ^ before),
        );
    }
    let Some(padding) = plain.last().map(|byte| usize::from(*byte)) else {
        return Err(panic("runtime error: index out of range [-1]"));
    };
    let Some(length) = plain.len().checked_sub(padding) else {
        return Err(out_of_range(&format!(":-{}]", padding - plain.len())));
    };
    Ok(Value::String(from_bytes(&plain[..length])))
}

fn out_of_range(range: &str) -> Failure {
    panic(format!("runtime error: slice bounds out of range [{range}"))
}
