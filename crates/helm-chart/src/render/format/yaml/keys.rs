//! The order in which goyaml writes keys: digits by their number, letters after everything else.

use std::cmp::Ordering;

use super::Version;
use crate::strconv::unicode::{is_digit, is_letter};

/// Sorts keys as goyaml's `sorter.go` does. Its comparison is no total order (the numbers of very
/// long runs of digits overflow), for which the standard library's sort may panic.
pub(super) fn sort<K: AsRef<str>, V>(entries: Vec<(K, V)>, version: Version) -> Vec<(K, V)> {
    merge_sort(entries, &|a, b| {
        compare(a.0.as_ref(), b.0.as_ref(), version)
    })
}

fn merge_sort<T>(mut items: Vec<T>, compare: &impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let right = merge_sort(items.split_off(items.len() / 2), compare);
    let left = merge_sort(items, compare);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = match compare(b, a) {
            Ordering::Less => right.next(),
            _ => left.next(),
        };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

fn compare(a: &str, b: &str, version: Version) -> Ordering {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let same = (0..=same)
        .rev()
        .find(|at| a.is_char_boundary(*at) && b.is_char_boundary(*at))
        .unwrap_or(0);
    let (before, a, b) = (&a[..same], &a[same..], &b[same..]);
    let (Some(first_a), Some(first_b)) = (a.chars().next(), b.chars().next()) else {
        return a.len().cmp(&b.len());
    };
    match (is_letter(first_a), is_letter(first_b)) {
        (true, true) => return first_a.cmp(&first_b),
        (false, false) => {}
        (a_is_letter, _) => {
            // Within a number goyaml v3 puts letters first.
            let number_goes_on =
                version == Version::V3 && before.chars().next_back().is_some_and(is_digit);
            return if a_is_letter == number_goes_on {
                Ordering::Less
            } else {
                Ordering::Greater
            };
        }
    }
    // A zero counts only after another digit.
    let starts_at = if first_a == '0' || first_b == '0' {
        let mut digits = before.chars().rev().take_while(|char| is_digit(*char));
        i64::from(digits.any(|char| char != '0'))
    } else {
        0
    };
    let (number_a, digits_a) = number(a, starts_at);
    let (number_b, digits_b) = number(b, starts_at);
    number_a
        .cmp(&number_b)
        .then(digits_a.cmp(&digits_b))
        .then(first_a.cmp(&first_b))
}

/// The number that a text starts with, as goyaml computes it, and the count of its digits.
fn number(text: &str, starts_at: i64) -> (i64, usize) {
    let digits = text.chars().take_while(|char| is_digit(*char));
    digits.fold((starts_at, 0), |(number, count), digit| {
        let value = i64::from(u32::from(digit)) - i64::from(u32::from('0'));
        (number.wrapping_mul(10).wrapping_add(value), count + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(keys: &str, version: Version) -> String {
        let keys = keys.split(' ').map(|key| (key, ())).collect();
        let keys: Vec<_> = sort(keys, version).into_iter().map(|key| key.0).collect();
        keys.join(" ")
    }

    #[test]
    fn numbers_in_keys_are_compared_as_numbers() {
        for (keys, v2, v3) in [
            ("a10 a9 a1", "a1 a9 a10", "a1 a9 a10"),
            ("b A a B", "A B a b", "A B a b"),
            ("a-b a_b ab a.b a", "a a-b a.b a_b ab", "a a-b a.b a_b ab"),
            ("a1b a1 a12 a1-b", "a1 a1-b a12 a1b", "a1 a1b a1-b a12"),
            ("a01 a1 a001 a10", "a1 a01 a001 a10", "a1 a01 a001 a10"),
            ("a0 a00 a", "a a0 a00", "a a0 a00"),
            ("1 10 2 01", "1 01 2 10", "1 01 2 10"),
            ("é e z ä", "e z ä é", "e z ä é"),
            (
                "x99999999999999999999 x1",
                "x1 x99999999999999999999",
                "x1 x99999999999999999999",
            ),
        ] {
            assert_eq!(sorted(keys, Version::V2), v2, "{keys}");
            assert_eq!(sorted(keys, Version::V3), v3, "{keys}");
        }
    }
}
