//! Tokens that are bound to a key or a certificate of who they were issued to, in the engine.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

mod gate;

use gate::{Gate, NOW, ath, run_examples, told};
use jwt_gate::engine::{Counter, Decision};
use jwt_gate::policy::Policy;
use jwt_gate::request::RequestEdit;
use jwt_gate_demo::keys::{Alg, SigningKey, base64url, jwks};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn examples_of_bound_tokens() {
    assert_eq!(run_examples(include_str!("../docs/bound-tokens.md")), (3, 24));
}

/// An issuer, a client, and a gate that asks for proofs.
struct Scene {
    gate: Gate,
    issuer: SigningKey,
    client: SigningKey,
    serial: u64,
}

impl Scene {
    fn new(dpop: Value, provider: Value) -> Self {
        let issuer = SigningKey::generate(Alg::HS256, "k");
        let mut own = json!({ "sender_constraint": { "dpop": dpop, "mtls": {} } });
        for (name, value) in provider.as_object().unwrap() {
            own[name] = value.clone();
        }
        own["local_jwks"] = json!({ "inline_string": jwks(&[&issuer]).to_string() });
        let gate = Gate::new(&json!({ "providers": { "p": own } }));
        Self { gate, issuer, client: SigningKey::generate(Alg::ES256, ""), serial: 0 }
    }

    fn token(&self) -> String {
        self.issuer.sign(&json!({ "sub": "alice", "cnf": { "jkt": self.client.thumbprint() } }))
    }

    /// What a good proof says.
    fn claims(&mut self, token: &str) -> Value {
        self.serial = self.serial.wrapping_add(1);
        json!({ "jti": self.serial.to_string(), "htm": "GET", "htu": "https://h/", "iat": NOW,
            "ath": ath(token) })
    }

    fn decide(&mut self, scheme: &str, token: &str, proofs: &[&str]) -> Decision {
        let credentials = format!("{scheme} {token}");
        let mut headers = vec![(":scheme", "https"), ("authorization", credentials.as_str())];
        headers.extend(proofs.iter().map(|proof| ("dpop", *proof)));
        self.gate.decide(NOW, &headers)
    }

    fn ask(&mut self, token: &str, proofs: &[&str]) -> String {
        told(&self.decide("DPoP", token, proofs))
    }

    /// What becomes of a request whose proof is changed like this.
    #[track_caller]
    fn check(&mut self, change: impl FnOnce(&mut Value), expected: &str) {
        let token = self.token();
        let mut claims = self.claims(&token);
        change(&mut claims);
        let proof = self.client.prove(&claims);
        assert_eq!(self.ask(&token, &[&proof]), expected, "{claims}");
    }
}

#[test]
fn proofs_must_be_of_this_request() {
    let mut scene = Scene::new(json!({}), json!({ "clock_skew": "5s" }));
    scene.check(|_| (), "pass");
    for (name, value, expected) in [
        ("htm", json!("POST"), "401 dpop_method_mismatch"),
        ("htm", json!("get"), "401 dpop_method_mismatch"),
        ("htu", json!("https://h/other"), "401 dpop_url_mismatch"),
        ("htu", json!("http://h/"), "401 dpop_url_mismatch"),
        ("htu", json!("https://g/"), "401 dpop_url_mismatch"),
        ("htu", json!("https://H:443/?a#b"), "pass"),
        ("ath", json!(""), "401 dpop_token_mismatch"),
        ("iat", json!(NOW - 65), "pass"),
        ("iat", json!(NOW - 66), "401 dpop_age"),
        ("iat", json!(NOW + 5), "pass"),
        ("iat", json!(NOW + 6), "401 dpop_age"),
        ("iat", json!("1800000000"), "401 dpop_malformed"),
        ("iat", json!(-1), "401 dpop_malformed"),
        ("jti", json!(""), "401 dpop_malformed"),
        ("jti", json!(1), "401 dpop_malformed"),
        ("nonce", json!(1), "401 dpop_malformed"),
        ("nonce", json!("unasked"), "pass"),
    ] {
        scene.check(|claims| claims[name] = value, expected);
    }
    for name in ["htm", "htu", "ath", "iat", "jti"] {
        let remove = |claims: &mut Value| {
            claims.as_object_mut().unwrap().remove(name);
        };
        scene.check(remove, "401 dpop_malformed");
    }
}

