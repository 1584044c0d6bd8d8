//! `semver` and `semverCompare`: package Masterminds/semver 3.5.

use std::cmp::Ordering;
use std::rc::Rc;

use super::super::func::{Func, Param};
use super::super::value::Value;
use super::args::{error, text};
use super::fixed;
use Param::String as Text;

mod constraint;
mod version;

pub(super) use version::Version;

pub(super) const FUNCS: &[Func] = &[
    fixed("semver", &[Text], |ctx, args| {
        ctx.step(text(args, 0).len())?;
        let version = Version::parse(text(args, 0)).map_err(error)?;
        Ok(Value::Object(Rc::new(version)))
    }),
    fixed("semverCompare", &[Text, Text], |ctx, args| {
        ctx.step(text(args, 0).len() + text(args, 1).len())?;
        let constraint = constraint::parse(text(args, 0)).map_err(error)?;
        let version = Version::parse(text(args, 1)).map_err(error)?;
        Ok(constraint.allows(&version).into())
    }),
];

/// Compares the parts of pre-releases: numbers are less than words.
fn compare_prerelease(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => compare_part(a.unwrap_or(""), b.unwrap_or("")),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_part(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    if a.is_empty() || b.is_empty() {
        return a.len().cmp(&b.len());
    }
    let number = |text: &str| super::number::parse_uint(text, 10).ok();
    match (number(a), number(b)) {
        (None, None) => a.cmp(b),
        (None, Some(_)) => Ordering::Greater,
        (Some(a), Some(b)) if a > b => Ordering::Greater,
        // A number is less than a word. Two that differ as texts only, such as 1 and 01, are not
        // equal either.
        (Some(_), _) => Ordering::Less,
    }
}
