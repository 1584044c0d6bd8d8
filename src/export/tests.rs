use super::*;
use serde_json::json;

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

fn document(registry: &str) -> ResultDocument {
    let chart = |name: &str, version: &str, values: Value| {
        json!({"helm": {"name": name, "repository": format!("oci://{registry}/idf-charts/{name}"), "version": version},
               "values": values})
    };
    let digests = json!({format!("{registry}/idf-charts/app:1.0.0_b"): "sha256:00"});
    serde_json::from_value(json!({
        "charts": {
            "my_app": chart("app", "1.0.0+b", json!({"image": {"tag": "1.10", "a-long-key": "x"}, "list": [{"b": "${x} %{y} \"\\\n"}]})),
            "other": chart("app", "2.0.0", json!({})),
            "My app": chart("third", "1", json!({"n": null, "i": 3, "f": 1.5, "yes": true})),
        },
        "digests": digests,
    }))
    .unwrap()
}

fn printed(registry: &str, wanted: Option<&str>, format: Format) -> String {
    let document = document(registry);
    let releases = releases(&document, wanted, "apps", format).unwrap();
    print(&releases, format)
}

/// The documents that YAML text holds, as Helm reads them.
fn parsed(text: &str) -> Vec<Value> {
    let documents = text.split("---\n").map(|text| {
        let node = helm_chart::yaml::first_document(text, &helm_chart::yaml::Limits::default());
        node.unwrap().unwrap().to_helm_json().unwrap()
    });
    documents.map(helm_chart::set::as_floats).collect()
}

#[test]
fn a_chart_is_found_by_its_key_or_by_a_name_that_only_one_has() {
    let document = document(HOST);
    let keys = |wanted| {
        let releases = releases(&document, wanted, "apps", Format::Helm)?;
        Ok::<_, Problems>(releases.iter().map(|one| one.key).collect::<Vec<_>>())
    };
    assert_eq!(keys(None).unwrap().len(), 3);
    assert_eq!(keys(Some("my_app")).unwrap(), ["my_app"]);
    assert_eq!(keys(Some("third")).unwrap(), ["My app"]);
    for (wanted, offered) in [
        ("app", "my_app, other"),
        ("nothing", "my_app, other, My app"),
    ] {
        let error = keys(Some(wanted)).unwrap_err().to_string();
        assert!(error.contains(offered), "{error}");
    }
}

#[test]
fn helm_values_are_the_published_ones() {
    let text = printed(HOST, None, Format::Helm);
    let values: Vec<Value> = document(HOST)
        .charts
        .into_values()
        .map(|chart| helm_chart::set::as_floats(Value::Object(chart.values)))
        .collect();
    assert_eq!(parsed(&text), values);
    assert!(text.contains(&format!(
        "helm upgrade --install my-app oci://{HOST}/idf-charts/app --version 1.0.0+b"
    )));
    assert!(text.contains(&format!(
        "--region eu-west-1 | helm registry login --username AWS --password-stdin {HOST}"
    )));
}

#[test]
fn argo_cd_gets_a_repository_and_an_application() {
    let all = parsed(&printed(HOST, Some("my_app"), Format::Argocd));
    assert_eq!(all.len(), 2);
    assert_eq!(all[0]["stringData"]["url"], format!("{HOST}/idf-charts"));
    assert_eq!(all[0]["stringData"]["enableOCI"], "true");
    let source = &all[1]["spec"]["source"];
    assert_eq!(source["repoURL"], all[0]["stringData"]["url"]);
    assert_eq!(
        (source["chart"].as_str(), source["targetRevision"].as_str()),
        (Some("app"), Some("1.0.0+b"))
    );
    assert_eq!(source["helm"]["valuesObject"]["image"]["tag"], "1.10");
    assert_eq!(all[1]["spec"]["destination"]["namespace"], "apps");
    assert_eq!(
        parsed(&printed(HOST, None, Format::Argocd)).len(),
        4,
        "one repository, three applications"
    );
}

#[test]
fn flux_pins_the_digest_and_uses_the_role_at_ecr() {
    let all = parsed(&printed(HOST, Some("my_app"), Format::Flux));
    let spec = &all[0]["spec"];
    assert_eq!(spec["url"], format!("oci://{HOST}/idf-charts/app"));
    assert_eq!(
        spec["ref"],
        json!({"tag": "1.0.0_b", "digest": "sha256:00"})
    );
    assert_eq!(spec["provider"], "aws");
    assert_eq!(
        all[1]["spec"]["chartRef"]["name"],
        all[0]["metadata"]["name"]
    );
    let other = parsed(&printed("r.corp:5000", Some("other"), Format::Flux));
    assert_eq!(other[0]["spec"]["provider"], "generic");
    assert_eq!(other[0]["spec"]["ref"], json!({"tag": "2.0.0"}));
    assert_eq!(other[1]["spec"]["values"], json!({}));
}

#[test]
fn a_helmfile_has_every_release_once_and_its_repository() {
    let all = parsed(&printed("r.corp:5000", None, Format::Helmfile));
    let [file] = all.as_slice() else {
        panic!("{all:?}")
    };
    let releases = file["releases"].as_array().unwrap();
    let names: Vec<_> = releases
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["my-app", "other", "my-app-2"]);
    let repository = &file["repositories"][0];
    assert_eq!(repository["url"], "r.corp:5000/idf-charts");
    let chart = format!("{}/app", repository["name"].as_str().unwrap());
    assert_eq!(releases[0]["chart"], chart.as_str());
}

#[test]
fn terraform_gets_values_without_templates_and_a_login_for_ecr() {
    let text = printed(HOST, None, Format::Terraform);
    assert!(text.contains(r#""b" = "$${x} %%{y} \"\\\n""#), "{text}");
    assert!(
        text.contains("data \"aws_ecr_authorization_token\" \"ecr_123456789012_eu_west_1\" {\n"),
        "{text}"
    );
    assert_eq!(text.matches("resource \"helm_release\"").count(), 3);
    assert!(!printed("r.corp", None, Format::Terraform).contains("aws_ecr"));
}

#[test]
fn a_folder_has_values_and_nothing_for_a_cluster() {
    let mut document = document(HOST);
    document.charts["my_app"].helm.repository = "oci:mirror:charts/app".to_owned();
    let print =
        |format| releases(&document, Some("my_app"), "apps", format).map(|all| print(&all, format));
    assert!(print(Format::Helm).unwrap().contains("1.10"));
    assert!(
        print(Format::Flux)
            .unwrap_err()
            .to_string()
            .contains("folder")
    );
}

#[test]
fn hostile_names_end_in_labels_and_comments_of_one_line() {
    let hostile = "a\n---\nkind: Secret # \u{1b}[31m";
    let mut document = document(HOST);
    let mut chart = document.charts["my_app"].clone();
    chart.helm.version = hostile.to_owned();
    document.charts = [(hostile.to_owned(), chart)].into_iter().collect();
    for format in [
        Format::Helm,
        Format::Argocd,
        Format::Flux,
        Format::Helmfile,
        Format::Terraform,
    ] {
        let text = print(&releases(&document, None, hostile, format).unwrap(), format);
        assert!(
            !text.contains('\u{1b}') && !text.contains("\n---\nkind"),
            "{text}"
        );
    }
}