#[test]
fn proofs_must_be_well_made_and_of_the_key() {
    let mut scene = Scene::new(json!({ "algorithms": ["ES256", "RS256"] }), json!({}));
    let token = scene.token();
    let claims = scene.claims(&token);
    let good = scene.client.prove(&claims);
    assert_eq!(scene.ask(&token, &[]), "401 dpop_missing");
    assert_eq!(scene.ask(&token, &[&good, &good]), "401 dpop_repeated");
    assert_eq!(scene.ask(&token, &[&format!("{good}, {good}")]), "401 dpop_malformed");
    assert_eq!(scene.ask(&token, &["", &good]), "401 dpop_repeated");
    for bad in ["", "a.b.c", &token, &good[1..], &format!("{good}=")] {
        assert_eq!(scene.ask(&token, &[bad]), "401 dpop_malformed", "{bad}");
    }
    // Somebody else's key, also with the client's key in the header.
    let stranger = SigningKey::generate(Alg::ES256, "");
    assert_eq!(scene.ask(&token, &[&stranger.prove(&claims)]), "401 dpop_key_mismatch");
    let part = |proof: &str, index: usize| proof.split('.').nth(index).unwrap().to_owned();
    let forged = format!("{}.{}", part(&good, 0), part(&stranger.prove(&claims), 1));
    let forged = format!("{forged}.{}", base64url(stranger.sign_bytes(forged.as_bytes())));
    assert_eq!(scene.ask(&token, &[&forged]), "401 dpop_signature_invalid");
    let other_kind = SigningKey::generate(Alg::EdDSA, "");
    assert_eq!(scene.ask(&token, &[&other_kind.prove(&claims)]), "401 dpop_algorithm");
    // Headers that are not those of proofs.
    let mut jwk = scene.client.public_jwk();
    for name in ["kid", "alg", "use"] {
        jwk.as_object_mut().unwrap().remove(name);
    }
    let header = |changes: Value| {
        let mut header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        header
    };
    let signed =
        |header: Value| scene.client.sign_with_header(&header, claims.to_string().as_bytes());
    let mut private = jwk.clone();
    private["d"] = json!("AA");
    let bad: Vec<_> = [
        json!({ "typ": "jwt" }),
        json!({ "typ": null }),
        json!({ "alg": "none" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "ES384" }),
        json!({ "jwk": private }),
        json!({ "jwk": null }),
        json!({ "jwk": { "kty": "oct", "k": "A".repeat(64) }, "alg": "HS256" }),
        json!({ "crit": ["typ"] }),
    ]
    .into_iter()
    .map(|changes| signed(header(changes)))
    .collect();
    let spelled = signed(header(json!({ "typ": "DPoP+JWT" })));
    for bad in &bad {
        assert_eq!(scene.ask(&token, &[bad]), "401 dpop_malformed");
    }
    // None of all that used the good one up.
    assert_eq!(scene.ask(&token, &[&spelled]), "pass");
    assert_eq!(scene.ask(&token, &[&good]), "401 dpop_replayed", "its `jti` was used");
}

