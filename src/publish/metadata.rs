//! The module's metadata, byte for byte as `seedfarmer metadata add` would write it.

use std::io;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Map, Value};

use oci_copy::store::write_whole;

use super::Published;

/// The file in the working directory from which Seed-Farmer reads a module's outputs.
pub const MODULE_METADATA: &str = "SEEDFARMER_MODULE_METADATA";

/// Merges our outputs over the file's content, and that over an earlier run's metadata, as six calls of the
/// Seed-Farmer CLI would.
pub(super) fn write(
    file: &Path,
    earlier: Option<&str>,
    published: &Published,
) -> anyhow::Result<()> {
    let mut metadata = earlier.map(from_environment).unwrap_or_default();
    metadata.extend(from_file(file)?);
    let Published { bucket, object, .. } = published;
    let path = format!("{bucket}/{object}");
    let outputs = [
        ("S3Bucket", bucket),
        ("S3Object", object),
        ("S3FullPath", &path),
        // Deprecated spellings that manifests still use.
        ("s3_bucket", bucket),
        ("s3_object", object),
        ("s3_full_path", &path),
    ];
    for (key, value) in outputs {
        metadata.insert(key.to_owned(), Value::String(value.clone()));
    }
    write_whole(file, &python_json(&Value::Object(metadata))).map_err(anyhow::Error::new)
}

/// The metadata of an earlier run; `null` on the first one. The CLI repairs single quotes, so do we.
fn from_environment(text: &str) -> Map<String, Value> {
    let parse = |text: &str| match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    };
    parse(text)
        .or_else(|| parse(&text.replace('\'', "\"")))
        .unwrap_or_default()
}

fn from_file(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(map)) => Ok(map),
        // Like the CLI: an unreadable file is replaced.
        Err(_) => Ok(Map::new()),
        Ok(_) => bail!("{} holds something else than a JSON object", file.display()),
    }
}

/// JSON as Python's `json.dumps` writes it: a blank after `,` and `:`, and ASCII only.
struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        text: &str,
    ) -> io::Result<()> {
        for letter in text.chars() {
            if (' '..='~').contains(&letter) {
                write!(writer, "{letter}")?;
            } else {
                let mut units = [0; 2];
                letter
                    .encode_utf16(&mut units)
                    .iter()
                    .try_for_each(|unit| write!(writer, "\\u{unit:04x}"))?;
            }
        }
        Ok(())
    }
}

fn python_json(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    value
        .serialize(&mut serde_json::Serializer::with_formatter(
            &mut text, Python,
        ))
        .expect("a value can be written");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(earlier: Option<&str>, file: Option<&str>) -> anyhow::Result<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(MODULE_METADATA);
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        let published = Published {
            bucket: "b".to_owned(),
            object: "o.json".to_owned(),
            kept: None,
        };
        write(&path, earlier, &published)?;
        Ok(std::fs::read_to_string(path).unwrap())
    }

    const OURS: &str = r#""S3Bucket": "b", "S3Object": "o.json", "S3FullPath": "b/o.json", "s3_bucket": "b", "s3_object": "o.json", "s3_full_path": "b/o.json"}"#;

    #[test]
    fn a_first_run_writes_the_six_outputs() {
        for earlier in [None, Some("null"), Some("")] {
            assert_eq!(written(earlier, None).unwrap(), format!("{{{OURS}"));
        }
    }

    #[test]
    fn what_was_there_stays_in_its_place() {
        let text = written(
            Some(r#"{"old": {"k": [1, 2]}, "S3Bucket": "x"}"#),
            Some(r#"{"mine": "ü\u007f😀", "old": 1.5}"#),
        )
        .unwrap();
        let start =
            r#"{"old": 1.5, "S3Bucket": "b", "mine": "\u00fc\u007f\ud83d\ude00", "S3Object""#;
        assert!(text.starts_with(start), "{text}");
        let repaired = written(Some("{'a': 'b'}"), Some("not json")).unwrap();
        assert!(
            repaired.starts_with(r#"{"a": "b", "S3Bucket""#),
            "{repaired}"
        );
    }

    #[test]
    fn a_file_that_is_a_list_is_not_overwritten() {
        assert!(written(None, Some("[1]")).is_err());
    }
}
