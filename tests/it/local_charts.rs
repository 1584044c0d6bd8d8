//! Charts on the local disk.

use std::fs;

use lab::chart::CONTENT;
use lab::registry::Registry;

use super::Result;
use super::charts::{app, layers, parsed};
use super::data::Data;

#[tokio::test]
async fn charts_on_the_local_disk_are_an_archive_a_folder_or_a_folder_of_them() -> Result {
    let target = Registry::start().await?;
    let data = Data::new(
        "charts:
  archive: {name: app, repository: archives/app-1.0.0.tgz, version: 1.0.0}
  many: {name: app, repository: archives, version: 1.0.0}
  folder: {name: plain, repository: ./plain, version: 2.0.0}
",
        "ami: {}\n",
    );
    fs::create_dir(data.file_path("archives"))?;
    fs::write(data.file_path("archives/app-1.0.0.tgz"), app().archive())?;
    fs::create_dir_all(data.file_path("plain/templates"))?;
    let chart_yaml = "apiVersion: v2\nname: plain\nversion: 2.0.0\n";
    let data = data
        .file("plain/Chart.yaml", chart_yaml)
        .file("plain/values.yaml", "a: b\n")
        .file("plain/templates/x.yaml", "kind: X\n")
        .file("plain/notes.bak", "no\n")
        .file("plain/.helmignore", "*.bak\n");
    let mut digests = Vec::new();
    for _ in 0..2 {
        data.deploy(&target).run().await.ended(0);
        let archives = parsed(&target, "mirror/archives/app", "1.0.0").1;
        assert_eq!(layers(&archives, CONTENT), [app().digest()]);
        let (digest, folder) = parsed(&target, "mirror/plain/plain", "2.0.0");
        let packed = target.blob("mirror/plain/plain", &layers(&folder, CONTENT)[0]);
        digests.push((digest, packed.expect("an archive")));
        // The next time is another one.
        fs::write(data.file_path("plain/values.yaml"), "a: b\n")?;
    }
    assert_eq!(
        digests[0], digests[1],
        "packing gives the same bytes each time"
    );

    let unpacked = tempfile::tempdir()?;
    let gzip = flate2::read::GzDecoder::new(&digests[0].1[..]);
    tar::Archive::new(gzip).unpack(unpacked.path())?;
    let file = |path: &str| fs::read_to_string(unpacked.path().join(path));
    assert_eq!(file("plain/Chart.yaml")?, chart_yaml);
    assert_eq!(file("plain/templates/x.yaml")?, "kind: X\n");
    assert!(file("plain/notes.bak").is_err());
    Ok(())
}

#[tokio::test]
async fn a_local_chart_of_another_version_and_a_path_to_nothing_are_refused() -> Result {
    let data = Data::new(
        "charts:
  other: {name: app, repository: ./app.tgz, version: 1.0.1}
  none: {name: app, repository: ./nowhere, version: 1.0.0}
",
        "ami: {}\n",
    );
    fs::write(data.file_path("app.tgz"), app().archive())?;
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&[
        "2 problems",
        "charts.other",
        "holds version 1.0.0",
        "charts.none",
        "nowhere: looked for Chart.yaml, app-1.0.0.tgz, app-v1.0.0.tgz, app\n",
        "relative to the data file's folder, or else to the working directory",
    ]);
    Ok(())
}

#[tokio::test]
async fn a_local_chart_is_copied_whatever_its_folder_is_called() -> Result {
    let data = Data::new(
        "charts:
  beside: {name: app, repository: ./app.tgz, version: 1.0.0}
  hidden: {name: app, repository: .My charts_, version: 1.0.0}
  archive: {name: app, repository: ./.hidden/app.tgz, version: 1.0.0}
  above: {name: app, repository: archives/.., version: 1.0.0}
",
        "ami: {}\n",
    );
    fs::write(data.file_path("app.tgz"), app().archive())?;
    for (folder, name) in [
        (".My charts_", "app-1.0.0.tgz"),
        (".hidden", "app.tgz"),
        ("archives", "x"),
    ] {
        fs::create_dir(data.file_path(folder))?;
        fs::write(data.file_path(folder).join(name), app().archive())?;
    }
    fs::write(data.file_path("app-1.0.0.tgz"), app().archive())?;
    let done = data.plan().run().await.ended(0);
    let charts = &done.result()["charts"];
    for (key, repository) in [
        ("beside", "charts"),
        ("hidden", "my-charts"),
        ("archive", "hidden"),
        ("above", "charts"),
    ] {
        let expected = format!("oci://target.corp/idf-{repository}/app");
        assert_eq!(charts[key]["helm"]["repository"], expected, "{key}");
    }
    Ok(())
}
