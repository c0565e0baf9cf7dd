//! What is bounded, and by how much: `docs/limits.md` lists every limit in the sources with its value and a
//! test. Here are those of tokens, keys and configurations at their very edge; others are where what they
//! bound is tested.
#![expect(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

mod gate;
mod names;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gate::{Gate, NOW, told};
use jwt_gate::engine::{Decision, Effect, MAX_BODY, StreamId};
use jwt_gate::jose::jwk::{JwkError, KeyStrength, MAX_RSA_BITS, MAX_SECRET_OCTETS};
use jwt_gate::jose::jws::MAX_TOKEN_OCTETS;
use jwt_gate::json::MAX_DEPTH;
use jwt_gate::jwks::answer::Answer;
use jwt_gate::jwks::key_set::{KeySet, KeySetError, MAX_KEYS};
use jwt_gate::policy::Policy;
use jwt_gate::policy::check::MAX_SIGNATURE_CHECKS;
use jwt_gate::policy::evaluate::MAX_TOKENS;
use jwt_gate::request::RequestHead;
use jwt_gate::time::UnixTime;
use jwt_gate_demo::keys::{Alg, SigningKey, base64url, jwks};
use serde_json::{Value, json};

fn key() -> SigningKey {
    SigningKey::generate(Alg::HS256, "k")
}

fn gate(key: &SigningKey) -> Gate {
    Gate::new(&json!({ "providers": { "p": {
        "local_jwks": { "inline_string": jwks(&[key]).to_string() },
    } } }))
}

