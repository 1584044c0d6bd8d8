use super::*;
use crate::document::PrunedImage;
use crate::prune::check::check;

const DAY: u64 = 86_400;

fn digest(number: usize) -> Digest {
    Digest::of(number.to_string().as_bytes())
}

fn days(number: u64) -> Timestamp {
    Timestamp::from_seconds(number * DAY)
}

/// An image that was pushed and pulled long ago.
fn old() -> Image {
    Image {
        pushed: Some(days(1)),
        pulled: Some(days(2)),
        size: Some(10),
        ..Image::default()
    }
}

fn index(children: &[usize]) -> Image {
    Image {
        is_index: true,
        children: children.iter().map(|child| digest(*child)).collect(),
        ..old()
    }
}

fn tagged(tags: &[&str], image: Image) -> Image {
    Image {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..image
    }
}

fn contents(images: impl IntoIterator<Item = Image>) -> Contents {
    let images = images.into_iter().enumerate();
    Contents(
        images
            .map(|(number, image)| (digest(number), image))
            .collect(),
    )
}

fn needs(digests: &[usize], tags: &[&str]) -> RepositoryNeeds {
    let document = || "result".to_owned();
    RepositoryNeeds {
        digests: digests
            .iter()
            .map(|one| (digest(*one), document()))
            .collect(),
        tags: tags
            .iter()
            .map(|tag| ((*tag).to_owned(), document()))
            .collect(),
        whole: None,
    }
}

fn removed(contents: &Contents, needs: &RepositoryNeeds) -> Vec<usize> {
    let selection = select(contents, needs, days(100));
    let all = 0..contents.0.len();
    all.filter(|number| selection.remove.contains(&digest(*number)))
        .collect()
}

#[test]
fn platforms_stay_with_an_index_that_stays() {
    let contents = contents([
        old(),
        old(),
        old(),
        tagged(&["1"], index(&[0, 1])),
        tagged(&["2"], index(&[1, 2])),
    ]);
    assert_eq!(removed(&contents, &needs(&[], &[])), [0, 1, 2, 3, 4]);
    assert_eq!(removed(&contents, &needs(&[4], &[])), [0, 3]);
    assert_eq!(removed(&contents, &needs(&[], &["1"])), [2, 4]);
    // A platform that is needed by itself keeps no index.
    assert_eq!(removed(&contents, &needs(&[0], &[])), [1, 2, 3, 4]);
}

#[test]
fn signatures_stay_and_go_with_what_they_sign() {
    let signature = format!("sha256-{}.sig", digest(0).hex());
    let referrer = Image {
        subject: Some(digest(1)),
        ..old()
    };
    let contents = contents([
        tagged(&["1"], old()),
        tagged(&[&signature], old()),
        referrer,
        tagged(&["2"], old()),
    ]);
    // The SBOM of the signature of the image.
    assert_eq!(removed(&contents, &needs(&[], &["1"])), [3]);
    assert_eq!(removed(&contents, &needs(&[], &["2"])), [0, 1, 2]);
    let groups = order(&contents, &[0, 1, 2].map(digest).into());
    assert_eq!(groups, [[digest(2)], [digest(1)], [digest(0)]]);
}

#[test]
fn what_was_pulled_or_pushed_lately_stays_with_what_belongs_to_it() {
    let pulled = |image: Image| Image {
        pulled: Some(days(150)),
        ..image
    };
    let pushed = |image: Image| Image {
        pushed: Some(days(150)),
        pulled: None,
        ..image
    };
    assert_eq!(
        removed(&contents([old(), pulled(index(&[0]))]), &needs(&[], &[])),
        [0; 0]
    );
    assert_eq!(
        removed(&contents([old(), pushed(old())]), &needs(&[], &[])),
        [0]
    );
    // ECR may not have recorded the pull of the index.
    let of_index = contents([pulled(old()), old(), index(&[0, 1])]);
    assert_eq!(removed(&of_index, &needs(&[], &[])), [0; 0]);
    // The pull is explained by the index that is in use.
    let shared = contents([
        pulled(old()),
        old(),
        index(&[0, 1]),
        tagged(&["2"], index(&[0])),
    ]);
    assert_eq!(removed(&shared, &needs(&[], &["2"])), [1, 2]);
    let unknown = Image {
        pushed: None,
        ..old()
    };
    assert_eq!(removed(&contents([unknown]), &needs(&[], &[])), [0; 0]);
}

