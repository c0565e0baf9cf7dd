//! Registered claims, and claims that become headers.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::{bearer, claims, get, members, required, scene, token, token_of_text};
use crate::Scene;

pub(super) fn scenes() -> Vec<Scene> {
    vec![types(), times(), issuers(), any_issuer(), audiences(), to_headers(), payload()]
}

/// Claims of every type, as text: what JSON allows and what it does not.
fn types() -> Scene {
    let mut scene = scene("claim types", required(json!({"issuer": ""})));
    let values = [
        "null",
        "true",
        "\"\"",
        "\"text\"",
        "\"5\"",
        "[]",
        "[\"a\"]",
        "[1]",
        "{}",
        "0",
        "-0",
        "-1",
        "1",
        "0.9",
        "1e-300",
        "4000000000",
        "4000000000.7",
        "4e9",
        "18446744073709551615",
        "18446744073709551616",
        "1e300",
    ];
    for claim in ["iss", "sub", "iat", "nbf", "exp", "jti", "aud"] {
        for value in values {
            let text = format!("{{\"{claim}\":{value}}}");
            scene = scene.row(format!("{claim} {value}"), bearer(&token_of_text(text)));
        }
    }
    for (name, text) in [
        ("empty payload", "{}"),
        ("duplicate member", r#"{"sub":"a","sub":"b"}"#),
        ("nested duplicate", r#"{"x":{"a":1,"a":2}}"#),
        ("trailing comma", r#"{"sub":"a",}"#),
        ("single quotes", r#"{'sub':'a'}"#),
        ("unquoted name", r#"{sub:"a"}"#),
        ("comment", r#"{"sub":"a"/**/}"#),
        ("control character", "{\"sub\":\"a\u{1}\"}"),
        ("escaped NUL", r#"{"sub":"a\u0000"}"#),
        ("lone surrogate", r#"{"sub":"\ud800"}"#),
        ("byte order mark", "\u{feff}{}"),
        ("white space around", " {} \n"),
    ] {
        scene = scene.row(name, bearer(&token_of_text(text)));
    }
    scene.row("not UTF-8", bearer(&token_of_text(b"{\"sub\":\"\xff\"}")))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn times() -> Scene {
    let now = now();
    let mut scene = scene("times", required(json!({"clock_skew_seconds": 300})));
    // Far enough from the border for the seconds that the test takes.
    for (name, changes) in [
        ("expired beyond skew", json!({"exp": now - 400})),
        ("expired within skew", json!({"exp": now - 100})),
        ("not yet beyond skew", json!({"nbf": now + 400})),
        ("not yet within skew", json!({"nbf": now + 200})),
        ("no exp", json!({"exp": null})),
        ("issued in the future", json!({"iat": now + 1000})),
        ("expired and not yet", json!({"exp": 1, "nbf": now + 1000})),
        ("expired and wrong audience", json!({"exp": 1, "aud": "x"})),
    ] {
        scene = scene.row(name, bearer(&token(changes)));
    }
    scene
}

fn issuers() -> Scene {
    let mut scene = scene("issuers", required(json!({"issuer": "https://issuer.test/"})));
    for (name, iss) in [
        ("same", json!("https://issuer.test/")),
        ("without slash", json!("https://issuer.test")),
        ("other case", json!("https://ISSUER.test/")),
        ("empty", json!("")),
        ("none", json!(null)),
        ("longer", json!("https://issuer.test/x")),
    ] {
        scene = scene.row(name, bearer(&token(json!({ "iss": iss }))));
    }
    // The claims are checked before the signature.
    let mut forged = token(json!({"iss": "x", "exp": 1}));
    forged.truncate(forged.len() - 4);
    scene.row("wrong and expired and forged", bearer(&format!("{forged}AAAA")))
}

fn any_issuer() -> Scene {
    scene("any issuer", required(json!({"issuer": null})))
        .row("one", bearer(&token(json!({"iss": "whoever"}))))
        .row("none", bearer(&token(json!({"iss": null}))))
}

fn audiences() -> Scene {
    let list = json!(["api", "https://other.test/", "http://plain"]);
    let mut scene = scene("audiences", required(json!({ "audiences": list })));
    for (name, aud) in [
        ("first", json!("api")),
        ("https", json!("https://api")),
        ("http and slash", json!("http://api/")),
        ("two slashes", json!("api//")),
        ("other without scheme", json!("other.test")),
        ("other with http", json!("http://other.test")),
        ("plain with https", json!("https://plain/")),
        ("list", json!(["x", "api"])),
        ("list of others", json!(["x", "y"])),
        ("empty list", json!([])),
        ("empty", json!("")),
        ("none", json!(null)),
        ("other case", json!("API")),
        ("two schemes", json!("http://https://api")),
    ] {
        scene = scene.row(name, bearer(&token(json!({ "aud": aud }))));
    }
    scene
}

fn to_headers() -> Scene {
    let configuration = required(json!({
        "forward": true,
        "claim_to_headers": [
            {"header_name": "X-Value", "claim_name": "value"},
            {"header_name": "x-nested", "claim_name": "a.b.c"},
            {"header_name": "x-sub", "claim_name": "sub"},
        ],
    }));
    let mut scene = scene("claims to headers", configuration);
    for value in [
        "\"text\"",
        "\"\"",
        "\" spaces \"",
        "\"\u{e4}\u{20ac}\"",
        "\"a,b;c=\\\"d\\\"\"",
        "true",
        "false",
        "null",
        "0",
        "-0",
        "5",
        "-5",
        "5.0",
        "1.5",
        "-1.5",
        "1e3",
        "1e21",
        "1e-7",
        "123456789012",
        "9007199254740993",
        "18446744073709551615",
        "12345678901234567890123",
        "[]",
        "[1,\"a\",null,true]",
        "{}",
        "{\"a\":[1.5]}",
        "[\"a/b\",\"\u{e4}\",\"<>&\"]",
        "[ 1 , 2.0 ]",
        "\"tab\\there\"",
        "\"line\\nfeed\"",
    ] {
        let text = format!("{{\"iss\":\"i\",\"value\":{value}}}");
        scene = scene.row(value, bearer(&token_of_text(text)));
    }
    for (name, value) in [
        ("nested", json!({"b": {"c": "deep"}})),
        ("nested too short", json!({"b": "c"})),
        ("nested through a list", json!({"b": [{"c": 1}]})),
        ("nested missing", json!({"x": 1})),
    ] {
        scene = scene.row(name, bearer(&token(json!({ "a": value }))));
    }
    let flat = members(json!({"a.b.c": "flat"}));
    let mut payload = claims(json!({}));
    payload.as_object_mut().unwrap().extend(flat);
    let spoofed = bearer(&token(json!({})))
        .header("x-value", "spoofed")
        .header("x-sub", "spoofed")
        .header("X-Nested", "spoofed");
    scene
        .row("a name with dots", bearer(&token_of_text(payload.to_string())))
        .row("spoofed", spoofed)
        .row("spoofed with underscores", bearer(&token(json!({}))).header("x_sub", "spoofed"))
}

fn payload() -> Scene {
    let configuration = required(json!({"forward_payload_header": "x-payload"}));
    scene("payload header", configuration)
        .row("good", bearer(&token(json!({}))))
        .row("spoofed", bearer(&token(json!({}))).header("x-payload", "e30"))
        .row("spoofed, refused", get("/").header("x-payload", "e30"))
        .row("short payload", bearer(&token_of_text(r#"{"iss":"i"}"#)))
        .row("odd spacing", bearer(&token_of_text("{ \"iss\" : \"i\" }")))
}
