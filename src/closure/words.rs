//! The messages about a proof: one problem per chart.

use crate::problem::Problem;

use super::proof::{Cause, ChartProof, Failure, Reference, State};

/// The most lines about one chart; the report has them all.
const MAX_LINES: usize = 12;

/// Which gaps are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gaps {
    /// All of them.
    All,
    /// Those that keep a run from starting in `require` and `complete`, and failed renders.
    Fatal,
    /// Those of parts that are off, which no value sets.
    Optional,
}

impl Gaps {
    fn have(self, reference: &Reference) -> bool {
        match self {
            Self::All => true,
            Self::Fatal => !reference.is_optional(),
            Self::Optional => reference.is_optional(),
        }
    }
}

/// What keeps a chart from being proved; `None` where it is.
#[must_use]
pub fn gaps(key: &str, chart: &ChartProof, which: Gaps) -> Option<Problem> {
    let failures = chart.failures.iter().filter(|_| which != Gaps::Optional);
    let failures: Vec<&Failure> = failures.collect();
    let mut lines: Vec<String> = failures.iter().flat_map(|one| failure(one)).collect();
    let gaps = chart.gaps().filter(|reference| which.have(reference));
    let gaps: Vec<String> = gaps.map(gap).collect();
    let what = match (failures.len(), gaps.len()) {
        (0, 0) => return None,
        (0, 1) => "1 image is not at the target".to_owned(),
        (0, count) => format!("{count} images are not at the target"),
        (_, 0) => "not proved: it does not render".to_owned(),
        (_, count) => {
            format!("not proved: it does not render; {count} images are not at the target")
        }
    };
    let more = gaps.len().saturating_sub(MAX_LINES);
    lines.extend(gaps.into_iter().take(MAX_LINES));
    if more > 0 {
        lines.push(format!("and {more} more, which the report lists"));
    }
    let place = format!("charts.{key}: chart {} {}", chart.name, chart.version);
    Some(Problem::input(place, what).remedy(lines.join("\n")))
}

/// The published values that change nothing, as a warning; `None` where each has an effect.
#[must_use]
pub fn without_effect(key: &str, chart: &ChartProof) -> Option<Problem> {
    let paths = &chart.without_effect;
    if paths.is_empty() {
        return None;
    }
    let scenarios: Vec<&str> = chart
        .scenarios
        .iter()
        .map(|scenario| scenario.name.as_str())
        .collect();
    let (noun, verb) = if paths.len() == 1 {
        ("value", "has")
    } else {
        ("values", "have")
    };
    let what = format!(
        "{} published {noun} {verb} no effect in the scenarios {}: {}",
        paths.len(),
        scenarios.join(", "),
        paths.join(", ")
    );
    let place = format!("charts.{key}: chart {} {}", chart.name, chart.version);
    Some(Problem::input(place, what))
}

/// The images that keep their tags although digests are wanted, as a warning; `None` where there are none.
#[must_use]
pub fn unpinned(key: &str, chart: &ChartProof) -> Option<Problem> {
    let count = chart.unpinned.len();
    if count == 0 {
        return None;
    }
    let are = if count == 1 { "image is" } else { "images are" };
    let lines = chart.unpinned.iter();
    let lines: Vec<String> = lines
        .map(|one| format!("{}: {}", one.image, one_line(&one.reason)))
        .collect();
    let place = format!("charts.{key}: chart {} {}", chart.name, chart.version);
    let what = format!("{count} {are} not pinned to a digest");
    Some(Problem::input(place, what).remedy(lines.join("\n")))
}

fn gap(reference: &Reference) -> String {
    let mut text = reference.image.clone();
    let is_not_there = reference.state == State::NotAtTarget;
    text.push_str(if is_not_there {
        " is below the target's prefix, but nothing copies it"
    } else if reference.copied_to.is_some() {
        " is copied, but the chart still names the source"
    } else {
        " is not copied"
    });
    if let Some(one) = reference.uses.first() {
        let place = match one.place.as_str() {
            "field" | "operator" => String::new(),
            place => format!("in {place}, "),
        };
        let scenarios = one.scenarios.join(", ");
        if one.place == "operator" {
            text += &[": its operator starts it (scenario ", &scenarios, ")"].concat();
        } else {
            let (field, template) = (&one.field, &one.template);
            let what = format!(": {} {} ({place}{field}; {template}", one.kind, one.name);
            text += &[&what, "; scenario ", &scenarios, ")"].concat();
        }
        let more = reference.uses.len() - 1 + reference.more_uses;
        if more > 0 {
            text += &[" and ", &more.to_string(), " more"].concat();
        }
    }
    let set_by = match (&reference.set_by[..], is_not_there) {
        ([], true) => "; no value that sets it was found".to_owned(),
        (paths, true) if let Some(digest) = digest_path(paths) => {
            format!(
                "; its digest wins over the tag: empty `{digest}` with `remove` in the data file"
            )
        }
        ([], false) => match &reference.reason {
            Some(reason) => format!("; {reason}"),
            None => "; no value that sets it was found".to_owned(),
        },
        (paths, _) => format!("; set by {}", paths.join(", ")),
    };
    text + &set_by
}

/// The path of the digest among those that set an image.
fn digest_path(paths: &[String]) -> Option<&String> {
    paths.iter().find(|path| {
        let last = path.rsplit('.').next().unwrap_or(path).to_lowercase();
        last.contains("digest") || last.contains("sha")
    })
}

fn failure(failure: &Failure) -> Vec<String> {
    let mut lines = vec![format!(
        "scenario {}: {}",
        failure.scenario,
        one_line(&failure.reason)
    )];
    lines.push(match failure.cause {
        Cause::Chart => {
            "it does not render without the published values either: write what its consumer sets under \
             `values` in the data file, or under the scenario"
                .to_owned()
        }
        Cause::Published => {
            "without the published values it renders: correct `images` or `overrides` in the data file".to_owned()
        }
        Cause::InsecureImages => {
            "the chart refuses images of other registries by default: write \
             `overrides: {global: {security: {allowInsecureImages: true}}}` below the chart in the data file"
                .to_owned()
        }
        Cause::KubernetesVersion => {
            "pin a version of the chart that is for this Kubernetes, or name the cluster's with --kube-version"
                .to_owned()
        }
        Cause::NotRepeatable => {
            "give the value that decides about it under `values` in the data file".to_owned()
        }
        Cause::Limit => "the chart needs more than this program lets a render use".to_owned(),
    });
    lines
}

/// A text of several lines in one.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}
