//! `replicator images`

use std::collections::BTreeSet;

use serde_json::{Value, json};

use helm_chart::render::images::Image;
use helm_chart::render::switches::{self, Found, Switch};

use crate::progress::Progress;

use super::rendering::{RenderFlags, render};
use super::{Exit, Invocation, print};

/// List the images that a rendered chart uses
///
/// Renders the chart as `helm template` does, and prints each image reference once, in order of appearance. Finds
/// images in fields named image, in maps with repository and tag or digest, in custom resources, and in arguments,
/// environment variables and `ConfigMaps` when they have a host and a tag or digest.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    override_usage = "replicator images [OPTIONS] [NAME] CHART",
    after_help = "Examples:
  replicator images ./chart -f values.yaml
  replicator images oci://ghcr.io/stefanprodan/charts/podinfo --json
  replicator images kyverno --repo https://kyverno.github.io/kyverno --switches

Exit codes: 0 done; 1 the chart could not be fetched; 2 chart or values cannot be rendered."
)]
pub(super) struct Images {
    #[command(flatten)]
    flags: RenderFlags,
    /// Also list the images that are added when values named enabled, create, install, force, deploy
    /// or use are changed from false to true, each with the switches that it needs
    #[arg(long, help_heading = "Output")]
    switches: bool,
    /// Print JSON with every place where an image is used
    #[arg(long, help_heading = "Output")]
    json: bool,
}

impl Images {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        let prepared = self.flags.prepare(with, &progress).await?;
        let chart = (
            prepared.chart.name().to_owned(),
            prepared.chart.version().to_owned(),
        );
        let with_switches = self.switches;
        let found = prepared.run_blocking(move |prepared| {
            if with_switches {
                switches::search(&prepared.chart, &prepared.values, &prepared.options)
            } else {
                render(prepared).map(|rendered| Found {
                    images: rendered.images(),
                    ..Found::default()
                })
            }
        });
        let found = found.await?;
        drop(progress);
        for (switch, reason) in &found.refused {
            let reason = reason.lines().next().unwrap_or_default();
            tracing::warn!(
                "the chart does not render with only {}=true, so what it adds may be missing: {reason}",
                switch.join(".")
            );
        }
        if found.is_partial {
            tracing::warn!(
                "the search for switches took too many renders and ended early; images may be missing"
            );
        }
        for (image, switches) in &found.added {
            let switches = paths(switches).join(", ");
            tracing::info!("{} is added by {switches}", image.reference);
        }
        let text = if self.json {
            format!("{:#}\n", as_json(&chart, &found))
        } else {
            as_lines(&found)
        };
        print(text).await?;
        Ok(Exit::Done)
    }
}

fn as_lines(found: &Found) -> String {
    let mut seen = BTreeSet::new();
    let added = found.added.iter().map(|(image, _)| image);
    let images = found.images.iter().chain(added);
    let mut lines = String::new();
    for image in images.filter(|image| seen.insert(&image.reference)) {
        lines.push_str(&image.reference);
        lines.push('\n');
    }
    lines
}

fn paths(switches: &[Switch]) -> Vec<String> {
    switches.iter().map(|switch| switch.join(".")).collect()
}

fn as_json((name, version): &(String, String), found: &Found) -> Value {
    let mut images: Vec<Value> = Vec::new();
    let added = found.added.iter();
    let added = added.map(|(image, switches)| (image, paths(switches)));
    let all = found.images.iter().map(|image| (image, Vec::new()));
    for (image, switches) in all.chain(added) {
        let known = images
            .iter_mut()
            .find(|known| known["image"] == image.reference.as_str());
        match known {
            Some(known) => {
                if let Some(uses) = known["uses"].as_array_mut() {
                    uses.push(use_of(image));
                }
            }
            None => images.push(json!({
                "image": image.reference,
                "switches": switches,
                "uses": [use_of(image)],
            })),
        }
    }
    json!({"chart": name, "version": version, "images": images})
}

fn use_of(image: &Image) -> Value {
    json!({
        "kind": image.kind,
        "name": image.name,
        "field": image.field,
        "place": match image.place.words() {
            "" => "field",
            words => words.trim_start_matches("in "),
        },
        "template": image.template,
        "hook": image.hook,
        "test": image.is_test(),
    })
}
