//! The functions of Sprig and Helm: what Helm 3.22.0 prints for the same calls.
//!
//! The tables hold one case a line: a call, an arrow, and what Helm makes of it: `⇒` what it prints,
//! `⇏` the message of its error. `␤`, `␉` and `␍` mean a newline, a tab and a carriage return.

#[path = "functions/hostile.rs"]
mod hostile;
#[path = "functions/names.rs"]
mod names;
#[path = "functions/stand_ins.rs"]
mod stand_ins;

use helm_chart::render::functions;
use helm_chart::render::template::{Engine, Options, on_own_stack};
use helm_chart::render::value::{Map, Value};

/// What a template prints, or its error, as Helm words it.
fn render(text: &str, options: Options) -> Result<String, String> {
    let run = || {
        let mut engine = Engine::new(functions::find, options);
        let added = engine.add("t.yaml", text);
        let printed = added.and_then(|()| engine.render("t.yaml", &Value::Map(Map::new())));
        printed.map_err(|error| error.to_string())
    };
    on_own_stack(run).expect("a thread")
}

/// What a call prints, or the message of its error without its place.
fn call(call: &str) -> Result<String, String> {
    render(&format!("{{{{ {call} }}}}"), Options::default()).map_err(|error| {
        let (_, message) = error
            .split_once(">: ")
            .or_else(|| error.split_once("): "))
            .unwrap_or(("", &error));
        message.to_owned()
    })
}

fn visible(text: &str) -> String {
    text.replace('\n', "␤")
        .replace('\t', "␉")
        .replace('\r', "␍")
}

fn check(table: &str) {
    let mut failed = Vec::new();
    let lines: Vec<&str> = table.lines().collect();
    for line in &lines {
        let (template, expected) = match (line.split_once(" ⇒ "), line.split_once(" ⇏ ")) {
            (Some((template, printed)), _) => (template, Ok(printed.to_owned())),
            (None, Some((template, error))) => (template, Err(error.to_owned())),
            (None, None) => panic!("not a case: {line}"),
        };
        let text = template
            .replace('␤', "\n")
            .replace('␉', "\t")
            .replace('␍', "\r");
        let found = call(&text)
            .map(|text| visible(&text))
            .map_err(|text| visible(&text));
        if found != expected {
            failed.push(format!(
                "{template}\n  Helm: {expected:?}\n  here: {found:?}"
            ));
        }
    }
    let (failures, cases) = (failed.len(), lines.len());
    assert!(cases > 0, "the table has no cases");
    assert!(
        failures == 0,
        "{failures} of {cases} cases:\n{}",
        failed.join("\n")
    );
}

macro_rules! tables {
    ($($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                check(include_str!(concat!("functions/", stringify!($name), ".txt")));
            }
        )*
    };
}

tables! {
    certificates,
    conversion,
    crypto,
    dates,
    dicts,
    encoding,
    flow,
    lists,
    math,
    paths,
    random,
    reflection,
    regex,
    semver,
    strings,
    url,
}
