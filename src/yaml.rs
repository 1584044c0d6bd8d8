//! JSON values as YAML that every reader takes for the same values.

use std::fmt::Write;

use serde_json::Value;

/// Writes a mapping or a list in block style, its entries in their order.
pub fn write(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                write!(out, "{:indent$}{}:", "", scalar(key)).expect("a String takes all text");
                below(value, indent, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                write!(out, "{:indent$}-", "").expect("a String takes all text");
                let start = out.len();
                below(item, indent, out);
                // The first entry of a nested mapping or list follows the dash.
                if out[start..].starts_with('\n') {
                    out.replace_range(start..start + 1 + indent + 2, " ");
                }
            }
        }
        _ => {}
    }
}

fn below(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str(" {}\n"),
        Value::Array(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Object(_) | Value::Array(_) => {
            out.push('\n');
            write(value, indent + 2, out);
        }
        Value::String(text) => writeln!(out, " {}", scalar(text)).expect("a String takes all text"),
        Value::Number(number) => {
            // Helm's numbers are floats; a whole one is written without a point.
            let text = number.to_string();
            writeln!(out, " {}", text.strip_suffix(".0").unwrap_or(&text))
                .expect("a String takes all text");
        }
        other => writeln!(out, " {other}").expect("a String takes all text"),
    }
}

/// A text as it stands in YAML: plain where every reader takes it for a text, else in double quotes.
#[must_use]
pub fn scalar(text: &str) -> String {
    const WORDS: [&str; 10] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan",
    ];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
        && !WORDS.contains(&text.to_lowercase().as_str());
    let is_url =
        text.starts_with("https://") || text.starts_with("http://") || text.starts_with("oci://");
    if is_plain
        || (is_url
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_./-:".contains(c)))
    {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A text in double quotes. What YAML does not take as it stands, and JSON does, is escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for letter in Value::from(text).to_string().chars() {
        match letter {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                write!(quoted, "\\u{:04x}", u32::from(letter)).expect("a String takes all text");
            }
            letter => quoted.push(letter),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_read_back_as_they_were() {
        let values = json!({
            "a": {"b": ["x", {"c": 1.5, "d": null}, []], "e": {}, "on": true, "1": "1"},
            "text": "two\nlines: \"quoted\" # no comment",
            "plain": "a/b.c-d", "url": "https://x.io/y", "colon": "a: b", "n": 3.0, "empty": "", "off": "off", "path": "a\\.b", "controls": "\u{1b}[31m\u{7f}\u{85}\u{feff}x\u{0}",
        });
        let mut text = String::new();
        write(&values, 0, &mut text);
        let read = helm_chart::yaml::first_document(&text, &helm_chart::yaml::Limits::default());
        let read = read.unwrap().unwrap().to_helm_json().unwrap();
        assert_eq!(
            helm_chart::set::as_floats(read),
            helm_chart::set::as_floats(values)
        );
    }
}
