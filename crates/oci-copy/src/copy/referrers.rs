//! Copies referrers: signatures, attestations and SBOMs, as OCI 1.1 referrers and as cosign's tags. The
//! subject comes first, the subject's own tag last, so that a tag never names an image whose signatures
//! are missing.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};

use crate::manifest::{Descriptor, MAX_MANIFESTS, Manifest, Node, cosign_tag};
use crate::reference::Digest;
use crate::store::{SubjectSupport, TagOrDigest, archive};

use super::artifact::ArtifactCopy;
use super::outcome::CopyError;

/// The kinds of cosign's tags (cosign: `pkg/oci/remote/options.go`).
pub(super) const COSIGN: [&str; 3] = ["sig", "att", "sbom"];

/// The deepest chain of referrers: a signature of an SBOM of an image is two.
pub(super) const MAX_CHAIN: usize = 8;

/// The referrers of a manifest, read from the source.
#[derive(Default)]
pub(super) struct Referrers {
    pub(super) listed: Vec<Referrer>,
    /// By their tags.
    pub(super) tagged: Vec<(String, Node)>,
    /// What refers to the platforms of an index, by their digests.
    pub(super) platforms: Vec<(Digest, Referrers)>,
    pub(super) notes: Vec<String>,
}

pub(super) struct Referrer {
    pub(super) node: Node,
    pub(super) next: Referrers,
}

impl Referrers {
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

impl Referrers {
    /// Everything that refers to something, each with all that belongs to it.
    pub(super) fn all(&self) -> Vec<archive::Referrer<'_>> {
        let tagged = self.tagged.iter();
        let tagged = tagged.map(|(tag, node)| of_node(Some(tag.as_str()), node));
        let listed = self.listed.iter().flat_map(|Referrer { node, next }| {
            let mut all = vec![of_node(None, node)];
            all.extend(next.all());
            all
        });
        let platforms = self.platforms.iter().flat_map(|(_, of)| of.all());
        tagged.chain(listed).chain(platforms).collect()
    }
}

fn of_node<'a>(tag: Option<&'a str>, node: &'a Node) -> archive::Referrer<'a> {
    archive::Referrer {
        tag,
        root: &node.manifest,
        manifests: node.manifests(),
        blobs: node.blobs(),
    }
}

