//! Flux: <https://fluxcd.io/flux/components/source/ocirepositories/>,
//! <https://fluxcd.io/flux/components/helm/helmreleases/>

use serde_json::{Value, json};

use super::Release;

/// An `OCIRepository` for the chart, and the `HelmRelease` that installs it. ECR is read with the controller's own
/// role.
pub(super) fn manifests(release: &Release<'_>) -> [Value; 2] {
    let metadata = json!({"name": release.name, "namespace": release.namespace});
    let mut reference = json!({"tag": release.tag()});
    if let Some(digest) = release.digest {
        reference["digest"] = digest.into();
    }
    let provider = if release.ecr().is_some() {
        "aws"
    } else {
        "generic"
    };
    let repository = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": metadata,
        "spec": {
            "interval": "1h",
            "url": format!("oci://{}/{}", release.repository, release.chart),
            "provider": provider,
            "ref": reference,
            "layerSelector": {
                "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
                "operation": "copy",
            },
        },
    });
    let spec = json!({
        "interval": "1h",
        "releaseName": release.name,
        "chartRef": {"kind": "OCIRepository", "name": release.name},
        "install": {"createNamespace": true},
        "values": release.values,
    });
    let helm_release = json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": metadata,
        "spec": spec,
    });
    [repository, helm_release]
}
