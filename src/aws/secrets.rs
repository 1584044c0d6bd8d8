//! Secrets Manager.

use oci_copy::http::Secret;

use super::{Aws, Error};

impl Aws {
    /// A secret's text, by its name or ARN.
    ///
    /// # Errors
    /// When the call fails, or the secret is not text.
    pub async fn secret(&self, name: &str, region: &str) -> Result<Secret, Error> {
        const ACTION: &str = "secretsmanager:GetSecretValue";
        // An ARN contains its region.
        let region = name
            .strip_prefix("arn:")
            .and_then(|arn| arn.split(':').nth(2))
            .unwrap_or(region);
        let client = aws_sdk_secretsmanager::Client::new(&self.config(region).await);
        let request = client.get_secret_value().secret_id(name);
        let send = || request.clone().send();
        let answer = self.calls.send(ACTION, name, send).await?;
        let binary = || {
            let bytes = answer.secret_binary().map(|blob| blob.as_ref().to_vec());
            bytes.and_then(|bytes| String::from_utf8(bytes).ok())
        };
        let text = answer.secret_string().map(str::to_owned).or_else(binary);
        text.map(Secret::new)
            .ok_or_else(|| Error::incomplete(ACTION, name, "the secret is not text"))
    }
}
