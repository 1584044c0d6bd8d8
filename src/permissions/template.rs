//! `modulestack.yaml` as CloudFormation resolves it: as much of a template as the module's has.

use std::borrow::Cow;
use std::collections::BTreeMap;

use granit_parser::{Event, Parser, StrInput};
use serde_json::{Map, Value, json};

/// Values of the template's parameters, and of CloudFormation's own, such as `AWS::Region`.
pub(super) type Names = BTreeMap<String, String>;

/// A template with values for its parameters.
pub(super) struct Template {
    document: Value,
    names: Names,
}

/// What is wrong with a template; a user cannot cause it.
#[derive(Debug, thiserror::Error)]
#[error("modulestack.yaml: {0} (please report this)")]
pub struct Unresolved(String);

fn unresolved<T>(what: impl Into<String>) -> Result<T, Unresolved> {
    Err(Unresolved(what.into()))
}

impl Template {
    /// Reads a template; what `names` does not give has its default.
    pub(super) fn new(text: &str, names: Names) -> Result<Self, Unresolved> {
        let document = read(text)?;
        let mut all = names;
        let parameters = document["Parameters"].as_object();
        for (name, parameter) in parameters.into_iter().flatten() {
            if let (false, Some(default)) = (all.contains_key(name), parameter["Default"].as_str())
            {
                all.insert(name.clone(), default.to_owned());
            }
        }
        Ok(Self {
            document,
            names: all,
        })
    }

    /// The statements of all policies, without functions.
    pub(super) fn statements(&self) -> Result<Vec<Value>, Unresolved> {
        let mut found = Vec::new();
        let resources = self.document["Resources"].as_object();
        for resource in resources
            .into_iter()
            .flatten()
            .map(|(_, resource)| resource)
        {
            if let Some(condition) = resource["Condition"].as_str()
                && !self.condition(condition)?
            {
                continue;
            }
            let policy = self.resolve(&resource["Properties"]["PolicyDocument"])?;
            let Some(Value::Array(statements)) =
                policy.map(|mut policy| policy["Statement"].take())
            else {
                return unresolved("a policy has no statements");
            };
            found.extend(statements);
        }
        Ok(found)
    }

    fn condition(&self, name: &str) -> Result<bool, Unresolved> {
        match self.resolve(&self.document["Conditions"][name])? {
            Some(Value::Bool(holds)) => Ok(holds),
            other => unresolved(format!("the condition {name} is {other:?}")),
        }
    }

    /// A node without its functions; `None` for `AWS::NoValue`.
    fn resolve(&self, node: &Value) -> Result<Option<Value>, Unresolved> {
        match node {
            Value::Array(items) => {
                let items = items
                    .iter()
                    .filter_map(|item| self.resolve(item).transpose());
                Ok(Some(Value::Array(items.collect::<Result<_, _>>()?)))
            }
            Value::Object(fields) => {
                if let Some((function, argument)) = function(fields) {
                    return self.call(function, argument);
                }
                let mut resolved = Map::new();
                for (key, value) in fields {
                    if let Some(value) = self.resolve(value)? {
                        resolved.insert(key.clone(), value);
                    }
                }
                Ok(Some(Value::Object(resolved)))
            }
            other => Ok(Some(other.clone())),
        }
    }