/// A client's key is kept with its token, and gets a table as keys of issuers do. What is kept proves
/// nothing by itself.
#[test]
fn a_key_that_proved_itself_must_prove_itself_again() {
    for alg in [Alg::ES256, Alg::EdDSA] {
        let mut scene = Scene::new(json!({ "algorithms": ["ES256", "EdDSA"] }), json!({}));
        scene.client = SigningKey::generate(alg, "");
        let token = scene.token();
        let mut good = Vec::new();
        for _ in 0..8 {
            let claims = scene.claims(&token);
            good.push(scene.client.prove(&claims));
            assert_eq!(scene.ask(&token, &[good.last().unwrap()]), "pass");
            // Another proof's signature.
            let claims = scene.claims(&token);
            let proof = scene.client.prove(&claims);
            let (input, _) = proof.rsplit_once('.').unwrap();
            let (_, signature) = good[0].rsplit_once('.').unwrap();
            let forged = format!("{input}.{signature}");
            assert_eq!(scene.ask(&token, &[&forged]), "401 dpop_signature_invalid");
            let stranger = SigningKey::generate(alg, "");
            let claims = scene.claims(&token);
            let strange = stranger.prove(&claims);
            assert_eq!(scene.ask(&token, &[&strange]), "401 dpop_key_mismatch");
        }
        assert_eq!(scene.ask(&token, &[&good[7]]), "401 dpop_replayed");
    }
}

/// What a header says beside the key counts for that header only, known or not.
#[test]
fn headers_of_proofs_speak_for_themselves() {
    let dpop = json!({ "algorithms": ["RS256", "PS256"] });
    let mut scene = Scene::new(dpop, json!({}));
    scene.client = SigningKey::test_rsa(Alg::RS256, "");
    let other = SigningKey::test_rsa(Alg::PS256, "");
    let token = scene.token();
    for round in 0..2 {
        for (key, extra, expected) in [
            (&scene.client.clone(), json!({ "alg": "RS256" }), "pass"),
            (&other, json!({}), "pass"),
            (&other, json!({ "alg": "RS256" }), "401 dpop_malformed"),
            (&other, json!({ "use": "enc" }), "401 dpop_malformed"),
            (&other, json!({ "key_ops": ["sign"] }), "401 dpop_malformed"),
            (&other, json!({ "key_ops": ["verify"], "use": "sig", "kid": "x" }), "pass"),
        ] {
            let claims = scene.claims(&token);
            let mut jwk = json!({});
            for (name, value) in key.public_jwk().as_object().unwrap() {
                if ["kty", "e", "n"].contains(&name.as_str()) {
                    jwk[name] = value.clone();
                }
            }
            for (name, value) in extra.as_object().unwrap() {
                jwk[name] = value.clone();
            }
            let header = json!({ "typ": "dpop+jwt", "alg": key.alg().as_str(), "jwk": jwk });
            let proof = key.sign_with_header(&header, claims.to_string().as_bytes());
            assert_eq!(scene.ask(&token, &[&proof]), expected, "{round} {extra}");
        }
    }
}

/// A proof is remembered as long as the most patient provider would take it.
#[test]
fn a_patient_provider_takes_no_proof_again() {
    let key = SigningKey::generate(Alg::HS256, "k");
    let client = SigningKey::generate(Alg::ES256, "");
    let provider = |skew: &str, age: &str| {
        json!({ "local_jwks": { "inline_string": jwks(&[&key]).to_string() }, "clock_skew": skew,
            "sender_constraint": { "dpop": { "max_age": age } } })
    };
    let mut gate = Gate::new(&json!({
        "providers": { "strict": provider("0s", "10s"), "lax": provider("0s", "3600s") },
        "replay_memory": { "max_entries": 128 },
        "rules": [
            { "match": { "prefix": "/", "headers": [{ "name": "x-batch" }] },
              "requires": { "provider_name": "lax" } },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "strict" } },
        ],
    }));
    let token = key.sign(&json!({ "cnf": { "jkt": client.thumbprint() } }));
    let credentials = format!("DPoP {token}");
    let proof = |jti: &str, at: u64| {
        client.prove(&json!({ "jti": jti, "htm": "GET", "htu": "https://h/", "iat": at,
            "ath": ath(&token) }))
    };
    let mut ask = |at: u64, proof: &str, more: &[(&str, &str)]| {
        let mut headers =
            vec![(":scheme", "https"), ("authorization", &*credentials), ("dpop", proof)];
        headers.extend(more);
        told(&gate.decide(at, &headers))
    };
    let first = proof("a", NOW);
    assert_eq!(ask(NOW, &first, &[]), "pass");
    assert_eq!(ask(NOW + 25, &proof("b", NOW + 25), &[]), "pass");
    assert_eq!(ask(NOW + 60, &first, &[("x-batch", "1")]), "401 dpop_replayed");
}

