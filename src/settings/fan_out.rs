//! How many CodeBuild builds a run may use.

/// The most builds of one run, including the coordinator: beyond that ECR's quotas are the limit.
pub const MOST_BUILDS: usize = 64;

/// How many builds a run may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FanOut {
    /// As many as save enough time.
    #[default]
    Auto,
    /// A fixed number, including the coordinator; at least 2.
    Builds(usize),
    /// One.
    Off,
}

impl FanOut {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "off" | "false" | "no" | "0" | "1" => Ok(Self::Off),
            number => number
                .parse()
                .ok()
                .filter(|builds| (2..=MOST_BUILDS).contains(builds))
                .map(Self::Builds)
                .ok_or_else(|| {
                    format!("`{text}` is none of auto, off, a number of builds up to {MOST_BUILDS}")
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fan_out_is_auto_off_or_a_number_of_builds() {
        assert_eq!(FanOut::parse(" Auto "), Ok(FanOut::Auto));
        // YAML reads an unquoted off as `false`.
        for off in ["off", "false", "1"] {
            assert_eq!(FanOut::parse(off), Ok(FanOut::Off));
        }
        assert_eq!(FanOut::parse("64"), Ok(FanOut::Builds(64)));
        for wrong in ["65", "-1", "many", "2.5"] {
            assert!(FanOut::parse(wrong).is_err(), "{wrong}");
        }
    }
}
