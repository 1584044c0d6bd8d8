//! The value that the cases work on.

use std::rc::Rc;
use std::sync::Arc;

use helm_chart::render::func::{Context, Failure, Method, Param};
use helm_chart::render::template::VALUES;
use helm_chart::render::value::{ElementType, IntType, List, Map, Object, Str, Value};

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Map(Map::from_iter(pairs))
}

fn typed<const N: usize>(
    named: Option<&'static str>,
    elements: ElementType,
    pairs: [(&str, Value); N],
) -> Value {
    let map = Map::typed(named, elements);
    for (key, value) in pairs {
        map.insert(key, value);
    }
    Value::Map(map)
}

fn slice(elements: ElementType, items: Vec<Value>) -> Value {
    Value::List(Rc::new(List::new(elements, items)))
}

pub(crate) fn dot() -> Value {
    let nil_map = || Value::Map(Map::nil(ElementType::Any));
    let nested = map([("deep", map([("deeper", "down".into())]))]);
    let image = map([("tag", "v1".into()), ("port", 80.0.into())]);
    let values = [
        ("name", "release".into()),
        ("Table", "taken".into()),
        ("image", image),
    ];
    map([
        ("s", "text".into()),
        ("empty", "".into()),
        ("t", true.into()),
        ("f", false.into()),
        ("n", Value::Nil),
        ("i", Value::int(7)),
        ("i64", Value::int64(8)),
        ("u8", Value::Int(9, IntType::Uint8)),
        ("u64", Value::Int(-1, IntType::Uint64)),
        ("neg", Value::int(-3)),
        ("float", 1.5.into()),
        ("big", 1e6.into()),
        ("zero", 0.0.into()),
        (
            "list",
            Value::list(vec![
                "a".into(),
                2.0.into(),
                Value::Nil,
                map([("x", "in list".into())]),
            ]),
        ),
        ("strings", Value::strings(["x", "y"])),
        (
            "ints",
            slice(
                ElementType::Int,
                vec![Value::int(3), Value::int(4), Value::int(5)],
            ),
        ),
        ("none", Value::list(vec![])),
        ("nilList", Value::List(Rc::new(List::nil(ElementType::Any)))),
        (
            "maps",
            slice(ElementType::Map, vec![map([("k", "v".into())]), nil_map()]),
        ),
        (
            "map",
            map([
                ("one", 1.0.into()),
                ("two", "zwei".into()),
                ("nil", Value::Nil),
                ("nested", nested),
            ]),
        ),
        (
            "labels",
            typed(
                None,
                ElementType::String,
                [("app", "web".into()), ("tier", "front".into())],
            ),
        ),
        (
            "counts",
            typed(
                None,
                ElementType::Int,
                [("b", Value::int(2)), ("a", Value::int(1))],
            ),
        ),
        ("emptyMap", map([])),
        ("nilMap", nil_map()),
        ("bytes", Value::Bytes(Arc::from(*b"hi"))),
        ("thing", Value::Object(Rc::new(Thing))),
        ("point", Value::Object(Rc::new(Point(3, 4)))),
        ("files", Value::Object(Rc::new(Files))),
        ("set", Value::Object(Rc::new(Set))),
        ("Values", typed(Some(VALUES), ElementType::Any, values)),
    ])
}

fn method(params: &'static [Param], variadic: Option<Param>) -> Method {
    Method {
        variadic,
        ..Method::new(params)
    }
}

fn text(args: &[Value], index: usize) -> &str {
    match &args[index] {
        Value::String(text) => text,
        other => panic!("{other:?} is not a string"),
    }
}

/// A pointer to a struct with methods.
#[derive(Debug)]
pub(crate) struct Thing;

