//! Strings.

mod goutils;

use super::super::func::{Context, Failure, Func, Param};
use super::super::text;
use super::super::value::{Str, Value};
use super::args::{any, int, panic, print, rest, string, strslice, strval};
use super::unicode::{is_space, runes, to_lower, to_upper};
use super::{Output, args, case, fixed, variadic};
use Param::{Any, Int, String as Text};
use goutils::{abbreviate, initials, no_space, wrap};

pub(super) const FUNCS: &[Func] = &[
    fixed("hello", &[], |ctx, _| string(ctx, "Hello!")),
    fixed("abbrev", &[Int, Text], |ctx, args| {
        let (width, s) = (int(args, 0), args::text(args, 1));
        bytes(ctx, s, |s| {
            if width < 4 {
                s.into()
            } else {
                abbreviate(s, 0, width)
            }
        })
    }),
    fixed("abbrevboth", &[Int, Int, Text], |ctx, args| {
        let (left, right, s) = (int(args, 0), int(args, 1), args::text(args, 2));
        let too_small = right < 4 || left > 0 && right < 7;
        bytes(ctx, s, |s| {
            if too_small {
                s.into()
            } else {
                abbreviate(s, left, right)
            }
        })
    }),
    fixed("trunc", &[Int, Text], |ctx, args| {
        let (count, s) = (int(args, 0), args::text(args, 1));
        let length = text::len(s);
        let cut = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if cut >= length {
            return string(ctx, s);
        }
        bytes(ctx, s, |s| {
            if count < 0 {
                s[length - cut..].into()
            } else {
                s[..cut].into()
            }
        })
    }),
    fixed("trim", &[Text], |ctx, args| {
        string(ctx, args::text(args, 0).trim_matches(is_space))
    }),
    fixed("upper", &[Text], |ctx, args| {
        characters(ctx, args, to_upper)
    }),
    fixed("lower", &[Text], |ctx, args| {
        characters(ctx, args, to_lower)
    }),
    fixed("title", &[Text], |ctx, args| {
        changed(ctx, args, case::title)
    }),
    fixed("untitle", &[Text], |ctx, args| {
        changed(ctx, args, case::untitle)
    }),
    fixed("swapcase", &[Text], |ctx, args| {
        changed(ctx, args, case::swap)
    }),
    fixed("snakecase", &[Text], |ctx, args| {
        changed(ctx, args, |s| case::lower_words(s, '_'))
    }),
    fixed("kebabcase", &[Text], |ctx, args| {
        changed(ctx, args, |s| case::lower_words(s, '-'))
    }),
    fixed("camelcase", &[Text], |ctx, args| {
        changed(ctx, args, case::pascal)
    }),
    fixed("substr", &[Int, Int, Text], |ctx, args| {
        substring(ctx, int(args, 0), int(args, 1), args::text(args, 2))
    }),
    fixed("repeat", &[Int, Text], |ctx, args| {
        let repeated = repeat(ctx, args::text(args, 1), int(args, 0))?;
        Ok(Value::from(repeated))
    }),
    fixed("trimall", &[Text, Text], trim_all),
    fixed("trimAll", &[Text, Text], trim_all),
    fixed("trimSuffix", &[Text, Text], |ctx, args| {
        let s = args::text(args, 1);
        string(ctx, s.strip_suffix(args::text(args, 0)).unwrap_or(s))
    }),
    fixed("trimPrefix", &[Text, Text], |ctx, args| {
        let s = args::text(args, 1);
        string(ctx, s.strip_prefix(args::text(args, 0)).unwrap_or(s))
    }),
    fixed("nospace", &[Text], |ctx, args| {
        let s = args::text(args, 0);
        ctx.spend(s.len().saturating_mul(2))?;
        Ok(Value::from(no_space(s)))
    }),
    fixed("initials", &[Text], |ctx, args| {
        changed(ctx, args, initials)
    }),
    fixed("wrap", &[Int, Text], |ctx, args| {
        wrap(ctx, args::text(args, 1), int(args, 0), "\n", false)
    }),
    fixed("wrapWith", &[Int, Text, Text], |ctx, args| {
        let line_break = match args::text(args, 1) {
            "" => "\n",
            given => given,
        };
        wrap(ctx, args::text(args, 2), int(args, 0), line_break, true)
    }),
    fixed("contains", &[Text, Text], |ctx, args| {
        ctx.step(args::text(args, 1).len() / 64)?;
        Ok(args::text(args, 1).contains(args::text(args, 0)).into())
    }),
    fixed("hasPrefix", &[Text, Text], |_, args| {
        Ok(args::text(args, 1).starts_with(args::text(args, 0)).into())
    }),
    fixed("hasSuffix", &[Text, Text], |_, args| {
        Ok(args::text(args, 1).ends_with(args::text(args, 0)).into())
    }),
    variadic("quote", &[], Any, |ctx, args| {
        joined(ctx, args, |ctx, value| {
            let text = strval(ctx, value)?;
            ctx.spend(text.len().saturating_mul(2))?;
            Ok(super::super::format::quote(&text, false))
        })
    }),
    variadic("squote", &[], Any, |ctx, args| {
        joined(ctx, args, |ctx, value| {
            Ok(format!("'{}'", print(ctx, value)?))
        })
    }),
    variadic("cat", &[], Any, |ctx, args| joined(ctx, args, print)),
    fixed("indent", &[Int, Text], |ctx, args| {
        let indented = indent(ctx, args::text(args, 1), int(args, 0), "")?;
        Ok(Value::from(indented))
    }),
    fixed("nindent", &[Int, Text], |ctx, args| {
        let indented = indent(ctx, args::text(args, 1), int(args, 0), "\n")?;
        Ok(Value::from(indented))
    }),
    fixed("replace", &[Text, Text, Text], |ctx, args| {
        let (old, new, s) = (
            args::text(args, 0),
            args::text(args, 1),
            args::text(args, 2),
        );
        let times = if old.is_empty() {
            s.len() + 1
        } else {
            ctx.step(s.len() / 64)?;
            s.matches(old).count()
        };
        ctx.spend(times.saturating_mul(new.len()).saturating_add(s.len()))?;
        Ok(Value::from(s.replace(old, new)))
    }),
    fixed("plural", &[Text, Text, Int], |ctx, args| {
        string(ctx, args::text(args, usize::from(int(args, 2) != 1)))
    }),
    fixed("toString", &[Any], |ctx, args| {
        Ok(Value::String(strval(ctx, any(args, 0))?))
    }),
    fixed("split", &[Text, Text], |ctx, args| {
        numbered(ctx, args::text(args, 0), -1, args::text(args, 1))
    }),
    fixed("splitn", &[Text, Int, Text], |ctx, args| {
        numbered(ctx, args::text(args, 0), int(args, 1), args::text(args, 2))
    }),
    fixed("splitList", &[Text, Text], |ctx, args| {
        let parts = split(ctx, args::text(args, 0), -1, args::text(args, 1))?;
        Ok(Value::strings(parts))
    }),
    fixed("toStrings", &[Any], |ctx, args| {
        Ok(Value::strings(strslice(ctx, any(args, 0))?))
    }),
    fixed("join", &[Text, Any], |ctx, args| {
        let separator = args::text(args, 0);
        let parts = strslice(ctx, any(args, 1))?;
        let separators = separator.len().saturating_mul(parts.len());
        ctx.spend(
            parts
                .iter()
                .fold(separators, |sum, part| sum.saturating_add(part.len())),
        )?;
        Ok(Value::from(parts.join(separator)))
    }),
];

