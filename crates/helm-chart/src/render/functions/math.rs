//! Arithmetic.

use std::cmp::Ordering;

use super::super::func::{Context, Failure, Func, Param};
use super::super::value::{ElementType, List, Value};
use super::args::{any, int, panic, pay, rest, string};
use super::cast::{to_float, to_int64};
use super::decimal::Decimal;
use super::{Output, fixed, variadic};
use Param::{Any, Float, Int};

pub(super) const FUNCS: &[Func] = &[
    fixed("add1", &[Any], |_, args| {
        Ok(Value::int64(to_int64(any(args, 0)).wrapping_add(1)))
    }),
    variadic("add", &[], Any, |_, args| {
        let sum = args.iter().map(to_int64).fold(0_i64, i64::wrapping_add);
        Ok(Value::int64(sum))
    }),
    fixed("sub", &[Any, Any], |_, args| {
        Ok(Value::int64(
            to_int64(any(args, 0)).wrapping_sub(to_int64(any(args, 1))),
        ))
    }),
    fixed("div", &[Any, Any], |_, args| {
        divide(args, i64::wrapping_div)
    }),
    fixed("mod", &[Any, Any], |_, args| {
        divide(args, i64::wrapping_rem)
    }),
    variadic("mul", &[Any], Any, |_, args| {
        let product = args.iter().map(to_int64).fold(1_i64, i64::wrapping_mul);
        Ok(Value::int64(product))
    }),
    fixed("add1f", &[Any], |ctx, args| {
        decimals(ctx, to_float(any(args, 0)), &[Value::int(1)], |a, b| {
            Some(a.add(b))
        })
    }),
    variadic("addf", &[], Any, |ctx, args| {
        decimals(ctx, 0.0, args, |a, b| Some(a.add(b)))
    }),
    variadic("subf", &[Any], Any, |ctx, args| {
        decimals(ctx, to_float(any(args, 0)), rest(args, 1), |a, b| {
            Some(a.sub(b))
        })
    }),
    variadic("divf", &[Any], Any, |ctx, args| {
        decimals(ctx, to_float(any(args, 0)), rest(args, 1), Decimal::div)
    }),
    variadic("mulf", &[Any], Any, |ctx, args| {
        decimals(ctx, to_float(any(args, 0)), rest(args, 1), |a, b| {
            Some(a.mul(b))
        })
    }),
    variadic("biggest", &[Any], Any, |_, args| Ok(largest(args))),
    variadic("max", &[Any], Any, |_, args| Ok(largest(args))),
    variadic("min", &[Any], Any, |_, args| {
        Ok(Value::int64(args.iter().map(to_int64).min().unwrap_or(0)))
    }),
    variadic("maxf", &[Any], Any, |_, args| {
        Ok(outermost(args, Ordering::Greater))
    }),
    variadic("minf", &[Any], Any, |_, args| {
        Ok(outermost(args, Ordering::Less))
    }),
    fixed("ceil", &[Any], |_, args| {
        Ok(to_float(any(args, 0)).ceil().into())
    }),
    fixed("floor", &[Any], |_, args| {
        Ok(to_float(any(args, 0)).floor().into())
    }),
    variadic("round", &[Any, Int], Float, |_, args| {
        let round_on = match args.get(2) {
            Some(Value::Float(round_on)) => *round_on,
            _ => 0.5,
        };
        Ok(round(to_float(any(args, 0)), int(args, 1), round_on).into())
    }),
    fixed("until", &[Int], |ctx, args| {
        let count = int(args, 0);
        let numbers = steps(ctx, 0, count, if count < 0 { -1 } else { 1 })?;
        Ok(ints(numbers))
    }),
    fixed("untilStep", &[Int, Int, Int], |ctx, args| {
        Ok(ints(steps(ctx, int(args, 0), int(args, 1), int(args, 2))?))
    }),
    variadic("seq", &[], Int, seq),
];

fn divide(args: &[Value], operation: fn(i64, i64) -> i64) -> Output {
    match (to_int64(any(args, 0)), to_int64(any(args, 1))) {
        (_, 0) => Err(panic("runtime error: integer divide by zero")),
        (a, b) => Ok(Value::int64(operation(a, b))),
    }
}

