//! `.Capabilities`: the cluster's version and APIs, as `helm template` gets them.

use std::rc::Rc;

use super::super::func::{Context, Failure, Method, Param};
use super::super::value::{ElementType, Encoded, List, Object, Str, Value};

/// The version of Helm that templates see, and whose behaviour is rendered.
pub const HELM_VERSION: &str = "v3.22.0";

/// The Go version that templates see in `.Capabilities.HelmVersion.GoVersion`.
const GO_VERSION: &str = "go1.26.8";

/// The minor version of Kubernetes that Helm v3.22.0 assumes (its Makefile: that of client-go v0.37).
const DEFAULT_MINOR: &str = "37";

/// The API versions that Helm v3.22.0 knows without a cluster (`chartutil.DefaultVersionSet`).
const API_VERSIONS: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "lifecycle.k8s.io/v1alpha1",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

/// A version of Kubernetes, as Helm prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// The whole version with a `v` in front: `v1.34.0-eks-0`.
    pub version: String,
    /// The major version.
    pub major: String,
    /// The minor version.
    pub minor: String,
}

impl Default for KubeVersion {
    fn default() -> Self {
        Self {
            version: format!("v1.{DEFAULT_MINOR}.0"),
            major: "1".to_owned(),
            minor: DEFAULT_MINOR.to_owned(),
        }
    }
}

impl KubeVersion {
    /// Reads a version as Helm does (`ParseGeneric` of k8s.io/apimachinery `pkg/util/version`): two
    /// numbers or more, of which what follows is dropped.
    ///
    /// # Errors
    /// A text that is not such a version, in Helm's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bare = text.trim_start();
        let bare = bare.strip_prefix('v').unwrap_or(bare);
        // As many numbers with dots between them as there are.
        let mut numbers: Vec<&str> = Vec::new();
        let mut rest = bare;
        loop {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            if end == 0 {
                break;
            }
            numbers.push(&rest[..end]);
            match rest[end..].strip_prefix('.') {
                Some(after) => rest = after,
                None => break,
            }
        }
        if numbers.is_empty() {
            return Err(format!("could not parse {text:?} as version"));
        }
        if numbers.len() < 2 {
            return Err(format!("illegal version string {text:?}"));
        }
        if numbers[0].len() > 1 && numbers[0].starts_with('0') {
            let first = numbers[0];
            return Err(format!(
                "illegal zero-prefixed version component {first:?} in {text:?}"
            ));
        }
        let mut parts = Vec::new();
        for number in numbers {
            let part: u64 = number.parse().map_err(|_| {
                format!("illegal non-numeric version component {number:?} in {text:?}")
            })?;
            parts.push(part.to_string());
        }
        Ok(Self {
            version: format!("v{}", parts.join(".")),
            major: parts[0].clone(),
            minor: parts[1].clone(),
        })
    }

    /// A version as a cluster reports it, with its suffix: `v1.34.0-eks-0`.
    ///
    /// # Errors
    /// As [`KubeVersion::parse`].
    pub fn of_cluster(text: &str) -> Result<Self, String> {
        let mut version = Self::parse(text)?;
        let bare = text.trim();
        version.version = format!("v{}", bare.strip_prefix('v').unwrap_or(bare));
        Ok(version)
    }
}

/// What the cluster can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Its version.
    pub kube_version: KubeVersion,
    /// API versions (`monitoring.coreos.com/v1`, also with a kind behind another `/`) besides those
    /// that Helm knows.
    pub api_versions: Vec<String>,
}

/// The object that templates see.
pub(crate) fn capabilities(capabilities: &Capabilities) -> Value {
    let known = API_VERSIONS.iter().copied();
    let more = capabilities.api_versions.iter().map(String::as_str);
    let versions: Vec<Value> = known.chain(more).map(Value::from).collect();
    Value::Object(Rc::new(CapabilitiesObject {
        kube_version: Value::Object(Rc::new(KubeVersionObject(
            capabilities.kube_version.clone(),
        ))),
        api_versions: Value::Object(Rc::new(VersionSet(versions))),
        helm_version: Value::Object(Rc::new(HelmVersion)),
    }))
}

#[derive(Debug)]
struct CapabilitiesObject {
    kube_version: Value,
    api_versions: Value,
    helm_version: Value,
}

