//! Evaluates pipelines, commands, fields and variables.

use std::rc::Rc;

use super::{Args, Engine, Eval, Frame, Stop};
use crate::render::func::Context;
use crate::render::template::complex::Complex;
use crate::render::template::engine::MissingKey;
use crate::render::template::literal::Number;
use crate::render::template::methods;
use crate::render::template::node::{At, Command, Operand, Pipe, Term};
use crate::render::template::quote::quote;
use crate::render::time;
use crate::render::value::{Str, Value};

impl Engine {
    /// The value of a pipeline, which its variables get.
    pub(super) fn pipeline<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        pipe: &'t Pipe,
    ) -> Result<Value, Stop> {
        frame.at = At::Pipe(pipe);
        self.descend(frame)?;
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(frame, dot, command, value)?.value);
        }
        self.budget.ascend();
        let value = value.unwrap_or_default();
        for name in &pipe.variables {
            let value = Eval::plain(value.clone());
            if pipe.assigns {
                frame.assign(name, value)?;
            } else {
                frame.variables.push((name, value));
            }
        }
        Ok(value)
    }

    fn command<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        command: &'t Command,
        last: Option<Value>,
    ) -> Result<Eval, Stop> {
        self.step(1).map_err(|failure| self.limit(frame, failure))?;
        let first = &command.operands[0];
        let args = Args {
            operands: &command.operands,
            last,
        };
        match &first.term {
            Term::Field(fields) => {
                frame.at = At::Operand(first);
                self.fields(frame, dot, dot.clone(), first, fields, args)
            }
            Term::Variable(name, fields) => self.variable(frame, dot, first, (name, fields), args),
            Term::Chain(operand, fields) => self.chain(frame, dot, first, (operand, fields), args),
            Term::Function(callee) => {
                frame.at = At::Operand(first);
                self.call(frame, dot, *callee, At::Command(command), args)
            }
            Term::Pipe(pipe) => {
                Self::not_a_function(frame, &args)?;
                self.pipeline(frame, dot, pipe).map(Eval::plain)
            }
            _ => {
                frame.at = At::Operand(first);
                Self::not_a_function(frame, &args)?;
                Self::literal(frame, dot, first)
            }
        }
    }

    fn not_a_function(frame: &Frame<'_>, args: &Args<'_>) -> Result<(), Stop> {
        match args.operands.first() {
            Some(first) if !args.is_empty() => {
                Err(frame.error(format_args!("can't give argument to non-function {first}")))
            }
            _ => Ok(()),
        }
    }

    /// The value of an operand that needs no evaluation.
    fn literal(frame: &Frame<'_>, dot: &Eval, operand: &Operand) -> Result<Eval, Stop> {
        Ok(Eval::plain(match &operand.term {
            Term::Bool(truth) => Value::Bool(*truth),
            Term::Number(number) => Self::constant(frame, &number.0, &number.1)?,
            Term::String(text, _) => Value::String(text.clone()),
            Term::Dot => return Ok(dot.clone()),
            _ => return Err(frame.error("nil is not a command")),
        }))
    }

    /// The value of a number where nothing says which type it should be.
    pub(super) fn constant(frame: &Frame<'_>, number: &Number, text: &str) -> Result<Value, Stop> {
        if let Some((real, imaginary)) = number.complex {
            return Ok(Value::Object(Rc::new(Complex { real, imaginary })));
        }
        let hex = text.len() > 2
            && (text.starts_with("0x") || text.starts_with("0X"))
            && !text.contains(['p', 'P']);
        let is_float = !hex && !text.starts_with('\'') && text.contains(['.', 'e', 'E', 'p', 'P']);
        match (number.float, number.int) {
            (Some(float), _) if is_float => Ok(Value::Float(float)),
            (_, Some(int)) => Ok(Value::int(int)),
            _ => Err(frame.error(format_args!("{text} overflows int"))),
        }
    }

    pub(super) fn variable<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        operand: &'t Operand,
        (name, fields): (&'t Str, &'t [Str]),
        args: Args<'t>,
    ) -> Result<Eval, Stop> {
        frame.at = At::Operand(operand);
        let value = frame.variable(name)?.clone();
        if fields.is_empty() {
            Self::not_a_function(frame, &args)?;
            return Ok(value);
        }
        self.fields(frame, dot, value, operand, fields, args)
    }

    /// `(pipeline).field` or `function.field`.
    pub(super) fn chain<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        operand: &'t Operand,
        (start, fields): (&'t Operand, &'t [Str]),
        args: Args<'t>,
    ) -> Result<Eval, Stop> {
        frame.at = At::Operand(start);
        let receiver = match &start.term {
            Term::Pipe(pipe) => self.pipeline(frame, dot, pipe).map(Eval::plain)?,
            Term::Function(callee) => {
                self.call(frame, dot, *callee, At::Operand(start), Args::NONE)?
            }
            _ => {
                frame.at = At::Operand(operand);
                return Err(frame.error(format_args!(
                    "indirection through explicit nil in {operand}"
                )));
            }
        };
        self.fields(frame, dot, receiver, operand, fields, args)
    }

    /// `.a.b.c`: the last may be a method, which gets the arguments.
    pub(super) fn fields<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        receiver: Eval,
        operand: &'t Operand,
        fields: &'t [Str],
        args: Args<'t>,
    ) -> Result<Eval, Stop> {
        let Some((last, before)) = fields.split_last() else {
            return Ok(receiver);
        };
        let mut receiver = receiver;
        for field in before {
            receiver = self.field(frame, dot, &receiver, operand, field, Args::NONE)?;
        }
        self.field(frame, dot, &receiver, operand, last, args)
    }

    fn field<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        receiver: &Eval,
        operand: &'t Operand,
        name: &'t Str,
        args: Args<'t>,
    ) -> Result<Eval, Stop> {
        match &receiver.value {
            Value::Nil if receiver.boxed => {
                return Err(
                    frame.error(format_args!("nil pointer evaluating interface {{}}.{name}"))
                );
            }
            Value::Nil => {
                if self.options.missing_key == MissingKey::Error {
                    let name = quote(name);
                    return Err(frame.error(format_args!("nil data; no entry for key {name}")));
                }
                return Ok(Eval::NIL);
            }
            Value::Map(map) => {
                if let Some(method) = methods::of_map(map, name) {
                    return self.call_method(frame, dot, receiver, (name, method), operand, args);
                }
                if !args.is_empty() {
                    let message = format_args!("{name} is not a method but has arguments");
                    return Err(frame.error(message));
                }
                let elements = map.0.elements;
                return match map.get(name) {
                    Some(value) => Ok(Eval::element(value, elements)),
                    None => self.missing(frame, name, || Eval::element(elements.zero(), elements)),
                };
            }
            Value::Int(_, int_type) => {
                if let Some(method) = time::method(*int_type, name) {
                    return self.call_method(frame, dot, receiver, (name, method), operand, args);
                }
            }
            Value::Object(object) => {
                if let Some(method) = object.method(name) {
                    return self.call_method(frame, dot, receiver, (name, method), operand, args);
                }
                let is_map = object.kind() == "map";
                let found = object.field(name);
                if (is_map || found.is_some()) && !args.is_empty() {
                    let what = if is_map {
                        "is not a method but has arguments"
                    } else {
                        "has arguments but cannot be invoked as function"
                    };
                    return Err(frame.error(format_args!("{name} {what}")));
                }
                match found {
                    Some(value) => return Ok(Eval::given(value)),
                    None if is_map => {
                        return self.missing(frame, name, || Eval::plain(object.missing()));
                    }
                    None => {}
                }
            }
            _ => {}
        }
        let type_name = if receiver.boxed {
            "interface {}".into()
        } else {
            receiver.value.type_name()
        };
        Err(frame.error(format_args!(
            "can't evaluate field {name} in type {type_name}"
        )))
    }

    /// What a map has under a key that it does not have.
    fn missing(
        &self,
        frame: &Frame<'_>,
        name: &str,
        zero: impl FnOnce() -> Eval,
    ) -> Result<Eval, Stop> {
        match self.options.missing_key {
            MissingKey::Invalid => Ok(Eval::NIL),
            MissingKey::Zero => Ok(zero()),
            MissingKey::Error => {
                let name = quote(name);
                Err(frame.error(format_args!("map has no entry for key {name}")))
            }
        }
    }
}
