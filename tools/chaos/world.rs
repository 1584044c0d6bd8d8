//! The registries and folders of one run.

use std::fmt::Write;
use std::path::PathBuf;

use fastrand::Rng;
use lab::aws::Aws;
use lab::chart::{Chart, ChartRepository};
use lab::faults::{Fault, Rule};
use lab::image::Pushed;
use lab::registry::{Builder, EcrBehaviour, Registry};
use lab::wire::Wire;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::draw::{Drawn, Login, Shape, other_faults, registry_faults};
use crate::logins::{auth, basic, secrets};

pub(crate) const BUCKET: &str = "idf-dkr-img-rep-md-us-east-1-123456789012";
pub(crate) const OBJECT: &str = "dev-replication-images-metadata.json";
pub(crate) const BEFORE: &[u8] = b"{\"an\": \"earlier result\"}";

/// Where content goes.
pub(crate) enum TargetStore {
    Plain(Registry),
    Ecr(Box<Aws>),
    Folder(PathBuf),
}

/// An image and where it must be in the end.
pub(crate) struct Expected {
    pub(crate) pushed: Pushed,
    pub(crate) referrers: Vec<Pushed>,
    pub(crate) repository: String,
    pub(crate) tag: String,
    source: String,
    target: String,
}

pub(crate) struct World {
    pub(crate) drawn: Drawn,
    pub(crate) source: Registry,
    pub(crate) target: TargetStore,
    pub(crate) charts: ChartRepository,
    /// The archives of all charts by their names, with their digests.
    pub(crate) archives: Vec<(String, String)>,
    pub(crate) images: Vec<Expected>,
    pub(crate) folder: TempDir,
    /// What must stand in no output.
    pub(crate) secrets: Vec<String>,
}

/// What the target is called in front of a name.
struct Names {
    prefix: String,
    inside: &'static str,
}

