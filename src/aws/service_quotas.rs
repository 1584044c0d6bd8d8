//! Service Quotas: how much an account may use.

use serde_json::json;

use super::signed::{Call, SERVICE_QUOTAS};
use super::{Aws, Error};

impl Aws {
    /// The value of a quota, such as `L-AD52DFB2` of `ecr`: the account's own, or else AWS's default.
    ///
    /// # Errors
    /// When the call fails; the permissions are `servicequotas:GetServiceQuota` and `GetAWSDefaultServiceQuota`.
    pub async fn quota(&self, region: &str, service: &str, code: &str) -> Result<f64, Error> {
        let input = json!({"ServiceCode": service, "QuotaCode": code});
        let resource = format!("{service} {code}");
        let call = |action| Call {
            service: SERVICE_QUOTAS,
            action,
            resource: &resource,
            region,
        };
        let of_account = call("servicequotas:GetServiceQuota");
        let answer = match self.call_json(&of_account, &input).await {
            Err(error) if error.code() == Some("NoSuchResourceException") => {
                let default = call("servicequotas:GetAWSDefaultServiceQuota");
                self.call_json(&default, &input).await?
            }
            answer => answer?,
        };
        let value = answer["Quota"]["Value"].as_f64();
        value.ok_or_else(|| {
            Error::incomplete(of_account.action, &resource, "the response has no value")
        })
    }
}