/// However often a request is decided about, it costs what one may cost.
#[test]
fn used_tokens_cost_no_more_than_others() {
    let key = SigningKey::generate(Alg::HS256, "k");
    let mut gate = Gate::new(&json!({
        "providers": { "p": { "single_use": {}, "jwt_cache_config": { "disabled": true },
            "local_jwks": { "inline_string": jwks(&[&key]).to_string() } } },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "allow_missing_or_failed": {} } }],
    }));
    let tokens: Vec<String> = (0..8)
        .map(|index| key.sign(&json!({ "jti": index.to_string(), "exp": NOW + 100 })))
        .collect();
    let path = format!("/?access_token={}", tokens.join("&access_token="));
    for _ in 0..2 {
        gate.counted.clear();
        assert_eq!(told(&gate.decide(NOW, &[(":path", &path)])), "pass");
        let checked = gate.counted.iter().filter(|own| **own == Counter::CacheMiss).count();
        assert!(checked <= 32, "{checked}");
    }
}

/// Without a nonce nobody could ever pass; and whoever is not told why still gets it.
#[test]
fn nonces_are_handed_out_whatever_else_is_told() {
    for (name, value) in [
        ("strip_failure_response", json!(true)),
        ("error_responses", json!({ "hide_detail": true })),
    ] {
        let key = SigningKey::generate(Alg::HS256, "k");
        let client = SigningKey::generate(Alg::ES256, "");
        let mut config = json!({ "providers": { "p": {
            "local_jwks": { "inline_string": jwks(&[&key]).to_string() },
            "sender_constraint": { "dpop": { "nonce": { "secret": "0123456789abcdef0123456789abcdef" } } } } } });
        config[name] = value;
        let mut gate = Gate::new(&config);
        let token = key.sign(&json!({ "cnf": { "jkt": client.thumbprint() } }));
        let proof = client.prove(&json!({ "jti": "a", "htm": "GET", "htu": "https://h/",
            "iat": NOW, "ath": ath(&token) }));
        let credentials = format!("DPoP {token}");
        let headers = [(":scheme", "https"), ("authorization", &*credentials), ("dpop", &*proof)];
        let Decision::Reject(rejection) = gate.decide(NOW, &headers) else { panic!() };
        let names: Vec<_> = rejection.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"dpop-nonce"), "{names:?}");
        let text = format!("{:?}", rejection.headers);
        assert!(!text.contains("error_description"), "{text}");
    }
}

/// A refusal of one provider's token is told in the scheme of that provider.
#[test]
fn challenges_are_those_of_the_token() {
    let key = SigningKey::generate(Alg::HS256, "k");
    let own = json!({ "inline_string": jwks(&[&key]).to_string() });
    let mut gate = Gate::new(&json!({
        "providers": {
            "plain": { "issuer": "a", "local_jwks": own },
            "proven": { "issuer": "b", "local_jwks": own,
                "sender_constraint": { "required": true, "dpop": {} } },
        },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "plain" },
            "authorization": { "scopes": { "any": ["x"] } } }],
    }));
    let bearer = format!("Bearer {}", key.sign(&json!({ "iss": "a" })));
    let Decision::Reject(rejection) = gate.decide(NOW, &[("authorization", &bearer)]) else {
        panic!()
    };
    let challenges = rejection.headers.iter().filter(|(name, _)| name == "www-authenticate");
    let challenges: Vec<_> = challenges.map(|(_, value)| value.as_str()).collect();
    assert_eq!(challenges.len(), 1);
    assert!(challenges[0].starts_with("Bearer ") && challenges[0].contains("insufficient_scope"));
}

