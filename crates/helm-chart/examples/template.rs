//! Prints a chart as `helm template` does: `template template NAME ARCHIVE [-f VALUES] [--kube-version V]`.
use helm_chart::archive::Keep;
use helm_chart::chart::Chart;
use helm_chart::render::release::{Options, Print, render};
use helm_chart::render::{Capabilities, KubeVersion};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let mut options = Options {
        name: args[2].clone(),
        ..Options::default()
    };
    let mut values = serde_json::Value::Object(serde_json::Map::new());
    let mut i = 4;
    while i + 1 < args.len() {
        match args[i].as_str() {
            "-f" => {
                let text = std::fs::read_to_string(&args[i + 1]).unwrap();
                if let Some(node) =
                    helm_chart::yaml::first(&text, &helm_chart::yaml::Limits::default()).unwrap()
                {
                    values = floats(node.to_helm_json().unwrap());
                    if values.is_null() {
                        values = serde_json::json!({});
                    }
                }
            }
            "--kube-version" => {
                options.capabilities = Capabilities {
                    kube_version: KubeVersion::parse(&args[i + 1]).unwrap(),
                    api_versions: Vec::new(),
                }
            }
            _ => {}
        }
        i += 2;
    }
    let path = std::path::Path::new(&args[3]);
    let chart = if path.is_dir() {
        Chart::read_folder(path)
    } else {
        Chart::read(&std::fs::read(path).unwrap(), Keep::Everything)
    };
    let result = chart
        .map_err(|e| format!("{e:#}"))
        .and_then(|chart| render(&chart, &values, &options).map_err(|e| e.to_string()));
    match result {
        Ok(rendered) => print!("{}", rendered.to_text(Print::default())),
        Err(error) => {
            eprintln!("Error: {error}");
            std::process::exit(1)
        }
    }
}

fn floats(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value as V;
    match value {
        V::Number(n) => n.as_f64().map_or(V::Number(n), V::from),
        V::Array(a) => a.into_iter().map(floats).collect(),
        V::Object(o) => V::Object(o.into_iter().map(|(k, v)| (k, floats(v))).collect()),
        other => other,
    }
}
