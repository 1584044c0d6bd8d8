//! Which documents say what was deployed, and what of it can be checked.

use std::fs;

use serde_json::Value;

use super::{Deployed, finding, found, image, verify};
use crate::Result;
use crate::content::mirrored;
use crate::run::Run;

#[tokio::test]
async fn the_output_folder_is_taken_for_the_result_in_it() -> Result {
    let deployed = Deployed::start().await?;
    let out = deployed.done.out();
    verify(&out).run().await.ended(0);
    for command in [["diff", "--exit-code"], ["values", "--result"]] {
        let mut run = Run::new().args(command).arg(&out);
        if command[0] == "diff" {
            run = run.arg(&out);
        }
        run.run().await.ended(0);
    }
    Ok(())
}

#[tokio::test]
async fn a_document_without_digests_is_checked_as_far_as_it_goes() -> Result {
    let deployed = Deployed::start().await?;
    let path = deployed.done.out().join("replication_result.json");
    let mut document = deployed.done.result();
    document
        .as_object_mut()
        .expect("an object")
        .remove("digests");
    fs::write(&path, document.to_string())?;
    let done = deployed.verify().run().await.ended(0);
    assert_eq!(found(&done)["artifacts"].as_array().map(Vec::len), Some(3));
    assert_eq!(found(&done)["warnings"].as_array().map(Vec::len), Some(1));
    assert_eq!(finding(&done, "team/app:1")["recorded"], Value::Null);
    done.said(&["warning:", "records no digests"]);

    // Other content under the name cannot be noticed, but what it lacks can.
    let other = image(9).push(&deployed.target, &mirrored("team/app"), "1")?;
    deployed.verify().run().await.ended(0);
    let blob = &other.blobs[0].digest;
    deployed.target.remove_blob(&mirrored("team/app"), blob);
    deployed.verify().run().await.ended(1).said(&[blob]);

    let report = deployed.done.out().join("replication_report.json");
    let failed = verify(&report).run().await.ended(1);
    failed.said(&["team/app:1: tag moved"]);
    Ok(())
}

#[tokio::test]
async fn other_files_than_documents_are_bad_input() -> Result {
    let dir = tempfile::tempdir()?;
    for (name, text) in [
        ("junk.json", "\u{1}junk"),
        ("list.json", "[]"),
        ("other.json", "{\"charts\": 1}"),
        (
            "names.json",
            "{\"charts\": {}, \"digests\": {\"r.corp/A:1\": \"x\", \"r.corp/b:1\": \"md5:0\"}}",
        ),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, text)?;
        let refused = Run::new().arg("verify").arg(&path).run().await.ended(2);
        refused.said(&[name]);
    }
    let refused = Run::new().arg("verify").arg(dir.path()).run().await;
    let shown = format!(
        "{}: cannot be read",
        dir.path().join("replication_result.json").display()
    );
    refused.ended(2).said(&[&shown, "replicator deploy"]);
    let refused = Run::new().arg("verify").run().await.ended(2);
    refused.said(&[
        "replication_result.json: cannot be read",
        "replicator deploy",
    ]);
    Ok(())
}