#[test]
fn bound_tokens_are_no_bearer_tokens() {
    let locations = json!({ "from_params": ["t"], "from_cookies": ["t"],
        "from_headers": [{ "name": "authorization", "value_prefix": "Bearer " }] });
    let mut scene = Scene::new(json!({}), locations);
    let token = scene.token();
    let claims = scene.claims(&token);
    let proof = scene.client.prove(&claims);
    assert_eq!(told(&scene.decide("Bearer", &token, &[&proof])), "401 dpop_scheme_needed");
    for (name, value) in [(":path", format!("/?t={token}")), ("cookie", format!("t={token}"))] {
        let headers = [(":scheme", "https"), (name, value.as_str()), ("dpop", &proof)];
        assert_eq!(told(&scene.gate.decide(NOW, &headers)), "401 dpop_scheme_needed");
    }
    let unbound = scene.issuer.sign(&json!({}));
    assert_eq!(scene.ask(&unbound, &[&proof]), "401 dpop_not_bound");
    assert_eq!(told(&scene.decide("Bearer", &unbound, &[])), "pass");
    assert_eq!(told(&scene.decide("Bearer", &unbound, &[&proof])), "pass");
    // Both travel no further.
    let Decision::Forward(edits) = scene.decide("dpop", &token, &[&proof]) else { panic!() };
    for name in ["authorization", "dpop"] {
        assert!(edits.contains(&RequestEdit::Remove(name.into())), "{name}: {edits:?}");
    }
    // Another token of the same client is not what the proof is for.
    let other = scene.issuer.sign(&json!({ "cnf": { "jkt": scene.client.thumbprint() } }));
    let claims = scene.claims(&token);
    let proof = scene.client.prove(&claims);
    assert_eq!(scene.ask(&other, &[&proof]), "401 dpop_token_mismatch");
}

#[test]
fn what_is_not_understood_is_refused() {
    let mut scene = Scene::new(json!({}), json!({}));
    let jkt = scene.client.thumbprint();
    for cnf in [
        json!({}),
        json!(null),
        json!("x"),
        json!([]),
        json!({ "kid": "a" }),
        json!({ "jkt": jkt, "kid": "a" }),
        json!({ "jkt": 1 }),
        json!({ "jwk": {} }),
        json!({ "x5t#S256": "AA" }),
        json!({ "x5t#S256": null }),
    ] {
        let token = scene.issuer.sign(&json!({ "cnf": cnf }));
        let claims = scene.claims(&token);
        let proof = scene.client.prove(&claims);
        assert_eq!(scene.ask(&token, &[&proof]), "401 confirmation_unknown", "{cnf}");
    }
    // Both members need both.
    let both = scene.issuer.sign(&json!({ "cnf": { "jkt": jkt, "x5t#S256": "A".repeat(43) } }));
    let claims = scene.claims(&both);
    let proof = scene.client.prove(&claims);
    assert_eq!(scene.ask(&both, &[&proof]), "401 certificate_missing");
    // Without the field, `cnf` means nothing, as natively.
    let issuer = &scene.issuer;
    let set = json!({ "inline_string": jwks(&[issuer]).to_string() });
    let mut native = Gate::new(&json!({ "providers": { "p": { "local_jwks": set } } }));
    assert_eq!(native.get("/", &issuer.sign(&json!({ "cnf": { "kid": "a" } }))), "pass");
    assert!(native.engine.properties().is_empty());
    let properties = scene.gate.engine.properties();
    assert_eq!(properties, [["connection", "sha256_peer_certificate_digest"]]);
}

