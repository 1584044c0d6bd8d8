//! Keys and texts that `GnuPG` 2.2 made at fixed times.

use super::*;

/// 2026-01-01, when the keys were made.
const MADE: u64 = 1_767_225_600;
const DAY: u64 = 86_400;
/// 2026-02-02, the day after the texts were signed.
const NOW: u64 = MADE + 32 * DAY;

const ALICE: &str = include_str!("fixtures/alice.asc");
const ALICE_REVOKED: &str = include_str!("fixtures/alice-revoked.asc");
const BOB: &str = include_str!("fixtures/bob.asc");
const CAROL: &str = include_str!("fixtures/carol.asc");
const BY_ALICE: &str = include_str!("fixtures/alice.txt.asc");
const BY_BOB: &str = include_str!("fixtures/bob.txt.asc");
const BY_CAROL: &str = include_str!("fixtures/carol.txt.asc");
const ODD: &str = include_str!("fixtures/odd.txt.asc");

fn keyring(text: &str) -> Keyring {
    Keyring::parse(text.as_bytes()).unwrap()
}

fn at(signed: &str, keys: &str, now: u64) -> Result<Verified, Error> {
    verify(signed.as_bytes(), &keyring(keys), now)
}

#[test]
fn texts_signed_with_each_kind_of_key_verify() {
    for (signed, keys, name) in [
        (BY_ALICE, ALICE, "Alice <alice@example.com> ("),
        (BY_BOB, BOB, "Bob <bob@example.com> ("),
        (BY_CAROL, CAROL, "Carol <carol@example.com> ("),
    ] {
        let verified = at(signed, keys, NOW).unwrap();
        assert!(
            verified.signed_by.starts_with(name),
            "{}",
            verified.signed_by
        );
        assert!(
            verified
                .text
                .contains("\n...\nfiles:\n  app-1.0.0.tgz: sha256:")
        );
        assert_eq!(at(&signed.replace('\n', "\r\n"), keys, NOW), Ok(verified));
    }
    assert_eq!(
        at(ODD, ALICE, NOW).unwrap().text,
        "- dashed\n-----\n\n\tlast"
    );
}

#[test]
fn keyrings_are_read_in_armor_as_packets_and_as_a_keybox() {
    let all = format!("{ALICE}{BOB}\n{CAROL}");
    let armored = keyring(&all);
    assert_eq!(armored.fingerprints().len(), 3);
    let keybox = Keyring::parse(include_bytes!("fixtures/pubring.kbx")).unwrap();
    let mut names = (armored.fingerprints(), keybox.fingerprints());
    names.0.sort();
    names.1.sort();
    assert_eq!(names.0, names.1);
    assert!(verify(BY_BOB.as_bytes(), &keybox, NOW).is_ok());
    let (_, packets, _) = armor::next(BOB).unwrap().unwrap();
    let binary = Keyring::parse(&packets).unwrap();
    assert!(verify(BY_BOB.as_bytes(), &binary, NOW).is_ok());
}

#[test]
fn the_wrong_key_and_a_changed_text_do_not_count() {
    assert!(matches!(at(BY_ALICE, BOB, NOW), Err(Error::UnknownKey(_))));
    for signed in [BY_ALICE, BY_BOB, BY_CAROL] {
        let keys = format!("{ALICE}{BOB}{CAROL}");
        let changed = signed.replace("app-1.0.0.tgz", "app-1.0.1.tgz");
        assert_eq!(at(&changed, &keys, NOW), Err(Error::Mismatch));
    }
}

#[test]
fn expired_and_revoked_keys_do_not_count() {
    assert!(at(BY_ALICE, ALICE, MADE + 729 * DAY).is_ok());
    assert!(matches!(
        at(BY_ALICE, ALICE, MADE + 731 * DAY),
        Err(Error::Expired(_))
    ));
    // The primary key does not expire; the subkey that signed does.
    assert!(at(BY_BOB, BOB, MADE + 364 * DAY).is_ok());
    assert!(matches!(
        at(BY_BOB, BOB, MADE + 366 * DAY),
        Err(Error::Expired(_))
    ));
    assert!(at(BY_CAROL, CAROL, MADE + 36_500 * DAY).is_ok());
    // Signed in the future.
    assert!(matches!(
        at(BY_CAROL, CAROL, MADE + DAY),
        Err(Error::Expired(_))
    ));
    assert!(matches!(
        at(BY_ALICE, ALICE_REVOKED, NOW),
        Err(Error::Revoked(_))
    ));
}

#[test]
fn broken_texts_and_keyrings_are_refused_and_break_nothing() {
    let keys = keyring(BOB);
    for cut in 0..BY_BOB.len() - 1 {
        assert!(
            verify(&BY_BOB.as_bytes()[..cut], &keys, NOW).is_err(),
            "{cut}"
        );
    }
    let (_, packets, _) = armor::next(BOB).unwrap().unwrap();
    for cut in 0..packets.len() {
        // What is whole of it may still be read, but does not verify what the rest signed.
        if let Ok(keys) = Keyring::parse(&packets[..cut]) {
            assert!(verify(BY_BOB.as_bytes(), &keys, NOW).is_err(), "{cut}");
        }
    }
    for at in 0..packets.len() {
        let mut changed = packets.clone();
        changed[at] ^= 0x55;
        let keys = Keyring::parse(&changed);
        drop(keys.map(|keys| verify(BY_BOB.as_bytes(), &keys, NOW)));
    }
    for bytes in [
        &b""[..],
        b"KBX",
        b"\0\0\0\x20\x01\x01\0\0KBXf",
        &[0x99, 0xff, 0xff],
        &[0xff; 64],
    ] {
        assert!(Keyring::parse(bytes).is_err());
    }
}
