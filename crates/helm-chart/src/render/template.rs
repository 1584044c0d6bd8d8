//! Go's text/template, as of Go 1.26, with the rules that Helm adds: `include`, `tpl`, `<no value>`.
//!
//! A text becomes tokens ([`lexer`]), a tree of nodes ([`parser`], [`node`]), and by execution
//! ([`exec`]) what it prints. Errors have Go's words and places. Everything is bounded by [`Limits`].

use crate::strconv::unicode;

mod budget;
mod builtins;
mod compare;
mod complex;
mod engine;
mod error;
mod escape;
mod exec;
mod lexer;
mod literal;
mod methods;
mod node;
mod parser;
mod quote;
mod stack;
mod token;

pub use budget::Limits;
pub use engine::{Engine, MissingKey, Options, Parsed};
pub use error::{Error, MESSAGE_END, MESSAGE_START};
pub use methods::VALUES;
pub use stack::on_own_stack;