#[test]
fn nonces_follow_the_time() {
    let secret = "s".repeat(32);
    let nonce = json!({ "nonce": { "secret": secret, "lifetime": "100s" } });
    let mut scene = Scene::new(nonce.clone(), json!({}));
    let token = scene.token();
    let credentials = format!("DPoP {token}");
    let at = |scene: &mut Scene, now: u64, nonce: Option<&str>| {
        let mut claims = scene.claims(&token);
        claims["iat"] = json!(now);
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        let proof = scene.client.prove(&claims);
        let headers = [(":scheme", "https"), ("authorization", &*credentials), ("dpop", &proof)];
        scene.gate.decide(now, &headers)
    };
    let handed_out = |decision: &Decision| {
        let Decision::Reject(rejection) = decision else { panic!("{decision:?}") };
        assert_eq!((rejection.status, rejection.reason.code()), (401, "dpop_nonce_needed"));
        let found = |name: &str| {
            let found = rejection.headers.iter().find(|(own, _)| own == name);
            found.map(|(_, value)| value.clone()).unwrap()
        };
        assert!(
            found("www-authenticate")
                .contains("DPoP realm=\"https://h/\", error=\"use_dpop_nonce\"")
        );
        found("dpop-nonce")
    };
    let first = handed_out(&at(&mut scene, NOW, None));
    assert_eq!(told(&at(&mut scene, NOW + 99, Some(&first))), "pass");
    assert_eq!(told(&at(&mut scene, NOW + 199, Some(&first))), "pass");
    let later = handed_out(&at(&mut scene, NOW + 200, Some(&first)));
    assert_ne!(first, later);
    assert_eq!(told(&at(&mut scene, NOW + 200, Some(&later))), "pass");
    for bad in ["", "AA", &later[1..], &format!("{later}=")] {
        handed_out(&at(&mut scene, NOW + 200, Some(bad)));
    }
    // Another worker needs no more than the secret, and another secret makes others.
    let mut worker = Scene::new(nonce, json!({}));
    let mut other = Scene::new(json!({ "nonce": { "secret": "t".repeat(32) } }), json!({}));
    for (scene, expected) in [(&mut worker, "pass"), (&mut other, "401 dpop_nonce_needed")] {
        let token = scene.token();
        let mut claims = scene.claims(&token);
        claims["nonce"] = json!(first);
        let proof = scene.client.prove(&claims);
        assert_eq!(scene.ask(&token, &[&proof]), expected);
    }
}

/// A token that passes once, with a proof: whoever repeats all of a request uses up neither.
#[test]
fn single_use_and_proofs_go_together() {
    let mut scene = Scene::new(json!({}), json!({ "single_use": {} }));
    let jkt = scene.client.thumbprint();
    let once = |scene: &Scene, jti: &str| {
        scene.issuer.sign(&json!({ "jti": jti, "exp": NOW + 9, "cnf": { "jkt": jkt } }))
    };
    let token = once(&scene, "a");
    let claims = scene.claims(&token);
    let proof = scene.client.prove(&claims);
    assert_eq!(scene.ask(&token, &[&proof]), "pass");
    assert_eq!(scene.ask(&token, &[&proof]), "401 dpop_replayed");
    let claims = scene.claims(&token);
    let fresh = scene.client.prove(&claims);
    assert_eq!(scene.ask(&token, &[&fresh]), "401 token_replayed");
    // A used proof leaves another token as it was.
    let other = once(&scene, "b");
    let mut claims = scene.claims(&other);
    claims["jti"] = json!("1");
    let used = scene.client.prove(&claims);
    assert_eq!(scene.ask(&other, &[&used]), "401 dpop_replayed");
    let claims = scene.claims(&other);
    let fresh = scene.client.prove(&claims);
    assert_eq!(scene.ask(&other, &[&fresh]), "pass");
}

/// A proof is for the path that the client sent, whatever claims make of it, and is used once although
/// the requirement is judged twice.
#[test]
fn proofs_are_for_the_path_that_was_sent() {
    let issuer = SigningKey::generate(Alg::HS256, "k");
    let client = SigningKey::generate(Alg::ES256, "");
    let template = json!({ "name": "t", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
        "path_template": "/users/{id}" } });
    let own = json!({ "claim": "sub", "request_match": { "path_variable": "id" } });
    let mut gate = Gate::new(&json!({
        "providers": { "p": { "local_jwks": { "inline_string": jwks(&[&issuer]).to_string() },
            "sender_constraint": { "dpop": {} } } },
        "rules": [{ "match": { "path_match_policy": template },
            "requires": { "provider_name": "p", "authorization": own },
            "claim_to_path": [{ "path_variable": "id", "claim_name": "sub" }] }],
        "default_requirement": { "provider_name": "p" },
    }));
    let cnf = json!({ "jkt": client.thumbprint() });
    let token = issuer.sign(&json!({ "sub": "alice", "cnf": cnf }));
    let proof = |jti: &str, path: &str| {
        client.prove(&json!({ "jti": jti, "htm": "GET", "htu": format!("https://h{path}"),
            "iat": NOW, "ath": ath(&token) }))
    };
    let mut ask = |path: &str, proof: &str| {
        let credentials = format!("DPoP {token}");
        let headers = [
            (":scheme", "https"),
            (":path", path),
            ("authorization", &credentials),
            ("dpop", proof),
        ];
        told(&gate.decide(NOW, &headers))
    };
    let good = proof("a", "/users/alice");
    assert_eq!(ask("/users/alice", &good), "pass");
    assert_eq!(ask("/users/alice", &good), "401 dpop_replayed");
    assert_eq!(ask("/users/bob", &proof("b", "/users/alice")), "401 dpop_url_mismatch");
}

