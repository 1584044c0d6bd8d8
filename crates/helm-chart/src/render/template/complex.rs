//! Complex constants, which Go's templates know and charts do not use.

use crate::render::value::{Object, Str, Value};

/// A `complex128`.
#[derive(Debug)]
pub(super) struct Complex {
    pub(super) real: f64,
    pub(super) imaginary: f64,
}

impl Object for Complex {
    fn type_name(&self) -> &'static str {
        "complex128"
    }

    fn kind(&self) -> &'static str {
        "complex128"
    }

    fn field(&self, _: &str) -> Option<Value> {
        None
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        None
    }

    fn truth(&self) -> bool {
        self.real != 0.0 || self.imaginary != 0.0
    }

    /// Short: Go's `%v` of large and small parts has exponents.
    fn go_string(&self) -> Option<String> {
        Some(format!("({}{:+}i)", self.real, self.imaginary))
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
