//! What is random in Sprig, and here follows from the stand-in: the same call gives the same value.

use super::super::func::{Context, Func, Param};
use super::super::value::Value;
use super::args::{int, panic, pay, string, text};
use super::crypto::hex;
use super::unicode::runes;
use super::{Output, fixed};
use Param::{Int, String as Text};

pub(super) const FUNCS: &[Func] = &[
    fixed("randAlphaNum", &[Int], |ctx, args| {
        characters(
            ctx,
            args,
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        )
    }),
    fixed("randAlpha", &[Int], |ctx, args| {
        characters(
            ctx,
            args,
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        )
    }),
    fixed("randNumeric", &[Int], |ctx, args| {
        characters(ctx, args, b"0123456789")
    }),
    fixed("randAscii", &[Int], |ctx, args| {
        let printable: Vec<u8> = (b' '..=b'~').collect();
        characters(ctx, args, &printable)
    }),
    fixed("randBytes", &[Int], |ctx, args| {
        let Ok(count) = usize::try_from(int(args, 0)) else {
            return Err(panic("runtime error: makeslice: len out of range"));
        };
        pay(ctx, count)?;
        let bytes = Random::new(ctx, "randBytes").bytes(count);
        string(
            ctx,
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes),
        )
    }),
    fixed("randInt", &[Int, Int], |ctx, args| {
        let (min, max) = (int(args, 0), int(args, 1));
        let range = max.wrapping_sub(min);
        if range <= 0 {
            return Err(panic("invalid argument to Intn"));
        }
        let drawn = Random::new(ctx, "randInt").below(range.unsigned_abs());
        Ok(Value::int(
            min.wrapping_add(i64::try_from(drawn).unwrap_or(0)),
        ))
    }),
    fixed("uuidv4", &[], |ctx, _| {
        let mut bytes = Random::new(ctx, "uuidv4").bytes(16);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut uuid = String::with_capacity(36);
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                uuid.push('-');
            }
            uuid.push_str(&hex(&[*byte]));
        }
        string(ctx, uuid)
    }),
    fixed("shuffle", &[Text], |ctx, args| {
        let mut all: Vec<char> = runes(text(args, 0)).collect();
        pay(ctx, all.len())?;
        let mut random = Random::new(ctx, "shuffle");
        for last in (1..all.len()).rev() {
            let other = random.below(last as u64 + 1);
            all.swap(last, usize::try_from(other).unwrap_or(last));
        }
        string(ctx, all.into_iter().collect::<String>())
    }),
    // By default Helm does not look up hosts.
    fixed("getHostByName", &[Text], |_, _| Ok(Value::from(""))),
];

/// A sequence of numbers that only looks random (splitmix64).
pub(super) struct Random(u64);

impl Random {
    /// The sequence of this render for one purpose.
    pub(super) fn new(ctx: &dyn Context, purpose: &str) -> Self {
        // FNV-1a.
        let seed = purpose
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self(
            seed ^ ctx
                .stand_in()
                .wrapping_add(1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }

    /// Characters of an alphabet.
    pub(super) fn text(&mut self, count: usize, alphabet: &[u8]) -> String {
        let mut character = || {
            let place = self.below(alphabet.len() as u64);
            char::from(alphabet[usize::try_from(place).unwrap_or(0)])
        };
        (0..count).map(|_| character()).collect()
    }
}

fn characters(ctx: &mut dyn Context, args: &[Value], alphabet: &[u8]) -> Output {
    // A negative count is an error, which Sprig ignores.
    let count = usize::try_from(int(args, 0)).unwrap_or(0);
    ctx.step(count)?;
    ctx.spend(count)?;
    Ok(Value::from(
        Random::new(ctx, "characters").text(count, alphabet),
    ))
}
