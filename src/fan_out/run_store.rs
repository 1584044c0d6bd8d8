//! What the builds of a run exchange, in the module's bucket below a prefix that no other run has:
//!
//! ```text
//! <deployment>-<module>-runs/<run>/replicator.gz the program, as the coordinator runs it
//!                                  ca.pem        the certificates that the coordinator trusts besides its machine's
//!                                  order.json    what all builds do, written once
//!                                  shards/<n>    artifacts of a shard, written once
//!                                  claims/<n>    which build works on it: the first one to write it
//!                                  first         the coordinator's heartbeat and instructions
//!                                  builds/<n>    each worker's heartbeat, and what it did
//! ```

use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::aws::Bucket;
use crate::settings::{Flags, Forwarded};
use oci_copy::copy::{Done, Outcome};
use oci_copy::reference::Digest;

use super::shard_spec::ShardSpec;

/// How many objects are written or read at once.
const AT_ONCE: usize = 8;

/// What a run left behind is deleted by a later one after this time: no build lasts longer.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(36);

/// The objects of one run.
pub(super) struct RunStore {
    bucket: Bucket,
    /// With a slash at its end.
    prefix: String,
}

/// The program, for builds like this one.
pub(super) struct Program {
    packed: Vec<u8>,
    /// Of the program itself.
    pub(super) digest: Digest,
}

impl Program {
    /// The one that runs.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn own() -> anyhow::Result<Self> {
        let path = std::env::current_exe().context("the program does not know its own file")?;
        let pack = move || {
            let bytes = std::fs::read(path).context("the program cannot be read")?;
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            packer.write_all(&bytes)?;
            anyhow::Ok(Self {
                digest: Digest::of(&bytes),
                packed: packer.finish()?,
            })
        };
        tokio::task::spawn_blocking(pack).await?
    }
}

/// A file that workers fetch before they run the program.
pub(super) struct WorkerFile {
    /// Its name in a worker's folder.
    pub(super) name: &'static str,
    /// As a person and the AWS CLI write it.
    pub(super) place: String,
    pub(super) digest: Digest,
}

/// What all builds do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunSpec {
    /// The flags of the coordinator.
    pub(super) flags: Flags,
    pub(super) environment: Forwarded,
    /// The hosts that a secret's credentials may be for.
    pub(super) hosts: Vec<String>,
    /// The SHA-256 of each shard's object.
    pub(super) shards: Vec<Digest>,
    /// Builds, the coordinator included; each has an equal share of the quotas.
    pub(super) builds: usize,
}

/// Which build works on a shard.
#[derive(Debug, Serialize, Deserialize)]
struct ShardClaim {
    build: usize,
}

/// What the coordinator tells the workers.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Control {
    /// Another number each time.
    pub(super) heartbeat: u64,
    /// All workers stop.
    pub(super) stop: bool,
    /// The workers that may begin: the coordinator has left them their share of the quotas.
    pub(super) admitted: Vec<usize>,
}

/// What a worker has done so far.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) heartbeat: u64,
    /// Bytes that it expects to move, and has moved.
    pub(super) expected: u64,
    pub(super) moved: u64,
    /// What is at the target.
    pub(super) delivered: Vec<Delivered>,
    /// Artifacts that it could not bring.
    pub(super) failed: Vec<usize>,
    /// It does nothing more.
    pub(super) is_over: bool,
}

/// An artifact that is at the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Delivered {
    pub(super) number: usize,
    digest: Option<String>,
    platforms: Vec<String>,
    bytes: u64,
    #[serde(default)]
    content_bytes: u64,
    #[serde(default)]
    replaced: Option<String>,
    seconds: f64,
    /// Seconds from 1970 to its end, by the worker's clock.
    #[serde(default)]
    ended_at: Option<f64>,
    notes: Vec<String>,
    was_there: bool,
}

