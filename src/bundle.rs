//! A bundle, which `save` writes and `load` deploys: an archive of everything that a deployment reads, as its
//! only source.

mod absent;
mod object;
mod since;
mod upload;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::aws::{Aws, Bucket};
use crate::document::{BundleInfo, bundle_document, lock_file};
use crate::inventory::{BundledLock, ChartRepository, Inventory};
use crate::plan::{CopySource, Plan};
use crate::problem::{Problem, Problems};
use crate::progress;
use crate::reference::Prefix;
use crate::settings::{self, Settings, TargetChoice};
use oci_copy::reference::Location;
use oci_copy::store::archive::{Archive, Damage, Files, Ranges};
use oci_copy::store::{Error, Source as _, tag_or_digest};

pub use crate::settings::BundleLocation;
pub use since::{Since, repository_of};
pub use upload::BundleUpload;

use object::Object;

/// How many damaged parts are named.
const NAMED: usize = 10;

/// A bundle that was opened: its front is right.
pub struct Bundle {
    archive: Arc<Archive>,
    info: BundleInfo,
    /// What it is read from, where that is a bucket.
    object: Option<Arc<Object>>,
}

impl Bundle {
    /// Opens a bundle on the local disk.
    ///
    /// # Errors
    /// When it is none, it was cut, or its front is damaged.
    pub async fn open_file(path: &Path) -> anyhow::Result<Self> {
        let files =
            Files::open(path).map_err(|error| unusable(&path.display().to_string(), error))?;
        Self::open(Arc::new(files)).await
    }

    /// Opens a bundle.
    ///
    /// # Errors
    /// When it is none, it was cut, or its front is damaged.
    pub async fn open(ranges: Arc<dyn Ranges>) -> anyhow::Result<Self> {
        let shown = ranges.shown();
        let archive = Archive::open(ranges)
            .await
            .map_err(|error| unusable(&shown, error))?;
        let info = archive
            .document(&BundleInfo::path())
            .await
            .map_err(|error| unusable(&shown, error))?;
        let info =
            info.ok_or_else(|| "it is an archive that `replicator save` did not write".to_owned());
        let info = info.and_then(|text| BundleInfo::parse(&text));
        let info = info.map_err(|what| Problems::from(Problem::input(shown, what)))?;
        Ok(Self {
            archive,
            info,
            object: None,
        })
    }

    /// The archive.
    #[must_use]
    pub fn archive(&self) -> &Arc<Archive> {
        &self.archive
    }

    /// The EKS version whose data files it has.
    #[must_use]
    pub fn eks_version(&self) -> &str {
        &self.info.eks_version
    }

    /// The inventory of its data files, with its charts in place of the charts' own repositories, and its lock.
    ///
    /// # Errors
    /// Every problem of the data files, and charts that it does not have.
    pub async fn inventory(&self) -> anyhow::Result<Inventory> {
        let shown = self.archive.shown();
        let [default, version] = self.info.data_files();
        let (default, version) = (
            self.document(&default).await?,
            self.document(&version).await?,
        );
        let mut inventory = Inventory::parse(self.eks_version(), &default, &version)?;
        let lock = bundle_document(&lock_file(self.eks_version()));
        inventory.bundled_lock = Some(BundledLock {
            text: self.document(&lock).await?,
            place: format!("{shown} ({lock})"),
        });
        let mut problems = Vec::new();
        for spec in &mut inventory.charts {
            match self.chart(&spec.key) {
                Some(location) => spec.repository = ChartRepository::Bundle(location),
                None => problems.push(Problem::input(
                    spec.place.as_str(),
                    format!("{shown} does not have the chart"),
                )),
            }
        }
        Problems::check(problems)?;
        Ok(inventory)
    }

    /// One of its documents.
    async fn document(&self, path: &str) -> anyhow::Result<Bytes> {
        let text = self.archive.document(path).await;
        let text = text.map_err(|error| unusable(&self.archive.shown(), error))?;
        let text = text.ok_or_else(|| self.problem(format!("it has no {path}")))?;
        Ok(text)
    }

    fn chart(&self, key: &str) -> Option<Location> {
        let chart = self.info.charts.get(key)?;
        if chart.is_artifact {
            return chart.name.parse().ok();
        }
        // The archive is asked, whatever the folder is called.
        Some(Location::Layout {
            dir: "bundle".into(),
            name: chart.name.clone(),
        })
    }

    /// Checks that it has everything that a plan copies.
    ///
    /// # Errors
    /// Everything that it does not have.
    pub async fn check_plan(&self, plan: &Plan) -> anyhow::Result<()> {
        let mut problems = Vec::new();
        for copy in &plan.copies {
            let CopySource::At(location) = &copy.source else {
                continue;
            };
            let found = self
                .archive
                .repository(location)
                .resolve(&tag_or_digest(location))
                .await?;
            if found.is_none() {
                let what = format!(
                    "it does not have {} (for {})",
                    copy.source_text,
                    copy.used_by.join(", ")
                );
                problems.push(Problem::input(self.archive.shown(), what).remedy(
                    "save it again with the parameters of this deployment (Closure, Platforms and data files decide what it has)",
                ));
            }
        }
        Problems::check(problems)?;
        Ok(())
    }