#[test]
fn the_longest_token() {
    let key = key();
    let mut gate = gate(&key);
    // Lengths of base64url leave gaps, which another length of the header fills.
    let sign = |kid: usize, pad: usize| {
        let header = json!({ "alg": "HS256", "x": "x".repeat(kid) });
        key.sign_with_header(&header, format!(r#"{{"pad":"{}"}}"#, "x".repeat(pad)).as_bytes())
    };
    let of_length = |length: usize| {
        (0..4)
            .flat_map(|kid| (0..8).map(move |less| (kid, length * 3 / 4 - 80 + less * 4)))
            .flat_map(|(kid, pad)| (0..4).map(move |more| sign(kid, pad + more)))
            .find(|token| token.len() == length)
            .unwrap()
    };
    assert_eq!(gate.get("/", &of_length(MAX_TOKEN_OCTETS)), "pass");
    assert_eq!(gate.get("/", &of_length(MAX_TOKEN_OCTETS + 1)), "401 token_too_long");
}

#[test]
fn the_deepest_token() {
    let key = key();
    let mut gate = gate(&key);
    let mut ask = |depth: usize| {
        // The object is one, too.
        let payload = format!(r#"{{"a":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
        gate.get("/", &key.sign_with_header(&key.header(), payload.as_bytes()))
    };
    assert_eq!(ask(usize::from(MAX_DEPTH)), "pass");
    assert_eq!(ask(usize::from(MAX_DEPTH) + 1), "401 payload_not_json");
}

#[test]
fn the_most_tokens_of_a_request() {
    let key = key();
    let mut gate = gate(&key);
    let mut ask = |count: usize| {
        let bearers: Vec<String> = (0..count)
            .map(|index| format!("Bearer {}", key.sign(&json!({ "i": index }))))
            .collect();
        let headers: Vec<_> = bearers.iter().map(|text| ("authorization", text.as_str())).collect();
        told(&gate.decide(NOW, &headers))
    };
    assert_eq!(ask(MAX_TOKENS), "pass");
    assert_eq!(ask(MAX_TOKENS + 1), "401 too_many_tokens");
}

/// Eight tokens without a name under sixteen keys could be 128 signatures.
#[test]
fn the_most_signatures_of_a_request() {
    let keys: Vec<_> = (0..16).map(|_| SigningKey::generate(Alg::HS256, "")).collect();
    let mut gate = Gate::new(&json!({ "providers": { "p": {
        "local_jwks": { "inline_string": jwks(&keys.iter().collect::<Vec<_>>()).to_string() },
        // What is known costs nothing.
        "jwt_cache_config": { "disabled": true },
    } } }));
    let mut ask = |places: &[usize]| {
        let sign = |(index, place): (usize, &usize)| {
            let header = json!({ "alg": "HS256" });
            let payload = format!(r#"{{"i":{index}}}"#);
            format!("Bearer {}", keys[*place].sign_with_header(&header, payload.as_bytes()))
        };
        let bearers: Vec<_> = places.iter().enumerate().map(sign).collect();
        let headers: Vec<_> = bearers.iter().map(|text| ("authorization", text.as_str())).collect();
        told(&gate.decide(NOW, &headers))
    };
    assert_eq!(MAX_SIGNATURE_CHECKS, 32);
    assert_eq!(ask(&[15, 15]), "pass");
    assert_eq!(ask(&[15, 15, 0]), "401 too_many_tokens");
}

#[test]
fn the_most_keys_and_the_longest() {
    let set = |keys: Vec<Value>| {
        let text = json!({ "keys": keys }).to_string();
        KeySet::parse(text.as_bytes(), KeyStrength::Required).map(|set| set.len())
    };
    let secret = |octets: usize| json!({ "kty": "oct", "k": base64url(vec![7; octets]) });
    assert_eq!(set(vec![secret(32); MAX_KEYS]), Ok(MAX_KEYS));
    assert_eq!(set(vec![secret(32); MAX_KEYS + 1]), Err(KeySetError::TooLarge));
    let too_large = Err(KeySetError::NoUsableKey(Some(JwkError::TooLarge)));
    assert_eq!(set(vec![secret(MAX_SECRET_OCTETS)]), Ok(1));
    assert_eq!(set(vec![secret(MAX_SECRET_OCTETS + 1)]), too_large);
    let rsa =
        |octets: usize| json!({ "kty": "RSA", "n": base64url(vec![255; octets]), "e": "AQAB" });
    assert_eq!(set(vec![rsa(MAX_RSA_BITS / 8)]), Ok(1));
    assert_eq!(set(vec![rsa(MAX_RSA_BITS / 8 + 1)]), too_large);
}

/// The mistakes in a configuration with this at that place.
fn mistakes(place: &str, value: Value) -> Vec<String> {
    let key = key();
    let remote = json!({ "http_uri": { "uri": "https://i/k", "cluster": "i", "timeout": "1s" } });
    let mut config = json!({
        "providers": {
            "p": { "issuer": "https://a.test", "remote_jwks": remote },
            "l": { "local_jwks": { "inline_string": jwks(&[&key]).to_string() } },
        },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }],
    });
    let mut at = &mut config;
    for name in place.split('/') {
        at = match name.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[name],
        };
    }
    *at = value;
    match Policy::parse(config.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn nested(depth: usize, leaf: &Value, wrap: impl Fn(Value) -> Value) -> Value {
    (0..depth).fold(leaf.clone(), |inner, _| wrap(inner))
}

#[test]
fn limits_of_the_configuration() {
    let requirement = |depth| {
        let leaf = json!({ "provider_name": "p" });
        nested(depth, &leaf, |inner| json!({ "requires_any": { "requirements": [inner, leaf] } }))
    };
    let condition = |depth| {
        nested(
            depth,
            &json!({ "claim": "a", "present_match": true }),
            |inner| json!({ "not": inner }),
        )
    };
    let template = |text: String| {
        json!({ "path_match_policy": { "name": "t", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
            "path_template": text,
        } } })
    };
    let variables =
        |count: usize| template((0..count).map(|index| format!("/{{v{index}}}")).collect());
    let named = |letters: usize| template(format!("/{{{}}}", "v".repeat(letters)));
    let remote = "providers/p/remote_jwks";
    let at = |field: &str| format!("{remote}/{field}");
    let status_list = |field: &str, value: u32| json!({ "clusters": { "h.test": "c" }, "timeout": "1s", field: value });
    let list = |poll: &str| {
        json!({ "list": { "http_uri": { "uri": "https://i/l", "cluster": "i", "timeout": "1s" },
            "poll_interval": poll } })
    };
    let discovered = |count: usize| {
        let issuers = (0..count).map(|index| format!("https://i{index}.test"));
        json!({ "issuers": issuers.collect::<Vec<_>>(),
            "remote_jwks": { "discovery": { "cluster": "i", "timeout": "1s" } } })
    };
    let body = |octets: usize| {
        json!({ "overrides": [
        { "reasons": ["expired"], "body": "x".repeat(octets), "content_type": "text/plain" },
    ] })
    };
    for (place, most, beyond) in [
        ("rules/0/requires".to_owned(), requirement(16), requirement(17)),
        ("rules/0/authorization".to_owned(), condition(16), condition(17)),
        (
            "rules/0/match".to_owned(),
            json!({ "safe_regex": { "regex": "/a{10}" } }),
            json!({ "safe_regex": { "regex": "/(a|b){1000}" } }),
        ),
        ("providers/p".to_owned(), discovered(16), discovered(17)),
        ("rules/0/match".to_owned(), variables(5), variables(6)),
        ("rules/0/match".to_owned(), named(16), named(17)),
        ("key_tables/max_octets".to_owned(), json!(268_435_456), json!(268_435_457)),
        ("providers/p/jwt_cache_config/jwt_cache_size".to_owned(), json!(100_000), json!(100_001)),
        (at("http_uri/timeout"), json!("60s"), json!("60.001s")),
        (at("unknown_kid_cooldown"), json!("4s"), json!("4.001s")),
        (at("async_fetch/failed_refetch_duration"), json!("3600s"), json!("3600.001s")),
        ("providers/l/single_use/max_lifetime".to_owned(), json!("86400s"), json!("86400.001s")),
        ("replay_memory/max_entries".to_owned(), json!(4_194_304), json!(4_194_305)),
        ("providers/l/sender_constraint/dpop/max_age".to_owned(), json!("3600s"), json!("3601s")),
        ("providers/l/revocation".to_owned(), list("3600s"), list("3600.001s")),
        (
            "providers/l/status_list".to_owned(),
            status_list("max_lists", 256),
            status_list("max_lists", 257),
        ),
        (
            "providers/l/status_list".to_owned(),
            status_list("max_octets", 16_777_216),
            status_list("max_octets", 16_777_217),
        ),
        ("error_responses".to_owned(), body(16_384), body(16_385)),
    ] {
        assert_eq!(mistakes(&place, most), Vec::<String>::new(), "{place}");
        let told = mistakes(&place, beyond);
        let here = place.split('/').take(2).collect::<Vec<_>>().join(".").replace(".0", "[0]");
        assert!(
            !told.is_empty() && told.iter().all(|line| line.starts_with(&here)),
            "{place}: {told:?}"
        );
    }
}

#[test]
fn the_most_lines_of_the_report() {
    let key = key();
    let open = |count: usize| {
        let rules = (0..count).map(|index| json!({ "match": { "path": format!("/{index}") } }));
        let policy = json!({
            "providers": { "p": { "local_jwks": { "inline_string": jwks(&[&key]).to_string() } } },
            "rules": rules.collect::<Vec<_>>(),
            "default_requirement": { "provider_name": "p" },
        });
        let report = Policy::parse(policy.to_string().as_bytes()).unwrap().report();
        report.iter().filter(|line| line.starts_with("open: ")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(open(100).len(), 100);
    let more = open(150);
    assert_eq!((more.len(), more[100].as_str()), (101, "open: 50 more"));
}

/// What a client wants is looked for in so many ranges.
#[test]
fn the_most_ranges_of_accept() {
    let mut gate = Gate::new(&json!({
        "providers": { "p": { "local_jwks": { "inline_string": jwks(&[&key()]).to_string() } } },
        "error_responses": { "formats": ["text", "json"] },
    }));
    let mut kind = |before: usize| {
        let accept = format!("{}text/plain;q=0.1, application/json", "a/b,".repeat(before));
        let decision = gate.decide(NOW, &[("accept", &accept)]);
        let Decision::Reject(rejection) = decision else { panic!("{decision:?}") };
        rejection.body.starts_with('{')
    };
    assert!(kind(30));
    assert!(!kind(31));
}

#[test]
fn bodies_of_logouts() {
    let config = json!({
        "providers": { "p": {
            "issuer": "i", "local_jwks": { "inline_string": jwks(&[&key()]).to_string() },
        } },
        "revocation": { "logout": {
            "path": "/logout", "provider_name": "p", "client_ids": ["app"],
        } },
    });
    let mut gate = Gate::new(&config);
    let mut post = |stream: u32, length: usize| {
        let octets = |text: &str| text.as_bytes().to_vec();
        let length = length.to_string();
        let headers = [(":method", "POST"), (":path", "/logout"), ("content-length", &length)];
        let head = headers.iter().map(|(name, value)| (octets(name), octets(value)));
        let now = UnixTime::from_secs(NOW);
        let decision =
            gate.engine.handle_request(StreamId(stream), RequestHead::new(head.collect()), now);
        let mut given_up = Vec::new();
        while let Some(effect) = gate.engine.next_effect() {
            if let Effect::Reject(stream, rejection) = effect {
                given_up.push((stream.0, rejection.status));
            }
        }
        (told(&decision), given_up)
    };
    assert_eq!(post(0, MAX_BODY + 1).0, "400 served");
    for stream in 1..=64 {
        assert_eq!(post(stream, MAX_BODY), ("receive".to_owned(), Vec::new()));
    }
    assert_eq!(post(65, 9), ("receive".to_owned(), vec![(1, 503)]));
}

/// An entity tag that is longer is not sent back.
#[test]
fn the_longest_entity_tag() {
    for (octets, is_sent) in [(256, true), (257, false)] {
        let remote = json!({
            "http_uri": { "uri": "https://i.test/k", "cluster": "i", "timeout": "1s" },
            "cache_duration": "2s",
        });
        let mut gate = Gate::new(&json!({ "providers": { "p": { "remote_jwks": remote } } }));
        gate.tick(NOW);
        let (id, _) = gate.fetches.remove(0);
        let tag = format!("\"{}\"", "t".repeat(octets - 2));
        let headers = [(":status", "200"), ("etag", &*tag)];
        let headers = headers.map(|(name, value)| (name.as_bytes().to_vec(), value.into()));
        let body = jwks(&[&key()]).to_string().into_bytes();
        let answer = Answer { headers: headers.to_vec(), body };
        gate.engine.handle_fetched(id, Ok(&answer), UnixTime::from_secs(NOW));
        gate.tick(NOW + 10);
        let (_, request) = gate.fetches.remove(0);
        let sent = request.headers.iter().find(|(name, _)| name == "if-none-match");
        assert_eq!(sent.map(|(_, value)| value.clone()), is_sent.then_some(tag));
    }
}

/// The constants in the sources that say how much of something there may be.
fn limits(folder: &Path, found: &mut BTreeSet<(String, String, String)>) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            limits(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let file = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap().replace("=\n", "=");
        for line in text.lines() {
            let Some((_, rest)) = line.split_once("const ") else { continue };
            let Some((name, rest)) = rest.split_once(": ") else { continue };
            if !(name.starts_with("MAX_") || name.starts_with("MOST_")) {
                continue;
            }
            let value = rest.split_once('=').map_or("", |(_, value)| value.trim());
            // A header's value, not a limit.
            if value.starts_with('"') {
                continue;
            }
            let value = value.trim_end_matches(';').to_owned();
            found.insert((file.clone(), name.to_owned(), value));
        }
    }
}

/// Every limit has a row with its value as it is written, and with tests.
#[test]
fn every_limit_is_in_the_table() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    limits(&root.join("src"), &mut found);
    assert!(found.len() > 40, "{}", found.len());
    let text = fs::read_to_string(root.join("docs/limits.md")).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("`src/"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let tests = names::of_tests();
    let mut unseen = found.clone();
    for row in &rows {
        let [_, what, constant, value, beyond, names, _] = row[..] else { panic!("{row:?}") };
        let words: Vec<_> = constant.split('`').skip(1).step_by(2).collect();
        let [name, file] = words[..] else { panic!("{row:?}") };
        let own = found.iter().find(|(f, n, _)| f == file && n == name);
        let own = own.unwrap_or_else(|| panic!("there is no {name} in {file}"));
        assert_eq!(value, format!("`{}`", own.2), "{name}");
        assert!(!what.is_empty() && beyond.len() > 5, "{row:?}");
        let names: Vec<_> = names.split('`').skip(1).step_by(2).collect();
        let says_why = row[5].starts_with("none: ") && row[5].len() > 30;
        assert!(!names.is_empty() || says_why, "{name} has no test");
        for test in names {
            assert!(tests.contains(test), "no test is called {test}");
        }
        unseen.remove(own);
    }
    assert!(unseen.is_empty(), "docs/limits.md lacks {unseen:#?}");
    println!("assured: {} cases, 0 exceptions", rows.len());
}
