//! Tokens through Envoy: who gets in, what the backend sees, what the client is told.

use std::path::PathBuf;

use jwt_gate_demo::envoy::{OLDEST, PINNED};
use jwt_gate_demo::http::{Connection, Request};
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

use crate::bed::{
    AUDIENCE, ISSUER, Plan, config, eventually, issuer, module, portable_module, seen, serve,
};

/// The main path on the newest and on the oldest supported Envoy.
#[test]
fn good_tokens_pass_and_bad_ones_do_not() {
    for version in [PINNED, OLDEST] {
        let issuer = issuer(Alg::RS256);
        let server = serve(&issuer, None);
        let plan = Plan::new(config("http"), server.addr().port());
        let bed = Plan { version, ..plan }.start();

        let good = issuer.mint(json!({"sub": "alice"}));
        let answer = bed.send(&Request::get("/a?b").bearer(&good).header("x-sub", "admin"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(seen(&answer, "x-sub"), ["alice"]);
        assert_eq!(seen(&answer, "authorization"), [""; 0]);
        assert_eq!(answer.json().unwrap()["path"], "/a?b");

        let tampered = changed_at(&good, good.len() - 8);
        let stranger = SigningKey::test_rsa(Alg::RS256, issuer.signing_key().kid());
        let forged = stranger.sign(&json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "admin"}));
        let mint = |claims: Value| issuer.mint(claims);
        let challenge = format!("Bearer realm=\"http://{}/\"", bed.address);
        for (token, status, text) in [
            (tampered, 401, "Jwt verification fails"),
            (forged, 401, "Jwt verification fails"),
            (mint(json!({"exp": 1_000})), 401, "Jwt is expired"),
            (mint(json!({"nbf": 9_000_000_000_u64})), 401, "Jwt not yet valid"),
            (mint(json!({"iss": "https://evil.test"})), 401, "Jwt issuer is not configured"),
            (mint(json!({"aud": "other"})), 403, "Audiences in Jwt are not allowed"),
            (
                issuer.mint_with_header(json!({}), json!({"alg": "none"})),
                401,
                "Jwt header [alg] is not supported",
            ),
            (
                "nonsense".to_owned(),
                401,
                "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
            ),
        ] {
            let answer = bed.get(&token);
            assert_eq!((answer.status, answer.text()), (status, text.to_owned()));
            let told = answer.header("www-authenticate").unwrap();
            assert_eq!(told, format!("{challenge}, error=\"invalid_token\""));
        }
        let answer = bed.send(&Request::get("/"));
        assert_eq!((answer.status, answer.text()), (401, "Jwt is missing".to_owned()));
        assert_eq!(answer.header("www-authenticate").unwrap(), challenge);

        assert_eq!(bed.counter("allowed"), 1);
        assert_eq!(bed.counter("denied"), 9);
        assert_eq!(bed.counter("denied_for.expired"), 1);
        assert_eq!(bed.counter("denied_for.signature_invalid"), 2);
        let line = "access: - 401 jwt_authn_access_denied{Jwt_is_expired}";
        eventually("the access log is written", || bed.log().contains(line));
        let logs = bed.log();
        assert!(logs.contains("denied reason=expired status=401"), "{logs}");
        assert!(!logs.contains("eyJ"), "a token in the log");
    }
}

/// The token with another character at this place.
fn changed_at(token: &str, place: usize) -> String {
    let other = if token.as_bytes()[place] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &token[..place], &token[place + 1..])
}

/// Wherever payload or signature are changed, the token is refused, beside the good one that is known.
#[test]
fn a_token_changed_anywhere_is_refused() {
    let issuer = issuer(Alg::RS256);
    let server = serve(&issuer, None);
    let bed = Plan::new(config("http"), server.addr().port()).start();
    let good = issuer.mint(json!({"sub": "alice"}));
    assert_eq!(bed.get(&good).status, 200);
    let mut connection = Connection::open(bed.address).unwrap();
    for place in good.find('.').unwrap()..good.len() {
        let changed = changed_at(&good, place);
        let answer = connection.send(&Request::get("/").bearer(&changed)).unwrap();
        assert!(matches!(answer.status, 401 | 403), "changed at {place} of {}", good.len());
    }
    assert_eq!(bed.get(&good).status, 200);
}

