//! Where the document is that a command reads: a file, an object, or a result that is kept.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::aws::Bucket;
use crate::document::RESULT_FILE;
use crate::files;
use crate::problem::{Problem, Problems};
use crate::publish::{self, Publication};
use crate::reference::{EcrHost, Prefix};
use crate::session::Session;
use crate::settings::{Environment, Flags, Settings, TargetChoice, Targets};

/// Where the document is.
#[derive(Debug, Clone)]
pub(super) enum DocumentLocation {
    File(PathBuf),
    Object {
        bucket: String,
        key: String,
    },
    /// The module's own object.
    Module(Publication),
    /// One of the results that the module's bucket keeps, as the user named it.
    Wanted {
        publication: Publication,
        text: String,
    },
    /// The same, once its key is known.
    Kept {
        publication: Publication,
        key: String,
    },
}

impl DocumentLocation {
    /// The bucket that it is in; `None` for a file.
    pub(super) async fn bucket(&self, session: &Session) -> anyhow::Result<Option<Bucket>> {
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
                let host = ecr_host(session).await?;
                Ok(Some(publication.bucket(&host, aws).await.0))
            }
        }
    }

    /// The document's key in its bucket.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::File(_) | Self::Wanted { .. } => "",
            Self::Object { key, .. } | Self::Kept { key, .. } => key,
            Self::Module(publication) => publication.object(),
        }
    }

    /// The same, with the key of the kept result that is meant.
    pub(super) async fn resolve(&self, session: &Session) -> anyhow::Result<Self> {
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
}

/// Where a command finds the document that its user means, and the settings to read it with: what is named; else
/// the module's own in a Seed-Farmer build; else the file in the output folder.
pub(super) fn place(
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
        (Some(text), None) => place_of(text)?,
        (None, None) => DocumentLocation::File(folder.join(RESULT_FILE)),
    };
    Ok((by_name()?, place))
}

/// Whether a text means a kept result; a file of this name is meant first.
pub(super) fn is_kept(text: &str) -> bool {
    publish::can_be_kept(text) && !Path::new(text).exists()
}

/// The module's own result, or a kept one.
pub(super) fn in_module(publication: Publication, kept: Option<&str>) -> DocumentLocation {
    match kept {
        None => DocumentLocation::Module(publication),
        Some(text) => DocumentLocation::Wanted {
            publication,
            text: text.to_owned(),
        },
    }
}

/// A kept result of an output folder.
pub(super) fn kept_in_folder(out: &Path, text: &str) -> Result<DocumentLocation, Problems> {
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
pub(super) fn module(
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

/// A file or an object.
pub(super) fn place_of(text: &str) -> Result<DocumentLocation, Problems> {
    let Some(object) = text.strip_prefix("s3://") else {
        return Ok(DocumentLocation::File(PathBuf::from(text)));
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

/// The document, with its name in messages.
pub(super) async fn read(
    place: &DocumentLocation,
    session: &Session,
) -> anyhow::Result<(String, Vec<u8>)> {
    let place = place.resolve(session).await?;
    if let DocumentLocation::File(path) = &place {
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

/// The registry of a module that publishes to a bucket.
pub(super) async fn ecr_host(session: &Session) -> anyhow::Result<EcrHost> {
    match session.prefix().await? {
        Prefix::Ecr { host, .. } => Ok(host),
        other => bail!("{other} is not ECR (please report this)"),
    }
}

fn missing(shown: &str, what: String) -> Problems {
    let remedy = "`replicator deploy` writes it when every artifact is at the target";
    Problem::input(shown, what).remedy(remedy).into()
}
