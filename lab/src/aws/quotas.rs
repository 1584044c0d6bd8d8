//! Service Quotas.

use super::account::Account;
use super::error::Failure;
use serde_json::{Value, json};

/// AWS's defaults, as far as the lab knows them.
const DEFAULTS: [(&str, &str, f64); 9] = [
    ("ecr", "L-AD52DFB2", 10.0),
    ("ecr", "L-95B28F8D", 100.0),
    ("ecr", "L-44194860", 100.0),
    ("ecr", "L-A1670B10", 500.0),
    ("ecr", "L-CFEB8E8D", 100_000.0),
    ("codebuild", "L-9D07B6EF", 60.0),
    ("codebuild", "L-2DC20C30", 60.0),
    ("codebuild", "L-4DDC4A99", 60.0),
    ("codebuild", "L-0397D009", 60.0),
];

pub(super) fn resource(input: &Value) -> String {
    let text = |key: &str| input[key].as_str().unwrap_or_default();
    format!("{}/{}", text("ServiceCode"), text("QuotaCode"))
}

pub(super) fn handle(account: &Account, action: &str, input: &Value) -> Result<Value, Failure> {
    let quota = resource(input);
    let default = DEFAULTS
        .iter()
        .find(|(service, code, _)| quota == format!("{service}/{code}"));
    let value = match action {
        "GetServiceQuota" => account.state().quotas.get(&quota).copied(),
        "GetAWSDefaultServiceQuota" => default.map(|(.., value)| *value),
        _ => {
            let why = format!("the lab has no {action}");
            return Err(Failure::new(400, "UnknownOperationException", why));
        }
    };
    let missing = || {
        let why = "The request failed because the specified quota does not exist.";
        Failure::new(400, "NoSuchResourceException", why)
    };
    let value = value.ok_or_else(missing)?;
    Ok(json!({"Quota": {
        "ServiceCode": input["ServiceCode"], "QuotaCode": input["QuotaCode"], "Value": value,
    }}))
}
