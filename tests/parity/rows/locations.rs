//! Where tokens are, and what is left of the request without them.

use jwt_gate_demo::http::Request;
use serde_json::json;

use super::matching::connect_request;
use super::{get, required, scene, token};
use crate::Scene;

pub(super) fn scenes() -> Vec<Scene> {
    vec![defaults(false), defaults(true), headers(), params(), cookies(), several(), methods()]
}

fn defaults(forward: bool) -> Scene {
    let good = token(json!({}));
    let expired = token(json!({"exp": 5}));
    let name = if forward { "defaults forwarded" } else { "defaults" };
    let authorization = |value: String| get("/").header("authorization", value);
    scene(name, required(json!({ "forward": forward })))
        .row("none", get("/"))
        .row("bearer", get("/").bearer(&good))
        .row("lower case", authorization(format!("bearer {good}")))
        .row("upper case", authorization(format!("BEARER {good}")))
        .row("two spaces", authorization(format!("Bearer  {good}")))
        .row("tab", authorization(format!("Bearer\t{good}")))
        .row("no space", authorization(format!("Bearer{good}")))
        .row("no scheme", authorization(good.clone()))
        .row("basic", authorization("Basic YTpi".to_owned()))
        .row("empty", authorization(String::new()))
        .row("only the scheme", authorization("Bearer".to_owned()))
        .row("scheme inside", authorization(format!("Token Bearer {good}")))
        .row("two headers", get("/").bearer(&good).bearer(&good))
        .row("parameter", get(format!("/?access_token={good}")))
        .row("parameter among others", get(format!("/x?a=1&access_token={good}&b=2")))
        .row("parameter twice", get(format!("/?access_token={good}&access_token={good}")))
        .row("parameter twice, second bad", get(format!("/?access_token={good}&access_token=x")))
        .row("other parameter", get(format!("/?token={good}")))
        .row("parameter in other case", get(format!("/?Access_Token={good}")))
        .row("empty parameter", get("/?access_token="))
        .row("parameter without value", get("/?access_token"))
        .row("expired parameter", get(format!("/?access_token={expired}")))
        .row("header and parameter", get(format!("/?access_token={good}")).bearer(&good))
        .row(
            "good header, expired parameter",
            get(format!("/?access_token={expired}")).bearer(&good),
        )
        .row(
            "expired header, good parameter",
            get(format!("/?access_token={good}")).bearer(&expired),
        )
        .row("cookie", get("/").header("cookie", format!("access_token={good}")))
        .row("other header", get("/").header("x-token", good.clone()))
        .row("long path", get(format!("/{}", "a".repeat(400))))
        .row("odd path", get("/a%20b/../c;d=e//f?x=\"y\""))
        .row("quote in path", get("/a\"b\\c"))
        .row("query without a token", get("/path?x=1&y=2"))
        .row("original path", get("/new").header("x-envoy-original-path", "/old"))
        .row("forwarded proto", get("/").header("x-forwarded-proto", "https"))
}

fn headers() -> Scene {
    let good = token(json!({}));
    let configuration = required(json!({"from_headers": [
        {"name": "X-Bare"},
        {"name": "x-prefixed", "value_prefix": "JWT "},
        {"name": "x-tight", "value_prefix": "jwt="},
    ]}));
    let with = |name: &str, value: String| get("/").header(name, value);
    scene("headers with prefix", configuration)
        .row("bare", with("x-bare", good.clone()))
        .row("bare with scheme", with("x-bare", format!("Bearer {good}")))
        .row("bare twice", with("x-bare", good.clone()).header("x-bare", good.clone()))
        .row("bare twice, one bad", with("x-bare", good.clone()).header("x-bare", "bad"))
        .row("prefixed", with("x-prefixed", format!("JWT {good}")))
        .row("prefix in other case", with("x-prefixed", format!("jwt {good}")))
        .row("without prefix", with("x-prefixed", good.clone()))
        .row("prefix later", with("x-prefixed", format!("my JWT {good}")))
        .row("tight", with("x-tight", format!("jwt={good}")))
        .row("tight and more", with("x-tight", format!("jwt={good},x=y")))
        .row("tight and space", with("x-tight", format!("jwt= {good}")))
        .row("authorization is no place now", get("/").bearer(&good))
        .row("all of them", {
            let bare = with("x-bare", good.clone());
            bare.header("x-prefixed", format!("JWT {good}"))
                .header("x-tight", format!("jwt={good}"))
        })
}

