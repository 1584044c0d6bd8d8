use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Entry, Error, Index, closest, plain, read, read_events};

const INDEX: &str = r#"apiVersion: v1
entries:
  alpha:
  - annotations:
      changes: |
        - kind: "changed
          bravo: [
    apiVersion: v2
    appVersion: "1.10"
    created: "2025-01-01T00:00:00Z"
    description: "Text that goes on: over\
      \ two lines"
    digest: 0aff
    keywords: []
    urls:
    - https://example.com/alpha-1.10.0.tgz
    - alpha-1.10.0.tgz
    version: 1.10.0
  - appVersion: 1.10
    digest: null
    urls: [alpha-1.9.0.tgz]
    version: v1.9.0
  - urls: []
  - null
  bravo-charlie:
  - description: 'it''s'
    version: 0.1.0
  delta: []
generated: "2025-01-01T00:00:00Z"
"#;

#[test]
fn wanted_entries_are_read_and_all_names_are_known() {
    let index = read(INDEX.as_bytes(), &wanted(&["alpha", "delta", "echo"])).unwrap();
    assert_eq!(index.names, ["alpha", "bravo-charlie", "delta"]);
    assert_eq!(index.entries["delta"], []);
    assert_eq!(index.entries.len(), 2);
    assert_eq!(
        index.entries["alpha"],
        [
            Entry {
                version: "1.10.0".to_owned(),
                urls: vec![
                    "https://example.com/alpha-1.10.0.tgz".to_owned(),
                    "alpha-1.10.0.tgz".to_owned(),
                ],
                digest: Some("0aff".to_owned()),
                created: Some("2025-01-01T00:00:00Z".to_owned()),
                app_version: Some("1.10".to_owned()),
            },
            Entry {
                version: "v1.9.0".to_owned(),
                urls: vec!["alpha-1.9.0.tgz".to_owned()],
                app_version: Some("1.1".to_owned()),
                ..Entry::default()
            },
        ]
    );
    assert_eq!(
        plain::read(INDEX, &wanted(&["alpha", "delta"])),
        Some(index.clone())
    );
    assert_eq!(
        read_events(INDEX, &wanted(&["alpha", "delta"])).unwrap(),
        index
    );
}

#[test]
fn json_is_read_too() {
    let text = r#" {"apiVersion": "v1", "generated": "x", "entries": {
        "a": [null, {"version": "1.0.0", "urls": ["a.tgz"], "digest": "d", "x": {"y": [1]}}, {"name": "a"}],
        "b": [{"version": 3}], "c": null}}"#;
    let index = read(text.as_bytes(), &wanted(&["a", "c"])).unwrap();
    assert_eq!(index.names, ["a", "b", "c"]);
    assert_eq!(index.entries["a"].len(), 1);
    assert_eq!(index.entries["a"][0].urls, ["a.tgz"]);
    assert_eq!(index.entries["c"], []);
    assert!(matches!(
        read(text.as_bytes(), &wanted(&["b"])),
        Err(Error::Json(_))
    ));
    // YAML in flow style looks like it.
    let flow = "{apiVersion: v1, entries: {a: [{version: 1.0.0}]}}";
    assert_eq!(
        read(flow.as_bytes(), &wanted(&["a"])).unwrap().entries["a"].len(),
        1
    );
}

