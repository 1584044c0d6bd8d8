//! Regular expressions: Go's package regexp.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex_automata::Input;
use regex_automata::meta::{Builder, Config, Regex};
use regex_automata::util::captures::Captures;

use super::super::format::quote;
use super::super::func::{Context, Failure, Func, Param};
use super::super::value::{ElementType, List, Str, Value};
use super::args::{error, int, panic, pay, string, text};
use super::unicode::{is_digit, is_letter};
use super::{Output, fixed};
use Param::{Int, String as Text};

mod parser;

pub(super) const FUNCS: &[Func] = &[
    fixed("regexMatch", &[Text, Text], |ctx, args| {
        match compile(ctx, text(args, 0)) {
            Ok(regex) => Ok(regex.is_match(ctx, text(args, 1))?.into()),
            // Sprig ignores the error.
            Err(Failure::Error(_)) => Ok(false.into()),
            Err(failure) => Err(failure),
        }
    }),
    fixed("mustRegexMatch", &[Text, Text], |ctx, args| {
        let regex = compile(ctx, text(args, 0))?;
        Ok(regex.is_match(ctx, text(args, 1))?.into())
    }),
    fixed("regexFindAll", &[Text, Text, Int], |ctx, args| {
        let regex = must_compile(ctx, text(args, 0))?;
        find_all(ctx, &regex, text(args, 1), int(args, 2))
    }),
    fixed("mustRegexFindAll", &[Text, Text, Int], |ctx, args| {
        let regex = compile(ctx, text(args, 0))?;
        find_all(ctx, &regex, text(args, 1), int(args, 2))
    }),
    fixed("regexFind", &[Text, Text], |ctx, args| {
        let regex = must_compile(ctx, text(args, 0))?;
        find(ctx, &regex, text(args, 1))
    }),
    fixed("mustRegexFind", &[Text, Text], |ctx, args| {
        let regex = compile(ctx, text(args, 0))?;
        find(ctx, &regex, text(args, 1))
    }),
    fixed("regexReplaceAll", &[Text, Text, Text], |ctx, args| {
        let regex = must_compile(ctx, text(args, 0))?;
        replace_all(ctx, &regex, text(args, 1), text(args, 2), true)
    }),
    fixed("mustRegexReplaceAll", &[Text, Text, Text], |ctx, args| {
        let regex = compile(ctx, text(args, 0))?;
        replace_all(ctx, &regex, text(args, 1), text(args, 2), true)
    }),
    fixed(
        "regexReplaceAllLiteral",
        &[Text, Text, Text],
        |ctx, args| {
            let regex = must_compile(ctx, text(args, 0))?;
            replace_all(ctx, &regex, text(args, 1), text(args, 2), false)
        },
    ),
    fixed(
        "mustRegexReplaceAllLiteral",
        &[Text, Text, Text],
        |ctx, args| {
            let regex = compile(ctx, text(args, 0))?;
            replace_all(ctx, &regex, text(args, 1), text(args, 2), false)
        },
    ),
    fixed("regexSplit", &[Text, Text, Int], |ctx, args| {
        let regex = must_compile(ctx, text(args, 0))?;
        split(ctx, &regex, text(args, 0), text(args, 1), int(args, 2))
    }),
    fixed("mustRegexSplit", &[Text, Text, Int], |ctx, args| {
        let regex = compile(ctx, text(args, 0))?;
        split(ctx, &regex, text(args, 0), text(args, 1), int(args, 2))
    }),
    fixed("regexQuoteMeta", &[Text], |ctx, args| {
        let plain = text(args, 0);
        ctx.spend(plain.len().saturating_mul(2))?;
        let mut out = String::with_capacity(plain.len() + 8);
        for c in plain.chars() {
            if r"\.+*?()|[]{}^$".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
        Ok(Value::from(out))
    }),
];

/// A compiled expression.
pub(super) struct Compiled {
    regex: Regex,
}

/// Compiled expressions that are kept.
const MAX_CACHED: usize = 256;
/// Bytes that one compiled expression may take, and those that are kept together.
const MAX_SIZE: usize = 8 << 20;

thread_local! {
    /// What this thread has compiled, and its size. Emptied when it is full.
    static CACHE: RefCell<(HashMap<Str, Rc<Compiled>>, usize)> = RefCell::default();
}

/// `regexp.Compile`.
fn compile(ctx: &mut dyn Context, pattern: &str) -> Result<Rc<Compiled>, Failure> {
    let cached = CACHE.with_borrow(|(cache, _)| cache.get(pattern).cloned());
    if let Some(compiled) = cached {
        return Ok(compiled);
    }
    ctx.step(pattern.len().saturating_mul(16).saturating_add(256))?;
    let hir = parser::parse(pattern).map_err(error)?;
    let config = Config::new()
        .nfa_size_limit(Some(MAX_SIZE))
        .onepass_size_limit(Some(1 << 20));
    let regex = Builder::new()
        .configure(config)
        .build_from_hir(&hir)
        .map_err(|_| {
            Failure::Limit(format!(
                "a regular expression needs more than {MAX_SIZE} bytes: {}",
                shortened(pattern)
            ))
        })?;
    let size = regex.memory_usage();
    ctx.step(size / 16)?;
    let compiled = Rc::new(Compiled { regex });
    CACHE.with_borrow_mut(|(cache, total)| {
        if cache.len() == MAX_CACHED || *total + size > MAX_SIZE {
            cache.clear();
            *total = 0;
        }
        *total += size;
        cache.insert(pattern.into(), compiled.clone());
    });
    Ok(compiled)
}

fn shortened(pattern: &str) -> String {
    pattern.chars().take(60).collect()
}

/// `regexp.MustCompile`.
fn must_compile(ctx: &mut dyn Context, pattern: &str) -> Result<Rc<Compiled>, Failure> {
    compile(ctx, pattern).map_err(|failure| match failure {
        Failure::Error(message) => {
            let can_be_raw = !pattern
                .chars()
                .any(|c| c == '`' || c == '\u{feff}' || c == '\u{7f}' || c < ' ' && c != '\t');
            let quoted = if can_be_raw {
                format!("`{pattern}`")
            } else {
                quote(pattern, false)
            };
            panic(format!("regexp: Compile({quoted}): {message}"))
        }
        other => other,
    })
}

impl Compiled {
    fn is_match(&self, ctx: &mut dyn Context, haystack: &str) -> Result<bool, Failure> {
        ctx.step(haystack.len() / 16 + 1)?;
        Ok(self.regex.is_match(haystack))
    }

    /// Where the groups of the next match are; none where there is no more.
    fn next(
        &self,
        ctx: &mut dyn Context,
        haystack: &str,
        from: usize,
        captures: &mut Captures,
    ) -> Result<Option<(usize, usize)>, Failure> {
        // A search may look at all of the rest, and there is one for each match.
        ctx.step((haystack.len() - from) / 16 + 1)?;
        let input = Input::new(haystack).span(from..haystack.len());
        self.regex.search_captures(&input, captures);
        Ok(captures
            .get_match()
            .map(|found| (found.start(), found.end())))
    }
}

/// `Regexp.allMatches`: where at most `count` matches are.
fn all_matches(
    ctx: &mut dyn Context,
    regex: &Compiled,
    haystack: &str,
    count: i64,
) -> Result<Vec<(usize, usize)>, Failure> {
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let mut captures = Captures::matches(regex.regex.group_info().clone());
    let mut found = Vec::new();
    let mut position = 0;
    let mut last_end = None;
    while found.len() < limit && position <= haystack.len() {
        let Some((start, end)) = regex.next(ctx, haystack, position, &mut captures)? else {
            break;
        };
        let mut accepted = true;
        if end == position {
            // An empty match right after another match does not count.
            accepted = last_end != Some(start);
            let width = haystack[position..]
                .chars()
                .next()
                .map_or(1, char::len_utf8);
            position += width;
        } else {
            position = end;
        }
        last_end = Some(end);
        if accepted {
            pay(ctx, 1)?;
            found.push((start, end));
        }
    }
    Ok(found)
}

fn find(ctx: &mut dyn Context, regex: &Compiled, haystack: &str) -> Output {
    ctx.step(haystack.len() / 16 + 1)?;
    let found = regex.regex.find(haystack);
    string(ctx, found.map_or("", |found| &haystack[found.range()]))
}

fn find_all(ctx: &mut dyn Context, regex: &Compiled, haystack: &str, count: i64) -> Output {
    let found = all_matches(ctx, regex, haystack, count)?;
    if found.is_empty() {
        return Ok(Value::List(Rc::new(List::nil(ElementType::String))));
    }
    ctx.spend(haystack.len())?;
    Ok(Value::strings(
        found.into_iter().map(|(start, end)| &haystack[start..end]),
    ))
}

fn split(
    ctx: &mut dyn Context,
    regex: &Compiled,
    pattern: &str,
    haystack: &str,
    count: i64,
) -> Output {
    if count == 0 {
        return Ok(Value::List(Rc::new(List::nil(ElementType::String))));
    }
    if !pattern.is_empty() && haystack.is_empty() {
        return Ok(Value::strings([""]));
    }
    ctx.spend(haystack.len())?;
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts: Vec<&str> = Vec::new();
    let (mut start, mut end) = (0, 0);
    for found in all_matches(ctx, regex, haystack, count)? {
        if parts.len() >= limit - 1 {
            break;
        }
        end = found.0;
        if found.1 != 0 {
            parts.push(&haystack[start..end]);
        }
        start = found.1;
    }
    if end != haystack.len() {
        parts.push(&haystack[start..]);
    }
    Ok(Value::strings(parts))
}

fn replace_all(
    ctx: &mut dyn Context,
    regex: &Compiled,
    haystack: &str,
    replacement: &str,
    expands: bool,
) -> Output {
    let mut out = String::new();
    let mut captures = if expands && replacement.contains('$') {
        regex.regex.create_captures()
    } else {
        Captures::matches(regex.regex.group_info().clone())
    };
    ctx.spend(haystack.len())?;
    let (mut last_end, mut position) = (0, 0);
    while position <= haystack.len() {
        let Some((start, end)) = regex.next(ctx, haystack, position, &mut captures)? else {
            break;
        };
        out.push_str(&haystack[last_end..start]);
        // An empty match right after another match is not replaced.
        if end > last_end || start == 0 {
            let before = out.len();
            if expands {
                expand(&mut out, replacement, haystack, &captures);
            } else {
                out.push_str(replacement);
            }
            ctx.spend(out.len() - before)?;
        }
        last_end = end;
        let width = haystack[position..]
            .chars()
            .next()
            .map_or(0, char::len_utf8);
        position = if position + width > end {
            position + width
        } else if position + 1 > end {
            position + 1
        } else {
            end
        };
    }
    out.push_str(&haystack[last_end..]);
    Ok(Value::from(out))
}

/// `Regexp.expand`: `$1`, `${1}`, `$name`.
fn expand(out: &mut String, mut template: &str, haystack: &str, captures: &Captures) {
    while let Some((before, after)) = template.split_once('$') {
        out.push_str(before);
        template = after;
        if let Some(rest) = template.strip_prefix('$') {
            out.push('$');
            template = rest;
            continue;
        }
        let Some((name, rest)) = reference(template) else {
            out.push('$');
            continue;
        };
        template = rest;
        let has_leading_zero = name.len() > 1 && name.starts_with('0');
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && !has_leading_zero;
        let span = if is_number && name.len() < 9 {
            name.parse()
                .ok()
                .and_then(|index| captures.get_group(index))
        } else {
            captures.get_group_by_name(name)
        };
        if let Some(span) = span {
            out.push_str(&haystack[span.range()]);
        }
    }
    out.push_str(template);
}

/// The name after a `$`, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (braced, inner) = match text.strip_prefix('{') {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let is_part = |c: char| is_letter(c) || is_digit(c) || c == '_';
    let end = inner.find(|c: char| !is_part(c)).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    if name.is_empty() {
        return None;
    }
    if braced {
        return Some((name, rest.strip_prefix('}')?));
    }
    Some((name, rest))
}
