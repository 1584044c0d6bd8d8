//! TOML as Helm's toToml writes it.

use super::*;

#[test]
fn tables_are_laid_out_as_the_go_library_does() {
    let rows = rows(include_str!("toml.jsonl"));
    let mut differences = Vec::new();
    for row in &rows {
        let toml = match to_toml(&from_json_value(&row["value"]), &Limits::default()) {
            Err(Failure::Error(error)) => Ok(error),
            result => result,
        };
        compare(&mut differences, row, &toml, &row["toml"]);
    }
    check(&differences, rows.len(), 35);
}

#[test]
fn types_that_toml_lacks_become_their_neighbours() {
    let value = map([
        ("bytes", Value::Bytes(b"hi".as_slice().into())),
        ("duration", Value::Int(90_000_000_000, IntType::Duration)),
        ("float", Value::Float(f64::NEG_INFINITY)),
        ("int", Value::Int(3, IntType::Int)),
        ("nan", Value::Float(f64::NAN)),
    ]);
    let expected = "bytes = [104, 105]\nduration = \"1m30s\"\nfloat = -inf\nint = 3\nnan = nan\n";
    let toml = to_toml(&value, &Limits::default());
    assert_eq!(toml.as_deref(), Ok(expected));
    let nil = to_toml(&Value::Nil, &Limits::default());
    assert!(matches!(nil, Err(Failure::Panic(_))), "{nil:?}");
}
