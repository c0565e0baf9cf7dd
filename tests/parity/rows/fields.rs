//! The fields of providers and of the whole message, one scene each.

use std::time::{SystemTime, UNIX_EPOCH};

use jwt_gate_demo::http::Request;
use serde_json::{Value, json};

use super::{all_keys, bearer, claims, get, provider, required, scene, token, token_of_text, with};
use crate::Scene;

pub(super) fn scenes() -> Vec<Scene> {
    let mut scenes = vec![
        require_expiration(),
        max_lifetime(),
        both_lifetimes(),
        padding(),
        claim_names(),
        inline_bytes(),
        camel_case(),
        preflight(true),
        preflight(false),
        stripped(),
        requirement_map(),
        native_fetching(),
        rerouted(),
        metadata(),
    ];
    scenes.extend(subjects());
    scenes
}

/// Fields that the oldest supported version does not know.
pub(super) fn newer_scenes() -> Vec<Scene> {
    vec![
        extract_only("extract only", json!({})),
        extract_only("extract only, header", json!({"verification_status_header": "X-Checked"})),
        extract_only("extract only, no header", json!({"verification_status_header": "-"})),
        claim_path(),
    ]
}

fn extract_only(name: &'static str, fields: Value) -> Scene {
    let configuration = json!({
        "providers": {
            "p": provider(json!({
                "audiences": ["api"],
                "claim_to_headers": [{"header_name": "x-sub", "claim_name": "sub"}],
                "forward_payload_header": "x-payload",
            })),
            "q": provider(json!({
                "issuer": "q",
                "forward": true,
                "from_params": ["q"],
                "claim_to_headers": [{"header_name": "x-q", "claim_name": "sub"}],
            })),
        },
        "rules": [{ "match": { "prefix": "/" },
            "requires": { "extract_only_without_validation": fields } }],
    });
    let good = token(json!({}));
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    let of_q = token(json!({"iss": "q", "sub": "bob"}));
    scene(name, configuration)
        .row("none", get("/"))
        .row("good", bearer(&good))
        .row("forged", bearer(&forged))
        .row("expired", bearer(&token(json!({"exp": 5}))))
        .row("wrong audience", bearer(&token(json!({"aud": "x"}))))
        .row("unknown issuer", bearer(&token(json!({"iss": "z"}))))
        .row("no claims", bearer(&token_of_text(r#"{"iss":"i"}"#)))
        .row("malformed", bearer("a.b.c"))
        .row("not a token", bearer("abc"))
        .row("parameter", get(format!("/?q={of_q}&a=b")))
        .row("both", get(format!("/?q={of_q}")).bearer(&good))
        .row("spoofed", get("/").header("x-sub", "s").header("x-jwt-signature-verified", "true"))
        .row("spoofed, with a token", bearer(&good).header("x-jwt-signature-verified", "true"))
}

fn claim_path() -> Scene {
    let configuration = required(json!({
        "claim_to_headers": [
            {"header_name": "x-url", "claim_path": [{"key": "https://a.test/role"}]},
            {"header_name": "x-deep", "claim_path": [{"key": "a.b"}, {"key": "c"}]},
        ],
    }));
    scene("claim_path", configuration)
        .row("both", bearer(&token(json!({"https://a.test/role": "admin", "a.b": {"c": 5}}))))
        .row(
            "other shapes",
            bearer(&token(json!({"https://a": {"test/role": 1}, "a": {"b": {"c": 1}}}))),
        )
        .row("neither", bearer(&token(json!({}))))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn subjects() -> Vec<Scene> {
    let matchers = [
        ("subjects exact", json!({"exact": "alice"})),
        ("subjects exact, any case", json!({"exact": "Alice", "ignore_case": true})),
        ("subjects prefix", json!({"prefix": "spiffe://a/"})),
        ("subjects suffix", json!({"suffix": "/svc"})),
        ("subjects contains", json!({"contains": "lic"})),
        ("subjects regex", json!({"safe_regex": {"regex": "a.*e|spiffe://.*"}})),
        ("subjects empty", json!({"exact": ""})),
    ];
    let subjects = [
        json!("alice"),
        json!("ALICE"),
        json!("spiffe://a/svc"),
        json!("bob"),
        json!(""),
        json!(null),
    ];
    matchers
        .into_iter()
        .map(|(name, matcher)| {
            let configuration = required(json!({ "subjects": matcher, "audiences": ["api"] }));
            let mut scene = scene(name, configuration);
            for sub in &subjects {
                scene = scene.row(format!("{sub}"), bearer(&token(json!({ "sub": sub }))));
            }
            scene.row("and a wrong audience", bearer(&token(json!({"sub": "x", "aud": "x"}))))
        })
        .collect()
}

fn require_expiration() -> Scene {
    scene("require_expiration", required(json!({"require_expiration": true})))
        .row("there", bearer(&token(json!({}))))
        .row("absent", bearer(&token(json!({"exp": null}))))
        .row("past", bearer(&token(json!({"exp": 5}))))
}

fn lifetimes(mut scene: Scene) -> Scene {
    let now = now();
    for (name, exp) in [
        ("short", json!(now + 300)),
        ("long", json!(now + 7200)),
        ("absent", json!(null)),
        ("past, within skew", json!(now - 20)),
        ("past", json!(now - 600)),
    ] {
        scene = scene.row(name, bearer(&token(json!({ "exp": exp }))));
    }
    scene
}

fn max_lifetime() -> Scene {
    lifetimes(scene("max_lifetime", required(json!({"max_lifetime": "3600s"}))))
}

fn both_lifetimes() -> Scene {
    let fields = json!({"max_lifetime": "3600s", "require_expiration": true});
    lifetimes(scene("max_lifetime and require_expiration", required(fields)))
}

fn padding() -> Scene {
    let fields = json!({"forward_payload_header": "x-payload", "pad_forward_payload_header": true});
    let mut scene = scene("padded payload", required(fields));
    // Payloads of every length modulo three, written out: `shorten` hides only long ones.
    for sub in ["", "a", "ab", "abc"] {
        let text = format!(r#"{{"iss":"i","s":"{sub}"}}"#);
        scene = scene.row(format!("length {}", text.len()), bearer(&token_of_text(text)));
    }
    scene
}

fn claim_names() -> Scene {
    let configuration = required(json!({
        "claim_to_headers": [
            {"header_name": "x-a", "claim_name": "a"},
            {"header_name": "x-ab", "claim_name": "a.b"},
            {"header_name": "x-same", "claim_name": "a.b"},
            {"header_name": "x-same", "claim_name": "sub"},
        ],
    }));
    let row = |a: Value| bearer(&token(json!({ "a": a })));
    scene("claim names", configuration)
        .row("object", row(json!({"b": "c"})))
        .row("text", row(json!("text")))
        .row("absent", row(json!(null)))
}

fn inline_bytes() -> Scene {
    use base64::Engine as _;
    let octets = base64::engine::general_purpose::STANDARD.encode(all_keys().to_string());
    let fields = json!({"local_jwks": {"inline_bytes": octets}});
    scene("inline_bytes", required(fields)).row("good", bearer(&token(json!({}))))
}

/// lowerCamelCase, numbers and booleans as text.
fn camel_case() -> Scene {
    let configuration = json!({
        "providers": { "p": {
            "issuer": "i",
            "localJwks": { "inlineString": all_keys().to_string() },
            "fromHeaders": [{ "name": "x-jwt", "valuePrefix": "JWT " }],
            "forwardPayloadHeader": "x-payload",
            "padForwardPayloadHeader": true,
            "claimToHeaders": [{ "headerName": "x-sub", "claimName": "sub" }],
            "clockSkewSeconds": "300",
            "requireExpiration": true,
            "maxLifetime": "9000000000.5s",
        } },
        "rules": [{
            "match": { "pathSeparatedPrefix": "/a", "caseSensitive": false },
            "requires": { "providerAndAudiences": { "providerName": "p", "audiences": ["api"] } },
        }],
        "bypassCorsPreflight": true,
    });
    let now = now();
    let request = |path: &str, exp: u64| {
        get(path).header("x-jwt", format!("JWT {}", token(json!({ "exp": exp }))))
    };
    scene("camel case", configuration)
        .row("good", request("/A/b", now + 100))
        .row("within skew", request("/a", now - 200))
        .row("beyond skew", request("/a", now - 400))
        .row("elsewhere", get("/ab"))
        .row("missing", get("/a"))
}

fn preflight(bypass: bool) -> Scene {
    let configuration = with(required(json!({})), json!({ "bypass_cors_preflight": bypass }));
    let request = |method: &str, headers: &[&str]| {
        let request = Request::new(method, "/").header("host", "parity.test");
        headers.iter().fold(request, |request, name| request.header(name, "x"))
    };
    let (origin, asked) = ("origin", "access-control-request-method");
    scene(if bypass { "preflight bypassed" } else { "preflight" }, configuration)
        .row("whole", request("OPTIONS", &[origin, asked]))
        .row("without origin", request("OPTIONS", &[asked]))
        .row("without method", request("OPTIONS", &[origin]))
        .row("GET", request("GET", &[origin, asked]))
        .row("empty origin", request("OPTIONS", &[asked]).header(origin, ""))
        .row("with a bad token", request("OPTIONS", &[origin, asked]).bearer("a.b.c"))
        .row("with a good token", request("OPTIONS", &[origin, asked]).bearer(&token(json!({}))))
}

fn stripped() -> Scene {
    let configuration =
        with(required(json!({"audiences": ["api"]})), json!({"strip_failure_response": true}));
    let grpc = Request::new("POST", "/x").header("host", "parity.test");
    scene("stripped", configuration)
        .row("missing", get("/"))
        .row("expired", bearer(&token(json!({"exp": 5}))))
        .row("audience", bearer(&token(json!({"aud": "x"}))))
        .row("grpc", grpc.header("content-type", "application/grpc"))
        .row("good", bearer(&token(json!({}))))
}

fn requirement_map() -> Scene {
    let configuration = json!({
        "providers": { "p": provider(json!({})), "q": provider(json!({"issuer": "q"})) },
        "rules": [
            { "match": { "prefix": "/one" }, "requirement_name": "one" },
            { "match": { "prefix": "/any" }, "requirement_name": "any" },
            { "match": { "prefix": "/none" }, "requirement_name": "none" },
        ],
        "requirement_map": {
            "one": { "provider_name": "p" },
            "any": { "requires_any": { "requirements": [
                { "provider_name": "p" }, { "provider_name": "q" } ] } },
            "none": {},
            "unused": { "provider_name": "q" },
        },
    });
    let mut scene = scene("requirement_map", configuration);
    for path in ["/one", "/any", "/none", "/else"] {
        scene = scene.row(format!("{path} missing"), get(path));
        for iss in ["i", "q"] {
            let request = get(path).bearer(&token(json!({ "iss": iss })));
            scene = scene.row(format!("{path} {iss}"), request);
        }
    }
    scene
}

/// Fields that say how the native filter fetches and caches: good tokens pass with all of them.
fn native_fetching() -> Scene {
    let uri = |cluster: &str| json!({ "uri": "http://issuer.test/jwks.json", "cluster": cluster, "timeout": "5s" });
    let configuration = json!({
        "providers": {
            "p": provider(json!({"jwt_cache_config": {"jwt_cache_size": 10, "jwt_max_token_size": 9000}})),
            "q": provider(json!({
                "issuer": "q",
                "local_jwks": null,
                "remote_jwks": {
                    "http_uri": uri("issuer"),
                    "cache_duration": "60s",
                    "async_fetch": { "fast_listener": true, "failed_refetch_duration": "3s" },
                    "retry_policy": { "num_retries": 2, "retry_back_off": {
                        "base_interval": "0.1s", "max_interval": "1s" } },
                },
            })),
        },
        "rules": [
            { "match": { "prefix": "/p" }, "requires": { "provider_name": "p" } },
            { "match": { "prefix": "/q" }, "requires": { "provider_name": "q" } },
        ],
        "stat_prefix": "mine",
    });
    let good = token(json!({}));
    scene("fetching and caching", configuration)
        .row("first", get("/p").bearer(&good))
        .row("again", get("/p").bearer(&good))
        .row("missing", get("/q"))
        .row("foreign", get("/q").bearer(&good))
}

fn rerouted() -> Scene {
    let fields = json!({
        "clear_route_cache": true,
        "claim_to_headers": [{"header_name": "x-sub", "claim_name": "sub"}],
    });
    scene("clear_route_cache", required(fields))
        .row("good", bearer(&token(json!({}))))
        .row("without the claim", bearer(&token(json!({"sub": null}))))
        .row("missing", get("/"))
}

fn metadata() -> Scene {
    let fields = json!({
        "payload_in_metadata": "payload",
        "header_in_metadata": "header",
        "failed_status_in_metadata": "failed",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
    });
    scene("metadata", required(fields))
        .row("good", bearer(&token(json!({"scope": "a b"}))))
        .row("expired", bearer(&token(json!({"exp": 5}))))
        .row("claims", bearer(&token(claims(json!({"scope": "a  b "})))))
}