    /// Reads all of it, and checks every byte. What is in a bucket is kept in a file in `out` or above, if the
    /// disk has the room: it is read over the network once.
    ///
    /// # Errors
    /// What is damaged.
    pub async fn verify(&self, out: &Path) -> anyhow::Result<()> {
        let (started, shown) = (Instant::now(), self.archive.shown());
        let size = progress::bytes(self.archive.index().size);
        if let Some(object) = &self.object {
            let folder = out.ancestors().find(|folder| folder.is_dir());
            let fetched = object.fetch(folder.unwrap_or(Path::new("."))).await;
            match fetched {
                Ok(()) => tracing::info!(
                    "fetched {shown}, {size}, in {}",
                    progress::duration(started.elapsed())
                ),
                Err(error) if is_full(&error) => {
                    tracing::warn!("{error:#}; it is read twice: to check it, and to copy it");
                }
                Err(error) => return Err(error),
            }
        }
        tracing::info!("checking {shown}, {size}");
        let damages = self.archive.verify(None, |_| {}).await;
        let damages = damages.map_err(|error| unusable(&shown, error))?;
        if !damages.is_empty() {
            return Err(self.problem(damaged(&damages)).into());
        }
        tracing::info!(
            "{shown} is whole: {size} checked in {}",
            progress::duration(started.elapsed())
        );
        Ok(())
    }

    fn problem(&self, what: String) -> Problems {
        Problem::input(self.archive.shown(), what)
            .remedy(REMEDY)
            .into()
    }
}

const REMEDY: &str =
    "carry it over again; `sha256sum` at both sides shows whether a copy is the same";

/// Whether the disk has too little room.
fn is_full(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind;
    let cause = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| {
        matches!(
            cause.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
        )
    })
}

fn damaged(damages: &[Damage]) -> String {
    let mut names: Vec<String> = damages
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    if damages.len() > NAMED {
        names.push(format!("and {} more", damages.len() - NAMED));
    }
    format!(
        "{} damaged, nothing was written: {}",
        if damages.len() == 1 {
            "a part of it is".to_owned()
        } else {
            format!("{} parts of it are", damages.len())
        },
        names.join(", ")
    )
}

/// What is wrong with a bundle is bad input; a service or a disk that fails is not.
fn unusable(shown: &str, error: Error) -> anyhow::Error {
    match error {
        Error::Archive { archive, what } => {
            Problems::from(Problem::input(archive, what).remedy(REMEDY)).into()
        }
        Error::NoArchive { archive, first } => {
            let what = format!("it is not a bundle: it does not begin with {first}");
            let problem = Problem::input(archive, what);
            Problems::from(problem.remedy("give the file that `replicator save` wrote")).into()
        }
        Error::File { source, path, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            let problem = Problem::input(path.display().to_string(), "there is no such file");
            Problems::from(problem.remedy("give the file that `replicator save` wrote")).into()
        }
        error => anyhow::Error::new(error).context(format!("cannot read {shown}")),
    }
}

/// Opens the bundle that the settings name.
///
/// # Errors
/// When it is none, it was cut, its front is damaged, or S3 does not give it.
pub async fn open(named: &settings::Bundle, settings: &Settings) -> anyhow::Result<Bundle> {
    let key = match &named.place {
        BundleLocation::File(path) => return Bundle::open_file(path).await,
        BundleLocation::Object { key, .. } => key,
    };
    let place = named.place.to_string();
    let aws = Aws::new(settings)?;
    let bucket = bucket_of(named, settings, &aws).await?;
    let reader = bucket.reader(key).await.map_err(|error| {
        if !error.is_refusal() {
            return anyhow::Error::new(error);
        }
        let problem = Problem::input(place.as_str(), error.to_string());
        let remedy = "name the account that owns the bucket with the parameter BundleBucketOwner; the bucket must be \
                      in this region, and its policy and key must let this role read the object";
        Problems::from(problem.remedy(remedy)).into()
    })?;
    let reader = reader.ok_or_else(|| {
        let problem = Problem::input(place.as_str(), "there is no such object");
        Problems::from(problem.remedy("upload the file that `replicator save` wrote"))
    })?;
    let object = Object::new(reader);
    let mut bundle = Bundle::open(Arc::clone(&object) as Arc<dyn Ranges>).await?;
    bundle.object = Some(object);
    Ok(bundle)
}

/// The bucket of a bundle.
///
/// # Errors
/// When no region is given, or the account cannot be found out.
pub async fn bucket_of(
    named: &settings::Bundle,
    settings: &Settings,
    aws: &Arc<Aws>,
) -> anyhow::Result<Bucket> {
    let place = named.place.to_string();
    let BundleLocation::Object { bucket, .. } = &named.place else {
        anyhow::bail!("{place} is not in a bucket (please report this)");
    };
    let region = region(settings).ok_or_else(|| {
        let problem = Problem::input(place, "no region is given in which its bucket is");
        Problems::from(problem.remedy("set AWS_REGION"))
    })?;
    let owner = match &named.bucket_owner {
        Some(owner) => owner.clone(),
        None => aws.account(&region).await?,
    };
    Ok(aws.bucket(bucket, &region, &owner).await)
}

/// The region of the build, or else of the target.
fn region(settings: &Settings) -> Option<String> {
    let of_target = match &settings.target {
        TargetChoice::Given(Prefix::Ecr { host, .. }) => Some(host.region.clone()),
        TargetChoice::Module { region, .. } => Some(region.clone()),
        TargetChoice::Given(_) | TargetChoice::Named => None,
    };
    settings.aws.region.clone().or(of_target)
}
