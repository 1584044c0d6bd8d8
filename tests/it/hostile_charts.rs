//! Chart repositories that mean no good: archives and indexes made to harm. Each is refused with the
//! chart's name and the reason, in little memory, and nothing is written.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use lab::chart::{Chart, ChartRepository};
use lab::registry::Registry;
use tar::{EntryType, Header};

use super::Result;
use super::content::writes;
use super::data::Data;
use super::run::Finished;

/// What a run may take, in MiB: the program itself is some 30 of them.
const MEMORY: u64 = 300;

const INDEX: &str = "apiVersion: v1\nentries:\n  app:\n  - {version: 1.0.0, urls: [app.tgz]}\n";
const CHART: &str = "apiVersion: v2\nname: app\nversion: 1.0.0\n";

/// An archive in the making, with whatever entries one likes.
struct Tar(Vec<u8>);

impl Tar {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn chart() -> Self {
        Self::new().file("app/Chart.yaml", CHART)
    }

    fn header(name: &str, kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        // `set_path` refuses what a hostile archive writes.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        header
    }

    fn entry(mut self, name: &str, kind: EntryType, content: &[u8]) -> Self {
        let header = Self::header(name, kind, content.len() as u64);
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(name, EntryType::Regular, content.as_ref())
    }

    fn link(mut self, name: &str, kind: EntryType, to: &str) -> Self {
        let mut header = Self::header(name, kind, 0);
        header.set_link_name(to).expect("a short name");
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self
    }

    /// An entry that claims a size.
    fn claim(mut self, name: &str, size: u64) -> Self {
        let header = Self::header(name, EntryType::Regular, size);
        self.0.extend_from_slice(header.as_bytes());
        self
    }

    fn gzip(self) -> Vec<u8> {
        gzip(&self.0)
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).expect("memory");
    gzip.finish().expect("memory")
}

/// So many zeros, in members of eight MiB.
fn zeros(mebibytes: usize) -> Vec<u8> {
    gzip(&vec![0; 8 << 20]).repeat(mebibytes / 8)
}

/// Anchors that each expand to ten times as much as the one before, with something before each line.
fn laughs(first: &str, levels: u8) -> String {
    let line = |letter: u8| {
        let (name, before) = (char::from(letter), char::from(letter - 1));
        let ten = vec![format!("*{before}"); 10].join(",");
        format!("{first}{name}: &{name} [{ten}]\n")
    };
    let lines: String = (b'b'..=b'a' + levels).map(line).collect();
    format!("{first}a: &a [x,x,x,x,x,x,x,x,x,x]\n{lines}")
}

/// Deploys the chart `app` of a prepared repository.
async fn deployed(repository: &ChartRepository) -> anyhow::Result<Finished> {
    let target = Registry::start().await?;
    let data = Data::chart(&repository.url(), "");
    let done = data.deploy(&target).args(["--tries", "1"]).run().await;
    assert_eq!(writes(target.wire()), Vec::<String>::new());
    assert!(done.peak < MEMORY << 20, "{} bytes of memory", done.peak);
    assert!(done.took.as_secs() < 30, "{:?}", done.took);
    // The report says what was wrong; of a result there is no trace.
    assert!(
        done.files()
            .iter()
            .all(|file| file.starts_with("replication_report."))
    );
    Ok(done)
}

/// Each archive is refused for its reason.
async fn all_refused(archives: Vec<(Vec<u8>, &str)>) -> Result {
    let repository = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    repository.set_index(INDEX);
    for (archive, reason) in archives {
        repository.set_file("app.tgz", archive);
        let refused = deployed(&repository).await?.ended(2);
        assert!(!refused.stderr.contains('\u{1b}'), "{}", refused.stderr);
        refused.said(&["charts.app: chart app 1.0.0", reason]);
    }
    Ok(())
}

fn values(text: &str) -> Vec<u8> {
    Tar::chart().file("app/values.yaml", text).gzip()
}

fn chart_yaml(text: &str) -> Vec<u8> {
    Tar::new().file("app/Chart.yaml", text).gzip()
}

#[tokio::test]
async fn a_bomb_is_refused_before_it_goes_off() -> Result {
    let nested = (0..10).fold(Tar::chart().gzip(), |inner, _| {
        Tar::chart().file("app/charts/app-1.0.0.tgz", inner).gzip()
    });
    let many_bombs = (0..500).fold(Tar::chart(), |tar, number| {
        let meta = format!("name: s{number}\nversion: 1.0.0\n");
        tar.file(&format!("app/charts/s{number}/Chart.yaml"), meta)
            .file(&format!("app/charts/s{number}/values.yaml"), laughs("", 4))
    });
    let mut million = Tar::chart().gzip();
    let entries = (0..10_000).fold(Tar::new(), |tar, _| tar.file("app/x", ""));
    million.extend(gzip(&entries.0).repeat(100));
    let mut two_gigabytes = Tar::chart().claim("app/x", 2 << 30).gzip();
    two_gigabytes.extend(zeros(2048));
    let endless = Tar::chart()
        .entry(
            "app/pax",
            EntryType::XHeader,
            b"29 size=18446744073709551615\n",
        )
        .claim("app/values.yaml", 0);
    all_refused(vec![
        (
            values(&" ".repeat(6 << 20)),
            "app/values.yaml has more than 5 MiB",
        ),
        (two_gigabytes, "its content has more than 100 MiB"),
        (million, "more than 20000 entries"),
        (endless.gzip(), "not usable"),
        (nested, "nested more than 8 deep"),
        (
            values(&laughs("", 8)),
            "more than 500000 values, with aliases resolved",
        ),
        (many_bombs.gzip(), "more than 500000 values"),
        (
            values(&format!("a: {}", "[".repeat(100_000))),
            "values.yaml is broken",
        ),
        (
            chart_yaml(&format!("{CHART}description: {}\n", "x".repeat(1 << 20))),
            "Chart.yaml says more than 512 KiB",
        ),
    ])
    .await
}

