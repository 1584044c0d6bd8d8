//! The checks of policies that need no AWS. ECR may still refuse a policy that passes.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The size of a lifecycle policy, in characters (`ecr-2015-09-21`, the service's own model).
const LIFECYCLE_SIZE: std::ops::RangeInclusive<usize> = 100..=30_720;

/// How many rules a lifecycle policy may have (ECR's quotas).
const MOST_RULES: usize = 50;

/// The largest repository policy, in characters (`ecr-2015-09-21`).
const LARGEST_POLICY: usize = 10_240;

/// Checks a lifecycle policy
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html>).
///
/// # Errors
/// What ECR would refuse.
pub(super) fn lifecycle(text: &str) -> Result<(), String> {
    let policy = object(text)?;
    let rules = policy.get("rules").ok_or("it has no `rules`")?;
    let rules = rules.as_array().ok_or("its `rules` are not a list")?;
    if rules.is_empty() || rules.len() > MOST_RULES {
        let count = rules.len();
        return Err(format!("it has {count} rules; ECR takes 1 to {MOST_RULES}"));
    }
    let mut priorities = BTreeSet::new();
    for (number, rule) in rules.iter().enumerate() {
        let priority = self::rule(rule).map_err(|what| format!("rule {}: {what}", number + 1))?;
        if !priorities.insert(priority) {
            return Err(format!("two rules have the rulePriority {priority}"));
        }
    }
    let size = text.trim().chars().count();
    if !LIFECYCLE_SIZE.contains(&size) {
        let (least, most) = (LIFECYCLE_SIZE.start(), LIFECYCLE_SIZE.end());
        return Err(format!(
            "it has {size} characters; ECR takes {least} to {most}"
        ));
    }
    Ok(())
}

/// Checks a rule and returns its priority.
fn rule(rule: &Value) -> Result<u64, String> {
    let rule = rule.as_object().ok_or("it is not an object")?;
    let priority = positive(rule, "rulePriority")?;
    let selection = rule.get("selection").and_then(Value::as_object);
    let selection = selection.ok_or("it has no `selection`")?;
    positive(selection, "countNumber")?;
    let status = text_of(selection, "tagStatus")?;
    let lists = ["tagPrefixList", "tagPatternList"];
    let lists: Vec<&str> = lists
        .into_iter()
        .filter(|key| selection.contains_key(*key))
        .collect();
    match (status, lists.as_slice()) {
        ("tagged", [key]) => {
            let list = selection[*key].as_array();
            if !list.is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string)) {
                return Err(format!("`{key}` is not a list of texts"));
            }
        }
        ("tagged", _) => {
            return Err(
                "tagStatus `tagged` needs one of tagPrefixList and tagPatternList".to_owned(),
            );
        }
        ("untagged" | "any", []) => {}
        ("untagged" | "any", [key, ..]) => {
            return Err(format!("`{key}` needs tagStatus `tagged`"));
        }
        _ => {
            return Err(format!(
                "tagStatus `{status}` is none of tagged, untagged, any"
            ));
        }
    }
    let count = text_of(selection, "countType")?;
    let unit = selection.get("countUnit");
    if count.starts_with("since") && unit.and_then(Value::as_str) != Some("days") {
        return Err(format!("countType `{count}` needs countUnit `days`"));
    }
    if count == "imageCountMoreThan" && unit.is_some() {
        return Err("countType `imageCountMoreThan` has no countUnit".to_owned());
    }
    let action = rule.get("action").and_then(Value::as_object);
    text_of(action.ok_or("it has no `action`")?, "type")?;
    Ok(priority)
}

/// Checks a repository policy.
///
/// # Errors
/// What ECR would refuse.
pub(super) fn repository(text: &str) -> Result<(), String> {
    let policy = object(text)?;
    let statements = match policy.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(statement @ Value::Object(_)) => vec![statement],
        Some(_) => return Err("its `Statement` is neither a list nor an object".to_owned()),
        None => return Err("it is not a policy: its JSON has no `Statement`".to_owned()),
    };
    for (number, statement) in statements.into_iter().enumerate() {
        let has = |keys: [&str; 2]| keys.iter().any(|key| statement.get(key).is_some());
        let what = if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) {
            "its Effect is neither Allow nor Deny"
        } else if !has(["Principal", "NotPrincipal"]) {
            "it has no Principal"
        } else if !has(["Action", "NotAction"]) {
            "it has no Action"
        } else {
            continue;
        };
        return Err(format!("statement {}: {what}", number + 1));
    }
    let size = text.trim().chars().count();
    if size > LARGEST_POLICY {
        return Err(format!(
            "it has {size} characters; ECR takes {LARGEST_POLICY}"
        ));
    }
    Ok(())
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("it is not a policy: its JSON is not an object".to_owned()),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}

