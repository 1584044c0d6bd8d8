//! Data files that ask for what must not be: everything that is published becomes an environment
//! variable and words of shell lines in the EKS module.

use super::Result;
use super::data::Data;

#[tokio::test]
async fn nothing_that_a_shell_would_obey_gets_into_a_plan() {
    let default = "ami: {version: '1;id'}
charts:
  good: {name: good, repository: 'https://charts.corp/x', version: 1.0.0, skip: true}
  'a$(id)': {name: a, repository: 'https://charts.corp/x', version: 1.0.0}
  \"b\\nc\": {name: a, repository: 'https://charts.corp/x', version: 1.0.0}
  d: {name: 'a;id', repository: 'https://charts.corp/x', version: 1.0.0}
  e: {name: '-rf', repository: 'https://charts.corp/x', version: 1.0.0}
  f: {name: a, repository: 'https://charts.corp/x', version: '1.0.0 --set x'}
  g: {name: a, repository: 'https://charts.corp/x', version: '1.0.0`id`'}
  h: {name: a, repository: 'https://charts.corp/x', version: \"1.0.0\\nid\"}
  i: {name: a, repository: 'oci://reg.corp/$(id)', version: 1.0.0}
additional_images:
  'k \"': quay.io/a:1
  l: 'quay.io/a:$(id)'
  m: 'quay.io/$(id):1'
  n: 'quay.io/a:1;id'
";
    let refused = Data::new(default, "ami: {}\n").plan().run().await.ended(2);
    refused.left_nothing().said(&[
        "13 problems",
        "default.yaml:1: ami.version: `1;id` contains a character that is not allowed here",
        "charts.a$(id): `a$(id)` contains a character",
        "`b\\nc` contains a character",
        "charts.d.name: `a;id` is not a chart name",
        "charts.e.name: `-rf` is not a chart name",
        "charts.f.version: `1.0.0 --set x` does not name one version",
        "charts.g.version",
        "charts.i.repository: `oci://reg.corp/$(id)` is not a registry of charts",
        "additional_images.k \": `k \\\"` contains a character",
        "additional_images.l: `quay.io/a:$(id)` is not an image reference",
        "additional_images.m",
        "additional_images.n",
    ]);
}

#[tokio::test]
async fn a_repository_whose_last_part_no_registry_can_hold_is_refused() -> Result {
    let chart = lab::chart::Chart::new("app", "1.0.0");
    let repository = lab::chart::ChartRepository::start(vec![chart]).await?;
    let files = ["index.yaml", "app-1.0.0.tgz"].map(|file| (file, repository.file(file)));
    for last in ["$(id)", "a;b", "it's"] {
        for (file, bytes) in &files {
            let bytes = bytes.clone().expect("a file");
            repository.set_file(&format!("{last}/{file}"), bytes);
        }
        let data = Data::chart(&format!("\"{}/{last}\"", repository.url()), "");
        for prefix in ["target.corp/idf-", "oci:mirror"] {
            let run = data
                .run("plan")
                .args(["--no-observe", "--registry-prefix", prefix]);
            let refused = run.run().await.ended(2).left_nothing();
            refused.said(&["charts.app", last, "is not an image reference"]);
        }
    }
    Ok(())
}

#[tokio::test]
async fn values_and_versions_of_a_chart_get_only_into_names() -> Result {
    let values = "image: {repository: 'team/app', tag: '1\"; id #', registry: 'quay.io/$(id)'}\n";
    let chart = lab::chart::Chart::new("app", "1.0.0").values(values);
    let repository = lab::chart::ChartRepository::start(vec![chart]).await?;
    for (image, word) in [
        (
            "repository: {location: values, path: image.repository}, tag: {location: values, path: image.tag}",
            "1\"; id #",
        ),
        (
            "repository: {location: values, path: image.repository}, registry: {location: values, path: image.registry}",
            "$(id)",
        ),
    ] {
        let data = Data::chart(
            &repository.url(),
            &format!("    images: {{app: {{{image}}}}}\n"),
        );
        let refused = data.plan().run().await.ended(2).left_nothing();
        refused.said(&["charts.app.images.app", word, "is not an image reference"]);
    }
    Ok(())
}

#[tokio::test]
async fn paths_that_other_programs_would_take_for_more_are_refused() -> Result {
    let chart = lab::chart::Chart::new("app", "1.0.0").values("image: quay.io/a:1\n");
    let repository = lab::chart::ChartRepository::start(vec![chart]).await?;
    for (path, reason) in [
        ("__proto__.image", "values cannot have `__proto__`"),
        ("image.__proto__.x", "values cannot have `__proto__`"),
        (
            "constructor.prototype",
            "has no value `constructor.prototype`",
        ),
        ("'a b'", "`a b` contains a character"),
        ("'$(id)'", "contains a character"),
        ("a..b", "a part of it is empty"),
        ("image.99999999999999999999", "has no value"),
        ("\"a\\0b\"", "contains a character"),
    ] {
        let image =
            format!("    images: {{app: {{repository: {{location: values, path: {path}}}}}}}\n");
        let data = Data::chart(&repository.url(), &image);
        let refused = data.plan().run().await.ended(2).left_nothing();
        refused.said(&["charts.app.images.app", reason]);
    }
    Ok(())
}

#[tokio::test]
async fn a_data_file_made_to_harm_is_refused_with_its_name() {
    let deep = format!("charts: {}", "[".repeat(100_000));
    let line = |letter: u8| {
        let (name, before) = (char::from(letter), char::from(letter - 1));
        let ten = vec![format!("*{before}"); 10].join(",");
        format!("{name}: &{name} [{ten}]\n")
    };
    let lines: Vec<String> = (b'b'..b'i').map(line).collect();
    let laughs = format!("a: &a [x,x,x,x,x,x,x,x,x,x]\n{}", lines.concat());
    let large = " ".repeat(17 << 20);
    for (text, reason) in [
        ("charts: \0\n", "control character"),
        (&*deep, "the YAML is broken"),
        (&*laughs, "with aliases resolved"),
        (&*large, "more than 16777216 bytes"),
        (
            "ami: {version: 1}\n---\nami: {version: 2}\n",
            "2 YAML documents",
        ),
        ("a: *gone\n", "the YAML is broken"),
        ("a: &a [*a]\n", "the YAML is broken"),
        ("[]\n", "no mapping with `charts`"),
        ("", "the file is empty"),
    ] {
        let refused = Data::new("charts: {}\n", text).plan().run().await.ended(2);
        assert!(refused.peak < 150 << 20, "{} bytes of memory", refused.peak);
        refused.left_nothing().said(&["1.34.yaml", reason]);
    }
    let refused = Data::new("charts: {}\n", "ami: {}\n");
    std::fs::write(refused.file_path("1.34.yaml"), [0xff, 0xfe, b'a']).expect("a file");
    let refused = refused.plan().run().await.ended(2).left_nothing();
    refused.said(&["1.34.yaml", "not UTF-8"]);
}

#[tokio::test]
async fn numbers_in_data_files_stay_the_text_that_they_are() {
    let huge = "9".repeat(400);
    let default = format!("ami: {{version: {huge}}}\nadditional_images: {{a: 1e999999}}\n");
    let planned = Data::new(&default, "ami: {}\n").plan().run().await.ended(0);
    let result = planned.result();
    assert_eq!(result["ami"]["version"], huge);
    assert_eq!(result["additional_images"]["a"], "target.corp/idf-1e999999");
}

#[tokio::test]
async fn a_name_that_ecr_cannot_hold_is_refused_before_anything_is_asked() {
    let long = format!("quay.io/{}:1", "a".repeat(250));
    let data = Data::images(&[&long, "quay.io/a--b:1", "quay.io/a:1"]);
    let prefix = "123456789012.dkr.ecr.us-east-1.amazonaws.com/idf-";
    let run = data
        .run("plan")
        .args(["--no-observe", "--registry-prefix", prefix]);
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&[
        "additional_images.image0",
        "must not be more than 255 characters",
    ]);
}
