//! What refers to an image goes along: signatures, attestations, bills of materials, as OCI 1.1
//! referrers and as cosign's tags. The subject comes first, the subject's own tag last, so that a tag
//! never names an image whose signatures are still on their way.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};

use crate::oci::{Descriptor, Manifest, media_type, referrers_tag};
use crate::reference::Digest;
use crate::store::{Error, Stored, Which};

use super::artifact::Way;
use super::outcome::CopyError;
use super::resolve::{MAX_DEPTH, Node};

/// The endings of cosign's tags (cosign: `pkg/oci/remote/options.go`).
const COSIGN: [&str; 3] = ["sig", "att", "sbom"];

/// The deepest chain of referrers: a signature of a bill of materials of an image is two.
const MAX_CHAIN: usize = 4;

/// What refers to a manifest, read from the source.
#[derive(Default)]
pub(super) struct Attached {
    listed: Vec<Referrer>,
    /// By their tags.
    tagged: Vec<(String, Node)>,
    /// What refers to the platforms of an index, by their digests.
    platforms: Vec<(Digest, Attached)>,
    pub(super) notes: Vec<String>,
}

struct Referrer {
    /// As the source lists it.
    listed: Descriptor,
    node: Node,
    next: Attached,
}

impl Attached {
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.tagged.is_empty() && self.platforms.is_empty()
    }

    /// All manifests, for their blobs.
    pub(super) fn nodes(&self) -> Vec<&Node> {
        let tagged = self.tagged.iter().map(|(_, node)| node);
        let listed = self.listed.iter().flat_map(|referrer| {
            let mut nodes = vec![&referrer.node];
            nodes.extend(referrer.next.nodes());
            nodes
        });
        let platforms = self.platforms.iter().flat_map(|(_, of)| of.nodes());
        tagged.chain(listed).chain(platforms).collect()
    }
}

impl Way<'_> {
    /// Looks for what refers to a manifest. Nothing is normal.
    pub(super) fn attached<'w>(
        &'w self,
        subject: &'w Digest,
        chain: usize,
    ) -> BoxFuture<'w, Result<Attached, CopyError>> {
        async move {
            let failed = || self.source_error("list the referrers");
            let mut attached = Attached::default();
            if chain >= MAX_CHAIN {
                return Ok(attached);
            }
            let tags = COSIGN.map(|ending| format!("{}.{ending}", referrers_tag(subject)));
            let (listed, tagged) =
                tokio::join!(self.source.referrers(subject), self.source.find_tags(&tags));
            for listed in listed.map_err(failed())? {
                let name = Which::Digest(listed.digest.clone());
                let Some(manifest) = self.read_referrer(&name).await? else {
                    attached.notes.push(format!(
                        "the source lists the referrer {name} and does not have it"
                    ));
                    continue;
                };
                // What a registry lists wrongly is about something else.
                if manifest.subject.as_ref() != Some(subject) {
                    continue;
                }
                let digest = manifest.digest.clone();
                let node = self.node(manifest, None, MAX_DEPTH).await?;
                let mut next = self.attached(&digest, chain + 1).await?;
                attached.notes.append(&mut next.notes);
                attached.listed.push(Referrer { listed, node, next });
            }
            for (tag, digest) in tagged.map_err(failed())? {
                // Some registries answer any tag of this form with the image itself.
                if digest == *subject {
                    continue;
                }
                if let Some(manifest) = self.read_referrer(&Which::Digest(digest)).await? {
                    let node = self.node(manifest, None, MAX_DEPTH).await?;
                    attached.tagged.push((tag, node));
                }
            }
            Ok(attached)
        }
        .boxed()
    }

    /// Looks for what refers to the platforms of an index.
    pub(super) async fn attach_to_platforms(
        &self,
        index: &Node,
        attached: &mut Attached,
    ) -> Result<(), CopyError> {
        let looks = index.children.iter().map(|child| async {
            let digest = child.manifest.digest.clone();
            let found = self.attached(&digest, 0).await?;
            Ok::<_, CopyError>((digest, found))
        });
        for (digest, mut found) in try_join_all(looks).await? {
            attached.notes.append(&mut found.notes);
            if !found.is_empty() {
                attached.platforms.push((digest, found));
            }
        }
        Ok(())
    }

    /// Writes what refers to a manifest that is at the target already.
    pub(super) fn commit_attached<'w>(
        &'w self,
        subject: &'w Digest,
        attached: &'w Attached,
    ) -> BoxFuture<'w, Result<Vec<String>, CopyError>> {
        async move {
            let (mut notes, mut unlinked) = (Vec::new(), Vec::new());
            for (platform, of) in &attached.platforms {
                notes.extend(self.commit_attached(platform, of).await?);
            }
            for Referrer { listed, node, next } in &attached.listed {
                let name = Which::Digest(listed.digest.clone());
                match self.commit(node, &name).await {
                    Ok(Stored::Linked) => {}
                    Ok(Stored::Plain) => unlinked.push(listed.clone()),
                    Err(error) => notes.push(refused(&listed.digest, error)?),
                }
                notes.extend(self.commit_attached(&node.manifest.digest, next).await?);
            }
            if !unlinked.is_empty() {
                self.list_under_tag(subject, &unlinked).await?;
            }
            for (tag, node) in &attached.tagged {
                match self.commit(node, &Which::Tag(tag.clone())).await {
                    Ok(_) => {}
                    Err(error) => notes.push(refused(&node.manifest.digest, error)?),
                }
            }
            Ok(notes)
        }
        .boxed()
    }

    async fn read_referrer(&self, name: &Which) -> Result<Option<Manifest>, CopyError> {
        let read = self.source.manifest(name).await;
        read.map_err(self.source_error("read a referrer"))
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
