//! `.Files`: what of a chart is neither a template nor a value.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::format;
use super::super::func::{Context, Failure, Method, Param};
use super::super::glob::Glob;
use super::super::text;
use super::super::value::{ElementType, Encoded, Map, Object, Str, Value};
use crate::archive::File;

/// The type that Helm calls `engine.files`, a map from paths to bytes.
#[derive(Debug)]
pub(in super::super) struct Files(BTreeMap<Str, Arc<[u8]>>);

impl Files {
    /// The files by their path below the chart's folder.
    pub(in super::super) fn new<'a>(files: impl IntoIterator<Item = &'a File>) -> Self {
        let files = files.into_iter();
        let entries = files.map(|file| (file.name.as_str().into(), Arc::clone(&file.data)));
        Self(entries.collect())
    }

    fn bytes(&self, path: &str) -> Arc<[u8]> {
        self.0.get(path).cloned().unwrap_or_default()
    }

    /// The text of a file, paid for.
    fn get(&self, ctx: &mut dyn Context, path: &str) -> Result<Str, Failure> {
        let bytes = self.bytes(path);
        ctx.step(bytes.len() / 64)?;
        ctx.spend(bytes.len())?;
        Ok(text::from_bytes(&bytes))
    }

    fn glob(&self, ctx: &mut dyn Context, pattern: &str) -> Result<Self, Failure> {
        // Compiling costs more than matching: a microsecond for each character, about ten steps.
        ctx.step(pattern.len().saturating_mul(20).saturating_add(100))?;
        ctx.step(self.0.len().saturating_mul(1 + pattern.len() / 4))?;
        let glob = Glob::new(pattern);
        let matching = self.0.iter().filter(|(path, _)| glob.matches(path));
        let matching: BTreeMap<_, _> = matching
            .map(|(path, data)| (path.clone(), data.clone()))
            .collect();
        ctx.spend(512 + matching.len().saturating_mul(64))?;
        Ok(Self(matching))
    }

    /// The files under their base names, as a YAML map of texts.
    fn as_map(&self, ctx: &mut dyn Context, text: impl Fn(&[u8]) -> Str) -> Result<Value, Failure> {
        // The text, and the text as YAML.
        let bytes = self.0.values().map(|data| data.len()).sum::<usize>();
        ctx.step(bytes / 16)?;
        ctx.spend(bytes.saturating_mul(3))?;
        let map = Map::typed(None, ElementType::String);
        for (path, data) in &self.0 {
            let name = path.rsplit('/').next().unwrap_or(path);
            map.insert(name, Value::String(text(data)));
        }
        let limits = format::Limits {
            bytes: ctx.left().min(format::Limits::default().bytes),
            ..format::Limits::default()
        };
        Ok(Value::from(format::to_yaml(&Value::Map(map), &limits)?))
    }

    fn lines(&self, ctx: &mut dyn Context, path: &str) -> Result<Value, Failure> {
        let content = self.get(ctx, path)?;
        if content.is_empty() {
            return Ok(Value::strings::<Str>([]));
        }
        let content = content.strip_suffix('\n').unwrap_or(&content);
        let lines = content.bytes().filter(|byte| *byte == b'\n').count() + 1;
        ctx.step(lines)?;
        ctx.spend(lines.saturating_mul(64))?;
        Ok(Value::strings(content.split('\n')))
    }
}

impl Object for Files {
    fn type_name(&self) -> &'static str {
        "engine.files"
    }

    fn kind(&self) -> &'static str {
        "map"
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned().map(Value::Bytes)
    }

    fn method(&self, name: &str) -> Option<Method> {
        let params: &'static [Param] = match name {
            "Get" | "GetBytes" | "Glob" | "Lines" => &[Param::String],
            "AsConfig" | "AsSecrets" => &[],
            _ => return None,
        };
        Some(Method::new(params))
    }

    fn call(&self, ctx: &mut dyn Context, method: &str, args: &[Value]) -> Result<Value, Failure> {
        let argument: &str = match args {
            [Value::String(text), ..] => text,
            _ => "",
        };
        Ok(match method {
            "Get" => Value::String(self.get(ctx, argument)?),
            "GetBytes" => Value::Bytes(self.bytes(argument)),
            "Glob" => Value::Object(Rc::new(self.glob(ctx, argument)?)),
            "Lines" => self.lines(ctx, argument)?,
            "AsConfig" => return self.as_map(ctx, text::from_bytes),
            "AsSecrets" => return self.as_map(ctx, |data| STANDARD.encode(data).into()),
            other => return Err(Failure::Error(format!("no method {other}"))),
        })
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        let entries = self.0.iter();
        Some(
            entries
                .map(|(path, data)| (path.clone(), Value::Bytes(data.clone())))
                .collect(),
        )
    }

    fn go_string(&self) -> Option<String> {
        None
    }

    fn encoded(&self) -> Encoded {
        Encoded::Value(Value::Map(
            self.fields().unwrap_or_default().into_iter().collect(),
        ))
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
