//! Which requests a rule is for: paths, headers, query parameters.

use jwt_gate_demo::http::Request;
use serde_json::{Value, json};

use super::{get, provider, scene};
use crate::Scene;

pub(super) fn scenes() -> Vec<Scene> {
    let mut scenes = vec![regex(), separated(), connect(), combined(), hosts(), parameters()];
    scenes.extend(templates());
    scenes.extend(headers());
    scenes
}

/// What matches needs a token, and nothing sent here has one: 401 is a match, 200 none.
fn guarded(matches: Value) -> Value {
    json!({
        "providers": { "p": provider(json!({})) },
        "rules": [{ "match": matches, "requires": { "provider_name": "p" } }],
    })
}

fn paths(mut scene: Scene, paths: &[&str]) -> Scene {
    for path in paths {
        scene = scene.row(*path, get(path));
    }
    scene
}

fn regex() -> Scene {
    let regex = r"/(api|v[0-9]+)/[^/]+(/.*)?";
    let configuration = guarded(json!({"safe_regex": {"regex": regex}, "case_sensitive": false}));
    paths(
        scene("safe_regex", configuration),
        &[
            "/api/a",
            "/v12/a/b/c",
            "/v/a",
            "/api/",
            "/api",
            "/x/api/a",
            "/API/a",
            "/api/a?b=c",
            "/api/a#b",
            "/api/a%20b",
            "/api//a",
            "/?/api/a",
        ],
    )
}

fn separated() -> Scene {
    paths(
        scene("path_separated_prefix", guarded(json!({"path_separated_prefix": "/api/v1"}))),
        &[
            "/api/v1",
            "/api/v1/",
            "/api/v1/x",
            "/api/v1x",
            "/api/v1?x",
            "/api/v1#x",
            "/api",
            "/API/v1",
            "/api/v1;x",
        ],
    )
}

/// `path_match_policy`, with a template of every form.
fn templates() -> Vec<Scene> {
    let scene = |name, template: &str, asked: &[&str]| {
        let policy = json!({
            "name": "envoy.path.match.uri_template.uri_template_matcher",
            "typed_config": {
                "@type": "type.googleapis.com/\
                          envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                "path_template": template,
            },
        });
        paths(scene(name, guarded(json!({ "path_match_policy": policy }))), asked)
    };
    let users = [
        "/users/7",
        "/users/7?x=1",
        "/users/7#x",
        "/users/",
        "/users",
        "/users/7/",
        "/users/7/orders",
        "/Users/7",
        "/users/a%20b;c@d,e",
        "/users/a=b",
        "/users/a*b",
        "/users/a^b",
        "/users//7",
    ];
    vec![
        scene("template: variable", "/users/{id}", &users),
        scene("template: glob", "/users/*", &users),
        scene(
            "template: rest",
            "/a/{rest=**}",
            &["/a", "/a/", "/a/b", "/a/b/c//d", "/a/b=c", "/b/a/c", "/a/%2F"],
        ),
        scene(
            "template: suffix",
            "/v/*/{file=*}.m4s",
            &[
                "/v/a/1.m4s",
                "/v/a/.m4s",
                "/v/a/1.m4s.m4s",
                "/v/a/b/1.m4s",
                "/v/a/1.m4s/",
                "/v/a/1xm4s",
            ],
        ),
        scene(
            "template: text behind the rest",
            "/a/**/z.json",
            &[
                "/a/z.json",
                "/a//z.json",
                "/a/b/z.json",
                "/a/b/c/z.json",
                "/a/b/zxjson",
                "/a/b/z.json/",
            ],
        ),
        scene(
            "template: long variable",
            "/{media=videos/*/hd}/x",
            &["/videos/1/hd/x", "/videos/1/sd/x", "/videos//hd/x", "/videos/1/2/hd/x"],
        ),
    ]
}

fn connect() -> Scene {
    scene("connect_matcher", guarded(json!({"connect_matcher": {}})))
        .row("GET", get("/"))
        .row("a path called CONNECT", get("/CONNECT"))
        .row("CONNECT", connect_request())
}

/// No route is for it: what the filters let through ends with 404.
pub(super) fn connect_request() -> Request {
    Request::new("CONNECT", "parity.test:80").header("host", "parity.test:80")
}

fn combined() -> Scene {
    let configuration = guarded(json!({
        "prefix": "/",
        "headers": [
            {"name": ":method", "string_match": {"exact": "POST"}},
            {"name": "x-a", "present_match": true},
        ],
        "query_parameters": [{"name": "q", "string_match": {"exact": "1"}}],
    }));
    let post = |path: &str| Request::new("POST", path).header("host", "parity.test");
    scene("combined", configuration)
        .row("all", post("/?q=1").header("x-a", "b"))
        .row("no header", post("/?q=1"))
        .row("no parameter", post("/").header("x-a", "b"))
        .row("other method", get("/?q=1").header("x-a", "b"))
}

