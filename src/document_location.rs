//! Where a document of a deployment is: a file, an object, or a result that is kept; and what is beside it.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::aws::Bucket;
use crate::document::{PAGE_FILE, PROOF_FILE, RESULT_FILE};
use crate::files;
use crate::problem::{Problem, Problems};
use crate::publish::{self, Publication};
use crate::reference::Prefix;
use crate::session::Session;
use crate::settings::{Environment, Flags, Settings, TargetChoice, Targets};

/// Where the document is.
#[derive(Debug, Clone)]
pub enum DocumentLocation {
    /// A file.
    File(PathBuf),
    /// An object of S3.
    Object {
        /// Its bucket, in this account and region.
        bucket: String,
        /// Its key.
        key: String,
    },
    /// The module's own object.
    Module(Publication),
    /// One of the results that the module's bucket keeps, as the user named it.
    Wanted {
        /// The module.
        publication: Publication,
        /// The name or the number of the result.
        text: String,
    },
    /// The same, once its key is known.
    Kept {
        /// The module.
        publication: Publication,
        /// The key.
        key: String,
    },
}

impl DocumentLocation {
    /// The bucket that it is in; `None` for a file.
    ///
    /// # Errors
    /// When no region is given, or AWS does not say account and registry.
    pub(crate) async fn bucket(&self, session: &Session) -> anyhow::Result<Option<Bucket>> {
        let (settings, aws) = (&session.settings, &session.aws);
        match self {
            Self::File(_) => Ok(None),
            Self::Object { bucket, .. } => {
                let Some(region) = &settings.aws.region else {
                    let what = "no region is given, so the bucket cannot be read";
                    let problem = Problem::input("AWS_REGION", what);
                    let problem = problem.remedy("set AWS_REGION or AWS_DEFAULT_REGION");
                    return Err(Problems::from(problem).into());
                };
                let account = aws.account(region).await?;
                Ok(Some(aws.bucket(bucket, region, &account).await))
            }
            Self::Module(publication)
            | Self::Wanted { publication, .. }
            | Self::Kept { publication, .. } => {
                let host = session.ecr_host().await?;
                Ok(Some(publication.bucket(&host, aws).await.0))
            }
        }
    }

    /// The document's key in its bucket; empty for a file.
    #[must_use]
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::File(_) | Self::Wanted { .. } => "",
            Self::Object { key, .. } | Self::Kept { key, .. } => key,
            Self::Module(publication) => publication.object(),
        }
    }

    /// The same, with the key of the kept result that is meant.
    ///
    /// # Errors
    /// When no result of this name is kept, or the bucket cannot be read.
    pub(crate) async fn resolve(&self, session: &Session) -> anyhow::Result<Self> {
        let Self::Wanted { publication, text } = self else {
            return Ok(self.clone());
        };
        let bucket = self.bucket(session).await?;
        let bucket = bucket.context("a kept result is in a bucket (please report this)")?;
        let names = publication.kept(&bucket).await?;
        let name = publish::find(&names, text).map_err(|what| not_kept(text, what))?;
        Ok(Self::Kept {
            publication: publication.clone(),
            key: publication.kept_object(name),
        })
    }

    /// The document, with its name in messages.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn read(&self, session: &Session) -> anyhow::Result<(String, Vec<u8>)> {
        let place = self.resolve(session).await?;
        if let Self::File(path) = &place {
            let shown = path.display().to_string();
            let text = files::read(path).map_err(|what| missing(&shown, what))?;
            return Ok((shown, text));
        }
        let bucket = place.bucket(session).await?;
        let bucket = bucket.context("an object is in a bucket (please report this)")?;
        let shown = bucket.show(place.key());
        match bucket.get_text(place.key()).await? {
            Some(text) => Ok((shown, text.into_bytes())),
            None => Err(missing(&shown, "there is no such object".to_owned()).into()),
        }
    }

    /// The proof beside the document, with its name in messages; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn proof(
        &self,
        session: &Session,
    ) -> anyhow::Result<(String, Option<Vec<u8>>)> {
        let Self::File(path) = self else {
            return self.beside(session, &publish::proof_key(self.key())).await;
        };
        let path = path.with_file_name(PROOF_FILE);
        let shown = path.display().to_string();
        let text = path.exists().then(|| files::read(&path)).transpose();
        let text = text.map_err(|what| anyhow!("{shown} {what}"))?;
        Ok((shown, text))
    }

    /// The page of the report beside the document, where there is one that can be read.
    pub(crate) async fn page(&self, session: &Session) -> Option<String> {
        if let Self::File(path) = self {
            return std::fs::read_to_string(path.with_file_name(PAGE_FILE)).ok();
        }
        let page = self.beside(session, &publish::page_key(self.key())).await;
        String::from_utf8(page.ok()?.1?).ok()
    }

    /// Another object of the document's bucket.
    async fn beside(
        &self,
        session: &Session,
        key: &str,
    ) -> anyhow::Result<(String, Option<Vec<u8>>)> {
        let bucket = self.bucket(session).await?;
        let bucket = bucket.context("a file is in no bucket (please report this)")?;
        let text = bucket.get_text(key).await?;
        Ok((bucket.show(key), text.map(String::into_bytes)))
    }
}

