//! Calls functions and methods: evaluates their arguments and checks the types.

use std::rc::Rc;

use super::{Args, Engine, Eval, Frame, Stop};
use crate::render::func::{Context, Method, Param};
use crate::render::template::budget::CALL_STEPS;
use crate::render::template::builtins::Builtin;
use crate::render::template::methods;
use crate::render::template::node::{At, Callee, Operand, Term};
use crate::render::time;
use crate::render::value::{ElementType, IntType, List, Map, Str, Value};

impl Engine {
    /// Calls a function. `at` is what an error of the function itself names.
    pub(super) fn call<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        callee: Callee,
        at: At<'t>,
        args: Args<'t>,
    ) -> Result<Eval, Stop> {
        match callee {
            Callee::Builtin(builtin) => self.call_builtin(frame, dot, builtin, at, args),
            Callee::Func(func) => {
                let signature = (func.params, func.variadic);
                let values = self.arguments(frame, dot, func.name, signature, args)?;
                match (func.call)(self, &values) {
                    Ok(value) => Ok(Eval::given(value)),
                    Err(failure) => Err(frame.failed(self, func.name, at, failure)),
                }
            }
        }
    }

    pub(super) fn call_method<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        receiver: &Eval,
        (name, method): (&'t Str, Method),
        operand: &'t Operand,
        args: Args<'t>,
    ) -> Result<Eval, Stop> {
        if let Some(reason) = method.refused {
            check_count(frame, name, method.params.len(), false, &args)?;
            return Err(frame.error(reason));
        }
        let signature = (method.params, method.variadic);
        let values = self.arguments(frame, dot, name, signature, args)?;
        let result = match &receiver.value {
            Value::Int(number, int_type) => Ok(time::call(*number, *int_type, name, &values)),
            Value::Object(object) => object.call(self, name, &values),
            Value::Map(map) => methods::call_of_map(self, map, name, &values),
            _ => Ok(Value::Nil),
        };
        match result {
            Ok(value) => Ok(Eval::given(value)),
            Err(failure) => Err(frame.failed(self, name, At::Operand(operand), failure)),
        }
    }

    fn call_builtin<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        builtin: Builtin,
        at: At<'t>,
        args: Args<'t>,
    ) -> Result<Eval, Stop> {
        let name = builtin.name();
        let (fixed, variadic) = builtin.arity();
        check_count(frame, name, fixed, variadic, &args)?;
        let paid = self.step(CALL_STEPS);
        paid.map_err(|failure| self.limit(frame, failure))?;
        let operands = args.operands();
        if let Builtin::And | Builtin::Or = builtin {
            let ends_with = builtin == Builtin::Or;
            let mut value = Eval::NIL;
            for operand in operands {
                value = self.argument(frame, dot, operand)?;
                if value.value.truth() == ends_with {
                    return Ok(value);
                }
            }
            return Ok(args.last.map_or(value, Eval::plain));
        }
        let mut values = Vec::with_capacity(operands.len() + 1);
        for (index, operand) in operands.iter().enumerate() {
            values.push(if builtin == Builtin::Printf && index == 0 {
                Eval::plain(self.typed_argument(frame, dot, Param::String, operand)?)
            } else {
                self.argument(frame, dot, operand)?
            });
        }
        if let Some(last) = args.last {
            if builtin == Builtin::Printf && operands.is_empty() {
                let format = validate(frame, Eval::plain(last), Param::String)?;
                values.push(Eval::plain(format));
            } else {
                values.push(Eval::plain(last));
            }
        }
        let written = match (builtin, operands.first(), values.first()) {
            (Builtin::Call, Some(operand), _) => operand.to_string(),
            (Builtin::Call, None, Some(called)) => match &called.value {
                Value::String(text) => text.to_string(),
                other => format!("<{} Value>", other.type_name()),
            },
            _ => String::new(),
        };
        match builtin.call(self, &values, &written) {
            Ok(value) => Ok(value),
            Err(failure) => Err(frame.failed(self, name, at, failure)),
        }
    }

    /// The arguments of a function with these parameters.
    fn arguments<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        name: &str,
        (params, variadic): (&[Param], Option<Param>),
        args: Args<'t>,
    ) -> Result<Vec<Value>, Stop> {
        check_count(frame, name, params.len(), variadic.is_some(), &args)?;
        let paid = self.step(CALL_STEPS);
        paid.map_err(|failure| self.limit(frame, failure))?;
        let operands = args.operands();
        let mut types = params.iter().copied().chain(std::iter::repeat_n(
            variadic.unwrap_or(Param::Any),
            operands.len() + 1,
        ));
        let mut values = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            let param = types.next().unwrap_or(Param::Any);
            values.push(self.typed_argument(frame, dot, param, operand)?);
        }
        if let Some(last) = args.last {
            let param = types.next().unwrap_or(Param::Any);
            values.push(validate(frame, Eval::plain(last), param)?);
        }
        Ok(values)
    }

    /// The value of an argument that may be of any type; `None` where it is a literal other than nil.
    fn evaluated<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        operand: &'t Operand,
    ) -> Result<Option<Eval>, Stop> {
        frame.at = At::Operand(operand);
        Ok(Some(match &operand.term {
            Term::Dot => dot.clone(),
            Term::Field(fields) => {
                self.fields(frame, dot, dot.clone(), operand, fields, Args::NONE)?
            }
            Term::Variable(name, fields) => {
                self.variable(frame, dot, operand, (name, fields), Args::NONE)?
            }
            Term::Pipe(pipe) => Eval::plain(self.pipeline(frame, dot, pipe)?),
            Term::Function(callee) => {
                self.call(frame, dot, *callee, At::Operand(operand), Args::NONE)?
            }
            Term::Chain(start, fields) => {
                self.chain(frame, dot, operand, (start, fields), Args::NONE)?
            }
            Term::Nil | Term::Bool(_) | Term::Number(_) | Term::String(..) => return Ok(None),
        }))
    }

    /// An argument of a function that takes everything as it is.
    fn argument<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        operand: &'t Operand,
    ) -> Result<Eval, Stop> {
        if let Some(value) = self.evaluated(frame, dot, operand)? {
            return Ok(value);
        }
        Ok(Eval::plain(untyped(frame, operand)?))
    }

    fn typed_argument<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        param: Param,
        operand: &'t Operand,
    ) -> Result<Value, Stop> {
        if let Some(value) = self.evaluated(frame, dot, operand)? {
            return validate(frame, value, param);
        }
        let number = match &operand.term {
            Term::Number(number) => Some(&number.0),
            _ => None,
        };
        let (value, expected) = match (param, &operand.term) {
            (_, Term::Nil) => {
                return zero(param).ok_or_else(|| {
                    let name = param.type_name();
                    frame.error(format_args!("cannot assign nil to {name}"))
                });
            }
            (Param::Any, _) => return untyped(frame, operand),
            (Param::Bool, term) => {
                let value = match term {
                    Term::Bool(truth) => Some(Value::Bool(*truth)),
                    _ => None,
                };
                (value, "bool")
            }
            (Param::String, term) => {
                let value = match term {
                    Term::String(text, _) => Some(Value::String(text.clone())),
                    _ => None,
                };
                (value, "string")
            }
            (Param::Int, _) => (number.and_then(|n| n.int).map(Value::int), "integer"),
            (Param::Int64, _) => (number.and_then(|n| n.int).map(Value::int64), "integer"),
            (Param::Named("time.Duration"), _) => {
                let int = number.and_then(|n| n.int);
                (int.map(|int| Value::Int(int, IntType::Duration)), "integer")
            }
            // A value of any other integer type does not fit.
            (Param::Named("uint32"), _) => {
                let int = number.and_then(|n| n.int).filter(|int| *int >= 0);
                let low = int.map(|int| Value::Int(int & 0xffff_ffff, IntType::Uint64));
                (low, "unsigned integer")
            }
            (Param::Float, _) => (number.and_then(|n| n.float).map(Value::Float), "float"),
            (Param::Map | Param::List | Param::Strings | Param::Time | Param::Named(_), _) => {
                let name = param.type_name();
                let message = format_args!("can't handle {operand} for arg of type {name}");
                return Err(frame.error(message));
            }
        };
        value.ok_or_else(|| frame.error(format_args!("expected {expected}; found {operand}")))
    }
}

