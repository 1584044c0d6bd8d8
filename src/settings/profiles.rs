//! The profiles of the AWS CLI, as far as settings need them: their names, and their regions. Credentials are read
//! by the SDK.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::problem::{Problem, did_you_mean};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// The profiles of the AWS CLI's files, each with its region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profiles {
    regions: BTreeMap<String, Option<String>>,
    /// The files that were looked for.
    files: Vec<PathBuf>,
}

impl Profiles {
    /// Reads `~/.aws/config` and `~/.aws/credentials`, or the files that are named instead. A file that cannot be
    /// read has no profiles.
    pub(super) fn read(config: Option<PathBuf>, credentials: Option<PathBuf>) -> Self {
        let mut profiles = Self::default();
        for (file, is_config) in [(config, true), (credentials, false)] {
            if let Some(file) = file {
                profiles.add(&text(&file), is_config);
                profiles.files.push(file);
            }
        }
        profiles
    }

    fn add(&mut self, text: &str, is_config: bool) {
        let mut profile = None;
        for line in text.lines() {
            let line = line.trim_end();
            if let Some(section) = line.strip_prefix('[') {
                let section = section.split(']').next().unwrap_or_default().trim();
                profile = name(section, is_config).map(str::to_owned);
                if let Some(name) = &profile {
                    self.regions.entry(name.clone()).or_default();
                }
            } else if let Some((key, value)) = line.split_once('=')
                && key.trim() == "region"
                && !line.starts_with([' ', '\t', '#', ';'])
                && let Some(name) = &profile
            {
                let region = value.trim().to_owned();
                self.regions.insert(name.clone(), Some(region));
            }
        }
    }

    /// The region of a profile.
    #[must_use]
    pub fn region(&self, profile: &str) -> Option<&str> {
        let region = self.regions.get(profile)?.as_deref();
        region.filter(|region| !region.is_empty())
    }

    /// A problem if there is no profile of a name; `place` is where the name was given.
    ///
    /// # Errors
    /// The problem, with the nearest names.
    pub fn check(&self, profile: &str, place: &str) -> Result<(), Problem> {
        if self.regions.contains_key(profile) {
            return Ok(());
        }
        let files: Vec<String> = self
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let what = format!("there is no profile `{profile}` in {}", files.join(" or "));
        let names: Vec<&str> = self.regions.keys().map(String::as_str).collect();
        let remedy = match did_you_mean(profile, names.iter().copied()) {
            Some(near) => near,
            None if names.is_empty() => "the files have no profiles: `aws configure`".to_owned(),
            None => format!("there are: {}", names.join(", ")),
        };
        Err(Problem::input(place, what).remedy(remedy))
    }
}

/// The profile of a section: `[default]`, `[profile dev]` in the configuration, `[dev]` in the credentials.
fn name(section: &str, is_config: bool) -> Option<&str> {
    let named = section.strip_prefix("profile").map(str::trim_start);
    match named {
        Some(name) if is_config && name.len() + "profile".len() < section.len() => Some(name),
        _ if !is_config || section == "default" => Some(section),
        _ => None,
    }
}

fn text(file: &Path) -> String {
    let is_small =
        std::fs::metadata(file).is_ok_and(|file| file.is_file() && file.len() <= LARGEST);
    let bytes = is_small.then(|| std::fs::read(file).ok()).flatten();
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_from_both_files() {
        let mut profiles = Profiles::default();
        profiles.add(
            "# [profile comment]\n[default]\nregion = eu-west-1\n[profile dev]\nrole_arn = x\nregion=eu-central-1\n\
             s3 =\n  region = nested\n[sso-session s]\nregion = us-east-1\n[profilex]\n",
            true,
        );
        profiles.add("[keys]\naws_access_key_id = A\n[dev]\n", false);
        let names: Vec<&str> = profiles.regions.keys().map(String::as_str).collect();
        assert_eq!(names, ["default", "dev", "keys"]);
        assert_eq!(profiles.region("dev"), Some("eu-central-1"));
        assert_eq!(profiles.region("default"), Some("eu-west-1"));
        assert_eq!(profiles.region("keys"), None);
        assert!(profiles.check("dev", "--profile").is_ok());
        let problem = profiles.check("devv", "--profile").unwrap_err();
        assert!(problem.remedy.is_some_and(|text| text.contains("dev")));
    }
}
