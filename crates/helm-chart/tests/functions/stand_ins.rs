//! What is not repeatable follows from the stand-in alone.

use helm_chart::render::template::Options;

use super::render;

fn with(stand_in: u64, call: &str) -> String {
    let options = Options {
        stand_in,
        ..Options::default()
    };
    let text = format!("{{{{ {call} }}}}");
    render(&text, options).unwrap_or_else(|error| panic!("{call}: {error}"))
}

#[test]
fn stand_ins_repeat_themselves_and_differ_from_each_other() {
    for call in [
        "now",
        "date \"2006-01-02\" now",
        "ago (toDate \"2006-01-02\" \"2020-01-01\")",
        "randAlphaNum 12",
        "randAlpha 12",
        "randNumeric 12",
        "randAscii 12",
        "randBytes 12",
        "randInt 0 1000000",
        "uuidv4",
        "shuffle \"abcdefghijkl\"",
        "bcrypt \"x\"",
        "htpasswd \"u\" \"x\"",
        "encryptAES \"k\" \"x\"",
        "genPrivateKey \"rsa\"",
        "genPrivateKey \"dsa\"",
        "genPrivateKey \"ecdsa\"",
        "genPrivateKey \"ed25519\"",
        "(genCA \"ca\" 365).Cert",
        "(genCA \"ca\" 365).Key",
        "(genSelfSignedCert \"cn\" nil nil 365).Cert",
    ] {
        assert_eq!(with(0, call), with(0, call), "{call}");
        assert_ne!(with(0, call), with(1, call), "{call}");
    }
}

#[test]
fn certificates_fit_together() {
    let chain = r#"{{ $ca := genCA "ca" 365 }}{{ $c := genSignedCert "cn" (list "10.0.0.1" "::1") (list "a.svc") 365 $ca }}"#;
    let key = r#"{{ $k := genPrivateKey "ecdsa" }}{{ $ca := genCAWithKey "ca" 1 $k }}{{ eq $ca.Key $k }}"#;
    let render = |text: &str| render(text, Options::default()).unwrap();
    let cert = render(&format!("{chain}{{{{ $c.Cert }}}}"));
    assert!(
        cert.starts_with("-----BEGIN CERTIFICATE-----\nMII"),
        "{cert}"
    );
    assert!(cert.ends_with("\n-----END CERTIFICATE-----\n"), "{cert}");
    assert!(cert.lines().all(|line| line.len() <= 64), "{cert}");
    let other = render(&format!("{chain}{{{{ $ca.Cert }}}}"));
    assert_ne!(cert, other);
    assert_eq!(render(key), "true");
    let custom =
        "{{ $b := buildCustomCert (b64enc $c.Cert) (b64enc $c.Key) }}{{ eq $b.Cert $c.Cert }}";
    assert_eq!(render(&format!("{chain}{custom}")), "true");
    let signed = "{{ (genSignedCertWithKey \"x\" nil nil 1 $ca $c.Key).Key | eq $c.Key }}";
    assert_eq!(render(&format!("{chain}{signed}")), "true");
    let self_signed = "{{ (genSelfSignedCertWithKey \"x\" nil nil 1 $c.Key).Key | eq $c.Key }}";
    assert_eq!(render(&format!("{chain}{self_signed}")), "true");
}

#[test]
fn passwords_have_the_shape_of_bcrypt() {
    let call = r#"regexMatch "^u:\\$2a\\$10\\$[./A-Za-z0-9]{53}$" (htpasswd "u" "secret")"#;
    assert_eq!(with(0, call), "true");
}

#[test]
fn what_is_encrypted_can_be_decrypted() {
    let call = r#"decryptAES "key" (encryptAES "key" "sixteen bytes ok, and more")"#;
    assert_eq!(with(1, call), "sixteen bytes ok, and more");
}

#[test]
fn lint_lets_missing_values_pass() {
    let options = Options {
        lint: true,
        ..Options::default()
    };
    let text = r#"[{{ required "r" nil }}{{ fail "f" }}]"#;
    assert_eq!(render(text, options).as_deref(), Ok("[]"));
}