/// Where a command finds the document that its user means, and the settings to read it with: what is named; else
/// the module's own in a Seed-Farmer build; else the file in the output folder.
///
/// # Errors
/// Every problem of parameters, and a kept result that is not there.
pub fn find(
    result: Option<&str>,
    out: Option<&Path>,
    flags: &Flags,
    environment: &Environment,
) -> Result<(Settings, DocumentLocation), Problems> {
    let by_name = || Settings::without_target(flags, environment);
    let folder = out.unwrap_or(Path::new("."));
    let is_kept = result.filter(|text| is_kept(text));
    if out.is_none()
        && (result.is_none() || is_kept.is_some())
        && let Some((settings, publication)) = module(flags, environment, Targets::Project)?
    {
        return Ok((settings, in_module(publication, is_kept)));
    }
    let place = match (result, is_kept) {
        (_, Some(text)) => kept_in_folder(folder, text)?,
        (Some(text), None) => named(text)?,
        (None, None) => DocumentLocation::File(folder.join(RESULT_FILE)),
    };
    Ok((by_name()?, place))
}

/// Whether a text means a kept result; a file of this name is meant first.
#[must_use]
pub fn is_kept(text: &str) -> bool {
    publish::can_be_kept(text) && !Path::new(text).exists()
}

/// The module's own result, or a kept one.
#[must_use]
pub(crate) fn in_module(publication: Publication, kept: Option<&str>) -> DocumentLocation {
    match kept {
        None => DocumentLocation::Module(publication),
        Some(text) => DocumentLocation::Wanted {
            publication,
            text: text.to_owned(),
        },
    }
}

/// A kept result of an output folder.
///
/// # Errors
/// When no result of this name is kept there.
pub(crate) fn kept_in_folder(out: &Path, text: &str) -> Result<DocumentLocation, Problems> {
    let names =
        publish::kept_in(out).map_err(|error| Problem::input(text, format!("{error:#}")))?;
    let name = publish::find(&names, text).map_err(|what| not_kept(text, what))?;
    Ok(DocumentLocation::File(publish::kept_file(out, name)))
}

fn not_kept(text: &str, what: String) -> Problems {
    let remedy = "`replicator publish --list` shows the results that are kept";
    Problem::input(text, what).remedy(remedy).into()
}

/// The module, if its names are given and it publishes to a bucket.
///
/// # Errors
/// Every problem of parameters.
pub(crate) fn module(
    flags: &Flags,
    environment: &Environment,
    targets: Targets,
) -> Result<Option<(Settings, Publication)>, Problems> {
    let given = &environment.seed_farmer;
    let names = [
        flags.project.as_ref().or(given.project_name.as_ref()),
        flags.deployment.as_ref().or(given.deployment_name.as_ref()),
        flags.module.as_ref().or(given.module_name.as_ref()),
    ];
    if names.iter().any(Option::is_none) {
        return Ok(None);
    }
    let settings = Settings::with_targets(flags, environment, targets)?;
    match settings.target {
        TargetChoice::Module { .. } | TargetChoice::Given(Prefix::Ecr { .. }) => {
            let publication = Publication::new(&settings.module)?;
            Ok(Some((settings, publication)))
        }
        TargetChoice::Named | TargetChoice::Given(_) => Ok(None),
    }
}

/// The file that a path means: of a folder, the result in it.
#[must_use]
pub fn file(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(RESULT_FILE)
    } else {
        path.to_owned()
    }
}

/// A file, the result in an output folder, or an object.
///
/// # Errors
/// When the name of an object is not one.
pub(crate) fn named(text: &str) -> Result<DocumentLocation, Problems> {
    let Some(object) = text.strip_prefix("s3://") else {
        let path = file(Path::new(text));
        return Ok(DocumentLocation::File(path));
    };
    match object.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
            Ok(DocumentLocation::Object {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            })
        }
        _ => Err(Problem::input(text, "an object has the form s3://BUCKET/KEY").into()),
    }
}

fn missing(shown: &str, what: String) -> Problems {
    let remedy = "`replicator deploy` writes it when every artifact is at the target";
    Problem::input(shown, what).remedy(remedy).into()
}
