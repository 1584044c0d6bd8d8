//! What keeps a deployment from succeeding, found ahead: findings, and what makes one of each measurement. Pure.

use serde::Serialize;

use crate::aws::VpcEndpoint;
use crate::progress;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All right.
    Ok,
    /// It can cost time or cover something up; a deployment may succeed.
    Warning,
    /// A deployment fails.
    Broken,
    /// It could not be checked, because something else is broken.
    Skipped,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked, such as `bucket`.
    pub check: String,
    /// How bad it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn new(check: &str, state: State, found: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            state,
            found: found.into(),
            remedy: None,
        }
    }

    /// All right.
    pub fn ok(check: &str, found: impl Into<String>) -> Self {
        Self::new(check, State::Ok, found)
    }

    /// Not all right, with a remedy; a deployment may succeed.
    pub fn warning(check: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(check, State::Warning, found).remedy(remedy)
    }

    /// What makes a deployment fail, with a remedy.
    pub fn broken(check: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(check, State::Broken, found).remedy(remedy)
    }

    /// Not checked.
    pub fn skipped(check: &str, found: impl Into<String>) -> Self {
        Self::new(check, State::Skipped, found)
    }

    /// The same with a remedy, or a hint.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// The difference of clocks from which on AWS refuses signatures, in seconds
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>).
const MOST_SKEW: u64 = 5 * 60;

/// From here on the clock is likely not synchronised, in seconds.
const SOME_SKEW: u64 = 60;

/// The clock of this machine; `ahead` is AWS's time minus ours, in seconds.
#[must_use]
pub fn clock(ahead: i64) -> Finding {
    let difference = ahead.unsigned_abs();
    let side = if ahead > 0 { "behind" } else { "ahead of" };
    let found = format!("{difference} s {side} AWS");
    let remedy = "synchronise this machine's clock (chrony, systemd-timesyncd); AWS refuses \
                  signatures that are 5 minutes off";
    match difference {
        MOST_SKEW.. => Finding::broken("clock", found, remedy),
        SOME_SKEW.. => Finding::warning("clock", found, remedy),
        0..=2 => Finding::ok("clock", "agrees with AWS"),
        _ => Finding::ok("clock", found),
    }
}

/// A quota of requests per second: the account's, and what the settings assume.
#[must_use]
pub fn request_quota(name: &str, code: &str, account: f64, assumed: f64) -> Finding {
    let check = format!("quota {name}");
    if account < assumed {
        let found =
            format!("{account}/s in this account, {assumed}/s assumed: calls are throttled");
        let remedy = format!(
            "set Quotas (--quotas) to {name}={account}, or ask for an increase of {code} in Service Quotas"
        );
        return Finding::warning(&check, found, remedy);
    }
    let found = Finding::ok(&check, format!("{account}/s, {assumed}/s used"));
    if account > assumed {
        return found.remedy(format!("Quotas (--quotas) {name}={account} uses all of it"));
    }
    found
}

/// The quota of repositories, against those that exist and those that the plan adds.
#[must_use]
pub fn repository_quota(code: &str, most: f64, existing: usize, new: usize) -> Finding {
    let found = format!("{existing} exist, the plan adds {new}, {most} are allowed");
    if crate::fan_out::forecast::as_f64((existing + new) as u64) > most {
        let remedy = format!(
            "ask for an increase of {code} in Service Quotas, or delete unused repositories"
        );
        return Finding::broken("quota repositories", found, remedy);
    }
    Finding::ok("quota repositories", found)
}

/// CodeBuild's quota of builds at once. `wanted` is the number that `FanOut` names, if it names one.
#[must_use]
pub fn build_quota(code: &str, most: f64, wanted: Option<usize>) -> Finding {
    const CHECK: &str = "quota builds";
    let increase = format!("ask for an increase of {code} in Service Quotas");
    let found = format!("{most} builds of this size at once");
    if most < 1.0 {
        return Finding::broken(CHECK, format!("{found}: no build can start"), increase);
    }
    let wanted = wanted.unwrap_or(2);
    if most < crate::fan_out::forecast::as_f64(wanted as u64) {
        let found = format!("{found}, FanOut would use {wanted}: further builds stay queued");
        let remedy = format!("{increase}, or set FanOut to \"off\"");
        return Finding::warning(CHECK, found, remedy);
    }
    Finding::ok(CHECK, found)
}

/// What a VPC without internet needs so that nodes can pull from ECR
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html>).
#[must_use]
pub fn vpc_endpoints(region: &str, vpc: &str, found: &[VpcEndpoint]) -> Vec<Finding> {
    let needed = [
        ("ecr.api", "tokens"),
        ("ecr.dkr", "manifests"),
        ("s3", "layers"),
    ];
    let findings = needed.map(|(service, use_of)| {
        let check = format!("vpc {service}");
        let end = format!(".{region}.{service}");
        let mut of_service = found
            .iter()
            .filter(|one| one.service.ends_with(&end))
            .peekable();
        let kind = if service == "s3" {
            "gateway"
        } else {
            "interface"
        };
        if of_service.peek().is_none() {
            let found = format!("{vpc} has no endpoint for {service}: nodes cannot get {use_of}");
            let more = match service {
                "s3" => "for the route tables of the nodes' subnets",
                _ => "with private DNS, in the nodes' subnets",
            };
            let remedy =
                format!("create the {kind} endpoint for com.amazonaws{end} in {vpc}, {more}");
            return Finding::broken(&check, found, remedy);
        }
        let faults: Vec<String> = of_service.map_while(fault).collect();
        let is_usable = found
            .iter()
            .any(|one| one.service.ends_with(&end) && fault(one).is_none());
        if is_usable {
            return Finding::ok(&check, "there is one");
        }
        let found = format!(
            "the endpoint {}: nodes cannot get {use_of}",
            faults.join(", ")
        );
        let remedy =
            "correct the endpoint: available, private DNS on (interface), route tables (gateway)";
        Finding::broken(&check, found, remedy)
    });
    findings.into()
}

