//! Secrets Manager.

use super::account::Account;
use super::error::Failure;
use serde_json::{Value, json};

pub(super) fn resource(input: &Value) -> String {
    input["SecretId"].as_str().unwrap_or_default().to_owned()
}

pub(super) fn handle(account: &Account, action: &str, input: &Value) -> Result<Value, Failure> {
    if action != "GetSecretValue" {
        return Err(Failure::new(
            400,
            "UnknownOperationException",
            format!("the lab has no {action}"),
        ));
    }
    let id = resource(input);
    let missing = || {
        Failure::new(
            400,
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret.",
        )
    };
    let value = account
        .state()
        .secrets
        .get(&id)
        .cloned()
        .ok_or_else(missing)?;
    let arn = if id.starts_with("arn:") {
        id.clone()
    } else {
        format!(
            "arn:aws:secretsmanager:{}:{}:secret:{id}-LabLab",
            account.region, account.number
        )
    };
    Ok(json!({
        "ARN": arn,
        "Name": id,
        "SecretString": value,
        "VersionId": "00000000-0000-0000-0000-000000000001",
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1_704_067_200.0,
    }))
}
