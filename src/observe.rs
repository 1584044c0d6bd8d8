//! What of a plan is there already, and how big it is: asked of the registries for `plan`, which
//! writes nothing. Whoever does not answer leaves "unknown" and one warning.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, future, stream};

use crate::charts::ChartSource;
use crate::copy::{Need, Selection, Unselectable};
use crate::oci::{Budget, Descriptor, Manifest, Platform, Visitor, walk};
use crate::plan::{Copy, Source};
use crate::reference::{Digest, Location};
use crate::store::{self, Error, Stores, Which, which};

/// What is known of one copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The digest that the target will have.
    pub digest: Option<Digest>,
    /// The platforms that the target will have; empty for a single image or a chart.
    pub platforms: Vec<String>,
    /// The bytes of all distinct content.
    pub bytes: Option<u64>,
    /// That content, where all of it is known.
    pub content: Option<Need>,
    /// How it is at the target.
    pub state: State,
}

/// How an artifact is at the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// Nobody could say.
    #[default]
    Unknown,
    /// The source has no such artifact: a deployment would fail.
    NoSource,
    /// The source has it for none of the wanted platforms: a deployment would fail.
    NoPlatform,
    /// It is not there.
    Missing,
    /// Its name is there with other content.
    Differs,
    /// It is there.
    Present,
}

impl State {
    /// One word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::NoSource => "no source",
            Self::NoPlatform => "no platform",
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Present => "present",
        }
    }
}

/// Who did not answer: by host the first error, and how often.
type Silent = Mutex<BTreeMap<String, (String, usize, bool)>>;

/// Asks about all copies, `jobs` at once; the answers are in their order. The warnings name each host
/// once.
pub async fn observe(
    copies: &[Copy],
    stores: &Stores,
    platforms: &[Platform],
    jobs: usize,
) -> (Vec<Seen>, Vec<String>) {
    let silent = Silent::default();
    let seen = stream::iter(copies)
        .map(|copy| {
            let observer = Observer {
                copy,
                stores,
                platforms,
                silent: &silent,
            };
            async move { observer.look().await }
        })
        .buffered(jobs)
        .collect()
        .await;
    let silent = silent.into_inner().unwrap_or_else(PoisonError::into_inner);
    let warnings = silent.into_iter().map(|(host, (error, count, _))| {
        let more = if count > 1 {
            format!(" (and {} more times)", count - 1)
        } else {
            String::new()
        };
        format!("{host} cannot be asked, what it would say is shown as unknown: {error}{more}")
    });
    (seen, warnings.collect())
}

/// A digest, its platforms, and the bytes and content below it.
type Described = (Digest, Vec<String>, Option<(u64, Need)>);

/// What a source says of an artifact.
enum Found {
    There(Described),
    NoPlatform,
    Gone,
}

struct Observer<'a> {
    copy: &'a Copy,
    stores: &'a Stores,
    platforms: &'a [Platform],
    silent: &'a Silent,
}

