//! What token services answer (<https://distribution.github.io/distribution/spec/auth/token/>), as
//! tolerantly as Go's clients read it. Pure.

use std::time::Duration;

use reqwest::header::HeaderValue;
use serde_json::Value;

/// The life of a token that does not say, in seconds (docker's token specification).
const DEFAULT_LIFE: f64 = 60.0;

/// The shortest and the longest life that is believed, in seconds.
const LIFE: (f64, f64) = (4.0, 86_400.0);

/// The token of an answer, in whichever of its two fields.
pub(super) fn text(answer: &Value) -> Option<&str> {
    let field = |name| answer.get(name)?.as_str().map(str::trim);
    let fields = [field("token"), field("access_token")];
    fields.into_iter().flatten().find(|text| !text.is_empty())
}

/// How long the token of an answer is used.
pub(super) fn life(answer: &Value) -> Duration {
    let seconds = answer.get("expires_in").and_then(|life| match life {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    });
    let seconds = seconds.filter(|seconds| *seconds > 0.0);
    Duration::from_secs_f64(seconds.unwrap_or(DEFAULT_LIFE).clamp(LIFE.0, LIFE.1))
}

/// A header that is left out of every log; `None` where the text can stand in none.
pub(super) fn header(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_is_taken_from_either_field() {
        for answer in [
            json!({"token": "t"}),
            json!({"access_token": "t"}),
            json!({"token": null, "access_token": "t"}),
            json!({"token": "", "access_token": "t"}),
            json!({"token": "t", "access_token": null}),
            json!({"token": "t", "access_token": "other"}),
            json!({"token": "t\n", "scope": ["x"], "refresh_token": null}),
        ] {
            assert_eq!(text(&answer), Some("t"), "{answer}");
        }
        for answer in [
            json!({}),
            json!([]),
            json!(null),
            json!({"token": 7}),
            json!({"token": " "}),
        ] {
            assert_eq!(text(&answer), None, "{answer}");
        }
        assert_eq!(header("Bearer a\nb"), None);
    }

    #[test]
    fn an_unusual_life_is_a_life() {
        for (expires_in, seconds) in [
            (json!(300), 300.0),
            (json!(300.5), 300.5),
            (json!("300"), 300.0),
            (json!(0), 60.0),
            (json!(-1), 60.0),
            (json!(null), 60.0),
            (json!("soon"), 60.0),
            (json!("NaN"), 60.0),
            (json!(1), 4.0),
            (json!(1e300), 86_400.0),
            (json!(u64::MAX), 86_400.0),
            (json!({"a": 1}), 60.0),
        ] {
            let answer = json!({"token": "t", "expires_in": expires_in});
            assert_eq!(life(&answer), Duration::from_secs_f64(seconds), "{answer}");
        }
        assert_eq!(life(&json!({"token": "t"})), Duration::from_mins(1));
    }
}