#[tokio::test]
async fn an_archive_that_leads_out_or_says_what_is_not_so_is_refused() -> Result {
    let symlink = |name: &str| {
        let tar = Tar::chart().link(name, EntryType::Symlink, "/etc/passwd");
        tar.gzip()
    };
    let hardlink = Tar::new().link("app/Chart.yaml", EntryType::Link, "/etc/passwd");
    let file = |name: &str| Tar::chart().file(name, CHART).gzip();
    all_refused(vec![
        (file("/app/x"), "`/app/x`, which leads out"),
        (file("app/../../x"), "`app/../../x`, which leads out"),
        (file("app\\..\\..\\x"), "which leads out"),
        (file("C:/x"), "`C:/x`, which leads out"),
        (symlink("../x"), "which leads out"),
        (symlink("app/values.yaml"), "app/values.yaml is a link"),
        (hardlink.gzip(), "app/Chart.yaml is a link"),
        (values("a: \u{0}"), "control character"),
        (values("a: .inf"), "values.yaml is broken"),
        (
            chart_yaml("name: app\nversion: '1.0.0;curl evil|sh'\n"),
            "the version `1.0.0;curl evil|sh`, which is not a semantic version",
        ),
        (
            chart_yaml("name: ../app\nversion: 1.0.0\n"),
            "the name `../app`",
        ),
        (
            chart_yaml("name: \"\\e[31mapp\"\nversion: 1.0.0\n"),
            "holds the chart `[31mapp`",
        ),
        (chart_yaml("version: 1.0.0\n"), "no `name`"),
        (Tar::new().file("app/x", "").gzip(), "no Chart.yaml"),
        (
            vec![0x1f, 0x8b, 8, 0, 1, 2, 3],
            "not a complete gzipped tar",
        ),
        (Vec::new(), "not usable"),
    ])
    .await
}

#[tokio::test]
async fn an_archive_that_is_too_large_to_be_one_is_not_read_to_its_end() -> Result {
    let repository = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    repository.set_index(INDEX);
    repository.set_file("app.tgz", vec![0; 200 << 20]);
    let refused = deployed(&repository).await?.ended(1);
    refused.said(&["chart app 1.0.0", "33554432 bytes"]);
    Ok(())
}

#[tokio::test]
async fn an_index_that_means_no_good_is_refused_with_the_reason() -> Result {
    let repository = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    let index = |entries: &str| format!("apiVersion: v1\nentries:\n{entries}").into_bytes();
    let names: Vec<String> = (0..300_000).map(|n| format!("  c{n}: []\n")).collect();
    let versions = "  - version: 1.0.1\n".repeat(100_001);
    for (index, reasons) in [
        (
            format!("{}{INDEX}", laughs("", 8)).into_bytes(),
            vec!["with aliases resolved"],
        ),
        (
            index(&format!(
                "  app:\n  - version: 1.0.0\n{}",
                laughs("    ", 8)
            )),
            vec!["with aliases resolved"],
        ),
        (
            index("  app: []\n  b: []\n  app: []\n"),
            vec!["line 5", "`app` is here for the second time"],
        ),
        (
            index("  app:\n  - version: 1.0.0\n    version: 2.0.0\n"),
            vec!["line 5", "this key twice"],
        ),
        (vec![b' '; 100 << 20], vec!["67108864 bytes"]),
        (index(&names.concat()), vec!["more than 100000 charts"]),
        (
            index(&format!("  app:\n{versions}")),
            vec!["more than 100000 versions"],
        ),
        (b"PK\x03\x04\xff\xfe\x00".to_vec(), vec!["not text"]),
        (b"apiVersion: v1\0\n".to_vec(), vec!["control character"]),
        (
            index(&format!("  app: {}", "[".repeat(100_000))),
            vec!["index.yaml cannot be used"],
        ),
        (
            format!(
                "{{\"apiVersion\":\"v1\",\"entries\":{}",
                "[".repeat(100_000)
            )
            .into_bytes(),
            vec!["index.yaml cannot be used"],
        ),
        (
            b"{\"apiVersion\":\"v1\",\"entries\":{\"app\":7}}".to_vec(),
            vec!["JSON of another shape"],
        ),
        (b"entries: {}\n".to_vec(), vec!["no apiVersion"]),
        (
            index("  app:\n  - {version: 1.0.0, urls: [\"file:///etc/passwd\"]}\n"),
            vec!["file:///etc/passwd"],
        ),
        (
            index("  app:\n  - {version: 1.0.0, urls: []}\n"),
            vec!["names no URL"],
        ),
    ] {
        repository.set_index(index);
        let refused = deployed(&repository).await?.ended(1);
        refused.said(&["chart app 1.0.0"]).said(&reasons);
    }
    Ok(())
}

#[tokio::test]
async fn an_empty_list_sends_no_request() -> Result {
    let repository = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    let nulls = "null,".repeat(2_000_000);
    repository.set_index(format!(
        "{{\"apiVersion\":\"v1\",\"entries\":{{\"app\":[{nulls}null]}}}}"
    ));
    let refused = deployed(&repository).await?.ended(2);
    refused.said(&["chart app 1.0.0", "no version `1.0.0`"]);
    Ok(())
}
