//! What must hold after every run:
//!
//! - exit 0: everything is at the target with the source's digests, and is published;
//! - exit 1: nothing is published, the object of an earlier run is untouched, and the report names at
//!   least one failure;
//! - exit 2, only where the preflight says that the bucket cannot be used: nothing is published;
//! - 143 after SIGTERM, with what holds for 1; no other exit code, no panic, no run without an end;
//! - whatever happened: no tag names incomplete content, no file is half written, no secret stands in any
//!   output, none is sent to another host, memory and connections are bounded.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::child::Ended;
use crate::draw::{End, Shape};
use crate::layout;
use crate::world::{BEFORE, BUCKET, Expected, OBJECT, TargetStore, World};

/// KiB that a process may have.
const MEMORY: u64 = 100 * 1024;
/// Sockets that a process may have open.
const SOCKETS: usize = 128;
/// How long a process may take to end once it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// All that does not hold.
pub(crate) fn after(world: &World, ended: &Ended, end: End) -> Vec<String> {
    let mut wrong = Vec::new();
    bounds(ended, end, &mut wrong);
    if ended.stderr.contains("panicked") || ended.stderr.contains("please report") {
        wrong.push("it says itself that it is broken".to_owned());
    }
    wrong.extend(integrity(world));
    wrong.extend(secrets(world, ended));
    match ended.code {
        Some(0) => wrong.extend(done(world)),
        Some(1) => wrong.extend(failed(world, ended)),
        // SIGTERM.
        Some(143) if matches!(end, End::Terminated(_)) => wrong.extend(failed(world, ended)),
        // The preflight takes a 403 or 404 of the bucket as what it says, and nothing was started.
        Some(2) if ended.stderr.contains("error: the bucket of the result") => {
            wrong.extend(published(world, false));
        }
        // A registry that answers 404 for a chart's version cannot be told from one that does not have it.
        Some(2)
            if ended.stderr.contains("does not have this version")
                && world.source.faults().counts().contains_key("answer 404") =>
        {
            wrong.extend(published(world, false));
        }
        Some(code) => wrong.push(format!("exit code {code}")),
        None if ended.is_cut_short && is_ended_by(end, ended) => {
            wrong.extend(published(world, false));
        }
        None if ended.too_long => {}
        None => wrong.push("it was ended by a signal that was not sent".to_owned()),
    }
    wrong.extend(half_files(world));
    let mut told = HashSet::new();
    wrong.retain(|what| told.insert(what.clone()));
    wrong
}

/// Whether that signal ends a process as it did: SIGTERM only before anything can be heard or was said.
fn is_ended_by(end: End, ended: &Ended) -> bool {
    match end {
        End::Killed(_) => true,
        End::Terminated(after) => ended.stderr.is_empty() && after < Duration::from_millis(500),
        End::ByItself => false,
    }
}

fn bounds(ended: &Ended, end: End, wrong: &mut Vec<String>) {
    if ended.too_long {
        wrong.push(format!("it hangs: no end after {:?}", ended.took));
    }
    if ended.most_memory > MEMORY {
        wrong.push(format!("{} KiB of memory", ended.most_memory));
    }
    if ended.most_sockets > SOCKETS {
        wrong.push(format!("{} sockets", ended.most_sockets));
    }
    if let End::Terminated(after) = end
        && ended.is_cut_short
        && ended.took.saturating_sub(after) > GRACE
    {
        wrong.push(format!(
            "asked to stop after {after:?}, it ended after {:?}",
            ended.took
        ));
    }
}

/// No tag names what is not whole, and no content is other than its digest says.
fn integrity(world: &World) -> Vec<String> {
    match (&world.target, world.target_registry()) {
        (TargetStore::Folder(dir), _) => layout::read(dir).1,
        (_, Some(registry)) => registry.check_integrity(),
        (_, None) => Vec::new(),
    }
}

/// Everything is there with the source's digests.
fn complete(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for image in &world.images {
        match &world.target {
            TargetStore::Folder(dir) => {
                let name = format!("{}:{}", image.repository, image.tag);
                let found = layout::read(dir).0.remove(&name);
                if found.as_deref() != Some(&image.pushed.root.digest) {
                    wrong.push(format!("{name} is {found:?} in the folder"));
                }
            }
            TargetStore::Plain(_) | TargetStore::Ecr(_) => wrong.extend(is_there(world, image)),
        }
    }
    wrong
}