impl Object for Thing {
    fn type_name(&self) -> &'static str {
        "*main.Thing"
    }

    fn kind(&self) -> &'static str {
        "ptr"
    }

    fn field(&self, name: &str) -> Option<Value> {
        let fields = self.fields()?.into_iter();
        fields
            .filter(|(field, _)| **field == *name)
            .map(|(_, value)| value)
            .next()
    }

    fn method(&self, name: &str) -> Option<Method> {
        Some(match name {
            "Hello" | "Fails" | "Panics" | "Self" => method(&[], None),
            "Greet" => method(&[Param::String, Param::Int], None),
            "Join" => method(&[Param::String], Some(Param::String)),
            "Takes" => method(&[Param::Map], None),
            "Other" => method(&[Param::Any], None),
            _ => return None,
        })
    }

    fn call(&self, _: &mut dyn Context, method: &str, args: &[Value]) -> Result<Value, Failure> {
        Ok(match method {
            "Hello" => "hello thing".into(),
            "Self" => Value::Object(Rc::new(Self)),
            "Fails" => return Err(Failure::Error("this fails".into())),
            "Panics" => return Err(Failure::Panic("this panics".into())),
            "Greet" => {
                let Value::Int(times, IntType::Int) = args[1] else {
                    panic!("{args:?}");
                };
                let greeting = format!("{} ", text(args, 0));
                (greeting.repeat(usize::try_from(times).unwrap()) + "thing").into()
            }
            "Join" => {
                let more: Vec<&str> = (1..args.len()).map(|index| text(args, index)).collect();
                more.join(text(args, 0)).into()
            }
            "Takes" => match &args[0] {
                Value::Map(map) => Value::int(map.len().try_into().unwrap()),
                other => panic!("{other:?}"),
            },
            "Other" => Value::from(args[0].type_name().into_owned()),
            _ => unreachable!(),
        })
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        let labels = typed(None, ElementType::String, [("l", "m".into())]);
        Some(vec![
            ("Name".into(), "thing".into()),
            ("Size".into(), Value::int(3)),
            ("Labels".into(), labels),
            ("Tags".into(), Value::strings(["t1", "t2"])),
            ("Any".into(), Value::Nil),
            ("Point".into(), Value::Object(Rc::new(Point(1, 2)))),
        ])
    }

    fn go_string(&self) -> Option<String> {
        None
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// A struct with a method.
#[derive(Debug)]
struct Point(i64, i64);

impl Object for Point {
    fn type_name(&self) -> &'static str {
        "main.Point"
    }

    fn kind(&self) -> &'static str {
        "struct"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "X" => Some(Value::int(self.0)),
            "Y" => Some(Value::int(self.1)),
            _ => None,
        }
    }

    fn method(&self, name: &str) -> Option<Method> {
        (name == "Sum").then(|| method(&[], None))
    }

    fn call(&self, _: &mut dyn Context, _: &str, _: &[Value]) -> Result<Value, Failure> {
        Ok(Value::int(self.0 + self.1))
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        Some(vec![
            ("X".into(), Value::int(self.0)),
            ("Y".into(), Value::int(self.1)),
        ])
    }

    fn go_string(&self) -> Option<String> {
        None
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// A map with a method, whose values are bytes.
#[derive(Debug)]
struct Files;

impl Object for Files {
    fn type_name(&self) -> &'static str {
        "main.Files"
    }

    fn kind(&self) -> &'static str {
        "map"
    }

    fn field(&self, name: &str) -> Option<Value> {
        let bytes = match name {
            "a.txt" => b"A",
            "b.txt" => b"B",
            _ => return None,
        };
        Some(Value::Bytes(Arc::from(*bytes)))
    }

    fn missing(&self) -> Value {
        Value::Bytes(Arc::from([]))
    }

    fn method(&self, name: &str) -> Option<Method> {
        (name == "Get").then(|| method(&[Param::String], None))
    }

    fn call(&self, _: &mut dyn Context, _: &str, args: &[Value]) -> Result<Value, Failure> {
        Ok(match text(args, 0) {
            "a.txt" => "A".into(),
            "b.txt" => "B".into(),
            _ => "".into(),
        })
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        let names = ["a.txt", "b.txt"].into_iter();
        Some(
            names
                .map(|name| (name.into(), self.field(name).unwrap()))
                .collect(),
        )
    }

    fn go_string(&self) -> Option<String> {
        None
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// A slice of strings with a method.
#[derive(Debug)]
struct Set;

impl Object for Set {
    fn type_name(&self) -> &'static str {
        "main.Set"
    }

    fn kind(&self) -> &'static str {
        "slice"
    }

    fn field(&self, _: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Method> {
        (name == "Has").then(|| method(&[Param::String], None))
    }

    fn call(&self, _: &mut dyn Context, _: &str, args: &[Value]) -> Result<Value, Failure> {
        Ok(Value::Bool(["v1", "apps/v1"].contains(&text(args, 0))))
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        let items = ["v1", "apps/v1"].into_iter();
        Some(items.map(|item| ("".into(), item.into())).collect())
    }

    fn go_string(&self) -> Option<String> {
        None
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
