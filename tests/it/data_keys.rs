//! The keys of data files that say more of a chart than where its images' names are.

use lab::chart::{Chart, ChartRepository};
use serde_json::{Value, json};

use super::Result;
use super::data::{Data, chart_entry};
use super::run::Finished;

fn operator() -> Chart {
    let values =
        "operator: {registry: quay.io, image: team/operator, tag: v2}\nagent: {registry: ''}\n";
    Chart::new("app", "1.0.0")
        .app_version("v7.1")
        .values(values)
}

const OPERATOR: &str = "    images:
      operator:
        registry: {location: values, path: operator.registry, also: [agent.registry, new.registry]}
        repository: {location: values, path: operator.image}
        tag: {location: values, path: operator.tag}
";

async fn planned(chart: Chart, more: &str, version: &str) -> anyhow::Result<Finished> {
    let repository = ChartRepository::start(vec![chart]).await?;
    let data = Data::new(&chart_entry("app", &repository.url(), more), version);
    Ok(data.plan().run().await)
}

fn values(planned: &Finished) -> Value {
    planned.result()["charts"]["app"]["values"].clone()
}

fn sources(planned: &Finished) -> Vec<String> {
    let pairs = planned.json("updated_images.json");
    let pairs = pairs.as_array().expect("a list").iter();
    pairs
        .map(|pair| pair["src"].as_str().expect("a text").to_owned())
        .collect()
}

#[tokio::test]
async fn also_gets_what_the_registry_gets_wherever_it_is() -> Result {
    let planned = planned(operator(), OPERATOR, "ami: {}\n").await?.ended(0);
    let registry = "target.corp/idf-quay.io";
    let expected = json!({
        "operator": {"registry": registry, "image": "team/operator", "tag": "v2"},
        "agent": {"registry": registry},
        "new": {"registry": registry},
    });
    assert_eq!(values(&planned), expected);
    Ok(())
}

#[tokio::test]
async fn also_of_a_repository_gets_the_whole_name_even_of_a_fixed_one() -> Result {
    let more = "    images:
      whole: {repository: {location: values, path: image, also: [copy.image]}}
      fixed: {repository: {name: 'reg.corp:5000/team/cni:v1', also: [cni.override]}}
";
    let chart = Chart::new("app", "1.0.0").values("image: quay.io/team/app:1\n");
    let planned = planned(chart, more, "ami: {}\n").await?.ended(0);
    let image = "target.corp/idf-quay.io/team/app:1";
    let expected = json!({
        "image": image,
        "copy": {"image": image},
        "cni": {"override": "target.corp/idf-reg.corp-5000/team/cni:v1"},
    });
    assert_eq!(values(&planned), expected);
    assert_eq!(
        sources(&planned),
        ["quay.io/team/app:1", "reg.corp:5000/team/cni:v1"]
    );
    Ok(())
}

#[tokio::test]
async fn also_of_a_subchart_is_a_path_of_that_subchart() -> Result {
    let more = "    subcharts: [sub]
    images: {a: {repository: {location: values, path: image, subchart: sub, also: [more.image]}}}
";
    let sub = Chart::new("sub", "1.0.0").values("image: quay.io/team/sub:1\n");
    let chart = Chart::new("app", "1.0.0").subchart(sub);
    let planned = planned(chart, more, "ami: {}\n").await?.ended(0);
    let image = "target.corp/idf-quay.io/team/sub:1";
    let expected = json!({"sub": {"image": image, "more": {"image": image}}});
    assert_eq!(values(&planned), expected);
    Ok(())
}

#[tokio::test]
async fn also_that_another_image_needs_is_a_conflict() -> Result {
    let more = format!(
        "{OPERATOR}      other: {{repository: {{location: values, path: new.registry}}}}\n"
    );
    let values = "operator: {registry: quay.io, image: team/operator, tag: v2}\n\
        new: {registry: 'ghcr.io/team/x:1'}\n";
    let chart = Chart::new("app", "1.0.0").values(values);
    let refused = planned(chart, &more, "ami: {}\n").await?.ended(2);
    refused
        .left_nothing()
        .said(&["`new.registry` would need the value"]);
    Ok(())
}

#[tokio::test]
async fn what_an_operator_starts_is_copied_and_the_operator_is_given_its_registry() -> Result {
    let more = "    operatorImages:
    - {image: 'quay.io/team/agent', registryPath: agent.registry}
    - {image: 'quay.io/team/sidecar:v3', registryPath: agent.registry}
    - {image: ghcr.io/team/other:v1}
";
    let planned = planned(operator(), more, "ami: {}\n").await?.ended(0);
    assert_eq!(
        sources(&planned),
        [
            "quay.io/team/agent:v7.1",
            "quay.io/team/sidecar:v3",
            "ghcr.io/team/other:v1"
        ]
    );
    let expected = json!({"agent": {"registry": "target.corp/idf-quay.io"}});
    assert_eq!(values(&planned), expected);
    assert_eq!(planned.lines_with("warning:"), 0, "{}", planned.stderr);
    Ok(())
}