#[test]
fn what_is_no_index_is_an_error() {
    let message = |text: &[u8]| {
        let error = read(text, &wanted(&["a"])).unwrap_err();
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    };
    let rows: [(&[u8], &str); 11] = [
        (b"", "this is not an index of charts: it is empty"),
        (
            b"404 page not found\n",
            "this is not an index of charts: its top level is not a mapping",
        ),
        (
            b"entries: {}\n",
            "this is not an index of charts: it has no apiVersion",
        ),
        (
            b"{\"message\": \"not found\"}",
            "this is not an index of charts: it has no apiVersion",
        ),
        (
            b"\x1f\x8b\x08\x00",
            "the index is not text: it is not UTF-8 from byte 1 on",
        ),
        (
            b"apiVersion: v1\nentries: []\n",
            "the index cannot be read: line 2, column 10: entries must be a mapping",
        ),
        (
            b"\x00\x01",
            "the index cannot be read: line 1, column 1: the control character '\\0' is not allowed",
        ),
        (
            b"apiVersion: v1\nentries:\n  a:\n  - version: 1\n  b: []\n  a: []\n",
            "the index cannot be read: line 6, column 3: `a` is here for the second time",
        ),
        (
            b"apiVersion: v1\nentries: {}\napiVersion: v1\n",
            "the index cannot be read: line 3, column 1: `apiVersion` is here for the second time",
        ),
        (
            b"apiVersion: v1\nentries:\n  a:\n    version: 1\n",
            "the index cannot be read: line 4, column 5: the versions of a chart must be a list, this is a mapping",
        ),
        (
            b"apiVersion: v1\nentries:\n  a:\n  - version: 1\n    version: 2\n",
            "the index cannot be read: line 5, column 5: the entry has this key twice",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(message(text), expected);
    }
}

#[test]
fn anchors_cost_no_more_than_the_budget() {
    let index = |alias: &str| {
        format!(
            "apiVersion: v1\nx: &x [{}]\nentries:\n  a:\n  - version: {alias}\n  b: [*x]\n",
            "y,".repeat(9)
        )
    };
    let text = format!("version: &v 1.0.0\n{}", index("*v"));
    let read_a = |text: &str| read(text.as_bytes(), &wanted(&["a"]));
    assert_eq!(read_a(&text).unwrap().entries["a"][0].version, "1.0.0");
    read_a(&index("*none")).unwrap_err();
    // Not wanted and not built: a million aliases.
    let text = format!("{}  c: [{}]\n", index("1"), "*x,".repeat(1_000_000));
    assert_eq!(read_a(&text).unwrap().names, ["a", "b", "c"]);
    read(text.as_bytes(), &wanted(&["c"])).unwrap_err();
}

#[test]
fn a_chart_with_many_versions_is_read_either_way() {
    const VERSIONS: usize = 2_000;
    let mut text = "apiVersion: v1\nentries:\n  a:\n".to_owned();
    for number in 0..VERSIONS {
        write!(
            text,
            "  - apiVersion: v2\n    appVersion: 1\n    created: x\n    description: y\n    digest: z\n    \
             name: a\n    type: application\n    urls: [a.tgz]\n    version: 1.0.{number}\n"
        )
        .unwrap();
    }
    let fast = plain::read(&text, &wanted(&["a"])).expect("the plain form");
    assert_eq!(fast.entries["a"].len(), VERSIONS);
    assert_eq!(fast.entries["a"][VERSIONS - 1].version, "1.0.1999");
    assert_eq!(read_events(&text, &wanted(&["a"])).unwrap(), fast);
}

#[test]
fn one_entry_is_bounded() {
    let text = |values: usize| {
        format!(
            "apiVersion: v1\nentries:\n  a:\n  - version: 1.0.0\n    x: [{}]\n",
            "y,".repeat(values)
        )
    };
    let read = |values| read(text(values).as_bytes(), &wanted(&["a"]));
    assert_eq!(read(50_000).unwrap().entries["a"].len(), 1);
    let error = std::error::Error::source(&read(200_000).unwrap_err()).map(ToString::to_string);
    assert_eq!(
        error.unwrap(),
        "line 4, column 5: it has more than 100000 values, with aliases resolved"
    );
}

/// Whatever the fast way reads, it reads as the slow way does.
#[test]
fn the_fast_way_agrees_with_the_slow_one() {
    const LINES: [&str; 36] = [
        "  bravo:",
        "  - version: 2.0.0",
        "  - ",
        "  -",
        "  golf: []",
        "  \"hotel\":",
        "  yes:",
        "  1.0:",
        "    description: \"open",
        "    description: 'open",
        "    end\"",
        "    end'",
        "    x: [a,",
        "    b]",
        "    x: {a: b,",
        "    }",
        "    text: |",
        "      \"text",
        "        text 'x",
        "    text: >-",
        "      more",
        "    y: text \"with",
        "    y: text",
        "    # \"comment",
        "  # comment",
        "# comment",
        "",
        "   ",
        "\t",
        "    \"k\": v",
        "    z: \"a\" \"b",
        "    - \"x",
        "    - 'x: [y'",
        "...",
        "---",
        "entries:",
    ];
    let base: Vec<&str> = INDEX.lines().collect();
    // Marsaglia's xorshift: the same cases every time.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let (mut fast_count, mut slow_count) = (0, 0);
    for _ in 0..4_000 {
        let mut lines = base.clone();
        for _ in 0..=random(4) {
            lines.insert(random(lines.len() + 1), LINES[random(LINES.len())]);
        }
        if random(3) == 0 {
            lines.remove(random(lines.len()));
        }
        let text = lines.join("\n") + if random(5) == 0 { "" } else { "\n" };
        let wanted = wanted(&[["alpha", "bravo", "bravo-charlie", "golf"][random(4)]]);
        let slow = read_events(&text, &wanted).ok();
        let fast = plain::read(&text, &wanted);
        slow_count += usize::from(slow.is_some());
        if let (Some(fast), Some(slow)) = (fast, slow) {
            assert_eq!(fast, slow, "{text}");
            fast_count += 1;
        }
    }
    assert!(
        fast_count > slow_count / 3,
        "the fast way took {fast_count} of {slow_count}"
    );
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "what may be skipped is the test's own question, not the program's"
)]
fn the_corpus_reads_the_same_either_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/repos");
    if !root.is_dir() {
        let is_required = std::env::var("REPLICATION_CORPUS").as_deref() == Ok("required");
        assert!(!is_required, "{} is missing", root.display());
        println!("skipped: {} is missing", root.display());
        return;
    }
    let mut indexes = Vec::new();
    find_indexes(&root, &mut indexes);
    assert!(!indexes.is_empty());
    for path in indexes {
        let text = std::fs::read_to_string(&path).unwrap();
        let names = read_events(&text, &BTreeSet::new()).unwrap().names;
        let wanted = names.iter().cloned().collect();
        let slow = read_events(&text, &wanted).unwrap();
        assert_eq!(slow.entries.len(), names.len());
        assert_eq!(
            plain::read(&text, &wanted).as_ref(),
            Some(&slow),
            "{}",
            path.display()
        );
    }
}