/// The result of a function on bytes.
fn bytes(ctx: &mut dyn Context, s: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Output {
    ctx.spend(s.len())?;
    Ok(Value::String(text::from_bytes(&change(&text::to_bytes(s)))))
}

/// The result of a function whose output is at most four thirds of its input.
fn changed(ctx: &mut dyn Context, args: &[Value], change: fn(&str) -> String) -> Output {
    let s = args::text(args, 0);
    ctx.step(s.len() / 2)?;
    ctx.spend(s.len().saturating_add(s.len() / 3))?;
    Ok(Value::from(change(s)))
}

fn characters(ctx: &mut dyn Context, args: &[Value], change: fn(char) -> char) -> Output {
    let s = args::text(args, 0);
    ctx.step(s.len() / 8)?;
    ctx.spend(s.len())?;
    Ok(Value::from(runes(s).map(change).collect::<String>()))
}

fn substring(ctx: &mut dyn Context, start: i64, end: i64, s: &str) -> Output {
    let length = i64::try_from(text::len(s)).unwrap_or(i64::MAX);
    let bounds = |range: String| {
        Err(panic(format!(
            "runtime error: slice bounds out of range [{range}"
        )))
    };
    let (from, to) = if start < 0 {
        (0, end)
    } else if end < 0 || end > length {
        (start, length)
    } else {
        (start, end)
    };
    if to < 0 {
        return bounds(format!(":{to}]"));
    }
    if to > length {
        return bounds(format!(":{to}] with length {length}"));
    }
    if from > to {
        return bounds(format!("{from}:{to}]"));
    }
    let index = |at: i64| usize::try_from(at).unwrap_or(0);
    bytes(ctx, s, |s| s[index(from)..index(to)].into())
}

/// `strings.Repeat`.
fn repeat(ctx: &mut dyn Context, s: &str, count: i64) -> Result<String, Failure> {
    if count < 0 {
        return Err(panic("strings: negative Repeat count"));
    }
    if i64::try_from(s.len())
        .unwrap_or(i64::MAX)
        .checked_mul(count)
        .is_none()
    {
        return Err(panic("strings: Repeat output length overflow"));
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    ctx.spend(s.len().saturating_mul(count))?;
    Ok(s.repeat(count))
}

/// The text with spaces before each line, and something before all of it.
fn indent(ctx: &mut dyn Context, s: &str, spaces: i64, before: &str) -> Result<String, Failure> {
    let pad = repeat(ctx, " ", spaces)?;
    let lines = s.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let length = lines.saturating_mul(pad.len()).saturating_add(s.len());
    ctx.spend(length)?;
    let mut out = String::with_capacity(length + before.len());
    out.push_str(before);
    for (number, line) in s.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        out.push_str(&pad);
        out.push_str(line);
    }
    Ok(out)
}

fn trim_all(ctx: &mut dyn Context, args: &[Value]) -> Output {
    let set: Vec<char> = args::text(args, 0).chars().collect();
    let s = args::text(args, 1);
    ctx.step(set.len().saturating_mul(s.len()) / 16)?;
    string(ctx, s.trim_matches(set.as_slice()))
}

/// What is not nil, written and separated by spaces.
fn joined(
    ctx: &mut dyn Context,
    args: &[Value],
    write: fn(&mut dyn Context, &Value) -> Result<String, Failure>,
) -> Output {
    let mut out = String::new();
    let mut first = true;
    for value in rest(args, 0)
        .iter()
        .filter(|value| !matches!(value, Value::Nil))
    {
        if !std::mem::take(&mut first) {
            out.push(' ');
        }
        let text = write(ctx, value)?;
        ctx.spend(text.len() + 1)?;
        out.push_str(&text);
    }
    Ok(Value::from(out))
}

/// `strings.SplitN`: a negative count is no limit.
fn split(ctx: &mut dyn Context, separator: &str, count: i64, s: &str) -> Result<Vec<Str>, Failure> {
    let Ok(limit) = usize::try_from(if count < 0 { i64::MAX } else { count }) else {
        return Ok(Vec::new());
    };
    if limit == 0 {
        return Ok(Vec::new());
    }
    let parts = if separator.is_empty() {
        s.chars().count().min(limit)
    } else {
        ctx.step(s.len() / 64)?;
        s.matches(separator).count().saturating_add(1).min(limit)
    };
    args::pay(ctx, parts)?;
    // A shared string has two counters before its text.
    ctx.spend(parts.saturating_mul(16).saturating_add(s.len()))?;
    if !separator.is_empty() {
        return Ok(s.splitn(limit, separator).map(Str::from).collect());
    }
    let mut rest = s;
    let mut all = Vec::with_capacity(parts);
    while let Some(c) = rest.chars().next() {
        let length = if all.len() + 1 == limit {
            rest.len()
        } else {
            c.len_utf8()
        };
        let (part, after) = rest.split_at(length);
        all.push(part.into());
        rest = after;
    }
    Ok(all)
}

/// The parts as `_0`, `_1` and so on.
fn numbered(ctx: &mut dyn Context, separator: &str, count: i64, s: &str) -> Output {
    use super::super::value::{ElementType, Map};
    let parts = split(ctx, separator, count, s)?;
    ctx.spend(parts.len().saturating_mul(64))?;
    let map = Map::typed(None, ElementType::String);
    for (number, part) in parts.into_iter().enumerate() {
        map.insert(format!("_{number}"), Value::String(part));
    }
    Ok(Value::Map(map))
}
