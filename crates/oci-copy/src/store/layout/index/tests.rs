use bytes::Bytes;
use futures_util::future::join_all;

use super::*;

fn manifest(text: &str) -> Manifest {
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[],"annotations":{{"text":"{text}"}}}}"#,
        media_type::OCI_INDEX
    );
    Manifest::parse(None, Bytes::from(text)).unwrap()
}

fn layout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("oci-layout"), "{}").unwrap();
    folder
}

fn written(folder: &Path) -> Vec<Value> {
    let text = std::fs::read(folder.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&text).unwrap();
    index["manifests"].as_array().unwrap().clone()
}

#[tokio::test]
async fn changes_at_once_are_written_together_and_each_is_on_the_disk_when_it_returns() {
    let folder = layout();
    let (index, manifest) = (Index::new(folder.path()), manifest("a"));
    let names: Vec<String> = (0..500).map(|number| format!("name-{number}")).collect();
    let writes = names.iter().map(|name| async {
        let change = Change::new(Some(name), &manifest);
        index.write(change).await.unwrap();
        let found = index.version().unwrap().find(name).cloned();
        assert_eq!(found.as_ref(), Some(&manifest.digest));
    });
    join_all(writes).await;
    assert_eq!(written(folder.path()).len(), 500);
}

#[tokio::test]
async fn an_entry_replaces_older_ones_of_its_name_and_comes_last() {
    let folder = layout();
    let (index, a, b) = (Index::new(folder.path()), manifest("a"), manifest("b"));
    let changes = [
        (Some("x"), &a),
        (Some("y"), &a),
        (None, &a),
        (None, &a),
        (Some("x"), &b),
    ];
    for (name, manifest) in changes {
        index.write(Change::new(name, manifest)).await.unwrap();
    }
    let names: Vec<Value> = written(folder.path())
        .iter()
        .map(|entry| entry["annotations"][REF_NAME].clone())
        .collect();
    assert_eq!(names, [json!("y"), Value::Null, json!("x")]);
    let version = index.version().unwrap();
    assert_eq!(version.find("x"), Some(&b.digest));
    assert_eq!(version.find("z"), None);
}

#[tokio::test]
async fn what_other_processes_write_is_seen_and_kept() {
    let folder = layout();
    let (ours, theirs) = (Index::new(folder.path()), Index::new(folder.path()));
    let manifest = manifest("a");
    for number in 0..20 {
        let (index, name) = if number % 3 == 0 {
            (&ours, format!("ours-{number}"))
        } else {
            (&theirs, format!("theirs-{number}"))
        };
        index
            .write(Change::new(Some(&name), &manifest))
            .await
            .unwrap();
        assert!(ours.version().unwrap().find(&name).is_some());
    }
    assert_eq!(written(folder.path()).len(), 20);
}

#[tokio::test]
async fn a_file_that_is_no_index_is_an_error_for_each_change_and_stays() {
    let folder = layout();
    let path = folder.path().join("index.json");
    std::fs::write(&path, "[]").unwrap();
    let (index, manifest) = (Index::new(folder.path()), manifest("a"));
    let writes = ["x", "y"].map(|name| index.write(Change::new(Some(name), &manifest)));
    for answer in join_all(writes).await {
        assert!(matches!(answer, Err(Error::Layout { .. })), "{answer:?}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "[]");
}
