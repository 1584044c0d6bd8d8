//! A checksum of what the data files ask for. Comments, the order of keys, and which of the two files says
//! something make no difference.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use oci_copy::reference::Digest;

use super::{ChartSpec, ImageSpec, Installation, Inventory, Origin, Part};

impl Inventory {
    /// The checksum of everything that the merged data files say.
    #[must_use]
    pub fn checksum(&self) -> Digest {
        let charts = self.charts.iter();
        let charts = charts.map(|chart| (chart.key.as_str(), chart.checksum().to_string()));
        let images = self.additional_images.iter();
        let images = images.map(|image| (image.key.as_str(), image.name.to_string()));
        of(json!({
            "eksVersion": self.eks_version,
            "ami": self.ami_version,
            "charts": charts.collect::<BTreeMap<_, _>>(),
            "additionalImages": images.collect::<BTreeMap<_, _>>(),
            "mappings": self.mappings.pairs().collect::<BTreeMap<_, _>>(),
            "apiVersions": self.api_versions,
        }))
    }
}

impl ChartSpec {
    /// The checksum of everything that the merged data files say about the chart.
    #[must_use]
    pub fn checksum(&self) -> Digest {
        let subcharts = self.subcharts.iter();
        let subcharts: Vec<Value> = subcharts
            .map(|subchart| json!([subchart.name, subchart.alias]))
            .collect();
        let operator_images = self.operator_images.iter();
        let operator_images: Vec<Value> = operator_images
            .map(|image| {
                json!([
                    image.name.to_string(),
                    image.registry_path.as_ref().map(ToString::to_string)
                ])
            })
            .collect();
        let images = self.images.iter();
        let allow = self.allow.iter().map(ToString::to_string);
        of(json!({
            "name": self.name,
            "repository": self.repository_text,
            "version": self.version,
            "subcharts": subcharts,
            "images": images.map(|one| (one.key.as_str(), image(one))).collect::<BTreeMap<_, _>>(),
            "discovery": self.discovery.map(|discovery| discovery.switches),
            "operatorImages": operator_images,
            "allow": allow.collect::<Vec<_>>(),
            "overrides": self.overrides,
            "installation": installation(&self.installation),
        }))
    }
}

fn image(image: &ImageSpec) -> Value {
    let remove = image.remove.iter();
    let remove: Vec<Value> = remove
        .map(|removal| json!([removal.path.to_string(), removal.subchart]))
        .collect();
    json!({
        "registry": image.registry.as_ref().map(part),
        "repository": part(&image.repository),
        "tag": image.tag.as_ref().map(part),
        "remove": remove,
    })
}

fn part(part: &Part) -> Value {
    let origin = match &part.origin {
        Origin::Fixed(name) => json!({"name": name}),
        Origin::Values {
            path,
            subchart,
            prefix,
            suffix,
        } => json!({
            "values": path.to_string(), "subchart": subchart, "prefix": prefix, "suffix": suffix,
        }),
        Origin::Metadata {
            path,
            subchart,
            prefix,
            set,
        } => json!({
            "chart": path.to_string(), "subchart": subchart, "prefix": prefix,
            "set": set.as_ref().map(ToString::to_string),
        }),
    };
    let also: Vec<String> = part.also.iter().map(ToString::to_string).collect();
    json!({"origin": origin, "replacement": part.replacement, "also": also})
}

fn installation(installation: &Installation) -> Value {
    let scenarios = installation.scenarios.iter();
    let scenarios = scenarios.map(|one| (one.name.as_str(), &one.values));
    json!({
        "values": installation.values,
        "scenarios": scenarios.collect::<BTreeMap<_, _>>(),
        "namespace": installation.namespace,
    })
}

fn of(value: Value) -> Digest {
    Digest::of(sorted(value).to_string().as_bytes())
}

/// The same with the keys of all mappings in alphabetical order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<String, Value> = map.into_iter().collect();
            let map = map.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(map.collect::<Map<_, _>>())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHART: &str = "charts:
  app:
    name: app
    repository: https://charts.corp
    version: 1.0.0
    images:
      main: {repository: {location: values, path: image.repository}, tag: {location: values, path: image.tag}}
      side: {repository: {location: values, path: side.repository}, tag: {location: chart, path: appVersion}}
additional_images:
  a: quay.io/a:1
  b: quay.io/b:1
";

    fn checksum(default: &str, version: &str) -> Digest {
        let read = Inventory::parse("1.34", default.as_bytes(), version.as_bytes());
        read.expect("data files").checksum()
    }

    #[test]
    fn comments_the_order_of_keys_and_the_file_make_no_difference() {
        let checked = checksum(CHART, "charts:\n  app: {}\n");
        let reordered = "# a comment
additional_images: {b: quay.io/b:1, a: quay.io/a:1}
charts:
  app:
    images:
      side:
        tag: {path: appVersion, location: chart}
        repository: {location: values, path: side.repository}
      main: {tag: {location: values, path: image.tag}, repository: {location: values, path: image.repository}}
    version: 1.0.0   # another one
    repository: https://charts.corp
    name: app
";
        assert_eq!(checksum(reordered, "charts:\n  app: {}\n"), checked);
        let split = CHART.replace("    version: 1.0.0\n", "");
        assert_eq!(
            checksum(&split, "charts: {app: {version: 1.0.0}}\n"),
            checked
        );
    }

    #[test]
    fn everything_that_a_plan_depends_on_makes_a_difference() {
        let checked = checksum(CHART, "charts: {app: {}}\n");
        for (from, to) in [
            ("1.0.0", "1.0.1"),
            ("charts.corp", "other.corp"),
            ("quay.io/b:1", "quay.io/b:2"),
            ("path: image.tag", "path: image.version"),
            (
                "location: chart, path: appVersion",
                "location: chart, path: version",
            ),
        ] {
            assert_ne!(
                checksum(&CHART.replace(from, to), "charts: {app: {}}\n"),
                checked,
                "{to}"
            );
        }
        for version in [
            "charts: {app: {replication: {main: {tag: x}}}}\n",
            "charts: {app: {}}\ndocker_mappings: {quay.io: mirror.corp}\n",
            "charts: {app: {values: {a: 1}}}\n",
            "charts: {app: {}}\nami: {version: '2'}\n",
        ] {
            assert_ne!(checksum(CHART, version), checked, "{version}");
        }
    }
}
