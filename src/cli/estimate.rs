//! The estimate of a plan in words, and the throughput that a user gives for it.

use crate::deploy::Estimate;
use crate::document::RateFrom;
use crate::fan_out::forecast::Limit;
use crate::fan_out::shard::Load;
use crate::progress;

/// What a deployment would move, how long that takes, and how many builds it would use.
pub(super) fn text(estimate: &Estimate) -> String {
    let Load {
        bytes,
        largest,
        blobs,
        manifests,
    } = estimate.load;
    let mut text = format!(
        "to copy: {} in {} (largest {}), {}",
        progress::bytes(bytes),
        progress::count(blobs, "blob"),
        progress::bytes(largest),
        progress::count(manifests, "manifest"),
    );
    let mut add = |more: &str| text.push_str(more);
    if estimate.unknown > 0 {
        let unknown = progress::count(estimate.unknown, "artifact");
        add(&format!(",\n         and {unknown} of unknown size"));
    }
    add(&format!("\ntime: {}", time(estimate)));
    if let Some(source) = &estimate.slowest_source {
        let wait = progress::duration(source.time);
        add(&format!(
            "\n      but {source} takes at least {wait}:\n      log in to it, or name a secret with credentials in \
             HelmRepoSecretName"
        ));
    }
    if estimate.is_ecr {
        add(&format!("\nfan-out: {}", fan_out(estimate)));
    }
    text
}

/// The time in words, with what it is based on.
fn time(estimate: &Estimate) -> String {
    let time = progress::duration(estimate.time);
    let rate = progress::bytes_per_second(estimate.rate.bytes_per_second);
    let unknown = if estimate.unknown > 0 {
        ", without those of unknown size"
    } else {
        ""
    };
    if estimate.load == Load::default() {
        return match estimate.unknown {
            0 => "nothing to copy".to_owned(),
            _ => "unknown, because no size is known".to_owned(),
        };
    }
    let at = match estimate.rate.from {
        RateFrom::Unknown => {
            return format!(
                "unknown, because no deployment was measured here ({time} at {rate}{unknown});\n      \
                 give the throughput with --bandwidth, such as --bandwidth 20MiB/s"
            );
        }
        RateFrom::Given => format!("at {rate} (--bandwidth)"),
        RateFrom::Measured => format!("at {rate}, which the last deployment had"),
        RateFrom::Assumed => format!("at {rate}, assumed for a CodeBuild build"),
    };
    match estimate.limit {
        Limit::Bytes => format!("about {time} {at}{unknown}"),
        limit => format!("at least {time}: {limit}{unknown}"),
    }
}

/// Why so many builds.
fn fan_out(estimate: &Estimate) -> String {
    match (estimate.why_one, estimate.builds) {
        (Some(why), _) => why.to_owned(),
        (None, 1) => "one build, more would save less than two minutes".to_owned(),
        (None, builds) => {
            let alone = progress::duration(estimate.alone);
            format!(
                "{builds} builds, one alone would take {alone};\n         while it copies, the real rate decides"
            )
        }
    }
}

/// A throughput such as `20MiB/s`, `100 Mbit/s` or a number of bytes per second.
pub(super) fn bandwidth(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let bare = text.strip_suffix("/s").unwrap_or(text).trim();
    let digits = bare.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = bare.split_at(digits.unwrap_or(bare.len()));
    let factor = match unit.trim() {
        "" | "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "kbit" | "Kbit" => 125.0,
        "Mbit" => 125e3,
        "Gbit" => 125e6,
        _ => return Err("a unit is one of B, KiB, MiB, GiB, kB, MB, GB, Mbit, Gbit".to_owned()),
    };
    let rate = number.parse::<f64>().ok().map(|number| number * factor);
    rate.filter(|rate| (1.0..=1e12).contains(rate))
        .ok_or_else(|| "it is not a throughput such as 20MiB/s or 100Mbit/s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bandwidth_has_a_unit_of_bytes_or_bits() {
        for (text, rate) in [
            ("20MiB/s", 20.0 * 1024.0 * 1024.0),
            ("100 Mbit/s", 12.5e6),
            ("1Gbit", 125e6),
            ("1.5 MB/s", 1.5e6),
            ("4096", 4096.0),
        ] {
            assert!((bandwidth(text).unwrap() - rate).abs() < 1e-6, "{text}");
        }
        for wrong in ["", "fast", "-1MiB/s", "0", "1 PiB/s", "1e3", "NaN"] {
            assert!(bandwidth(wrong).is_err(), "{wrong}");
        }
    }
}
