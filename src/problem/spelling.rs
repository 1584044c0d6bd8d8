//! The similarity of names: "did you mean", and unknown names that are probably misspelt.

/// The candidates that are most similar to `wanted`, best first, at most `most`, and only probable typing errors.
pub fn nearest<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|candidate| (likeness(wanted, candidate), candidate))
        .filter(|(score, _)| *score > 0.6)
        .collect();
    scored.sort_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| x.cmp(y)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored
        .into_iter()
        .take(most)
        .map(|(_, candidate)| candidate)
        .collect()
}

/// The similarity of two dotted paths or names, 0 to 1. A path that moved keeps its end
/// (`initImage.tag` became `admissionController.initContainer.image.tag`), so the last part and the
/// parts in common count beside the letters.
fn likeness(a: &str, b: &str) -> f64 {
    let letters = strsim::jaro_winkler(&a.to_lowercase(), &b.to_lowercase());
    if !a.contains('.') {
        return letters;
    }
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split('.').collect(), b.split('.').collect());
    let last = if a.last() == b.last() { 1.0 } else { 0.0 };
    let best = |part: &str| {
        b.iter()
            .map(|other| strsim::jaro_winkler(part, other))
            .fold(0.0, f64::max)
    };
    #[expect(clippy::cast_precision_loss, reason = "a path has a handful of parts")]
    let shared = a.iter().map(|part| best(part)).sum::<f64>() / a.len() as f64;
    0.3 * letters + 0.3 * last + 0.4 * shared
}

/// "did you mean" as a remedy, `None` if nothing is similar.
pub fn did_you_mean<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let near = nearest(wanted, candidates, 3);
    (!near.is_empty()).then(|| {
        let names: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
        format!("nearest: {}", names.join(", "))
    })
}

/// The known name that `written` is probably a misspelling of, if there is one.
///
/// Two names are alike when only case and separators differ, when one is an abbreviation of the other, when
/// `written` is a whole word of it, or when one letter in four (one at least, three at most) is missing, added, replaced or
/// swapped with its neighbor.
pub fn slip<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let looks = squash(written);
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        let Some(distance) = distance(written, &looks, name) else {
            continue;
        };
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Letters and digits alone, in lower case: `RepositoryPolicy`, `repository-policy` and `REPOSITORY_POLICY`
/// are one name.
pub fn squash(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// The longest name that is compared: the comparison takes quadratic time.
const LONGEST: usize = 64;

fn distance(written: &str, looks: &str, name: &str) -> Option<usize> {
    let other = squash(name);
    if looks == other {
        return Some(0);
    }
    let (length, short) = (looks.chars().count(), other.chars().count());
    if !(3..=LONGEST).contains(&length) {
        return None;
    }
    let edits = strsim::osa_distance(looks, &other);
    if edits <= (length.min(short) / 4).clamp(1, 3) {
        return Some(edits);
    }
    let mut words = name.split(['_', '-']).map(squash);
    let is_word = length > 4 && name.len() > written.len() && words.any(|word| word == looks);
    (other.starts_with(looks) || is_word).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_distinguished_from_another_name() {
        let top = ["ami", "charts", "additional_images", "docker_mappings"];
        for (written, meant) in [
            ("chart", "charts"),
            ("Charts", "charts"),
            ("chrats", "charts"),
            ("additionalImages", "additional_images"),
            ("additional-image", "additional_images"),
            ("aditional_imges", "additional_images"),
            ("images", "additional_images"),
            ("docker_mapping", "docker_mappings"),
            ("mappings", "docker_mappings"),
            ("amis", "ami"),
        ] {
            assert_eq!(slip(written, top), Some(meant), "{written}");
        }
        for written in ["values", "addons", "x", "", "eks", "namespace", "notes"] {
            assert_eq!(slip(written, top), None, "{written}");
        }
        let chart = ["name", "repository", "version", "skip", "images"];
        for (written, meant) in [
            ("repo", "repository"),
            ("verison", "version"),
            ("skp", "skip"),
        ] {
            assert_eq!(slip(written, chart), Some(meant), "{written}");
        }
        for written in ["namespace", "values", "description", "timeout"] {
            assert_eq!(slip(written, chart), None, "{written}");
        }
    }

    #[test]
    fn a_name_of_megabytes_is_not_compared() {
        assert_eq!(slip(&"chart".repeat(1 << 20), ["charts"]), None);
    }
}