fn params() -> Scene {
    let good = token(json!({}));
    let encoded = good.replace('.', "%2E");
    let configuration = required(json!({"from_params": ["t", "u"]}));
    scene("parameters", configuration)
        .row("alone", get(format!("/?t={good}")))
        .row("first", get(format!("/?t={good}&a=b")))
        .row("last", get(format!("/?a=b&t={good}")))
        .row("between", get(format!("/?a=b&t={good}&c=d")))
        .row("both", get(format!("/?t={good}&u={good}")))
        .row("one bad", get(format!("/?t={good}&u=bad")))
        .row("encoded value", get(format!("/?t={encoded}")))
        .row("encoded name", get(format!("/?%74={good}")))
        .row("others encoded", get(format!("/?a=%26b%3Dc&t={good}&d=%20+e")))
        .row("others without value", get(format!("/?a&t={good}&b=&=c")))
        .row("others unsorted", get(format!("/?z=1&t={good}&a=2&z=3")))
        .row("fragment", get(format!("/?t={good}#f")))
        .row("semicolons", get(format!("/?a=b;t={good}")))
        .row("question mark", get(format!("/??t={good}")))
        .row("path parameter", get(format!("/;t={good}")))
}

fn cookies() -> Scene {
    let good = token(json!({}));
    let configuration = required(json!({"from_cookies": ["t", "u"]}));
    let with = |value: String| get("/").header("cookie", value);
    scene("cookies", configuration)
        .row("alone", with(format!("t={good}")))
        .row("among others", with(format!("a=b; t={good}; c=d")))
        .row("quoted", with(format!("t=\"{good}\"")))
        .row("no space", with(format!("a=b;t={good}")))
        .row("both", with(format!("t={good}; u={good}")))
        .row("one bad", with(format!("t={good}; u=bad")))
        .row("twice", with(format!("t={good}; t={good}")))
        .row("twice, second bad", with(format!("t={good}; t=bad")))
        .row("two headers", with("a=b".to_owned()).header("cookie", format!("t={good}")))
        .row("other case", with(format!("T={good}")))
        .row("empty", with("t=".to_owned()))
        .row("name only", with("t".to_owned()))
}

fn several() -> Scene {
    let good = token(json!({}));
    let expired = token(json!({"exp": 5}));
    let unsigned = format!("{}AAAA", &good[..good.len() - 4]);
    let configuration = required(json!({
        "from_headers": [{"name": "x-a"}, {"name": "x-b"}],
        "from_params": ["p"],
        "from_cookies": ["c"],
    }));
    let request = |a: &str, b: &str, p: &str, c: &str| {
        let path = if p.is_empty() { "/".to_owned() } else { format!("/?p={p}") };
        let mut request = get(path);
        for (name, value) in [("x-a", a), ("x-b", b)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        if c.is_empty() { request } else { request.header("cookie", format!("c={c}")) }
    };
    scene("several places", configuration)
        .row("all good", request(&good, &good, &good, &good))
        .row("first and last", request(&good, "", "", &good))
        .row("order of failures 1", request(&expired, &unsigned, "", ""))
        .row("order of failures 2", request(&unsigned, &expired, "", ""))
        .row("order of failures 3", request("", &expired, &unsigned, ""))
        .row("order of failures 4", request("", "", &expired, &unsigned))
        .row("order of failures 5", request(&unsigned, "", "", &expired))
        .row("one bad among good", request(&good, &good, &expired, &good))
}

fn methods() -> Scene {
    let good = token(json!({}));
    let method = |method: &str| Request::new(method, "/a?b").header("host", "parity.test");
    let grpc = || method("POST").header("content-type", "application/grpc");
    let expired = token(json!({"exp": 5}));
    let audience = token(json!({"aud": "other"}));
    let mut scene = scene("methods", required(json!({"audiences": ["api"]})))
        .row("CONNECT missing", connect_request())
        .row("CONNECT good", connect_request().bearer(&good))
        .row("grpc missing", grpc())
        .row("grpc expired", grpc().bearer(&expired))
        .row("grpc audience", grpc().bearer(&audience))
        .row("grpc good", grpc().bearer(&good))
        .row("grpc-web", method("POST").header("content-type", "application/grpc-web"))
        .row("grpc+proto", method("POST").header("content-type", "application/grpc+proto"))
        .row("preflight", {
            let preflight = method("OPTIONS").header("origin", "https://a");
            preflight.header("access-control-request-method", "GET")
        });
    for name in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND"] {
        scene = scene
            .row(format!("{name} missing"), method(name))
            .row(format!("{name} good"), method(name).bearer(&good));
    }
    scene
}
