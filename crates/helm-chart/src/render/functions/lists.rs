//! Slices.

use std::borrow::Cow;
use std::rc::Rc;

use super::super::func::{Context, Failure, Func, Param};
use super::super::value::{ElementType, List, Value};
use super::args::{
    NIL, any, elements, error, int, list, nil_list, panic, pay, rest, strslice, strval,
};
use super::flow::empty;
use super::{Output, cast, equal, fixed, variadic};
use Param::{Any, Int};

/// Each function has a twin whose name starts with `must`: both fail with the same message, because
/// Go's executor reports a panic as it reports an error.
pub(super) const FUNCS: &[Func] = &[
    variadic("list", &[], Any, |ctx, args| list(ctx, args.to_vec())),
    variadic("tuple", &[], Any, |ctx, args| list(ctx, args.to_vec())),
    fixed("append", &[Any, Any], push),
    fixed("push", &[Any, Any], push),
    fixed("mustAppend", &[Any, Any], push),
    fixed("mustPush", &[Any, Any], push),
    fixed("prepend", &[Any, Any], prepend),
    fixed("mustPrepend", &[Any, Any], prepend),
    fixed("first", &[Any], first),
    fixed("mustFirst", &[Any], first),
    fixed("last", &[Any], last),
    fixed("mustLast", &[Any], last),
    fixed("rest", &[Any], all_but_first),
    fixed("mustRest", &[Any], all_but_first),
    fixed("initial", &[Any], all_but_last),
    fixed("mustInitial", &[Any], all_but_last),
    fixed("reverse", &[Any], reverse),
    fixed("mustReverse", &[Any], reverse),
    fixed("uniq", &[Any], uniq),
    fixed("mustUniq", &[Any], uniq),
    fixed("compact", &[Any], compact),
    fixed("mustCompact", &[Any], compact),
    variadic("without", &[Any], Any, without),
    variadic("mustWithout", &[Any], Any, without),
    fixed("has", &[Any, Any], has),
    fixed("mustHas", &[Any, Any], has),
    variadic("slice", &[Any], Any, slice),
    variadic("mustSlice", &[Any], Any, slice),
    fixed("chunk", &[Int, Any], chunk),
    fixed("mustChunk", &[Int, Any], chunk),
    variadic("concat", &[], Any, |ctx, args| {
        let mut all = Vec::new();
        for list in args {
            let items = items(list, |kind| format!("Cannot concat type {kind} as list"))?;
            pay(ctx, items.len())?;
            all.extend_from_slice(&items);
        }
        if all.is_empty() {
            return Ok(nil_list());
        }
        Ok(Value::list(all))
    }),
    fixed("sortAlpha", &[Any], |ctx, args| {
        let value = any(args, 0);
        if elements(value).is_none() {
            return Ok(Value::strings([strval(ctx, value)?]));
        }
        let mut all = strslice(ctx, value)?;
        ctx.step(all.len().saturating_mul(8))?;
        all.sort();
        Ok(Value::strings(all))
    }),
];

/// The elements of a slice, or the message for the kind that the value has instead.
fn items(value: &Value, message: impl Fn(&str) -> String) -> Result<Cow<'_, [Value]>, Failure> {
    match value {
        Value::Nil => Err(panic(NIL)),
        value => elements(value).ok_or_else(|| error(message(value.kind()))),
    }
}

fn find<'v>(value: &'v Value, name: &str) -> Result<Cow<'v, [Value]>, Failure> {
    items(value, |kind| format!("Cannot find {name} on type {kind}"))
}

fn push(ctx: &mut dyn Context, args: &[Value]) -> Output {
    let items = items(any(args, 0), |kind| format!("Cannot push on type {kind}"))?;
    pay(ctx, items.len() + 1)?;
    Ok(Value::list([&items[..], &[any(args, 1).clone()]].concat()))
}

fn prepend(ctx: &mut dyn Context, args: &[Value]) -> Output {
    let items = items(any(args, 0), |kind| {
        format!("Cannot prepend on type {kind}")
    })?;
    pay(ctx, items.len() + 1)?;
    Ok(Value::list([&[any(args, 1).clone()], &items[..]].concat()))
}