impl Object for CapabilitiesObject {
    fn type_name(&self) -> &'static str {
        "*chartutil.Capabilities"
    }

    fn kind(&self) -> &'static str {
        "ptr"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "KubeVersion" => Some(self.kube_version.clone()),
            "APIVersions" => Some(self.api_versions.clone()),
            "HelmVersion" => Some(self.helm_version.clone()),
            _ => None,
        }
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        Some(vec![
            ("KubeVersion".into(), self.kube_version.clone()),
            ("APIVersions".into(), self.api_versions.clone()),
            ("HelmVersion".into(), self.helm_version.clone()),
        ])
    }

    fn go_string(&self) -> Option<String> {
        None
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[derive(Debug)]
struct KubeVersionObject(KubeVersion);

impl Object for KubeVersionObject {
    fn type_name(&self) -> &'static str {
        "chartutil.KubeVersion"
    }

    fn kind(&self) -> &'static str {
        "struct"
    }

    fn field(&self, name: &str) -> Option<Value> {
        let text = match name {
            "Version" => &self.0.version,
            "Major" => &self.0.major,
            "Minor" => &self.0.minor,
            _ => return None,
        };
        Some(Value::from(text.as_str()))
    }

    fn method(&self, name: &str) -> Option<Method> {
        matches!(name, "String" | "GitVersion").then_some(Method::new(&[]))
    }

    fn call(&self, _: &mut dyn Context, _: &str, _: &[Value]) -> Result<Value, Failure> {
        Ok(Value::from(self.0.version.as_str()))
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        let names = ["Version", "Major", "Minor"];
        Some(
            names
                .iter()
                .filter_map(|name| Some(((*name).into(), self.field(name)?)))
                .collect(),
        )
    }

    fn go_string(&self) -> Option<String> {
        Some(self.0.version.clone())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// `.Capabilities.APIVersions`, a list with a method.
#[derive(Debug)]
struct VersionSet(Vec<Value>);

impl Object for VersionSet {
    fn type_name(&self) -> &'static str {
        "chartutil.VersionSet"
    }

    fn kind(&self) -> &'static str {
        "slice"
    }

    fn field(&self, _: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Method> {
        (name == "Has").then_some(Method::new(&[Param::String]))
    }

    fn call(&self, _: &mut dyn Context, _: &str, args: &[Value]) -> Result<Value, Failure> {
        let [Value::String(wanted)] = args else {
            return Err(Failure::Error("Has takes one string".to_owned()));
        };
        let has = |version: &Value| matches!(version, Value::String(text) if text == wanted);
        Ok(Value::Bool(self.0.iter().any(has)))
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        let numbered = self.0.iter().enumerate();
        Some(
            numbered
                .map(|(n, version)| (n.to_string().into(), version.clone()))
                .collect(),
        )
    }

    fn go_string(&self) -> Option<String> {
        None
    }

    fn encoded(&self) -> Encoded {
        let list = List::new(ElementType::String, self.0.clone());
        Encoded::Value(Value::List(Rc::new(list)))
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[derive(Debug)]
struct HelmVersion;

impl Object for HelmVersion {
    fn type_name(&self) -> &'static str {
        "version.BuildInfo"
    }

    fn kind(&self) -> &'static str {
        "struct"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Version" => Some(Value::from(HELM_VERSION)),
            "GitCommit" | "GitTreeState" => Some(Value::from("")),
            "GoVersion" => Some(Value::from(GO_VERSION)),
            _ => None,
        }
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        let names = ["Version", "GitCommit", "GitTreeState", "GoVersion"];
        Some(
            names
                .iter()
                .filter_map(|name| Some(((*name).into(), self.field(name)?)))
                .collect(),
        )
    }

    fn go_string(&self) -> Option<String> {
        None
    }

    fn encoded(&self) -> Encoded {
        Encoded::Struct(vec![
            ("version".into(), Value::from(HELM_VERSION)),
            ("go_version".into(), Value::from(GO_VERSION)),
        ])
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_versions_are_read_as_helm_reads_them() {
        for (text, version) in [
            ("1.34", "v1.34"),
            ("v1.34.0", "v1.34.0"),
            ("1.34.0-eks-0", "v1.34.0"),
            ("1.34.", "v1.34"),
            (" v1.01.2x", "v1.1.2"),
            ("v1.22.5+k3s1", "v1.22.5"),
        ] {
            assert_eq!(KubeVersion::parse(text).unwrap().version, version);
        }
        for text in ["", "1", "v", "one.two", "01.1"] {
            assert!(KubeVersion::parse(text).is_err(), "{text}");
        }
    }
}
