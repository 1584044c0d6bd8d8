//! Several templates in one set, and errors in Helm's words.

use helm_chart::render::template::{Engine, Options, on_own_stack};

use crate::{data, functions};

/// Renders the last of some files.
fn render(files: &[(&str, &str)]) -> Result<String, String> {
    let run = || {
        let mut engine = Engine::new(functions::find, Options::default());
        for (name, text) in files {
            engine.add(name, *text).map_err(|error| error.to_string())?;
        }
        let (name, _) = files.last().expect("a file");
        engine
            .render(name, &data::dot())
            .map_err(|error| error.to_string())
    };
    on_own_stack(run).expect("a thread")
}

#[test]
fn templates_of_one_file_are_visible_in_another() {
    let files = [
        ("_helpers.tpl", r#"{{define "name"}}n-{{.s}}{{end}}"#),
        ("a.yaml", r#"{{template "name" .}} {{include "name" .}}"#),
    ];
    assert_eq!(render(&files).as_deref(), Ok("n-text n-text"));
}

#[test]
fn a_later_definition_replaces_an_earlier_one() {
    let files = [
        ("one.tpl", r#"{{define "name"}}one{{end}}"#),
        ("two.tpl", r#"{{define "name"}}two{{end}}"#),
        ("a.yaml", r#"{{template "name"}}"#),
    ];
    assert_eq!(render(&files).as_deref(), Ok("two"));
}

#[test]
fn a_blank_definition_does_not_replace_another() {
    for blank in ["", "  \n\t ", "{{/* nothing */}}"] {
        let two = format!("{{{{define \"name\"}}}}{blank}{{{{end}}}}");
        let files = [
            ("one.tpl", r#"{{define "name"}}one{{end}}"#),
            ("two.tpl", &two),
            ("a.yaml", r#"{{template "name"}}"#),
        ];
        assert_eq!(render(&files).as_deref(), Ok("one"), "{blank:?}");
    }
}

#[test]
fn a_definition_without_a_text_but_with_an_action_replaces_another() {
    let files = [
        ("one.tpl", r#"{{define "name"}}one{{end}}"#),
        ("two.tpl", r#"{{define "name"}}{{if false}}{{end}}{{end}}"#),
        ("a.yaml", r#"[{{template "name"}}]"#),
    ];
    assert_eq!(render(&files).as_deref(), Ok("[]"));
}

#[test]
fn a_file_can_be_defined_by_another_and_included_by_its_name() {
    let files = [
        ("a.yaml", r#"{{define "b.yaml"}}from a{{end}}"#),
        ("b.yaml", "  "),
    ];
    assert_eq!(render(&files).as_deref(), Ok("from a"));
    let files = [
        ("a.yaml", "A{{.s}}"),
        ("b.yaml", r#"{{include "a.yaml" .}}"#),
    ];
    assert_eq!(render(&files).as_deref(), Ok("Atext"));
}

#[test]
fn names_are_listed_in_order() {
    let mut engine = Engine::new(functions::find, Options::default());
    engine
        .add("b.yaml", r#"{{define "c"}}{{end}}{{block "a" .}}x{{end}}"#)
        .unwrap();
    let names = engine.names();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["a", "b.yaml", "c"]);
}

#[test]
fn no_value_is_removed_from_what_is_rendered() {
    let files = [("a.yaml", "a: {{.nope}}\nb: <no value>{{print .n}}\n")];
    assert_eq!(render(&files).as_deref(), Ok("a: \nb: <nil>\n"));
    // A template that another one includes still has it.
    let files = [
        ("_a", r#"{{define "a"}}{{.nope}}{{end}}"#),
        ("a.yaml", r#"{{include "a" . | upper}}"#),
    ];
    assert_eq!(render(&files).as_deref(), Ok("<NO VALUE>"));
}

#[test]
fn a_file_that_is_no_template_is_reported_as_helm_does() {
    let files = [("chart/templates/a.yaml", "a\n{{ nope .s }}")];
    let error = r#"parse error at (chart/templates/a.yaml:2): function "nope" not defined"#;
    assert_eq!(render(&files), Err(error.to_owned()));
    let files = [("a.yaml", "{{ if }}")];
    let error = "parse error at (a.yaml:1): missing value for if";
    assert_eq!(render(&files), Err(error.to_owned()));
}

#[test]
fn a_charts_own_message_is_all_that_helm_says() {
    let error = "execution error at (a.yaml:1:4): clusterName is required";
    for text in [
        r#"a {{fail "clusterName is required"}}"#,
        r#"a {{include "b" .}}"#,
        r#"a {{tpl "{{fail \"clusterName is required\"}}" .}}"#,
    ] {
        let files = [
            (
                "_b.tpl",
                r#"{{define "b"}}{{fail "clusterName is required"}}{{end}}"#,
            ),
            ("a.yaml", text),
        ];
        assert_eq!(render(&files), Err(error.to_owned()), "{text}");
    }
}

#[test]
fn other_errors_are_gos() {
    let files = [
        ("_b.tpl", "{{define \"b\"}}\n{{.nope.x}}{{end}}"),
        ("a.yaml", r#"a {{include "b" . | upper}}"#),
    ];
    let error = "template: a.yaml:1:4: executing \"a.yaml\" at <include \"b\" .>: error calling include: \
        template: _b.tpl:2:7: executing \"b\" at <.nope.x>: nil pointer evaluating interface {}.x";
    assert_eq!(render(&files), Err(error.to_owned()));
}

#[test]
fn a_template_that_does_not_exist_is_named() {
    let run = || {
        let mut engine = Engine::new(functions::find, Options::default());
        engine
            .execute("nope", &data::dot())
            .map_err(|error| error.to_string())
    };
    let error = r#"template: no template "nope" associated with template "gotpl""#;
    assert_eq!(on_own_stack(run).expect("a thread"), Err(error.to_owned()));
}

#[test]
fn an_engine_goes_on_after_an_error() {
    let run = || {
        let mut engine = Engine::new(functions::find, Options::default());
        engine
            .add("bad", r#"x{{tpl "{{define \"d\"}}y{{end}}z{{.s.x}}" .}}"#)
            .unwrap();
        engine
            .add(
                "good",
                r#"{{tpl "{{include \"a\" .}}" .}}{{define "a"}}A{{end}}"#,
            )
            .unwrap();
        let dot = data::dot();
        assert!(engine.execute("bad", &dot).is_err());
        assert!(!engine.names().iter().any(|name| &**name == "d"));
        engine
            .execute("good", &dot)
            .map_err(|error| error.to_string())
    };
    assert_eq!(on_own_stack(run).expect("a thread").as_deref(), Ok("A"));
}

#[test]
fn what_one_template_sets_the_next_one_sees() {
    let run = || {
        let mut engine = Engine::new(functions::find, Options::default());
        engine
            .add("a", r#"{{$_ := set .map "new" "value"}}"#)
            .unwrap();
        engine.add("b", "{{.map.new}}").unwrap();
        let dot = data::dot();
        engine
            .execute("a", &dot)
            .map_err(|error| error.to_string())?;
        engine.execute("b", &dot).map_err(|error| error.to_string())
    };
    assert_eq!(on_own_stack(run).expect("a thread").as_deref(), Ok("value"));
}
