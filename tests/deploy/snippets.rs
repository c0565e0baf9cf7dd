//! Parts of an Envoy's configuration that documents show: Envoy takes them at the place they are for.

use std::fs;

use jwt_gate_demo::bootstrap::listener;
use jwt_gate_demo::envoy::{self, PINNED};
use jwt_gate_demo::wasm;
use serde_json::{Value, json};

/// The blocks of a kind, each as a value.
fn blocks(text: &str) -> Vec<Value> {
    let blocks = text.split("\n```yaml\n").skip(1);
    blocks
        .map(|rest| serde_saphyr::from_str(rest.split("\n```").next().unwrap()).unwrap())
        .collect()
}

/// Fields of the connection manager, and a filter of its access log.
#[test]
fn parts_for_access_logs_and_traces_are_accepted() {
    let blocks = blocks(include_str!("../../docs/observability.md"));
    assert_eq!(blocks.len(), 3);
    let mut listener = listener("http", &[]);
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    for block in blocks {
        for (field, value) in block.as_object().unwrap() {
            match field.as_str() {
                "filter" => manager["access_log"][0]["filter"] = value.clone(),
                field => manager[field] = value.clone(),
            }
        }
    }
    let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
    *routes = json!([{ "match": { "prefix": "/" }, "direct_response": { "status": 200 } }]);
    let bootstrap = json!({ "static_resources": { "listeners": [listener] } });
    let folder = wasm::workspace().join(format!("target/envoy/{}-snippets", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("envoy.json");
    fs::write(&file, bootstrap.to_string()).unwrap();
    envoy::validate(&envoy::find(PINNED).unwrap(), &file).unwrap();
    fs::remove_dir_all(folder).unwrap();
}
