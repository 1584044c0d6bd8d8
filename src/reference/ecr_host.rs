//! The hosts of private ECR registries: the only ones that ECR's token is for.

use std::fmt;

/// The DNS suffixes that AWS owns, by partition: that of names with `dkr.ecr`, and that of dual-stack names
/// with `dkr-ecr` where the partition has them. Sources: the AWS SDKs' `partitions.json` (`dnsSuffix`)
/// and <https://docs.aws.amazon.com/general/latest/gr/ecr.html>; the pattern of amazon-ecr-credential-helper
/// names the same hosts.
const SUFFIXES: [(&str, Option<&str>); 7] = [
    // aws, aws-us-gov
    ("amazonaws.com", Some("on.aws")),
    // aws-cn
    ("amazonaws.com.cn", Some("on.amazonwebservices.com.cn")),
    // aws-eusc
    ("amazonaws.eu", Some("on.amazonwebservices.eu")),
    // aws-iso
    ("c2s.ic.gov", None),
    // aws-iso-b
    ("sc2s.sgov.gov", None),
    // aws-iso-e
    ("cloud.adc-e.uk", None),
    // aws-iso-f
    ("csp.hci.ic.gov", None),
];

/// What stands between account and region.
const LABELS: [&str; 4] = ["dkr.ecr", "dkr.ecr-fips", "dkr-ecr", "dkr-ecr-fips"];

/// The host of a private ECR registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrHost {
    /// Twelve digits.
    pub account: String,
    /// Such as `eu-central-1`.
    pub region: String,
    /// The partition's DNS suffix, such as `amazonaws.com`.
    pub suffix: String,
    /// `dkr.ecr`, or what FIPS and dual-stack names have in its place.
    label: &'static str,
}

impl EcrHost {
    /// The usual host of an account's registry in a region.
    #[must_use]
    pub fn new(account: String, region: String, suffix: String) -> Self {
        Self {
            account,
            region,
            suffix,
            label: LABELS[0],
        }
    }

    /// Takes a host apart, `None` when it is not a private ECR registry of AWS.
    #[must_use]
    pub fn parse(host: &str) -> Option<Self> {
        let (account, rest) = host.split_once('.')?;
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let mut labels = LABELS.into_iter();
        let (label, rest) =
            labels.find_map(|label| Some((label, rest.strip_prefix(label)?.strip_prefix('.')?)))?;
        let (region, suffix) = rest.split_once('.')?;
        let is_region = region.contains('-')
            && region
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let is_suffix = SUFFIXES.iter().any(|(usual, dual_stack)| {
            if label.starts_with("dkr-") {
                *dual_stack == Some(suffix)
            } else {
                *usual == suffix
            }
        });
        (is_account && is_region && is_suffix).then(|| Self {
            account: account.to_owned(),
            region: region.to_owned(),
            suffix: suffix.to_owned(),
            label,
        })
    }

    /// All hosts of the same registry: the usual one, and those for FIPS and dual stack.
    #[must_use]
    pub fn spellings(&self) -> Vec<String> {
        let of_partition = |(usual, dual_stack): &(&str, Option<&str>)| {
            *usual == self.suffix || *dual_stack == Some(self.suffix.as_str())
        };
        let (usual, dual_stack) = SUFFIXES
            .into_iter()
            .find(of_partition)
            .unwrap_or((self.suffix.as_str(), None));
        let hosts = LABELS.into_iter().filter_map(|label| {
            let suffix = if label.starts_with("dkr-") {
                dual_stack?
            } else {
                usual
            };
            Some(format!("{}.{label}.{}.{suffix}", self.account, self.region))
        });
        hosts.collect()
    }
}

impl fmt::Display for EcrHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}.{}",
            self.account, self.label, self.region, self.suffix
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecr_is_known_by_all_its_names_in_all_partitions() {
        for rest in [
            "dkr.ecr.eu-west-1.amazonaws.com",
            "dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "dkr-ecr.eu-west-1.on.aws",
            "dkr-ecr-fips.us-east-1.on.aws",
            "dkr.ecr.cn-north-1.amazonaws.com.cn",
            "dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
            "dkr.ecr.eusc-de-east-1.amazonaws.eu",
            "dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu",
            "dkr.ecr.us-iso-east-1.c2s.ic.gov",
            "dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
            "dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk",
            "dkr.ecr.us-isof-south-1.csp.hci.ic.gov",
        ] {
            let host = format!("123456789012.{rest}");
            let ecr = EcrHost::parse(&host).unwrap_or_else(|| panic!("{host}"));
            assert_eq!(ecr.to_string(), host);
            assert_eq!(ecr.account, "123456789012");
            assert!(rest.contains(&format!(".{}.", ecr.region)));
        }
    }

    #[test]
    fn a_host_that_only_looks_like_ecr_is_not() {
        for host in [
            "123456789012.dkr.ecr.us-east-1.evil.example",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example",
            "123456789012.dkr.ecr.evil.example.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.comx",
            "123456789012.dkr.ecr.us-east-1.on.aws",
            "123456789012.dkr-ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com:8443",
            "123456789012.dkr.ecr.us-east-1.evilamazonaws.com",
            "123456789012.dkr.ecr-evil.us-east-1.amazonaws.com",
            "12345678901.dkr.ecr.us-east-1.amazonaws.com",
            "evil.123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "public.ecr.aws",
            "s3.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr..amazonaws.com",
        ] {
            assert_eq!(EcrHost::parse(host), None, "{host}");
        }
    }
}
