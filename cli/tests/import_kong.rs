//! `import kong`: entities that name each other, and expressions for paths.

#![allow(clippy::unwrap_used, reason = "tests")]

mod command;

use command::{run_with, scratch};
use serde_json::{Value, json};

const CONSUMERS: &str = "consumers: [{ username: a, jwt_secrets: [{ key: k, secret: secret-secret-secret-secret-secret-1 }] }]\n";

/// The paths of the rules, where the exit code is `code`.
#[track_caller]
fn paths(input: &str, code: i32) -> Value {
    let said = run_with(&["import", "kong", "-"], &format!("{input}{CONSUMERS}"));
    assert_eq!(said.code, code, "{said:?}");
    let config: Value = serde_json::from_str(&said.out).unwrap();
    let rules = config.get("rules").and_then(Value::as_array).unwrap();
    rules
        .iter()
        .filter_map(|own| own.get("requires").and(own.pointer("/match/prefix")))
        .cloned()
        .collect()
}

#[test]
fn entities_that_name_each_other() {
    let flat = "services: [{ name: s }, { name: t, id: t1, routes: [{ paths: [/nested] }] }]\nroutes:\n\
                - { name: r1, paths: [/a], service: { name: s } }\n- { name: r2, paths: [/b], service: { id: t1 } }\n\
                - { name: r3, paths: [/c] }\n";
    for (plugins, expected) in [
        ("plugins: [{ name: jwt, service: { name: s } }]\n", json!(["/a"])),
        ("plugins: [{ name: jwt, service: s }]\n", json!(["/a"])),
        ("plugins: [{ name: jwt, service: t1 }]\n", json!(["/nested", "/b"])),
        ("plugins: [{ name: jwt, route: { name: r3 } }]\n", json!(["/c"])),
        ("plugins: [{ name: jwt, route: r2, service: null }]\n", json!(["/b"])),
        ("plugins: [{ name: jwt }, { name: jwt, enabled: false, route: r1 }]\n", json!(["/"])),
    ] {
        assert_eq!(paths(&format!("{flat}{plugins}"), 0), expected, "{plugins}");
    }
    let within = "services: [{ name: s, plugins: [{ name: jwt }] }]\nroutes:\n- { paths: [/a], service: { name: s } }\n\
                  - { paths: [/b], plugins: [{ name: jwt }] }\n- { paths: [/open] }\n";
    assert_eq!(paths(within, 0), json!(["/a", "/b"]));
    // What is elsewhere, nobody knows.
    for lost in [
        "services: [{ name: s, plugins: [{ name: jwt }] }]\n",
        "plugins: [{ name: jwt, service: { name: s } }]\n",
        "plugins: [{ name: jwt, route: { name: r } }]\n",
        "plugins: [{ name: jwt, consumer: a }]\n",
        "plugins: [{ name: jwt }]\nroutes: [{ paths: [/a], service: { name: s } }]\n",
        "plugins: [{ name: jwt }]\njwt_secrets: [{ consumer: b, key: k, secret: s }]\n",
        "routes: [{ expression: 'http.path == \"/a\"', plugins: [{ name: jwt }] }]\n",
        "routes: [{ paths: ['/items/[0-9]+'], plugins: [{ name: jwt }] }]\n",
    ] {
        paths(lost, 1);
    }
    let beside = "plugins: [{ name: jwt }]\nconsumers: [{ username: a }]\n\
                  jwt_secrets: [{ consumer: { username: a }, key: k, secret: secret-secret-secret-secret-secret-1 }]\n";
    let said = run_with(&["import", "kong", "-"], beside);
    assert!(said.code == 0 && said.out.contains("\"issuer\": \"k\""), "{said:?}");
}

#[test]
fn alternatives_of_paths_are_all_closed() {
    let file = scratch("import-kong-paths").join("gate.json");
    let input = format!(
        "routes: [{{ paths: ['~/admin|/private', '~/a/x|/b$'], plugins: [{{ name: jwt }}] }}]\n{CONSUMERS}"
    );
    let said = run_with(&["import", "kong", "-"], &input);
    assert_eq!(said.code, 0, "{said:?}");
    std::fs::write(&file, &said.out).unwrap();
    for (path, code) in [
        ("/admin", 1),
        ("/admin/a", 1),
        ("/private/a", 1),
        // So in Kong's usual router.
        ("/x/private", 1),
        ("/x/admin", 0),
        ("/a/x/y", 1),
        ("/b", 1),
        ("/b/y", 0),
        ("/c", 0),
    ] {
        let url = format!("https://h.example{path}");
        let arguments = ["explain", "-c", file.to_str().unwrap(), "-r", "GET", &url];
        assert_eq!(run_with(&arguments, "").code, code, "{path}: {said:?}");
    }
}