impl Observer<'_> {
    async fn look(&self) -> Seen {
        let root = async {
            match &self.copy.source {
                Source::Chart(artifact) => {
                    let source = ChartSource::new((**artifact).clone());
                    Some(self.describe(&source, &artifact.manifest).await)
                }
                Source::At(location) => self.ask(location, self.source(location)).await,
            }
        };
        let (described, present) = tokio::join!(root, self.ask(&self.copy.target, self.target()));
        let (digest, platforms, content) = match described {
            Some(Found::There(described)) => described,
            Some(Found::Gone) => {
                return Seen {
                    state: State::NoSource,
                    ..Seen::default()
                };
            }
            Some(Found::NoPlatform) => {
                return Seen {
                    state: State::NoPlatform,
                    ..Seen::default()
                };
            }
            None if present == Some(None) => {
                return Seen {
                    state: State::Missing,
                    ..Seen::default()
                };
            }
            None => return Seen::default(),
        };
        let state = match present {
            None => State::Unknown,
            Some(None) => State::Missing,
            Some(Some(other)) if other == digest => State::Present,
            Some(Some(_)) => State::Differs,
        };
        Seen {
            digest: Some(digest),
            platforms,
            bytes: content.as_ref().map(|(bytes, _)| *bytes),
            content: content.map(|(_, need)| need),
            state,
        }
    }

    /// Asks a host, unless it is known to be out of reach; a failure is noted.
    async fn ask<T>(
        &self,
        location: &Location,
        question: impl Future<Output = Result<T, Error>>,
    ) -> Option<T> {
        let is_out_of_reach = {
            let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
            silent
                .get(&host_of(location))
                .is_some_and(|(_, _, out_of_reach)| *out_of_reach)
        };
        if is_out_of_reach {
            return None;
        }
        match question.await {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.note(location, error);
                None
            }
        }
    }

    /// Notes a question that was not answered.
    fn note(&self, location: &Location, error: Error) {
        let out_of_reach = error.is_unreachable();
        let text = format!(
            "{:#}",
            anyhow::Error::new(error).context(location.to_string())
        );
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = silent.entry(host_of(location)).or_insert((text, 0, false));
        entry.1 += 1;
        entry.2 |= out_of_reach;
    }

    async fn target(&self) -> Result<Option<Digest>, Error> {
        let name = match self.copy.target.tag() {
            Some(tag) => Which::Tag(tag.to_owned()),
            None => which(&self.copy.target),
        };
        // Not `Stores::target`: that one may make a folder.
        self.stores.source(&self.copy.target)?.resolve(&name).await
    }

    async fn source(&self, location: &Location) -> Result<Found, Error> {
        let source = self.stores.source(location)?;
        let Some(root) = source.manifest(&which(location)).await? else {
            return Ok(Found::Gone);
        };
        let selection = Selection {
            source: &source,
            policy: self.stores.http().policy(),
            wanted: self.platforms,
        };
        match selection.of(root, &mut Vec::new()).await {
            Ok(root) => Ok(self.describe(source.as_ref(), &root).await),
            Err(Unselectable::Only(_)) => Ok(Found::NoPlatform),
            Err(Unselectable::Unread(error)) => Err(error),
        }
    }

    /// What there is below a manifest. Where a part of it cannot be queried, its size stays unknown; a part that
    /// is not there means that the artifact is not.
    async fn describe(&self, source: &dyn store::Source, root: &Manifest) -> Found {
        let content = match content(source, root).await {
            Ok(Some(content)) => Some(content),
            Ok(None) => return Found::Gone,
            Err(error) => {
                if let Source::At(location) = &self.copy.source {
                    self.note(location, error);
                }
                None
            }
        };
        // In a registry a tag stands for the SHA-256.
        let digest = match &self.copy.target {
            Location::Registry(target) if target.tag().is_some() => Digest::of(&root.bytes),
            _ => root.digest.clone(),
        };
        Found::There((digest, root.platforms(), content))
    }
}

fn host_of(location: &Location) -> String {
    let host = location.host();
    host.map_or_else(|| location.to_string(), str::to_owned)
}

/// All distinct content below a manifest, with its bytes and those of the manifests; `None` where a manifest
/// of it is not there.
async fn content(
    source: &dyn store::Source,
    root: &Manifest,
) -> Result<Option<(u64, Need)>, Error> {
    let all = All {
        source,
        is_torn: AtomicBool::new(false),
        seen: Mutex::default(),
    };
    let node = walk(&all, root.clone(), &Budget::default()).await?;
    if all.is_torn.into_inner() {
        return Ok(None);
    }
    let (blobs, manifests) = (node.blobs(), node.manifests());
    let own = manifests.iter().map(|manifest| manifest.bytes.len() as u64);
    let bytes = own.chain(blobs.iter().map(|blob| blob.size)).sum();
    let need = Need {
        manifests: manifests.len(),
        blobs: blobs.into_iter().cloned().collect(),
    };
    Ok(Some((bytes, need)))
}

/// A walk through everything.
struct All<'a> {
    source: &'a dyn store::Source,
    /// A manifest is not there.
    is_torn: AtomicBool,
    seen: Mutex<HashSet<Digest>>,
}

impl Visitor for All<'_> {
    type Error = Error;

    fn select<'a>(
        &'a self,
        _: &'a Manifest,
        mut children: Vec<&'a Descriptor>,
    ) -> BoxFuture<'a, Result<Vec<&'a Descriptor>, Error>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain(|child| seen.insert(child.digest.clone()));
        future::ready(Ok(children)).boxed()
    }

    fn read<'a>(&'a self, child: &'a Descriptor) -> BoxFuture<'a, Result<Option<Manifest>, Error>> {
        async move {
            let which = Which::Digest(child.digest.clone());
            let child = self.source.manifest(&which).await?;
            if child.is_none() {
                self.is_torn.store(true, Ordering::Relaxed);
            }
            Ok(child)
        }
        .boxed()
    }

    fn out_of_bounds(&self) -> Result<(), Error> {
        self.is_torn.store(true, Ordering::Relaxed);
        Ok(())
    }
}