proptest! {
    /// Whatever a proof says, and whatever is asked for, nothing panics; and what passes is for this
    /// address.
    #[test]
    fn arbitrary_proofs_never_panic(
        text in "\\PC{0,40}",
        path in "/[%a-fA-F0-9./?#]{0,12}",
        htu in "https://h/[%a-fA-F0-9./?#]{0,12}",
        odd in "(https?|x)?(:|//|@|h|H|%|[0-9]|\\[|\\]|/|\\?){0,12}",
    ) {
        let mut scene = Scene::new(json!({}), json!({}));
        let token = scene.token();
        let credentials = format!("DPoP {token}");
        for htu in [&htu, &odd, &text] {
            let mut claims = scene.claims(&token);
            claims["htu"] = json!(htu);
            let proof = scene.client.prove(&claims);
            let headers = [(":scheme", "https"), (":path", path.as_str()),
                ("authorization", credentials.as_str()), ("dpop", &proof)];
            let answer = told(&scene.gate.decide(NOW, &headers));
            prop_assert!(["pass", "401 dpop_url_mismatch"].contains(&&*answer), "{}", answer);
            let plain = |text: &str| {
                let path = text.split(['?', '#']).next().unwrap().to_ascii_uppercase();
                (!path.contains(['%', '.'])).then_some(path)
            };
            if let (Some(told), Some(asked)) = (plain(htu), plain(&format!("https://h{path}")))
                && answer == "pass"
            {
                let told = if told == "HTTPS://H" { "HTTPS://H/".to_owned() } else { told };
                prop_assert_eq!(told.replace(":443", ""), asked);
            }
        }
        let headers = [("authorization", credentials.as_str()), ("dpop", &text)];
        prop_assert_eq!(told(&scene.gate.decide(NOW, &headers)), "401 dpop_malformed");
    }
}

#[test]
fn mistakes_about_senders() {
    let config = json!({ "providers": {
        "a": { "sender_constraint": {}, "local_jwks": { "inline_string": "{\"keys\":[]}" } },
        "b": { "local_jwks": { "inline_string": "{\"keys\":[]}" }, "sender_constraint": {
            "mtls": { "from_header": "a b" },
            "dpop": { "algorithms": ["HS256"], "max_age": "0.5s", "origins": ["api.example"],
                "nonce": { "secret": "short", "lifetime": "3601s" } } } },
    } });
    let errors = Policy::parse(config.to_string().as_bytes()).unwrap_err();
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let paths: Vec<_> = errors.iter().map(|error| error.split(": ").next().unwrap()).collect();
    assert!(!errors.concat().contains("short"), "secrets are not quoted");
    for path in [
        "providers.a.sender_constraint",
        "providers.b.sender_constraint.mtls.from_header",
        "providers.b.sender_constraint.dpop.algorithms",
        "providers.b.sender_constraint.dpop.max_age",
        "providers.b.sender_constraint.dpop.origins[0]",
        "providers.b.sender_constraint.dpop.nonce.secret",
        "providers.b.sender_constraint.dpop.nonce.lifetime",
    ] {
        assert!(paths.contains(&path), "{path}: {errors:#?}");
    }
}
