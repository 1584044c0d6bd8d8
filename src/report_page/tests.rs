use serde_json::{Value, json};

use super::*;

fn page(report: &Value) -> String {
    html(&serde_json::from_value(report.clone()).unwrap())
}

fn report() -> Value {
    json!({"artifacts": [
        {"kind": "chart", "source": "https://charts.corp/app:1.0.0", "target": "t.corp/app:1.0.0", "usedBy": ["app"],
         "done": "copied", "bytes": 1024, "contentBytes": 1024, "seconds": 0.5, "start": 0.0},
        {"kind": "image", "source": "quay.io/team/app:7.1", "target": "t.corp/quay.io/team/app:7.1", "usedBy": ["app"],
         "digest": "sha256:aa", "platforms": ["linux/amd64"], "done": "copied", "bytes": 1_048_576, "contentBytes": 3_145_728,
         "seconds": 2.0, "start": 0.5, "replaced": "sha256:bb"},
        {"kind": "image", "source": "busybox:1", "target": "t.corp/busybox:1", "usedBy": ["tool"], "done": "failed",
         "error": ["source: cannot read", "404"], "remedy": "check the name"},
    ], "totals": {"artifacts": 3, "copied": 2, "failed": 1, "bytes": 1_049_600, "seconds": 2.5},
       "warnings": ["the prefix ends in neither"], "run": {"prefix": "t.corp/", "eksVersion": "1.34", "startedAt": 1_700_000_000}})
}

#[test]
fn a_page_has_every_section() {
    let page = page(&report());
    for wanted in [
        "Replication to t.corp/",
        "2023-11-14 22:13 UTC",
        "Failed</strong>",
        "check the name",
        "the prefix ends in neither",
        "before <code>sha256:bb",
        "<summary>app",
        "Other images",
        "<h3>quay.io</h3>",
        "1.00 MiB sent, 2.00 MiB saved by deduplication",
        "<div class=\"name\">docker.io</div>",
        "<h2>Next steps</h2>",
        "run it again when the cause is fixed",
    ] {
        assert!(page.contains(wanted), "no {wanted}");
    }
}

#[test]
fn a_page_needs_nothing_and_runs_nothing() {
    let page = page(&report());
    let (_, policy) = page
        .split_once("Content-Security-Policy\" content=\"")
        .unwrap();
    let policy = policy.split('"').next().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    for never in [
        "<script", "<img", "<link", "src=", "href=", "style=\"", "url(", "@import",
    ] {
        assert!(!page.contains(never), "{never}");
    }
}

#[test]
fn what_a_report_says_is_text_wherever_it_stands() {
    let hostile = "<script>\"'&</style>\u{202e}\u{1b}";
    let mut report = report();
    for artifact in report["artifacts"].as_array_mut().unwrap() {
        for key in ["source", "target", "digest", "remedy", "replaced"] {
            artifact[key] = json!(hostile);
        }
        for key in ["usedBy", "platforms", "notes", "error"] {
            artifact[key] = json!([hostile]);
        }
    }
    report["warnings"] = json!([hostile]);
    report["error"] = json!([hostile]);
    report["run"] = json!({"prefix": hostile, "eksVersion": hostile, "program": hostile, "startedAt": u64::MAX});
    let page = page(&report);
    assert!(page.contains("&lt;script&gt;&quot;&#39;&amp;&lt;/style&gt;\\u{202e}\\u{1b}"));
    assert_eq!(page.matches("<script").count(), 0);
    assert_eq!(page.matches("</style>").count(), 1, "its own");
    assert!(!page.contains(['\u{202e}', '\u{1b}']));
}

#[test]
fn times_that_no_run_has_end_in_no_picture() {
    let mut report = report();
    for (index, (start, seconds)) in [(-1.0, 1.0), (1e308, 1e308), (0.0, -5.0)]
        .into_iter()
        .enumerate()
    {
        report["artifacts"][index]["start"] = json!(start);
        report["artifacts"][index]["seconds"] = json!(seconds);
    }
    let page = page(&report);
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
}

#[test]
fn a_report_of_an_older_version_has_a_page_without_a_timeline() {
    let page =
        page(&json!({"artifacts": [{"kind": "image", "target": "t.corp/a:1", "done": "copied"}]}));
    assert!(page.contains("Replication report") && !page.contains("Timeline"));
}

#[test]
fn the_days_of_a_leap_year_are_counted() {
    assert_eq!(utc(0), "1970-01-01 00:00 UTC");
    assert_eq!(utc(951_782_400), "2000-02-29 00:00 UTC");
    assert_eq!(utc(1_735_689_599), "2024-12-31 23:59 UTC");
}
