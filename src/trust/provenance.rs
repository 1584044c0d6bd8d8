//! Charts' provenance files, as `helm verify` reads them.

use ::signatures::openpgp::{self, Keyring};
use helm_chart::yaml::{self, Limits};
use oci_copy::copy::{Candidate, Refused};

use crate::charts::{HELM_CHART, HELM_PROVENANCE};

use super::signatures::{Found, Signed};

/// The largest provenance file, in bytes: a signed copy of Chart.yaml.
const MAX_PROVENANCE: u64 = 1024 * 1024;

/// Verifies the provenance file of a chart against its archive.
pub(super) async fn by_keyring(
    candidate: &Candidate<'_>,
    keyring: &Keyring,
) -> Result<Result<Signed, Found>, Refused> {
    let Some(manifest) = candidate.manifest().await? else {
        return Ok(Err("no manifest".to_owned()));
    };
    let layer = |wanted: &str| {
        let mut layers = manifest.layers().iter();
        layers.find(|layer| layer.media_type == wanted)
    };
    let Some(archive) = layer(HELM_CHART) else {
        return Ok(Err("no chart".to_owned()));
    };
    let Some(provenance) = layer(HELM_PROVENANCE) else {
        return Ok(Err("no provenance file (.prov) beside the chart".to_owned()));
    };
    if provenance.size > MAX_PROVENANCE {
        return Ok(Err("a provenance file that is too large".to_owned()));
    }
    let provenance = candidate.blob(provenance).await?;
    let now = super::now();
    let verified = match openpgp::verify(&provenance, keyring, now) {
        Ok(verified) => verified,
        Err(error) => return Ok(Err(format!("in the provenance file: {error}"))),
    };
    let file = file_name(&candidate.request.source_text);
    let digest = archive.digest.to_string();
    Ok(match sum_of(&verified.text, &file) {
        Some(sum) if sum == digest => Ok(Signed {
            by: verified.signed_by,
            digest,
        }),
        Some(sum) => {
            let sum: String = sum.escape_debug().take(100).collect();
            Err(format!("a provenance file for another archive, {sum}"))
        }
        None => Err(format!("a provenance file that does not name {file}")),
    })
}

/// The name of a chart's archive: plans name charts `<repository>/<name>:<version>`.
fn file_name(source: &str) -> String {
    let last = source.rsplit('/').next().unwrap_or(source);
    let (name, version) = last.split_once(':').unwrap_or((last, ""));
    format!("{name}-{version}.tgz")
}

/// The checksum of a file in a signed text: Chart.yaml, and then a document with `files`.
fn sum_of(text: &str, file: &str) -> Option<String> {
    let sums = text.split("\n...\n").nth(1)?;
    let sums = yaml::first_document(sums, &Limits::default()).ok()??;
    let files = sums.get("files")?;
    let sum = files
        .entries()
        .into_iter()
        .find(|(name, _)| name.as_text() == Some(file));
    sum.and_then(|(_, sum)| sum.as_text().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_a_chart_is_found_in_the_signed_text() {
        let text = "apiVersion: v2\nname: app\n\n...\nfiles:\n  app-1.0.0.tgz: sha256:00ff\n";
        let sum = |source| sum_of(text, &file_name(source));
        assert_eq!(
            sum("https://charts.corp/stable/app:1.0.0").as_deref(),
            Some("sha256:00ff")
        );
        assert_eq!(
            sum("oci://quay.io/charts/app:1.0.0").as_deref(),
            Some("sha256:00ff")
        );
        assert_eq!(sum("oci://quay.io/charts/app:1.0.1"), None);
        for text in [
            "",
            "a\n...\n",
            "a\n...\nfiles: []\n",
            "a\n...\n{",
            "files:\n  app-1.0.0.tgz: x\n",
        ] {
            assert_eq!(sum_of(text, "app-1.0.0.tgz"), None);
        }
    }
}