impl World {
    pub(crate) async fn build(drawn: Drawn) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("chaos-").tempdir()?;
        for name in ["home/.docker", "work", "out", "data"] {
            std::fs::create_dir_all(folder.path().join(name))?;
        }
        let source = Registry::builder().auth(auth(drawn.source_login, "source", drawn.lifetime));
        let source = habits(&drawn, source).start().await?;
        let target = match drawn.shape {
            Shape::DeployFolder => TargetStore::Folder(folder.path().join("mirror")),
            Shape::DeployPlain | Shape::CopyPlain => {
                let auth = auth(drawn.target_login, "target", drawn.lifetime);
                let ecr = EcrBehaviour {
                    blob_mounting: drawn.mounting,
                    validator_lag: drawn.validator_lag,
                    ..EcrBehaviour::OFF
                };
                let registry = habits(&drawn, Registry::builder().auth(auth)).ecr(ecr);
                TargetStore::Plain(registry.start().await?)
            }
            Shape::DeployEcr | Shape::CopyEcr => {
                let ecr = EcrBehaviour {
                    blob_mounting: drawn.mounting,
                    validator_lag: drawn.validator_lag,
                    ..EcrBehaviour::default()
                };
                let ecr = if drawn.quotas { ecr.with_quotas() } else { ecr };
                let aws = Aws::builder()
                    .ecr(ecr)
                    .token_lifetime(drawn.lifetime)
                    .creation_delay(drawn.creation_delay);
                TargetStore::Ecr(Box::new(aws.start().await?))
            }
        };
        let mut world = Self {
            source,
            target,
            charts: ChartRepository::start(classic(&drawn)).await?,
            archives: Vec::new(),
            images: Vec::new(),
            folder,
            secrets: secrets(),
            drawn,
        };
        world.seed()?;
        world.write_inputs()?;
        world.add_faults();
        Ok(world)
    }

    /// The registry that content goes to.
    pub(crate) fn target_registry(&self) -> Option<&Registry> {
        match &self.target {
            TargetStore::Plain(registry) => Some(registry),
            TargetStore::Ecr(aws) => Some(aws.registry()),
            TargetStore::Folder(_) => None,
        }
    }

    pub(crate) fn aws(&self) -> Option<&Aws> {
        match &self.target {
            TargetStore::Ecr(aws) => Some(aws),
            TargetStore::Plain(_) | TargetStore::Folder(_) => None,
        }
    }

    /// All servers' logs.
    pub(crate) fn wires(&self) -> Vec<&Wire> {
        let mut wires = vec![self.source.wire(), self.charts.wire()];
        wires.extend(self.target_registry().map(Registry::wire));
        wires.extend(self.aws().map(Aws::wire));
        wires
    }

    pub(crate) fn boards(&self) -> Vec<&lab::faults::Faults> {
        let mut boards = vec![self.source.faults(), self.charts.faults()];
        boards.extend(self.target_registry().map(Registry::faults));
        boards.extend(self.aws().map(Aws::faults));
        boards
    }

    /// All servers behave from now on.
    pub(crate) fn calm(&self) {
        self.boards().iter().for_each(|faults| faults.clear());
    }

    fn names(&self) -> Names {
        let inside = match self.drawn.shape {
            Shape::DeployEcr => "idf-",
            Shape::DeployPlain => "mirror/",
            Shape::DeployFolder => "",
            Shape::CopyEcr | Shape::CopyPlain => "copied/",
        };
        let prefix = match &self.target {
            TargetStore::Plain(registry) => format!("{}/{inside}", registry.host()),
            TargetStore::Ecr(aws) => format!("{}/{inside}", aws.ecr_host()),
            TargetStore::Folder(dir) => format!("oci:{}:", dir.display()),
        };
        Names { prefix, inside }
    }

    fn seed(&mut self) -> anyhow::Result<()> {
        let names = self.names();
        for drawn in &self.drawn.images {
            let (repository, tag) = (&drawn.repository, &drawn.tag);
            let pushed = drawn.image.push(&self.source, repository, tag)?;
            let mut referrers = Vec::new();
            if drawn.attached {
                for kind in ["sbom", "scan"] {
                    referrers
                        .push(pushed.attach(&self.source, &format!("application/vnd.lab.{kind}"))?);
                }
            }
            if drawn.signed {
                referrers.push(pushed.sign(&self.source)?);
            }
            let host = self.source.host();
            let inner = if self.drawn.shape.is_copy() {
                repository.clone()
            } else {
                format!("{}/{repository}", host.replace(':', "-"))
            };
            self.images.push(Expected {
                pushed,
                referrers,
                repository: format!("{}{inner}", names.inside),
                tag: tag.clone(),
                source: format!("{host}/{repository}:{tag}"),
                target: format!("{}{inner}:{tag}", names.prefix),
            });
        }
        for chart in classic(&self.drawn) {
            let name = chart.file_name();
            let name = name.split('-').next().unwrap_or_default();
            self.archives.push((name.to_owned(), chart.digest()));
        }
        for number in 0..self.drawn.charts.1 {
            let name = format!("oci{number}");
            let chart = Chart::new(&name, "2.0.0").values("a: 1\n");
            chart.push_oci(&self.source, &format!("charts/{name}"))?;
            self.archives.push((name, chart.digest()));
        }
        Ok(())
    }

    /// Data files, the list of pairs, and the credentials.
    fn write_inputs(&self) -> anyhow::Result<()> {
        let path = |name: &str| self.folder.path().join(name);
        let mut data = String::from("additional_images:\n");
        for (number, image) in self.images.iter().enumerate() {
            writeln!(data, "  image{number}: \"{}\"", image.source)?;
        }
        if !self.archives.is_empty() {
            data += "charts:\n";
        }
        for (name, _) in &self.archives {
            let (repository, version) = if name.starts_with("oci") {
                (format!("oci://{}/charts", self.source.host()), "2.0.0")
            } else {
                (self.charts.url(), "1.0.0")
            };
            writeln!(
                data,
                "  {name}:\n    name: {name}\n    repository: {repository}\n    version: {version}\n    images: {{}}"
            )?;
        }
        std::fs::write(path("data/default.yaml"), data)?;
        std::fs::write(path("data/1.34.yaml"), "ami: {version: 1.34.0}\n")?;
        let pairs = self.images.iter();
        let pairs: Vec<Value> = pairs
            .map(|image| json!({"src": image.source, "target": image.target}))
            .collect();
        std::fs::write(path("data/list.json"), json!(pairs).to_string())?;

        let mut auths = serde_json::Map::new();
        let mut login = |login: Login, host: String, who: &str| {
            if matches!(login, Login::Basic | Login::Bearer) {
                auths.insert(host, json!({"auth": basic(who)}));
            }
        };
        login(self.drawn.source_login, self.source.host(), "source");
        if let TargetStore::Plain(registry) = &self.target {
            login(self.drawn.target_login, registry.host(), "target");
        }
        let config = json!({ "auths": auths }).to_string();
        std::fs::write(path("home/.docker/config.json"), config)?;
        if let Some(aws) = self.aws().filter(|_| self.drawn.published_before) {
            aws.put_object(BUCKET, OBJECT, BEFORE);
        }
        Ok(())
    }

    fn add_faults(&self) {
        if !self.drawn.faults {
            return;
        }
        self.add_lasting_faults();
        let rng = &mut Rng::with_seed(self.drawn.seed ^ 0xfa17);
        registry_faults(rng, self.source.faults());
        if let Some(target) = self.target_registry() {
            registry_faults(rng, target.faults());
        }
        other_faults(rng, self.charts.faults());
        if let Some(aws) = self.aws() {
            other_faults(rng, aws.faults());
            if rng.u32(0..100) < 30 {
                let actions = [
                    "GetAuthorizationToken",
                    "CreateRepository",
                    "DescribeRepositories",
                    "PutObject",
                ];
                aws.throttle(actions[rng.usize(0..actions.len())], rng.u64(1..3));
            }
        }
    }

    /// What a server does for the whole of a run; the first rule that hits decides.
    fn add_lasting_faults(&self) {
        let refused = || Rule::new(Fault::status(405)).on("HEAD", "");
        let (source, target) = self.drawn.refused_heads;
        if source {
            self.source.faults().add(refused());
        }
        if let Some(registry) = self.target_registry() {
            if target {
                registry.faults().add(refused());
            }
            if self.drawn.broken_mounts {
                let broken = Rule::new(Fault::status(500)).on("POST", "mount=");
                registry.faults().add(broken);
            }
        }
        if let Some(aws) = self.aws().filter(|_| self.drawn.unanswered > 0) {
            let mute = Rule::new(Fault::Mute).chance(0.2);
            aws.faults().add(mute.times(self.drawn.unanswered));
        }
    }

    /// The command line and the variables of the run.
    pub(crate) fn command(&self) -> (Vec<String>, Vec<(String, String)>) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let mut arguments: Vec<String> = if self.drawn.shape.is_copy() {
            vec![
                "copy".to_owned(),
                "--list".to_owned(),
                path("data/list.json"),
            ]
        } else {
            [
                "deploy",
                "--eks-version",
                "1.34",
                "--data-dir",
                &path("data"),
            ]
            .map(str::to_owned)
            .to_vec()
        };
        arguments.extend(["--out".to_owned(), path("out")]);
        match (&self.target, self.drawn.shape) {
            (TargetStore::Plain(_), Shape::DeployPlain) => {
                arguments.extend(["--registry-prefix".to_owned(), self.names().prefix]);
            }
            (TargetStore::Folder(dir), _) => {
                arguments.push("--registry-prefix".to_owned());
                arguments.push(format!("oci:{}", dir.display()));
            }
            _ => {}
        }
        let mut variables = self.aws().map(Aws::env).unwrap_or_default();
        // A host that throttles for ever is to be given up within the time of a run.
        variables.push(("SEEDFARMER_PARAMETER_PATIENCE".to_owned(), "8".to_owned()));
        // And one that does not answer, too: longer than any stall, shorter than a run by far.
        variables.push((
            "SEEDFARMER_PARAMETER_ANSWER_TIMEOUT".to_owned(),
            "4".to_owned(),
        ));
        if self.drawn.shape == Shape::DeployEcr {
            let module = [
                ("SEEDFARMER_PROJECT_NAME", "idf"),
                ("SEEDFARMER_DEPLOYMENT_NAME", "dev"),
                ("SEEDFARMER_MODULE_NAME", "replication-images"),
                ("SEEDFARMER_MODULE_METADATA", "null"),
            ];
            variables.extend(module.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        (arguments, variables)
    }
}

fn habits(drawn: &Drawn, builder: Builder) -> Builder {
    let mut builder = builder;
    if !drawn.ranges {
        builder = builder.without_ranges();
    }
    if !drawn.referrers {
        builder = builder.without_referrers();
    }
    if drawn.paged {
        builder = builder.referrers_per_page(1);
    }
    if drawn.absolute_locations {
        builder = builder.absolute_locations();
    }
    builder
}

fn classic(drawn: &Drawn) -> Vec<Chart> {
    let charts = (0..drawn.charts.0)
        .map(|number| Chart::new(&format!("chart{number}"), "1.0.0").values("image: {tag: 1}\n"));
    charts.collect()
}
