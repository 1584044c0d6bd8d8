//! What `template` and `images` share: the chart to render, and its values.

use std::fmt;
use std::io::Read;

use clap::Args;
use serde_json::{Map, Value};

use helm_chart::chart::Chart;
use helm_chart::render::release::{self, Options, Rendered};
use helm_chart::render::{Capabilities, KubeVersion};
use helm_chart::set::{self, Reading};
use helm_chart::yaml;

use crate::charts::{self, Named};
use crate::inventory::Installation;
use crate::problem::{Problem, Problems};
use crate::progress::Progress;
use crate::session::Session;
use crate::settings::Settings;
use oci_copy::reference::without_secrets;

use super::Invocation;
use super::flags::{NetworkFlags, OF_COPYING, hidden};

/// The largest values file that is read, in bytes: public ones have a few hundred kB.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A chart, and how it is rendered, with the flags of `helm template`.
#[derive(Debug, Args)]
#[command(
    mut_args(hidden(&OF_COPYING)),
    mut_arg("jobs", |arg| arg.hide(true)),
    mut_arg("hash", |arg| arg.hide(true)),
    mut_arg("quotas", |arg| arg.hide(true))
)]
pub(super) struct RenderFlags {
    /// The chart: an archive, a folder, `oci://HOST/PATH/CHART`, or a name with --repo. NAME before it is
    /// the release's name [default: release-name]
    #[arg(value_name = "CHART", num_args = 1..=2, required = true)]
    name_and_chart: Vec<String>,
    /// The chart repository that CHART is in: https://… or oci://…
    #[arg(long, value_name = "URL")]
    repo: Option<String>,
    /// The chart's version, or a constraint such as ^1.2 [default: the newest stable one]
    #[arg(long, value_name = "V")]
    version: Option<String>,
    /// Read values from a file, or from standard input with `-`; later files win (repeatable)
    #[arg(
        short = 'f',
        long,
        value_name = "FILE",
        value_delimiter = ',',
        help_heading = "Values"
    )]
    values: Vec<String>,
    /// Set values: a.b=1,c[0]=x,d={1,2}. Integers, true, false and null keep their type
    #[arg(long, value_name = "K=V", help_heading = "Values")]
    set: Vec<String>,
    /// Set values that are always text
    #[arg(long, value_name = "K=V", help_heading = "Values")]
    set_string: Vec<String>,
    /// Set values in JSON: a={"b": [1, 2]}
    #[arg(long, value_name = "K=JSON", help_heading = "Values")]
    set_json: Vec<String>,
    /// Set values to the content of files
    #[arg(long, value_name = "K=FILE", help_heading = "Values")]
    set_file: Vec<String>,
    /// Set one value to the text after `=`, including commas and backslashes
    #[arg(long, value_name = "K=TEXT", help_heading = "Values")]
    set_literal: Vec<String>,
    /// The release's namespace
    #[arg(
        short,
        long,
        value_name = "NS",
        default_value = "default",
        help_heading = "Rendering"
    )]
    namespace: String,
    /// The cluster's Kubernetes version [default: Helm's default]
    #[arg(long, value_name = "V", help_heading = "Rendering")]
    kube_version: Option<String>,
    /// An additional API version of the cluster, such as monitoring.coreos.com/v1 (repeatable)
    #[arg(
        short,
        long,
        value_name = "API",
        value_delimiter = ',',
        help_heading = "Rendering"
    )]
    api_versions: Vec<String>,
    /// Set .Release.IsUpgrade instead of .Release.IsInstall
    #[arg(long, help_heading = "Rendering")]
    is_upgrade: bool,
    /// Do not validate the values against values.schema.json
    #[arg(long, help_heading = "Rendering")]
    skip_schema_validation: bool,
    #[command(flatten)]
    network: NetworkFlags,
}

/// A chart that is ready to be rendered.
pub(super) struct Prepared {
    pub(super) chart: Chart,
    pub(super) values: Value,
    pub(super) options: Options,
}

/// Why a chart cannot be rendered, with Helm's message: bad input.
#[derive(Debug, thiserror::Error)]
#[error("chart {chart}: {reason}")]
pub(super) struct CannotRender {
    chart: String,
    reason: String,
}

impl RenderFlags {
    /// Reads values and chart.
    pub(super) async fn prepare(
        &self,
        with: &Invocation<'_>,
        progress: &Progress,
    ) -> anyhow::Result<Prepared> {
        let (name, chart) = match &self.name_and_chart[..] {
            [name, chart] => (name.clone(), chart),
            [chart] => (Options::default().name, chart),
            _ => anyhow::bail!("neither one nor two names (please report this)"),
        };
        let named = Named::parse(chart, self.repo.as_deref(), self.version.as_deref());
        let (named, options) = Problems::both(
            named.map_err(Problems::from),
            self.options(name).map_err(Problems::from),
        )?;
        let values = Value::Object(self.values().map_err(Problems::from)?);
        let chart = match named {
            Named::Local(path) => {
                for flag in [("--repo", &self.repo), ("--version", &self.version)] {
                    if let (flag, Some(_)) = flag {
                        tracing::warn!("{flag} is not used: {chart} is a local chart");
                    }
                }
                let shown = path.display().to_string();
                let read = tokio::task::spawn_blocking(move || charts::read_local(&path)).await?;
                read.map_err(|error| Problems::from(Problem::input(shown, format!("{error:#}"))))?
            }
            Named::Remote(spec) => {
                let settings = Settings::without_target(&self.network.flags(), with.environment)?;
                let hosts = spec.repository.host().into_iter().collect();
                let session = Session::for_hosts(settings, hosts, with.stop).await?;
                progress.steps("fetching the chart", 0);
                let chart = charts::fetch_remote(*spec, &session.stores).await;
                chart.map_err(Problems::from)?
            }
        };
        if chart.metadata.deprecated {
            tracing::warn!("the chart {} is deprecated", chart.name());
        }
        progress.steps("rendering the chart", 0);
        Ok(Prepared {
            chart,
            values,
            options,
        })
    }