impl Delivered {
    /// `None` when it is not at the target.
    pub(super) fn of(number: usize, outcome: &Outcome) -> Option<Self> {
        Some(Self {
            number,
            digest: outcome.digest.as_ref().map(ToString::to_string),
            platforms: outcome.platforms.clone(),
            bytes: outcome.bytes,
            content_bytes: outcome.content_bytes,
            replaced: outcome.replaced.as_ref().map(ToString::to_string),
            seconds: outcome.took.as_secs_f64(),
            ended_at: outcome.ended.and_then(clock_time),
            notes: outcome.notes.clone(),
            was_there: match outcome.done {
                Done::Copied => false,
                Done::AlreadyThere => true,
                Done::Failed(_) => return None,
            },
        })
    }

    pub(super) fn outcome(&self) -> Outcome {
        let took = Duration::try_from_secs_f64(self.seconds);
        Outcome {
            digest: self.digest.as_ref().and_then(|text| text.parse().ok()),
            platforms: self.platforms.clone(),
            bytes: self.bytes,
            content_bytes: self.content_bytes,
            replaced: self.replaced.as_ref().and_then(|text| text.parse().ok()),
            ended: self.ended_at.and_then(instant),
            took: took.unwrap_or_default(),
            notes: self.notes.clone(),
            done: if self.was_there {
                Done::AlreadyThere
            } else {
                Done::Copied
            },
        }
    }
}

/// What the clock showed at a moment, in seconds since 1970.
fn clock_time(moment: Instant) -> Option<f64> {
    let time = SystemTime::now().checked_sub(moment.elapsed())?;
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.ok().map(|since| since.as_secs_f64())
}

/// The moment at which the clock showed this time: builds have their clocks from AWS.
fn instant(time: f64) -> Option<Instant> {
    let time = SystemTime::UNIX_EPOCH + Duration::try_from_secs_f64(time).ok()?;
    let ago = SystemTime::now().duration_since(time).unwrap_or_default();
    Instant::now().checked_sub(ago)
}

impl RunStore {
    pub(super) fn new(bucket: Bucket, prefix: &str) -> Self {
        Self {
            bucket,
            prefix: prefix.to_owned(),
        }
    }

    /// The program's key.
    fn program(&self) -> String {
        format!("{}replicator.gz", self.prefix)
    }

    /// The same as a person and the AWS CLI write it.
    pub(super) fn show_program(&self) -> String {
        self.bucket.show(&self.program())
    }

    /// Writes the certificates that workers trust, if there are some.
    pub(super) async fn put_certificates(&self, pem: &[u8]) -> anyhow::Result<Option<WorkerFile>> {
        const NAME: &str = "ca.pem";
        if pem.is_empty() {
            return Ok(None);
        }
        let key = format!("{}{NAME}", self.prefix);
        self.bucket.put_bytes(&key, pem.to_vec()).await?;
        Ok(Some(WorkerFile {
            name: NAME,
            place: self.bucket.show(&key),
            digest: Digest::of(pem),
        }))
    }