fn positive(map: &Map<String, Value>, key: &str) -> Result<u64, String> {
    let value = map.get(key).and_then(Value::as_u64);
    let value = value.filter(|value| *value > 0);
    value.ok_or_else(|| format!("its `{key}` is not a whole number from 1 on"))
}

fn text_of<'a>(map: &'a Map<String, Value>, key: &str) -> Result<&'a str, String> {
    let value = map.get(key).and_then(Value::as_str);
    value.ok_or_else(|| format!("its `{key}` is not a text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn policy(selection: &Value) -> String {
        let rule = json!({"rulePriority": 1, "description": "keep few of them", "selection": selection, "action": {"type": "expire"}});
        json!({"rules": [rule]}).to_string()
    }

    #[test]
    fn lifecycle_policies_of_ecrs_guide_are_taken() {
        for selection in [
            json!({"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14}),
            json!({"tagStatus": "tagged", "tagPrefixList": ["prod"], "countType": "imageCountMoreThan", "countNumber": 1}),
            json!({"tagStatus": "tagged", "tagPatternList": ["prod*"], "countType": "imageCountMoreThan", "countNumber": 1}),
            json!({"tagStatus": "any", "storageClass": "archive", "countType": "sinceImageTransitioned", "countUnit": "days", "countNumber": 9}),
        ] {
            assert_eq!(lifecycle(&policy(&selection)), Ok(()), "{selection}");
        }
    }

    #[test]
    fn lifecycle_policies_that_ecr_rejects_are_refused() {
        for (selection, what) in [
            (
                json!({"tagStatus": "untagged", "countType": "sinceImagePushed", "countNumber": 14}),
                "countUnit",
            ),
            (
                json!({"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 1}),
                "tagPrefixList",
            ),
            (
                json!({"tagStatus": "any", "tagPrefixList": ["a"], "countType": "imageCountMoreThan", "countNumber": 1}),
                "tagged",
            ),
            (
                json!({"tagStatus": "all", "countType": "imageCountMoreThan", "countNumber": 1}),
                "`all`",
            ),
            (
                json!({"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 0}),
                "countNumber",
            ),
            (
                json!({"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": "1"}),
                "countNumber",
            ),
            (
                json!({"countType": "imageCountMoreThan", "countNumber": 1}),
                "tagStatus",
            ),
            (json!(null), "selection"),
        ] {
            let refused = lifecycle(&policy(&selection)).unwrap_err();
            assert!(
                refused.starts_with("rule 1: ") && refused.contains(what),
                "{refused}"
            );
        }
        for text in [
            "",
            "[]",
            "{}",
            r#"{"rules": []}"#,
            r#"{"rules": {}}"#,
            r#"{"rules": [1]}"#,
        ] {
            assert!(lifecycle(text).is_err(), "{text}");
        }
        let rule = json!({"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}, "action": {"type": "expire"}});
        let twice = json!({"rules": [rule, rule]}).to_string();
        assert!(lifecycle(&twice).unwrap_err().contains("rulePriority 1"));
    }

    #[test]
    fn repository_policies_need_effect_principal_and_action() {
        let good = json!({"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"});
        for statement in [json!([good]), good.clone(), json!([])] {
            let text = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
            assert_eq!(repository(&text), Ok(()), "{text}");
        }
        for key in ["Effect", "Principal", "Action"] {
            let mut bad = good.clone();
            bad.as_object_mut().expect("an object").remove(key);
            let refused = repository(&json!({"Statement": [bad]}).to_string()).unwrap_err();
            assert!(refused.contains(key), "{refused}");
        }
        let long = json!({"Statement": [], "Id": "x".repeat(10_300)}).to_string();
        assert!(repository(&long).is_err());
    }
}
