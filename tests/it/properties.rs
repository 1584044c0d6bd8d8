//! What holds of every name and of every plan.

use std::sync::Arc;

use fuzz_properties::{build, invariants};
use helm_chart::archive::Keep;
use oci_copy::reference::{Digest, ImageName, Location};
use proptest::prelude::*;
use proptest::sample::select;
use replication::charts::{Chart, Charts, Content, Fetched};
use replication::inventory::Inventory;
use replication::plan::Plan;
use replication::problem::Problems;

/// A name by the grammar of the distribution specification.
fn name() -> impl Strategy<Value = String> {
    let host = "([a-z0-9]{1,8}(\\.[a-z0-9]{1,8}){1,2}(:[0-9]{1,5})?|localhost)/";
    // A first part with a dot would be a host.
    let path =
        "[a-z0-9]{1,6}((_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,6}(\\.[a-z0-9]{1,4})?){0,3}";
    let tag = ":[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}";
    let digest = "@sha256:[0-9a-f]{64}";
    let whole = format!("({host})?{path}({tag})?({digest})?");
    proptest::string::string_regex(&whole).expect("a regular expression")
}

/// One image of a chart, or an additional one: pieces that meet each other often.
#[derive(Debug, Clone)]
struct Piece {
    registry: Option<&'static str>,
    repository: &'static str,
    tag: &'static str,
    /// Where the tag comes from: values, Chart.yaml, or the repository's own text.
    tag_from: u8,
}

fn piece() -> impl Strategy<Value = Piece> {
    let registries = select(vec![
        None,
        Some("quay.io"),
        Some("QUAY.io"),
        Some("reg.corp:5000"),
        Some("reg.corp-5000"),
        Some("mirror.corp"),
    ]);
    let repositories = select(vec!["team/app", "Team/App", "app", "a/b/c", "a"]);
    let tags = select(vec!["1", "V2", "7.1", ""]);
    (registries, repositories, tags, 0..3_u8).prop_map(|(registry, repository, tag, tag_from)| {
        Piece {
            registry,
            repository,
            tag,
            tag_from,
        }
    })
}

/// A chart's key with its images, `image<n>` each.
type App = (String, Vec<Piece>);

fn apps() -> impl Strategy<Value = (Vec<App>, Vec<Piece>, bool)> {
    let app = (
        select(vec!["one", "two", "three", "four"]),
        prop::collection::vec(piece(), 0..4),
    );
    let app = app.prop_map(|(key, pieces)| (key.to_owned(), pieces));
    let apps = prop::collection::vec(app, 0..4).prop_map(|mut apps| {
        let mut seen = std::collections::BTreeSet::new();
        apps.retain(|(key, _)| seen.insert(key.clone()));
        apps
    });
    (apps, prop::collection::vec(piece(), 0..4), any::<bool>())
}

