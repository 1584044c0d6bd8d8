//! An HTTP chart repository: archives and an index made from charts, or a folder as it stands.

use super::Chart;
use crate::faults::Faults;
use crate::server::body::{Body, streamed};
use crate::server::{Door, Server, bare, header, named, set, with_body};
use crate::text;
use crate::wire::Wire;
use bytes::Bytes;
use futures_util::stream;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A running chart repository. It stops when dropped.
#[derive(Debug)]
pub struct ChartRepository {
    server: Server,
    shelf: Arc<Shelf>,
}

/// A chart repository's configuration; see [`ChartRepository::builder`].
#[derive(Debug, Clone, Default)]
pub struct Builder {
    charts: Vec<Chart>,
    folder: Option<PathBuf>,
    credentials: Option<(String, String)>,
    absolute_urls: bool,
}

#[derive(Debug)]
struct Shelf {
    files: Mutex<BTreeMap<String, Bytes>>,
    folder: Option<PathBuf>,
    credentials: Option<(String, String)>,
}

impl Builder {
    /// One more chart.
    #[must_use]
    pub fn chart(mut self, chart: Chart) -> Self {
        self.charts.push(chart);
        self
    }

    /// Serves the files of a folder, below those that are in memory.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Asks for Basic credentials.
    #[must_use]
    pub fn basic(mut self, username: &str, password: &str) -> Self {
        self.credentials = Some((username.to_owned(), password.to_owned()));
        self
    }

    /// Absolute `urls` in the index; they are relative to it otherwise.
    #[must_use]
    pub fn absolute_urls(mut self) -> Self {
        self.absolute_urls = true;
        self
    }

    /// Starts the repository.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(self) -> io::Result<ChartRepository> {
        let door = Door::open().await?;
        let base = if self.absolute_urls {
            format!("http://{}/", door.host())
        } else {
            String::new()
        };
        let mut files = BTreeMap::new();
        for chart in &self.charts {
            files.insert(chart.file_name(), chart.archive().into());
            if let Some(provenance) = &chart.provenance {
                files.insert(
                    format!("{}.prov", chart.file_name()),
                    provenance.clone().into(),
                );
            }
        }
        if !self.charts.is_empty() {
            files.insert("index.yaml".to_owned(), index(&self.charts, &base).into());
        }
        let files = Arc::new(Shelf {
            files: Mutex::new(files),
            folder: self.folder,
            credentials: self.credentials,
        });
        let server = door.serve({
            let files = files.clone();
            move |request| std::future::ready(files.respond(&request))
        });
        Ok(ChartRepository {
            server,
            shelf: files,
        })
    }
}

impl ChartRepository {
    /// Serves charts.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(charts: Vec<Chart>) -> io::Result<Self> {
        Builder {
            charts,
            ..Builder::default()
        }
        .start()
        .await
    }

    /// Serves a folder and all below it.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn folder(folder: impl Into<PathBuf>) -> io::Result<Self> {
        Self::builder().folder(folder).start().await
    }

    /// A repository to be configured first.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The log of requests.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.server.wire
    }

    /// The switchboard of faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// Replaces `index.yaml`.
    pub fn set_index(&self, text: impl Into<Bytes>) {
        self.set_file("index.yaml", text);
    }

    /// Adds or replaces a file.
    pub fn set_file(&self, path: &str, bytes: impl Into<Bytes>) {
        self.shelf.files().insert(path.to_owned(), bytes.into());
    }

    /// Takes a file away.
    pub fn remove_file(&self, path: &str) {
        self.shelf.files().remove(path);
    }

    /// A file that is in memory, such as the generated `index.yaml`.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<Bytes> {
        self.shelf.files().get(path).cloned()
    }
}

impl Shelf {
    fn respond(&self, request: &Request<Body>) -> Response<Body> {
        let given = header(request.headers(), "authorization");
        let given = given.as_deref().and_then(text::basic_credentials);
        if self.credentials.is_some() && given != self.credentials {
            return set(
                bare(StatusCode::UNAUTHORIZED),
                "www-authenticate",
                "Basic realm=\"charts\"",
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return bare(StatusCode::METHOD_NOT_ALLOWED);
        }
        let path = text::percent_decode(request.uri().path());
        let path = path.trim_start_matches('/');
        let kind = if path.ends_with("index.yaml") {
            "index"
        } else {
            "file"
        };
        let in_memory = self.files().get(path).cloned();
        let response = match in_memory {
            Some(bytes) => with_body(StatusCode::OK, media_type(path), bytes),
            None => self
                .open(path)
                .unwrap_or_else(|| bare(StatusCode::NOT_FOUND)),
        };
        named(
            response,
            format!("{kind}.{}", request.method().as_str().to_ascii_lowercase()),
        )
    }

    fn open(&self, path: &str) -> Option<Response<Body>> {
        let inside = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let file = self.folder.as_ref().filter(|_| inside)?.join(path);
        let mut file = File::open(file).ok()?;
        let length = file
            .metadata()
            .ok()
            .filter(std::fs::Metadata::is_file)?
            .len();
        let pieces = std::iter::from_fn(move || {
            let mut piece = vec![0; 64 * 1024];
            match file.read(&mut piece) {
                Ok(0) => None,
                Ok(read) => {
                    piece.truncate(read);
                    Some(Ok(Bytes::from(piece)))
                }
                Err(error) => Some(Err(error)),
            }
        });
        let response = Response::new(streamed(stream::iter(pieces)));
        let response = set(response, "content-type", media_type(path));
        Some(set(response, "content-length", &length.to_string()))
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn media_type(path: &str) -> &'static str {
    if path.ends_with("index.yaml") {
        "text/yaml"
    } else {
        "application/octet-stream"
    }
}

/// `index.yaml` with one entry per line: each value is JSON, which is YAML too.
fn index(charts: &[Chart], base: &str) -> String {
    let mut entries: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for chart in charts {
        let url = format!("{base}{}", chart.file_name());
        entries
            .entry(&chart.name)
            .or_default()
            .push(chart.index_entry(&url));
    }
    let mut text = "apiVersion: v1\nentries:\n".to_owned();
    for (name, versions) in entries {
        let versions = versions.iter().map(|version| format!("  - {version}\n"));
        text += &[format!("  {}:\n", json!(name))]
            .into_iter()
            .chain(versions)
            .collect::<String>();
    }
    text + "generated: \"2024-01-01T00:00:00Z\"\n"
}
