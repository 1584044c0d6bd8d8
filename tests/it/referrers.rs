//! What refers to an image goes along: OCI 1.1 referrers and cosign's tags.

use lab::image::{Image, Pushed, cosign_tag};
use lab::registry::Registry;

use super::Result;
use super::run::Run;

const SBOM: &str = "application/spdx+json";
const SIGNATURE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// An image with a bill of materials, a signature of that, and a cosign signature.
fn signed(source: &Registry) -> anyhow::Result<(Pushed, [Pushed; 3])> {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    let image = image.layer(3000, 1).push(source, "team/app", "1")?;
    let sbom = image.attach(source, SBOM)?;
    let signature = sbom.attach(source, SIGNATURE)?;
    let cosign = image.sign(source)?;
    Ok((image, [sbom, signature, cosign]))
}

fn copy(from: &Registry, to: &str) -> Run {
    Run::new().args(["copy", &format!("{}/team/app:1", from.host()), to])
}

fn digests(parts: &[Pushed; 3]) -> [&str; 3] {
    [0, 1, 2].map(|index| parts[index].root.digest.as_str())
}

#[tokio::test]
async fn signatures_and_bills_of_materials_go_along_and_the_tag_comes_last() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let (image, parts) = signed(&source)?;
    copy(&source, &format!("{}/app:1", target.host()))
        .run()
        .await
        .ended(0);
    for digest in digests(&parts) {
        assert!(
            target.manifest("app", digest).is_some(),
            "{digest} is not at the target"
        );
    }
    let tag = cosign_tag(&image.root.digest, "sig");
    assert_eq!(target.tags("app"), ["1".to_owned(), tag]);
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    let requests = target.wire().requests();
    let last = requests
        .iter()
        .rfind(|request| request.method == "PUT")
        .expect("a PUT");
    assert!(last.path.ends_with("/manifests/1"), "{}", last.path);

    // A second run asks for nothing but the two tags.
    source.wire().clear();
    copy(&source, &format!("{}/app:1", target.host()))
        .run()
        .await
        .ended(0);
    assert_eq!(source.wire().requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_registry_without_a_list_of_referrers_gives_and_gets_the_tag_that_stands_in() -> Result {
    let without = || async { Registry::builder().without_referrers().start().await };
    let (source, target) = (without().await?, without().await?);
    let (image, parts) = signed(&source)?;
    copy(&source, &format!("{}/app:1", target.host()))
        .run()
        .await
        .ended(0);
    for digest in digests(&parts) {
        assert!(
            target.manifest("app", digest).is_some(),
            "{digest} is not at the target"
        );
    }
    let tag = image.root.digest.replace(':', "-");
    let (_, index, _) = target
        .manifest("app", &tag)
        .expect("the tag that stands in");
    let index: serde_json::Value = serde_json::from_slice(&index)?;
    assert_eq!(index["manifests"][0]["digest"], parts[0].root.digest);
    assert_eq!(index["manifests"][0]["artifactType"], SBOM);
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn through_a_folder_nothing_is_lost() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let (_, parts) = signed(&source)?;
    let folder = tempfile::tempdir()?;
    let layout = format!("oci:{}:app", folder.path().join("mirror").display());
    copy(&source, &layout).run().await.ended(0);
    let back = Run::new().args(["copy", &layout, &format!("{}/app:1", target.host())]);
    back.run().await.ended(0);
    // Cosign's tags are names of a registry; what a folder lists are referrers.
    for digest in &digests(&parts)[..2] {
        assert!(
            target.manifest("app", digest).is_some(),
            "{digest} is not at the target"
        );
    }
    Ok(())
}

#[tokio::test]
async fn they_stay_behind_when_nobody_wants_them() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let (_, parts) = signed(&source)?;
    let run = copy(&source, &format!("{}/app:1", target.host())).arg("--no-referrers");
    run.run().await.ended(0);
    for digest in digests(&parts) {
        assert!(
            target.manifest("app", digest).is_none(),
            "{digest} is at the target"
        );
    }
    assert_eq!(source.wire().count("", "referrers"), 0);
    assert_eq!(target.tags("app"), ["1"]);
    Ok(())
}