/// The value of a literal where nothing says which type it should be.
fn untyped(frame: &Frame<'_>, operand: &Operand) -> Result<Value, Stop> {
    match &operand.term {
        Term::Bool(truth) => Ok(Value::Bool(*truth)),
        Term::Number(number) => Engine::constant(frame, &number.0, &number.1),
        Term::String(text, _) => Ok(Value::String(text.clone())),
        _ => Ok(Value::Nil),
    }
}

fn check_count(
    frame: &Frame<'_>,
    name: &str,
    fixed: usize,
    variadic: bool,
    args: &Args<'_>,
) -> Result<(), Stop> {
    let written = args.operands().len();
    let given = written + usize::from(args.last.is_some());
    // Go does not count the value of the pipeline in the first message.
    let message = match variadic {
        true if given < fixed => format!("want at least {fixed} got {written}"),
        false if given != fixed => format!("want {fixed} got {given}"),
        _ => return Ok(()),
    };
    Err(frame.error(format_args!("wrong number of args for {name}: {message}")))
}

/// What nil is as a value of that type, if it can be one.
fn zero(param: Param) -> Option<Value> {
    Some(match param {
        Param::Any => Value::Nil,
        Param::Map => Value::Map(Map::nil(ElementType::Any)),
        Param::List => Value::List(Rc::new(List::nil(ElementType::Any))),
        Param::Strings => Value::List(Rc::new(List::nil(ElementType::String))),
        Param::Named(name) if name.starts_with(['*', '[']) || name.starts_with("map[") => {
            Value::Nil
        }
        Param::String
        | Param::Bool
        | Param::Int
        | Param::Int64
        | Param::Float
        | Param::Time
        | Param::Named(_) => return None,
    })
}

