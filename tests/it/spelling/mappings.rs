//! `docker_mappings` of the data files.

use crate::data::Data;

use super::sources;

#[tokio::test]
async fn keys_of_docker_mappings_count_in_every_spelling() {
    for key in [
        "quay.example",
        "quay.example/",
        "https://quay.example",
        "QUAY.example",
        "quay.example/team",
        "quay.example:443",
    ] {
        let default = format!(
            "additional_images: {{a: 'quay.example/team/x:1'}}\ndocker_mappings: {{'{key}': mirror.example/q}}\n"
        );
        let planned = Data::new(&default, "ami: {}\n").plan().run().await.ended(0);
        let sources = sources(&planned.json("updated_images.json"));
        match key {
            "quay.example/team" => assert_eq!(sources, ["mirror.example/q/x:1"]),
            // Another port is another registry.
            "quay.example:443" => drop(planned.said(&[
                "docker_mappings.quay.example:443: no image is read from there (nearest: quay.example)",
                "the hosts of the images are quay.example",
            ])),
            _ => assert_eq!(sources, ["mirror.example/q/team/x:1"], "{key}"),
        }
    }
}

#[tokio::test]
async fn keys_of_docker_mappings_that_are_no_registry_are_refused() {
    for (mapping, why) in [
        ("quay: m.corp", "has a dot or a port"),
        ("Default: m.corp", "or `default`"),
        ("'*.io': m.corp", "is not a host"),
        ("quay.io: https://m.corp", "without the scheme"),
        ("quay.io: m.corp, 'quay.io/': n.corp", "a second time"),
        ("quay.io: 'me:hunter2@m.corp/q'", "***@m.corp/q"),
        ("quay.io: 'https://hunter2@m.corp'", "***@m.corp"),
    ] {
        let version = format!("docker_mappings: {{{mapping}}}\n");
        let data = Data::new("additional_images: {a: quay.io/a:1}\n", &version);
        let refused = data.plan().run().await.ended(2).left_nothing();
        assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
        refused.said(&["1.34.yaml:1: docker_mappings.", why]);
    }
}

#[tokio::test]
async fn the_version_file_takes_a_mapping_back_with_null() {
    let default = "additional_images: {a: quay.io/a:1}\ndocker_mappings: {quay.io: m.corp}\n";
    let data = Data::new(default, "docker_mappings: {quay.io: ~}\n");
    let planned = data.plan().run().await.ended(0);
    assert_eq!(
        sources(&planned.json("updated_images.json")),
        ["quay.io/a:1"]
    );
}
