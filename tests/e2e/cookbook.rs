//! The recipes of `docs/cookbook.md`, side by side in one Envoy: their requests, with keys from where the
//! configurations say.

#[path = "../cookbook/recipe.rs"]
mod recipe;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jwt_gate::denial::Reason;
use jwt_gate_demo::backend;
use jwt_gate_demo::bootstrap::{cluster, listener};
use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions};
use jwt_gate_demo::http::{Request, Response};
use jwt_gate_demo::serve::Server;
use serde_json::{Value, json};

use crate::bed::{any_port, filter, in_both, module, seen};
use recipe::{Example, Recipe, recipes};

/// All issuers of the cookbook at one port, by the host that is asked for.
fn issuers(recipes: &Arc<Mutex<Vec<Recipe>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let recipes = Arc::clone(recipes);
    // Ends with the test process.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream, &recipes);
        }
    });
    port
}

fn answer(mut stream: TcpStream, recipes: &Mutex<Vec<Recipe>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&part[..read]);
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let (status, body) = match content(&format!("https://{host}{path}"), &recipes.lock().unwrap()) {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", String::new()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes())
}

/// What is at an address: of a key set, the keys of all recipes.
fn content(address: &str, recipes: &[Recipe]) -> Option<String> {
    let found: Vec<_> = recipes.iter().filter_map(|recipe| recipe.serve(address)).collect();
    let mut keys: Vec<Value> = Vec::new();
    for text in &found {
        let json: Value = serde_json::from_str(text).unwrap();
        let Some(own) = json["keys"].as_array() else { return Some(text.clone()) };
        keys.extend(own.iter().filter(|key| !keys.contains(key)).cloned().collect::<Vec<_>>());
    }
    (!found.is_empty()).then(|| json!({ "keys": keys }).to_string())
}

/// The names of clusters in a configuration of the gate.
fn clusters(config: &Value, names: &mut BTreeSet<String>) {
    match config {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str().filter(|_| name == "cluster") {
                    Some(cluster) => drop(names.insert(cluster.to_owned())),
                    None => clusters(value, names),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| clusters(item, names)),
        _ => {}
    }
}

/// The listener of a recipe: its own, if it is a whole Envoy, with another port and file.
fn listener_of(recipe: &Recipe) -> Value {
    let own = &recipe.document["static_resources"]["listeners"][0];
    let mut listener = match own {
        Value::Null => listener(&recipe.file, &[filter(&recipe.config)]),
        own => own.clone(),
    };
    listener["name"] = recipe.file.as_str().into();
    listener["address"] = json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } });
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager["forward_client_cert_details"] = "ALWAYS_FORWARD_ONLY".into();
    for filter in manager["http_filters"].as_array_mut().unwrap() {
        if let Some(file) = filter.pointer_mut("/typed_config/config/vm_config/code/local/filename")
        {
            *file = json!(module());
        }
    }
    listener
}

fn send(recipe: &mut Recipe, example: &Example, port: u16) -> Response {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (path, headers) = recipe.request(example, now);
    let mut request = Request::new(&example.method, path);
    for (name, value) in headers {
        request = request.header(if name == ":authority" { "host" } else { &name }, value);
    }
    request.send((Ipv4Addr::LOCALHOST, port)).unwrap()
}

#[track_caller]
fn check(recipe: &str, example: &Example, answer: &Response) {
    let place = format!("{recipe}: {}", example.line);
    let is_grpc = example.headers.iter().any(|(_, value)| value == "application/grpc");
    let (status, reason) = example.expected.split_once(' ').unwrap_or((&example.expected, ""));
    if status == "pass" || example.is_envoys() {
        let status = if status == "pass" { "200" } else { status };
        assert_eq!(answer.status.to_string(), status, "{place}: {}", answer.text());
    } else {
        let text = Reason::from_code(reason).unwrap().text();
        if is_grpc {
            let told = ["grpc-status", "grpc-message"].map(|name| answer.header(name).unwrap());
            let code = if status == "401" { "16" } else { "7" };
            assert_eq!((answer.status, told), (200, [code, text].map(str::to_owned)), "{place}");
        } else {
            let told = (answer.status.to_string(), answer.text());
            assert_eq!(told, (status.to_owned(), text.to_owned()), "{place}");
        }
    }
    for (name, value) in &example.details {
        let found = match (status, name.as_str()) {
            ("pass", ":path") => answer.json().unwrap()["path"].as_str().map(str::to_owned),
            ("pass", name) => seen(answer, name).pop(),
            (_, name) => answer.header(name),
        };
        assert_eq!(found.as_deref().unwrap_or("none"), value, "{place}: {name}");
    }
}

in_both!(every_recipe_in_envoy);
fn every_recipe_in_envoy(version: &'static str) {
    let (recipes, _) = recipes();
    let listeners: Vec<_> = recipes.iter().map(listener_of).collect();
    let mut names = BTreeSet::new();
    recipes.iter().for_each(|recipe| clusters(&recipe.config, &mut names));
    let examples: Vec<Vec<Example>> =
        recipes.iter().map(|recipe| recipe.examples.clone()).collect();
    let recipes = Arc::new(Mutex::new(recipes));
    let port = issuers(&recipes);
    let backend = Server::start(any_port(), backend::router(), None).unwrap();
    let mut all = vec![cluster("backend", "127.0.0.1", backend.addr().port(), None)];
    all.extend(names.iter().map(|name| cluster(name, "127.0.0.1", port, None)));
    let bootstrap = json!({ "static_resources": { "listeners": listeners, "clusters": all } });
    let binary = envoy::find(version).unwrap();
    let envoy = Envoy::start(&binary, &bootstrap, EnvoyOptions::default()).unwrap();
    let mut count = 0;
    for (index, examples) in examples.iter().enumerate() {
        let file = recipes.lock().unwrap()[index].file.clone();
        let port = envoy.listener_port(&file).unwrap();
        for example in examples {
            // The issuers need the recipes while the request waits for them.
            let mut one = {
                let mut all = recipes.lock().unwrap();
                all[index].note(example);
                all[index].clone()
            };
            check(&file, example, &send(&mut one, example, port));
            count += 1;
        }
    }
    println!("{version}: {count} requests of {} recipes", examples.len());
}