fn is_there(world: &World, image: &Expected) -> Vec<String> {
    let Some(target) = world.target_registry() else {
        return Vec::new();
    };
    let (to, pushed) = (&image.repository, &image.pushed);
    let name = format!("{to}:{}", image.tag);
    let root = target.manifest(to, &image.tag).map(|(_, _, digest)| digest);
    let mut wrong = Vec::new();
    if root.as_deref() != Some(&pushed.root.digest) {
        wrong.push(format!("{name} is {root:?} and not {}", pushed.root.digest));
    }
    for manifest in &pushed.manifests {
        let source = world.source.manifest(&pushed.repository, &manifest.digest);
        if target.manifest(to, &manifest.digest) != source {
            wrong.push(format!("{name} lacks the manifest {}", manifest.digest));
        }
    }
    for blob in &pushed.blobs {
        if target.blob(to, &blob.digest) != world.source.blob(&pushed.repository, &blob.digest) {
            wrong.push(format!("{name} lacks the blob {}", blob.digest));
        }
    }
    // A source that says "no such list" where it has one cannot be distinguished from one that has none.
    let denials = [
        "answer 401",
        "answer 403",
        "answer 404",
        "answer 408",
        "drip",
    ];
    let is_denied = |kind: &String| denials.contains(&kind.as_str());
    let is_silent = world.source.faults().counts().keys().any(is_denied);
    for referrer in image.referrers.iter().filter(|_| !is_silent) {
        if target.manifest(to, &referrer.root.digest).is_none() {
            wrong.push(format!(
                "{name} lacks its referrer {}",
                referrer.root.digest
            ));
        }
    }
    wrong
}

/// Exit 0.
fn done(world: &World) -> Vec<String> {
    let mut wrong = complete(world);
    if world.drawn.shape.is_copy() {
        return wrong;
    }
    let Some(result) = json(&out(world, "replication_result.json")) else {
        wrong.push("exit 0 without a result".to_owned());
        return wrong;
    };
    wrong.extend(recorded(world, &result));
    if world.drawn.shape == Shape::DeployEcr {
        let metadata = world.folder.path().join("work/SEEDFARMER_MODULE_METADATA");
        if json(&metadata).is_none() {
            wrong.push("exit 0 without the module's metadata".to_owned());
        }
        wrong.extend(published(world, true));
    }
    wrong
}

/// The result records what is at the target: the images' digests are the source's, each chart holds its
/// archive.
fn recorded(world: &World, result: &Value) -> Vec<String> {
    let digests = result["digests"].as_object().cloned().unwrap_or_default();
    let mut wrong = Vec::new();
    let of = |name: &str| {
        let mut named = digests.iter().filter(|(key, _)| key.ends_with(name));
        named.next().and_then(|(_, digest)| digest.as_str())
    };
    for image in &world.images {
        let name = format!("/{}:{}", image.pushed.repository, image.tag);
        if of(&name) != Some(&image.pushed.root.digest) {
            wrong.push(format!("the result records {:?} for {name}", of(&name)));
        }
    }
    for (name, archive) in &world.archives {
        let version = if name.starts_with("oci") {
            "2.0.0"
        } else {
            "1.0.0"
        };
        let Some(digest) = of(&format!("/{name}:{version}")) else {
            wrong.push(format!("the result does not record the chart {name}"));
            continue;
        };
        let is_there = match (&world.target, world.target_registry()) {
            (TargetStore::Folder(dir), _) => {
                let manifest = std::fs::read(dir.join("blobs").join(digest.replace(':', "/")));
                manifest.is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(archive))
            }
            (_, Some(registry)) => registry.repositories().iter().any(|repository| {
                let manifest = registry.manifest(repository, version);
                manifest.is_some_and(|(_, bytes, found)| {
                    found == digest && String::from_utf8_lossy(&bytes).contains(archive)
                })
            }),
            (_, None) => false,
        };
        if !is_there {
            wrong.push(format!("the chart {name} is not at the target"));
        }
    }
    wrong
}

