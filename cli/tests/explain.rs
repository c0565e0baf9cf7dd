//! `explain`: the core's own decisions, told step by step.
#![expect(clippy::panic, clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

mod command;

use std::fs;
use std::path::PathBuf;

use command::{Said, run, run_with, scratch};
use jwt_gate_signing::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;

/// Keys, and a file that publishes them.
struct Bench {
    key: SigningKey,
    folder: PathBuf,
    set: String,
}

impl Bench {
    fn new(name: &str) -> Self {
        let (folder, key) = (scratch(name), SigningKey::generate(Alg::ES256, "k1"));
        let other = SigningKey::generate(Alg::ES384, "k2");
        let set = folder.join("jwks.json");
        fs::write(&set, jwks(&[&key, &other]).to_string()).unwrap();
        Self { key, set: set.to_str().unwrap().to_owned(), folder }
    }

    /// A good token, but for these claims.
    fn token(&self, changes: &Value) -> String {
        self.sign(&json!({ "typ": "at+jwt" }), changes)
    }

    fn sign(&self, header_changes: &Value, changes: &Value) -> String {
        let mut claims = json!({
            "iss": "https://issuer.example", "aud": "orders-api", "sub": "user-1", "scope": "read",
            "client_id": "web", "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 600,
        });
        let mut header = self.key.header();
        for (all, changes) in [(&mut claims, changes), (&mut header, header_changes)] {
            for (name, value) in changes.as_object().unwrap() {
                all[name] = value.clone();
                if value.is_null() {
                    all.as_object_mut().unwrap().remove(name);
                }
            }
        }
        self.key.sign_with_header(&header, claims.to_string().as_bytes())
    }

    fn ask(&self, path: &str, token: &str, more: &[&str]) -> Said {
        let mut arguments =
            vec!["explain", "-c", "explain.yaml", "--jwks", &self.set, "--at", "1800000000"];
        arguments.extend(["--request", "GET", path]);
        if !token.is_empty() {
            arguments.extend(["--token", token]);
        }
        arguments.extend(more);
        run(&arguments)
    }

    #[track_caller]
    fn json(&self, path: &str, token: &str, more: &[&str]) -> Value {
        let said = self.ask(path, token, &[more, &["--json"]].concat());
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }

    /// The check that failed, and the reason of the answer.
    #[track_caller]
    fn failed(&self, path: &str, token: &str, more: &[&str]) -> (String, String) {
        let told = self.json(path, token, more);
        let steps = told["steps"].as_array().unwrap();
        let bad = steps.iter().find(|step| step["state"] == "bad");
        let step = bad.map(|step| step["step"].as_str().unwrap().to_owned()).unwrap_or_default();
        (step, told["answer"]["reason"].as_str().unwrap_or("pass").to_owned())
    }
}

#[test]
fn a_good_token_passes_every_check() {
    let bench = Bench::new("explain-good");
    let said = bench.ask("/orders?x=secret", &bench.token(&json!({})), &[]);
    assert_eq!(said.code, 0, "{said:?}");
    for text in [
        "request GET https://localhost/orders, at 2027-01-15T08:00:00Z",
        "rules[6] (prefix \"/\") is the first that matches",
        "for a token of `main`",
        "in the header authorization, behind `Bearer `",
        "`k1` of 2: kid and alg fit",
        "checked with `k1` (1 tried)",
        "2027-01-15T08:10:00Z (in 10 min); skew 60 s",
        "adds x-user: user-1",
        "x-gate: (not shown)",
        "takes authorization away",
    ] {
        assert!(said.out.contains(text), "{text}\n{}", said.out);
    }
    assert!(
        !said.out.contains("secret") && !said.out.contains("FAIL") && !said.out.contains("hush"),
        "{}",
        said.out
    );
}

/// The order in which `explain` lists checks is the core's: of two things that are wrong, the earlier one
/// is told.
#[test]
fn checks_are_listed_in_the_order_of_the_core() {
    let bench = Bench::new("explain-order");
    let wrongs: [(&str, &str, Value, Value); 10] = [
        ("iss", "issuer_unknown", json!({}), json!({ "iss": "https://else.example" })),
        ("nbf", "not_yet_valid", json!({}), json!({ "nbf": NOW + 100 })),
        ("exp", "expired", json!({}), json!({ "exp": NOW - 100 })),
        ("aud", "audience_not_allowed", json!({}), json!({ "aud": "else" })),
        ("sub", "subject_not_allowed", json!({}), json!({ "sub": "else" })),
        ("lifetime", "lifetime_not_allowed", json!({}), json!({ "exp": NOW + 9000 })),
        ("age", "age_not_allowed", json!({}), json!({ "iat": NOW - 9000 })),
        ("typ", "type_not_allowed", json!({ "typ": "JWT" }), json!({})),
        ("required_claims", "claim_missing", json!({}), json!({ "scope": null })),
        ("azp, client_id", "party_not_allowed", json!({}), json!({ "client_id": "else" })),
    ];
    let listed: Vec<String> = {
        let told = bench.json("/", &bench.token(&json!({})), &[]);
        let steps = told["steps"].as_array().unwrap().clone();
        steps.iter().map(|step| step["step"].as_str().unwrap().to_owned()).collect()
    };
    for (place, (step, reason, header, claims)) in wrongs.iter().enumerate() {
        let mut header = merged(&json!({ "typ": "at+jwt" }), header);
        assert_eq!(
            bench.failed("/", &bench.sign(&header, claims), &[]),
            ((*step).to_owned(), (*reason).to_owned())
        );
        // With everything behind it wrong as well, but for what would undo this one.
        let mut claims = claims.clone();
        for (_, _, other_header, other) in &wrongs[place + 1..] {
            header = merged(&header, other_header);
            claims = merged(other, &claims);
        }
        assert_eq!(bench.failed("/", &bench.sign(&header, &claims), &[]).1, *reason, "{claims}");
        let later: Vec<_> = wrongs[place + 1..].iter().map(|other| other.0).collect();
        let at = |name: &str| listed.iter().position(|own| own == name).unwrap();
        assert!(later.iter().all(|name| at(name) > at(step)), "{step}: {listed:?}");
    }
}