    fn call(&self, function: &str, argument: &Value) -> Result<Option<Value>, Unresolved> {
        // Only the chosen side of an `If` is resolved.
        if let ("Fn::If", [Value::String(name), yes, no]) = (function, items(argument)) {
            return self.resolve(if self.condition(name)? { yes } else { no });
        }
        if function == "Ref" {
            return match argument.as_str() {
                Some("AWS::NoValue") => Ok(None),
                name => Ok(Some(self.name(name.unwrap_or_default())?.into())),
            };
        }
        if function == "Fn::Sub" {
            return self.substitute(argument).map(|text| Some(text.into()));
        }
        let argument = self.resolve(argument)?.unwrap_or_default();
        Ok(Some(match (function, items(&argument)) {
            ("Condition", _) => self
                .condition(argument.as_str().unwrap_or_default())?
                .into(),
            ("Fn::Equals", [one, other]) => (one == other).into(),
            ("Fn::Not", [Value::Bool(holds)]) => (!holds).into(),
            ("Fn::And", all) => all.iter().all(|one| one == &Value::Bool(true)).into(),
            ("Fn::Or", all) => all.contains(&Value::Bool(true)).into(),
            ("Fn::Join", [Value::String(between), Value::Array(parts)]) => {
                let parts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
                parts.join(between).into()
            }
            ("Fn::Split", [Value::String(at), Value::String(text)]) => {
                text.split(at.as_str()).collect::<Vec<_>>().into()
            }
            ("Fn::Select", [at, Value::Array(parts)]) => {
                let at = at.as_str().and_then(|at| at.parse::<usize>().ok());
                let part = at.and_then(|at| parts.get(at)).cloned();
                part.ok_or_else(|| Unresolved("Fn::Select selects nothing".to_owned()))?
            }
            (other, _) => return unresolved(format!("{other} {argument} is not known")),
        }))
    }

    fn name(&self, name: &str) -> Result<&str, Unresolved> {
        let value = self.names.get(name).map(String::as_str);
        value.ok_or_else(|| Unresolved(format!("{name} has no value")))
    }

    /// The text of an `Fn::Sub`, whose argument is a text, or a text and names of its own.
    fn substitute(&self, argument: &Value) -> Result<String, Unresolved> {
        let (text, own) = match items(argument) {
            [Value::String(text), own] => (text.as_str(), self.resolve(own)?.unwrap_or_default()),
            _ => (argument.as_str().unwrap_or_default(), Value::Null),
        };
        let mut parts = text.split("${");
        let mut done = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let Some((name, rest)) = part.split_once('}') else {
                return unresolved(format!("`{text}` has a `${{` without an end"));
            };
            let value = match (name.strip_prefix('!'), own[name].as_str()) {
                (Some(literal), _) => Cow::Owned(format!("${{{literal}}}")),
                (None, Some(own)) => Cow::Borrowed(own),
                (None, None) => Cow::Borrowed(self.name(name)?),
            };
            done.push_str(&value);
            done.push_str(rest);
        }
        Ok(done)
    }
}

/// The function that a mapping is.
fn function(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = fields.iter().next().filter(|_| fields.len() == 1)?;
    let is_condition = name == "Condition" && argument.is_string();
    let is_function = name == "Ref" || name.starts_with("Fn::") || is_condition;
    is_function.then_some((name.as_str(), argument))
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A template's text, with the long form of each function and scalars as text.
fn read(text: &str) -> Result<Value, Unresolved> {
    let mut events = Events(Parser::new_from_str(text));
    loop {
        match events.next()? {
            Event::StreamStart | Event::DocumentStart(..) => {}
            first => return events.value(first),
        }
    }
}

struct Events<'a>(Parser<'a, StrInput<'a>>);

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<Event<'a>, Unresolved> {
        match self.0.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => unresolved(error.to_string()),
            None => unresolved("it ends early"),
        }
    }

    /// The value that starts with an event.
    fn value(&mut self, event: Event<'a>) -> Result<Value, Unresolved> {
        let (value, tag) = match event {
            Event::Scalar(text, _, _, tag) => (Value::from(text.into_owned()), tag),
            Event::SequenceStart(.., tag) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break (Value::Array(items), tag),
                        item => items.push(self.value(item)?),
                    }
                }
            }
            Event::MappingStart(.., tag) => {
                let mut fields = Map::new();
                loop {
                    let key = match self.next()? {
                        Event::MappingEnd => break (Value::Object(fields), tag),
                        Event::Scalar(key, ..) => key.into_owned(),
                        other => return unresolved(format!("{other:?} is not a key")),
                    };
                    let next = self.next()?;
                    fields.insert(key, self.value(next)?);
                }
            }
            other => return unresolved(format!("{other:?} is not a value")),
        };
        let short = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
        Ok(
            match short.as_deref().and_then(|short| short.strip_prefix('!')) {
                Some(name @ ("Ref" | "Condition")) => json!({name: value}),
                Some(name) => json!({format!("Fn::{name}"): value}),
                None => value,
            },
        )
    }
}