fn find_indexes(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_indexes(&path, found);
        } else if path.ends_with("index.yaml") {
            found.push(path);
        }
    }
}

#[test]
fn a_version_is_found_or_its_neighbours_are_named() {
    let versions = [
        "2.0.0-rc.1",
        "1.10.0",
        "v1.9.0",
        "1.2",
        "1.1.0",
        "1.0.0",
        "odd",
    ];
    let entry = |version: &&str| Entry {
        version: (*version).to_owned(),
        ..Entry::default()
    };
    let index = Index {
        entries: [("alpha".to_owned(), versions.iter().map(entry).collect())].into(),
        names: ["alpha", "alpine", "bravo"].map(str::to_owned).to_vec(),
    };
    let found = |version| {
        index
            .find("alpha", version)
            .map(|entry| entry.version.as_str())
    };
    assert_eq!(found("1.10.0"), Ok("1.10.0"));
    assert_eq!(found("v1.10.0"), Ok("1.10.0"));
    assert_eq!(found("1.9.0"), Ok("v1.9.0"));
    assert_eq!(found("odd"), Ok("odd"));
    let missing = |version| found(version).unwrap_err();
    assert_eq!(
        missing("1.3.0").to_string(),
        "the index has no version `1.3.0` of the chart `alpha`"
    );
    let remedy = |version| missing(version).remedy().unwrap();
    assert_eq!(
        remedy("1.3.0"),
        "the closest versions are 1.1.0, 1.2, v1.9.0, 1.10.0; the newest is 1.10.0"
    );
    assert_eq!(
        remedy("3"),
        "the closest versions are 1.10.0, 2.0.0-rc.1; the newest is 1.10.0"
    );
    assert_eq!(remedy("latest"), "the newest version is 1.10.0");
    assert_eq!(closest("1", []).remedy(), None);
    let missing = index.find("alpa", "1").unwrap_err();
    assert_eq!(missing.to_string(), "the index has no chart `alpa`");
    assert_eq!(missing.remedy().unwrap(), "similar names: alpha, alpine");
    assert_eq!(index.find("zzz", "1").unwrap_err().remedy(), None);
}

fn wanted(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