/// The value as an argument of that type.
fn validate(frame: &Frame<'_>, value: Eval, param: Param) -> Result<Value, Stop> {
    let expected = param.type_name();
    let fits = match (&value.value, param) {
        (Value::Nil, _) if !value.boxed => {
            return zero(param)
                .ok_or_else(|| frame.error(format_args!("invalid value; expected {expected}")));
        }
        (_, Param::Any)
        | (Value::String(_), Param::String)
        | (Value::Bool(_), Param::Bool)
        | (Value::Int(_, IntType::Int), Param::Int)
        | (Value::Int(_, IntType::Int64), Param::Int64)
        | (Value::Float(_), Param::Float) => true,
        // A type with a name goes for the one without that it is made of.
        (Value::Map(map), Param::Map) => map.0.elements == ElementType::Any,
        (Value::List(list), Param::List) => list.elements == ElementType::Any,
        (Value::List(list), Param::Strings) => list.elements == ElementType::String,
        (Value::Object(object), Param::Time | Param::Named(_)) => {
            // What a pointer points to is an argument too.
            object.type_name().trim_start_matches('*') == expected || object.type_name() == expected
        }
        (other, Param::Named(name)) => other.type_name() == name,
        _ => false,
    };
    if fits {
        return Ok(value.value);
    }
    let got = match &value.value {
        Value::Nil => "interface {}".into(),
        other => other.type_name(),
    };
    Err(frame.error(format_args!(
        "wrong type for value; expected {expected}; got {got}"
    )))
}
