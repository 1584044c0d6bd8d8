//! Executes templates on values.

use std::rc::Rc;

use super::engine::Engine;
use super::node::{At, Operand, Tree};
use super::quote::quote;
use crate::render::func::Failure;
use crate::render::value::{ElementType, Str, Value};

mod call;
mod eval;
mod walk;

/// A value, and whether all that Go knows of it is that it is an `interface {}`. An entry of a map is
/// one, what a pipeline ends with is not; of a nil this makes an error or a lax nil.
#[derive(Debug, Clone)]
pub(super) struct Eval {
    pub(super) value: Value,
    pub(super) boxed: bool,
}

impl Eval {
    /// Go's invalid value.
    pub(super) const NIL: Self = Self {
        value: Value::Nil,
        boxed: false,
    };

    /// A value of a type that Go knows.
    pub(super) const fn plain(value: Value) -> Self {
        Self {
            value,
            boxed: false,
        }
    }

    /// What a function gives back, or a field of a struct. Nil is always one of an `interface {}`: nil
    /// maps and slices have types.
    pub(super) fn given(value: Value) -> Self {
        let boxed = matches!(value, Value::Nil);
        Self { value, boxed }
    }

    /// An element of a map or slice whose elements have this type.
    pub(super) fn element(value: Value, elements: ElementType) -> Self {
        Self {
            value,
            boxed: elements == ElementType::Any,
        }
    }
}

/// Why an execution ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// An error of the template, complete with its place.
    Error(String),
    /// A limit, complete with the place where it was reached: no caller adds to it.
    Limit(String),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Error(message) => Self::Nested(message),
            Stop::Limit(message) => Self::Limit(message),
        }
    }
}

/// How a node ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// One execution of one template.
struct Frame<'t> {
    tree: &'t Tree,
    /// The node that errors name.
    at: At<'t>,
    /// All variables that are visible, the innermost last.
    variables: Vec<(&'t str, Eval)>,
}

impl<'t> Frame<'t> {
    fn error(&self, message: impl std::fmt::Display) -> Stop {
        Stop::Error(self.locate(message))
    }

    /// The message with its place, as Go words it.
    fn locate(&self, message: impl std::fmt::Display) -> String {
        let (line, column) = self.tree.place(self.at);
        let (file, name, at) = (&self.tree.file, quote(&self.tree.name), self.at);
        format!("template: {file}:{line}:{column}: executing {name} at <{at}>: {message}")
    }

    fn variable(&self, name: &str) -> Result<&Eval, Stop> {
        match self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| *known == name)
        {
            Some((_, value)) => Ok(value),
            None => Err(self.error(format_args!("undefined variable: {name}"))),
        }
    }

    fn assign(&mut self, name: &str, value: Eval) -> Result<(), Stop> {
        let mut variables = self.variables.iter_mut().rev();
        match variables.find(|(known, _)| *known == name) {
            Some((_, variable)) => {
                *variable = value;
                Ok(())
            }
            None => Err(self.error(format_args!("undefined variable: {name}"))),
        }
    }

    /// A function's or method's failure, as its caller reports it.
    fn failed(&mut self, engine: &mut Engine, name: &str, at: At<'t>, failure: Failure) -> Stop {
        self.at = at;
        match failure {
            Failure::Error(message) | Failure::Panic(message) | Failure::Nested(message) => {
                self.error(format_args!("error calling {name}: {message}"))
            }
            Failure::Limit(message) => self.exceeded(engine, &message),
        }
    }

    /// A limit is reached. The innermost place is the one to report.
    fn exceeded(&self, engine: &mut Engine, message: &str) -> Stop {
        if engine.budget.is_reported() {
            return Stop::Limit(message.to_owned());
        }
        engine.budget.report();
        Stop::Limit(self.locate(message))
    }
}

/// Arguments of a call: the operands behind the first, and the value of the pipeline before it.
#[derive(Clone)]
struct Args<'t> {
    /// The whole command, its first operand included; or nothing.
    operands: &'t [Operand],
    last: Option<Value>,
}

impl<'t> Args<'t> {
    const NONE: Self = Self {
        operands: &[],
        last: None,
    };

    fn is_empty(&self) -> bool {
        self.operands.len() <= 1 && self.last.is_none()
    }

    /// The operands that are arguments.
    fn operands(&self) -> &'t [Operand] {
        self.operands.get(1..).unwrap_or_default()
    }
}

impl Engine {
    /// Executes a template on a value and appends what it prints to the output.
    ///
    /// # Errors
    /// Go's message, or the limit that was reached.
    pub(super) fn run(&mut self, tree: &Tree, dot: &Eval) -> Result<(), Stop> {
        let mut frame = Frame {
            tree,
            at: At::Block(&tree.root),
            variables: vec![("$", dot.clone())],
        };
        self.walk_block(&mut frame, dot, &tree.root).map(|_| ())
    }

    /// The template of that name that is visible now.
    pub(super) fn find(&self, name: &str) -> Option<Rc<Tree>> {
        self.scopes
            .iter()
            .rev()
            .find_map(|scope| scope.get(name))
            .cloned()
    }

    /// What is to be said of a template that does not exist.
    pub(super) fn no_template(name: &Str) -> String {
        format!("template {} not defined", quote(name))
    }
}
