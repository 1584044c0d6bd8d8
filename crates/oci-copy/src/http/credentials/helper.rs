//! Credential helpers (<https://github.com/docker/docker-credential-helpers>).

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::docker_config::DOCKER_HUB_KEY;
use super::{Basic, Login, Secret};

/// Longest wait for a credential helper.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// The user name by which a helper marks a password as an identity token.
const IDENTITY_TOKEN: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks a credential helper for a login; `None` when it has none. What it writes is never shown: it can
/// hold the secret.
///
/// # Errors
/// When it cannot be started, fails, or answers something else than the protocol asks for.
pub(super) async fn ask(helper: &str, scope: &str) -> anyhow::Result<Option<Login>> {
    let is_name = helper
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    ensure!(is_name, "its name is not one of a program");
    let key = if scope == crate::reference::DOCKER_HUB {
        DOCKER_HUB_KEY
    } else {
        scope
    };
    let (is_success, status, output) = tokio::time::timeout(LONGEST, run(helper, key))
        .await
        .with_context(|| format!("it does not answer within {} s", LONGEST.as_secs()))??;
    if !is_success {
        // The protocol's words for it, which the helper writes to its standard output.
        let output = String::from_utf8_lossy(&output);
        ensure!(
            output.contains("credentials not found"),
            "it failed ({status}); run `docker-credential-{helper} get` to see why"
        );
        return Ok(None);
    }
    let answer: Option<Answer> = serde_json::from_slice(&output).ok();
    let Answer { username, secret } =
        answer.context("its answer is not what the protocol asks for")?;
    let secret = Secret(secret);
    Ok(match username.as_str() {
        _ if secret.0.is_empty() => None,
        IDENTITY_TOKEN => Some(Login::IdentityToken(secret)),
        _ => Some(Login::Password(Basic {
            username,
            password: secret,
        })),
    })
}

async fn run(helper: &str, key: &str) -> anyhow::Result<(bool, String, Vec<u8>)> {
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("it cannot be started")?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A helper may answer without reading, and then breaks the pipe.
            stdin.write_all(key.as_bytes()).await.ok();
        }
    };
    let mut output = Vec::new();
    let read = async {
        match stdout {
            Some(stdout) => stdout.take(MAX_ANSWER).read_to_end(&mut output).await,
            None => Ok(0),
        }
    };
    let ((), read) = tokio::join!(write, read);
    read.context("its answer breaks off")?;
    let status = child.wait().await.context("its end is not known")?;
    Ok((status.success(), status.to_string(), output))
}
