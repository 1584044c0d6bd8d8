//! `.Files`: what of a chart is neither a template nor a value.

use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::format;
use super::super::func::{Failure, Method, Param};
use super::super::glob::Glob;
use super::super::text;
use super::super::value::{ElementType, Encoded, Map, Object, Str, Value};

/// The type that Helm calls `engine.files`, a map from paths to bytes.
#[derive(Debug)]
pub(in super::super) struct Files(BTreeMap<Str, Rc<[u8]>>);

impl Files {
    /// The files by their path below the chart's folder.
    pub(in super::super) fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let files = files.into_iter();
        Self(
            files
                .map(|(path, data)| (path.into(), data.into()))
                .collect(),
        )
    }

    fn bytes(&self, path: &str) -> Rc<[u8]> {
        self.0.get(path).cloned().unwrap_or_default()
    }

    fn glob(&self, pattern: &str) -> Self {
        let glob = Glob::new(pattern);
        let matching = self.0.iter().filter(|(path, _)| glob.matches(path));
        Self(
            matching
                .map(|(path, data)| (path.clone(), data.clone()))
                .collect(),
        )
    }

    /// The files under their base names, as a YAML map of texts.
    fn as_map(&self, text: impl Fn(&[u8]) -> Str) -> Result<Value, Failure> {
        let map = Map::typed(None, ElementType::String);
        for (path, data) in &self.0 {
            let name = path.rsplit('/').next().unwrap_or(path);
            map.insert(name, Value::String(text(data)));
        }
        Ok(Value::from(format::to_yaml(
            &Value::Map(map),
            &format::Limits::default(),
        )?))
    }

    fn lines(&self, path: &str) -> Value {
        let content = text::from_bytes(&self.bytes(path));
        if content.is_empty() {
            return Value::strings::<Str>([]);
        }
        let content = content.strip_suffix('\n').unwrap_or(&content);
        Value::strings(content.split('\n'))
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
        Some(Method {
            params,
            variadic: None,
        })
    }

    fn call(&self, method: &str, args: &[Value]) -> Result<Value, Failure> {
        let argument: &str = match args {
            [Value::String(text), ..] => text,
            _ => "",
        };
        Ok(match method {
            "Get" => Value::String(text::from_bytes(&self.bytes(argument))),
            "GetBytes" => Value::Bytes(self.bytes(argument)),
            "Glob" => Value::Object(Rc::new(self.glob(argument))),
            "Lines" => self.lines(argument),
            "AsConfig" => return self.as_map(text::from_bytes),
            "AsSecrets" => return self.as_map(|data| STANDARD.encode(data).into()),
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
