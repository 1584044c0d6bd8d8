use super::*;

#[test]
fn mirrors_come_from_parameter_and_flag_and_the_flag_wins() {
    let vars = [
        (
            "SEEDFARMER_PARAMETER_ENDPOINTS",
            "quay.io=http://a, ghcr.io=http://b,nonsense",
        ),
        ("SEEDFARMER_PARAMETER_REGISTRY_PREFIX", "oci:mirror"),
    ];
    let vars = vars.map(|(name, value)| (name.into(), value.into()));
    let environment = Environment::from_vars(vars);
    let flags = Flags::default().with("endpoints", "quay.io=http://c");
    let refused = Settings::new(&flags, &environment).expect_err("one is nonsense");
    assert!(
        refused
            .to_string()
            .starts_with("parameter Endpoints: `nonsense`"),
        "{refused}"
    );

    let vars = [(
        "SEEDFARMER_PARAMETER_ENDPOINTS",
        "quay.io=http://a,ghcr.io=http://b",
    )];
    let environment = Environment::from_vars(vars.map(|(name, value)| (name.into(), value.into())));
    let flags = flags.with("registry_prefix", "oci:mirror");
    let endpoints = Settings::new(&flags, &environment)
        .expect("settings")
        .network
        .endpoints;
    let host = |name: &str| endpoints[name].host_str().map(str::to_owned);
    assert_eq!(
        (host("quay.io").as_deref(), host("ghcr.io").as_deref()),
        (Some("c"), Some("b"))
    );
}