fn decimals(
    ctx: &mut dyn Context,
    first: f64,
    others: &[Value],
    operation: fn(&Decimal, &Decimal) -> Option<Decimal>,
) -> Output {
    let mut result = Decimal::from_float(first).map_err(panic)?;
    for other in others {
        let other = Decimal::from_float(to_float(other)).map_err(panic)?;
        ctx.step(16 + result.size())?;
        result = operation(&result, &other).ok_or_else(|| panic("decimal division by 0"))?;
    }
    Ok(result.to_float().into())
}

fn largest(args: &[Value]) -> Value {
    Value::int64(args.iter().map(to_int64).max().unwrap_or(0))
}

/// `math.Max` or `math.Min`: an infinity of the right sign wins, then not-a-number.
fn outermost(args: &[Value], wanted: Ordering) -> Value {
    let is_end = |float: f64| float.is_infinite() && (float > 0.0) == wanted.is_gt();
    let outer = |a: f64, b: f64| {
        if is_end(a) || !is_end(b) && (a.is_nan() || !b.is_nan() && a.total_cmp(&b) == wanted) {
            a
        } else {
            b
        }
    };
    Value::Float(args.iter().map(to_float).reduce(outer).unwrap_or(0.0))
}

fn round(value: f64, places: i64, round_on: f64) -> f64 {
    let power = power_of_ten(places);
    let digit = power * value;
    let fraction = if digit.is_infinite() {
        f64::NAN
    } else {
        digit.fract()
    };
    let rounded = if fraction >= round_on {
        digit.ceil()
    } else {
        digit.floor()
    };
    rounded / power
}

/// `math.Pow(10, y)` for a whole `y`, with Go's rounding.
fn power_of_ten(exponent: i64) -> f64 {
    if exponent == 0 {
        return 1.0;
    }
    if exponent == 1 {
        return 10.0;
    }
    // 10 is 0.625 * 2^4.
    let (mut factor, mut factor_exponent) = (0.625_f64, 4_i64);
    let (mut result, mut result_exponent) = (1.0_f64, 0_i64);
    let mut left = exponent.unsigned_abs();
    while left != 0 {
        if factor_exponent.abs() > 1 << 12 {
            result_exponent += factor_exponent;
            break;
        }
        if left & 1 == 1 {
            result *= factor;
            result_exponent += factor_exponent;
        }
        factor *= factor;
        factor_exponent <<= 1;
        if factor < 0.5 {
            factor += factor;
            factor_exponent -= 1;
        }
        left >>= 1;
    }
    if exponent < 0 {
        result = 1.0 / result;
        result_exponent = -result_exponent;
    }
    let scale = i32::try_from(result_exponent.clamp(-5000, 5000)).unwrap_or(0);
    // In two steps, so that neither overflows before the other.
    result * 2_f64.powi(scale / 2) * 2_f64.powi(scale - scale / 2)
}

/// Sprig's `untilStep`.
fn steps(ctx: &mut dyn Context, start: i64, end: i64, step: i64) -> Result<Vec<i64>, Failure> {
    let counts_down = end < start;
    if counts_down && step >= 0 || !counts_down && step <= 0 {
        return Ok(Vec::new());
    }
    let count = start.abs_diff(end).div_ceil(step.unsigned_abs());
    pay(ctx, usize::try_from(count).unwrap_or(usize::MAX))?;
    let mut numbers = Vec::new();
    let mut next = start;
    for _ in 0..count {
        numbers.push(next);
        next = next.wrapping_add(step);
    }
    Ok(numbers)
}

fn ints(numbers: Vec<i64>) -> Value {
    let items = numbers.into_iter().map(Value::int).collect();
    Value::List(std::rc::Rc::new(List::new(ElementType::Int, items)))
}

fn seq(ctx: &mut dyn Context, args: &[Value]) -> Output {
    let down_or_up = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let (start, end, step) = match args {
        [_] => (1, int(args, 0), down_or_up(1, int(args, 0))),
        [_, _] => (
            int(args, 0),
            int(args, 1),
            down_or_up(int(args, 0), int(args, 1)),
        ),
        [_, _, _] => (int(args, 0), int(args, 2), int(args, 1)),
        _ => return Ok(Value::from("")),
    };
    let last = down_or_up(start, end);
    if args.len() == 3 && last < 0 && step > 0 {
        return Ok(Value::from(""));
    }
    let numbers = steps(ctx, start, end.wrapping_add(last), step)?;
    let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
    string(ctx, texts.join(" "))
}