/// `base` with the members of `over`.
fn merged(base: &Value, over: &Value) -> Value {
    let mut all = base.clone();
    for (name, value) in over.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

#[test]
fn forms_keys_and_signatures_are_told_apart() {
    let bench = Bench::new("explain-forms");
    let typ = json!({ "typ": "at+jwt" });
    let good = bench.token(&json!({}));
    let (start, signature) = good.rsplit_once('.').unwrap();
    let other = SigningKey::generate(Alg::ES256, "k1");
    let forged = other.sign_with_header(&merged(&other.header(), &typ), &base64_payload(&good));
    for (token, step, reason) in [
        ("hello", "form", "token_malformed"),
        ("a.b.c", "form", "header_encoding"),
        ("bm8.e30.eA", "form", "header_not_json"),
        (start, "form", "token_malformed"),
        (
            &bench.sign(&merged(&typ, &json!({ "alg": "none" })), &json!({})),
            "form",
            "algorithm_unknown",
        ),
        (&bench.sign(&merged(&typ, &json!({ "kid": 7 })), &json!({})), "form", "kid_type"),
        (&bench.token(&json!({ "exp": "soon" })), "form", "exp_type"),
        (&bench.sign(&merged(&typ, &json!({ "kid": "k9" })), &json!({})), "key", "key_unknown"),
        (&bench.sign(&merged(&typ, &json!({ "kid": "k2" })), &json!({})), "key", "key_unknown"),
        (
            &bench.sign(&merged(&typ, &json!({ "alg": "HS256" })), &json!({})),
            "alg",
            "algorithm_not_allowed",
        ),
        (&forged, "signature", "signature_invalid"),
    ] {
        assert_eq!(bench.failed("/", token, &[]), (step.to_owned(), reason.to_owned()), "{token}");
        let said = bench.ask("/", token, &[]);
        assert_eq!(said.code, 1);
        assert!(said.out.contains(&format!("401 {reason}")), "{}", said.out);
        assert!(
            said.out.contains("www-authenticate: Bearer realm=\"https://localhost/\""),
            "{}",
            said.out
        );
        assert!(!said.out.contains(signature) && !said.out.contains(start), "{}", said.out);
    }
}

fn base64_payload(token: &str) -> Vec<u8> {
    jwt_gate::jose::base64url::decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap()
}

#[test]
fn rules_requirements_and_policies_are_told() {
    let bench = Bench::new("explain-rules");
    let good = bench.token(&json!({}));
    let said = bench.ask("/healthz", "", &[]);
    assert!(said.code == 0 && said.out.contains("for nothing"), "{said:?}");
    let said = bench.ask("/orders", "", &[]);
    assert!(said.code == 1 && said.out.contains("none is where it is looked for"), "{said:?}");
    let said = bench.ask("/admin", &good, &[]);
    assert!(
        said.out.contains("403 insufficient_scope") && said.out.contains("scope=\"admin\""),
        "{said:?}"
    );
    assert_eq!(
        bench.failed("/admin", &good, &[]),
        ("conditions".to_owned(), "insufficient_scope".to_owned())
    );
    let said = bench.ask("/secret", &good, &[]);
    assert!(said.out.contains("authorization.policies[0] applies: deny"), "{said:?}");
    assert!(said.out.contains("403 denied_by_policy"), "{said:?}");
    let said = bench.ask("/trial", "", &[]);
    assert!(
        said.code == 0 && said.out.contains("report_only: it would be refused for token_missing"),
        "{said:?}"
    );
    let said = bench.ask("/optional", &bench.token(&json!({ "exp": 1 })), &[]);
    assert!(said.code == 1 && said.out.contains("401 expired"), "{said:?}");
    // The time can be another one.
    let said = bench.ask("/orders", &good, &["--at", "2027-01-15T09:00:00Z"]);
    assert_eq!(said.code, 2, "--at twice: {said:?}");
}

#[test]
fn tokens_are_put_where_they_are_looked_for() {
    let bench = Bench::new("explain-places");
    let claims = json!({ "iss": "https://login.example/acme/v2", "tid": "acme" });
    let token = bench.token(&claims);
    let header = format!("X-Tenant-Token: {token}");
    let said = bench.ask("/tenants", "", &["-H", &header]);
    assert!(said.code == 0 && said.out.contains("in the header x-tenant-token"), "{said:?}");
    assert!(!said.out.contains(&token), "{}", said.out);
    let header =
        format!("x-tenant-token: {}", bench.token(&merged(&claims, &json!({ "tid": "other" }))));
    assert_eq!(
        bench.failed("/tenants", "", &["-H", &header]),
        ("issuer_claims".to_owned(), "issuer_unknown".to_owned())
    );
    // Keys of an issuer that is discovered; a cookie beside another one.
    let header =
        format!("cookie: a=1; session={}", bench.token(&json!({ "iss": "https://found.example" })));
    let said = bench.ask("/found", "", &["-H", &header]);
    assert!(said.code == 0 && said.out.contains("in the cookie session"), "{said:?}");
    assert!(said.out.contains("adds cookie: (not shown)"), "{said:?}");
}

#[test]
fn tokens_come_from_files_and_standard_input_too() {
    let bench = Bench::new("explain-files");
    let good = bench.token(&json!({}));
    let file = bench.folder.join("token");
    fs::write(&file, format!("Bearer {good}\n")).unwrap();
    let said = bench.ask("/orders", &format!("@{}", file.display()), &[]);
    assert_eq!(said.code, 0, "{said:?}");
    let arguments = [
        "explain",
        "-c",
        "explain.yaml",
        "--jwks",
        &bench.set,
        "--at",
        "1800000000",
        "--token",
        "-",
    ];
    assert_eq!(run_with(&arguments, &good).code, 0);
    assert_eq!(run_with(&arguments, "").code, 3);
}

#[test]
fn what_is_missing_is_asked_for() {
    let bench = Bench::new("explain-missing");
    let good = bench.token(&json!({}));
    let arguments = ["explain", "-c", "explain.yaml", "--at", "1800000000", "--token", &good];
    let said = run(&arguments);
    assert_eq!(said.code, 3);
    assert!(
        said.out.contains("depends on the keys of") && said.out.contains("--jwks FILE"),
        "{said:?}"
    );
    // The keys of this one provider are enough.
    let own = format!("main={}", bench.set);
    let said = run(&[&arguments[..], &["--jwks", &own]].concat());
    assert_eq!(said.code, 0, "{said:?}");
    for (more, says) in [
        (["--jwks", "nowhere"], "there is no such file"),
        (["--jwks", "explain.yaml"], "the key set is not a JSON object"),
        (["--at", "tomorrow"], "--at tomorrow"),
        (["-H", "nonsense"], "name: value"),
        (["--token", "@nowhere"], "there is no such file"),
    ] {
        let rest: &[&str] = &["explain", "-c", "explain.yaml"];
        let said = run(&[rest, &more].concat());
        assert!(said.code == 3 && said.err.contains(says), "{more:?}: {said:?}");
    }
    let said = run(&["explain", "-c", "explain.yaml", "-r", "GET", "nonsense"]);
    assert!(said.code == 3 && said.err.contains("a method and an address"), "{said:?}");
    let said = run(&["explain", "-c", "mistakes.yaml"]);
    assert!(said.code == 3 && said.err.contains("`jwt-gate check` lists all mistakes"), "{said:?}");
    let said = run(&["explain", "-c", "nowhere.yaml"]);
    assert!(said.code == 3 && said.err.contains("there is no such file"), "{said:?}");
}

/// What may be used once, by whom, and what was revoked.
#[test]
fn possession_and_revocation_are_told() {
    let bench = Bench::new("explain-once");
    let file = bench.folder.join("once.json");
    let set = fs::read_to_string(&bench.set).unwrap();
    let providers = json!({
        "once": { "issuer": "https://once.example", "local_jwks": { "inline_string": set }, "single_use": {} },
        "bound": {
            "issuer": "https://bound.example", "local_jwks": { "inline_string": set },
            "sender_constraint": { "required": true, "dpop": {} },
        },
        "listed": {
            "issuer": "https://listed.example", "local_jwks": { "inline_string": set },
            "revocation": { "list": { "http_uri": { "uri": "https://x.example/list", "cluster": "c", "timeout": "5s" } } },
        },
    });
    fs::write(&file, json!({ "providers": providers }).to_string()).unwrap();
    let ask = |issuer: &str| {
        let token = bench.token(&json!({ "iss": format!("https://{issuer}.example"), "jti": "a" }));
        run(&["explain", "-c", file.to_str().unwrap(), "--at", "1800000000", "-t", &token])
    };
    let said = ask("once");
    assert!(said.code == 0 && said.out.contains("used up by this request"), "{said:?}");
    assert!(said.out.contains("possession       once"), "{}", said.out);
    let said = ask("bound");
    assert!(said.code == 1 && said.out.contains("FAIL possession"), "{said:?}");
    let said = ask("listed");
    assert!(said.code == 1 && said.out.contains("FAIL revocation"), "{said:?}");
    assert!(said.out.contains("as if it could not be had"), "{said:?}");
}
