//! Walks the nodes of a template: texts, actions, control structures, calls.

use super::{Engine, Eval, Failure, Flow, Frame, Stop};
use crate::render::format::sprint;
use crate::render::func::Context;
use crate::render::template::builtins::FORMAT_LIMITS;
use crate::render::template::node::{At, Block, Branch, Call, Node};
use crate::render::value::{IntType, Value};

impl Engine {
    pub(super) fn walk_block<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        block: &'t Block,
    ) -> Result<Flow, Stop> {
        frame.at = At::Block(block);
        self.descend(frame)?;
        let mut flow = Flow::Next;
        for node in &block.nodes {
            flow = self.walk(frame, dot, node)?;
            if flow != Flow::Next {
                break;
            }
        }
        self.budget.ascend();
        Ok(flow)
    }

    /// Goes one level down, which costs stack.
    pub(super) fn descend(&mut self, frame: &Frame<'_>) -> Result<(), Stop> {
        let descended = self.budget.descend();
        descended.map_err(|failure| self.limit(frame, failure))
    }

    fn walk<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        node: &'t Node,
    ) -> Result<Flow, Stop> {
        frame.at = At::Node(node);
        self.step(1).map_err(|failure| self.limit(frame, failure))?;
        match node {
            Node::Text(text) => self.write(frame, text.as_str())?,
            Node::Action(pipe, _) => {
                let value = self.pipeline(frame, dot, pipe)?;
                if pipe.variables.is_empty() {
                    frame.at = At::Node(node);
                    self.print(frame, &value)?;
                }
            }
            Node::If(branch) => return self.walk_if(frame, dot, branch, false),
            Node::With(branch) => return self.walk_if(frame, dot, branch, true),
            Node::Range(branch) => return self.walk_range(frame, dot, branch),
            Node::Template(call) => self.walk_call(frame, dot, call)?,
            Node::Break(_) => return Ok(Flow::Break),
            Node::Continue(_) => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    pub(super) fn limit(&mut self, frame: &Frame<'_>, failure: Failure) -> Stop {
        match failure {
            Failure::Limit(message) => frame.exceeded(self, &message),
            Failure::Error(message) | Failure::Panic(message) | Failure::Nested(message) => {
                frame.error(message)
            }
        }
    }

    fn write(&mut self, frame: &Frame<'_>, text: &str) -> Result<(), Stop> {
        let paid = self.spend(text.len());
        paid.map_err(|failure| self.limit(frame, failure))?;
        self.output.push_str(text);
        Ok(())
    }

    fn print(&mut self, frame: &Frame<'_>, value: &Value) -> Result<(), Stop> {
        match value {
            Value::String(text) => self.write(frame, text),
            Value::Nil => self.write(frame, "<no value>"),
            Value::Bool(truth) => self.write(frame, if *truth { "true" } else { "false" }),
            other => {
                let text = self.shown(frame, other)?;
                self.write(frame, &text)
            }
        }
    }

    fn walk_if<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        branch: &'t Branch,
        changes_dot: bool,
    ) -> Result<Flow, Stop> {
        let scope = frame.variables.len();
        let value = self.pipeline(frame, dot, &branch.pipe)?;
        let flow = if value.truth() {
            if changes_dot {
                self.walk_block(frame, &Eval::plain(value), &branch.then)?
            } else {
                self.walk_block(frame, dot, &branch.then)?
            }
        } else {
            match &branch.otherwise {
                Some(otherwise) => self.walk_block(frame, dot, otherwise)?,
                None => Flow::Next,
            }
        };
        frame.variables.truncate(scope);
        Ok(flow)
    }

    fn walk_range<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        branch: &'t Branch,
    ) -> Result<Flow, Stop> {
        let scope = frame.variables.len();
        let value = self.pipeline(frame, dot, &branch.pipe)?;
        let mut flow = Flow::Next;
        if let (false, Some(otherwise)) = (self.iterate(frame, branch, &value)?, &branch.otherwise)
        {
            // To Go, a break in here ends this range, and a continue goes on with the one around it.
            flow = match self.walk_block(frame, dot, otherwise)? {
                Flow::Continue => Flow::Continue,
                Flow::Break | Flow::Next => Flow::Next,
            };
        }
        frame.variables.truncate(scope);
        Ok(flow)
    }

    /// Runs the body for each element. Whether there were any.
    fn iterate<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        branch: &'t Branch,
        value: &Value,
    ) -> Result<bool, Stop> {
        let mut ran = false;
        let mut each = |engine: &mut Self, frame: &mut Frame<'t>, index, element| {
            ran = true;
            engine.iteration(frame, branch, index, &element)
        };
        match value {
            Value::Nil => {}
            Value::Int(end, kind) => {
                if branch.pipe.variables.len() > 1 {
                    let number = self.shown(frame, value)?;
                    return Err(frame.error(format_args!(
                        "can't use {number} to iterate over more than one variable"
                    )));
                }
                for number in 0..number_of_steps(*end, *kind) {
                    let number = i64::try_from(number).unwrap_or(i64::MAX);
                    let element = Eval::plain(Value::Int(number, *kind));
                    if each(self, frame, Eval::NIL, element)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::List(list) => {
                for (index, item) in (0..).zip(&list.items) {
                    let element = Eval::element(item.clone(), list.elements);
                    if each(self, frame, Eval::plain(Value::int(index)), element)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Bytes(bytes) => {
                for (index, byte) in (0..).zip(bytes.iter()) {
                    let byte = Value::Int(i64::from(*byte), IntType::Uint8);
                    let index = Eval::plain(Value::int(index));
                    if each(self, frame, index, Eval::plain(byte))? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                let entries = map.snapshot();
                let paid = self.step(entries.len().saturating_mul(4));
                paid.map_err(|failure| self.limit(frame, failure))?;
                for (key, value) in entries {
                    let element = Eval::element(value, map.0.elements);
                    if each(self, frame, Eval::plain(Value::String(key)), element)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Object(object) if matches!(object.kind(), "map" | "slice") => {
                let keyed = object.kind() == "map";
                let fields = object.fields().unwrap_or_default();
                let paid = self.step(fields.len().saturating_mul(4));
                paid.map_err(|failure| self.limit(frame, failure))?;
                for (index, (key, value)) in (0..).zip(fields) {
                    let index = if keyed {
                        Value::String(key)
                    } else {
                        Value::int(index)
                    };
                    let index = Eval::plain(index);
                    if each(self, frame, index, Eval::plain(value))? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Bool(_) | Value::Float(_) | Value::String(_) | Value::Object(_) => {
                let shown = self.shown(frame, value)?;
                return Err(frame.error(format_args!("range can't iterate over {shown}")));
            }
        }
        Ok(ran)
    }

    /// A value as text; of a pointer, what it points to.
    fn shown(&mut self, frame: &Frame<'_>, value: &Value) -> Result<String, Stop> {
        let text = sprint(std::slice::from_ref(value), &FORMAT_LIMITS);
        let text = text.map_err(|failure| self.limit(frame, failure))?;
        Ok(match text.strip_prefix('&') {
            Some(pointed_to) if value.kind() == "ptr" => pointed_to.to_owned(),
            _ => text,
        })
    }

    fn iteration<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        branch: &'t Branch,
        index: Eval,
        element: &Eval,
    ) -> Result<Flow, Stop> {
        frame.at = At::Pipe(&branch.pipe);
        self.step(1).map_err(|failure| self.limit(frame, failure))?;
        let scope = frame.variables.len();
        match (branch.pipe.variables.as_slice(), branch.pipe.assigns) {
            ([], _) => {}
            ([one], true) => frame.assign(one, element.clone())?,
            ([one, two, ..], true) => {
                frame.assign(one, index)?;
                frame.assign(two, element.clone())?;
            }
            // The variables that the pipeline has declared.
            ([_], false) => frame.variables[scope - 1].1 = element.clone(),
            ([_, _, ..], false) => {
                frame.variables[scope - 1].1 = element.clone();
                frame.variables[scope - 2].1 = index;
            }
        }
        let flow = self.walk_block(frame, element, &branch.then)?;
        frame.variables.truncate(scope);
        Ok(flow)
    }

    fn walk_call<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Eval,
        call: &'t Call,
    ) -> Result<(), Stop> {
        let Some(tree) = self.find(&call.name) else {
            return Err(frame.error(Self::no_template(&call.name)));
        };
        let dot = match &call.pipe {
            Some(pipe) => self.pipeline(frame, dot, pipe)?,
            None => Value::Nil,
        };
        let entered = self.budget.enter_template();
        entered.map_err(|failure| self.limit(frame, failure))?;
        let result = self.run(&tree, &Eval::plain(dot));
        self.budget.leave();
        result
    }
}

/// How often a range over an integer runs.
#[expect(clippy::cast_sign_loss, reason = "the number is kept without a sign")]
fn number_of_steps(end: i64, kind: IntType) -> u64 {
    if kind.is_unsigned() {
        end as u64
    } else {
        u64::try_from(end).unwrap_or(0)
    }
}
