//! What happens to sources that do not prove what the rules of the data files ask for.

/// What happens to a source that does not prove what a rule asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrustMode {
    /// No source is asked.
    #[default]
    Off,
    /// It is a warning.
    Warn,
    /// It is not copied.
    Require,
}

impl TrustMode {
    /// Reads the parameter. YAML makes `false` of an unquoted `off`.
    ///
    /// # Errors
    /// A text that is none of the words. `true` is none: it does not say which of the two is meant.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "off" | "false" => Ok(Self::Off),
            "warn" => Ok(Self::Warn),
            "require" => Ok(Self::Require),
            _ => Err(format!("`{text}` is none of off, warn, require")),
        }
    }
}
