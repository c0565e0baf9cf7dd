//! Tokens that are bound to their sender, through Envoy: real client certificates, real proofs.

use std::sync::OnceLock;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use jwt_gate_demo::http::{Request, Response};
use jwt_gate_demo::keys::{Alg, SigningKey, base64url, jwks};
use jwt_gate_demo::pki::{Authority, ServerIdentity};
use jwt_gate_demo::tls::{Client, der};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::bed::{Bed, Plan, in_both, seen};

/// The CA of both sides, the listener's certificate and those of two clients.
struct Pki {
    ca: String,
    server: ServerIdentity,
    clients: [ServerIdentity; 2],
}

fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(|| {
        let authority = Authority::new("test CA");
        Pki {
            ca: authority.ca_pem(),
            server: authority.issue(&["api.test"]),
            clients: ["one", "two"].map(|name| authority.issue_to_client(name)),
        }
    })
}

/// Has the listener speak TLS, and ask clients for a certificate.
fn with_tls(bootstrap: &mut Value) {
    let Pki { ca, server, .. } = pki();
    bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"] = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "tls_certificates": [{
                    "certificate_chain": { "inline_string": server.cert_pem },
                    "private_key": { "inline_string": server.key_pem },
                }],
                "validation_context": { "trusted_ca": { "inline_string": ca } },
            },
        },
    });
}

fn bed(version: &'static str, key: &SigningKey, sender: Value, rest: Value) -> Plan {
    let mut configuration = rest;
    configuration["providers"] = json!({ "p": {
        "issuer": "https://issuer.example",
        "local_jwks": { "inline_string": jwks(&[key]).to_string() },
        "claim_to_headers": [{ "header_name": "x-sub", "claim_name": "sub" }],
        "sender_constraint": sender,
    } });
    Plan { version, concurrency: 4, ..Plan::new(configuration, 1) }
}

fn token(key: &SigningKey, cnf: Value) -> String {
    key.sign(&json!({ "iss": "https://issuer.example", "sub": "alice", "cnf": cnf }))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

in_both!(a_token_needs_the_certificate_it_is_bound_to);
fn a_token_needs_the_certificate_it_is_bound_to(version: &'static str) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let resource = json!([{ "resource": "https://api.example", "hosts": ["*"] }]);
    let rest = json!({ "protected_resources": resource });
    let plan = bed(version, &key, json!({ "mtls": {} }), rest);
    let bed = Plan { change_bootstrap: with_tls, ..plan }.start();
    let client = |identity| Client::new(&pki().ca, "api.test", identity);
    let [one, two] = &pki().clients;
    let (first, second, nobody) = (client(Some(one)), client(Some(two)), client(None));
    let digest = base64url(Sha256::digest(der(&one.cert_pem)));
    let bound = token(&key, json!({ "x5t#S256": digest }));
    let ask = |client: &Client, token: &str| -> Response {
        client.send(&Request::get("/").bearer(token), bed.address).unwrap()
    };
    // The second time, the token is known.
    for _ in 0..2 {
        let good = ask(&first, &bound);
        assert_eq!((good.status, seen(&good, "x-sub")), (200, vec!["alice".to_owned()]));
        let stolen = ask(&second, &bound);
        let expected = "Jwt is bound to another client certificate";
        assert_eq!((stolen.status, stolen.text()), (401, expected.to_owned()));
        let challenge = stolen.header("www-authenticate").unwrap();
        assert!(
            challenge.starts_with("Bearer realm=\"https://api.test/\", error=\"invalid_token\"")
        );
        let bare = ask(&nobody, &bound);
        assert_eq!(
            (bare.status, bare.text()),
            (401, "Jwt is bound to a client certificate".to_owned())
        );
    }
    // What clients say of certificates counts for nothing.
    let hash: String =
        Sha256::digest(der(&one.cert_pem)).iter().map(|octet| format!("{octet:02x}")).collect();
    let told = Request::get("/").bearer(&bound);
    let told = told.header("x-forwarded-client-cert", format!("Hash={hash}"));
    assert_eq!(second.send(&told, bed.address).unwrap().status, 401);
    let unknown = ask(&first, &token(&key, json!({ "x5t#S256": digest, "kid": "a" })));
    let expected = "Jwt is bound in a way that is not supported";
    assert_eq!((unknown.status, unknown.text()), (401, expected.to_owned()));
    let path = "/.well-known/oauth-protected-resource";
    let document = nobody.send(&Request::get(path), bed.address).unwrap().json().unwrap();
    assert_eq!(document["tls_client_certificate_bound_access_tokens"], true);
    assert_eq!(bed.counter("denied_for.certificate_mismatch"), 3);
    assert_eq!(bed.counter("denied_for.certificate_missing"), 2);
}

in_both!(a_proxy_in_front_tells_of_the_certificate);
/// Here it is the same one, which strikes what clients say of themselves.
fn a_proxy_in_front_tells_of_the_certificate(version: &'static str) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let sender = json!({ "mtls": { "from_header": "x-forwarded-client-cert" } });
    let plan = Plan { change_bootstrap: with_tls, ..bed(version, &key, sender, json!({})) };
    let change = |manager: &mut Value| {
        manager["forward_client_cert_details"] = json!("SANITIZE_SET");
        manager["set_current_client_cert_details"] =
            json!({ "subject": true, "cert": true, "dns": true });
    };
    let bed = Plan { change, ..plan }.start();
    let [one, two] = &pki().clients;
    let digest = Sha256::digest(der(&one.cert_pem));
    let bound = token(&key, json!({ "x5t#S256": base64url(digest) }));
    let hash: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    let forged = Request::get("/").bearer(&bound);
    let forged = forged.header("x-forwarded-client-cert", format!("Hash={hash}"));
    for (identity, status) in [(Some(one), 200), (Some(two), 401), (None, 401)] {
        let client = Client::new(&pki().ca, "api.test", identity);
        let plain = client.send(&Request::get("/").bearer(&bound), bed.address).unwrap();
        assert_eq!(plain.status, status, "{}", plain.text());
        assert_eq!(client.send(&forged, bed.address).unwrap().status, status);
    }
}

/// A client that proves that it has its key.
struct Prover<'a> {
    bed: &'a Bed,
    key: SigningKey,
    token: String,
}

