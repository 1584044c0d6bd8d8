//! The content of a private registry's repository, queried in batches of a hundred instead of by hundreds of HEAD
//! requests.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use aws_sdk_ecr::primitives::DateTime;
use aws_sdk_ecr::types::{ImageDetail, ImageFailureCode, ImageIdentifier, LayerAvailability};

use crate::timestamp::Timestamp;
use oci_copy::manifest::{Manifest, media_type};
use oci_copy::reference::{Digest, TagOrDigest};

use super::{Ecr, Error, NO_REPOSITORY};

/// Names or digests per call (`ecr-2015-09-21`, the service's own model).
const BATCH: usize = 100;

impl Ecr {
    /// The digests of those images that exist. There is no request for a repository that neither existed when the
    /// run began nor was created since.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn find_images(
        &self,
        repository: &str,
        names: &[TagOrDigest],
    ) -> Result<HashMap<TagOrDigest, Digest>, Error> {
        const ACTION: &str = "ecr:BatchGetImage";
        let mut found = HashMap::new();
        if !self.existed(repository).await? && !self.has_created(repository) {
            return Ok(found);
        }
        for batch in names.chunks(BATCH) {
            let ids = batch.iter().map(|name| match name {
                TagOrDigest::Tag(tag) => ImageIdentifier::builder().image_tag(tag).build(),
                TagOrDigest::Digest(digest) => ImageIdentifier::builder()
                    .image_digest(digest.to_string())
                    .build(),
            });
            let request = self
                .client()
                .await
                .batch_get_image()
                .registry_id(&self.host.account)
                .repository_name(repository)
                .set_image_ids(Some(ids.collect()));
            // ECR converts a manifest whose type is not accepted explicitly.
            let types = media_type::ACCEPT.split(',').map(str::trim);
            let request =
                request.set_accepted_media_types(Some(types.map(str::to_owned).collect()));
            let send = || request.clone().send();
            let answer = match self.aws.calls.send(ACTION, repository, send).await {
                Err(error) if error.code() == Some(NO_REPOSITORY) => return Ok(found),
                answer => answer?,
            };
            for id in answer.images().iter().filter_map(|image| image.image_id()) {
                let Some(digest) = id
                    .image_digest()
                    .and_then(|text| text.parse::<Digest>().ok())
                else {
                    continue;
                };
                let tag = id.image_tag().map(|tag| TagOrDigest::Tag(tag.to_owned()));
                let by_digest = TagOrDigest::Digest(digest.clone());
                for name in tag.into_iter().chain([by_digest]) {
                    if batch.contains(&name) {
                        found.insert(name, digest.clone());
                    }
                }
            }
        }
        Ok(found)
    }

    /// The layers that a repository has, without archived ones. There is no request for a repository that did not
    /// exist when the run began.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn find_layers(
        &self,
        repository: &str,
        digests: &[Digest],
    ) -> Result<HashSet<Digest>, Error> {
        const ACTION: &str = "ecr:BatchCheckLayerAvailability";
        let mut found = HashSet::new();
        if !self.existed(repository).await? {
            return Ok(found);
        }
        for batch in digests.chunks(BATCH) {
            let request = self
                .client()
                .await
                .batch_check_layer_availability()
                .registry_id(&self.host.account)
                .repository_name(repository);
            let digests = batch.iter().map(ToString::to_string).collect();
            let request = request.set_layer_digests(Some(digests));
            let send = || request.clone().send();
            let answer = match self.aws.calls.send(ACTION, repository, send).await {
                Err(error) if error.code() == Some(NO_REPOSITORY) => return Ok(found),
                answer => answer?,
            };
            let available = answer
                .layers()
                .iter()
                .filter(|layer| layer.layer_availability() == Some(&LayerAvailability::Available));
            found
                .extend(available.filter_map(|layer| layer.layer_digest()?.parse::<Digest>().ok()));
        }
        Ok(found)
    }
}

/// An image of a repository, as ECR describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedImage {
    /// Its tags.
    pub tags: Vec<String>,
    /// Its digest.
    pub digest: Option<String>,
    /// Its bytes; of an index those of its largest image.
    pub size: Option<u64>,
    /// When it was pushed.
    pub pushed: Option<Timestamp>,
    /// When ECR last recorded a pull. Reading the manifest counts as one.
    pub pulled: Option<Timestamp>,
    /// The media type of its manifest.
    pub media_type: Option<String>,
    /// The digest of the manifest that it refers to as its subject.
    pub subject: Option<String>,
}

impl From<&ImageDetail> for DescribedImage {
    fn from(image: &ImageDetail) -> Self {
        let time = |time: Option<&DateTime>| {
            let time = SystemTime::try_from(*time?).ok()?;
            Some(Timestamp::from(time))
        };
        let size = image.image_size_in_bytes();
        Self {
            tags: image.image_tags().to_vec(),
            digest: image.image_digest().map(str::to_owned),
            size: size.and_then(|size| u64::try_from(size).ok()),
            pushed: time(image.image_pushed_at()),
            pulled: time(image.last_recorded_pull_time()),
            media_type: image.image_manifest_media_type().map(str::to_owned),
            subject: image.subject_manifest_digest().map(str::to_owned),
        }
    }
}

