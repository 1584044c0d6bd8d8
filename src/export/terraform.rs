//! Terraform and `OpenTofu`: the resource `helm_release`
//! (<https://registry.terraform.io/providers/hashicorp/helm/latest/docs/resources/release>), formatted as
//! `terraform fmt` does.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value};

use super::Release;

/// A resource for each release, and the login of each ECR registry that they use.
pub(super) fn resources(releases: &[Release<'_>]) -> String {
    let mut text = String::new();
    let logins: BTreeMap<String, String> = releases
        .iter()
        .filter_map(Release::ecr)
        .map(|host| (login(&host.account, &host.region), host.account))
        .collect();
    for (name, account) in logins {
        push(
            &mut text,
            0,
            &format!("data \"aws_ecr_authorization_token\" \"{name}\" {{"),
        );
        push(&mut text, 2, &format!("registry_id = {}", quoted(&account)));
        text.push_str("}\n\n");
    }
    for (index, release) in releases.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let name = release.name.replace('-', "_");
        let start = if name.starts_with(|c: char| c.is_ascii_digit()) {
            "_"
        } else {
            ""
        };
        push(
            &mut text,
            0,
            &format!("resource \"helm_release\" \"{start}{name}\" {{"),
        );
        let mut lines = vec![
            ("name", quoted(&release.name)),
            ("namespace", quoted(release.namespace)),
            ("create_namespace", "true".to_owned()),
            (
                "repository",
                quoted(&format!("oci://{}", release.repository)),
            ),
            ("chart", quoted(release.chart)),
            ("version", quoted(release.version)),
        ];
        if let Some(host) = release.ecr() {
            let token = format!(
                "data.aws_ecr_authorization_token.{}",
                login(&host.account, &host.region)
            );
            lines.push(("repository_username", format!("{token}.user_name")));
            lines.push(("repository_password", format!("{token}.password")));
        }
        let values = Value::Object(release.values.clone());
        let values = format!("[yamlencode({})]", expression(&values, 2));
        // Only what is on one line is aligned with the lines before.
        let is_one_line = !values.contains('\n');
        if is_one_line {
            lines.push(("values", values.clone()));
        }
        let width = lines
            .iter()
            .map(|(key, _)| key.len())
            .max()
            .unwrap_or_default();
        for (key, value) in lines {
            push(&mut text, 2, &format!("{key:width$} = {value}"));
        }
        if !is_one_line {
            push(&mut text, 2, &format!("values = {values}"));
        }
        text.push_str("}\n");
    }
    text
}

fn push(text: &mut String, indent: usize, line: &str) {
    writeln!(text, "{:indent$}{line}", "").expect("a String takes all text");
}

fn login(account: &str, region: &str) -> String {
    format!("ecr_{account}_{}", region.replace('-', "_"))
}

/// A value as an expression whose later lines are indented.
fn expression(value: &Value, indent: usize) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Array(items) => {
            let mut text = "[\n".to_owned();
            for item in items {
                push(
                    &mut text,
                    indent + 2,
                    &format!("{},", expression(item, indent + 2)),
                );
            }
            format!("{text}{:indent$}]", "")
        }
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => object(map, indent),
        other => other.to_string(),
    }
}

/// An object. Equals signs of consecutive lines stand below each other; an item of several lines ends such a group.
fn object(map: &Map<String, Value>, indent: usize) -> String {
    let items: Vec<(String, String)> = map
        .iter()
        .map(|(key, value)| (quoted(key), expression(value, indent + 2)))
        .collect();
    let is_group =
        |a: &(String, String), b: &(String, String)| !a.1.contains('\n') && !b.1.contains('\n');
    let mut text = "{\n".to_owned();
    for group in items.chunk_by(is_group) {
        let width = group
            .iter()
            .map(|(key, _)| key.chars().count())
            .max()
            .unwrap_or_default();
        for (key, value) in group {
            push(&mut text, indent + 2, &format!("{key:width$} = {value}"));
        }
    }
    format!("{text}{:indent$}}}", "")
}

/// A text in quotes, without templates
/// (<https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences>).
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    let mut letters = text.chars().peekable();
    let mut before = None;
    while let Some(letter) = letters.next() {
        let is_template = matches!(letter, '$' | '%') && letters.peek() == Some(&'{');
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // `$${` is `${`; after another `$` that would be ambiguous.
            letter if is_template && before != Some(letter) => {
                quoted.push(letter);
                quoted.push(letter);
            }
            letter if is_template || letter.is_control() => {
                write!(quoted, "\\u{:04x}", u32::from(letter)).expect("a String takes all text");
            }
            letter => quoted.push(letter),
        }
        before = Some(letter);
    }
    quoted.push('"');
    quoted
}