impl Prover<'_> {
    fn proof(&self, changes: Value) -> String {
        let mut claims = json!({ "jti": changes.to_string() + &now().to_string(), "htm": "GET",
            "htu": format!("http://{}/orders", self.bed.address), "iat": now(),
            "ath": base64url(Sha256::digest(&self.token)) });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.key.prove(&claims)
    }

    fn request(&self, proof: &str) -> Request {
        let request = Request::get("/orders?page=2").header("dpop", proof);
        request.header("authorization", format!("DPoP {}", self.token))
    }

    fn ask(&self, proof: &str) -> Response {
        self.bed.send(&self.request(proof))
    }
}

fn challenges(answer: &Response) -> Vec<String> {
    let found = answer.headers.iter().filter(|(name, _)| name == "www-authenticate");
    found.map(|(_, value)| String::from_utf8(value.clone()).unwrap()).collect()
}

in_both!(a_token_needs_a_proof_of_its_key);
fn a_token_needs_a_proof_of_its_key(version: &'static str) {
    let issuer = SigningKey::generate(Alg::ES256, "k");
    let resource = json!([{ "resource": "https://api.example", "hosts": ["*"] }]);
    let rest = json!({ "protected_resources": resource });
    let bed = bed(version, &issuer, json!({ "dpop": {} }), rest).start();
    let key = SigningKey::generate(Alg::ES256, "");
    let bound = token(&issuer, json!({ "jkt": key.thumbprint() }));
    let client = Prover { bed: &bed, key, token: bound };
    let good = client.ask(&client.proof(json!({})));
    assert_eq!((good.status, seen(&good, "x-sub")), (200, vec!["alice".to_owned()]));
    assert!(seen(&good, "dpop").is_empty() && seen(&good, "authorization").is_empty());
    let eddsa = SigningKey::generate(Alg::EdDSA, "");
    let bound = token(&issuer, json!({ "jkt": eddsa.thumbprint() }));
    let other = Prover { bed: &bed, key: eddsa, token: bound };
    assert_eq!(other.ask(&other.proof(json!({}))).status, 200);

    // Stolen tokens, and proofs for something else.
    let bare = bed.send(&Request::get("/orders").bearer(&client.token));
    assert_eq!((bare.status, bare.text()), (401, "Jwt is bound to a key".to_owned()));
    let told = challenges(&bare);
    assert_eq!(told.len(), 1, "{told:?}");
    let challenge = &told[0];
    assert!(challenge.starts_with("DPoP realm=") && challenge.contains("algs=\"ES256 EdDSA\""));
    let proof = client.proof(json!({ "jti": "kept" }));
    let twice = client.request(&proof).header("dpop", &proof);
    assert_eq!(bed.send(&twice).status, 401);
    for (changes, expected) in [
        (json!({ "htm": "POST" }), "DPoP proof is for another method"),
        (json!({ "htu": format!("http://{}/", bed.address) }), "DPoP proof is for another URL"),
        (json!({ "htu": "http://other.example/orders" }), "DPoP proof is for another URL"),
        (
            json!({ "ath": base64url(Sha256::digest(&other.token)) }),
            "DPoP proof is for another Jwt",
        ),
        (json!({ "iat": now() - 130 }), "DPoP proof is too old, or ahead of the clock"),
    ] {
        let answer = client.ask(&client.proof(changes));
        assert_eq!((answer.status, answer.text()), (401, expected.to_owned()));
        let told = challenges(&answer);
        assert!(told[0].contains("error=\"invalid_dpop_proof\""), "{told:?}");
    }
    let stolen = Prover { bed: &bed, key: SigningKey::generate(Alg::ES256, ""), ..client };
    let answer = stolen.ask(&stolen.proof(json!({})));
    assert_eq!((answer.status, answer.text()), (401, "Jwt is bound to another key".to_owned()));
    // The good one is good still, and once.
    let request = stolen.request(&proof);
    let answers: Vec<u16> = thread::scope(|scope| {
        let callers: Vec<_> =
            (0..16).map(|_| scope.spawn(|| request.send(bed.address).unwrap().status)).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let of = |wanted| answers.iter().filter(|status| **status == wanted).count();
    assert_eq!((of(200), of(401)), (1, 15), "{answers:?}");
    assert_eq!(bed.counter("denied_for.dpop_replayed"), 15);

    // Whoever has no token learns of both ways.
    let missing = challenges(&bed.send(&Request::get("/orders")));
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(missing[0].starts_with("Bearer ") && missing[1].starts_with("DPoP "));
    let path = "/.well-known/oauth-protected-resource";
    let document = bed.send(&Request::get(path)).json().unwrap();
    assert_eq!(document["dpop_signing_alg_values_supported"], json!(["ES256", "EdDSA"]));
    assert!(document.get("dpop_bound_access_tokens_required").is_none());
}

in_both!(nonces_are_handed_out_and_taken_by_every_worker);
fn nonces_are_handed_out_and_taken_by_every_worker(version: &'static str) {
    let issuer = SigningKey::generate(Alg::ES256, "k");
    let nonce = json!({ "secret": "0123456789abcdef0123456789abcdef" });
    let sender = json!({ "required": true, "dpop": { "nonce": nonce } });
    let bed = bed(version, &issuer, sender, json!({})).start();
    let key = SigningKey::generate(Alg::ES256, "");
    let bound = token(&issuer, json!({ "jkt": key.thumbprint() }));
    let client = Prover { bed: &bed, key, token: bound };
    let answer = client.ask(&client.proof(json!({})));
    assert_eq!(answer.status, 401);
    assert!(challenges(&answer)[0].contains("error=\"use_dpop_nonce\""));
    let nonce = answer.header("dpop-nonce").unwrap();
    // Each over a connection of its own, and so by several workers.
    for index in 0..8 {
        let proof = client.proof(json!({ "nonce": nonce, "jti": index.to_string() }));
        assert_eq!(client.ask(&proof).status, 200);
    }
    let unbound = bed.get(&issuer.sign(&json!({ "iss": "https://issuer.example" })));
    assert_eq!((unbound.status, unbound.text()), (401, "Jwt is bound to nobody".to_owned()));
}
