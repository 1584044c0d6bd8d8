//! `urlParse` and `urlJoin`: Go's package net/url.

use std::net::Ipv6Addr;

use super::super::format::quote;
use super::super::func::{Failure, Func, Param};
use super::super::text::{from_bytes, to_bytes};
use super::super::value::{Map, Str, Value};
use super::args::{NIL, map, panic, string, text};
use super::fixed;
use Param::{Map as Dict, String as Text};

pub(super) const FUNCS: &[Func] = &[
    fixed("urlParse", &[Text], |ctx, args| {
        let raw = text(args, 0);
        ctx.spend(raw.len().saturating_mul(3).saturating_add(512))?;
        let url = parse(&to_bytes(raw))
            .map_err(|message| panic(format!("unable to parse url: {message}")))?;
        let user = url.user.as_ref().map(User::escaped).unwrap_or_default();
        let entries = [
            ("scheme", url.scheme),
            ("host", url.host.clone()),
            ("hostname", hostname(&url.host).to_vec()),
            ("path", url.path),
            ("query", url.query),
            ("opaque", url.opaque),
            ("fragment", url.fragment),
            ("userinfo", user),
        ];
        let dict: Map = entries
            .into_iter()
            .map(|(key, value)| (key, Value::String(from_bytes(&value))))
            .collect();
        Ok(Value::Map(dict))
    }),
    fixed("urlJoin", &[Dict], |ctx, args| {
        let dict = map(args, 0);
        let part = |key: &str| part(dict, key);
        let mut url = Url {
            scheme: part("scheme")?,
            host: part("host")?,
            path: part("path")?,
            query: part("query")?,
            opaque: part("opaque")?,
            fragment: part("fragment")?,
            user: None,
        };
        let user = part("userinfo")?;
        if !user.is_empty() {
            let whole = [b"proto://", &user[..], b"@host"].concat();
            let parsed = parse(&whole)
                .map_err(|message| panic(format!("unable to parse userinfo in dict: {message}")))?;
            url.user = parsed.user;
        }
        string(ctx, from_bytes(&url.join()))
    }),
];

/// Sprig's `dictGetOrEmpty`.
fn part(dict: Option<&Map>, key: &str) -> Result<Vec<u8>, Failure> {
    match dict.and_then(|dict| dict.get(key)) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(to_bytes(&text).into_owned()),
        Some(Value::Nil) => Err(panic(NIL)),
        Some(other) => Err(panic(format!(
            "unable to parse {key} key, must be of type string, but {} found",
            other.kind()
        ))),
    }
}

#[derive(Default)]
struct Url {
    scheme: Vec<u8>,
    opaque: Vec<u8>,
    user: Option<User>,
    host: Vec<u8>,
    path: Vec<u8>,
    query: Vec<u8>,
    fragment: Vec<u8>,
}

struct User {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

/// The part of a URL that a text is escaped for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    User,
    Host,
    Zone,
    Fragment,
}

impl User {
    fn escaped(&self) -> Vec<u8> {
        let mut out = escape(&self.name, Part::User);
        if let Some(password) = &self.password {
            out.push(b':');
            out.extend(escape(password, Part::User));
        }
        out
    }
}

impl Url {
    /// `URL.String`, of a URL that was not parsed.
    fn join(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if self.opaque.is_empty() {
            self.join_hierarchy(&mut out);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            out.extend(escape(&self.fragment, Part::Fragment));
        }
        out
    }

    fn join_hierarchy(&self, out: &mut Vec<u8>) {
        let has_authority = !self.host.is_empty() || self.user.is_some();
        if has_authority || !self.scheme.is_empty() && !self.path.is_empty() {
            out.extend_from_slice(b"//");
        }
        if let Some(user) = &self.user {
            out.extend(user.escaped());
            out.push(b'@');
        }
        out.extend(escape(&self.host, Part::Host));
        let path = match &self.path[..] {
            b"*" => b"*".to_vec(),
            path => escape(path, Part::Path),
        };
        if !path.is_empty() && path[0] != b'/' && !self.host.is_empty() {
            out.push(b'/');
        }
        let segment = path.split(|byte| *byte == b'/').next().unwrap_or_default();
        if out.is_empty() && segment.contains(&b':') {
            out.extend_from_slice(b"./");
        }
        out.extend(path);
    }
}

/// `url.Parse`, with its error.
fn parse(raw: &[u8]) -> Result<Url, String> {
    let failed = |url: &[u8], message: String| format!("parse {}: {message}", quoted(url));
    let (url, fragment) = cut(raw, b'#');
    let mut parsed = parse_url(url).map_err(|message| failed(url, message))?;
    if let Some(fragment) = fragment {
        parsed.fragment =
            unescape(fragment, Part::Fragment).map_err(|message| failed(raw, message))?;
    }
    Ok(parsed)
}

fn parse_url(raw: &[u8]) -> Result<Url, String> {
    if raw.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let mut url = Url::default();
    if raw == b"*" {
        url.path = b"*".to_vec();
        return Ok(url);
    }
    let (scheme, rest) = split_scheme(raw)?;
    url.scheme = scheme.to_ascii_lowercase();
    let (mut rest, query) = cut(rest, b'?');
    url.query = query.unwrap_or_default().to_vec();
    if !rest.starts_with(b"/") {
        if !url.scheme.is_empty() {
            url.opaque = rest.to_vec();
            return Ok(url);
        }
        if cut(rest, b'/').0.contains(&b':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let has_authority =
        rest.starts_with(b"//") && (!url.scheme.is_empty() || !rest.starts_with(b"///"));
    if has_authority {
        let slash = rest[2..].iter().position(|byte| *byte == b'/');
        let end = slash.map_or(rest.len(), |slash| slash + 2);
        (url.user, url.host) = parse_authority(&url.scheme, &rest[2..end])?;
        rest = &rest[end..];
    }
    url.path = unescape(rest, Part::Path)?;
    Ok(url)
}

fn split_scheme(raw: &[u8]) -> Result<(&[u8], &[u8]), String> {
    for (index, byte) in raw.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&raw[..index], &raw[index + 1..])),
            _ => break,
        }
    }
    Ok((b"", raw))
}