#[tokio::test]
async fn the_version_file_replaces_lists_and_takes_them_back() -> Result {
    let more = "    images: {}\n    operatorImages: [{image: 'quay.io/team/agent:v1'}]\n";
    for (version, expected) in [
        (
            "charts: {app: {operatorImages: [{image: 'quay.io/team/agent:v2'}]}}\n",
            &["quay.io/team/agent:v2"][..],
        ),
        ("charts: {app: {operatorImages: null}}\n", &[]),
    ] {
        let planned = planned(operator(), more, version).await?.ended(0);
        assert_eq!(sources(&planned), expected);
    }
    Ok(())
}

#[tokio::test]
async fn an_image_of_an_operator_needs_a_tag_and_for_a_path_a_host() -> Result {
    let more = "    operatorImages:
    - {image: quay.io/team/agent}
    - {image: 'team/agent:v1', registryPath: agent.registry}
    - {registryPath: agent.registry}
    - {image: 'quay.io/Team agent'}
    - {image: 'quay.io/team/agent:v1', registryPaht: agent.registry}
    - quay.io/team/agent:v1
";
    let refused = planned(operator(), more, "ami: {}\n").await?.ended(2);
    refused.left_nothing().said(&[
        "5 problems",
        "operatorImages.1: `team/agent:v1` names no registry",
        "operatorImages.2: the entry has no `image`",
        "operatorImages.3: `quay.io/Team agent` is not an image reference",
        "operatorImages.4.registryPaht: there is no key `registryPaht`",
        "write `registryPath`",
        "operatorImages.5: a mapping is expected here",
    ]);
    let without_version = Chart::new("app", "1.0.0").values("a: 1\n");
    let more = "    operatorImages: [{image: quay.io/team/agent}]\n";
    let refused = planned(without_version, more, "ami: {}\n").await?.ended(2);
    refused.left_nothing().said(&[
        "`quay.io/team/agent` has no tag, and the appVersion of app 1.0.0 cannot be one",
        "write the tag",
    ]);
    Ok(())
}

#[tokio::test]
async fn overrides_of_any_type_are_published_and_merge_over_both_files() -> Result {
    let more = format!(
        "{OPERATOR}    overrides:
      global: {{security: {{allowInsecureImages: yes}}}}
      operator: {{replicas: 3, ratio: 0.5, pull: 'yes', gone: 1}}
      list: [a, {{b: 1}}]
      nothing: null
      empty: {{}}
"
    );
    let version = "charts: {app: {overrides: {operator: {replicas: 4, gone: null}, list: [c]}}}\n";
    let planned = planned(operator(), &more, version).await?.ended(0);
    let registry = "target.corp/idf-quay.io";
    let expected = json!({
        "operator": {
            "registry": registry, "image": "team/operator", "tag": "v2",
            "replicas": 4, "ratio": 0.5, "pull": "yes", "gone": null,
        },
        "agent": {"registry": registry},
        "new": {"registry": registry},
        "global": {"security": {"allowInsecureImages": true}},
        "list": ["c"],
        "nothing": null,
        "empty": {},
    });
    assert_eq!(values(&planned), expected);
    Ok(())
}

#[tokio::test]
async fn overrides_that_an_image_needs_otherwise_are_refused() -> Result {
    let more = format!("{OPERATOR}    overrides: {{operator: {{tag: v3}}, agent: text}}\n");
    let refused = planned(operator(), &more, "ami: {}\n").await?.ended(2);
    refused.left_nothing().said(&[
        "2 problems",
        "`overrides` has another value for `operator.tag` than an image of app 1.0.0 needs, which is `v2`",
        "`overrides` has another value for `agent`",
        "remove it from `overrides`",
    ]);
    Ok(())
}

#[tokio::test]
async fn a_subcharts_subchart_is_behind_a_dot() -> Result {
    let inner = Chart::new("inner", "1.0.0")
        .app_version("3")
        .values("image: {repository: quay.io/team/inner, tag: ''}\n");
    let sub = Chart::new("sub", "1.0.0").subchart(inner);
    let chart = Chart::new("app", "1.0.0")
        .subchart(sub)
        .dependency("sub", "1.0.0", Some("other"));
    let more = "    subcharts: [{name: sub, alias: other}]
    images:
      inner:
        repository: {location: values, path: image.repository, subchart: SUB}
        tag: {location: values, path: image.tag, subchart: SUB}
";
    for spelling in ["sub.inner", "other.inner"] {
        let more = more.replace("SUB", spelling);
        let planned = planned(chart.clone(), &more, "ami: {}\n").await?.ended(0);
        let image = json!({"repository": "target.corp/idf-quay.io/team/inner", "tag": "3"});
        assert_eq!(
            values(&planned),
            json!({"other": {"inner": {"image": image}}})
        );
        assert_eq!(sources(&planned), ["quay.io/team/inner:3"]);
    }
    let refused = planned(chart, &more.replace("SUB", "inner"), "ami: {}\n").await?;
    refused
        .ended(2)
        .said(&["the subchart `inner` is not listed"]);
    Ok(())
}

