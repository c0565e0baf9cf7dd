//! The recipes of `docs/cookbook.md`: every file is one, and every request is answered as it says.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "../gate/mod.rs"]
mod gate;
mod recipe;

use std::collections::BTreeSet;
use std::fs;

use gate::{Gate, NOW, told};
use jwt_gate::engine::Decision;
use jwt_gate::jwks::answer::Answer;
use jwt_gate::request::RequestEdit;
use jwt_gate::time::UnixTime;

use recipe::{Recipe, folder, recipes};

#[test]
fn every_file_is_a_recipe() {
    let (recipes, linked) = recipes();
    let files = fs::read_dir(folder()).unwrap();
    let files: BTreeSet<_> =
        files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, linked);
    assert!(recipes.len() >= 20);
}

/// Answers whatever is to be fetched.
fn serve(gate: &mut Gate, recipe: &Recipe, now: u64) {
    gate.tick(now);
    while !gate.fetches.is_empty() {
        for (id, request) in std::mem::take(&mut gate.fetches) {
            let value = |name: &str| {
                let found = request.headers.iter().find(|(own, _)| own == name);
                found.unwrap().1.as_str()
            };
            let address =
                format!("{}://{}{}", value(":scheme"), value(":authority"), value(":path"));
            let body = recipe.serve(&address);
            let body = body.unwrap_or_else(|| panic!("{}: nobody is at {address}", recipe.file));
            let headers = vec![(b":status".to_vec(), b"200".to_vec())];
            let answer = Answer { headers, body: body.into_bytes() };
            gate.engine.handle_fetched(id, Ok(&answer), UnixTime::from_secs(now));
        }
        gate.tick(now);
    }
}

/// What a request is like for the backend, or what a client is told.
fn headers_after(sent: &[(String, String)], decision: &Decision) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    let edits = match decision {
        Decision::Forward(edits) => edits,
        Decision::Reject(rejection) => {
            let headers = rejection.headers.iter();
            return headers.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        }
        _ => panic!("{decision:?}"),
    };
    let mut headers = sent.to_vec();
    for edit in edits {
        match edit {
            RequestEdit::Add(name, value) => headers.push((name.clone(), text(value))),
            RequestEdit::Remove(name) => headers.retain(|(own, _)| *own != text(name)),
            RequestEdit::Replace(name, value) => {
                headers.retain(|(own, _)| own != name);
                headers.push((name.clone(), text(value)));
            }
            RequestEdit::ClearRouteCache | RequestEdit::Record(..) | RequestEdit::State(..) => {}
        }
    }
    headers
}

#[test]
fn requests_are_answered_as_the_recipes_say() {
    let mut count = 0;
    for mut recipe in recipes().0 {
        let mut gate = Gate::new(&recipe.config);
        let mut now = NOW;
        for example in recipe.examples.clone() {
            now += 1;
            let (path, headers) = recipe.request(&example, now);
            let mut sent =
                vec![(":method".to_owned(), example.method.clone()), (":path".to_owned(), path)];
            sent.extend(headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)));
            let head: Vec<_> = sent.iter().map(|(name, value)| (&**name, &**value)).collect();
            serve(&mut gate, &recipe, now);
            let mut decision = gate.decide(now, &head);
            if matches!(decision, Decision::Wait) {
                while gate.answered.is_empty() {
                    now += 1;
                    serve(&mut gate, &recipe, now);
                }
                let answer = gate.answered.pop();
                assert_eq!(answer.as_ref(), Some(&example.expected), "{}", example.line);
                if example.expected != "pass" {
                    continue;
                }
                // Once more, for its headers.
                decision = gate.decide(now, &head);
            }
            if example.is_envoys() {
                continue;
            }
            assert_eq!(told(&decision), example.expected, "{}: {}", recipe.file, example.line);
            let after = headers_after(&sent, &decision);
            for (name, value) in &example.details {
                let found = after.iter().find(|(own, _)| own == name);
                let found = found.map_or("none", |(_, value)| value);
                assert_eq!(found, value, "{}: {}: {name}", recipe.file, example.line);
            }
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}