#[test]
fn a_document_that_may_name_anything_keeps_everything() {
    let needs = RepositoryNeeds {
        whole: Some("python".to_owned()),
        ..RepositoryNeeds::default()
    };
    assert_eq!(removed(&contents([old(), index(&[0])]), &needs), [0; 0]);
}

#[test]
fn layers_count_once_and_only_if_nothing_else_has_them() {
    let with = |blobs: &[(usize, u64)]| Image {
        blobs: Some(
            blobs
                .iter()
                .map(|(blob, size)| (digest(*blob), *size))
                .collect(),
        ),
        ..old()
    };
    let mut contents = contents([
        with(&[(100, 5), (101, 7)]),
        with(&[(101, 7), (102, 9)]),
        with(&[(100, 5)]),
        index(&[0]),
    ]);
    let remove = [0, 1, 3].map(digest).into();
    let found = freed(&contents, &remove);
    assert_eq!((found.bytes, found.is_exact), (16, true));
    contents.0.get_mut(&digest(2)).unwrap().blobs = None;
    let found = freed(&contents, &remove);
    assert_eq!((found.bytes, found.is_exact), (20, false));
}

/// A repository of some images that refer to each other at random, without circles among indexes.
fn generated(random: &mut fastrand::Rng) -> Contents {
    let count = random.usize(1..30);
    let images = (0..count).map(|number| {
        let mut image = old();
        if random.u8(..8) == 0 {
            image.pulled = Some(days(random.u64(0..200)));
        }
        if random.u8(..16) == 0 {
            image.pushed = Some(days(random.u64(0..200))).filter(|_| random.bool());
        }
        if number > 0 && random.u8(..3) == 0 {
            image.is_index = true;
            let children = 0..random.usize(1..5);
            image.children = children.map(|_| digest(random.usize(..number))).collect();
        }
        match random.u8(..8) {
            0 => image.subject = Some(digest(random.usize(..count))),
            1 => {
                let about = digest(random.usize(..count + 3));
                image.tags.insert(format!("sha256-{}.sig", about.hex()));
            }
            2 | 3 => image.tags.extend([number.to_string()]),
            _ => {}
        }
        image
    });
    contents(images.collect::<Vec<_>>())
}

