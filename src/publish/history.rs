//! A module's results in its bucket: writing one keeps the one that it replaces.

use std::collections::BTreeSet;

use crate::aws::{Bucket, Error, Only, TextObject};

use super::kept::{self, KEPT_END, KeptName};
use super::{OBJECT_END, Publication, page_key, proof_key};

/// What was kept, and all that is kept now.
struct Kept {
    name: KeptName,
    names: BTreeSet<KeptName>,
}

/// How often a result is written again because another deployment of the module wrote one at the same moment.
const ATTEMPTS: usize = 5;

impl Publication {
    /// What the keys of the module's kept results begin with.
    #[must_use]
    pub fn kept_prefix(&self) -> String {
        let module = self.object.trim_end_matches(OBJECT_END);
        format!("{module}{KEPT_END}")
    }

    /// The key of a kept result.
    #[must_use]
    pub fn kept_object(&self, name: &KeptName) -> String {
        format!("{}{name}{OBJECT_END}", self.kept_prefix())
    }

    /// The module's kept results.
    ///
    /// # Errors
    /// When the bucket cannot be listed.
    pub async fn kept(&self, bucket: &Bucket) -> Result<BTreeSet<KeptName>, Error> {
        let keys = bucket.list(&self.kept_prefix()).await?.into_iter();
        Ok(keys.filter_map(|(key, _)| kept::kept_name(&key)).collect())
    }

    /// Writes the proof, if there is one, and then the result. What it replaces is kept, and returned; a result that
    /// is there already is not written again.
    pub(super) async fn put(
        &self,
        bucket: &Bucket,
        result: &str,
        proof: Option<&str>,
    ) -> Result<Option<KeptName>, Error> {
        for _ in 0..ATTEMPTS {
            let current = match bucket.get(&self.object).await {
                // A role that may only write.
                Err(error) if error.is_refusal() => {
                    tracing::warn!("the result that is replaced is not kept: {error}");
                    self.put_proof(bucket, proof).await?;
                    bucket.put_json(&self.object, result).await?;
                    return Ok(None);
                }
                current => current?,
            };
            let is_same = current.as_ref().is_some_and(|one| one.text == result);
            let kept = match &current {
                Some(current) if !is_same => self.keep(bucket, current).await?,
                _ => None,
            };
            self.put_proof(bucket, proof).await?;
            let only = match &current {
                None => Some(Only::New),
                Some(current) => current.etag.as_deref().map(Only::Unchanged),
            };
            let is_written = match only {
                _ if is_same => true,
                Some(only) => bucket.put_if(only, &self.object, result).await?,
                None => {
                    bucket.put_json(&self.object, result).await?;
                    true
                }
            };
            if is_written {
                if let Some(kept) = &kept {
                    self.remove_surplus(bucket, &kept.names, result).await;
                }
                return Ok(kept.map(|kept| kept.name));
            }
        }
        tracing::warn!("the result that is replaced is not kept: it changes all the time");
        bucket.put_json(&self.object, result).await.map(|()| None)
    }

    async fn put_proof(&self, bucket: &Bucket, proof: Option<&str>) -> Result<(), Error> {
        match proof {
            Some(proof) => bucket.put_json(&self.proof_object(), proof).await,
            None => Ok(()),
        }
    }

    /// Keeps the current result with its proof and page; `None` where nothing was kept.
    async fn keep(&self, bucket: &Bucket, current: &TextObject) -> Result<Option<Kept>, Error> {
        let published = current
            .modified
            .unwrap_or(std::time::SystemTime::UNIX_EPOCH);
        let Some(name) = KeptName::new(&current.text, published) else {
            tracing::warn!(
                "{} is replaced and not kept: it is not the result of a deployment",
                bucket.show(&self.object)
            );
            return Ok(None);
        };
        let kept = async {
            let mut names = self.kept(bucket).await?;
            if names.insert(name.clone()) {
                let object = self.kept_object(&name);
                // Of its proof only if it is still that of this document.
                if let Some(proof) = self.proof_of(bucket, &current.text).await? {
                    bucket.put_json(&proof_key(&object), &proof).await?;
                }
                self.keep_page(bucket, &object).await;
                bucket.put_json(&object, &current.text).await?;
            }
            Ok(names)
        };
        match kept.await {
            // A role from before results were kept.
            Err(error) if Error::is_refusal(&error) => {
                tracing::warn!("the result that is replaced is not kept: {error}");
                Ok(None)
            }
            names => names.map(|names| Some(Kept { name, names })),
        }
    }

    /// Keeps the page of the report. Nothing depends on it, and a role from before there were kept results may not
    /// read it.
    async fn keep_page(&self, bucket: &Bucket, kept: &str) {
        let put = async {
            match bucket.get_text(&self.page_object()).await? {
                Some(page) => bucket.put_page(&page_key(kept), &page).await,
                None => Ok(()),
            }
        };
        if let Err(error) = put.await {
            tracing::warn!("the report's page of the result that is replaced is not kept: {error}");
        }
    }

    async fn proof_of(&self, bucket: &Bucket, document: &str) -> Result<Option<String>, Error> {
        if !kept::names_proof(document) {
            return Ok(None);
        }
        let proof = bucket.get_text(&self.proof_object()).await?;
        Ok(proof.filter(|proof| kept::is_proof_of(document, proof)))
    }

    async fn remove_surplus(&self, bucket: &Bucket, names: &BTreeSet<KeptName>, current: &str) {
        for name in kept::surplus(names, current) {
            let object = self.kept_object(&name);
            let deleted = async {
                bucket.delete(&object).await?;
                bucket.delete(&proof_key(&object)).await?;
                bucket.delete(&page_key(&object)).await
            };
            if let Err(error) = deleted.await {
                tracing::warn!("an older result stays in the bucket: {error}");
                return;
            }
        }
    }

    /// Deletes all kept results with their proofs.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn delete_kept(&self, bucket: &Bucket) -> Result<(), Error> {
        for (key, _) in bucket.list(&self.kept_prefix()).await? {
            bucket.delete(&key).await?;
        }
        Ok(())
    }
}