impl ArtifactCopy<'_> {
    /// Looks for the referrers of a manifest. Most have none.
    pub(super) fn referrers_of<'w>(
        &'w self,
        subject: &'w Digest,
        chain: usize,
    ) -> BoxFuture<'w, Result<Referrers, CopyError>> {
        async move {
            let failed = || self.source_error("list the referrers");
            let mut referrers = Referrers::default();
            let tags = COSIGN.iter().filter_map(|kind| cosign_tag(subject, kind));
            let tags: Vec<String> = tags.collect();
            let (listed, tagged) =
                tokio::join!(self.source.referrers(subject), self.source.find_tags(&tags));
            let (listed, tagged) = (listed.map_err(failed())?, tagged.map_err(failed())?);
            referrers.notes.extend(listed.notes);
            referrers.notes.extend(tagged.notes);
            let count = listed.found.len() + tagged.found.len();
            if chain >= MAX_CHAIN && count > 0 {
                referrers.notes.push(format!(
                    "what refers to {subject} stays behind: it is the end of a chain of {MAX_CHAIN} referrers"
                ));
                return Ok(referrers);
            }
            if !self.budget.take(count) {
                referrers.notes.push(format!(
                    "the referrers of {subject} stay behind: there are more than {MAX_MANIFESTS}"
                ));
                return Ok(referrers);
            }
            for Descriptor { digest, .. } in listed.found {
                match self.referrer(&digest, subject, chain).await {
                    Ok(Some(mut referrer)) => {
                        referrers.notes.append(&mut referrer.next.notes);
                        referrers.listed.push(referrer);
                    }
                    Ok(None) => {}
                    Err(error) => referrers.notes.push(left_behind(&digest, error)?),
                }
            }
            for (tag, digest) in tagged.found {
                // Some registries answer any tag of this form with the image itself.
                if digest == *subject {
                    continue;
                }
                match self.tree(&digest).await {
                    Ok(node) => referrers.tagged.push((tag, node)),
                    Err(error) => referrers.notes.push(left_behind(&digest, error)?),
                }
            }
            Ok(referrers)
        }
        .boxed()
    }

    /// A listed referrer, with what refers to it; `None` where its subject is another one, which
    /// some registries list wrongly.
    async fn referrer(
        &self,
        digest: &Digest,
        subject: &Digest,
        chain: usize,
    ) -> Result<Option<Referrer>, CopyError> {
        let manifest = self.read_referrer(digest).await?;
        if manifest.subject.as_ref() != Some(subject) {
            return Ok(None);
        }
        let node = self.lacking(manifest, None).await?;
        let next = self.referrers_of(digest, chain + 1).await?;
        Ok(Some(Referrer { node, next }))
    }

    async fn tree(&self, digest: &Digest) -> Result<Node, CopyError> {
        let manifest = self.read_referrer(digest).await?;
        self.lacking(manifest, None).await
    }

    /// Looks for what refers to the platforms of an index.
    pub(super) async fn add_platform_referrers(
        &self,
        index: &Node,
        referrers: &mut Referrers,
    ) -> Result<(), CopyError> {
        let looks = index.children.iter().map(|child| async {
            let digest = child.manifest.digest.clone();
            let found = self.referrers_of(&digest, 0).await?;
            Ok::<_, CopyError>((digest, found))
        });
        for (digest, mut found) in try_join_all(looks).await? {
            referrers.notes.append(&mut found.notes);
            if !found.is_empty() {
                referrers.platforms.push((digest, found));
            }
        }
        Ok(())
    }

    /// Writes what refers to a manifest that is at the target already.
    pub(super) fn commit_referrers<'w>(
        &'w self,
        subject: &'w Digest,
        referrers: &'w Referrers,
    ) -> BoxFuture<'w, Result<Vec<String>, CopyError>> {
        async move {
            let (mut notes, mut unlinked) = (Vec::new(), Vec::new());
            for (platform, of) in &referrers.platforms {
                notes.extend(self.commit_referrers(platform, of).await?);
            }
            for Referrer { node, next } in &referrers.listed {
                let digest = &node.manifest.digest;
                match self
                    .commit(node, &TagOrDigest::Digest(digest.clone()))
                    .await
                {
                    Ok(SubjectSupport::Listed) => {}
                    Ok(SubjectSupport::Ignored) => unlinked.push(node.manifest.as_referrer()),
                    Err(error) => {
                        notes.push(left_behind(digest, error)?);
                        continue;
                    }
                }
                notes.extend(self.commit_referrers(digest, next).await?);
            }
            if !unlinked.is_empty() {
                let added = self.target.add_referrers(subject, &unlinked).await;
                let added = added.map_err(self.target_error("write the list of referrers"));
                if let Err(error) = added {
                    notes.push(unlisted(subject, error)?);
                }
            }
            for (tag, node) in &referrers.tagged {
                match self.commit(node, &TagOrDigest::Tag(tag.clone())).await {
                    Ok(_) => {}
                    Err(error) => notes.push(left_behind(&node.manifest.digest, error)?),
                }
            }
            Ok(notes)
        }
        .boxed()
    }

    async fn read_referrer(&self, digest: &Digest) -> Result<Manifest, CopyError> {
        let read = self
            .source
            .manifest(&TagOrDigest::Digest(digest.clone()))
            .await;
        let read = read.map_err(self.source_error("read a referrer"))?;
        read.ok_or_else(|| CopyError::Missing {
            reference: format!("referrer {digest} of {}", self.copy.source_text),
        })
    }
}

/// A refused referrer becomes a note: the image is usable without it. Any other failure fails the image,
/// because the next run would not look for the referrer again.
fn left_behind(referrer: &Digest, error: CopyError) -> Result<String, CopyError> {
    as_note(&format!("the referrer {referrer} stays behind"), error)
}

fn unlisted(subject: &Digest, error: CopyError) -> Result<String, CopyError> {
    let what = format!("the referrers of {subject} are at the target and not in its list of them");
    as_note(&what, error)
}

fn as_note(what: &str, error: CopyError) -> Result<String, CopyError> {
    if !error.is_refusal() {
        return Err(error);
    }
    let why = anyhow::Error::new(error);
    Ok(format!("{what}: {why:#}"))
}
