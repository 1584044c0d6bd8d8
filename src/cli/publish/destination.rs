//! Where `publish` publishes, and what is published there.

use std::path::{Path, PathBuf};

use crate::cli::document_location;
use crate::document::{PROOF_FILE, RESULT_FILE, Report, RunFacts, Totals};
use crate::publish::{self, KeptName, Publication};
use crate::report_page;
use crate::session::Session;

use super::Checked;

/// Where results are published.
pub(super) enum Destination {
    Bucket(Publication),
    Folder(PathBuf),
}

impl Destination {
    /// The text of the result that is published now.
    pub(super) async fn current(&self, session: &Session) -> anyhow::Result<Option<String>> {
        match self {
            Self::Bucket(publication) => {
                let host = document_location::ecr_host(session).await?;
                let (bucket, object) = publication.bucket(&host, &session.aws).await;
                Ok(bucket.get_text(object).await?)
            }
            Self::Folder(out) => Ok(std::fs::read_to_string(out.join(RESULT_FILE)).ok()),
        }
    }

    /// The name of the result in messages.
    pub(super) async fn shown(&self, session: &Session) -> anyhow::Result<String> {
        Ok(match self {
            Self::Bucket(publication) => {
                let host = document_location::ecr_host(session).await?;
                let (bucket, object) = publication.bucket(&host, &session.aws).await;
                bucket.show(object)
            }
            Self::Folder(out) => out.join(RESULT_FILE).display().to_string(),
        })
    }

    /// Publishes a result; returns its place and the result that it replaced, if that is kept now.
    pub(super) async fn publish(
        &self,
        session: &Session,
        checked: &Checked,
    ) -> anyhow::Result<(String, Option<KeptName>)> {
        let proof = checked.proof.as_deref();
        match self {
            Self::Bucket(publication) => {
                let host = document_location::ecr_host(session).await?;
                let page = checked.page.clone().unwrap_or_else(|| page_of(checked));
                let published = publication.publish(
                    (&checked.text, proof, &page),
                    &host,
                    &session.settings.module,
                    &session.aws,
                );
                let published = published.await?;
                let place = format!("s3://{}/{}", published.bucket, published.object);
                Ok((place, published.kept))
            }
            Self::Folder(out) => {
                let kept = in_folder(out, checked)?;
                Ok((out.join(RESULT_FILE).display().to_string(), kept))
            }
        }
    }
}

fn in_folder(out: &Path, checked: &Checked) -> anyhow::Result<Option<KeptName>> {
    let before = publish::keep_in(out)?;
    publish::remove_result(out)?;
    if let Some(proof) = &checked.proof {
        publish::write_file(&out.join(PROOF_FILE), proof)?;
    }
    publish::write_file(&out.join(RESULT_FILE), &checked.text)?;
    publish::remove_surplus_in(out, &checked.text);
    Ok(before.filter(|name| name.mark() != publish::mark(&checked.text)))
}

/// A page that says where the result is from, so that the page of another deployment does not stay beside it.
fn page_of(checked: &Checked) -> String {
    report_page::html(&Report {
        artifacts: Vec::new(),
        totals: Totals::default(),
        run: RunFacts {
            program: Some(env!("CARGO_PKG_VERSION").to_owned()),
            ..RunFacts::default()
        },
        warnings: vec![format!(
            "`replicator publish` published {} again; the page of its deployment is not kept",
            checked.shown
        )],
        closure: None,
        error: Vec::new(),
    })
}
