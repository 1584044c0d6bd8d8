//! The functions of Sprig 3.3 and of Helm 3.22, by theme.
//!
//! What is not repeatable (clock, randomness, keys and certificates, names of hosts) is a fixed
//! stand-in that follows from [`Context::stand_in`](super::func::Context::stand_in).

use std::collections::HashMap;
use std::sync::LazyLock;

use super::func::{Context, Failure, Func, Param};
use super::value::Value;

mod args;
mod case;
mod cast;
mod certificates;
mod conversion;
mod crypto;
mod dates;
mod decimal;
mod dicts;
mod encoding;
mod equal;
mod flow;
mod from_toml;
mod lists;
mod math;
mod merge;
mod number;
mod paths;
mod random;
mod reflection;
mod regex;
mod semver;
mod strings;
#[cfg(test)]
mod tests;
mod unicode;
mod url;

/// What a function gives back.
type Output = Result<Value, Failure>;

/// A function's body.
type Body = fn(&mut dyn Context, &[Value]) -> Output;

/// A function with a fixed number of parameters.
const fn fixed(name: &'static str, params: &'static [Param], call: Body) -> Func {
    Func {
        name,
        params,
        variadic: None,
        call,
    }
}

/// A function whose last parameter may occur any number of times.
const fn variadic(name: &'static str, params: &'static [Param], more: Param, call: Body) -> Func {
    Func {
        name,
        params,
        variadic: Some(more),
        call,
    }
}

static ALL: LazyLock<HashMap<&'static str, Func>> = LazyLock::new(|| {
    [
        certificates::FUNCS,
        conversion::FUNCS,
        crypto::FUNCS,
        dates::FUNCS,
        dicts::FUNCS,
        encoding::FUNCS,
        flow::FUNCS,
        lists::FUNCS,
        math::FUNCS,
        paths::FUNCS,
        random::FUNCS,
        reflection::FUNCS,
        regex::FUNCS,
        semver::FUNCS,
        strings::FUNCS,
        url::FUNCS,
    ]
    .into_iter()
    .flatten()
    .map(|func| (func.name, *func))
    .collect()
});

/// All functions, in no order.
pub fn all() -> impl Iterator<Item = &'static Func> {
    ALL.values()
}

/// The function of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Func> {
    ALL.get(name)
}
