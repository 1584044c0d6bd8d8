//! Charts prove what the rules ask for with provenance files.

use lab::chart::{Chart, ChartRepository};
use lab::registry::Registry;

use super::Result;
use super::data::{Data, chart_entry};
use super::run::Run;
use super::signer::ChartSigner;

/// A chart without images in a repository and in the registry ghcr.io.
struct World {
    repository: ChartRepository,
    registry: Registry,
}

impl World {
    async fn start(signed: impl Fn(&Chart) -> Option<String>) -> anyhow::Result<Self> {
        let chart = Chart::new("app", "1.0.0");
        let chart = match signed(&chart) {
            Some(provenance) => chart.provenance(&provenance),
            None => chart,
        };
        let registry = Registry::start().await?;
        chart.push_oci(&registry, "charts/app")?;
        Ok(Self {
            repository: ChartRepository::start(vec![chart]).await?,
            registry,
        })
    }

    /// A deployment of the chart, by rules that find the keyring in `keyring.gpg`.
    fn deploy(&self, from: &str, rules: &str, by: &ChartSigner, target: &Registry) -> Run {
        let entry = chart_entry("app", from, "");
        let data = Data::new(&format!("{entry}trust:\n{rules}"), "ami: {}\n");
        std::fs::write(data.file_path("keyring.gpg"), by.keyring()).expect("a file");
        let run = data
            .deploy(target)
            .endpoint("ghcr.io", &self.registry.url());
        run.args(["--trust", "require"])
    }
}

#[tokio::test]
async fn a_chart_is_copied_if_its_provenance_file_is_signed_by_a_key_of_the_keyring() -> Result {
    let signer = ChartSigner::new();
    let sign = |chart: &Chart| Some(signer.provenance("app-1.0.0.tgz", &chart.archive()));
    let world = World::start(sign).await?;
    // A rule for provenance matches no image.
    let rules = "  - {match: \"*\", provenance: {keyring: keyring.gpg}}\n  - {match: \"*\", digest: true}\n";
    let of_registry = "  - {match: \"oci://ghcr.io/charts\", provenance: {keyring: keyring.gpg}}\n";
    let repository = world.repository.url();
    for (from, rules) in [
        (repository.as_str(), rules),
        ("oci://ghcr.io/charts", of_registry),
    ] {
        let target = Registry::start().await?;
        let run = world.deploy(from, rules, &signer, &target);
        let run = run.run().await.ended(0);
        let trust = run.report_of("app:1.0.0")["trust"].clone();
        assert_eq!(trust["state"], "signed", "{from}");
        assert_eq!(trust["digest"], Chart::new("app", "1.0.0").digest());
        let by = trust["signedBy"].as_str().unwrap_or_default();
        assert!(by.starts_with("Team <team@example.com> ("), "{by}");
    }
    Ok(())
}

#[tokio::test]
async fn a_chart_whose_provenance_is_wrong_is_refused() -> Result {
    type Sign<'a> = Box<dyn Fn(&Chart) -> Option<String> + 'a>;
    let (signer, stranger) = (ChartSigner::new(), ChartSigner::new());
    let rules = "  - {match: \"*\", provenance: {keyring: keyring.gpg}}\n";
    let cases: [(Sign<'_>, &str); 5] = [
        (
            Box::new(|_| None),
            "found: no provenance file (.prov) beside the chart",
        ),
        (
            Box::new(|chart| Some(stranger.provenance("app-1.0.0.tgz", &chart.archive()))),
            "which the keyring does not have or which may not sign",
        ),
        (
            Box::new(|_| Some(signer.provenance("app-1.0.0.tgz", b"another archive"))),
            "a provenance file for another archive, sha256:",
        ),
        (
            Box::new(|chart| Some(signer.provenance("app-1.0.1.tgz", &chart.archive()))),
            "a provenance file that does not name app-1.0.0.tgz",
        ),
        (
            Box::new(|chart| {
                let text = signer.provenance("app-1.0.0.tgz", &chart.archive());
                Some(text.replace("name: app", "name: bad"))
            }),
            "it was changed, or another key signed it",
        ),
    ];
    for (sign, why) in cases {
        let (world, target) = (World::start(sign).await?, Registry::start().await?);
        let run = world.deploy(&world.repository.url(), rules, &signer, &target);
        let run = run.run().await.ended(1);
        run.said(&["asks for a provenance file signed by the key ", why]);
        assert_eq!(target.repositories(), Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn only_a_lock_pins_a_chart() -> Result {
    let signer = ChartSigner::new();
    let (world, target) = (World::start(|_| None).await?, Registry::start().await?);
    for from in [world.repository.url(), "oci://ghcr.io/charts".to_owned()] {
        let rules = "  - {match: \"*\", digest: true}\n";
        let run = world.deploy(&from, rules, &signer, &target);
        let run = run.run().await.ended(1);
        run.said(&[
            "a reference with a digest (@sha256:…), or a lock; found: its reference pins no digest",
        ]);
    }
    Ok(())
}