/// Everything that is reachable from what is needed, computed as simply as possible.
fn reachable(contents: &Contents, needs: &RepositoryNeeds) -> BTreeSet<Digest> {
    let is_needed = |digest: &Digest, image: &Image| {
        needs.digests.contains_key(digest)
            || image.tags.iter().any(|tag| needs.tags.contains_key(tag))
    };
    let needed = contents
        .0
        .iter()
        .filter(|(digest, image)| is_needed(digest, image));
    let mut found: BTreeSet<Digest> = needed.map(|(digest, _)| digest.clone()).collect();
    loop {
        let before = found.len();
        for (digest, image) in &contents.0 {
            if found.contains(digest) {
                found.extend(
                    image
                        .children
                        .iter()
                        .filter(|one| contents.0.contains_key(*one))
                        .cloned(),
                );
            }
            let about = |subject: &Digest| {
                let name = format!("sha256-{}.sig", subject.hex());
                image.subject.as_ref() == Some(subject) || image.tags.contains(&name)
            };
            if found.iter().any(about) {
                found.insert(digest.clone());
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

#[test]
fn nothing_that_is_reachable_from_what_is_needed_is_ever_removed() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut all, mut gone) = (0, 0);
    for _ in 0..2000 {
        let contents = generated(&mut random);
        let count = contents.0.len();
        let number = random.usize(..4);
        let digests: Vec<usize> = (0..number).map(|_| random.usize(..count)).collect();
        let tag = random.usize(..count).to_string();
        let needs = needs(&digests, &[&tag]);
        let since = days(100);
        let selection = select(&contents, &needs, since);
        let remove = &selection.remove;
        all += count;
        gone += remove.len();

        assert_eq!(selection.keep.len() + remove.len(), count);
        assert!(remove.is_disjoint(&reachable(&contents, &needs)));
        let relations = contents.relations();
        for (digest, image) in &contents.0 {
            let is_used = [image.pulled, image.pushed]
                .iter()
                .flatten()
                .any(|time| *time >= since);
            if remove.contains(digest) {
                assert!(!is_used && image.pushed.is_some());
                continue;
            }
            // Nothing that stays lacks a part, a signature, or what it is about.
            assert!(
                relations
                    .stay_with(digest)
                    .all(|other| !remove.contains(other))
            );
        }
        let mut deleted = BTreeSet::new();
        for digest in order(&contents, remove).into_iter().flatten() {
            assert!(
                relations
                    .indexes(&digest)
                    .all(|index| deleted.contains(index))
            );
            assert!(deleted.insert(digest));
        }
        assert_eq!(&deleted, remove);
    }
    assert!(gone > all / 10, "{gone} of {all} images were removed");
}

#[test]
fn a_long_chain_of_indexes_is_kept_or_ordered_as_fast_as_any_other_content() {
    let chain = (0..20_000).map(|number| match number {
        0 => old(),
        _ => index(&[number - 1]),
    });
    let contents = contents(chain);
    let remove = contents.0.keys().cloned().collect();
    let groups = order(&contents, &remove);
    assert_eq!(groups.len(), 20_000);
    assert_eq!(groups[0], [digest(19_999)]);
    assert_eq!(removed(&contents, &needs(&[19_999], &[])), [0; 0]);
}

/// The images of a plan.
fn planned(contents: &Contents, remove: &BTreeSet<Digest>) -> Vec<PrunedImage> {
    let images = contents
        .0
        .iter()
        .filter(|(digest, _)| remove.contains(*digest));
    let images = images.map(|(digest, image)| PrunedImage {
        digest: digest.clone(),
        tags: image.tags.clone(),
        media_type: None,
        size: image.size,
        pushed_at: image.pushed,
        pulled_at: image.pulled,
    });
    images.collect()
}

#[test]
fn whatever_happens_after_the_plan_nothing_that_is_needed_then_is_deleted() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut all, mut gone) = (0, 0);
    for _ in 0..2000 {
        let before = generated(&mut random);
        let none = RepositoryNeeds::default();
        let since = days(100);
        let plan = planned(&before, &select(&before, &none, since).remove);
        // Another deployment, another tag, a pull, another index, an image that went.
        let mut now = before.clone();
        let count = before.0.len();
        let mut some = || digest(random.usize(..count));
        let (needed, tagged, pulled, went, part) = (some(), some(), some(), some(), some());
        let needs = RepositoryNeeds {
            digests: [(needed, "another".to_owned())].into(),
            ..RepositoryNeeds::default()
        };
        now.0
            .entry(tagged)
            .and_modify(|image| image.tags.extend(["new".to_owned()]));
        now.0
            .entry(pulled)
            .and_modify(|image| image.pulled = Some(days(180)));
        let parts = Image {
            is_index: true,
            children: [part].into(),
            pushed: Some(days(180)),
            ..Image::default()
        };
        now.0.insert(digest(1000), parts);
        now.0.remove(&went);
        let checked = check(&plan, &now, &select(&now, &needs, since));
        all += plan.len();
        gone += checked.delete.len();
        assert_eq!(
            checked.delete.len() + checked.skipped.len() + checked.gone,
            plan.len()
        );
        assert!(checked.delete.is_disjoint(&reachable(&now, &needs)));
        let relations = now.relations();
        let stays = now
            .0
            .keys()
            .filter(|digest| !checked.delete.contains(*digest));
        for digest in stays {
            assert!(
                relations
                    .stay_with(digest)
                    .all(|other| !checked.delete.contains(other))
            );
        }
    }
    assert!(gone > all / 10, "{gone} of {all} images were deleted");
}
