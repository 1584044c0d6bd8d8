//! Upload sessions: POST, PATCH, PUT, and blobs mounted from another repository.

use super::Core;
use super::answer::Refusal;
use super::auth::Access;
use super::manifests::References;
use super::route::{Route, valid_digest, valid_name};
use super::store::{Content, Repository};
use crate::content::{Hasher, digest_like};
use crate::server::body::{Body, next_piece};
use crate::server::{bare, header, set};
use crate::text;
use hyper::{Request, Response, StatusCode};
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use tokio::sync::Mutex;

/// A session under way.
#[derive(Debug)]
pub(super) struct Upload {
    repository: String,
    file: File,
    hasher: Hasher,
    received: u64,
    /// The lengths of the parts that were received whole.
    parts: Vec<u64>,
    /// Whether the last request ended before its body did.
    interrupted: bool,
    /// The bytes are not kept any more.
    discarded: bool,
}

impl Core {
    /// POST: mounts, takes a whole blob, or opens a session.
    pub(super) async fn start_upload(
        &self,
        route: &Route,
        request: Request<Body>,
        access: &Access,
    ) -> Result<Response<Body>, Refusal> {
        if !valid_name(&route.name) {
            return Err(Refusal::bad(
                "NAME_INVALID",
                format!("{} is not a repository name", route.name),
            ));
        }
        self.limits
            .take("InitiateLayerUpload", self.ecr().initiate_rate)?;
        self.check_repository(&route.name)?;
        let query = request.uri().query().unwrap_or_default().to_owned();
        let mount = text::pair(&query, "mount").zip(text::pair(&query, "from"));
        if let Some((digest, from)) = mount
            && access.allows(&from, "pull")
            && self.mount(&digest, &from, &route.name)
        {
            return Ok(self.created_blob(&route.name, &digest));
        }
        let (id, upload) = self.open_upload(&route.name)?;
        if let Some(digest) = text::pair(&query, "digest") {
            let mut upload = upload.lock().await;
            self.receive(&mut upload, request).await?;
            return self.commit(&id, &mut upload, &digest);
        }
        let response = self.located(bare(StatusCode::ACCEPTED), &location(&route.name, &id));
        Ok(set(
            set(response, "range", "0-0"),
            "docker-upload-uuid",
            &id,
        ))
    }

    /// PATCH: one part.
    pub(super) async fn append_upload(
        &self,
        route: &Route,
        request: Request<Body>,
    ) -> Result<Response<Body>, Refusal> {
        let upload = self.find_upload(route, &request)?;
        let mut upload = upload.lock().await;
        self.receive(&mut upload, request).await?;
        let status = if self.ecr().patch_answers_created {
            StatusCode::CREATED
        } else {
            StatusCode::ACCEPTED
        };
        Ok(self.progress(status, route, &upload))
    }

    /// PUT: the last part, if any, and the digest of the whole.
    pub(super) async fn finish_upload(
        &self,
        route: &Route,
        request: Request<Body>,
    ) -> Result<Response<Body>, Refusal> {
        let upload = self.find_upload(route, &request)?;
        let digest = text::pair(request.uri().query().unwrap_or_default(), "digest")
            .ok_or_else(|| Refusal::bad("DIGEST_INVALID", "the digest is missing"))?;
        let mut upload = upload.lock().await;
        self.receive(&mut upload, request).await?;
        self.commit(&route.reference, &mut upload, &digest)
    }

    /// GET: how much has arrived.
    pub(super) async fn upload_status(&self, route: &Route) -> Result<Response<Body>, Refusal> {
        let upload = self.session(route)?;
        let upload = upload.lock().await;
        Ok(self.progress(StatusCode::NO_CONTENT, route, &upload))
    }

    /// DELETE.
    pub(super) fn cancel_upload(&self, route: &Route) -> Result<Response<Body>, Refusal> {
        self.session(route)?;
        self.store.state().uploads.remove(&route.reference);
        Ok(bare(StatusCode::NO_CONTENT))
    }

    /// Refuses to push to a repository that is not there, if that is what this registry does.
    pub(super) fn check_repository(&self, name: &str) -> Result<(), Refusal> {
        let state = self.store.state();
        let visible =
            |repository: &Repository| repository.settings.visible_from <= std::time::Instant::now();
        if self.ecr().repositories_must_exist && !state.repositories.get(name).is_some_and(visible)
        {
            let message =
                format!("The repository with name '{name}' does not exist in the registry");
            return Err(Refusal::missing("NAME_UNKNOWN", message));
        }
        Ok(())
    }

    fn mount(&self, digest: &str, from: &str, to: &str) -> bool {
        let ecr = self.ecr();
        let mut state = self.store.state();
        let Some(source) = state.repositories.get(from).filter(|_| ecr.blob_mounting) else {
            return false;
        };
        let Some(blob) = source.blobs.get(digest).cloned() else {
            return false;
        };
        if ecr.mount_needs_manifest {
            let refers =
                |references: References| references.blobs.iter().any(|blob| blob.digest == digest);
            let mut manifests = source.manifests.values();
            let referred =
                manifests.any(|manifest| References::parse(&manifest.bytes).is_ok_and(refers));
            let key =
                |settings: &super::Repo| (settings.encryption.clone(), settings.kms_key.clone());
            let same_key = state
                .repositories
                .get(to)
                .is_some_and(|to| key(&to.settings) == key(&source.settings));
            if !referred || !same_key {
                return false;
            }
        }
        state
            .repository(to)
            .add_blob(digest, blob.size, blob.content);
        true
    }

