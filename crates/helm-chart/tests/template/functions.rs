//! A few functions, one for each kind of parameter.

use helm_chart::render::func::{Context, Failure, Func, Param};
use helm_chart::render::template::{MESSAGE_END, MESSAGE_START};
use helm_chart::render::value::{ElementType, Map, Value};

pub(crate) fn find(name: &str) -> Option<&'static Func> {
    FUNCS.iter().find(|func| func.name == name)
}

const fn func(
    name: &'static str,
    params: &'static [Param],
    variadic: Option<Param>,
    call: fn(&mut dyn Context, &[Value]) -> Result<Value, Failure>,
) -> Func {
    Func {
        name,
        params,
        variadic,
        call,
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        other => panic!("{other:?} is not a string"),
    }
}

fn int(value: &Value) -> i64 {
    match value {
        Value::Int(int, _) => *int,
        other => panic!("{other:?} is not an integer"),
    }
}

fn length(length: usize) -> Value {
    Value::int(length.try_into().unwrap())
}

static FUNCS: &[Func] = &[
    func("list", &[], Some(Param::Any), |context, args| {
        context.spend(size_of_val(args))?;
        Ok(Value::list(args.to_vec()))
    }),
    func("dict", &[], Some(Param::Any), |context, args| {
        context.spend(64 + size_of_val(args))?;
        let pairs = args
            .chunks_exact(2)
            .map(|pair| (text(&pair[0]), pair[1].clone()));
        Ok(Value::Map(pairs.collect()))
    }),
    func(
        "set",
        &[Param::Map, Param::String, Param::Any],
        None,
        |context, args| {
            context.spend(64)?;
            if let Value::Map(map) = &args[0] {
                map.insert(text(&args[1]), args[2].clone());
            }
            Ok(args[0].clone())
        },
    ),
    func("upper", &[Param::String], None, |context, args| {
        context.spend(text(&args[0]).len())?;
        Ok(text(&args[0]).to_uppercase().into())
    }),
    func(
        "repeat",
        &[Param::Int, Param::String],
        None,
        |context, args| {
            let times = usize::try_from(int(&args[0])).unwrap();
            context.spend(text(&args[1]).len().saturating_mul(times))?;
            Ok(text(&args[1]).repeat(times).into())
        },
    ),
    func("typeOf", &[Param::Any], None, |_, args| {
        Ok(args[0].type_name().into_owned().into())
    }),
    func("join", &[Param::String, Param::Strings], None, |_, args| {
        let Value::List(list) = &args[1] else {
            panic!("{args:?}");
        };
        let items: Vec<&str> = list.items.iter().map(text).collect();
        Ok(items.join(text(&args[0])).into())
    }),
    func("add", &[Param::Int, Param::Int], None, |_, args| {
        Ok(Value::int(int(&args[0]) + int(&args[1])))
    }),
    func("add64", &[Param::Int64, Param::Int64], None, |_, args| {
        Ok(Value::int64(int(&args[0]) + int(&args[1])))
    }),
    func("half", &[Param::Float], None, |_, args| match args[0] {
        Value::Float(float) => Ok(Value::Float(float / 2.0)),
        _ => panic!("{args:?}"),
    }),
    func("negate", &[Param::Bool], None, |_, args| {
        Ok(Value::Bool(!args[0].truth()))
    }),
    func("size", &[Param::Map], None, |_, args| match &args[0] {
        Value::Map(map) => Ok(length(map.len())),
        other => panic!("{other:?}"),
    }),
    func("count", &[Param::List], None, |_, args| match &args[0] {
        Value::List(list) => Ok(length(list.items.len())),
        other => panic!("{other:?}"),
    }),
    func("many", &[Param::Int], Some(Param::String), |_, args| {
        let more: Vec<&str> = args[1..].iter().map(text).collect();
        let (number, count) = (int(&args[0]), more.len());
        Ok(format!("{number} {count} [{}]", more.join(" ")).into())
    }),
    func("fail", &[Param::String], None, |_, args| {
        let message = format!("{MESSAGE_START}{}{MESSAGE_END}", text(&args[0]));
        Err(Failure::Error(message))
    }),
    func("error", &[Param::String], None, |_, args| {
        Err(Failure::Error(text(&args[0]).to_owned()))
    }),
    func("panics", &[Param::String], None, |_, args| {
        Err(Failure::Panic(text(&args[0]).to_owned()))
    }),
    func("nothing", &[], None, |_, _| Ok(Value::Nil)),
    func("seven", &[], None, |_, _| Ok(Value::int(7))),
    func("three", &[], None, |_, _| {
        let map = Map::typed(None, ElementType::Int);
        map.insert("three", Value::int(3));
        Ok(Value::Map(map))
    }),
    func(
        "name",
        &[Param::Named("*main.Thing")],
        None,
        |_, args| match &args[0] {
            Value::Nil => Ok("nil thing".into()),
            Value::Object(object) => Ok(object.field("Name").unwrap()),
            other => panic!("{other:?}"),
        },
    ),
    func(
        "default",
        &[Param::Any],
        Some(Param::Any),
        |_, args| match args.get(1) {
            None | Some(Value::Nil) => Ok(args[0].clone()),
            Some(Value::String(text)) if text.is_empty() => Ok(args[0].clone()),
            Some(given) => Ok(given.clone()),
        },
    ),
    func(
        "include",
        &[Param::String, Param::Any],
        None,
        |context, args| context.include(text(&args[0]), &args[1]),
    ),
    func(
        "tpl",
        &[Param::String, Param::Any],
        None,
        |context, args| context.tpl(text(&args[0]), &args[1]),
    ),
];
