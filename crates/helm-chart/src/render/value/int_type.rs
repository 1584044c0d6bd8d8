//! The types of integers.

/// The integer types that a template can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntType {
    /// `int`: literals, `len`, `int`.
    Int,
    /// `int64`: sprig's arithmetic, `--set`.
    Int64,
    /// `int32`: character constants.
    Int32,
    /// `uint8`: an element of `[]byte`, a text's byte.
    Uint8,
    /// `uint64`: the parts of a semantic version.
    Uint64,
    /// `time.Duration`, whose kind is int64.
    Duration,
    /// `time.Month`, whose kind is int.
    Month,
    /// `time.Weekday`, whose kind is int.
    Weekday,
}

impl IntType {
    /// What Go calls it.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Duration => "time.Duration",
            Self::Month => "time.Month",
            Self::Weekday => "time.Weekday",
            plain => plain.kind(),
        }
    }

    /// Go's kind.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Int | Self::Month | Self::Weekday => "int",
            Self::Int64 | Self::Duration => "int64",
            Self::Int32 => "int32",
            Self::Uint8 => "uint8",
            Self::Uint64 => "uint64",
        }
    }

    /// Whether it has no sign.
    #[must_use]
    pub fn is_unsigned(self) -> bool {
        matches!(self, Self::Uint8 | Self::Uint64)
    }
}
