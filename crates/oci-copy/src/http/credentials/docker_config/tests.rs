use super::*;
use base64::engine::general_purpose::STANDARD;

fn read(text: &str) -> DockerConfig {
    DockerConfig::parse(text.as_bytes()).unwrap()
}

/// The user name that a repository gets.
fn user(config: &DockerConfig, host: &str, repository: &str) -> Option<String> {
    let scopes = scopes(&canonical_host(host), repository);
    let login = scopes.iter().find_map(|scope| config.login(scope))?;
    Some(match login {
        Login::Password(basic) => basic.username.clone(),
        Login::IdentityToken(token) => format!("identity {}", token.expose()),
        Login::RegistryToken(token) => format!("registry {}", token.expose()),
    })
}

fn entry(username: &str) -> String {
    format!(
        r#"{{"auth":"{}"}}"#,
        STANDARD.encode(format!("{username}:pass:word"))
    )
}

#[test]
fn the_entry_with_the_longest_path_that_covers_a_repository_wins() {
    let config = read(&format!(
        r#"{{"auths":{{"reg.io":{},"reg.io/org":{},"reg.io/org/team":{}}}}}"#,
        entry("host"),
        entry("org"),
        entry("team")
    ));
    for (repository, wanted) in [
        ("other/app", "host"),
        ("org/app", "org"),
        ("org/team", "team"),
        ("org/team/app", "team"),
        ("org/teammate/app", "org"),
        ("organ/app", "host"),
    ] {
        assert_eq!(
            user(&config, "reg.io", repository).as_deref(),
            Some(wanted),
            "{repository}"
        );
    }
    assert_eq!(user(&config, "reg.io:5000", "org/app"), None);
    let only_below = read(&format!(r#"{{"auths":{{"reg.io/org":{}}}}}"#, entry("org")));
    assert_eq!(user(&only_below, "reg.io", "other/app"), None);
}

#[test]
fn the_exact_host_wins_over_other_spellings_of_it() {
    for order in [
        ["reg.io", "https://reg.io/v1/"],
        ["https://reg.io/v1/", "reg.io"],
    ] {
        let config = read(&format!(
            r#"{{"auths":{{"{}":{},"{}":{}}}}}"#,
            order[0],
            entry(order[0]),
            order[1],
            entry(order[1])
        ));
        assert_eq!(user(&config, "reg.io", "a").as_deref(), Some("reg.io"));
    }
    for key in [
        "https://reg.io",
        "http://reg.io/",
        "https://reg.io/v2/",
        "reg.io/v1/",
        "REG.io",
    ] {
        let config = read(&format!(r#"{{"auths":{{"{key}":{}}}}}"#, entry("me")));
        assert_eq!(
            user(&config, "reg.io", "a/b").as_deref(),
            Some("me"),
            "{key}"
        );
    }
}

#[test]
fn docker_hub_is_one_registry_and_its_token_entries_are_no_logins() {
    let config = read(&format!(
        r#"{{"auths":{{"https://index.docker.io/v1/refresh-token":{},"docker.io":{},"https://index.docker.io/v1/":{},"https://index.docker.io/v1/access-token":{}}}}}"#,
        entry("refresh"),
        entry("podman"),
        entry("me"),
        entry("access")
    ));
    for host in [
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "registry.hub.docker.com",
    ] {
        assert_eq!(
            user(&config, host, "library/app").as_deref(),
            Some("me"),
            "{host}"
        );
    }
    let scoped = read(&format!(
        r#"{{"auths":{{"docker.io/team":{}}}}}"#,
        entry("team")
    ));
    assert_eq!(
        user(&scoped, "registry-1.docker.io", "team/a").as_deref(),
        Some("team")
    );
    assert_eq!(user(&scoped, "docker.io", "library/a"), None);
}

#[test]
fn what_docker_takes_as_nothing_is_nothing() {
    for text in [
        "",
        " \n",
        "null",
        "{}",
        r#"{"auths":null}"#,
        r#"{"auths":null,"credHelpers":null,"credsStore":null}"#,
        r#"{"auths":{"x.io":null}}"#,
        r#"{"auths":{"x.io":{}},"HttpHeaders":{"a":"b"}}"#,
        r#"{"auths":{"x.io":{"auth":"","username":null}}}"#,
        r#"{"auths":{"x.io":{"auth":null,"identitytoken":null,"registrytoken":""}}}"#,
        r#"{"auths":{"x.io":{"auth":"Og=="}}}"#,
        r#"{"auths":{"x.io":{"username":"u"}}}"#,
        r#"{"credsStore":"","credHelpers":{"x.io":null,"y.io":""}}"#,
        "\u{feff}{}",
    ] {
        let config = read(text);
        assert_eq!(user(&config, "x.io", "a"), None, "{text}");
        assert!(
            config.store().is_none() && config.helper("x.io").is_none(),
            "{text}"
        );
    }
}

#[test]
fn all_kinds_of_entries_are_read() {
    for (entry, wanted) in [
        (r#"{"auth":"dTpw"}"#, "u"),
        (r#"{"auth":"dTpw","email":null}"#, "u"),
        (r#"{"auth":"dTpw\r\n"}"#, "u"),
        (
            r#"{"auth":"bG9uZy11c2VyLW5hbWU6\nbG9uZy1wYXNzd29yZA==\n"}"#,
            "long-user-name",
        ),
        (
            r#"{"auth":"bG9uZy11c2VyLW5hbWU6bG9uZy1wYXNzd29yZA"}"#,
            "long-user-name",
        ),
        (r#"{"username":"u","password":"p"}"#, "u"),
        (r#"{"Username":"u","PASSWORD":"p"}"#, "u"),
        (r#"{"auth":"dTpw","identitytoken":"t"}"#, "identity t"),
        (r#"{"registrytoken":"t","identitytoken":"i"}"#, "registry t"),
    ] {
        let config = read(&format!(r#"{{"auths":{{"x.io":{entry}}}}}"#));
        assert_eq!(
            user(&config, "x.io", "a").as_deref(),
            Some(wanted),
            "{entry}"
        );
    }
    let helpers =
        read(r#"{"credHelpers":{"https://a.io":"one","docker.io":"hub"},"credsStore":"all"}"#);
    assert_eq!(
        (
            helpers.helper("a.io"),
            helpers.helper("docker.io"),
            helpers.store()
        ),
        (Some("one"), Some("hub"), Some("all"))
    );
}

#[test]
fn a_broken_file_is_an_error_without_its_content() {
    for (text, word) in [
        (r#"{"auths":{"a.io":{"auth":"hunter2!"}}}"#, "a.io"),
        (r#"{"auths":{"a.io":{"auth":"aHVudGVyMg=="}}}"#, "a.io"),
        (r#"{"auths":{"a.io":"hunter2"}}"#, "a.io"),
        (r#"{"auths":"hunter2"}"#, "not a Docker configuration"),
        (r#"{"auths":hunter2"#, "not a Docker configuration"),
        (r#"["hunter2"]"#, "not a Docker configuration"),
    ] {
        let error = format!("{:#}", DockerConfig::parse(text.as_bytes()).unwrap_err());
        assert!(
            error.contains(word) && !error.contains("hunter2"),
            "{error}"
        );
    }
    let config = read(r#"{"auths":{"a.io":{"username":"u","password":"hunter2"}}}"#);
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(DockerConfig::read(Path::new("/nonexistent/config.json")).is_ok());
}
