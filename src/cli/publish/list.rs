//! `replicator publish --list`

use std::fmt::Write;

use serde_json::{Value, json};

use crate::cli::document_location;
use crate::document::ResultDocument;
use crate::publish;
use crate::session::Session;

use super::Destination;

/// The current result and the kept ones, newest first.
pub(super) async fn list(
    session: &Session,
    destination: &Destination,
) -> anyhow::Result<(Value, String)> {
    let place = destination.shown(session).await?;
    let current = destination.current(session).await?;
    let (names, below) = match destination {
        Destination::Bucket(publication) => {
            let host = document_location::ecr_host(session).await?;
            let (bucket, _) = publication.bucket(&host, &session.aws).await;
            let below = bucket.show(&publication.kept_prefix());
            (publication.kept(&bucket).await?, below)
        }
        Destination::Folder(out) => (publish::kept_in(out)?, String::new()),
    };
    let mut text = match &current {
        Some(current) => format!(
            "current: {place} (EKS {}, {})\n",
            version_of(current).as_deref().unwrap_or("version unknown"),
            publish::mark(current)
        ),
        None => format!("current: none at {place}\n"),
    };
    if names.is_empty() {
        text.push_str("no result is kept\n");
        if matches!(destination, Destination::Folder(_)) {
            text.push_str(
                "with ECR as target they are in the module's bucket: give --project, --deployment and --module\n",
            );
        }
    } else {
        text.push_str("\n NO  PUBLISHED             EKS   NAME\n");
    }
    let mut kept = Vec::new();
    for (index, name) in names.iter().rev().enumerate() {
        let number = index + 1;
        let version = name.eks_version();
        writeln!(
            text,
            "{number:>3}  {}  {:<5} {name}",
            name.published(),
            version.unwrap_or("-")
        )?;
        let place = match destination {
            Destination::Bucket(publication) => {
                let key = publication.kept_object(name);
                let file = key.rsplit('/').next().unwrap_or_default();
                format!("{below}{file}")
            }
            Destination::Folder(out) => publish::kept_file(out, name).display().to_string(),
        };
        kept.push(json!({
            "number": number, "name": name.to_string(), "published": name.published(),
            "eksVersion": version, "digest": name.mark(), "place": place,
        }));
    }
    let current = current.map(|current| {
        json!({"place": place, "eksVersion": version_of(&current), "digest": publish::mark(&current)})
    });
    Ok((json!({"current": current, "kept": kept}), text))
}

/// The EKS version of a result.
fn version_of(document: &str) -> Option<String> {
    let result: ResultDocument = serde_json::from_str(document).ok()?;
    result.written.eks_version
}
