//! What the head and the body of a response say about an error.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// One entry of a registry's error list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) code: String,
    pub(super) message: String,
}

/// `Retry-After`: seconds, or a date, which is compared with the answer's own (clocks differ).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |name| httpdate::parse_http_date(text(name)?).ok();
    if let Ok(seconds) = text(RETRY_AFTER)?.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let (then, now) = (
        date(RETRY_AFTER)?,
        date(DATE).unwrap_or_else(SystemTime::now),
    );
    Some(then.duration_since(now).unwrap_or_default())
}

/// The distribution specification's `{"errors":[{"code","message"}]}`, or AWS's `{"__type"}`, or
/// the `{"details"}` of token services.
pub(super) fn codes(body: &[u8]) -> Vec<Code> {
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else {
        return Vec::new();
    };
    let text = |value: &serde_json::Value, key: &str| {
        let text = value
            .get(key)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        // A registry must not control the terminal.
        text.chars()
            .filter(|c| !c.is_control())
            .take(500)
            .collect::<String>()
    };
    if let Some(list) = body.get("errors").and_then(serde_json::Value::as_array) {
        let code = |entry| Code {
            code: text(entry, "code"),
            message: text(entry, "message"),
        };
        return list.iter().take(5).map(code).collect();
    }
    let code = [text(&body, "__type"), text(&body, "code")]
        .into_iter()
        .find(|code| !code.is_empty());
    let message = ["message", "Message", "details"]
        .map(|key| text(&body, key))
        .into_iter()
        .find(|m| !m.is_empty());
    match (code, message) {
        (None, None) => Vec::new(),
        (code, message) => {
            let message = message.unwrap_or_default();
            vec![code.map_or_else(
                || Code {
                    code: message.clone(),
                    message: String::new(),
                },
                |code| Code {
                    code,
                    message: message.clone(),
                },
            )]
        }
    }
}