fn parse_authority(scheme: &[u8], authority: &[u8]) -> Result<(Option<User>, Vec<u8>), String> {
    let Some(at) = authority.iter().rposition(|byte| *byte == b'@') else {
        return Ok((None, parse_host(scheme, authority)?));
    };
    let host = parse_host(scheme, &authority[at + 1..])?;
    let userinfo = &authority[..at];
    let is_valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte);
    if !userinfo.iter().all(is_valid) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let (name, password) = cut(userinfo, b':');
    let user = User {
        name: unescape(name, Part::User)?,
        password: password
            .map(|password| unescape(password, Part::User))
            .transpose()?,
    };
    Ok((Some(user), host))
}

fn parse_host(scheme: &[u8], host: &[u8]) -> Result<Vec<u8>, String> {
    let check_port = |port: &[u8]| {
        let is_port =
            port.is_empty() || port[0] == b':' && port[1..].iter().all(u8::is_ascii_digit);
        if is_port {
            Ok(())
        } else {
            Err(format!("invalid port {} after host", quoted(port)))
        }
    };
    match host.iter().rposition(|byte| *byte == b'[') {
        Some(0) => {
            let Some(close) = host.iter().rposition(|byte| *byte == b']') else {
                return Err("missing ']' in host".to_owned());
            };
            check_port(&host[close + 1..])?;
            let port = unescape(&host[close + 1..], Part::Host)?;
            let address = parse_address(&host[1..close])?;
            return Ok([b"[", &address[..], b"]", &port].concat());
        }
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => {}
    }
    let first = host.iter().position(|byte| *byte == b':');
    let last = host.iter().rposition(|byte| *byte == b':');
    let is_http = matches!(scheme, b"http" | b"https");
    if let Some(colon) = if is_http { first } else { last } {
        check_port(&host[colon..])?;
    }
    unescape(host, Part::Host)
}

/// What stands in brackets: an IPv6 address, perhaps with a zone.
fn parse_address(literal: &[u8]) -> Result<Vec<u8>, String> {
    let zone = literal.windows(3).position(|part| part == b"%25");
    let address = match zone {
        Some(zone) => [
            unescape(&literal[..zone], Part::Host)?,
            unescape(&literal[zone..], Part::Zone)?,
        ]
        .concat(),
        None => unescape(literal, Part::Host)?,
    };
    let text = String::from_utf8_lossy(&address);
    let (plain, zone) = match text.split_once('%') {
        Some((plain, zone)) => (plain, Some(zone)),
        None => (&*text, None),
    };
    if zone.is_none() && plain.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err("invalid IP-literal".to_owned());
    }
    if plain.parse::<Ipv6Addr>().is_err() || zone == Some("") {
        return Err(format!(
            "invalid host: ParseAddr({}): unable to parse IP",
            quoted(&address)
        ));
    }
    Ok(address)
}

/// `URL.Hostname`.
fn hostname(host: &[u8]) -> &[u8] {
    let colon = host.iter().rposition(|byte| *byte == b':');
    let host = match colon {
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => &host[..colon],
        _ => host,
    };
    match host {
        [b'[', inner @ .., b']'] => inner,
        host => host,
    }
}

fn cut(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == at) {
        Some(index) => (&text[..index], Some(&text[index + 1..])),
        None => (text, None),
    }
}

fn quoted(bytes: &[u8]) -> String {
    let text: Str = from_bytes(bytes);
    quote(&text, false)
}

fn should_escape(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
        return false;
    }
    match part {
        Part::Host | Part::Zone => !b"!$&'()*+,;=:[]<>\"".contains(&byte),
        Part::Path => !b"$&+,/:;=@".contains(&byte),
        Part::User => !b"$&+,;=".contains(&byte),
        Part::Fragment => !b"$&+,/:;=?@!()*".contains(&byte),
    }
}

fn escape(text: &[u8], part: Part) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if should_escape(byte, part) {
            out.extend([
                b'%',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
        } else {
            out.push(byte);
        }
    }
    out
}

fn unescape(text: &[u8], part: Part) -> Result<Vec<u8>, String> {
    let bad_escape = |at: usize| {
        let end = text.len().min(at + 3);
        Err(format!("invalid URL escape {}", quoted(&text[at..end])))
    };
    let hex = |at: usize| {
        let digit = char::from(*text.get(at)?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        if byte != b'%' {
            if matches!(part, Part::Host | Part::Zone) && byte < 0x80 && should_escape(byte, part) {
                return Err(format!(
                    "invalid character {} in host name",
                    quoted(&[byte])
                ));
            }
            out.push(byte);
            at += 1;
            continue;
        }
        let (Some(high), Some(low)) = (hex(at + 1), hex(at + 2)) else {
            return bad_escape(at);
        };
        let value = high << 4 | low;
        let refused = match part {
            Part::Host => high < 8,
            Part::Zone => value != b' ' && should_escape(value, Part::Host),
            _ => false,
        };
        if refused && &text[at..at + 3] != b"%25" {
            return bad_escape(at);
        }
        out.push(value);
        at += 3;
    }
    Ok(out)
}