    /// Lays out a run: program, shards and spec. Returns the SHA-256 of the spec's object, which proves
    /// the shards too.
    pub(super) async fn lay_out(
        &self,
        program: &mut Program,
        spec: &mut RunSpec,
        shards: Vec<ShardSpec>,
    ) -> anyhow::Result<Digest> {
        let packed = std::mem::take(&mut program.packed);
        self.bucket.put_bytes(&self.program(), packed).await?;
        spec.shards = stream::iter(shards.into_iter().enumerate())
            .map(|(number, shard_spec)| async move {
                self.write_once(&format!("shards/{number}"), &shard_spec)
                    .await
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        self.write_once("order.json", spec).await
    }

    /// The spec with this digest; `None` when the run is over.
    pub(super) async fn spec(&self, digest: &Digest) -> anyhow::Result<Option<RunSpec>> {
        self.read_proven("order.json", digest).await
    }

    pub(super) async fn shard(
        &self,
        number: usize,
        digest: &Digest,
    ) -> anyhow::Result<Option<ShardSpec>> {
        self.read_proven(&format!("shards/{number}"), digest).await
    }

    /// Claims a shard; `Err` names the build that was faster.
    pub(super) async fn claim(
        &self,
        shard: usize,
        build: usize,
    ) -> anyhow::Result<Result<(), Option<usize>>> {
        let key = format!("{}claims/{shard}", self.prefix);
        let text = serde_json::to_string(&ShardClaim { build })?;
        if self.bucket.put_new(&key, &text).await? {
            return Ok(Ok(()));
        }
        let claim: Option<ShardClaim> = self.read(&format!("claims/{shard}")).await?;
        match claim {
            // An answer that was lost on its way.
            Some(claim) if claim.build == build => Ok(Ok(())),
            claim => Ok(Err(claim.map(|claim| claim.build))),
        }
    }

    /// The shards that are claimed.
    pub(super) async fn claimed(&self) -> anyhow::Result<Vec<usize>> {
        let prefix = format!("{}claims/", self.prefix);
        let keys = self.bucket.list(&prefix).await?;
        let keys = keys.iter().filter_map(|(key, _)| key.strip_prefix(&prefix));
        Ok(keys.filter_map(|key| key.parse().ok()).collect())
    }

    pub(super) async fn put_control(&self, control: &Control) -> anyhow::Result<()> {
        self.write("first".to_owned(), control).await
    }

    pub(super) async fn control(&self) -> anyhow::Result<Option<Control>> {
        self.read("first").await
    }

    pub(super) async fn report(&self, build: usize, done: &Report) -> anyhow::Result<()> {
        self.write(format!("builds/{build}"), done).await
    }

    /// The reports of workers; none for those that have not begun.
    pub(super) async fn reports(
        &self,
        builds: impl IntoIterator<Item = usize>,
    ) -> anyhow::Result<Vec<(usize, Report)>> {
        let reports = stream::iter(builds).map(|build| async move {
            let done: Option<Report> = self.read(&format!("builds/{build}")).await?;
            anyhow::Ok(done.map(|done| (build, done)))
        });
        let reports: Vec<_> = reports.buffered(AT_ONCE).try_collect().await?;
        Ok(reports.into_iter().flatten().collect())
    }

    /// Deletes all of this run, and what earlier runs of this module left.
    pub(super) async fn clear(&self) -> anyhow::Result<()> {
        let all = self.prefix.trim_end_matches('/').rsplit_once('/');
        let all = all.map_or("", |(all, _)| all);
        let now = SystemTime::now();
        let keys = self.bucket.list(&format!("{all}/")).await?;
        let gone = keys.into_iter().filter(|(key, changed)| {
            let age = now.duration_since(*changed).unwrap_or_default();
            key.starts_with(&self.prefix) || age > FORGOTTEN_AFTER
        });
        stream::iter(gone)
            .map(|(key, _)| async move { self.bucket.delete(&key).await })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    /// Writes an object that does not change any more; returns its SHA-256.
    async fn write_once<T: Serialize>(&self, name: &str, what: &T) -> anyhow::Result<Digest> {
        let text = serde_json::to_vec(what)?;
        let digest = Digest::of(&text);
        let key = format!("{}{name}", self.prefix);
        self.bucket.put_bytes(&key, text).await?;
        Ok(digest)
    }

    /// Reads an object that must have this SHA-256.
    async fn read_proven<T: DeserializeOwned>(
        &self,
        name: &str,
        digest: &Digest,
    ) -> anyhow::Result<Option<T>> {
        let key = format!("{}{name}", self.prefix);
        let Some(text) = self.bucket.get_text(&key).await? else {
            return Ok(None);
        };
        let found = Digest::of(text.as_bytes());
        if found != *digest {
            bail!(
                "{} was changed after the coordinator had written it: it has the digest {found} instead of {digest}; \
                 only the module's role should be allowed to write there",
                self.bucket.show(&key)
            );
        }
        Ok(Some(serde_json::from_str(&text)?))
    }

    async fn write<T: Serialize + ?Sized>(&self, name: String, what: &T) -> anyhow::Result<()> {
        let text = serde_json::to_string(what)?;
        let key = format!("{}{name}", self.prefix);
        Ok(self.bucket.put_json(&key, &text).await?)
    }

    async fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let key = format!("{}{name}", self.prefix);
        let text = self.bucket.get_text(&key).await?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
    }
}