/// Why an endpoint is of no use.
fn fault(endpoint: &VpcEndpoint) -> Option<String> {
    let is_gateway = endpoint.kind.eq_ignore_ascii_case("gateway");
    if !endpoint.state.eq_ignore_ascii_case("available") {
        return Some(format!("is {}", endpoint.state));
    }
    if is_gateway && endpoint.route_tables == 0 {
        return Some("has no route tables".to_owned());
    }
    (!is_gateway && !endpoint.private_dns).then(|| "has no private DNS".to_owned())
}

/// Docker Hub's limit, or that of another registry, against the images that the plan reads there.
#[must_use]
pub fn pulls(host: &str, left: u64, images: usize) -> Finding {
    let check = format!("pulls {host}");
    let found = format!(
        "{left} pulls left, the plan reads {}",
        progress::count(images, "image")
    );
    let remedy = "log in with an account that has a higher limit (HelmRepoSecretName, docker login), \
                  or use a mirror (Endpoints, --endpoint)";
    if left == 0 && images > 0 {
        return Finding::broken(&check, found, remedy);
    }
    if left < images as u64 {
        return Finding::warning(&check, found, remedy);
    }
    Finding::ok(&check, found)
}

/// The free space of the folder for results, in bytes.
#[must_use]
pub fn disk(folder: &str, free: u64) -> Finding {
    let found = format!("{} free in {folder}", progress::bytes(free));
    let remedy = "free space there, or name another folder with --out";
    match free {
        0..0x0100_0000 => Finding::broken("disk", found, remedy),
        0x0100_0000..0x1000_0000 => Finding::warning("disk", found, remedy),
        _ => Finding::ok("disk", found),
    }
}

/// The memory that is available, in bytes.
#[must_use]
pub fn memory(available: u64) -> Finding {
    let found = format!("{} available", progress::bytes(available));
    if available < 256 << 20 {
        let remedy = "use a larger machine or build, or fewer layers at once (--jobs)";
        return Finding::warning("memory", found, remedy);
    }
    Finding::ok("memory", found)
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
#[must_use]
pub fn available_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_by_less_than_aws_refuses() {
        let states = [0, 30, -90, 400, -400].map(|ahead| clock(ahead).state);
        let (ok, warning, broken) = (State::Ok, State::Warning, State::Broken);
        assert_eq!(states, [ok, ok, warning, broken, broken]);
        assert!(clock(400).found.contains("behind"));
    }

    #[test]
    fn quotas_are_compared_with_what_the_settings_assume() {
        assert_eq!(
            request_quota("PutImage", "L", 5.0, 10.0).state,
            State::Warning
        );
        let more = request_quota("PutImage", "L", 50.0, 10.0);
        assert_eq!(more.state, State::Ok);
        assert!(more.remedy.unwrap().contains("PutImage=50"));
        assert_eq!(build_quota("L", 0.0, None).state, State::Broken);
        assert_eq!(build_quota("L", 1.0, None).state, State::Warning);
        assert_eq!(build_quota("L", 4.0, Some(8)).state, State::Warning);
        assert_eq!(build_quota("L", 60.0, Some(8)).state, State::Ok);
        assert_eq!(repository_quota("L", 100.0, 90, 11).state, State::Broken);
        assert_eq!(repository_quota("L", 100.0, 90, 10).state, State::Ok);
    }

    #[test]
    fn an_endpoint_counts_only_if_it_can_be_used() {
        let endpoint = |service: &str, kind: &str| VpcEndpoint {
            service: format!("com.amazonaws.eu-west-1.{service}"),
            kind: kind.to_owned(),
            state: "available".to_owned(),
            private_dns: kind == "Interface",
            route_tables: 1,
        };
        let mut all = vec![
            endpoint("ecr.api", "Interface"),
            endpoint("ecr.dkr", "Interface"),
            endpoint("s3", "Gateway"),
        ];
        let states = |all: &[VpcEndpoint]| -> Vec<State> {
            let found = vpc_endpoints("eu-west-1", "vpc-1", all);
            found.iter().map(|finding| finding.state).collect()
        };
        assert_eq!(states(&all), [State::Ok; 3]);
        all[1].private_dns = false;
        all[2].route_tables = 0;
        assert_eq!(states(&all), [State::Ok, State::Broken, State::Broken]);
        assert_eq!(states(&[]), [State::Broken; 3]);
    }

    #[test]
    fn disk_memory_and_pulls_have_limits() {
        let states = [1 << 20, 100 << 20, 1 << 30].map(|free| disk(".", free).state);
        assert_eq!(states, [State::Broken, State::Warning, State::Ok]);
        assert_eq!(memory(100 << 20).state, State::Warning);
        let text = "MemTotal: 8000 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available_memory(text), Some(2 << 20));
        let states = [0, 3, 9].map(|left| pulls("docker.io", left, 9).state);
        assert_eq!(states, [State::Broken, State::Warning, State::Ok]);
    }
}
