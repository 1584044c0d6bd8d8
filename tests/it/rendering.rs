//! `replicator template` and `replicator images`.

use std::fs;
use std::path::Path;

use lab::chart::{Chart, ChartRepository};
use lab::registry::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Result;
use super::run::{Finished, Run};

const TEMPLATE: &str = "kind: Pod
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
spec:
  n: {{ .Values.num }}
  kube: {{ .Capabilities.KubeVersion }}
  has: {{ .Capabilities.APIVersions.Has \"x.io/v1\" }}
  upgrade: {{ .Release.IsUpgrade }}
  values: {{ toJson .Values.more }}
  containers:
  - image: {{ .Values.image }}
  {{- if .Values.proxy.enabled }}
  - image: quay.io/team/proxy:2
  {{- end }}
";

const VALUES: &str = "image: quay.io/team/app:1\nnum: 1\nmore: {}\nproxy: {enabled: false}\n";

fn chart(version: &str) -> Chart {
    let hook = |name: &str, event: &str, image: &str| {
        format!(
            "kind: Job\nmetadata: {{name: {name}, annotations: {{helm.sh/hook: {event}}}}}\nspec: {{image: {image}}}\n"
        )
    };
    Chart::new("app", version)
        .values(VALUES)
        .file("templates/pod.yaml", TEMPLATE)
        .file(
            "templates/hook.yaml",
            hook("hook", "pre-install", "quay.io/team/hook:1"),
        )
        .file(
            "templates/test.yaml",
            hook("test", "test", "quay.io/team/test:1"),
        )
        .file("templates/NOTES.txt", "thanks\n")
        .file("crds/crd.yaml", "kind: CustomResourceDefinition\n")
}

/// A folder with the chart in it, unpacked and packed.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let archive = chart("1.0.0").archive();
    let gzip = flate2::read::GzDecoder::new(&archive[..]);
    tar::Archive::new(gzip)
        .unpack(folder.path())
        .expect("the chart's files");
    fs::write(folder.path().join("app-1.0.0.tgz"), &archive).expect("a file");
    folder
}

async fn template(folder: &Path, args: &[&str]) -> Finished {
    let run = Run::new().arg("template").args(args);
    run.current_dir(folder).run().await
}

fn rendered(n: &str, more: &str) -> String {
    format!(
        "---
# Source: app/templates/pod.yaml
kind: Pod
metadata: {{name: release-name, namespace: default}}
spec:
  n: {n}
  kube: v1.37.0
  has: false
  upgrade: false
  values: {more}
  containers:
  - image: quay.io/team/app:1
"
    )
}

fn hook(name: &str, event: &str) -> String {
    format!(
        "---\n# Source: app/templates/{name}.yaml\nkind: Job\nmetadata: {{name: {name}, annotations: {{helm.sh/hook: {event}}}}}\nspec: {{image: quay.io/team/{name}:1}}\n"
    )
}

fn everything() -> String {
    rendered("1", "{}") + &hook("hook", "pre-install") + &hook("test", "test")
}

#[tokio::test]
async fn a_chart_is_rendered_from_a_folder_an_archive_a_repository_and_a_registry() -> Result {
    let folder = folder();
    for path in ["app", "./app-1.0.0.tgz"] {
        let done = template(folder.path(), &[path]).await.ended(0);
        assert_eq!(done.stdout, everything());
        assert_eq!(done.stderr, "");
    }
    let versions = || ["0.9.0", "1.10.0", "1.2.0", "2.0.0-rc.1"].map(chart);
    let repository = ChartRepository::start(versions().to_vec()).await?;
    let registry = Registry::start().await?;
    for chart in versions() {
        chart.push_oci(&registry, "team/app")?;
    }
    let oci = format!("oci://{}/team/app", registry.host());
    for (version, found) in [
        (None, "1.10.0"),
        (Some("^1.2, <1.5"), "1.2.0"),
        (Some("0.9.0"), "0.9.0"),
        (Some("v0.9.0"), "0.9.0"),
        (Some("2.0.0-rc.1"), "2.0.0-rc.1"),
    ] {
        for place in [&["app", "--repo", &repository.url()][..], &[oci.as_str()]] {
            let mut run = Run::new().args(["template", "x"]).args(place);
            if let Some(version) = version {
                run = run.args(["--version", version]);
            }
            let done = run.run().await.ended(0);
            let wanted = everything().replace("release-name", "x");
            assert_eq!(done.stdout, wanted, "{version:?} {place:?}");
            let last = match place {
                [_] => registry
                    .wire()
                    .requests()
                    .into_iter()
                    .map(|r| r.path)
                    .rfind(|p| p.contains("/manifests/")),
                _ => repository
                    .wire()
                    .requests()
                    .into_iter()
                    .map(|r| r.path)
                    .rfind(|p| {
                        std::path::Path::new(p)
                            .extension()
                            .is_some_and(|ending| ending == "tgz")
                    }),
            };
            assert!(
                last.as_ref().is_some_and(|path| path.contains(found)),
                "{version:?} {last:?}"
            );
        }
    }
    let tagged = format!("{oci}:1.2.0");
    template(folder.path(), &[&tagged]).await.ended(0);
    template(folder.path(), &[&tagged, "--version", "1.10.0"])
        .await
        .ended(2)
        .said(&["differ"]);
    Ok(())
}

#[tokio::test]
async fn flags_choose_what_is_printed() {
    let folder = folder();
    let printed = async |args: &[&str]| {
        let args = [&["app"], args].concat();
        template(folder.path(), &args).await.ended(0).stdout
    };
    assert_eq!(printed(&["--no-hooks"]).await, rendered("1", "{}"));
    let without_tests = rendered("1", "{}") + &hook("hook", "pre-install");
    assert_eq!(printed(&["--skip-tests"]).await, without_tests);
    let crd = "---\n# Source: app/crds/crd.yaml\nkind: CustomResourceDefinition\n";
    // helm ends a file of crds/ with an empty line where the file ends with a line feed.
    let with_crds = printed(&["--include-crds", "--no-hooks"]).await;
    assert_eq!(with_crds, format!("{crd}\n{}", rendered("1", "{}")));
    let only = [
        "-s",
        "templates/t*.yaml",
        "--show-only",
        "templates/pod.yaml",
    ];
    assert_eq!(
        printed(&only).await,
        hook("test", "test") + &rendered("1", "{}")
    );
    let release = printed(&[
        "-n",
        "ns",
        "--kube-version",
        "1.34",
        "-a",
        "x.io/v1,y/v1",
        "--is-upgrade",
        "--no-hooks",
    ]);
    let release = release.await;
    for line in [
        "namespace: ns}",
        "kube: v1.34\n",
        "has: true",
        "upgrade: true",
    ] {
        assert!(release.contains(line), "{line} is missing in {release}");
    }
}

#[tokio::test]
async fn values_are_laid_over_each_other_in_the_order_of_helm() -> Result {
    let folder = folder();
    fs::write(
        folder.path().join("a.yaml"),
        "num: 1000000\nmore: {a: 1, b: 0x10, x: yes}\n",
    )?;
    fs::write(folder.path().join("b.yaml"), "more: {b: null, c: [1]}\n")?;
    fs::write(folder.path().join("text"), "line\n")?;
    let args = [
        "app",
        "--no-hooks",
        "-f",
        "a.yaml",
        "-f",
        "b.yaml",
        "--set-literal",
        "more.l=a,b\\",
        "--set-file",
        "more.f=text",
        "--set-string",
        "more.s=1",
        "--set",
        "more.i=7,more.t=true,more.c[1]=z",
        "--set-json",
        r#"more.j={"k": [1.5]}"#,
    ];
    let done = template(folder.path(), &args).await.ended(0);
    let more = r#"{"a":1,"b":null,"c":[1,"z"],"f":"line\n","i":7,"j":{"k":[1.5]},"l":"a,b\\","s":"1","t":true,"x":true}"#;
    assert_eq!(done.stdout, rendered("1e+06", more));
    // An integer of --set stays one.
    let done = template(
        folder.path(),
        &["app", "--no-hooks", "--set", "num=1000000"],
    )
    .await
    .ended(0);
    assert_eq!(done.stdout, rendered("1000000", "{}"));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_rendered_is_bad_input_in_the_words_of_helm() -> Result {
    let folder = folder();
    fs::write(folder.path().join("bad.yaml"), "- 1\n")?;
    fs::write(
        folder.path().join("app/templates/fail.yaml"),
        "{{ fail .Values.more.why }}\n",
    )?;
    for (args, words) in [
        (
            &["app", "--set", "more.why=clusterName is required"][..],
            "error: chart app 1.0.0: execution error at (app/templates/fail.yaml:1:3): clusterName is required\n",
        ),
        (
            &["app"],
            "error: chart app 1.0.0: template: app/templates/fail.yaml:1:15: executing \"app/templates/fail.yaml\" at \
             <.Values.more.why>: ",
        ),
        (
            &["app", "--set", "a"],
            "error: --set: failed parsing --set data: key \"a\" has no value",
        ),
        (
            &["app", "-f", "bad.yaml"],
            "--values bad.yaml: failed to parse bad.yaml: ",
        ),
        (
            &["app", "-f", "none.yaml"],
            "--values none.yaml: cannot read none.yaml: ",
        ),
        (
            &["app", "--kube-version", "new"],
            "--kube-version: invalid kube version 'new': could not parse \"new\" as version",
        ),
        (
            &["app", "-s", "templates/none.yaml", "--set", "more.why=x"],
            "execution error",
        ),
        (&["nowhere"], "nowhere: there is no such chart"),
        (
            &["UPPER", "app"],
            "release name \"UPPER\": invalid release name",
        ),
    ] {
        let refused = template(folder.path(), args).await.ended(2).said(&[words]);
        assert_eq!(refused.stdout, "");
    }
    fs::remove_file(folder.path().join("app/templates/fail.yaml"))?;
    let refused = template(folder.path(), &["app", "-s", "templates/none.yaml"])
        .await
        .ended(2);
    refused.said(&["could not find template templates/none.yaml in chart"]);
    Ok(())
}

#[tokio::test]
async fn a_chart_that_cannot_be_fetched_is_a_failure_and_a_missing_one_bad_input() -> Result {
    let args = [
        "template",
        "app",
        "--repo",
        "http://127.0.0.1:1",
        "--tries",
        "1",
    ];
    Run::new()
        .args(args)
        .run()
        .await
        .ended(1)
        .said(&["http://127.0.0.1:1", "chart app"]);
    let repository = ChartRepository::start(vec![chart("1.0.0-rc.1")]).await?;
    let url = repository.url();
    let at = |args: &[&str]| Run::new().args(["template", "--repo", &url]).args(args);
    at(&["app"])
        .run()
        .await
        .ended(2)
        .said(&["no stable version", "--version 1.0.0-rc.1"]);
    at(&["app", "--version", "^3"])
        .run()
        .await
        .ended(2)
        .said(&["^3"]);
    at(&["app", "--version", "=>!"])
        .run()
        .await
        .ended(2)
        .said(&["--version"]);
    at(&["ap"])
        .run()
        .await
        .ended(2)
        .said(&["no chart `ap`", "app"]);
    Ok(())
}

#[tokio::test]
async fn images_are_listed_once_in_order_and_switches_add_theirs() {
    let folder = folder();
    let images = async |args: &[&str]| {
        let run = Run::new().args(["images", "app"]).args(args);
        run.current_dir(folder.path()).run().await.ended(0)
    };
    let listed = images(&[]).await;
    assert_eq!(
        listed.stdout,
        "quay.io/team/app:1\nquay.io/team/hook:1\nquay.io/team/test:1\n"
    );
    let with = images(&["--switches"])
        .await
        .said(&["quay.io/team/proxy:2 is added by proxy.enabled"]);
    assert_eq!(
        with.stdout,
        format!("{}quay.io/team/proxy:2\n", listed.stdout)
    );
    let json: Value =
        serde_json::from_str(&images(&["--switches", "--json"]).await.stdout).expect("JSON");
    assert_eq!(
        (&json["chart"], &json["version"]),
        (&json!("app"), &json!("1.0.0"))
    );
    assert_eq!(json["images"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        json["images"][2],
        json!({"image": "quay.io/team/test:1", "switches": [], "uses": [
            {"kind": "Job", "name": "test", "field": "spec.image", "place": "field",
             "template": "app/templates/test.yaml", "hook": ["test"], "test": true}]})
    );
    assert_eq!(json["images"][3]["switches"], json!(["proxy.enabled"]));
    assert_eq!(
        json["images"][3]["uses"][0]["field"],
        "spec.containers[1].image"
    );
}

#[tokio::test]
async fn standard_input_gives_values() -> Result {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let folder = folder();
    let mut child = Command::new(env!("CARGO_BIN_EXE_replicator"))
        .args(["template", "app", "--no-hooks", "-f", "-"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().expect("a pipe").write_all(b"num: 5\n")?;
    let output = child.wait_with_output()?;
    assert_eq!(String::from_utf8(output.stdout)?, rendered("5", "{}"));
    Ok(())
}
