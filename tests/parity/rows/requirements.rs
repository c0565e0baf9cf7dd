//! Rules and requirement trees, and keys that are fetched.

use jwt_gate_demo::issuer::Issuer;
use serde_json::{Value, json};

use super::{KEYS, bearer, claims, get, provider, required, scene, token, with};
use crate::Scene;

pub(super) fn scenes(issuer: &Issuer) -> Vec<Scene> {
    let mut scenes = vec![rules(), no_rules(), shared_place(), remote(issuer), down()];
    scenes.push(no_audiences("audiences absent", json!({})));
    scenes.push(no_audiences("audiences empty", json!({ "audiences": [] })));
    scenes.extend(trees());
    scenes
}

fn rules() -> Scene {
    let configuration = json!({
        "providers": { "p": provider(json!({})), "q": provider(json!({"issuer": "q"})) },
        "rules": [
            { "match": { "path": "/open" } },
            { "match": { "prefix": "/nothing" }, "requires": {} },
            { "match": { "path": "/Case", "case_sensitive": false }, "requires": { "provider_name": "q" } },
            { "match": { "prefix": "/q/" }, "requires": { "provider_name": "q" } },
            { "match": { "prefix": "/p" }, "requires": { "provider_name": "p" } },
            { "match": { "path": "/p/later" } },
        ],
    });
    let mut scene = scene("rules", configuration);
    for path in [
        "/open",
        "/open?x=1",
        "/open/",
        "/open/x",
        "/Open",
        "/open#f",
        "/open;x",
        "/open%20",
        "//open",
        "/nothing",
        "/nothingness",
        "/case",
        "/CASE",
        "/case/",
        "/q",
        "/q/",
        "/q/x",
        "/p",
        "/pq",
        "/p/later",
        "/P",
        "/elsewhere",
        "/?/open",
        "/p?q=/open",
        "/./open",
        "/x/../open",
    ] {
        scene = scene
            .row(format!("{path} without"), get(path))
            .row(format!("{path} with"), get(path).bearer(&token(json!({}))));
    }
    scene
}

/// Without audiences of its own, does a requirement ask for the provider's, or for none?
fn no_audiences(title: &'static str, audiences: Value) -> Scene {
    let requires = with(json!({ "provider_name": "p" }), audiences);
    let configuration = json!({
        "providers": { "p": provider(json!({ "audiences": ["other"] })) },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_and_audiences": requires } }],
    });
    scene(title, configuration)
        .row("of another", bearer(&token(json!({ "aud": "api" }))))
        .row("of the provider", bearer(&token(json!({ "aud": "other" }))))
        .row("absent", bearer(&token(json!({ "aud": null }))))
}

fn no_rules() -> Scene {
    let configuration = json!({ "providers": { "p": provider(json!({})) } });
    scene("no rules", configuration)
        .row("missing", get("/"))
        .row("good", bearer(&token(json!({}))))
        .row("bad", bearer("a.b.c"))
}

