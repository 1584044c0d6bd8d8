//! What a parsed template consists of, and how error messages show it.

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::rc::Rc;

use super::builtins::Builtin;
use super::literal::Number;
use super::quote::quote;
use crate::render::func::Func;
use crate::render::value::Str;

/// A parsed template.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) name: Str,
    /// The name of the file that defines it.
    pub(super) file: Str,
    /// The whole text of that file.
    pub(super) text: Str,
    pub(super) root: Block,
}

/// A sequence of nodes.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) position: usize,
    pub(super) nodes: Vec<Node>,
}

/// A text or an action.
#[derive(Debug)]
pub(super) enum Node {
    Text(Text),
    Action(Pipe, usize),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Call),
    Break(usize),
    Continue(usize),
}

/// Plain text: a part of the file.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) range: Range<usize>,
    pub(super) file: Str,
}

/// `if`, `with` or `range`.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) position: usize,
    pub(super) pipe: Pipe,
    pub(super) then: Block,
    pub(super) otherwise: Option<Block>,
}

/// `{{template "name" pipe}}`.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) position: usize,
    pub(super) name: Str,
    pub(super) pipe: Option<Pipe>,
}

/// Commands, each of which gets the value of the one before, and the variables that get the last.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) position: usize,
    /// Whether the variables are assigned, not declared.
    pub(super) assigns: bool,
    pub(super) variables: Vec<Str>,
    pub(super) commands: Vec<Command>,
}

/// An operand and its arguments.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) position: usize,
    /// At least one.
    pub(super) operands: Vec<Operand>,
}

/// A part of a command, and where it stands.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) position: usize,
    pub(super) term: Term,
}

/// What an operand is.
#[derive(Debug)]
pub(super) enum Term {
    Bool(bool),
    Dot,
    Nil,
    Number(Box<(Number, Str)>),
    /// The value, and how it is written.
    String(Str, Str),
    Function(Callee),
    /// `.a.b`
    Field(Vec<Str>),
    /// `$x.a.b`
    Variable(Str, Vec<Str>),
    /// `(pipe).a.b` or `function.a.b`
    Chain(Box<Operand>, Vec<Str>),
    Pipe(Box<Pipe>),
}

/// A function by its name.
#[derive(Clone, Copy)]
pub(super) enum Callee {
    Builtin(Builtin),
    Func(&'static Func),
}

impl Callee {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Builtin(builtin) => builtin.name(),
            Self::Func(func) => func.name,
        }
    }
}

impl fmt::Debug for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Text {
    pub(super) fn as_str(&self) -> &str {
        &self.file[self.range.clone()]
    }
}

impl Block {
    /// Whether there is nothing but space: such a definition does not replace another.
    pub(super) fn is_blank(&self) -> bool {
        self.nodes.iter().all(|node| match node {
            Node::Text(text) => text.as_str().trim().is_empty(),
            _ => false,
        })
    }
}

impl Node {
    pub(super) fn position(&self) -> usize {
        match self {
            Self::Text(text) => text.range.start,
            Self::Action(_, position) | Self::Break(position) | Self::Continue(position) => {
                *position
            }
            Self::If(branch) | Self::With(branch) | Self::Range(branch) => branch.position,
            Self::Template(call) => call.position,
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nodes.iter().try_for_each(|node| write!(f, "{node}"))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, branch) = match self {
            Self::Text(text) => return f.write_str(text.as_str()),
            Self::Action(pipe, _) => return write!(f, "{{{{{pipe}}}}}"),
            Self::Break(_) => return f.write_str("{{break}}"),
            Self::Continue(_) => return f.write_str("{{continue}}"),
            Self::Template(call) => {
                write!(f, "{{{{template {}", quote(&call.name))?;
                if let Some(pipe) = &call.pipe {
                    write!(f, " {pipe}")?;
                }
                return f.write_str("}}");
            }
            Self::If(branch) => ("if", branch),
            Self::With(branch) => ("with", branch),
            Self::Range(branch) => ("range", branch),
        };
        write!(f, "{{{{{word} {}}}}}{}", branch.pipe, branch.then)?;
        if let Some(otherwise) = &branch.otherwise {
            write!(f, "{{{{else}}}}{otherwise}")?;
        }
        f.write_str("{{end}}")
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, variable) in self.variables.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{variable}")?;
        }
        if !self.variables.is_empty() {
            f.write_str(if self.assigns { " = " } else { " := " })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            let bar = if index > 0 { " | " } else { "" };
            write!(f, "{bar}{command}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, operand) in self.operands.iter().enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            match &operand.term {
                Term::Pipe(pipe) => write!(f, "({pipe})")?,
                _ => write!(f, "{operand}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, fields) = match &self.term {
            Term::Bool(truth) => return write!(f, "{truth}"),
            Term::Dot => return f.write_char('.'),
            Term::Nil => return f.write_str("nil"),
            Term::Number(number) => return f.write_str(&number.1),
            Term::String(_, quoted) => return f.write_str(quoted),
            Term::Function(callee) => return f.write_str(callee.name()),
            Term::Pipe(pipe) => return write!(f, "{pipe}"),
            Term::Field(fields) => (String::new(), fields),
            Term::Variable(name, fields) => (name.to_string(), fields),
            Term::Chain(operand, fields) => match &operand.term {
                Term::Pipe(pipe) => (format!("({pipe})"), fields),
                _ => (operand.to_string(), fields),
            },
        };
        f.write_str(&first)?;
        fields.iter().try_for_each(|field| write!(f, ".{field}"))
    }
}

/// A node that the executor has come to, for errors.
#[derive(Clone, Copy)]
pub(super) enum At<'t> {
    Block(&'t Block),
    Node(&'t Node),
    Pipe(&'t Pipe),
    Command(&'t Command),
    Operand(&'t Operand),
}

impl At<'_> {
    fn position(&self) -> usize {
        match self {
            Self::Block(block) => block.position,
            Self::Node(node) => node.position(),
            Self::Pipe(pipe) => pipe.position,
            Self::Command(command) => command.position,
            Self::Operand(operand) => operand.position,
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(block) => write!(f, "{block}"),
            Self::Node(node) => write!(f, "{node}"),
            Self::Pipe(pipe) => write!(f, "{pipe}"),
            Self::Command(command) => write!(f, "{command}"),
            Self::Operand(operand) => write!(f, "{operand}"),
        }
    }
}

impl Tree {
    /// Line and column of a node: the line counts from one, the column, in bytes, from zero.
    pub(super) fn place(&self, at: At<'_>) -> (usize, usize) {
        let before = &self.text[..at.position()];
        let line = 1 + before.matches('\n').count();
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        (line, before.len() - start)
    }
}

/// Trees that a text defines, by name.
pub(super) type Trees = Vec<Rc<Tree>>;
