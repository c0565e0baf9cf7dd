//! Conditions on claims: every form against values of every type, and against hostile requests.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use jwt_gate::authorize::Truth::{self, No, Unclear, Yes};
use jwt_gate::authorize::{Condition, Facts};
use jwt_gate::config::Config;
use jwt_gate::config::path_template::PathTemplate;
use jwt_gate::config::reader::Errors;
use jwt_gate::engine::{Engine, StreamId};
use jwt_gate::json::Node;
use jwt_gate::policy::Policy;
use jwt_gate::request::RequestHead;
use jwt_gate::time::UnixTime;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The condition that stands in a rule with this path template.
#[track_caller]
fn condition(condition: &Value) -> Condition {
    let config = json!({
        "providers": { "p": { "local_jwks": { "inline_string": "" } } },
        "rules": [{
            "match": { "path_match_policy": { "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                "path_template": "/users/{id}/**" } } },
            "requires": { "provider_name": "p" },
            "authorization": condition,
        }],
    });
    let (config, errors) = Config::parse(config.to_string().as_bytes());
    let errors: Vec<_> =
        errors.iter().filter(|error| !error.path.starts_with("providers")).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let template = PathTemplate::parse("/users/{id}/**").unwrap();
    let errors = Errors::default();
    let wire = config.rules[0].authorization.as_ref().unwrap();
    let compiled = Condition::compile(wire, Some(&template), &errors);
    assert_eq!(errors.into_sorted(), []);
    compiled
}

fn facts(claims: &Value) -> Facts {
    let names: Vec<_> = claims.as_object().unwrap().keys().cloned().collect();
    facts_of(claims, &names)
}

/// The facts of these names.
fn facts_of(claims: &Value, names: &[String]) -> Facts {
    let text = claims.to_string();
    Facts::of(Node::parse(text.as_bytes()).unwrap().as_object().unwrap(), names)
}

fn head(path: &str, headers: &[(&str, &str)]) -> RequestHead {
    let own = [(":method", "GET"), (":authority", "Acme.example:443"), (":path", path)];
    let all = own.iter().chain(headers);
    RequestHead::new(
        all.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect(),
    )
}

fn judge(asked: &Value, claims: &Value) -> Truth {
    condition(asked).judge(Some(&facts(claims)), &head("/users/alice/x", &[]))
}

/// Every value that a claim `c` can have, by its type.
fn values() -> Vec<(&'static str, Value)> {
    vec![
        ("null", json!(null)),
        ("boolean", json!(true)),
        ("boolean", json!(false)),
        ("number", json!(7)),
        ("number", json!(-7)),
        ("number", json!(u64::MAX)),
        ("fraction", json!(7.0)),
        ("fraction", json!(1e300)),
        ("text", json!("")),
        ("text", json!("seven")),
        ("text", json!("7")),
        ("text", json!("true")),
        ("list", json!([])),
        ("list", json!(["seven"])),
        ("list", json!([7, true, null, ["seven"], {}])),
        ("object", json!({})),
        ("object", json!({ "seven": "seven", "c": "seven" })),
    ]
}

/// A value of another type than the one that is asked for is neither a match nor a mismatch, and
/// no negation makes one of it; an absent one is a mismatch.
#[test]
fn types_come_first() {
    let forms = [
        (json!({ "string_match": "seven" }), "text"),
        (
            json!({ "string_match": [{ "prefix": "s" }, { "suffix": "n" }, { "contains": "ev" }] }),
            "text",
        ),
        (json!({ "string_match": { "safe_regex": { "regex": ".*" } } }), "text"),
        (json!({ "number_match": 7 }), "number"),
        (json!({ "number_match": { "at_least": i64::MIN } }), "number"),
        (json!({ "bool_match": true }), "boolean"),
        (json!({ "list_match": { "any": { "string_match": "seven" } } }), "list"),
        (json!({ "list_match": { "none": { "string_match": "seven" } } }), "list"),
    ];
    for (form, of_type) in forms {
        let mut asked = form.clone();
        asked["claim"] = json!(["c"]);
        let inverse = json!({ "not": asked });
        for (name, value) in values() {
            let claims = json!({ "c": value });
            let judged = judge(&asked, &claims);
            assert_eq!(judge(&inverse, &claims), !judged);
            if name != of_type {
                assert_eq!(judged, Unclear, "{form} {value}");
            } else if name != "list" {
                assert_ne!(judged, Unclear, "{form} {value}");
            }
        }
        assert_eq!((judge(&asked, &json!({})), judge(&inverse, &json!({}))), (No, Yes), "{form}");
        // Within something that is no object there is nothing to find.
        let mut nested = form.clone();
        nested["claim"] = json!(["c", "d"]);
        for value in [json!(null), json!("d"), json!(["d"]), json!(1)] {
            assert_eq!(judge(&nested, &json!({ "c": value })), Unclear, "{form} {value}");
        }
        assert_eq!(judge(&nested, &json!({ "c": {} })), No, "{form}");
        assert_eq!(judge(&nested, &json!({ "c.d": "seven" })), No, "{form}");
    }
}

#[test]
fn texts() {
    #[track_caller]
    fn check(form: Value, value: &str, expected: Truth) {
        let asked = json!({ "claim": ["c"], "string_match": form });
        assert_eq!(judge(&asked, &json!({ "c": value })), expected, "{form} {value}");
    }
    check(json!("a"), "a", Yes);
    check(json!("a"), "A", No);
    check(json!("a"), "a ", No);
    check(json!("a"), "a\0", No);
    check(json!(""), "", Yes);
    check(json!(["a", "b"]), "b", Yes);
    check(json!({ "exact": "a", "ignore_case": true }), "A", Yes);
    check(json!({ "prefix": "ab" }), "abc", Yes);
    check(json!({ "prefix": "ab" }), "a", No);
    check(json!({ "suffix": "bc" }), "abc", Yes);
    check(json!({ "contains": "b" }), "abc", Yes);
    check(json!({ "safe_regex": { "regex": "a+" } }), "aa", Yes);
    check(json!({ "safe_regex": { "regex": "a+" } }), "aa\n", No);
    check(json!({ "safe_regex": { "regex": "a|b" } }), "ab", No);
    check(json!("\u{e9}"), "e\u{301}", No);
}

#[test]
fn numbers_are_exact() {
    #[track_caller]
    fn check(form: Value, number: &str, expected: Truth) {
        let asked = json!({ "claim": ["c"], "number_match": form });
        let claims = jwt_gate::json::parse(format!("{{\"c\":{number}}}").as_bytes()).unwrap();
        assert_eq!(judge(&asked, &claims), expected, "{form} {number}");
    }
    check(json!(9_007_199_254_740_993_u64), "9007199254740993", Yes);
    check(json!(9_007_199_254_740_993_u64), "9007199254740992", No);
    check(json!("18446744073709551615"), "18446744073709551615", Yes);
    check(json!(u64::MAX), "18446744073709551616", Unclear);
    check(json!(i64::MIN), "-9223372036854775808", Yes);
    check(json!(-1), "18446744073709551615", No);
    check(json!(0), "-0", Unclear);
    check(json!(5), "5.0", Unclear);
    check(json!(500), "5e2", Unclear);
    check(json!({ "at_least": 3 }), "3", Yes);
    check(json!({ "at_least": 3 }), "2", No);
    check(json!({ "at_least": 3 }), "2.9999999999999999999", Unclear);
    check(json!({ "at_most": 3 }), "3", Yes);
    check(json!({ "at_most": 3 }), "-4", Yes);
    check(json!({ "at_least": 1, "at_most": 3 }), "4", No);
    check(json!([1, { "at_least": 5, "at_most": 6 }]), "6", Yes);
    check(json!([1, { "at_least": 5, "at_most": 6 }]), "2", No);
}

#[test]
fn presence() {
    let there = json!({ "claim": ["c"], "present_match": true });
    let absent = json!({ "claim": ["c"], "present_match": false });
    for (name, value) in values() {
        let expected = if name == "null" { (Unclear, Unclear) } else { (Yes, No) };
        let claims = json!({ "c": value });
        assert_eq!((judge(&there, &claims), judge(&absent, &claims)), expected, "{value}");
    }
    assert_eq!((judge(&there, &json!({})), judge(&absent, &json!({}))), (No, Yes));
    let nested = json!({ "claim": ["a", "b.c"], "present_match": true });
    assert_eq!(judge(&nested, &json!({ "a": { "b.c": 1 } })), Yes);
    assert_eq!(judge(&nested, &json!({ "a": { "b": { "c": 1 } } })), No);
    assert_eq!(judge(&nested, &json!({ "a.b.c": 1 })), No);
}

#[test]
fn lists() {
    #[track_caller]
    fn check(form: Value, value: Value, expected: Truth) {
        let asked = json!({ "claim": ["c"], "list_match": form });
        assert_eq!(judge(&asked, &json!({ "c": value })), expected, "{form} {value}");
    }
    let a = json!({ "string_match": "a" });
    for (list, any, all, none) in [
        (json!(["a"]), Yes, Yes, No),
        (json!(["b"]), No, No, Yes),
        (json!(["a", "b"]), Yes, No, No),
        (json!([]), No, No, Yes),
        (json!(["a", 1]), Yes, Unclear, No),
        (json!(["b", 1]), Unclear, No, Unclear),
        (json!([["a"]]), Unclear, Unclear, Unclear),
        (json!([null]), Unclear, Unclear, Unclear),
        (json!("a"), Unclear, Unclear, Unclear),
        (json!({ "0": "a" }), Unclear, Unclear, Unclear),
    ] {
        check(json!({ "any": a }), list.clone(), any);
        check(json!({ "all": a }), list.clone(), all);
        check(json!({ "none": a }), list, none);
    }
    check(json!({ "any": a, "text_as": "item" }), json!("a"), Yes);
    check(json!({ "any": a, "text_as": "item" }), json!("a b"), No);
    check(json!({ "any": a, "text_as": "item" }), json!(["b", "a"]), Yes);
    check(json!({ "any": a, "text_as": "words" }), json!("b  a "), Yes);
    check(json!({ "any": a, "text_as": "words" }), json!("b\ta"), No);
    check(json!({ "all": a, "text_as": "words" }), json!(" "), No);
    check(json!({ "none": a, "text_as": "words" }), json!("b"), Yes);
    check(json!({ "any": a, "text_as": "words" }), json!(["b a"]), No);
    check(json!({ "any": { "number_match": 2 } }), json!([1, 2]), Yes);
    check(json!({ "any": { "bool_match": true } }), json!([false, "true"]), Unclear);
}

#[test]
fn scopes() {
    #[track_caller]
    fn check(asked: Value, claims: Value, expected: Truth, lacking: Option<&[&str]>) {
        let condition = condition(&json!({ "scopes": asked }));
        let (token, head) = (facts(&claims), head("/", &[]));
        assert_eq!(condition.judge(Some(&token), &head), expected, "{asked} {claims}");
        let found = condition.lacking_scopes(&token, &head);
        assert_eq!(found.as_deref(), lacking, "{asked} {claims}");
    }
    let read = || json!({ "all": ["read"] });
    check(read(), json!({ "scope": "write read" }), Yes, Some(&[]));
    check(read(), json!({ "scope": "ready" }), No, Some(&["read"]));
    check(read(), json!({ "scope": "READ" }), No, Some(&["read"]));
    check(read(), json!({ "scope": "a\tread" }), No, Some(&["read"]));
    check(read(), json!({ "scope": ["write", "read"] }), Yes, Some(&[]));
    check(read(), json!({ "scope": ["write read"] }), No, Some(&["read"]));
    check(read(), json!({ "scp": "read" }), Yes, Some(&[]));
    check(read(), json!({ "scp": ["read"] }), Yes, Some(&[]));
    check(read(), json!({}), No, Some(&["read"]));
    // The first claim that is there counts, whatever it says.
    check(read(), json!({ "scope": "write", "scp": "read" }), No, Some(&["read"]));
    for odd in [json!(null), json!(1), json!(["read", 1]), json!({ "read": true }), json!(true)] {
        check(read(), json!({ "scope": odd, "scp": "read" }), Unclear, None);
    }
    check(json!({ "any": ["a", "b"] }), json!({ "scope": "b" }), Yes, Some(&[]));
    check(json!({ "any": ["b", "a"] }), json!({ "scope": "c" }), No, Some(&["b"]));
    let both = || json!({ "all": ["a", "b"], "any": ["c", "d"] });
    check(both(), json!({ "scope": "a b d" }), Yes, Some(&[]));
    check(both(), json!({ "scope": "a b" }), No, Some(&["a", "b", "c"]));
    check(both(), json!({ "scope": "a d" }), No, Some(&["a", "b"]));
    let own = || json!({ "claim": ["x", "permissions"], "all": ["a"] });
    check(own(), json!({ "x": { "permissions": ["a"] }, "scope": "b" }), Yes, Some(&[]));
    check(own(), json!({ "scope": "a" }), No, Some(&["a"]));
}

/// The challenge names scopes only where they would help.
#[test]
fn scopes_that_would_help() {
    #[track_caller]
    fn check(asked: Value, expected: Option<&[&str]>) {
        let condition = condition(&asked);
        let token = facts(&json!({ "scope": "s", "c": "x" }));
        let head = head("/", &[]);
        let found = condition.lacking_scopes(&token, &head);
        assert_eq!(found.as_deref(), expected, "{asked}");
    }
    let scope = |name: &str| json!({ "scopes": { "all": [name] } });
    let claim = |value: &str| json!({ "claim": ["c"], "string_match": value });
    check(json!({ "all": [scope("a"), claim("x"), scope("b")] }), Some(&["a", "b"]));
    check(json!({ "all": [scope("a"), claim("y")] }), None);
    check(json!({ "any": [claim("y"), scope("a"), scope("b")] }), Some(&["a"]));
    check(json!({ "any": [claim("x"), scope("a")] }), Some(&[]));
    check(json!({ "not": scope("s") }), None);
    check(json!({ "not": scope("a") }), Some(&[]));
    check(claim("y"), None);
}

#[test]
fn combinations() {
    let [yes, no, unclear] =
        ["x", "y", "z"].map(|name| json!({ "claim": [name], "bool_match": true }));
    let claims = json!({ "x": true, "y": false, "z": "true" });
    for (each, all, any) in [
        (vec![&yes], Yes, Yes),
        (vec![&yes, &no], No, Yes),
        (vec![&no, &no], No, No),
        (vec![&unclear, &no], No, Unclear),
        (vec![&unclear, &yes], Unclear, Yes),
        (vec![&unclear], Unclear, Unclear),
    ] {
        assert_eq!(judge(&json!({ "all": each }), &claims), all);
        assert_eq!(judge(&json!({ "any": each }), &claims), any);
    }
    assert_eq!(judge(&json!({ "not": { "not": no } }), &claims), No);
    assert_eq!(judge(&json!({ "not": unclear }), &claims), Unclear);
}

/// No token is one without claims.
#[test]
fn without_a_token() {
    let none = |asked: Value| condition(&asked).judge(None, &head("/users/alice/x", &[]));
    assert_eq!(none(json!({ "authenticated": true })), No);
    assert_eq!(none(json!({ "authenticated": false })), Yes);
    assert_eq!(none(json!({ "scopes": { "any": ["a"] } })), No);
    assert_eq!(none(json!({ "claim": ["c"], "present_match": true })), No);
    assert_eq!(none(json!({ "claim": ["c"], "present_match": false })), Yes);
    assert_eq!(
        none(json!({ "claim": ["c"], "list_match": { "none": { "string_match": "a" } } })),
        No
    );
    assert_eq!(none(json!({ "not": { "claim": ["c"], "string_match": "a" } })), Yes);
    assert_eq!(none(json!({ "claim": ["c"], "request_match": { "path_variable": "id" } })), No);
    assert_eq!(judge(&json!({ "authenticated": true }), &json!({})), Yes);
}

#[test]
fn claims_against_the_request() {
    #[track_caller]
    fn check(part: Value, claim: Value, path: &str, headers: &[(&str, &str)], expected: Truth) {
        let asked = condition(&json!({ "claim": ["c"], "request_match": part }));
        let token = facts(&json!({ "c": claim }));
        let judged = asked.judge(Some(&token), &head(path, headers));
        assert_eq!(judged, expected, "{part} {claim} {path} {headers:?}");
    }
    let id = || json!({ "path_variable": "id" });
    check(id(), json!("alice"), "/users/alice/x", &[], Yes);
    check(id(), json!("alice"), "/users/alice/x?id=bob", &[], Yes);
    check(id(), json!("alice"), "/users/bob/x", &[], No);
    check(id(), json!("alice"), "/users/Alice/x", &[], No);
    check(id(), json!("a@b c"), "/users/a%40b%20c/", &[], Yes);
    check(id(), json!("a@b c"), "/users/a@b%20c/", &[], Yes);
    check(id(), json!("a+b"), "/users/a+b/", &[], Yes);
    check(id(), json!("a b"), "/users/a+b/", &[], No);
    check(id(), json!("\u{e9}"), "/users/%C3%A9/", &[], Yes);
    check(id(), json!(7), "/users/7/x", &[], Yes);
    check(id(), json!(7), "/users/07/x", &[], No);
    check(id(), json!(u64::MAX), "/users/18446744073709551615/x", &[], Yes);
    check(id(), json!("7"), "/users/7/x", &[], Yes);
    for claim in [json!(7.0), json!(null), json!(["alice"]), json!(true), json!({})] {
        check(id(), claim, "/users/7/x", &[], Unclear);
    }
    // What the backend may read as a path of somebody else.
    for path in [
        "/users/alice/../bob/x",
        "/users/alice/%2e%2e/bob",
        "/users/alice/..;/bob",
        "/users/alice//x",
        "//users/alice/x",
        "/users/alice/a%2Fb",
        "/users/alice/a%5Cb",
        "/users/alice/.",
        "/users/alice/a;b",
        "/users/alice;x/",
        "/users/alice/%252e%252e/bob",
        "/users/alice/%",
        "/users/alice/a%00",
        "/users/alice/%C0%AE%C0%AE/bob",
        "/users/alice/x#/../bob",
        "/users/alice",
        "/orders/alice/x",
        "*",
        "",
    ] {
        check(id(), json!("alice"), path, &[], Unclear);
    }
    check(id(), json!("a/b"), "/users/a%2Fb/x", &[], Unclear);
    check(id(), json!(".."), "/users/../x", &[], Unclear);
    let own = || json!({ "path_variable": "t", "path_template": "/*/*/{t}" });
    check(own(), json!("x"), "/users/alice/x", &[], Yes);
    check(own(), json!("x"), "/users/alice/x/y", &[], Unclear);
    check(json!({ "method": {} }), json!("GET"), "/", &[], Yes);
    check(json!({ "method": {} }), json!("get"), "/", &[], No);
    check(json!({ "host": {} }), json!("acme.example"), "/", &[], Yes);
    check(json!({ "host": {} }), json!("Acme.example:443"), "/", &[], No);
    check(json!({ "host": {} }), json!("acme.example"), "/", &[(":authority", "other")], Unclear);
    let tenant = || json!({ "header": "X-Tenant" });
    check(tenant(), json!("t"), "/", &[("x-tenant", "t")], Yes);
    check(tenant(), json!("t"), "/", &[("x-tenant", "u")], No);
    check(tenant(), json!("t"), "/", &[], Unclear);
    check(tenant(), json!(""), "/", &[("x-tenant", "")], Unclear);
    check(tenant(), json!("t"), "/", &[("x-tenant", "t"), ("x-tenant", "t")], Unclear);
    // Many backends read both names as one.
    check(tenant(), json!("t"), "/", &[("x-tenant", "t"), ("x_tenant", "u")], Unclear);
    check(tenant(), json!("t"), "/", &[("x-tenant", "t"), ("x.tenant", "u")], Unclear);
    check(tenant(), json!("t"), "/", &[("x_tenant", "t")], Unclear);
    let listed =
        condition(&json!({ "claim": ["c"], "list_match": { "any": { "request_match": id() } } }));
    let token = facts(&json!({ "c": ["x", "alice"] }));
    assert_eq!(listed.judge(Some(&token), &head("/users/alice/", &[])), Yes);
    assert_eq!(listed.judge(Some(&token), &head("/users/bob/", &[])), No);
}

#[test]
fn only_what_is_read_is_kept() {
    let asked = condition(&json!({ "any": [
        { "claim": ["a", "b"], "present_match": true },
        { "not": { "claim": ["c"], "bool_match": true } },
        { "scopes": { "any": ["x"] } },
        { "scopes": { "claim": ["p"], "any": ["x"] } },
        { "authenticated": true },
    ] }));
    let mut names = Vec::new();
    asked.claims_read(&mut names);
    assert_eq!(names, ["a", "c", "scope", "scp", "p"]);
    let kept = facts_of(&json!({ "a": 1, "big": "x".repeat(1000) }), &names);
    assert_eq!(kept, facts_of(&json!({ "a": 1 }), &names));
    assert!(kept.octets() < 100);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c ]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_condition() -> impl Strategy<Value = Value> {
    let item = || {
        prop_oneof![
            Just(json!({ "string_match": "a" })),
            Just(json!({ "string_match": [{ "prefix": "b" }, ""] })),
            Just(json!({ "number_match": { "at_least": 0 } })),
            Just(json!({ "bool_match": true })),
            Just(json!({ "request_match": { "path_variable": "id" } })),
        ]
    };
    let path = || prop::collection::vec("[a-c]", 1..3);
    let leaf = prop_oneof![
        (path(), item()).prop_map(|(claim, mut asked)| {
            asked["claim"] = json!(claim);
            asked
        }),
        (path(), any::<bool>())
            .prop_map(|(claim, there)| json!({ "claim": claim, "present_match": there })),
        (
            path(),
            prop::sample::select(vec!["any", "all", "none"]),
            item(),
            prop::sample::select(vec!["item", "words"])
        )
            .prop_map(|(claim, quantity, item, text_as)| json!({ "claim": claim,
                "list_match": { quantity: item, "text_as": text_as } })),
        prop::sample::select(vec!["a", "b"])
            .prop_map(|scope| json!({ "scopes": { "claim": ["a"], "any": [scope] } })),
        any::<bool>().prop_map(|expected| json!({ "authenticated": expected })),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            several.clone().prop_map(|each| json!({ "all": each })),
            several.prop_map(|each| json!({ "any": each })),
            inner.prop_map(|one| json!({ "not": one })),
        ]
    })
}

/// A second opinion on the conditions that [`any_condition`] makes, straight from their text: none
/// where it cannot be judged.
fn model(asked: &Value, claims: Option<&Value>, id: Option<&str>) -> Option<bool> {
    let (member, inner) = asked.as_object().unwrap().iter().next().unwrap();
    let each = |list: &Value| -> Vec<_> {
        list.as_array().unwrap().iter().map(|one| model(one, claims, id)).collect()
    };
    match member.as_str() {
        "all" => every(&each(inner)),
        "any" => some(&each(inner)),
        "not" => model(inner, claims, id).map(|holds| !holds),
        "authenticated" => Some(inner == &json!(claims.is_some())),
        "scopes" => {
            let wanted = &inner["any"][0];
            match claims.and_then(|claims| claims.get("a")) {
                None => Some(false),
                Some(Value::String(text)) => Some(text.split(' ').any(|word| wanted == word)),
                Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                    Some(list.contains(wanted))
                }
                Some(_) => None,
            }
        }
        _ => {
            let mut value = claims;
            for name in asked["claim"].as_array().unwrap() {
                match value {
                    None => break,
                    Some(Value::Object(members)) => value = members.get(name.as_str().unwrap()),
                    Some(_) => return None,
                }
            }
            let Some(value) = value else {
                return Some(asked.get("present_match") == Some(&json!(false)));
            };
            if value.is_null() {
                None
            } else if let Some(present) = asked.get("present_match") {
                present.as_bool()
            } else if let Some(list) = asked.get("list_match") {
                let items: Vec<Value> = match (value, list["text_as"].as_str().unwrap()) {
                    (Value::Array(items), _) => items.clone(),
                    (Value::String(_), "item") => vec![value.clone()],
                    (Value::String(text), _) => {
                        text.split(' ').filter(|word| !word.is_empty()).map(Value::from).collect()
                    }
                    _ => return None,
                };
                let judged = |asked: &Value| -> Vec<_> {
                    items.iter().map(|item| model_of_value(asked, item, id)).collect()
                };
                match list.as_object().unwrap().iter().next().unwrap() {
                    (quantity, asked) if quantity == "any" => some(&judged(asked)),
                    (quantity, asked) if quantity == "none" => {
                        some(&judged(asked)).map(|holds| !holds)
                    }
                    (_, _) if items.is_empty() => Some(false),
                    (_, asked) => every(&judged(asked)),
                }
            } else {
                model_of_value(asked, value, id)
            }
        }
    }
}

fn model_of_value(asked: &Value, value: &Value, id: Option<&str>) -> Option<bool> {
    if asked.get("string_match").is_some() {
        let text = value.as_str()?;
        Some(match asked["string_match"].is_string() {
            true => text == "a",
            false => text.is_empty() || text.starts_with('b'),
        })
    } else if asked.get("number_match").is_some() {
        // Signs tell what is below zero; fractions are no numbers here.
        if value.is_u64() { Some(true) } else { value.as_i64().map(|number| number >= 0) }
    } else if asked.get("bool_match").is_some() {
        value.as_bool()
    } else if value.is_string() || value.is_i64() || value.is_u64() {
        let digits = value.to_string();
        id.map(|id| value == id || digits == id)
    } else {
        None
    }
}

fn every(each: &[Option<bool>]) -> Option<bool> {
    if each.contains(&Some(false)) {
        Some(false)
    } else if each.contains(&None) {
        None
    } else {
        Some(true)
    }
}

fn some(each: &[Option<bool>]) -> Option<bool> {
    if each.contains(&Some(true)) {
        Some(true)
    } else if each.contains(&None) {
        None
    } else {
        Some(false)
    }
}

fn told(truth: Truth) -> Option<bool> {
    match truth {
        No => Some(false),
        Unclear => None,
        Yes => Some(true),
    }
}

proptest! {
    /// Whatever the condition, the claims and the path: there is an answer, and it is the model's.
    #[test]
    fn every_condition_has_an_answer(
        asked in any_condition(),
        claims in prop::collection::btree_map("[a-c]", any_value(), 0..4),
        path in "/users/([a-c]|%2[0-9a-f]|[;/.]){0,4}(/x)?",
    ) {
        let claims = Value::Object(claims.into_iter().collect());
        let token = facts_of(&claims, &["a", "b", "c"].map(str::to_owned));
        let head = head(&path, &[]);
        let asked_for = condition(&asked);
        let judged = asked_for.judge(Some(&token), &head);
        let segment = path.strip_prefix("/users/").unwrap().strip_suffix("/x");
        let plain = |id: &&str| !id.is_empty() && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
        // Other segments are tested above; here they are left to the one or the other.
        if segment.map_or(path.split('/').count() == 3, |segment| plain(&segment)) {
            let id = segment.filter(plain);
            prop_assert_eq!(told(judged), model(&asked, Some(&claims), id));
            prop_assert_eq!(told(asked_for.judge(None, &head)), model(&asked, None, id));
        }
        let mut names = Vec::new();
        asked_for.claims_read(&mut names);
        // What is not read makes no difference.
        prop_assert_eq!(asked_for.judge(Some(&facts_of(&claims, &names)), &head), judged);
        let lacking = asked_for.lacking_scopes(&token, &head);
        prop_assert_eq!(judged == Yes, lacking.is_some_and(|scopes| scopes.is_empty()));
    }

    /// Nothing that is written in place of a condition or of policies makes the reader panic, and what
    /// it takes can be asked.
    #[test]
    fn any_configuration_is_read(asked in any_words(), policies in any_words()) {
        let secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
        let keys = json!({ "keys": [{ "kty": "oct", "k": secret }] }).to_string();
        let config = json!({
            "providers": { "p": { "local_jwks": { "inline_string": keys } } },
            "rules": [{ "match": { "prefix": "/" }, "requires": { "allow_missing": {} },
                "authorization": asked }],
            "authorization": policies,
        });
        if let Ok(policy) = Policy::parse(config.to_string().as_bytes()) {
            let mut engine = Engine::new(policy);
            engine.handle_request(StreamId(1), head("/a", &[]), UnixTime::from_secs(1));
        }
    }
}

/// JSON of the words that the configuration knows, mostly at the wrong places.
fn any_words() -> impl Strategy<Value = Value> {
    let words = [
        "all",
        "any",
        "not",
        "none",
        "scopes",
        "claim",
        "authenticated",
        "string_match",
        "number_match",
        "bool_match",
        "list_match",
        "request_match",
        "present_match",
        "text_as",
        "at_least",
        "exact",
        "safe_regex",
        "regex",
        "path_variable",
        "path_template",
        "method",
        "host",
        "header",
        "policies",
        "default",
        "action",
        "match",
        "methods",
        "provider_name",
        "when",
        "prefix",
    ];
    let word = move || prop::sample::select(words.to_vec());
    let leaf = prop_oneof![
        any_value(),
        word().prop_map(Value::from),
        prop::sample::select(vec!["allow", "deny", "p", "/{id}", "/", "item", "GET"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(word(), inner, 0..3).prop_map(|members| {
                Value::Object(
                    members.into_iter().map(|(name, value)| (name.into(), value)).collect(),
                )
            }),
        ]
    })
}
