//! Where results are published, and what is published there.

use std::path::{Path, PathBuf};

use crate::document::{PROOF_FILE, RESULT_FILE, Report, RunFacts, Totals};
use crate::publish::{self, KeptName, Publication};
use crate::report_page;
use crate::session::Session;

/// A result to publish, with what lies beside it.
pub(super) struct Edition<'a> {
    /// The result's name in messages.
    pub(super) shown: &'a str,
    /// Its text.
    pub(super) text: &'a str,
    /// Its proof.
    pub(super) proof: Option<String>,
    /// The page of its deployment's report, of a result in a bucket.
    pub(super) page: Option<String>,
}

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
                let host = session.ecr_host().await?;
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
                let host = session.ecr_host().await?;
                let (bucket, object) = publication.bucket(&host, &session.aws).await;
                bucket.show(object)
            }
            Self::Folder(out) => out.join(RESULT_FILE).display().to_string(),
        })
    }

    /// Publishes a result; returns its place and the result that it replaced, if that is kept now.
    ///
    /// # Errors
    /// When a step fails, naming object or file.
    pub(super) async fn publish(
        &self,
        session: &Session,
        edition: &Edition<'_>,
    ) -> anyhow::Result<(String, Option<KeptName>)> {
        let proof = edition.proof.as_deref();
        match self {
            Self::Bucket(publication) => {
                let host = session.ecr_host().await?;
                let page = edition.page.clone().unwrap_or_else(|| page_of(edition));
                let published = publication.publish(
                    (edition.text, proof, &page),
                    &host,
                    &session.settings.module,
                    &session.aws,
                );
                let published = published.await?;
                let place = format!("s3://{}/{}", published.bucket, published.object);
                Ok((place, published.kept))
            }
            Self::Folder(out) => {
                let kept = in_folder(out, edition)?;
                Ok((out.join(RESULT_FILE).display().to_string(), kept))
            }
        }
    }
}

fn in_folder(out: &Path, edition: &Edition<'_>) -> anyhow::Result<Option<KeptName>> {
    let before = publish::keep_in(out)?;
    publish::remove_result(out)?;
    if let Some(proof) = &edition.proof {
        publish::write_file(&out.join(PROOF_FILE), proof)?;
    }
    publish::write_file(&out.join(RESULT_FILE), edition.text)?;
    publish::remove_surplus_in(out, edition.text);
    Ok(before.filter(|name| name.mark() != publish::mark(edition.text)))
}

/// A page that says where the result is from, so that the page of another deployment does not stay beside it.
fn page_of(edition: &Edition<'_>) -> String {
    report_page::html(&Report {
        artifacts: Vec::new(),
        totals: Totals::default(),
        run: RunFacts {
            program: Some(env!("CARGO_PKG_VERSION").to_owned()),
            ..RunFacts::default()
        },
        warnings: vec![format!(
            "`replicator publish` published {} again; the page of its deployment is not kept",
            edition.shown
        )],
        closure: None,
        error: Vec::new(),
    })
}