/// Envoy holds `host` as `:authority`.
fn hosts() -> Scene {
    let rule = |path: &str, header: Value| {
        json!({ "match": { "prefix": path, "headers": [header] },
            "requires": { "provider_name": "p" } })
    };
    let configuration = json!({
        "providers": { "p": provider(json!({})) },
        "rules": [
            rule("/host", json!({"name": "Host", "string_match": {"exact": "admin.test"}})),
            rule("/authority", json!({"name": ":authority", "string_match": {"exact": "admin.test"}})),
            rule("/other", json!({"name": "host", "exact_match": "public.test", "invert_match": true})),
        ],
    });
    let mut scene = scene("hosts", configuration);
    for path in ["/host", "/authority", "/other"] {
        for host in ["admin.test", "public.test", "Admin.test", "admin.test:80"] {
            scene = scene.row(format!("{path} {host}"), Request::get(path).header("host", host));
        }
    }
    scene
}

fn parameters() -> Scene {
    let matchers = json!([
        {"match": {"prefix": "/exact", "query_parameters": [{"name": "q", "string_match": {"exact": "a b"}}]}},
        {"match": {"prefix": "/plain", "query_parameters": [{"name": "q", "string_match": {"exact": "a"}}]}},
        {"match": {"prefix": "/regex", "query_parameters": [{"name": "q", "string_match": {"safe_regex": {"regex": "[ab]+"}}}]}},
        {"match": {"prefix": "/present", "query_parameters": [{"name": "q", "present_match": true}]}},
        {"match": {"prefix": "/absent", "query_parameters": [{"name": "q", "present_match": false}]}},
        {"match": {"prefix": "/nothing", "query_parameters": [{"name": "q"}]}},
    ]);
    let rules: Vec<Value> = matchers
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| json!({"match": rule["match"], "requires": {"provider_name": "p"}}))
        .collect();
    let configuration = json!({ "providers": { "p": provider(json!({})) }, "rules": rules });
    let mut scene = scene("query_parameters", configuration);
    for rule in ["exact", "plain", "regex", "present", "absent", "nothing"] {
        for query in [
            "", "?", "?q", "?q=", "?q=a", "?q=a%20b", "?q=a+b", "?q=ab", "?q=b&q=a", "?q=a&q=b",
            "?%71=a", "?Q=a", "?x=1&q=a", "?q=a#f", "?x=q=a",
        ] {
            let path = format!("/{rule}{query}");
            scene = scene.row(path.clone(), get(&path));
        }
    }
    scene
}

fn headers() -> Vec<Scene> {
    let values: &[&[&str]] = &[
        &[],
        &[""],
        &["a"],
        &["A"],
        &["abc"],
        &["xabcx"],
        &["5"],
        &["10"],
        &["-3"],
        &["05"],
        &["5.0"],
        &["a", "b"],
        &["a,b"],
        &["b", "a"],
    ];
    let matchers = [
        ("header: nothing", json!({})),
        ("header: present", json!({"present_match": true})),
        ("header: not present", json!({"present_match": false})),
        ("header: present inverted", json!({"present_match": true, "invert_match": true})),
        ("header: exact", json!({"exact_match": "a"})),
        ("header: exact inverted", json!({"exact_match": "a", "invert_match": true})),
        ("header: prefix", json!({"prefix_match": "a"})),
        ("header: suffix", json!({"suffix_match": "c"})),
        ("header: contains", json!({"contains_match": "b"})),
        ("header: regex", json!({"safe_regex_match": {"regex": "[a-c]+"}})),
        ("header: range", json!({"range_match": {"start": "-5", "end": "10"}})),
        (
            "header: range inverted",
            json!({"range_match": {"start": 0, "end": 10}, "invert_match": true}),
        ),
        ("header: string exact", json!({"string_match": {"exact": "a"}})),
        (
            "header: string ignoring case",
            json!({"string_match": {"exact": "a", "ignore_case": true}}),
        ),
        (
            "header: string contains ignoring case",
            json!({"string_match": {"contains": "B", "ignore_case": true}}),
        ),
        ("header: string regex", json!({"string_match": {"safe_regex": {"regex": "a.*"}}})),
        ("header: string inverted", json!({"string_match": {"prefix": "a"}, "invert_match": true})),
        (
            "header: missing as empty",
            json!({"string_match": {"exact": ""}, "treat_missing_header_as_empty": true}),
        ),
        (
            "header: missing as empty inverted",
            json!({"string_match": {"exact": "a"}, "invert_match": true,
            "treat_missing_header_as_empty": true}),
        ),
        (
            "header: present, missing as empty",
            json!({"present_match": true, "treat_missing_header_as_empty": true}),
        ),
    ];
    matchers
        .into_iter()
        .map(|(name, matcher)| {
            let mut matcher = matcher;
            matcher["name"] = json!("X-Value");
            let mut scene = scene(name, guarded(json!({"prefix": "/", "headers": [matcher]})));
            for values in values {
                let request =
                    values.iter().fold(get("/"), |request, value| request.header("x-value", value));
                scene = scene.row(format!("{values:?}"), request);
            }
            scene
        })
        .collect()
}
