//! Hostile templates end soon, with an error that names the template and the line.

use std::time::{Duration, Instant};

use helm_chart::render::template::{Engine, Error, Limits, Options, on_own_stack};

use crate::{data, functions};

fn run(text: &str, limits: Limits) -> Result<String, Error> {
    let options = Options {
        limits,
        ..Options::default()
    };
    let started = Instant::now();
    let run = || {
        let mut engine = Engine::new(functions::find, options);
        engine.add("t.yaml", text)?;
        engine.execute("t.yaml", &data::dot())
    };
    let result = on_own_stack(run).expect("a thread");
    // Optimized programs take a fiftieth of this on an idle machine.
    assert!(
        started.elapsed() < Duration::from_secs(100),
        "{:?}",
        started.elapsed()
    );
    result
}

/// Limits that tests reach soon.
fn small() -> Limits {
    Limits {
        steps: 1_000_000,
        bytes: 8 << 20,
        ..Limits::default()
    }
}

/// Expects that a limit is reached, with this message.
fn expect_limit(text: &str, message: &str) {
    let error = run(text, small()).expect_err("a limit is reached");
    assert!(error.is_limit(), "{error}");
    let error = error.to_string();
    assert!(error.starts_with("template: "), "{error}");
    assert!(error.contains(": executing \""), "{error}");
    assert!(error.contains(message), "{error}");
}

const STEPS: &str = "the render takes more than 1000000 steps";
const BYTES: &str = "the render prints and builds more than 8 MiB";

#[test]
fn loops_end() {
    for text in [
        "{{range 1000000000}}{{end}}",
        "{{range 1000000000}}{{$x := .}}{{end}}",
        "{{range 100000}}{{range 100000}}{{end}}{{end}}",
        "{{range $i := 100000000}}{{if $i}}{{else}}{{end}}{{end}}",
        "{{range 1000000000}}{{continue}}{{end}}",
        r#"{{define "a"}}{{range 1000}}{{end}}{{end}}{{range 1000000}}{{template "a"}}{{end}}"#,
    ] {
        expect_limit(text, STEPS);
    }
}

#[test]
fn output_is_bounded() {
    for text in [
        "{{range 1000000000}}{{repeat 200 $.s}}{{end}}",
        r#"{{range 100000}}{{repeat 100000 "a"}}{{end}}"#,
        r#"{{repeat 9000000000 "a"}}"#,
        r#"{{printf "%999999d" 1}}{{range 1000000}}{{printf "%999999d" 1}}{{end}}"#,
        r#"{{range 1000000}}{{tpl (print (repeat 10000 "x") .) .}}{{end}}"#,
    ] {
        expect_limit(text, BYTES);
    }
}

#[test]
fn the_default_limits_end_an_endless_loop() {
    let error = run("{{range 1000000000}}{{end}}", Limits::default()).expect_err("a limit");
    let message = "the render takes more than 32000000 steps";
    assert!(error.to_string().ends_with(message), "{error}");
}

#[test]
fn values_that_grow_are_bounded() {
    for text in [
        r#"{{$x := "ab"}}{{range 1000}}{{$x = print $x $x}}{{end}}"#,
        "{{$x := list 1}}{{range 1000000000}}{{$x = list $x $x $x $x $x $x $x $x}}{{end}}",
        "{{$x := list 1}}{{range 60}}{{$x = list $x $x}}{{end}}{{print $x}}",
        r#"{{define "a"}}{{.}}{{include "a" (print . .)}}{{end}}{{include "a" "abc"}}"#,
        r#"{{printf "%999999d%999999d%999999d%999999d%999999d%999999d%999999d%999999d%999999d" 1 1 1 1 1 1 1 1 1}}"#,
    ] {
        let error = run(text, small()).expect_err("a limit");
        assert!(error.is_limit(), "{text}: {error}");
    }
}

#[test]
fn values_that_are_nested_deeply_are_dropped_without_recursion() {
    let list = "{{$x := list}}{{range 100000}}{{$x = list $x}}{{end}}{{len $x}}";
    assert_eq!(run(list, Limits::default()).expect("a text"), "1");
    let dict = r#"{{$x := dict}}{{range 100000}}{{$x = dict "a" $x}}{{end}}{{len $x}}"#;
    assert_eq!(run(dict, Limits::default()).expect("a text"), "1");
    let mixed = r#"{{$x := dict}}{{range 50000}}{{$x = dict "a" (list $x)}}{{end}}{{len $x}}"#;
    assert_eq!(run(mixed, Limits::default()).expect("a text"), "1");
}

#[test]
fn a_map_that_contains_itself_is_refused_where_it_is_printed() {
    for text in [
        r#"{{$_ := set .map "self" .map}}{{.map}}"#,
        r#"{{$_ := set .map "self" (list (dict "a" .map))}}{{print .map}}"#,
        r#"{{$_ := set . "self" .}}{{printf "%v" .}}"#,
    ] {
        let error = run(text, Limits::default()).expect_err("a limit");
        assert!(error.is_limit(), "{error}");
        assert!(
            error.to_string().contains("levels of lists and maps"),
            "{error}"
        );
    }
    let harmless = r#"{{$_ := set .map "self" .map}}{{.map.self.self.self.two}}"#;
    assert_eq!(run(harmless, Limits::default()).expect("a text"), "zwei");
}