/// Every algorithm, verified by the module in Envoy's V8, and by the one without vectors.
#[test]
fn every_algorithm() {
    for module in [module(), portable_module()] {
        every_algorithm_in(module);
    }
}

fn every_algorithm_in(module: &'static PathBuf) {
    let keys: Vec<_> = Alg::ALL
        .into_iter()
        .map(|alg| match alg.is_rsa() {
            true => SigningKey::test_rsa(alg, alg.as_str()),
            false => SigningKey::generate(alg, alg.as_str()),
        })
        .collect();
    let set = jwks(&keys.iter().collect::<Vec<_>>()).to_string();
    let configuration = json!({ "providers": { "p": { "local_jwks": { "inline_string": set } } } });
    let bed = Plan { module, ..Plan::new(configuration, 1) }.start();
    for key in &keys {
        let good = key.sign(&json!({"sub": "a"}));
        let answer = bed.get(&good);
        assert_eq!(answer.status, 200, "{}: {}", key.alg().as_str(), answer.text());
        // One bit of the signature, wherever it is.
        let (input, _) = good.rsplit_once('.').unwrap();
        let mut signature = key.sign_bytes(input.as_bytes());
        let middle = signature.len() / 2;
        signature[middle] ^= 1;
        let bad = format!("{input}.{}", jwt_gate_demo::keys::base64url(signature));
        let answer = bed.get(&bad);
        assert_eq!(answer.text(), "Jwt verification fails", "{}", key.alg().as_str());
    }
}

#[test]
fn tokens_in_headers_parameters_and_cookies() {
    let key = SigningKey::generate(Alg::ES256, "k");
    let bed = Plan::new(
        json!({ "providers": { "p": {
            "local_jwks": { "inline_string": jwks(&[&key]).to_string() },
            "from_headers": [{ "name": "x-jwt", "value_prefix": "JWT " }],
            "from_params": ["t"],
            "from_cookies": ["c"],
        } } }),
        1,
    )
    .start();
    let token = key.sign(&json!({"sub": "a"}));

    let answer = bed.send(&Request::get("/").header("X-Jwt", format!("JWT {token}")));
    assert_eq!(answer.status, 200);
    assert_eq!(seen(&answer, "x-jwt"), [""; 0]);

    let answer = bed.send(&Request::get(format!("/x?a=%26b%3Dc&t={token}&d=+&e")));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json().unwrap()["path"], "/x?a=%26b%3Dc&d=+&e");

    let cookies = format!("a=1; c={token}; b=\"2\"");
    let answer = bed.send(&Request::get("/").header("cookie", cookies));
    assert_eq!(answer.status, 200);
    assert_eq!(seen(&answer, "cookie"), ["a=1; b=\"2\""]);

    let expired = key.sign(&json!({"exp": 1}));
    for request in [
        Request::get(format!("/?t={token}&t={expired}")),
        Request::get(format!("/?t={expired}&t={token}")),
        Request::get(format!("/?t={token}")).header("cookie", format!("c={expired}")),
        Request::get("/")
            .header("x-jwt", format!("JWT {token}"))
            .header("x-jwt", format!("JWT {expired}")),
    ] {
        assert_eq!(bed.send(&request).text(), "Jwt is expired");
    }
}

/// gRPC clients read the status in trailers, never the HTTP status.
#[test]
fn grpc_requests_get_grpc_answers() {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let bed = Plan::new(config("http"), server.addr().port()).start();
    let call =
        || Request::new("POST", "/pkg.Service/Method").header("content-type", "application/grpc");
    let wrong_audience = issuer.mint(json!({"aud": "other"}));
    for (request, status, message) in [
        (call(), "16", "Jwt is missing"),
        (call().bearer("a.b.c"), "16", "Jwt header is an invalid Base64url encoded"),
        (call().bearer(&wrong_audience), "7", "Audiences in Jwt are not allowed"),
    ] {
        let answer = bed.send(&request);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("grpc-status").unwrap(), status);
        assert_eq!(answer.header("grpc-message").unwrap(), message);
        assert!(answer.header("www-authenticate").is_some());
    }
}