impl Ecr {
    /// All images of a repository that are not archived, with and without tags; none when it was deleted meanwhile.
    ///
    /// # Errors
    /// When ECR does not describe them.
    pub async fn images(&self, repository: &str) -> Result<Vec<DescribedImage>, Error> {
        const ACTION: &str = "ecr:DescribeImages";
        let request = self.client().await.describe_images();
        let request = request.registry_id(&self.host.account);
        let request = request.repository_name(repository).max_results(1000);
        let (mut images, mut next) = (Vec::new(), None);
        loop {
            let send = || request.clone().set_next_token(next.clone()).send();
            let page = match self.aws.calls.send(ACTION, repository, send).await {
                Err(error) if error.code() == Some(NO_REPOSITORY) => return Ok(images),
                page => page?,
            };
            images.extend(page.image_details().iter().map(DescribedImage::from));
            match page.next_token() {
                // The same page again would come for ever.
                Some(token) if next.as_deref() != Some(token) => next = Some(token.to_owned()),
                _ => return Ok(images),
            }
        }
    }

    /// The manifests of images, by their digests; those that ECR does not have or does not give are absent. ECR
    /// records this as a pull of each (<https://github.com/aws/containers-roadmap/issues/2390>).
    ///
    /// # Errors
    /// When the call fails.
    pub async fn manifests(
        &self,
        repository: &str,
        digests: &[Digest],
    ) -> Result<HashMap<Digest, Manifest>, Error> {
        const ACTION: &str = "ecr:BatchGetImage";
        let mut found = HashMap::new();
        for batch in digests.chunks(BATCH) {
            let request = self.client().await.batch_get_image();
            let request = request.registry_id(&self.host.account);
            let request = request
                .repository_name(repository)
                .set_image_ids(Some(batch.iter().map(by_digest).collect()));
            let types = media_type::ACCEPT.split(',').map(str::trim);
            let types = types.map(str::to_owned).collect();
            let request = request.set_accepted_media_types(Some(types));
            let send = || request.clone().send();
            let answer = match self.aws.calls.send(ACTION, repository, send).await {
                Err(error) if error.code() == Some(NO_REPOSITORY) => return Ok(found),
                answer => answer?,
            };
            for image in answer.images() {
                let digest = image.image_id().and_then(|id| id.image_digest());
                let digest = digest.and_then(|digest| digest.parse::<Digest>().ok());
                let text = image.image_manifest().map(str::to_owned);
                let (Some(digest), Some(text)) = (digest, text) else {
                    continue;
                };
                let media_type = image.image_manifest_media_type();
                // What ECR converted, or cannot be parsed, is as good as absent.
                if let Ok(manifest) = Manifest::parse(media_type, text.into())
                    && let Ok(manifest) = manifest.named(&digest)
                    && batch.contains(&digest)
                {
                    found.insert(digest, manifest);
                }
            }
        }
        Ok(found)
    }

    /// Deletes images with all their tags; those that do not exist are no failure. Returns what ECR refuses, each
    /// with its code and reason, such as `ImageReferencedByManifestList` for a child of an index that exists.
    ///
    /// # Errors
    /// When a call fails; what was to be deleted after it is not.
    pub async fn delete_images(
        &self,
        repository: &str,
        digests: &[Digest],
    ) -> Result<Vec<RefusedDeletion>, Error> {
        const ACTION: &str = "ecr:BatchDeleteImage";
        let mut refused = Vec::new();
        for batch in digests.chunks(BATCH) {
            let request = self.client().await.batch_delete_image();
            let request = request.registry_id(&self.host.account);
            let request = request
                .repository_name(repository)
                .set_image_ids(Some(batch.iter().map(by_digest).collect()));
            let send = || request.clone().send();
            let answer = match self.aws.calls.send(ACTION, repository, send).await {
                Err(error) if error.code() == Some(NO_REPOSITORY) => return Ok(refused),
                answer => answer?,
            };
            for failure in answer.failures() {
                if failure.failure_code() == Some(&ImageFailureCode::ImageNotFound) {
                    continue;
                }
                let digest = failure.image_id().and_then(|id| id.image_digest());
                let digest = digest.and_then(|digest| digest.parse::<Digest>().ok());
                let code = failure.failure_code().map(ImageFailureCode::as_str);
                refused.push(RefusedDeletion {
                    digest,
                    code: code.unwrap_or("no code").to_owned(),
                    reason: failure.failure_reason().unwrap_or_default().to_owned(),
                });
            }
        }
        Ok(refused)
    }
}

/// An image that ECR does not delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedDeletion {
    /// Its digest, where ECR names it.
    pub digest: Option<Digest>,
    /// ECR's code.
    pub code: String,
    /// ECR's reason.
    pub reason: String,
}

impl RefusedDeletion {
    /// Whether an index that exists refers to it.
    #[must_use]
    pub fn is_referenced(&self) -> bool {
        self.code == ImageFailureCode::ImageReferencedByManifestList.as_str()
    }
}

fn by_digest(digest: &Digest) -> ImageIdentifier {
    let id = ImageIdentifier::builder();
    id.image_digest(digest.to_string()).build()
}