    /// Where the chart comes from, as a data file has it: the repository, or the path of a local chart.
    pub(super) fn repository(&self) -> String {
        let chart = self.name_and_chart.last().map_or("", String::as_str);
        if let Some(repository) = &self.repo {
            return without_secrets(repository);
        }
        if chart.starts_with("oci://") {
            let folder = chart.rsplit_once('/').map_or(chart, |(folder, _)| folder);
            return without_secrets(folder);
        }
        chart.to_owned()
    }

    fn options(&self, name: String) -> Result<Options, Problem> {
        let kube_version = match &self.kube_version {
            None => KubeVersion::default(),
            Some(text) => KubeVersion::parse(text).map_err(|error| {
                let what = format!("invalid kube version '{text}': {error}");
                Problem::input("--kube-version", what)
            })?,
        };
        Ok(Options {
            name,
            namespace: self.namespace.clone(),
            is_upgrade: self.is_upgrade,
            skip_schema: self.skip_schema_validation,
            capabilities: Capabilities {
                kube_version,
                api_versions: self.api_versions.clone(),
            },
            ..Options::default()
        })
    }

    /// The values of all flags, in Helm's order: files, then JSON, then the others
    /// (helm: `pkg/cli/values/options.go`).
    fn values(&self) -> Result<Map<String, Value>, Problem> {
        let mut values = Map::new();
        for file in &self.values {
            set::merge(&mut values, values_of(file)?);
        }
        let file = |name: &str| text_of(name);
        let mut all = |flag: &str, texts: &[String], reading: &Reading<'_>| {
            texts.iter().try_for_each(|text| {
                set::set(text, reading, &mut values).map_err(|error| refused(flag, &error, text))
            })
        };
        all("--set-json", &self.set_json, &Reading::Json)?;
        all("--set", &self.set, &Reading::Typed)?;
        all("--set-string", &self.set_string, &Reading::Text)?;
        all("--set-file", &self.set_file, &Reading::File(&file))?;
        for text in &self.set_literal {
            set::set_literal(text, &mut values)
                .map_err(|error| refused("--set-literal", &error, text))?;
        }
        Ok(values)
    }
}

impl Prepared {
    /// The values and the namespace that were given, as a data file has them.
    pub(super) fn installation(&self) -> Installation {
        let namespace = &self.options.namespace;
        Installation {
            values: self.values.as_object().cloned().unwrap_or_default(),
            scenarios: Vec::new(),
            namespace: (*namespace != Options::default().namespace).then(|| namespace.clone()),
        }
    }

    /// What a message calls the chart.
    fn label(&self) -> String {
        format!("{} {}", self.chart.name(), self.chart.version())
    }

    /// Does something with the chart on a thread where it may take its time.
    pub(super) async fn run_blocking<T: Send + 'static>(
        self,
        work: impl FnOnce(&Self) -> Result<T, release::Error> + Send + 'static,
    ) -> anyhow::Result<T> {
        let label = self.label();
        let done = tokio::task::spawn_blocking(move || work(&self)).await?;
        done.map_err(|error| cannot_render(label, &error).into())
    }
}

/// Renders, and tells what Helm warns of.
pub(super) fn render(prepared: &Prepared) -> Result<Rendered, release::Error> {
    let rendered = release::render(&prepared.chart, &prepared.values, &prepared.options)?;
    for warning in &rendered.warnings {
        tracing::warn!("{warning}");
    }
    Ok(rendered)
}

fn cannot_render(chart: String, error: &dyn fmt::Display) -> CannotRender {
    CannotRender {
        chart,
        reason: error.to_string(),
    }
}

fn refused(flag: &str, error: &str, text: &str) -> Problem {
    // Helm hides the reason for JSON, and shows the text.
    if flag == "--set-json" {
        return Problem::input(
            flag,
            format!("failed parsing --set-json data {text}: {error}"),
        );
    }
    Problem::input(flag, format!("failed parsing {flag} data: {error}"))
}

/// The values of a file, as Helm reads them.
fn values_of(file: &str) -> Result<Map<String, Value>, Problem> {
    let place = format!("--values {file}");
    let text = text_of(file).map_err(|error| Problem::input(&place, error))?;
    let failed = |error: String| Problem::input(&place, format!("failed to parse {file}: {error}"));
    let converting =
        |error: yaml::Error| failed(format!("error converting YAML to JSON: yaml: {error}"));
    let root = yaml::first_document(&text, &yaml::Limits::default()).map_err(converting)?;
    let values = root.map_or(Ok(Value::Null), |root| root.to_helm_json());
    let kind = match set::as_floats(values.map_err(converting)?) {
        Value::Object(map) => return Ok(map),
        Value::Null => return Ok(Map::new()),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
    };
    Err(failed(format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go value of type \
         map[string]interface {{}}"
    )))
}

/// The text of a file, or of standard input.
fn text_of(name: &str) -> Result<String, String> {
    if name.starts_with("https://") || name.starts_with("http://") {
        return Err("files are not fetched by URL: download it first".to_owned());
    }
    let read = |from: &mut dyn Read| {
        let mut bytes = Vec::new();
        from.take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map(|_| bytes)
    };
    let bytes = if name.trim() == "-" {
        read(&mut std::io::stdin().lock())
    } else {
        std::fs::File::open(name).and_then(|mut file| read(&mut file))
    };
    let bytes = bytes.map_err(|error| format!("cannot read {name}: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("{name} has more than {} MiB", LARGEST >> 20));
    }
    String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8"))
}