fn first(_: &mut dyn Context, args: &[Value]) -> Output {
    Ok(find(any(args, 0), "first")?
        .first()
        .cloned()
        .unwrap_or_default())
}

fn last(_: &mut dyn Context, args: &[Value]) -> Output {
    Ok(find(any(args, 0), "last")?
        .last()
        .cloned()
        .unwrap_or_default())
}

fn all_but_first(ctx: &mut dyn Context, args: &[Value]) -> Output {
    match find(any(args, 0), "rest")?.split_first() {
        Some((_, rest)) => list(ctx, rest.to_vec()),
        None => Ok(nil_list()),
    }
}

fn all_but_last(ctx: &mut dyn Context, args: &[Value]) -> Output {
    match find(any(args, 0), "initial")?.split_last() {
        Some((_, initial)) => list(ctx, initial.to_vec()),
        None => Ok(nil_list()),
    }
}

fn reverse(ctx: &mut dyn Context, args: &[Value]) -> Output {
    let items = find(any(args, 0), "reverse")?;
    list(ctx, items.iter().rev().cloned().collect())
}

fn uniq(ctx: &mut dyn Context, args: &[Value]) -> Output {
    let mut kept: Vec<Value> = Vec::new();
    for item in find(any(args, 0), "uniq")?.iter() {
        if !equal::contains(ctx, &kept, item)? {
            kept.push(item.clone());
        }
    }
    list(ctx, kept)
}

fn compact(ctx: &mut dyn Context, args: &[Value]) -> Output {
    let items = items(any(args, 0), |kind| {
        format!("Cannot compact on type {kind}")
    })?;
    list(
        ctx,
        items.iter().filter(|item| !empty(item)).cloned().collect(),
    )
}

fn without(ctx: &mut dyn Context, args: &[Value]) -> Output {
    let mut kept = Vec::new();
    for item in find(any(args, 0), "without")?.iter() {
        if !equal::contains(ctx, rest(args, 1), item)? {
            kept.push(item.clone());
        }
    }
    list(ctx, kept)
}

fn has(ctx: &mut dyn Context, args: &[Value]) -> Output {
    let haystack = any(args, 1);
    if matches!(haystack, Value::Nil) {
        return Ok(false.into());
    }
    let found = equal::contains(ctx, &find(haystack, "has")?, any(args, 0))?;
    Ok(found.into())
}

fn slice(ctx: &mut dyn Context, args: &[Value]) -> Output {
    let value = any(args, 0);
    let items = items(value, |kind| {
        format!("list should be type of slice or array but {kind}")
    })?;
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let start = args.get(1).map_or(0, cast::to_int64);
    let end = args.get(2).map_or(length, cast::to_int64);
    let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else {
        return Err(panic("reflect.Value.Slice: slice index out of bounds"));
    };
    let Some(part) = items.get(from..to) else {
        return Err(panic("reflect.Value.Slice: slice index out of bounds"));
    };
    pay(ctx, part.len())?;
    Ok(match value {
        Value::Bytes(bytes) => Value::Bytes(bytes[from..to].into()),
        Value::List(list) => Value::List(Rc::new(List::new(list.elements, part.to_vec()))),
        _ => Value::list(part.to_vec()),
    })
}

fn chunk(ctx: &mut dyn Context, args: &[Value]) -> Output {
    let size = int(args, 0);
    let items = items(any(args, 1), |kind| format!("Cannot chunk type {kind}"))?;
    // Go computes the number of chunks in floats: a negative size gives one or none of few elements.
    let negative = usize::try_from(size.unsigned_abs()).unwrap_or(usize::MAX);
    let (items, size) = match (usize::try_from(size), items.len()) {
        (Ok(size), _) if size > 0 => (&items[..], size),
        (Err(_), 1) if negative > 1 => (&items[..], 1),
        (Err(_), 2..) if items.len() - 1 <= negative => (&items[..0], 1),
        _ => return Err(panic("runtime error: makeslice: len out of range")),
    };
    pay(ctx, items.len())?;
    let chunks = items
        .chunks(size)
        .map(|chunk| Value::list(chunk.to_vec()))
        .collect();
    Ok(Value::List(Rc::new(List::new(ElementType::List, chunks))))
}