#[tokio::test]
async fn how_a_chart_is_installed_and_what_is_allowed_changes_no_published_value() -> Result {
    let more = format!(
        "{OPERATOR}    values: {{clusterName: c, replicas: 2}}
    scenarios:
      eks: {{region: eu-west-1, replicas: null}}
      bare: {{}}
    namespace: kube-system
    allow: ['602401143452.dkr.ecr.*.amazonaws.com/*']
"
    );
    let version =
        "apiVersions: [monitoring.coreos.com/v1]\ncharts: {app: {scenarios: {bare: null}}}\n";
    let with = planned(operator(), &more, version).await?.ended(0);
    assert_eq!(with.lines_with("warning:"), 0, "{}", with.stderr);
    let without = planned(operator(), OPERATOR, "ami: {}\n").await?.ended(0);
    assert_eq!(values(&with), values(&without));
    Ok(())
}

#[tokio::test]
async fn wrong_shapes_of_these_keys_come_all_at_once() -> Result {
    let more = "    images: {a: {repository: {location: values, path: image, also: x}, tag: {name: '1', also: [b]}}}
    values: [a]
    scenarios: {default: {a: 1}, eks: text}
    namespace: Not_a_namespace
    switches: true
    operatorImages: text
    allow: ['*', 'a b', [x]]
    overrides: {a: {__proto__: 1}}
";
    let chart = Chart::new("app", "1.0.0").values("image: quay.io/a/b\n");
    let refused = planned(chart, more, "apiVersions: text\n").await?.ended(2);
    refused.left_nothing().said(&[
        "13 problems",
        "images.a.repository.also: a list of paths is expected here",
        "images.a.tag.also: `also` belongs to a registry or a repository",
        "charts.app.values: a mapping is expected here, this is a list",
        "charts.app.scenarios.default: `default` is the scenario of `values` alone",
        "charts.app.scenarios.eks: a mapping is expected here, this is a text",
        "charts.app.namespace: `Not_a_namespace` is not a namespace",
        "charts.app.switches: `switches` asks what discovery would find",
        "charts.app.operatorImages: a list of images is expected here",
        "charts.app.allow.0: the pattern `*` would allow every image",
        "charts.app.allow.1: `a b` is not a pattern of references",
        "charts.app.allow.2: a text is expected here, this is a list",
        "charts.app.overrides.a.__proto__: `__proto__` cannot be a key",
        "1.34.yaml:1: apiVersions: a list of API versions is expected here",
    ]);
    Ok(())
}

#[tokio::test]
async fn a_misspelt_key_among_these_is_refused() -> Result {
    for (more, meant) in [
        ("value: {a: 1}", "write `values`"),
        ("scenario: {a: {}}", "write `scenarios`"),
        ("nameSpace: x", "write `namespace`"),
        ("operatorImage: []", "write `operatorImages`"),
        ("operator_images: []", "write `operatorImages`"),
        ("override: {}", "write `overrides`"),
        ("allows: []", "write `allow`"),
        ("switch: true", "write `switches`"),
        (
            "registryPath: a.b",
            "it belongs in an entry of operatorImages",
        ),
        ("also: [a]", "it belongs in registry, repository or tag"),
        ("apiVersions: [a]", "it belongs at the top of the file"),
    ] {
        let more = format!("    images: {{}}\n    {more}\n");
        let refused = planned(operator(), &more, "ami: {}\n").await?.ended(2);
        refused.left_nothing().said(&["there is no key `", meant]);
    }
    Ok(())
}

#[tokio::test]
async fn values_that_helm_cannot_read_are_refused() -> Result {
    let more = "    images: {}\n    values: {a: .inf}\n    overrides: {b: .nan}\n";
    let refused = planned(operator(), more, "ami: {}\n").await?.ended(2);
    refused.left_nothing().said(&[
        "2 problems",
        "charts.app.values: Helm cannot read these values",
        "charts.app.overrides: Helm cannot read these values",
    ]);
    Ok(())
}

#[tokio::test]
async fn what_is_published_anyway_counts_where_images_are_discovered() -> Result {
    let template = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n    \
        image: {{ .Values.image }}\n    args: [{{ required \"a policy is needed\" .Values.policy }}]\n";
    let chart = Chart::new("app", "1.0.0")
        .values("image: quay.io/team/app:1\npolicy:\n")
        .file("templates/pod.yaml", template);
    let more =
        "    images: auto\n    scenarios: {eks: {policy: null}}\n    overrides: {policy: sync}\n";
    let found = planned(chart.clone(), more, "ami: {}\n").await?.ended(0);
    assert_eq!(
        values(&found),
        json!({"image": "target.corp/idf-quay.io/team/app:1", "policy": "sync"})
    );
    assert_eq!(sources(&found), ["quay.io/team/app:1"]);
    let without = planned(chart, "    images: auto\n", "ami: {}\n").await?;
    without.ended(2).said(&["a policy is needed"]);
    Ok(())
}
