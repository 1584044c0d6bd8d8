//! The grammar of names, as the distribution project has it
//! (<https://pkg.go.dev/github.com/distribution/reference>): host, port and path. `oci-client` knows it
//! as a regular expression, and compiling that takes longer than a run with nothing to do; the tests hold
//! the two against each other.

use super::{DEFAULT_TAG, DOCKER_HUB, ImageName, Reference, is_docker_hub};

/// The longest repository name, host excluded, in characters.
const MAX_NAME: usize = 255;

/// Checks host and repository; the rule that is broken.
pub(super) fn check(registry: Option<&str>, repository: &str) -> Result<(), String> {
    if let Some(host) = registry
        && !is_host(host)
    {
        return Err(format!("`{host}` is no host[:port]"));
    }
    if repository.len() > MAX_NAME {
        return Err(format!(
            "a repository's name must not be more than {MAX_NAME} characters long"
        ));
    }
    match repository.split('/').find(|part| !is_path_part(part)) {
        None => Ok(()),
        Some(part) => Err(format!(
            "`{part}` is no part of a repository's name: letters a-z and digits, with `.`, `_`, `__` or `-` between them"
        )),
    }
}

/// The reference that clients read in a checked name.
pub(super) fn reference(name: &ImageName) -> Reference {
    let registry = match name.registry.as_deref() {
        Some(registry) if !is_docker_hub(registry) => registry,
        _ => DOCKER_HUB,
    };
    let is_official = registry == DOCKER_HUB && !name.repository.contains('/');
    let repository = if is_official {
        format!("library/{}", name.repository)
    } else {
        name.repository.clone()
    };
    let tag = match (&name.tag, &name.digest) {
        (None, None) => Some(DEFAULT_TAG.to_owned()),
        (tag, _) => tag.clone(),
    };
    Reference {
        registry: registry.to_owned(),
        repository,
        tag,
        digest: name.digest.clone(),
    }
}

/// `host` or `host:port`; an address of IP version 6 stands in brackets.
fn is_host(text: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if let Some((address, port)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    name.split('.').all(is_label) && port.is_none_or(is_port)
}

/// Letters and digits, hyphens between them.
fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    is_end(bytes.first())
        && is_end(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_part(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = text.bytes().peekable();
    // Where a letter has to come: at the beginning, and after each separator.
    while bytes.next_if(|byte| is_letter(*byte)).is_some() {
        while bytes.next_if(|byte| is_letter(*byte)).is_some() {}
        match bytes.next() {
            None => return true,
            Some(b'.') => {}
            Some(b'_') => {
                bytes.next_if_eq(&b'_');
            }
            Some(b'-') => while bytes.next_if_eq(&b'-').is_some() {},
            Some(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `oci-client` says, except for names that no registry accepts: a host such as `a_b.c`, which it
    /// lets pass as a part of a path, and a capital in a repository.
    fn theirs(text: &str) -> Option<Reference> {
        oci_client::Reference::try_from(text)
            .ok()
            .filter(|found| !found.repository().contains(char::is_uppercase))
            .filter(|found| is_host(found.registry()))
            .map(|found| Reference {
                registry: found.registry().to_owned(),
                repository: found.repository().to_owned(),
                tag: found.tag().map(str::to_owned),
                digest: found
                    .digest()
                    .map(|digest| digest.parse().expect("a digest")),
            })
    }

    fn ours(text: &str) -> Option<Reference> {
        text.parse::<ImageName>()
            .ok()
            .filter(|name| !name.repository.contains(char::is_uppercase))
            .map(|name| reference(&name))
    }

    #[test]
    fn names_are_read_as_oci_client_reads_them() {
        let long = "a".repeat(300);
        for text in [
            "busybox",
            "busybox:1.36",
            "team/app",
            "index.docker.io/busybox",
            "docker.io/team/app:1",
            "localhost/app",
            "localhost:5000/app:x",
            "quay.io/a/b/c:1.2.3-x_y",
            "a--b/c__d/e.f/g-h",
            "a__b",
            "a___b",
            "a..b/c",
            "-a/b",
            "a-/b",
            "_a",
            "a_",
            "a/b/",
            "/a",
            "a//b",
            "a:b/c",
            "a.b:/c",
            "a.b:x/c",
            "-x.io/c",
            "x-.io/c",
            "X.io/c",
            "a.b/C",
            "a.b/c:",
            "a.b/c:-x",
            "a b",
            "",
            ":",
            "@",
            &long,
        ] {
            assert_eq!(ours(text), theirs(text), "{text}");
        }
    }

    #[test]
    fn an_address_of_ip_version_6_is_a_host_in_brackets() {
        for text in [
            "[::1]:5000/a/b:1",
            "[2001:db8::1]/a",
            "[fd00::1]:443/a@sha256:aa",
        ] {
            let host = text.split('/').next().unwrap();
            assert_eq!(check(Some(host), "a"), Ok(()), "{text}");
        }
        let read = ours("[::1]:5000/a/b:1").unwrap();
        assert_eq!(
            (read.registry(), read.repository(), read.tag()),
            ("[::1]:5000", "a/b", Some("1"))
        );
        for text in [
            "[::1/a",
            "[::1]5000/a",
            "[::1]:/a",
            "[1.2.3.4]/a",
            "::1/a",
            "[]/a",
            "[::1]:x/a",
        ] {
            assert_eq!(ours(text), None, "{text}");
        }
    }

    #[test]
    fn docker_hub_is_one_registry_under_all_its_names() {
        for host in [
            "docker.io",
            "index.docker.io",
            "registry-1.docker.io",
            "registry.hub.docker.com",
        ] {
            assert_eq!(
                ours(&format!("{host}/busybox:1")),
                ours("busybox:1"),
                "{host}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_name_it_is_read_as_oci_client_reads_it(
            text in "(([a-zA-Z0-9.-]{1,6}(:[0-9x]{0,2})?|localhost)/)?[a-z0-9._/-]{0,12}(:[A-Za-z0-9._-]{0,4})?"
        ) {
            proptest::prop_assert_eq!(ours(&text), theirs(&text));
        }
    }
}