/// The plan for charts and images in the order in which they are given.
fn planned(apps: &[&App], additional: &[(usize, &Piece)], mapped: bool) -> Result<Plan, Problems> {
    use std::fmt::Write;
    let (mut charts, mut images) = (Charts::new(), String::new());
    let mut text = "charts:\n".to_owned();
    for (key, pieces) in apps {
        let mut values = "top: 1\n".to_owned();
        let chart = format!("name: {key}, repository: https://charts.corp/x, version: 1.0.0");
        writeln!(text, "  {key}: {{{chart}, images: {{").expect("memory");
        for (number, piece) in pieces.iter().enumerate() {
            let registry = piece.registry.unwrap_or_default();
            let repository = match (piece.tag_from, piece.tag) {
                (2, tag) if !tag.is_empty() => format!("{}:{tag}", piece.repository),
                _ => piece.repository.to_owned(),
            };
            writeln!(
                values,
                "i{number}: {{r: '{registry}', n: '{repository}', t: '{}'}}",
                piece.tag
            )
            .expect("memory");
            let at = |path: &str| format!("{{location: values, path: i{number}.{path}}}");
            write!(text, "    image{number}: {{repository: {}", at("n")).expect("memory");
            if !registry.is_empty() {
                write!(text, ", registry: {}", at("r")).expect("memory");
            }
            match piece.tag_from {
                0 => write!(text, ", tag: {}", at("t")).expect("memory"),
                1 => text.push_str(", tag: {location: chart, path: appVersion}"),
                _ => {}
            }
            text.push_str("},\n");
        }
        text.push_str("  }}\n");
        let archive = build::chart(key, &values);
        let chart = Chart::read(&archive, Keep::Description).expect("a chart");
        let fetched = Fetched {
            chart,
            archive: archive.into(),
            content: Content::Archive { provenance: None },
        };
        charts.insert((*key).clone(), Arc::new(fetched));
    }
    for (number, piece) in additional {
        let slash = piece.registry.map(|registry| format!("{registry}/"));
        let tag = if piece.tag.is_empty() { "x" } else { piece.tag };
        let name = format!("{}{}:{tag}", slash.unwrap_or_default(), piece.repository);
        writeln!(images, "  image{number}: {name}").expect("memory");
    }
    writeln!(text, "additional_images:\n{images}").expect("memory");
    let version = if mapped {
        "docker_mappings: {quay.io: mirror.corp}"
    } else {
        "ami: {version: 1.2}"
    };
    let inventory = Inventory::parse("1.34", text.as_bytes(), version.as_bytes())?;
    let prefix = "target.corp/idf-".parse().expect("a prefix");
    Plan::new(&inventory, &charts, &prefix)
}

/// What of a plan does not depend on an order.
fn contents(plan: &Plan) -> (serde_json::Value, Vec<String>) {
    let result = serde_json::from_str(&plan.result.to_json()).expect("JSON");
    let copies = plan.copies.iter();
    let mut copies: Vec<String> = copies
        .map(|copy| format!("{} {}", copy.source_text, copy.target_text))
        .collect();
    copies.sort();
    (result, copies)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_name_is_shown_as_it_was_written(text in name()) {
        let parsed: ImageName = text.parse().expect("a name by the grammar");
        invariants::name(&parsed, &text);
    }

    #[test]
    fn a_location_is_normalised_once_and_for_all(text in name()) {
        if let Ok(location) = text.parse::<Location>() {
            let shown = location.to_string();
            let again: Location = shown.parse().expect("what was shown can be read");
            prop_assert_eq!(again.to_string(), shown);
            prop_assert_eq!(again, location);
        }
    }

    #[test]
    fn what_reads_as_a_name_is_shown_as_it_was_written(text in "[a-zA-Z0-9.:/@_ -]{0,40}") {
        if let Ok(parsed) = text.parse::<ImageName>() {
            invariants::name(&parsed, &text);
        }
    }

    #[test]
    fn a_digest_is_shown_as_it_was_written(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let text = Digest::of(&bytes).to_string();
        prop_assert_eq!(text.parse::<Digest>().expect("a digest").to_string(), text);
    }

    #[test]
    fn a_plan_points_at_what_it_copies_and_does_not_depend_on_the_order_of_keys(
        (apps, additional, mapped) in apps(),
    ) {
        let forward: Vec<&App> = apps.iter().collect();
        let images: Vec<(usize, &Piece)> = additional.iter().enumerate().collect();
        let plan = planned(&forward, &images, mapped);
        let backward: Vec<&App> = apps.iter().rev().collect();
        let turned: Vec<(usize, &Piece)> = images.iter().rev().copied().collect();
        let other = planned(&backward, &turned, mapped);
        match (plan, other) {
            (Ok(plan), Ok(other)) => {
                invariants::plan(&plan);
                prop_assert_eq!(contents(&plan), contents(&other));
            }
            (Err(problems), Err(others)) => {
                prop_assert!(problems.is_input() && others.is_input());
            }
            (plan, other) => prop_assert!(false, "one order is planned, the other is not: {plan:?} {other:?}"),
        }
    }
}
