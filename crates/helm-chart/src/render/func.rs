//! How a function of the template language is declared, and what it may spend.

use super::value::Value;

/// A parameter's type, which the executor checks before it calls, with Go's words when it does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param {
    /// `interface {}`.
    Any,
    /// `string`.
    String,
    /// `bool`.
    Bool,
    /// `int`.
    Int,
    /// `int64`.
    Int64,
    /// `float64`.
    Float,
    /// `map[string]interface {}`.
    Map,
    /// `[]interface {}`.
    List,
    /// `[]string`.
    Strings,
    /// `time.Time`.
    Time,
    /// A concrete type by the name that Go gives it.
    Named(&'static str),
}

/// A function of the template language.
#[derive(Clone, Copy)]
pub struct Func {
    /// Its name.
    pub name: &'static str,
    /// The types of its fixed parameters.
    pub params: &'static [Param],
    /// The type of the parameters that may follow.
    pub variadic: Option<Param>,
    /// The function. Arguments have been checked against the types.
    pub call: fn(&mut dyn Context, &[Value]) -> Result<Value, Failure>,
}

/// The parameters of a method of an [`Object`](super::value::Object).
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// The types of its fixed parameters.
    pub params: &'static [Param],
    /// The type of the parameters that may follow.
    pub variadic: Option<Param>,
    /// What Go says of a method that gives back more than a template can take.
    pub refused: Option<&'static str>,
}

impl Method {
    /// A method with these parameters, which gives back one value.
    #[must_use]
    pub const fn new(params: &'static [Param]) -> Self {
        Self {
            params,
            variadic: None,
            refused: None,
        }
    }
}

impl Param {
    /// What Go calls the type.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::String => "string",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Float => "float64",
            Self::Map => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::Strings => "[]string",
            Self::Time => "time.Time",
            Self::Named(name) => name,
        }
    }
}

/// Why a function failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The function returned an error: Go says `error calling NAME: MESSAGE`.
    Error(String),
    /// The function panicked, which Go reports with its own words.
    Panic(String),
    /// A limit is reached: the render ends, whatever the template does with errors.
    Limit(String),
    /// An error of a template that the function executed (`include`, `tpl`), position and all.
    Nested(String),
}

/// What a function sees of the run that it is part of.
pub trait Context {
    /// Takes bytes that the function is about to allocate or print from what the render may spend.
    ///
    /// # Errors
    /// [`Failure::Limit`] when nothing is left.
    fn spend(&mut self, bytes: usize) -> Result<(), Failure>;

    /// The bytes that are left to spend: what a formatter may write at most.
    fn left(&self) -> usize;

    /// Takes steps (comparisons, elements, regular-expression bytes) from what the render may do.
    ///
    /// # Errors
    /// [`Failure::Limit`] when nothing is left.
    fn step(&mut self, steps: usize) -> Result<(), Failure>;

    /// Executes a named template on a value: Helm's `include`.
    ///
    /// # Errors
    /// What the template reports.
    fn include(&mut self, name: &str, dot: &Value) -> Result<Value, Failure>;

    /// Parses a text as a template and executes it on a value: Helm's `tpl`.
    ///
    /// # Errors
    /// What the template reports.
    fn tpl(&mut self, text: &str, dot: &Value) -> Result<Value, Failure>;

    /// The fixed stand-in for everything that is not repeatable: clock, randomness, certificates,
    /// names of hosts. A proof renders with two of them (0 and 1) and requires the same images.
    fn stand_in(&self) -> u64;

    /// Whether Helm runs in its strict mode (`--strict`): `required` and `fail` then only warn when linting.
    fn lint(&self) -> bool {
        false
    }
}
