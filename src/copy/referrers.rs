//! What refers to an image goes along: signatures, attestations, bills of materials, as OCI 1.1
//! referrers and as cosign's tags. The subject comes first, the subject's own tag last, so that a tag
//! never names an image whose signatures are still on their way.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::oci::{Descriptor, Manifest, media_type, referrers_tag};
use crate::reference::Digest;
use crate::store::{Error, Stored, Which};

use super::artifact::{MAX_DEPTH, Way};
use super::outcome::CopyError;

/// The endings of cosign's tags (cosign: `pkg/oci/remote/options.go`).
const COSIGN: [&str; 3] = ["sig", "att", "sbom"];

/// The deepest chain of referrers: a signature of a bill of materials of an image is two.
const MAX_CHAIN: usize = 4;

/// What refers to a manifest at the source.
pub(super) struct Referrers {
    listed: Vec<Descriptor>,
    /// Tags with the manifests that they name.
    tagged: Vec<(String, Digest)>,
}

impl Referrers {
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.tagged.is_empty()
    }
}

impl Way<'_> {
    /// Looks for what refers to a manifest. Nothing is normal.
    pub(super) async fn referrers(&self, subject: &Digest) -> Result<Referrers, CopyError> {
        let failed = || self.source_error("list the referrers");
        let listed = self.source.referrers(subject).await.map_err(failed())?;
        let mut tagged = Vec::new();
        for ending in COSIGN {
            let tag = format!("{}.{ending}", referrers_tag(subject));
            let found = self
                .source
                .resolve(&Which::Tag(tag.clone()))
                .await
                .map_err(failed())?;
            tagged.extend(
                found
                    .filter(|found| found != subject)
                    .map(|found| (tag, found)),
            );
        }
        Ok(Referrers { listed, tagged })
    }

    /// Brings what refers to a manifest that is at the target already.
    pub(super) fn bring_referrers<'w>(
        &'w self,
        subject: &'w Digest,
        referrers: &'w Referrers,
        chain: usize,
    ) -> BoxFuture<'w, Result<Vec<String>, CopyError>> {
        async move {
            let mut notes = Vec::new();
            let mut unlinked = Vec::new();
            for listed in &referrers.listed {
                let name = Which::Digest(listed.digest.clone());
                let Some(manifest) = self.read_referrer(&name).await? else {
                    notes.push(format!(
                        "the source lists the referrer {name} and does not have it"
                    ));
                    continue;
                };
                // What a registry lists wrongly is about something else.
                if manifest.subject.as_ref() != Some(subject) {
                    continue;
                }
                match self.bring(&manifest, &name, MAX_DEPTH).await {
                    Ok(Stored::Linked) => {}
                    Ok(Stored::Plain) => unlinked.push(listed.clone()),
                    Err(error) => notes.push(refused(&listed.digest, error)?),
                }
                notes.extend(self.bring_next(&manifest.digest, chain).await?);
            }
            if !unlinked.is_empty() {
                self.list_under_tag(subject, &unlinked).await?;
            }
            for (tag, digest) in &referrers.tagged {
                let Some(manifest) = self.read_referrer(&Which::Digest(digest.clone())).await?
                else {
                    continue;
                };
                match self
                    .bring(&manifest, &Which::Tag(tag.clone()), MAX_DEPTH)
                    .await
                {
                    Ok(_) => {}
                    Err(error) => notes.push(refused(digest, error)?),
                }
            }
            Ok(notes)
        }
        .boxed()
    }

    /// What refers to a referrer.
    async fn bring_next(&self, subject: &Digest, chain: usize) -> Result<Vec<String>, CopyError> {
        if chain >= MAX_CHAIN {
            return Ok(Vec::new());
        }
        let next = self.referrers(subject).await?;
        self.bring_referrers(subject, &next, chain + 1).await
    }

    async fn read_referrer(&self, name: &Which) -> Result<Option<Manifest>, CopyError> {
        self.source
            .manifest(name)
            .await
            .map_err(self.source_error("read a referrer"))
    }

    /// Lists referrers under the tag that stands in for the list that the target does not have.
    async fn list_under_tag(
        &self,
        subject: &Digest,
        referrers: &[Descriptor],
    ) -> Result<(), CopyError> {
        let index = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_INDEX,
            "manifests": referrers,
        });
        let bytes = bytes::Bytes::from(index.to_string());
        let index =
            Manifest::parse(Some(media_type::OCI_INDEX), bytes).expect("it is built as one");
        let tag = Which::Tag(referrers_tag(subject));
        let put = self.target.put_manifest(&tag, &index).await;
        put.map(drop)
            .map_err(self.target_error("write the list of referrers"))
    }
}

/// A referrer that the target does not take for what it is (ECR: 405 to some) is told, and the image
/// is of use without it. Any other failure is one.
fn refused(referrer: &Digest, error: CopyError) -> Result<String, CopyError> {
    let is_refusal = match &error {
        CopyError::Step { source, .. } => {
            matches!(source.as_ref(), Error::Http(http) if http.status_code() == Some(405))
        }
        _ => false,
    };
    if is_refusal {
        return Ok(format!(
            "the target does not take the referrer {referrer}: {error}"
        ));
    }
    Err(error)
}