    fn open_upload(&self, repository: &str) -> Result<(String, Arc<Mutex<Upload>>), Refusal> {
        let mut state = self.store.state();
        state.uploads_started += 1;
        let id = format!("upload-{}", state.uploads_started);
        let upload = Upload {
            repository: repository.to_owned(),
            file: File::create(self.store.file(&id))?,
            hasher: Hasher::new(),
            received: 0,
            parts: Vec::new(),
            interrupted: false,
            discarded: false,
        };
        let upload = Arc::new(Mutex::new(upload));
        state.uploads.insert(id.clone(), upload.clone());
        Ok((id, upload))
    }

    /// The session of a PATCH or PUT, which must carry the state that its `Location` had.
    fn find_upload(
        &self,
        route: &Route,
        request: &Request<Body>,
    ) -> Result<Arc<Mutex<Upload>>, Refusal> {
        let state = text::pair(request.uri().query().unwrap_or_default(), "_state");
        if state.as_deref() != Some(&*route.reference) {
            let message = "the query of the session's Location is missing";
            return Err(Refusal::bad("BLOB_UPLOAD_INVALID", message));
        }
        self.session(route)
    }

    fn session(&self, route: &Route) -> Result<Arc<Mutex<Upload>>, Refusal> {
        let upload = self.store.state().uploads.get(&route.reference).cloned();
        upload.ok_or_else(|| {
            Refusal::missing(
                "BLOB_UPLOAD_UNKNOWN",
                format!("no session {}", route.reference),
            )
        })
    }

    /// Takes in the body of a request, hashing and storing it on the way.
    async fn receive(&self, upload: &mut Upload, request: Request<Body>) -> Result<(), Refusal> {
        let content_range = header(request.headers(), "content-range");
        let first = content_range
            .as_deref()
            .and_then(|range| range.split_once('-')?.0.parse::<u64>().ok());
        let restarts = upload.interrupted && self.ecr().refuses_restart;
        let first = first.or(restarts.then_some(0)).unwrap_or(upload.received);
        if first != upload.received {
            let message = format!(
                "First byte of the layer part is {first} instead of {}",
                upload.received
            );
            return Err(Refusal::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "BLOB_UPLOAD_INVALID",
                message,
            )
            .header("range", format!("0-{}", upload.received.saturating_sub(1))));
        }
        let before = upload.received;
        upload.interrupted = true;
        let mut body = request.into_body();
        while let Some(piece) = next_piece(&mut body).await {
            let piece = piece?;
            if !self.trusting {
                upload.hasher.update(&piece);
            }
            upload.received += piece.len() as u64;
            upload.keep(&piece, self.discard_over)?;
        }
        upload.interrupted = false;
        if upload.received > before {
            upload.parts.push(upload.received - before);
        }
        Ok(())
    }

    /// Turns a session into a blob of its repository.
    fn commit(
        &self,
        id: &str,
        upload: &mut Upload,
        digest: &str,
    ) -> Result<Response<Body>, Refusal> {
        let ecr = self.ecr();
        self.limits.take("CompleteLayerUpload", ecr.complete_rate)?;
        self.store.state().uploads.remove(id);
        if ecr.refuses_empty_blobs && upload.received == 0 {
            let message = "EmptyUploadException: the layer has no bytes";
            return Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "BLOB_UPLOAD_INVALID",
                message,
            ));
        }
        let (_, all_but_last) = upload.parts.split_last().unwrap_or((&0, &[]));
        if all_but_last.iter().any(|part| *part < ecr.smallest_part) {
            let message = "LayerPartTooSmallException: \
                           All layer parts except the last part should be at least 5MB";
            return Err(Refusal::bad("BLOB_UPLOAD_INVALID", message));
        }
        let mut computed = std::mem::replace(&mut upload.hasher, Hasher::new()).finish();
        if digest.starts_with("sha512:") {
            computed = digest_like(digest, &std::fs::read(self.store.file(id))?);
        }
        if !valid_digest(digest) || (!self.trusting && computed != digest) {
            let message = format!("the bytes have the digest {computed}, not {digest}");
            return Err(Refusal::bad("DIGEST_INVALID", message));
        }
        std::fs::rename(self.store.file(id), self.store.file(digest))?;
        let content = if upload.discarded {
            Content::Discarded
        } else {
            Content::Kept
        };
        self.store.state().repository(&upload.repository).add_blob(
            digest,
            upload.received,
            content,
        );
        Ok(self.created_blob(&upload.repository, digest))
    }

    fn created_blob(&self, repository: &str, digest: &str) -> Response<Body> {
        let response = self.located(
            bare(StatusCode::CREATED),
            &format!("/v2/{repository}/blobs/{digest}"),
        );
        set(response, "docker-content-digest", digest)
    }

    fn progress(&self, status: StatusCode, route: &Route, upload: &Upload) -> Response<Body> {
        let first_part = upload
            .parts
            .first()
            .copied()
            .filter(|_| self.ecr().patch_answers_created);
        let end = first_part.unwrap_or(upload.received).saturating_sub(1);
        let response = self.located(bare(status), &location(&route.name, &route.reference));
        set(
            set(response, "range", &format!("0-{end}")),
            "docker-upload-uuid",
            &route.reference,
        )
    }
}

impl Upload {
    /// Writes a piece, unless the upload has become longer than what is kept.
    fn keep(&mut self, piece: &[u8], discard_over: Option<u64>) -> io::Result<()> {
        if !self.discarded && discard_over.is_some_and(|limit| self.received > limit) {
            self.discarded = true;
            self.file.set_len(0)?;
        }
        if self.discarded {
            Ok(())
        } else {
            self.file.write_all(piece)
        }
    }
}

fn location(repository: &str, id: &str) -> String {
    format!("/v2/{repository}/blobs/uploads/{id}?_state={id}")
}
