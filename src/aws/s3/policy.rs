//! The bucket's policy: our statement among those of others.

use serde_json::{Value, json};

/// The name of our statement.
const SID: &str = "DenyUnencryptedConnections";

/// A bucket's policy with our statement; `None` when it has it already. Statements of others stay as they are.
///
/// # Errors
/// Why the policy cannot be changed.
pub(super) fn with_tls_only(policy: Option<&str>, arn: &str) -> Result<Option<String>, String> {
    let ours = json!({
        "Sid": SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, format!("{arn}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    });
    let Some(policy) = policy else {
        let policy = json!({"Version": "2012-10-17", "Statement": [ours]});
        return Ok(Some(policy.to_string()));
    };
    let parsed = serde_json::from_str(policy);
    let mut policy: Value = parsed.map_err(|error| format!("it is not JSON: {error}"))?;
    let Some(document) = policy.as_object_mut() else {
        return Err("it is not a JSON object".to_owned());
    };
    // A single statement needs no list.
    let statements = match document.get_mut("Statement") {
        None => document.entry("Statement").or_insert_with(|| json!([])),
        Some(statement) => {
            if statement.is_object() {
                *statement = json!([statement.take()]);
            }
            statement
        }
    };
    let Some(statements) = statements.as_array_mut() else {
        return Err("its Statement is neither a list nor an object".to_owned());
    };
    if !statements.iter().all(Value::is_object) {
        return Err("one of its statements is not an object".to_owned());
    }
    if statements
        .iter()
        .any(|statement| denies_plain(statement, arn))
    {
        return Ok(None);
    }
    statements.retain(|statement| statement["Sid"] != SID);
    statements.push(ours);
    Ok(Some(policy.to_string()))
}

/// Whether a statement denies unencrypted connections to everyone, for the bucket and its objects.
fn denies_plain(statement: &Value, arn: &str) -> bool {
    let is_one = |value: &Value, wanted: &str| match value {
        Value::String(text) => text == wanted,
        Value::Array(list) => list.iter().any(|value| value == wanted),
        _ => false,
    };
    let principal = &statement["Principal"];
    let is_everyone = is_one(principal, "*") || is_one(&principal["AWS"], "*");
    let is_everything = is_one(&statement["Action"], "s3:*") || is_one(&statement["Action"], "*");
    let resource = &statement["Resource"];
    let is_whole =
        is_one(resource, "*") || is_one(resource, arn) && is_one(resource, &format!("{arn}/*"));
    let condition = &statement["Condition"];
    let is_plain = condition.as_object().is_some_and(|tests| tests.len() == 1)
        && condition["Bool"].as_object().is_some_and(|test| {
            test.len() == 1
                && test.iter().all(|(key, value)| {
                    let value = value
                        .as_str()
                        .map(str::to_owned)
                        .or_else(|| value.as_bool().map(|value| value.to_string()));
                    key.eq_ignore_ascii_case("aws:SecureTransport")
                        && value.as_deref() == Some("false")
                })
        });
    statement["Effect"] == "Deny" && is_everyone && is_everything && is_whole && is_plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:s3:::b";

    fn merged(policy: &Value) -> Value {
        let merged = with_tls_only(Some(&policy.to_string()), ARN).unwrap();
        serde_json::from_str(&merged.expect("a change")).unwrap()
    }

    #[test]
    fn statements_of_others_stay_and_ours_comes_once() {
        let theirs = json!({"Sid": "Readers", "Effect": "Allow", "Principal": {"AWS": "1"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"});
        for statement in [json!([theirs]), theirs.clone()] {
            let policy = json!({"Version": "2008-10-17", "Id": "x", "Statement": statement});
            let merged = merged(&policy);
            assert_eq!(merged["Version"], "2008-10-17");
            assert_eq!(merged["Id"], "x");
            assert_eq!(merged["Statement"][0], theirs);
            assert_eq!(merged["Statement"][1]["Sid"], SID);
            assert_eq!(with_tls_only(Some(&merged.to_string()), ARN), Ok(None));
        }
        let none = with_tls_only(None, ARN).unwrap().unwrap();
        assert_eq!(with_tls_only(Some(&none), ARN), Ok(None));
    }

    #[test]
    fn a_statement_of_our_name_that_does_less_is_replaced() {
        let weaker = json!({"Statement": [{"Sid": SID, "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]});
        let merged = merged(&weaker);
        assert_eq!(merged["Statement"].as_array().map(Vec::len), Some(1));
        assert_eq!(merged["Statement"][0]["Action"], "s3:*");
    }

    #[test]
    fn another_statement_of_the_same_effect_is_enough() {
        let same = json!({"Statement": [{"Sid": "TlsOnly", "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": ["s3:*"],
            "Resource": [ARN, "arn:aws:s3:::b/*"], "Condition": {"Bool": {"aws:SecureTransport": false}}}]});
        assert_eq!(with_tls_only(Some(&same.to_string()), ARN), Ok(None));
    }

    #[test]
    fn a_policy_that_cannot_be_read_is_kept() {
        for policy in [
            "",
            "{",
            "[]",
            "\"x\"",
            r#"{"Statement": 1}"#,
            r#"{"Statement": ["x"]}"#,
        ] {
            assert!(with_tls_only(Some(policy), ARN).is_err(), "{policy}");
        }
    }
}
