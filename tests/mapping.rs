//! What verified tokens become in requests, in the engine: headers, query parameters, segments of the
//! path, and the examples of their documentation.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jwt_gate::engine::{Decision, Engine, StreamId};
use jwt_gate::policy::Policy;
use jwt_gate::request::{RequestEdit, RequestHead};
use jwt_gate::time::UnixTime;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;
const TEMPLATE: &str =
    "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";

struct Gate {
    engine: Engine,
    key: SigningKey,
}

impl Gate {
    /// A gate of this configuration, the keys of all its providers filled in.
    #[track_caller]
    fn new(mut config: Value) -> Self {
        let key = SigningKey::generate(Alg::ES256, "k");
        for provider in config["providers"].as_object_mut().unwrap().values_mut() {
            provider["local_jwks"] = json!({ "inline_string": jwks(&[&key]).to_string() });
        }
        let policy = Policy::parse(config.to_string().as_bytes()).unwrap_or_else(|errors| {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        });
        Self { engine: Engine::new(policy), key }
    }

    /// The request as the backend gets it, or status and code.
    fn decide(&mut self, headers: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        let octets = |text: &str| text.as_bytes().to_vec();
        let head = headers.iter().map(|(name, value)| (octets(name), octets(value)));
        let decision = self.engine.handle_request(
            StreamId(1),
            RequestHead::new(head.collect()),
            UnixTime::from_secs(NOW),
        );
        while self.engine.next_effect().is_some() {}
        match decision {
            Decision::Reject(rejection) => {
                Err(format!("{} {}", rejection.status, rejection.reason.code()))
            }
            Decision::Forward(edits) => {
                let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
                let mut headers: Vec<_> = headers
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect();
                for edit in edits {
                    match edit {
                        RequestEdit::Add(name, value) => headers.push((name, text(&value))),
                        RequestEdit::Remove(name) => headers.retain(|(own, _)| *own != text(&name)),
                        RequestEdit::Replace(name, value) => {
                            headers.retain(|(own, _)| *own != name);
                            headers.push((name, text(&value)));
                        }
                        RequestEdit::ClearRouteCache
                        | RequestEdit::Record(..)
                        | RequestEdit::State(..) => {}
                    }
                }
                Ok(headers)
            }
            _ => panic!("nothing to wait for, and no documents"),
        }
    }

    /// What is different for the backend, in one line; the token itself is not.
    fn ask(&mut self, path: &str, claims: Option<&str>, more: &[(&str, &str)]) -> String {
        let bearer = claims.map(|claims| {
            let header = self.key.header();
            format!("Bearer {}", self.key.sign_with_header(&header, claims.as_bytes()))
        });
        let mut headers = vec![(":method", "GET"), (":authority", "h"), (":path", path)];
        headers.extend(bearer.iter().map(|bearer| ("authorization", bearer.as_str())));
        headers.extend(more);
        match self.decide(&headers) {
            Err(refusal) => refusal,
            Ok(seen) => {
                let mut different = Vec::new();
                for (name, value) in seen {
                    if headers.contains(&(&name, &value)) {
                        continue;
                    }
                    different.push(match name.as_str() {
                        ":path" => value,
                        name => format!("{name}: {value}"),
                    });
                }
                match different.is_empty() {
                    true => "unchanged".to_owned(),
                    false => different.join(", "),
                }
            }
        }
    }
}

fn of_provider(settings: Value) -> Gate {
    Gate::new(json!({ "providers": { "p": settings } }))
}

/// The examples of `docs/mapping.md` are configurations, and do as they say.
#[test]
fn examples_in_the_documentation() {
    let text = include_str!("../docs/mapping.md");
    let mut gate = None;
    let (mut configurations, mut requests) = (0, 0);
    for block in text.split("\n```").skip(1).step_by(2) {
        let (kind, block) = block.split_once('\n').unwrap();
        if kind == "json" {
            gate = Some(Gate::new(serde_json::from_str(block).unwrap()));
            configurations += 1;
            continue;
        }
        assert_eq!(kind, "requests");
        for line in block.lines() {
            let (request, expected) = line.split_once(" -> ").unwrap();
            let (path, claims) = match request.split_once(' ') {
                Some((path, claims)) => (path, Some(claims)),
                None => (request, None),
            };
            assert_eq!(gate.as_mut().unwrap().ask(path, claims, &[]), expected, "{line}");
            requests += 1;
        }
    }
    assert_eq!((configurations, requests), (4, 45));
}

