//! A chart's archive as the OCI artifact that `helm push` would make of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use oci_copy::manifest::{Descriptor, Manifest, media_type};

use super::Chart;

/// Chart.yaml as JSON (helm: `pkg/registry/constants.go`).
pub(super) const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// A chart's archive.
pub(crate) const HELM_CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// A chart's provenance.
pub(crate) const HELM_PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";

/// The moment that every artifact gives as its creation. Helm writes the archive's time on the
/// local disk, so that no two pushes are equal; a fixed one makes a second run find the first one's
/// digest.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// A manifest with the contents that it refers to.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// The manifest.
    pub manifest: Manifest,
    /// The contents, config first.
    pub blobs: Vec<(Descriptor, Bytes)>,
}

impl Artifact {
    /// Makes the artifact of a chart (helm: `Push` in `pkg/registry/client.go`). The same chart gives
    /// the same digest.
    ///
    /// # Panics
    /// Never: a value can always be written as JSON.
    #[must_use]
    pub fn of(chart: &Chart, archive: &Bytes, provenance: Option<&Bytes>) -> Self {
        let config = Bytes::from(escaped_json(&chart.metadata.to_json()));
        let config = (Descriptor::of(HELM_CONFIG, &config), config);
        let mut layers = vec![(Descriptor::of(HELM_CHART, archive), archive.clone())];
        if let Some(provenance) = provenance {
            layers.push((
                Descriptor::of(HELM_PROVENANCE, provenance),
                provenance.clone(),
            ));
        }
        layers.sort_by(|(a, _), (b, _)| a.digest.cmp(&b.digest));
        let brief = |descriptor: &Descriptor| json!({"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size});
        let manifest = json!({
            "schemaVersion": 2,
            "config": brief(&config.0),
            "layers": layers.iter().map(|(layer, _)| brief(layer)).collect::<Vec<Value>>(),
            "annotations": annotations(chart),
        });
        let bytes = Bytes::from(escaped_json(&manifest));
        let manifest =
            Manifest::parse(Some(media_type::OCI_MANIFEST), bytes).expect("it is built as one");
        let blobs = std::iter::once(config).chain(layers).collect();
        Self { manifest, blobs }
    }
}

/// The annotations that Helm gives (helm: `pkg/registry/chart.go`): the chart's own ones cannot
/// replace title and version.
fn annotations(chart: &Chart) -> BTreeMap<String, String> {
    const NAMESPACE: &str = "org.opencontainers.image";
    let metadata = &chart.metadata;
    let authors: Vec<String> = metadata
        .maintainers
        .iter()
        .filter(|maintainer| !maintainer.name.is_empty())
        .map(|maintainer| {
            if maintainer.email.is_empty() {
                maintainer.name.clone()
            } else {
                format!("{} ({})", maintainer.name, maintainer.email)
            }
        })
        .collect();
    let source = metadata.sources.first().cloned().unwrap_or_default();
    let generated = [
        ("description", metadata.description.clone()),
        ("title", metadata.name.clone()),
        ("version", metadata.version.clone()),
        ("url", metadata.home.clone()),
        ("created", CREATED.to_owned()),
        ("source", source),
        ("authors", authors.join(", ")),
    ];
    let mut annotations: BTreeMap<String, String> = generated
        .into_iter()
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(key, text)| (format!("{NAMESPACE}.{key}"), text))
        .collect();
    for (key, text) in &metadata.annotations {
        let is_fixed = ["title", "version"]
            .iter()
            .any(|fixed| *key == format!("{NAMESPACE}.{fixed}"));
        if !is_fixed {
            annotations.insert(key.clone(), text.clone());
        }
    }
    annotations
}

/// JSON as Go writes it: within texts `<`, `>`, `&` and two line separators are escaped.
fn escaped_json(value: &Value) -> Vec<u8> {
    let text = value.to_string();
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
        .into_bytes()
}
