//! What is fuzzed, and what must hold of it: one function for each target. The tests of the program
//! run the same functions over the corpus.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use helm_chart::archive::Keep;
use helm_chart::dependencies::{Enabled, settle};
use helm_chart::index::{self, Index};
use helm_chart::values::Path;
use helm_chart::values::table::Work;
use helm_chart::yaml::{self, Limits, Spent};
use oci_copy::http::Challenge;
use oci_copy::manifest::{Manifest, Refers, media_type};
use oci_copy::reference::{Digest, ImageName, Location};
use replication::charts::{Chart, Charts, Content, Fetched};
use replication::inventory::Inventory;
use replication::plan::Plan;
use replication::reference::{Mappings, Prefix};
use replication::settings::parse_platforms;

pub mod build;
pub mod invariants;
pub mod render;

/// A target: its name, which is that of its corpus, and what it does.
pub type FuzzTarget = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [FuzzTarget; 10] = [
    ("archives", archives),
    ("challenges", challenges),
    ("chart_values", render::chart_values),
    ("data_files", data_files),
    ("index", index),
    ("manifests", manifests),
    ("references", references),
    ("templates", render::templates),
    ("yaml", yaml),
    ("yaml_output", render::yaml_output),
];

/// A prefix for what is planned.
static PREFIX: LazyLock<Prefix> = LazyLock::new(|| "target.corp/idf-".parse().expect("a prefix"));

/// One prefix that goes to ECR, with its limits on names.
static ECR: LazyLock<Prefix> = LazyLock::new(|| {
    let text = "123456789012.dkr.ecr.us-east-1.amazonaws.com/idf-";
    text.parse().expect("a prefix")
});

/// Names, one a line: each is read as everything that it could be.
///
/// # Panics
/// When something does not hold.
pub fn references(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut mappings = Mappings::default();
    for line in text.split('\n') {
        if let Some((from, to)) = line.split_once('>') {
            mappings.insert(from, to).ok();
        }
        if let Ok(digest) = line.parse::<Digest>() {
            assert_eq!(digest.to_string(), line);
        }
        if let Ok(location) = line.parse::<Location>() {
            let again = location.to_string().parse::<Location>();
            assert_eq!(again.as_ref(), Ok(&location), "{location}");
        }
        if let Ok(path) = line.parse::<Path>() {
            assert_eq!(path.to_string().parse::<Path>().as_ref(), Ok(&path));
        }
        // What stands in front of a name in a folder ends with a colon, which the folder itself does not.
        match line.parse::<Prefix>() {
            Err(_) | Ok(Prefix::Layout { .. }) => {}
            Ok(prefix) => assert_eq!(prefix.to_string().parse::<Prefix>().as_ref(), Ok(&prefix)),
        }
        parse_platforms(line).ok();
        if let Ok(name) = line.parse::<ImageName>() {
            invariants::name(&name, line);
            let mapped = mappings.apply(&name);
            assert_eq!(mapped.tag, name.tag);
            assert_eq!(mapped.digest, name.digest);
            PREFIX.locate(&name.target()).ok();
            ECR.locate(&name.target()).ok();
        }
    }
}

/// A chart with values of all kinds, for plans.
static CHART: LazyLock<Arc<Fetched>> = LazyLock::new(|| {
    let values = "image: {registry: quay.io, repository: team/app, tag: '1'}\n\
                  list: [{image: ghcr.io/a/b:2}, {image: null}]\nempty: {tag: '', name: a/b}\n\
                  odd: {number: 1.10, flag: yes, none: ~, upper: Quay.io/Team/App:V1}\n";
    let archive = build::chart("app", values);
    let chart = Chart::read(&archive, Keep::Description).expect("a chart");
    Arc::new(Fetched {
        chart,
        archive: archive.into(),
        content: Content::Archive { provenance: None },
    })
});

/// `default.yaml`, a NUL, and the version's file.
///
/// # Panics
/// When something does not hold.
pub fn data_files(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (default, version) = (parts.next(), parts.next());
    let version = version.unwrap_or(b"ami: {}");
    match Inventory::parse("1.34", default.unwrap_or_default(), version) {
        Err(problems) => assert!(problems.is_input()),
        Ok(inventory) => {
            drop(inventory.source_hosts());
            let keys = inventory.charts.iter();
            let charts: Charts = keys
                .map(|spec| (spec.key.clone(), Arc::clone(&CHART)))
                .collect();
            for prefix in [&*PREFIX, &*ECR] {
                if let Ok(plan) = Plan::new(&inventory, &charts, prefix) {
                    invariants::plan(&plan);
                }
            }
        }
    }
}

