//! What `deploy` checks at ECR before it copies anything: whose the repositories are, the bucket, and the settings
//! that only AWS can judge. What AWS refuses here is bad input: exit code 2, and nothing was copied.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::aws::{Aws, Ecr, Error, Tags};
use crate::ownership::{Owner, has_owner, owner};
use crate::plan::Plan;
use crate::problem::{Problem, Problems};
use crate::publish::{Publication, ResultSet, Results};
use crate::reference::{EcrHost, Prefix};
use crate::session::Session;

/// How many repositories are asked about at once.
const AT_ONCE: usize = 8;

/// Checks a plan whose target is ECR, and brings bucket and existing repositories into line with the
/// parameters. Returns the repositories that this program did not create.
///
/// # Errors
/// Bad input where AWS refuses; otherwise what failed.
pub(super) async fn prepare(
    session: &Session,
    plan: &Plan,
    publication: &Publication,
) -> anyhow::Result<BTreeSet<String>> {
    let Prefix::Ecr { host, .. } = &plan.prefix else {
        return Ok(BTreeSet::new());
    };
    let aws = &session.aws;
    let ecr = aws.ecr(host);
    check_key(aws, host)?;
    let existing = existing(&ecr, plan).await;
    let existing = existing.context("cannot look at the repositories of the target")?;
    let shared = check_owners(aws, host, &existing, publication).await?;
    ecr.settle_blob_mounting().await?;
    let mut problems = Vec::new();
    if ecr.has_settings() {
        let reconciled = stream::iter(&existing).map(|(name, tags)| {
            let ecr = &ecr;
            async move { (name, ecr.reconcile(name, tags).await) }
        });
        let reconciled: Vec<_> = reconciled.buffered(AT_ONCE).collect().await;
        for (name, reconciled) in reconciled {
            match reconciled {
                Ok(Some(warning)) => tracing::warn!("{warning}"),
                Ok(None) => {}
                Err(error) => problems.push(refusal("settings of the repository", name, error)?),
            }
        }
    }
    // Of the new ones, the first shows whether ECR takes the settings.
    let new = plan.repositories().into_iter();
    let first = new.into_iter().find(|name| !existing.contains_key(*name));
    let judged = first.filter(|_| ecr.has_settings_to_judge() && problems.is_empty());
    if let Some(name) = judged
        && let Err(error) = ecr.ensure(name).await
    {
        problems.push(refusal("settings of the new repository", name, error)?);
    }
    if let Err(error) = publication.prepare(host, aws).await {
        let (bucket, object) = publication.bucket(host, aws).await;
        problems.push(refusal(
            "the bucket of the result",
            bucket.show(object),
            error,
        )?);
    }
    Problems::check(problems)?;
    Ok(shared)
}

/// A key encrypts only in its own region.
fn check_key(aws: &Aws, host: &EcrHost) -> Result<(), Problems> {
    let Some(key) = &aws.repositories().kms_key else {
        return Ok(());
    };
    let region = key.split(':').nth(3).unwrap_or_default();
    if region == host.region {
        return Ok(());
    }
    let what = format!(
        "the key {key} is in the region `{region}`, the repositories are in {}",
        host.region
    );
    Err(Problem::input("parameter KmsKeyArn", what).into())
}

/// The repositories of a plan that exist, with their tags.
async fn existing(ecr: &Ecr, plan: &Plan) -> Result<BTreeMap<String, Tags>, Error> {
    let all = ecr.repositories().await?;
    let names = plan.repositories().into_iter();
    let names = names.filter(|name| all.contains_key(*name));
    let tagged = stream::iter(names).map(|name| async move {
        let tags = ecr.tags(name).await?;
        Ok(tags.map(|tags| (name.to_owned(), tags)))
    });
    let tagged: Vec<_> = tagged.buffered(AT_ONCE).try_collect().await?;
    Ok(tagged.into_iter().flatten().collect())
}

/// Refuses repositories of other projects and programs, and warns about those that no tag and no earlier
/// result claims; returns the latter.
async fn check_owners(
    aws: &Aws,
    host: &EcrHost,
    existing: &BTreeMap<String, Tags>,
    publication: &Publication,
) -> anyhow::Result<BTreeSet<String>> {
    let project = aws.project().unwrap_or_default();
    let adopt = aws.repositories().adopt;
    let mut problems = Vec::new();
    let mut unknown = BTreeMap::new();
    for (name, tags) in existing {
        match owner(tags, project) {
            Owner::Project => {}
            Owner::Another(tag) => {
                let what = format!("it belongs to another project or program: its tag says {tag}");
                problems.push(Problem::input(format!("the repository {name}"), what).remedy(
                    "rename the artifact's target, or write to it all the same with the parameter \
                     AdoptRepositories: true (--adopt-repositories)",
                ));
            }
            Owner::Unknown => {
                unknown.insert(name, tags);
            }
        }
    }
    if !adopt {
        Problems::check(problems)?;
    }
    if unknown.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (bucket, object) = publication.bucket(host, aws).await;
    let results = Results::read(&bucket, &host.to_string(), ResultSet::Current).await;
    let results = match results {
        Ok(results) => results,
        Err(error) => {
            let problem = refusal("the bucket of the result", bucket.show(object), error)?;
            return Err(Problems::from(problem).into());
        }
    };
    // The Python module gave its repositories no tags, but its results name them.
    let is_claimed = |name: &str, tags: &Tags| !has_owner(tags) && results.claim(name);
    let shared = unknown.into_iter();
    let shared = shared.filter(|(name, tags)| !is_claimed(name, tags));
    let shared: BTreeSet<String> = shared.map(|(name, _)| name.clone()).collect();
    for name in shared.iter().filter(|_| !adopt) {
        tracing::warn!(
            "this program did not create the repository {name}, and writes to it: no tag and no earlier result \
             says that it is this project's (AdoptRepositories: true, or --adopt-repositories, ends this warning)"
        );
    }
    Ok(shared)
}

/// What AWS refuses is bad input.
///
/// # Errors
/// The error itself, where AWS did not refuse but failed.
fn refusal(what: &str, name: impl Display, error: Error) -> anyhow::Result<Problem> {
    let place = format!("{what} {name}");
    if !error.is_refusal() {
        return Err(anyhow::Error::new(error).context(place));
    }
    let remedy = error.remedy();
    let problem = Problem::input(place, error.to_string());
    Ok(match remedy {
        Some(remedy) => problem.remedy(remedy),
        None => problem,
    })
}