/// The object is what it was before, or the result of a target where everything is. When it is not said
/// that it must be the result (the process ended before it could know), both are right.
fn published(world: &World, must: bool) -> Vec<String> {
    let Some(aws) = world
        .aws()
        .filter(|_| world.drawn.shape == Shape::DeployEcr)
    else {
        return Vec::new();
    };
    let object = aws.object(BUCKET, OBJECT);
    let before = world.drawn.published_before.then_some(BEFORE);
    if object.as_deref() == before {
        return if must {
            vec!["exit 0, and nothing is published".to_owned()]
        } else {
            Vec::new()
        };
    }
    let mut wrong = complete(world);
    let result = object.and_then(|object| serde_json::from_slice::<Value>(&object).ok());
    match result {
        None => wrong.push("the published document is incomplete".to_owned()),
        Some(result) => wrong.extend(recorded(world, &result)),
    }
    wrong
}

/// Exit 1.
fn failed(world: &World, ended: &Ended) -> Vec<String> {
    let mut wrong = Vec::new();
    let report = json(&out(world, "replication_report.json"));
    let failures = report.as_ref().map(|report| {
        let artifacts = report["artifacts"].as_array().into_iter().flatten();
        let failed = artifacts.filter(|artifact| {
            artifact["done"] == "failed"
                && artifact["error"]
                    .as_array()
                    .is_some_and(|error| !error.is_empty())
        });
        let whole = report["error"].as_array().map_or(0, Vec::len);
        failed.count() + whole
    });
    match failures {
        None => wrong.push("exit 1 without a report".to_owned()),
        Some(0) => wrong.push("exit 1, and the report names no failure".to_owned()),
        Some(_) => {}
    }
    if !ended.stderr.contains("error: ") {
        wrong.push("exit 1 without a reason".to_owned());
    }
    if out(world, "replication_result.json").exists() {
        wrong.push("exit 1, and there is a result".to_owned());
    }
    // When the answer to the upload is lost each time, the program cannot know whether it is there. Then it is the
    // truth at least.
    let is_lost = world.aws().is_some_and(|aws| {
        let injected = aws.faults().injected();
        injected
            .iter()
            .any(|(_, request)| request.method == "PUT" && request.path.ends_with(OBJECT))
    });
    if is_lost || ended.is_cut_short {
        wrong.extend(published(world, false));
    } else if let Some(aws) = world.aws() {
        let before = world.drawn.published_before.then_some(BEFORE);
        if aws.object(BUCKET, OBJECT).as_deref() != before {
            wrong.push("exit 1, and something was published".to_owned());
        }
    }
    wrong
}

/// Files that others read are whole.
fn half_files(world: &World) -> Vec<String> {
    let names = [
        "out/replication_result.json",
        "out/replication_report.json",
        "out/updated_images.json",
        "work/SEEDFARMER_MODULE_METADATA",
    ];
    let paths = names.map(|name| world.folder.path().join(name));
    let broken = paths
        .iter()
        .filter(|path| path.exists() && json(path).is_none());
    broken
        .map(|path| format!("{} is half written", path.display()))
        .collect()
}

/// No secret in any output, and none at a host that it is not for.
fn secrets(world: &World, ended: &Ended) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut look = |place: String, text: &str| {
        for secret in world.secrets.iter().filter(|secret| text.contains(*secret)) {
            wrong.push(format!("the secret {secret} stands in {place}"));
        }
    };
    look("standard output".to_owned(), &ended.stdout);
    look("standard error".to_owned(), &ended.stderr);
    for folder in ["out", "work", "mirror"] {
        for path in files(&world.folder.path().join(folder)) {
            let bytes = std::fs::read(&path).unwrap_or_default();
            look(path.display().to_string(), &String::from_utf8_lossy(&bytes));
        }
    }
    // The first two are of the source, the next two of the target.
    let (source, target) = world.secrets[..4].split_at(2);
    let mut sent = |wire: &lab::wire::Wire, secrets: &[String], host: &str| {
        let requests = wire.requests();
        let mut headers = requests
            .iter()
            .filter_map(|request| request.authorization.as_deref());
        if headers.any(|header| {
            secrets
                .iter()
                .any(|secret| header.contains(secret.as_str()))
        }) {
            wrong.push(format!(
                "a password was sent to {host}, for which it is not"
            ));
        }
    };
    sent(world.source.wire(), target, "the source");
    sent(world.charts.wire(), source, "the chart repository");
    if let Some(registry) = world.target_registry() {
        sent(registry.wire(), source, "the target");
    }
    wrong
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

fn out(world: &World, name: &str) -> PathBuf {
    world.folder.path().join("out").join(name)
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