/// Providers at places of their own, under every kind of requirement.
fn trees() -> Vec<Scene> {
    let place = |name: &str| {
        json!({"issuer": name, "from_headers": [{"name": format!("x-{name}")}],
               "claim_to_headers": [{"header_name": format!("x-sub-{name}"), "claim_name": "sub"}]})
    };
    let providers = || json!({ "a": provider(place("a")), "b": provider(place("b")) });
    let name = |name: &str| json!({ "provider_name": name });
    let any = |list: Value| json!({ "requires_any": { "requirements": list } });
    let all = |list: Value| json!({ "requires_all": { "requirements": list } });
    let missing = || json!({ "allow_missing": {} });
    let failed = || json!({ "allow_missing_or_failed": {} });
    let only = |audience: &str| json!({ "provider_and_audiences": { "provider_name": "a", "audiences": [audience] } });
    let trees = [
        ("tree: a", name("a")),
        ("tree: nothing", json!({})),
        ("tree: any", any(json!([name("a"), name("b")]))),
        ("tree: all", all(json!([name("a"), name("b")]))),
        ("tree: missing", missing()),
        ("tree: missing or failed", failed()),
        ("tree: any or missing", any(json!([name("a"), name("b"), missing()]))),
        ("tree: any or missing or failed", any(json!([name("a"), name("b"), failed()]))),
        ("tree: missing first", any(json!([missing(), name("a")]))),
        ("tree: both allowances", any(json!([missing(), failed(), name("a")]))),
        ("tree: all of optional", {
            let optional = |n: &str| any(json!([name(n), missing()]));
            all(json!([optional("a"), optional("b")]))
        }),
        ("tree: nested", any(json!([all(json!([name("a"), name("b")])), only("special")]))),
        ("tree: audience api", only("api")),
        ("tree: audience other", only("other")),
    ];
    let good = |name: &str| KEYS["ES256"].sign(&claims(json!({ "iss": name })));
    let cut = |token: String| format!("{}AAAA", &token[..token.len() - 4]);
    let tokens = |name: &str| {
        vec![
            ("-", None),
            ("good", Some(good(name))),
            ("expired", Some(KEYS["ES256"].sign(&claims(json!({"iss": name, "exp": 5}))))),
            ("forged", Some(cut(good(name)))),
            ("foreign", Some(good("z"))),
            ("special", Some(KEYS["ES256"].sign(&claims(json!({"iss": name, "aud": "special"}))))),
        ]
    };
    trees
        .into_iter()
        .map(|(title, requires)| {
            let configuration = json!({
                "providers": providers(),
                "rules": [{ "match": { "prefix": "/" }, "requires": requires }],
            });
            let mut scene = scene(title, configuration);
            for (a, token_a) in tokens("a") {
                for (b, token_b) in tokens("b") {
                    if b == "special" || (a == "special" && b != "-") {
                        continue;
                    }
                    let mut request = get("/");
                    for (name, token) in [("x-a", &token_a), ("x-b", &token_b)] {
                        if let Some(token) = token {
                            request = request.header(name, token);
                        }
                    }
                    scene = scene.row(format!("a {a}, b {b}"), request);
                }
            }
            // A token at the place of the other provider.
            scene.row("swapped", get("/").header("x-a", good("b")).header("x-b", good("a")))
        })
        .collect()
}

/// Two providers at the default place.
fn shared_place() -> Scene {
    let configuration = json!({
        "providers": {
            "p": provider(json!({})),
            "q": provider(json!({"issuer": "q"})),
            "any": provider(json!({"issuer": "", "from_params": ["any"]})),
        },
        "rules": [
            { "match": { "prefix": "/any" }, "requires": { "requires_any": { "requirements": [
                { "provider_name": "p" }, { "provider_name": "q" } ] } } },
            { "match": { "prefix": "/all" }, "requires": { "requires_all": { "requirements": [
                { "provider_name": "p" }, { "provider_name": "q" } ] } } },
            { "match": { "prefix": "/optional" }, "requires": { "allow_missing": {} } },
            { "match": { "prefix": "/lenient" }, "requires": { "allow_missing_or_failed": {} } },
        ],
    });
    let mut scene = scene("shared place", configuration);
    for path in ["/any", "/all", "/optional", "/lenient"] {
        for iss in ["i", "q", "z"] {
            let token = token(json!({ "iss": iss }));
            scene = scene
                .row(format!("{path} header {iss}"), get(path).bearer(&token))
                .row(format!("{path} parameter {iss}"), get(format!("{path}?any={token}")));
        }
    }
    scene
}

fn remote(issuer: &Issuer) -> Scene {
    let configuration = required(json!({
        "issuer": "remote",
        "local_jwks": null,
        "remote_jwks": {
            "http_uri": { "uri": "http://issuer.test/jwks.json", "cluster": "issuer", "timeout": "5s" },
            "cache_duration": "300s",
        },
    }));
    let mint = |claims: Value| bearer(&issuer.mint(claims));
    let stranger = with(claims(json!({})), json!({"iss": "remote"}));
    scene("remote keys", configuration)
        .row("good", mint(json!({"jti": null, "iat": null, "nbf": null})))
        .row("expired", mint(json!({"exp": 5})))
        .row("missing", get("/"))
        .row("no kid fits", bearer(&KEYS["ES256"].sign(&stranger)))
}

/// The issuer is not reachable.
fn down() -> Scene {
    let uri = json!({ "uri": "http://issuer.test/jwks.json", "cluster": "down", "timeout": "1s" });
    let configuration = required(json!({ "local_jwks": null, "remote_jwks": { "http_uri": uri } }));
    scene("issuer down", configuration)
        .row("missing", get("/"))
        .row("malformed", bearer("a.b"))
        .row("expired", bearer(&token(json!({"exp": 5}))))
        .row("good", bearer(&token(json!({}))))
}
