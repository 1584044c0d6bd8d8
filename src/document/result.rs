//! `replication_result.json`, which the EKS module reads.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::null_as_default;
use crate::closure;
use crate::problem::{Problem, Problems};

/// The largest result document, in bytes: the EKS module exports it in one environment variable, and
/// one byte more makes every command after that fail with "Argument list too long".
pub const MAX_RESULT: usize = 131_019;

/// The result document: `{"ami", "charts", "additional_images"}`, and keys that the EKS module ignores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResultDocument {
    /// The nodes' machine image.
    #[serde(default)]
    pub ami: Ami,
    /// The charts by their keys, in the order of the data files.
    pub charts: IndexMap<String, Chart>,
    /// The additional images at the target by their keys, in the order of the data files.
    #[serde(default, deserialize_with = "null_as_default")]
    pub additional_images: IndexMap<String, String>,
    /// Whether this is a plan's document, whose artifacts are not at the target yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plan: bool,
    /// What the deployment wrote.
    #[serde(flatten)]
    pub written: Written,
}

/// The nodes' machine image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ami {
    /// Its version; empty where the data files name none.
    #[serde(default, deserialize_with = "null_as_default")]
    pub version: String,
}

/// A chart's entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// Where the chart is now.
    pub helm: Helm,
    /// The Helm values that make it use the copies.
    #[serde(default, deserialize_with = "null_as_default")]
    pub values: Map<String, Value>,
}

/// Where a chart is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Helm {
    /// The chart's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The repository at the target, as `helm pull` takes it.
    pub repository: String,
    /// The version that `helm pull --version` takes.
    pub version: String,
    /// The repository that it was copied from.
    #[serde(
        default,
        rename = "srcRepository",
        skip_serializing_if = "Option::is_none"
    )]
    pub source_repository: Option<String>,
}

/// What a deployment wrote; a document of the Python module has none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The EKS version that was deployed; absent where it does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eks_version: Option<String>,
    /// The repositories that the deployment wrote to, but which this program did not create.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub shared_repositories: BTreeSet<String>,
    /// What was proved of the rendered charts, in short form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure: Option<closure::Short>,
    /// The digests of all artifacts by their names at the target; absent where they do not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digests: Option<BTreeMap<String, String>>,
}

impl ResultDocument {
    /// The document as compact JSON.
    ///
    /// # Panics
    /// Never: all keys are texts.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("all keys are texts")
    }

    /// The same, marked as a plan's.
    #[must_use]
    pub fn as_plan(&self) -> Self {
        Self {
            plan: true,
            ..self.clone()
        }
    }

    /// The same with its EKS version, where it fits.
    #[must_use]
    pub fn of_version(&self, eks_version: &str) -> Self {
        self.with(|result| result.written.eks_version = Some(eks_version.to_owned()))
    }

    /// The document with an addition that the EKS module ignores. Where that does not fit, the document stays as it
    /// is.
    #[must_use]
    pub fn with(&self, add: impl FnOnce(&mut Self)) -> Self {
        let mut with = self.clone();
        add(&mut with);
        if with.to_json().len() > MAX_RESULT {
            self.clone()
        } else {
            with
        }
    }

    /// Checks that the EKS module can take it.
    ///
    /// # Errors
    /// When it is larger than [`MAX_RESULT`].
    pub fn check_size(&self) -> Result<(), Problems> {
        let size = self.to_json().len();
        if size <= MAX_RESULT {
            return Ok(());
        }
        let what = format!(
            "it has {size} bytes; the EKS module can take {MAX_RESULT}, because it exports it in one environment variable"
        );
        Err(Problem::input("result document", what)
            .remedy("skip charts that are not needed, or split them over two modules")
            .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let text = concat!(
            r#"{"ami":{"version":"1.2"},"charts":{"z":{"helm":{"name":"z","repository":"oci://r.corp/p-charts/z","#,
            r#""version":"1+b","srcRepository":"https://charts.corp"},"values":{"b":1,"a":{"tag":"1.10"}}},"#,
            r#""a":{"helm":{"name":"a","repository":"oci://r.corp/p-charts/a","version":"1","#,
            r#""srcRepository":"oci://r.corp/x"},"values":{}}},"additional_images":{"y":"r.corp/p-y:1","#,
            r#""x":"r.corp/p-x:1"},"shared_repositories":["p-x"],"digests":{"r.corp/p-x:1":"sha256:00"}}"#,
        );
        let document: ResultDocument = serde_json::from_str(text).unwrap();
        assert_eq!(document.to_json(), text);
        let plan = document.as_plan().to_json();
        let plan: ResultDocument = serde_json::from_str(&plan).unwrap();
        assert!(plan.plan && plan != document);
        assert_eq!(
            ResultDocument {
                plan: false,
                ..plan
            },
            document
        );
    }

    #[test]
    fn a_document_of_the_python_module_is_read() {
        let text = r#"{"ami":{"version":null},"charts":{"a":{"helm":{"repository":"oci://r.corp/a","version":"1"},
            "values":null}},"additional_images":null,"other":[1]}"#;
        let document: ResultDocument = serde_json::from_str(text).unwrap();
        assert_eq!(document.charts["a"].helm.repository, "oci://r.corp/a");
        assert_eq!(document.written, Written::default());
        assert!(document.additional_images.is_empty() && !document.plan);
    }

    #[test]
    fn an_addition_that_does_not_fit_is_left_out() {
        let document = ResultDocument::default();
        let add = |size: usize| {
            document.with(|document| {
                let digest = "x".repeat(size);
                document.written.digests =
                    Some(BTreeMap::from([("r.corp/a:1".to_owned(), digest)]));
            })
        };
        assert_ne!(add(100), document);
        let spare = MAX_RESULT - add(0).to_json().len();
        assert_eq!(add(spare).to_json().len(), MAX_RESULT);
        assert_eq!(add(spare + 1), document);
    }
}
