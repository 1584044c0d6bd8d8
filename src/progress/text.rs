//! Numbers, rates and times as people read them.

use std::time::Duration;

use indicatif::HumanBytes;

/// A number of bytes as text, such as `1.20 MiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A number of things as text: `1 artifact`, `2 artifacts`, `2 repositories`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    // `repository`, but not `day`.
    let stem = noun.strip_suffix('y');
    match (
        number,
        stem.filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])),
    ) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {noun}s"),
    }
}

/// A rate as text, such as `95 MiB/s`, `1.5 MiB/s` or `80 KiB/s`.
#[must_use]
pub fn bytes_per_second(rate: f64) -> String {
    let mebibytes = rate / f64::from(1 << 20);
    if mebibytes < 1.0 {
        format!("{:.0} KiB/s", rate / 1024.0)
    } else if mebibytes < 10.0 {
        format!("{mebibytes:.1} MiB/s")
    } else {
        format!("{mebibytes:.0} MiB/s")
    }
}

/// A time as text: `1.2 s`, `3 min 10 s`, `2 h 5 min`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60) {
        (0, 0) => format!("{:.1} s", duration.as_secs_f64()),
        (0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (hours, minutes) => format!("{hours} h {} min", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(count(1, "artifact"), "1 artifact");
        assert_eq!(count(0, "artifact"), "0 artifacts");
        assert_eq!(count(2, "repository"), "2 repositories");
    }

    #[test]
    fn times_have_the_units_that_fit() {
        for (seconds, shown) in [
            (0, "0.0 s"),
            (59, "59.0 s"),
            (60, "1 min 0 s"),
            (190, "3 min 10 s"),
            (7500, "2 h 5 min"),
            (50_000, "13 h 53 min"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), shown);
        }
        assert_eq!(bytes_per_second(100e6), "95 MiB/s");
    }
}