/// A YAML text, in all its readings.
///
/// # Panics
/// When something does not hold.
pub fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // Small, so that what goes over them is found soon.
    let limits = Limits {
        nodes: 5_000,
        depth: 32,
        bytes: 1 << 16,
    };
    let all = yaml::parse(text, &limits);
    let first = yaml::first_document(text, &limits);
    if let Ok(documents) = &all {
        let first = first.as_ref().expect("it is a part of the whole");
        assert_eq!(first.is_some(), !documents.is_empty());
    }
    for node in all.iter().flatten() {
        drop(node.duplicates());
        drop(node.entries());
        if let Ok(value) = node.to_helm_json() {
            let text = value.to_string();
            let again = serde_json::from_str::<serde_json::Value>(&text);
            assert_eq!(again.expect("what was written can be read"), value);
            drop(Path::all(&value));
        }
    }
    let mut spent = Spent::default();
    if let Ok(values) = yaml::values_within(text, &limits, &mut spent) {
        assert!(values.is_object());
        assert!(spent.nodes <= limits.nodes && spent.bytes <= limits.bytes);
    }
}

/// An `index.yaml`. The fast way and the slow way must agree.
///
/// # Panics
/// When something does not hold.
pub fn index(data: &[u8]) {
    let wanted: BTreeSet<String> = ["app", "a", "b-c"].map(str::to_owned).into();
    let read = index::read(data, &wanted);
    if let Ok(index) = &read {
        for name in &wanted {
            let known = index.names.contains(name);
            assert_eq!(known, index.entries.contains_key(name), "{name}");
            for version in ["1.0.0", "v2", "x"] {
                match index.find(name, version) {
                    Ok(entry) => assert!(!entry.version.is_empty()),
                    Err(missing) => drop(missing.remedy()),
                }
            }
        }
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if text.trim_start().starts_with('{') {
        return;
    }
    // Errors inside of charts that no plan needs can go unnoticed on the fast path.
    let slow = index::read_events(text, &wanted);
    if let Ok(slow) = slow {
        let fast: Option<Index> = read.ok();
        assert_eq!(fast, Some(slow));
    }
}

/// A chart's archive: gzipped, or the tar file in it with checksums to be corrected, so that mutations
/// get past both.
///
/// # Panics
/// When something does not hold.
pub fn archives(data: &[u8]) {
    let packed = if data.starts_with(&[0x1f, 0x8b]) {
        data.to_vec()
    } else {
        build::gzip(&build::fix_checksums(data))
    };
    if let Ok(chart) = Chart::read(&packed, Keep::Everything) {
        assert!(!chart.name().contains('/') && !chart.version().is_empty());
        for file in chart.files.iter().chain(&chart.templates) {
            let name = &file.name;
            assert!(!name.starts_with('/') && !name.split('/').any(|part| part == ".."));
        }
        let user = serde_json::Value::Null;
        for enabled in [Enabled::AsHelm, Enabled::All] {
            if let Ok(settled) = settle(&chart, &user, enabled) {
                assert!(settled.values.to_json(&mut Work::default()).is_ok());
            }
        }
        let artifact = replication::charts::Artifact::of(&chart, &packed.into(), None);
        assert_eq!(
            artifact.manifest.digest,
            Digest::of(&artifact.manifest.bytes)
        );
    }
}

/// Headers `WWW-Authenticate`, one a line.
///
/// # Panics
/// When something does not hold.
pub fn challenges(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(Challenge::Bearer { realm, .. }) = Challenge::choose(text.split('\n')) {
        assert!(matches!(realm.scheme(), "http" | "https"), "{realm}");
        assert!(realm.has_host(), "{realm}");
    }
}

/// The content type of a manifest, chosen by its first byte, and its bytes.
///
/// # Panics
/// When something does not hold.
pub fn manifests(data: &[u8]) {
    const TYPES: [Option<&str>; 6] = [
        None,
        Some(media_type::OCI_INDEX),
        Some(media_type::OCI_MANIFEST),
        Some(media_type::DOCKER_LIST),
        Some(media_type::DOCKER_MANIFEST),
        Some("application/json; charset=utf-8"),
    ];
    let Some((first, content)) = data.split_first() else {
        return;
    };
    let content_type = TYPES[usize::from(*first) % TYPES.len()];
    let content = Bytes::copy_from_slice(content);
    let Ok(manifest) = Manifest::parse(content_type, content.clone()) else {
        return;
    };
    assert_eq!(manifest.bytes, content);
    assert_eq!(manifest.digest, Digest::of(&content));
    assert_eq!(manifest.descriptor().size, content.len() as u64);
    let again = Manifest::parse(Some(&manifest.media_type), content);
    assert_eq!(again.ok().as_ref(), Some(&manifest));
    let platforms = manifest.platforms();
    for wanted in ["linux/amd64", "linux/arm64/v8,windows/amd64"] {
        let wanted = parse_platforms(wanted).expect("platforms");
        let Ok(Some(selected)) = manifest.select(&wanted) else {
            continue;
        };
        let (Refers::Manifests(all), Refers::Manifests(kept)) =
            (&manifest.refers, &selected.refers)
        else {
            panic!("only an index is selected from");
        };
        assert!(kept.len() < all.len() && kept.iter().all(|child| all.contains(child)));
        let kept = selected.platforms();
        assert!(!kept.is_empty() && kept.iter().all(|platform| platforms.contains(platform)));
        assert!(matches!(selected.select(&wanted), Ok(None)));
    }
}