/// What clients send under these names goes, in every spelling, whether or not there is a claim.
#[test]
fn clients_copies_never_pass() {
    let mut gate = Gate::new(json!({
        "providers": { "p": {
            "claim_to_headers": [{ "header_name": "x-a", "claim_name": "a", "value_format": "csv" }],
            "forward_payload_value_header": "x-b",
            "consumer": { "header_name": "x-c", "claim_name": "a", "names": { "1": "one" } },
            "set_headers": [{ "key": "X-D", "value": "d" }],
            "claim_to_query_parameters": [{ "parameter_name": "x-e", "claim_name": "a" }],
        } },
        "rules": [
            { "match": { "path": "/open" } },
            { "match": { "path": "/f" }, "set_headers": [{ "key": "x-f", "value": "f" }] },
            { "match": { "path": "/maybe" }, "requires": { "allow_missing_or_failed": {} } },
        ],
        "bypass_cors_preflight": true,
    }));
    let spoofed = |letter: &str| {
        ["x-", "X-", "x_", "X_"].map(|start| (format!("{start}{letter}"), "evil".to_owned()))
    };
    let spoofed: Vec<_> = ["a", "b", "c", "d", "f"].iter().flat_map(|l| spoofed(l)).collect();
    for (path, method, expected) in [
        ("/open?x-e=evil&%78-e=evil", "GET", "/open"),
        ("/nowhere?x-e=evil&x-e[]=evil&q", "GET", "/nowhere?q"),
        ("/maybe?x-e", "GET", "/maybe"),
        ("/preflight?x-e=evil", "OPTIONS", "/preflight"),
    ] {
        let mut headers = vec![(":method", method), (":authority", "h"), (":path", path)];
        headers.extend([("origin", "o"), ("access-control-request-method", "PUT")]);
        headers.extend([("authorization", "Bearer bad")]);
        headers.extend(spoofed.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let seen = gate.decide(&headers).unwrap();
        assert!(!seen.iter().any(|(_, value)| value.contains("evil")), "{seen:?}");
        assert!(seen.contains(&(":path".to_owned(), expected.to_owned())), "{seen:?}");
        assert!(seen.contains(&("authorization".to_owned(), "Bearer bad".to_owned())));
    }
    let spoofed: Vec<_> = spoofed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(gate.ask("/f?a=1", None, &spoofed), "x-f: f");
}

/// HTTP would take them off (RFC 9110 section 5.5), and another name would be left.
#[test]
fn blanks_around_a_claim_are_not_lost() {
    for format in ["base64_json", "json", "csv", "repeated"] {
        let mut gate = of_provider(json!({ "claim_to_headers": [
            { "header_name": "x-a", "claim_name": "a", "value_format": format }] }));
        for bad in [" admin", "admin ", "\tadmin", "admin\t", "\u{a0}admin", " ", "\t"] {
            let claims = json!({ "a": bad }).to_string();
            assert_eq!(gate.ask("/", Some(&claims), &[]), "unchanged", "{format} {claims}");
        }
        assert_eq!(gate.ask("/", Some(r#"{"a": "an admin"}"#), &[]), "x-a: an admin");
    }
}

#[test]
fn lists_read_as_what_they_are() {
    for format in ["csv", "repeated"] {
        let mut gate = of_provider(json!({ "claim_to_headers": [
            { "header_name": "x-a", "claim_name": "a", "value_format": format }] }));
        for bad in [
            "[]",
            "[[]]",
            "[null]",
            "[{}]",
            "[\"\"]",
            "\"\"",
            "{}",
            "null",
            "[\"a\", \"b,c\"]",
            "\"b,c\"",
            "[\"a\\u0000\"]",
            "[\"a\\r\\nx: y\"]",
            "[\" a\"]",
            "[\"a\\t\"]",
            "[\"a\\\"\"]",
            "[\"\u{7f}\"]",
            "[\"a\", [\"b\"]]",
        ] {
            let claims = format!("{{\"a\": {bad}}}");
            assert_eq!(gate.ask("/", Some(&claims), &[]), "unchanged", "{format} {claims}");
        }
        for (good, csv, repeated) in [
            ("[\"a\", \"b c\", \"a\"]", "x-a: a,b c,a", "x-a: a, x-a: b c, x-a: a"),
            (
                "[ 1.50, -0, 1e2 , false ]",
                "x-a: 1.50,-0,1e2,false",
                "x-a: 1.50, x-a: -0, x-a: 1e2, x-a: false",
            ),
            ("[\"\\u00e4\"]", "x-a: ä", "x-a: ä"),
            ("\"a b\"", "x-a: a b", "x-a: a b"),
            (
                "12345678901234567890.10",
                "x-a: 12345678901234567890.10",
                "x-a: 12345678901234567890.10",
            ),
        ] {
            let expected = if format == "csv" { csv } else { repeated };
            let claims = format!("{{\"a\": {good}}}");
            assert_eq!(gate.ask("/", Some(&claims), &[]), expected, "{claims}");
        }
    }
}

#[test]
fn compact_json_is_that_of_the_token() {
    let mut gate = of_provider(json!({ "claim_to_headers": [
        { "header_name": "x-a", "claim_name": "a", "value_format": "json" }] }));
    for (claim, expected) in [
        (
            "{ \"z\": [ 1.0 , \" b \\\" \" ],\n\t\"a\": null }",
            "x-a: {\"z\":[1.0,\" b \\\" \"],\"a\":null}",
        ),
        ("[]", "x-a: []"),
        ("\"plain, \\\"text\\\"\"", "x-a: plain, \"text\""),
        ("[\"a\\r\\nb\"]", "x-a: [\"a\\r\\nb\"]"),
        ("\"a\\r\\nb\"", "unchanged"),
        ("[\"\u{7f}\"]", "unchanged"),
        ("null", "unchanged"),
    ] {
        let claims = format!("{{\"a\": {claim}}}");
        assert_eq!(gate.ask("/", Some(&claims), &[]), expected, "{claims}");
    }
}

/// The payload for native filters: normalised like the one for access logs, once, and never longer
/// than its reader takes.
#[test]
fn the_payload_as_a_protobuf_value() {
    let mut gate = of_provider(json!({
        "forward_payload_value_header": "x-payload",
        "normalize_payload_in_metadata": { "space_delimited_claims": ["scope"] },
    }));
    let seen = gate.ask("/", Some(r#"{"scope": "a b", "n": 1}"#), &[("x-payload", "evil")]);
    let expected = prost_types::Value {
        kind: Some(prost_types::value::Kind::StructValue(prost_types::Struct {
            fields: [
                ("n".to_owned(), 1.0.into()),
                ("scope".to_owned(), vec!["a".to_owned().into(), "b".to_owned().into()].into()),
            ]
            .into(),
        })),
    };
    let octets = STANDARD.decode(seen.strip_prefix("x-payload: ").unwrap()).unwrap();
    let read: prost_types::Value = prost::Message::decode(octets.as_slice()).unwrap();
    assert_eq!(read, expected);
    // `{"a": "x…"}` takes 3 times 3 octets, 1 + 2 for the name and the text: the limit is one octet
    // below 8 KiB of base64, which is 6141 octets.
    let of_length = |length: usize| format!("{{\"a\": \"{}\"}}", "x".repeat(length));
    let longest = gate.ask("/", Some(&of_length(6_124)), &[]);
    assert_eq!(longest.len(), "x-payload: ".len() + 8188);
    assert_eq!(gate.ask("/", Some(&of_length(6_140)), &[]), "403 claims_not_allowed");
    // Of two tokens, that in the first location: a joined value would be none.
    let alone = gate.ask("/", Some(r#"{"sub": "a"}"#), &[]);
    let token = gate.key.sign(&json!({ "sub": "b" }));
    let path = format!("/?access_token={token}");
    let seen = gate.ask(&path, Some(r#"{"sub": "a"}"#), &[]);
    assert_eq!(seen, format!("/, {alone}"));
}

#[test]
fn parameters_and_tokens_in_one_path() {
    let mut gate = of_provider(json!({
        "claim_to_query_parameters": [
            { "parameter_name": "user", "claim_name": "sub" },
            { "parameter_name": "a.b/c", "claim_path": ["x", "y.z"] },
        ],
        "set_headers": [{ "key": "x-once", "value": "1" }],
    }));
    let token = gate.key.sign(&json!({ "sub": "b", "x": { "y.z": 1.50 } }));
    let path = format!("/p?q=%26&access_token={token}&user=evil&r=+");
    assert_eq!(gate.ask(&path, None, &[]), "/p?q=%26&r=+&user=b&a.b%2Fc=1.5, x-once: 1");
    // Two tokens: what both say is said once.
    let both = gate.ask(&path, Some(r#"{"sub": "b", "x": {"y.z": true}}"#), &[]);
    assert_eq!(both, "/p?q=%26&r=+&user=b&a.b%2Fc=1.5&a.b%2Fc=true, x-once: 1");
    for (claims, expected) in [
        (r#"{"sub": "a\r\nb"}"#, "x-once: 1"),
        (r#"{"sub": ["a"]}"#, "401 sub_type"),
        (r#"{"x": {"y.z": ["a"]}}"#, "x-once: 1"),
        (r#"{"sub": "é+"}"#, "/p?user=%C3%A9%2B, x-once: 1"),
    ] {
        assert_eq!(gate.ask("/p", Some(claims), &[]), expected, "{claims}");
    }
    // Nothing to append to.
    let connect = [(":method", "CONNECT"), (":authority", "h:1")];
    let bearer = format!("Bearer {token}");
    let headers = [&connect[..], &[("authorization", bearer.as_str())]].concat();
    let seen = gate.decide(&headers).unwrap();
    assert!(!seen.iter().any(|(name, _)| name == ":path"), "{seen:?}");
}

fn with_segments(rules: Value, more: Value) -> Gate {
    let mut config = json!({
        "providers": {
            "p": { "from_headers": [{ "name": "authorization", "value_prefix": "Bearer " }] },
            "q": { "from_headers": [{ "name": "x-q" }] },
        },
        "rules": rules,
    });
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    Gate::new(config)
}

fn rule(template: &str, more: Value) -> Value {
    let mut rule = json!({
        "match": { "path_match_policy": { "typed_config": {
            "@type": TEMPLATE, "path_template": template } } },
        "requires": { "provider_name": "p" },
    });
    for (name, value) in more.as_object().unwrap() {
        rule[name] = value.clone();
    }
    rule
}

#[test]
fn several_segments_and_suffixes() {
    let claims = json!({ "claim_to_path": [
        { "path_variable": "b", "claim_name": "b" }, { "path_variable": "a", "claim_name": "a" }] });
    let mut gate = with_segments(json!([rule("/{a}/*/{b}.json", claims)]), json!({}));
    let claims = Some(r#"{"a": "1", "b": "x.json"}"#);
    assert_eq!(gate.ask("/me/k/me.json?q", claims, &[]), "/1/k/x.json.json?q");
    assert_eq!(gate.ask("/me/k/me.json", Some(r#"{"a": "1"}"#), &[]), "403 claims_not_allowed");
    let claims = json!({ "claim_to_path": [{ "path_variable": "a", "claim_name": "a" }] });
    let mut gate = with_segments(json!([rule("/t/{a}/{rest=**}", claims)]), json!({}));
    let claims = Some(r#"{"a": true}"#);
    assert_eq!(gate.ask("/t/me/x/y/", claims, &[]), "/t/true/x/y/");
    for path in ["/t/me/../x", "/t/me//x", "/t/me/%2e%2e/x", "/t/me/x%2fy", "/t/me/x#"] {
        assert_eq!(gate.ask(path, claims, &[]), "403 claims_not_allowed", "{path}");
    }
    for text in [
        "1.5",
        "1e3",
        "18446744073709551616",
        "null",
        "{}",
        "\".\"",
        "\"a/b\"",
        "\"a\\\\b\"",
        "\"a\\u0000\"",
        "\"a;b\"",
        "\"a?b\"",
        "\"a#b\"",
        "\"%41\"",
    ] {
        let claims = format!("{{\"a\": {text}}}");
        assert_eq!(gate.ask("/t/x/y", Some(&claims), &[]), "403 claims_not_allowed", "{claims}");
    }
    for (text, segment) in
        [("\"&x=y\"", "%26x%3Dy"), ("-5", "-5"), ("\"é\"", "%C3%A9"), ("\"...\"", "...")]
    {
        let claims = format!("{{\"a\": {text}}}");
        assert_eq!(gate.ask("/t/x/y", Some(&claims), &[]), format!("/t/{segment}/y"), "{claims}");
    }
}

/// A claim leads around no rule and no policy, and tokens must agree.
#[test]
fn the_new_path_is_what_is_authorized() {
    let claims = json!({ "claim_to_path": [{ "path_variable": "t", "claim_name": "t" }] });
    let secret =
        json!({ "match": { "prefix": "/t/secret/" }, "requires": { "provider_name": "q" } });
    let rules = json!([secret, rule("/t/{t}/x", claims.clone())]);
    let policies = json!({ "authorization": { "policies": [
        { "action": "deny", "match": { "prefix": "/t/closed/" } },
        { "action": "allow", "match": { "prefix": "/t/open/" } },
    ], "default": "deny" } });
    let mut gate = with_segments(rules, policies);
    let mut ask =
        |path: &str, tenant: &str| gate.ask(path, Some(&json!({ "t": tenant }).to_string()), &[]);
    assert_eq!(ask("/t/me/x", "open"), "/t/open/x");
    assert_eq!(ask("/t/closed/x", "open"), "/t/open/x");
    assert_eq!(ask("/t/open/x", "closed"), "403 denied_by_policy");
    assert_eq!(ask("/t/open/x", "secret"), "403 claims_not_allowed");
    assert_eq!(ask("/t/open/x", "other"), "403 allowed_by_no_policy");

    let both = json!({ "requires": { "requires_all": { "requirements": [
        { "provider_name": "p" }, { "provider_name": "q" }] } },
        "claim_to_path": [{ "path_variable": "t", "claim_name": "t" }] });
    let mut gate = with_segments(json!([rule("/t/{t}/x", both)]), json!({}));
    for (other, expected) in [
        (json!({ "t": "a" }), "/t/a/x"),
        (json!({ "t": "b" }), "403 claims_not_allowed"),
        (json!({}), "403 claims_not_allowed"),
    ] {
        let token = gate.key.sign(&other);
        let seen = gate.ask("/t/me/x", Some(r#"{"t": "a"}"#), &[("x-q", &token)]);
        assert_eq!(seen, expected, "{other}");
    }
    // So do the requirement's own conditions.
    let own = json!({ "requires": { "provider_name": "p",
            "authorization": { "claim": "ts", "list_match": { "any": { "request_match": { "path_variable": "t" } } } } },
        "claim_to_path": [{ "path_variable": "t", "claim_name": "t" }] });
    let mut gate = with_segments(json!([rule("/t/{t}/x", own)]), json!({}));
    let other = r#"{"ts": ["a"], "t": "b"}"#;
    assert_eq!(gate.ask("/t/a/x", Some(other), &[]), "403 claims_not_allowed");
    assert_eq!(gate.ask("/t/a/x", Some(r#"{"ts": ["a", "b"], "t": "b"}"#), &[]), "/t/b/x");
    // What another alternative lets pass there is not what this token may do.
    let condition = json!({ "claim": "ts", "list_match": { "any": { "request_match": { "path_variable": "t" } } } });
    for other in [
        json!({ "allow_missing_or_failed": {} }),
        json!({ "provider_name": "q" }),
        json!({ "provider_name": "q", "authorization": { "claim": "t", "string_match": { "exact": "b" } } }),
    ] {
        let either = json!({ "requires": { "requires_any": { "requirements": [
            { "provider_name": "p", "authorization": condition }, other] } },
            "claim_to_path": [{ "path_variable": "t", "claim_name": "t" }] });
        let mut gate = with_segments(json!([rule("/t/{t}/x", either)]), json!({}));
        let second = gate.key.sign(&json!({ "t": "b" }));
        let q = [("x-q", second.as_str())];
        let token = r#"{"ts": ["a"], "t": "b"}"#;
        assert_eq!(gate.ask("/t/a/x", Some(token), &q), "403 claims_not_allowed", "{other}");
        let token = r#"{"ts": ["a", "b"], "t": "b"}"#;
        assert_eq!(gate.ask("/t/a/x", Some(token), &q), "/t/b/x", "{other}");
    }
    let maybe = json!({ "requires": { "allow_missing": {} },
        "claim_to_path": [{ "path_variable": "t", "claim_name": "t" }] });
    let mut gate = with_segments(json!([rule("/t/{t}/x", maybe)]), json!({}));
    assert_eq!(gate.ask("/t/me/x", None, &[]), "401 token_missing");
    assert_eq!(gate.ask("/t/me/x", Some(r#"{"t": "a"}"#), &[]), "/t/a/x");
}

/// From the cache, a token does what it did the first time.
#[test]
fn known_tokens_do_the_same() {
    let mut gate = Gate::new(json!({
        "providers": { "p": {
            "claim_to_query_parameters": [{ "parameter_name": "t", "claim_name": "t" }],
            "claim_to_headers": [{ "header_name": "x-t", "claim_name": "t", "value_format": "repeated" }],
            "set_headers": [{ "key": "x-s", "value": "s" }],
            "consumer": { "header_name": "x-c", "claim_name": "c", "names": { "1": "one" } },
        } },
        "rules": [rule("/{t}", json!({ "claim_to_path": [{ "path_variable": "t", "claim_name": "t" }] }))],
    }));
    let good = gate.key.sign(&json!({ "t": "a", "c": 1 }));
    let bad = gate.key.sign(&json!({ "t": "a", "c": 2 }));
    for _ in 0..3 {
        let bearer = format!("Bearer {good}");
        let headers = [(":path", "/me?t=b"), ("authorization", bearer.as_str())];
        let seen = gate.decide(&headers).unwrap();
        let seen: Vec<_> = seen.iter().map(|(name, value)| format!("{name} {value}")).collect();
        assert_eq!(seen, [":path /a?t=a", "x-s s", "x-t a", "x-c one"]);
        let bearer = format!("Bearer {bad}");
        let headers = [(":path", "/me?t=b"), ("authorization", bearer.as_str())];
        assert_eq!(gate.decide(&headers), Err("403 claims_not_allowed".to_owned()));
    }
}

/// Who is only reported passes like somebody without a token.
#[test]
fn reports_write_nothing() {
    let claims = json!({ "mode": "report_only", "set_headers": [{ "key": "x-s", "value": "s" }],
        "claim_to_path": [{ "path_variable": "t", "claim_name": "t" }] });
    let mut gate = with_segments(json!([rule("/t/{t}/x", claims)]), json!({}));
    let spoofed = [("x-s", "evil")];
    assert_eq!(gate.ask("/t/me/x", Some(r#"{"t": "a"}"#), &spoofed), "/t/a/x, x-s: s");
    assert_eq!(gate.ask("/t/me/x", Some(r#"{"t": "a/b"}"#), &spoofed), "unchanged");
    let headers = [(":path", "/t/me/x"), ("x-s", "evil")];
    assert_eq!(gate.decide(&headers), Ok(vec![(":path".to_owned(), "/t/me/x".to_owned())]));
}
