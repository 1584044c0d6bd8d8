use super::*;

const KEEP: Keep = Keep::Description;

fn tgz(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (path, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        // `set_path` refuses what a hostile archive writes.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn names(archive: &[u8], keep: Keep) -> anyhow::Result<Vec<String>> {
    let files = read(archive, keep, &mut Budget::default())?;
    Ok(files.into_iter().map(|file| file.name).collect())
}

#[test]
fn planning_keeps_what_describes_charts_and_rendering_keeps_all() {
    let archive = tgz(&[
        ("top/Chart.yaml", b"name: top"),
        ("top/templates/values.yaml", b"no"),
        ("top/charts/other/values.yaml", b"b: 1"),
        ("top/charts/other/charts/deep.tgz", b"packed"),
        ("top/charts/sub-1.2.3.tgz", b"packed"),
        ("top/charts/_draft.tgz", b"packed"),
        ("top/charts/.hidden/Chart.yaml", b"{"),
    ]);
    assert_eq!(
        names(&archive, Keep::Description).unwrap(),
        [
            "Chart.yaml",
            "charts/other/values.yaml",
            "charts/other/charts/deep.tgz",
            "charts/sub-1.2.3.tgz",
        ]
    );
    assert_eq!(names(&archive, Keep::Everything).unwrap().len(), 7);
}

#[test]
fn the_top_folder_can_have_any_name_and_what_is_beside_it_is_passed_over() {
    for top in [
        "app/",
        "app-1.0.0/",
        "./app/",
        "././app/",
        "app\\",
        ".\\app\\",
        "a b/",
    ] {
        let path = format!("{top}Chart.yaml");
        let archive = tgz(&[("._app", b"x"), (&path, b"name: a")]);
        assert_eq!(names(&archive, KEEP).unwrap(), ["Chart.yaml"], "{top}");
    }
    let archive = tgz(&[("app/x/../Chart.yaml", b"name: a")]);
    assert_eq!(names(&archive, KEEP).unwrap(), ["Chart.yaml"]);
}

#[test]
fn a_path_that_leads_out_is_refused() {
    for path in [
        "../Chart.yaml",
        "/Chart.yaml",
        "top/../../x",
        "top\\..\\..\\x",
        "top/../x",
        "c:/Chart.yaml",
        "top/c:/Chart.yaml",
        "..",
    ] {
        let error = names(&tgz(&[(path, b"x")]), KEEP).unwrap_err();
        assert!(error.to_string().contains("leads out"), "{path}: {error:#}");
    }
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let zeros = vec![0; 6 * 1024 * 1024];
    let error = names(&tgz(&[("top/values.yaml", &zeros)]), KEEP).unwrap_err();
    assert!(error.to_string().contains("more than 5 MiB"), "{error:#}");
    let entries: Vec<(&str, &[u8])> = vec![("top/x", &zeros); 18];
    let error = names(&tgz(&entries), KEEP).unwrap_err();
    assert!(error.to_string().contains("more than 100 MiB"), "{error:#}");
    let many: Vec<(&str, &[u8])> = vec![("top/x", b""); MAX_ENTRIES + 1];
    let error = names(&tgz(&many), KEEP).unwrap_err();
    assert!(error.to_string().contains("entries"), "{error:#}");
}

/// A raw entry of a type.
fn entry(tar: &mut Vec<u8>, kind: tar::EntryType, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    tar.extend(header.as_bytes());
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn long_names_and_pax_headers_name_the_entry_after_them() {
    use tar::EntryType;
    let long = format!("top/{}values.yaml", "x/../".repeat(30));
    let pax = |key: &str, value: &str| {
        let rest = format!(" {key}={value}\n");
        let length = (rest.len()..rest.len() + 9)
            .find(|n| n.to_string().len() + rest.len() == *n)
            .unwrap();
        format!("{length}{rest}").into_bytes()
    };
    let mut tar = Vec::new();
    entry(
        &mut tar,
        EntryType::XGlobalHeader,
        "pax_global_header",
        &pax("comment", "a\nb"),
    );
    entry(
        &mut tar,
        EntryType::GNULongName,
        "././@LongLink",
        format!("{long}\0").as_bytes(),
    );
    entry(&mut tar, EntryType::Regular, "top/short", b"a: 1");
    entry(
        &mut tar,
        EntryType::XHeader,
        "x",
        &pax("path", "other/Chart.yaml"),
    );
    entry(&mut tar, EntryType::Regular, "top/short", b"name: a");
    entry(&mut tar, EntryType::Regular, "top/requirements.yaml", b"");
    assert_eq!(
        names(&gzip(&tar), KEEP).unwrap(),
        ["values.yaml", "Chart.yaml", "requirements.yaml"]
    );

    for (kind, content, part) in [
        (EntryType::XHeader, pax("size", "7"), "two sizes"),
        (
            EntryType::XHeader,
            b"nonsense".to_vec(),
            "broken pax header",
        ),
        (
            EntryType::XHeader,
            b"99 path=a\n".to_vec(),
            "broken pax header",
        ),
        (
            EntryType::XHeader,
            b"1 path=a\n".to_vec(),
            "broken pax header",
        ),
        (EntryType::XHeader, pax("GNU.sparse.major", "1"), "sparse"),
        (EntryType::GNUSparse, b"a".to_vec(), "sparse"),
    ] {
        let mut tar = Vec::new();
        entry(&mut tar, kind, "x", &content);
        entry(&mut tar, EntryType::Regular, "top/values.yaml", b"a: 1");
        let error = names(&gzip(&tar), KEEP).unwrap_err();
        assert!(error.to_string().contains(part), "{part}: {error:#}");
    }
}

#[test]
fn every_kind_of_entry_counts_against_the_budget() {
    use tar::EntryType;
    for kind in [
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
        EntryType::Symlink,
        EntryType::Fifo,
        EntryType::Directory,
        EntryType::new(b'Z'),
    ] {
        let mut tar = Vec::new();
        for _ in 0..6 {
            entry(&mut tar, kind, "x", &vec![b'a'; 20 << 20]);
        }
        let error = names(&gzip(&tar), KEEP).unwrap_err().to_string();
        assert!(error.contains("MiB"), "{kind:?}: {error}");
    }
    // Two archives share one budget.
    let mut tar = Vec::new();
    entry(&mut tar, EntryType::Regular, "top/x", &vec![b'a'; 60 << 20]);
    let (archive, mut budget) = (gzip(&tar), Budget::default());
    read(&archive, KEEP, &mut budget).unwrap();
    let error = read(&archive, KEEP, &mut budget).unwrap_err().to_string();
    assert!(error.contains("more than 100 MiB"), "{error}");
}

#[test]
fn links_are_empty_files_unless_they_describe_a_chart() {
    use tar::EntryType;
    let mut tar = Vec::new();
    entry(&mut tar, EntryType::Symlink, "top/README.md", b"");
    assert_eq!(names(&gzip(&tar), Keep::Everything).unwrap(), ["README.md"]);
    entry(&mut tar, EntryType::Symlink, "top/values.yaml", b"");
    let error = names(&gzip(&tar), KEEP).unwrap_err();
    assert!(error.to_string().contains("is a link"), "{error:#}");
}

#[test]
fn the_end_of_an_archive_can_be_missing_or_have_junk_behind() {
    let whole = tgz(&[("top/Chart.yaml", b"name: a"), ("top/values.yaml", b"")]);
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&whole[..]), &mut tar).unwrap();
    let (first, second) = tar.split_at(700);
    for (form, archive) in [
        ("no end blocks", gzip(&tar[..1536])),
        ("junk behind", [&whole[..], b"junk"].concat()),
        ("zeros behind", [&whole[..], &[0; 512]].concat()),
        ("two members", [gzip(first), gzip(second)].concat()),
    ] {
        assert_eq!(names(&archive, KEEP).unwrap().len(), 2, "{form}");
    }
    let torn = names(&whole[..whole.len() / 2], KEEP).unwrap_err();
    assert!(torn.to_string().contains("torn"), "{torn:#}");
}

#[test]
fn junk_is_no_archive() {
    for junk in [&b""[..], b"not an archive", &[0x1f, 0x8b, 8, 0, 0]] {
        assert!(names(junk, KEEP).map_or(true, |names| names.is_empty()));
    }
}