#[test]
fn a_template_that_includes_itself_ends_with_helms_message() {
    for text in [
        r#"{{define "a"}}{{include "a" .}}{{end}}{{include "a" .}}"#,
        r#"{{define "a"}}{{if true}}{{with .}}{{range list 1}}{{include "a" .}}{{end}}{{end}}{{end}}{{end}}{{include "a" .}}"#,
        r#"{{define "a"}}{{include "b" .}}{{end}}{{define "b"}}{{include "a" .}}{{end}}{{include "a" .}}"#,
    ] {
        let error = run(text, Limits::default()).expect_err("endless");
        assert!(!error.is_limit());
        let error = error.to_string();
        let message = "error calling include: rendering template has a nested reference name: a: \
            unable to execute template";
        assert!(error.ends_with(message), "{}", &error[error.len() - 300..]);
        // As often as Helm.
        let times = error
            .matches(r#"at <include "a" .>: error calling include"#)
            .count();
        assert_eq!(times, 1002);
    }
}

#[test]
fn a_template_may_include_itself_a_thousand_times() {
    let text = r#"{{define "a"}}{{if lt . 1001}}{{include "a" (add . 1)}}{{else}}end{{end}}{{end}}{{include "a" 1}}"#;
    assert_eq!(run(text, Limits::default()).expect("a text"), "end");
}

#[test]
fn templates_that_call_themselves_end() {
    for text in [
        r#"{{define "a"}}{{template "a" .}}{{end}}{{template "a" .}}"#,
        r#"{{define "a"}}{{if true}}{{with .}}{{range list 1}}{{template "a" .}}{{end}}{{end}}{{end}}{{end}}{{template "a" .}}"#,
        r#"{{tpl "{{template \"gotpl\" .}}" .}}"#,
        r#"{{$_ := set . "text" "{{tpl .text .}}"}}{{tpl .text .}}"#,
        r#"{{$_ := set . "text" "{{if true}}{{with .}}{{if (print (upper (tpl .text .)))}}{{end}}{{end}}{{end}}"}}{{tpl .text .}}"#,
    ] {
        expect_limit(text, "exceeded maximum template depth (3000)");
    }
}

#[test]
fn a_limit_is_reported_where_it_is_reached_and_nowhere_else() {
    let text = "{{define \"a\"}}\n  {{range 100000000}}{{end}}{{end}}{{include \"a\" . | upper}}";
    let error = run(text, small()).expect_err("a limit").to_string();
    let place = "template: t.yaml:2:10: executing \"a\" at <100000000>: ";
    assert_eq!(error, format!("{place}{STEPS}"));
}

#[test]
fn deep_nesting_is_refused_when_parsing() {
    for (open, close, message) in [
        (
            "{{if true}}",
            "{{end}}",
            "max nesting depth of control structures exceeded",
        ),
        (
            "{{range .list}}",
            "{{end}}",
            "max nesting depth of control structures exceeded",
        ),
        (
            "{{with .}}",
            "{{end}}",
            "max nesting depth of control structures exceeded",
        ),
        (
            "{{block \"a\" .}}",
            "{{end}}",
            "max nesting depth of control structures exceeded",
        ),
        (
            "{{if false}}{{else if true}}",
            "{{end}}",
            "max nesting depth",
        ),
    ] {
        let text = open.repeat(100_000) + &close.repeat(100_000);
        let error = run(&text, Limits::default())
            .expect_err("too deep")
            .to_string();
        assert!(error.starts_with("parse error at (t.yaml:1): "), "{error}");
        assert!(error.contains(message), "{error}");
    }
    let parens = format!("{{{{{}1{}}}}}", "(".repeat(100_000), ")".repeat(100_000));
    let error = run(&parens, Limits::default())
        .expect_err("too deep")
        .to_string();
    assert_eq!(
        error,
        "parse error at (t.yaml:1): max expression depth exceeded"
    );
    let chain = "{{if false}}".to_owned() + &"{{else if false}}".repeat(100_000) + "{{end}}";
    let error = run(&chain, Limits::default())
        .expect_err("too deep")
        .to_string();
    assert!(error.contains("max nesting depth"), "{error}");
}

#[test]
fn nesting_as_deep_as_allowed_works() {
    let depth = Limits::default().nesting;
    let text = "{{if true}}".repeat(depth) + "x" + &"{{end}}".repeat(depth);
    assert_eq!(run(&text, Limits::default()).expect("a text"), "x");
    let text = format!("{{{{{}1{}}}}}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(run(&text, Limits::default()).expect("a text"), "1");
    let chain =
        "{{if false}}".to_owned() + &"{{else if false}}".repeat(depth - 2) + "{{else}}y{{end}}";
    assert_eq!(run(&chain, Limits::default()).expect("a text"), "y");
    // All of it in each of many templates within each other.
    let open = "{{if true}}".repeat(depth);
    let close = "{{end}}".repeat(depth);
    let text = format!(
        r#"{{{{define "a"}}}}{open}{{{{template "a" .}}}}{close}{{{{end}}}}{{{{template "a"}}}}"#
    );
    assert!(
        run(&text, Limits::default())
            .expect_err("a limit")
            .is_limit()
    );
}

#[test]
fn limits_can_be_set() {
    let limits = Limits {
        steps: 100,
        bytes: 1000,
        depth: 3,
        nesting: 2,
        levels: 100,
    };
    let error = |text: &str| run(text, limits).expect_err("a limit").to_string();
    assert!(error("{{range 1000}}{{end}}").ends_with("the render takes more than 100 steps"));
    assert!(error(r#"{{repeat 1001 "a"}}"#).contains("prints and builds more than"));
    assert!(
        error(r#"{{define "a"}}{{template "a"}}{{end}}{{template "a"}}"#).contains("depth (3)")
    );
    assert!(error("{{if 1}}{{if 1}}{{if 1}}{{end}}{{end}}{{end}}").contains("nesting depth"));
    assert_eq!(
        run("{{if 1}}{{if 1}}a{{end}}{{end}}", limits).expect("a text"),
        "a"
    );
}
