//! Calls that ask for more than there is end soon, with an error that says so.

use helm_chart::render::template::{Limits, Options};

use super::render;

/// Renders a template whose limit must be reached.
fn exceeds(text: &str) {
    exceeds_with(text, Limits::default());
}

fn exceeds_with(text: &str, limits: Limits) {
    let options = Options {
        limits,
        ..Options::default()
    };
    let error = render(text, options).expect_err(text);
    let names_a_limit = ["limit", "more than", "at most", "longer than"];
    assert!(
        names_a_limit.iter().any(|words| error.contains(words)),
        "{text}: {error}"
    );
}

#[test]
fn sizes_that_no_machine_has_are_refused() {
    exceeds("{{ until 123456789012 }}");
    exceeds("{{ untilStep 0 9223372036854775807 1 }}");
    exceeds("{{ untilStep -9223372036854775807 9223372036854775807 1 }}");
    exceeds("{{ seq 1 123456789012 }}");
    exceeds(r#"{{ repeat 123456789012 "ab" }}"#);
    exceeds(r#"{{ indent 123456789012 "a" }}"#);
    exceeds(r#"{{ nindent 12345678901 "a" }}"#);
    exceeds("{{ randAlphaNum 123456789012 }}");
    exceeds("{{ randBytes 123456789012 }}");
}

#[test]
fn texts_and_lists_that_grow_by_factors_are_refused() {
    // A few megabytes show it as well as many.
    let limits = Limits {
        bytes: 8 << 20,
        ..Limits::default()
    };
    for (start, step) in [
        (r#""ab""#, "cat $x $x"),
        (r#""ab""#, "repeat 9 $x"),
        (r#""ab""#, "quote $x $x"),
        (r#""ab""#, "replace \"a\" $x $x"),
        (r#""ab""#, "join $x (list $x $x)"),
        (r#""ab""#, "regexReplaceAll \"a\" $x $x"),
        (r#""a b""#, "wrapWith 1 $x $x"),
        (r#""ab""#, "b64enc (printf \"%s%s\" $x $x)"),
        ("list 1", "concat $x $x"),
        ("list 1", "toJson (list $x $x)"),
    ] {
        let grown = format!(
            "{{{{ $x := {start} }}}}{{{{ range until 60 }}}}{{{{ $x = {step} }}}}{{{{ end }}}}"
        );
        exceeds_with(&grown, limits);
    }
}

#[test]
fn a_map_that_holds_itself_is_an_error_wherever_it_is_walked() {
    let circle = r#"{{ $d := dict "a" 1 }}{{ $_ := set $d "d" $d }}"#;
    for walk in [
        "toYaml $d",
        "toString $d",
        "deepCopy $d",
        "merge $d (dict \"d\" (deepCopy $d))",
    ] {
        let found = render(&format!("{circle}{{{{ {walk} }}}}"), Options::default());
        assert!(
            found.is_err() || found == Ok(String::new()),
            "{walk}: {found:?}"
        );
    }
    let two =
        r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $e := dict }}{{ $_ := set $e "d" $e }}"#;
    exceeds(&format!("{two}{{{{ deepEqual $d $e }}}}"));
    exceeds(&format!("{two}{{{{ merge $d $e }}}}"));
}

#[test]
fn regular_expressions_cost_what_they_take() {
    exceeds(r#"{{ regexMatch "(\\pL{1000}){1}" "a" }}"#);
    exceeds(r#"{{ range until 100000 }}{{ regexMatch (printf "a%d[a-z]{900}" .) "a" }}{{ end }}"#);
    let quadratic = r#"{{ $s := repeat 300000 "a" }}{{ regexReplaceAll "a*b|a" $s "" }}"#;
    exceeds(quadratic);
}

#[test]
fn a_password_costs_its_tenth_of_a_second() {
    exceeds(r#"{{ range until 1000 }}{{ derivePassword 1 "pin" "p" "u" "s" }}{{ end }}"#);
}
