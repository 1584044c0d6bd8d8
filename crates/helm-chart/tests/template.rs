//! Templates in, text or error out: the behaviour of Go's text/template, case by case.
//!
//! The tables hold one case a line: a template, an arrow, and what Go 1.26 makes of it: `⇒` what it
//! prints, `⇏` its error. `␤`, `␉` and `␍` mean a newline, a tab and a carriage return.

#[path = "template/data.rs"]
mod data;
#[path = "template/functions.rs"]
mod functions;
#[path = "template/limits.rs"]
mod limits;
#[path = "template/sets.rs"]
mod sets;

use helm_chart::render::template::{Engine, MissingKey, Options, on_own_stack};

/// What a template prints, or Go's error.
fn run(text: &str, options: Options) -> Result<String, String> {
    let run = || {
        let mut engine = Engine::new(functions::find, options);
        engine
            .add("t.yaml", text)
            .map_err(|error| error.go().to_owned())?;
        let printed = engine.execute("t.yaml", &data::dot());
        printed.map_err(|error| error.go().to_owned())
    };
    on_own_stack(run).expect("a thread")
}

fn visible(text: &str) -> String {
    text.replace('\n', "␤")
        .replace('\t', "␉")
        .replace('\r', "␍")
}

fn check(table: &str, options: Options) {
    let mut failed = Vec::new();
    let mut cases = 0;
    let lines = table.lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        let (template, expected) = match (line.split_once(" ⇒ "), line.split_once(" ⇏ ")) {
            (Some((template, printed)), _) => (template, Ok(printed.to_owned())),
            (None, Some((template, error))) => (template, Err(error.to_owned())),
            (None, None) => panic!("not a case: {line}"),
        };
        let text = template
            .replace('␤', "\n")
            .replace('␉', "\t")
            .replace('␍', "\r");
        let found = run(&text, options);
        let found = found
            .map(|text| visible(&text))
            .map_err(|text| visible(&text));
        cases += 1;
        if found != expected {
            failed.push(format!(
                "{template}\n  Go:   {expected:?}\n  here: {found:?}"
            ));
        }
    }
    assert!(cases > 0, "the table has no cases");
    let failures = failed.len();
    assert!(
        failed.is_empty(),
        "{failures} of {cases} cases:\n{}",
        failed.join("\n")
    );
}

macro_rules! tables {
    ($($name:ident: $file:literal,)*) => {
        $(
            #[test]
            fn $name() {
                check(include_str!(concat!("template/", $file, ".txt")), Options::default());
            }
        )*
    };
}

tables! {
    text_and_trim_markers_are_read_as_go_reads_them: "text_and_trim",
    numbers_are_gos_ideal_constants: "numbers",
    the_parser_refuses_what_gos_refuses: "parse_errors",
    variables_have_gos_scopes: "variables",
    control_structures_branch_and_loop_as_gos: "control",
    fields_methods_and_nil_are_evaluated_as_gos: "fields",
    arguments_are_checked_against_the_parameters: "functions",
    builtin_functions_are_gos: "builtins",
    templates_call_each_other_as_in_go_and_helm: "templates",
}

#[test]
fn strict_mode_reports_missing_keys() {
    let options = Options {
        missing_key: MissingKey::Error,
        ..Options::default()
    };
    check(include_str!("template/strict.txt"), options);
}

#[test]
fn gos_default_has_no_value_for_missing_keys() {
    let options = Options {
        missing_key: MissingKey::Invalid,
        ..Options::default()
    };
    check(include_str!("template/invalid.txt"), options);
}
