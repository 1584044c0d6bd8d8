//! What a result document, or a report, says is at the target.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Report, ResultDocument};
use crate::problem::{Problem, Problems};
use oci_copy::reference::{Digest, Location};
use oci_copy::verify::Expected;

/// What a file says is at the target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedArtifacts {
    /// All artifacts, each once, in the order of their names.
    pub artifacts: Vec<Expected>,
    /// Whether the images of the charts are among them. A result document without digests names them
    /// only in pieces, as each chart's values want them.
    pub is_complete: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Either {
    Result(ResultDocument),
    Report(Report),
}

impl ExpectedArtifacts {
    /// Reads a result document, of this program or of the Python module, or a report. `place` is what
    /// problems are blamed on.
    ///
    /// # Errors
    /// When it is neither, or names what cannot be a name.
    pub fn read(text: &[u8], place: &str) -> Result<Self, Problems> {
        let bad = |what: String| {
            let remedy =
                "give the replication_result.json or the replication_report.json of a deployment";
            Problems::from(Problem::input(place, what).remedy(remedy))
        };
        let json: serde_json::Value = serde_json::from_slice(text)
            .map_err(|error| bad(format!("it is not JSON: {error}")))?;
        if json["plan"] == true {
            let problem = Problem::input(
                place,
                "it is the document of a plan: nothing of it was copied",
            );
            let remedy =
                "run `replicator deploy`, and verify the replication_result.json that it writes";
            return Err(problem.remedy(remedy).into());
        }
        let either = serde_json::from_value(json)
            .map_err(|_| bad("it is neither a result document nor a report".to_owned()))?;
        let (recorded, is_complete) = match either {
            Either::Result(result) => {
                let is_complete = result.written.digests.is_some();
                (recorded(result), is_complete)
            }
            Either::Report(report) => {
                let artifacts = report.artifacts.into_iter();
                let recorded = artifacts.map(|artifact| (artifact.target, artifact.digest));
                (recorded.collect(), true)
            }
        };
        let (mut artifacts, mut problems) = (Vec::new(), Vec::new());
        for (text, digest) in recorded {
            let read = || {
                let target = text.parse::<Location>()?;
                let digest = digest.as_deref().map(str::parse::<Digest>).transpose()?;
                Ok::<_, oci_copy::reference::InvalidName>((target, digest))
            };
            match read() {
                Ok((target, digest)) => artifacts.push(Expected {
                    text,
                    target,
                    digest,
                }),
                Err(error) => problems.push(Problem::input(place, error.to_string())),
            }
        }
        Problems::check(problems)?;
        if artifacts.is_empty() {
            return Err(bad(
                "it names no artifact, so there is nothing to verify".to_owned()
            ));
        }
        Ok(Self {
            artifacts,
            is_complete,
        })
    }

    /// How many artifacts have no recorded digest.
    #[must_use]
    pub fn without_digest(&self) -> usize {
        let artifacts = self.artifacts.iter();
        artifacts.filter(|one| one.digest.is_none()).count()
    }
}

/// All names in a result document, with their digests.
fn recorded(result: ResultDocument) -> BTreeMap<String, Option<String>> {
    let charts = result.charts.into_values().map(|chart| {
        let repository = chart.helm.repository;
        let repository = repository.strip_prefix("oci://").unwrap_or(&repository);
        format!("{repository}:{}", chart.helm.version.replace('+', "_"))
    });
    let named = charts.chain(result.additional_images.into_values());
    let mut recorded: BTreeMap<String, Option<String>> = named.map(|name| (name, None)).collect();
    let digests = result.written.digests.into_iter().flatten();
    recorded.extend(digests.map(|(name, digest)| (name, Some(digest))));
    recorded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(document: &serde_json::Value) -> Result<ExpectedArtifacts, Problems> {
        ExpectedArtifacts::read(document.to_string().as_bytes(), "x.json")
    }

    fn digest() -> String {
        format!("sha256:{}", "a".repeat(64))
    }

    #[test]
    fn charts_additional_images_and_digests_name_each_artifact_once() {
        let document = read(&json!({
            "ami": {"version": "1"},
            "charts": {"app": {"helm": {"name": "app", "repository": "oci://r.corp/p-charts/app", "version": "1.0.0+b"},
                               "values": {"image": {"repository": "r.corp/p-x"}}}},
            "additional_images": {"a": "r.corp/p-a:1"},
            "digests": {"r.corp/p-charts/app:1.0.0_b": digest(), "r.corp/p-a:1": digest(), "r.corp/p-x:1": digest()},
        }))
        .unwrap();
        let names: Vec<&str> = document
            .artifacts
            .iter()
            .map(|one| one.text.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "r.corp/p-a:1",
                "r.corp/p-charts/app:1.0.0_b",
                "r.corp/p-x:1"
            ]
        );
        assert!(document.is_complete && document.without_digest() == 0);
    }

    #[test]
    fn a_document_without_digests_names_what_it_can() {
        let document = read(&json!({
            "charts": {"app": {"helm": {"repository": "oci:mirror:charts/app", "version": "1.0.0"}}},
            "additional_images": {"a": "r.corp/p-a:1"},
        }))
        .unwrap();
        let names: Vec<&str> = document
            .artifacts
            .iter()
            .map(|one| one.text.as_str())
            .collect();
        assert_eq!(names, ["oci:mirror:charts/app:1.0.0", "r.corp/p-a:1"]);
        assert!(!document.is_complete && document.without_digest() == 2);
    }

    #[test]
    fn a_report_says_it_all() {
        let document = read(&json!({"artifacts": [
            {"kind": "image", "target": "r.corp/p-a:1", "digest": digest(), "done": "copied"},
            {"kind": "image", "target": "r.corp/p-b:1", "digest": null, "done": "failed"},
        ], "totals": {}}))
        .unwrap();
        assert!(document.is_complete);
        assert_eq!(
            (document.artifacts.len(), document.without_digest()),
            (2, 1)
        );
    }

    #[test]
    fn other_files_are_refused_and_bad_names_reported_together() {
        for text in ["", "[]", "{}", "1", "{\"charts\": []}", "\u{0}"] {
            let error = ExpectedArtifacts::read(text.as_bytes(), "x.json").unwrap_err();
            assert!(error.to_string().starts_with("x.json: it is n"), "{error}");
        }
        let error = read(
            &json!({"charts": {}, "digests": {"r.corp/A:1": digest(), "r.corp/b:1": "md5:1"}}),
        );
        assert_eq!(error.unwrap_err().iter().count(), 2);
    }
}
