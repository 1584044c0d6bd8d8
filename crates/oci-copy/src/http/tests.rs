use super::*;

fn http() -> Http {
    let network = Network {
        plain_http: BTreeSet::from(["plain.corp".to_owned()]),
        endpoints: BTreeMap::from([(
            "quay.io".to_owned(),
            Url::parse("http://127.0.0.1:1/quay.io/").unwrap(),
        )]),
        ..Network::default()
    };
    Http::new(&network, Credentials::default()).unwrap()
}

#[test]
fn a_host_is_reached_where_the_user_says_and_else_by_https_unless_it_is_loopback() {
    let http = http();
    for (host, base) in [
        ("quay.io", "http://127.0.0.1:1/quay.io"),
        ("ghcr.io", "https://ghcr.io"),
        ("docker.io", "https://registry-1.docker.io"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("127.evil.com", "https://127.evil.com"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("plain.corp:8080", "http://plain.corp:8080"),
    ] {
        assert_eq!(http.base(host), base);
    }
}

#[test]
fn a_url_keeps_path_and_query_at_its_endpoint() {
    let url = Url::parse("https://quay.io/charts/index.yaml?x=1").unwrap();
    assert_eq!(
        http().rewrite(&url).as_str(),
        "http://127.0.0.1:1/quay.io/charts/index.yaml?x=1"
    );
    let other = Url::parse("https://quay.io:8443/x").unwrap();
    assert_eq!(http().rewrite(&other), other);
}
