//! The reader of the configuration is the judge; the tables beside it, the schema and the reference are held
//! to it here, at every field of every object.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod command;
mod corpus;
mod instances;

use std::collections::{BTreeMap, BTreeSet};

use command::run;
use instances::{Members, least, mistakes, places, sample, shapes_in, with_field};
use jsonschema::Validator;
use jwt_gate::config::reference::{Field, Kind};
use jwt_gate::policy::Policy;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../docs/schema.json");
const REFERENCE: &str = include_str!("../../docs/reference.md");

/// What the reader refuses and the schema takes: words of the message, and what a schema cannot know. The
/// reference tells people.
const LAXER: &[(&str, &str)] = &[
    ("must be from ", LIMITS),
    ("must be at most ", LIMITS),
    ("must be at least ", LIMITS),
    ("must be longer than 0s, and at most ", LIMITS),
    ("expected a status from 400 to 599", LIMITS),
    ("expected a whole number", "whole numbers are written without decimals and exponent"),
    ("expected octets as base64", "the last letter of base64"),
    ("no number is from ", BOUNDS),
    ("must not be longer than `cache_duration`", BOUNDS),
    ("`max_interval` must not be shorter", BOUNDS),
    ("must name a scope", "a list that must not be empty"),
    ("changes nothing", "a list that must not be empty"),
    ("unless `local_jwks_is_fallback`", "`local_jwks_is_fallback`"),
    ("`local_jwks_is_fallback` needs both", "`local_jwks_is_fallback`"),
    ("`issuer_pattern` has no such variable", "patterns of issuers"),
    ("expected an address such as https://issuer.example/{tenant}", "patterns of issuers"),
    ("expected a path template", "templates of paths"),
    ("a segment is a glob", "templates of paths"),
    ("not a regular expression that is supported", "regular expressions"),
    ("expected an expression for whole paths", "regular expressions"),
    ("the host is no place for a token", HEADERS),
    ("cannot carry", HEADERS),
    ("this header is the gate's own", HEADERS),
    ("`content_type` beside `body` says it", HEADERS),
    ("use `host`", HEADERS),
    ("expected hosts, with a port", "hosts"),
    ("names a host twice", "hosts"),
    ("names must not hold the octet zero", "the octet zero"),
    ("nested too deeply", "how deep requirements and conditions nest"),
];
const LIMITS: &str = "the limits of durations, and of numbers that are written as text";
const BOUNDS: &str = "which of two fields is greater";
const HEADERS: &str = "headers that are the gate's own";

fn validator() -> Validator {
    let schema = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

#[test]
fn the_documents_are_fresh() {
    let stale = "is stale: run `cargo xtask docs`";
    assert!(run(&["schema"]).out == SCHEMA, "docs/schema.json {stale}");
    assert!(run(&["schema", "--reference"]).out == REFERENCE, "docs/reference.md {stale}");
    assert_eq!(run(&["schema", "--json"]).out, SCHEMA);
}

/// Holds what the schema says of a configuration to what the reader says.
struct Judges {
    validator: Validator,
    laxer: BTreeMap<&'static str, usize>,
    unknown: BTreeMap<String, Value>,
}

impl Judges {
    fn new() -> Self {
        Self { validator: validator(), laxer: BTreeMap::new(), unknown: BTreeMap::new() }
    }

    /// The verdict of both; whether they take it.
    #[track_caller]
    fn judge(&mut self, config: &Value) -> bool {
        let mistakes = mistakes(config);
        let error = self.validator.validate(config).err().map(|error| error.to_string());
        match (mistakes.is_empty(), error) {
            (true, Some(error)) => {
                // The names of algorithms are known to the policy only, which is compiled next.
                let refused = Policy::parse(config.to_string().as_bytes()).err();
                let named = refused.iter().flatten().any(|error| error.path.contains("algorithms"));
                assert!(named, "the gate takes it and the schema does not: {error}\n{config:#}");
                false
            }
            (false, None) => {
                for (path, message) in mistakes {
                    match LAXER.iter().find(|(words, _)| message.contains(words)) {
                        Some((words, _)) => *self.laxer.entry(words).or_default() += 1,
                        None => {
                            self.unknown.insert(format!("{path}: {message}"), config.clone());
                        }
                    }
                }
                false
            }
            (is_good, _) => is_good,
        }
    }
}

/// Whatever is written down somewhere, at every place that has such fields: examples, manifests, what tests
/// have in them.
#[test]
fn what_is_written_anywhere() {
    let mut judges = Judges::new();
    let (mut taken, mut refused) = (BTreeMap::<_, usize>::new(), 0);
    let all_places = places();
    for (file, object) in corpus::objects() {
        let members = object.as_object().unwrap();
        for place in &all_places {
            let fits = |name: &String| place.shape.object.field(name).is_some();
            let fitting = members.keys().filter(|name| fits(name)).count();
            // One unknown name may be the point of a test.
            if members.is_empty() || fitting + 1 < members.len() || fitting == 0 {
                continue;
            }
            match judges.judge(&place.fill(filled(&place.shape, members))) {
                true => *taken.entry(place.shape.name()).or_default() += 1,
                false => refused += 1,
            }
        }
        assert!(judges.unknown.is_empty(), "{file}: {:#?}", judges.unknown);
    }
    let sum: usize = taken.values().sum();
    assert!(sum > 1000 && refused > 200, "{sum} {refused}");
    let of_whole = taken["JwtAuthentication"];
    assert!(of_whole > 50, "{of_whole}");
    assert!(taken.len() > 40, "{taken:?}");
}

/// Examples leave out what has nothing to do with them.
fn filled(shape: &instances::Shape, members: &Members) -> Members {
    let mut members = members.clone();
    let keys = |members: &mut Members| {
        let is_there = |name: &str| members.contains_key(name);
        if !["local_jwks", "localJwks", "remote_jwks", "remoteJwks"].into_iter().any(is_there) {
            members.insert("local_jwks".to_owned(), json!({ "inline_string": "{}" }));
        }
    };
    match shape.name().as_str() {
        "JwtAuthentication" => {
            let providers = members.entry("providers").or_insert_with(|| json!({ "main": {} }));
            for provider in providers.as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
                provider.as_object_mut().map(keys);
            }
        }
        "JwtProvider" => keys(&mut members),
        _ => {}
    }
    members
}

/// Values of every type, none of which is right for most fields.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!("true"),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(4_294_967_296_u64),
        json!(99_999_999_999_999_999_999_f64),
        json!("0"),
        json!("+7"),
        json!(""),
        json!("text"),
        json!("a.b"),
        json!("with space"),
        json!("/path?query"),
        json!("%"),
        json!("%REASON%"),
        json!("a\u{7}b"),
        json!("ü"),
        json!("0s"),
        json!("0.000s"),
        json!("5s"),
        json!("5.5s"),
        json!("99999s"),
        json!("5m"),
        json!("-5s"),
        json!("host"),
        json!("cookie"),
        json!("content-type"),
        json!("accept-encoding"),
        json!("a\u{0}b"),
        json!(5.0),
        json!(500),
        json!("0.2s"),
        json!("e30"),
        json!("e30=="),
        json!("e30AA"),
        json!([]),
        json!([[]]),
        json!([null]),
        json!([1]),
        json!(["a"]),
        json!(["a", ""]),
        json!([true, "a"]),
        json!({}),
        json!([{}]),
        json!({ "": {} }),
        json!({ "zz_unknown": null }),
        json!([{ "zz_unknown": 1 }]),
        json!({ "name": "a" }),
        json!({ "a/b": "a" }),
        json!({ "regex": "text" }),
        json!([{ "key": "a\u{0}b" }]),
        json!({ "name": { "zz_unknown": 1 } }),
        json!({ "resource": "a" }),
        json!({ "exact": "" }),
        json!({ "key": "" }),
    ]
}

#[test]
fn every_field_is_what_the_tables_say() {
    let mut judges = Judges::new();
    let (mut objects, mut fields) = (0, 0);
    for place in places() {
        let name = place.shape.name();
        assert!(judges.judge(&place.fill(least(&place.shape))), "the least {name}");
        let mut known = BTreeSet::new();
        let mut instances = vec![least(&place.shape)];
        objects += 1;
        for field in place.shape.fields() {
            let told = format!("{name}.{}", field.name);
            fields += 1;
            if field.refused.is_some() {
                for value in values() {
                    let members = with_field(&place.shape, field, value.clone());
                    assert_eq!(judges.judge(&place.fill(members)), value.is_null(), "{told}");
                }
                continue;
            }
            let members = with_field(&place.shape, field, sample(field));
            assert!(
                judges.judge(&place.fill(members.clone())),
                "{told}: {:#} {:?}",
                place.fill(members.clone()),
                mistakes(&place.fill(members.clone()))
            );
            spellings(&mut judges, &place, field, &members);
            for value in values() {
                judges.judge(&place.fill(with_field(&place.shape, field, value.clone())));
            }
            objects_where_the_tables_say(&place, field);
            choices(&place, field);
            if field.required && name != "Shadow" {
                let mut members = members.clone();
                members.remove(field.name);
                assert!(!judges.judge(&place.fill(members)), "{told} is required");
            }
            instances.push(members);
        }
        for members in &instances {
            known.extend(fields_that_the_reader_knows(&mut judges, &place, members));
        }
        let listed: BTreeSet<_> =
            place.shape.fields().iter().map(|field| field.name.to_owned()).collect();
        // The candidate is read as a whole, and fields that it must not have are refused then.
        if name == "Shadow" {
            known.retain(|field| {
                let mut members = least(&place.shape);
                members.insert(field.clone(), json!(null));
                let told = mistakes(&place.fill(members.clone()));
                let not_here = told.iter().any(|(_, message)| message.contains("holds for both"));
                assert!(!not_here || !judges.judge(&place.fill(members)), "{field}");
                !not_here
            });
        }
        // Where an object has variants, each knows its own; together they are all.
        assert_eq!(known, listed, "{name}");
    }
    assert!(objects > 50 && fields > 200, "{objects} {fields}");
    deep_nesting(&mut judges);
    two_fields(&mut judges);
    assert!(
        judges.unknown.is_empty(),
        "the schema takes what the reader refuses: {:#?}",
        judges.unknown
    );
    let reference = REFERENCE.split_whitespace().collect::<Vec<_>>().join(" ");
    for (words, reason) in LAXER {
        assert!(judges.laxer.contains_key(words), "the schema is not laxer any more: {words}");
        assert!(reference.contains(reason), "the reference does not say: {reason}");
    }
}

/// What takes two fields to be wrong.
fn two_fields(judges: &mut Judges) {
    let provider = |members: Value| json!({ "providers": { "a": members } });
    let discovery = json!({ "timeout": "5s" });
    for config in [
        provider(
            json!({ "local_jwks_is_fallback": true, "remote_jwks": { "discovery": discovery } }),
        ),
        provider(json!({ "remote_jwks": { "discovery": discovery,
            "cache_duration": "1s", "min_cache_duration": "2s" } })),
        provider(json!({ "remote_jwks": { "discovery": discovery, "retry_policy":
            { "retry_back_off": { "base_interval": "2s", "max_interval": "1s" } } } })),
        provider(json!({ "issuer": "https://a.example", "remote_jwks": { "discovery":
            { "cluster": "a", "timeout": "5s", "clusters": { "B": "b", "b": "c" } } } })),
    ] {
        assert!(!judges.judge(&config), "{config}");
    }
}

fn deep_nesting(judges: &mut Judges) {
    for depth in [10, 20] {
        let mut condition = json!({ "authenticated": true });
        let mut requirement = json!({ "allow_missing": {} });
        for _ in 0..depth {
            condition = json!({ "not": condition });
            requirement = json!({ "requires_any": { "requirements": [requirement, {}, {}] } });
        }
        for config in [
            json!({ "providers": { "a": { "local_jwks": { "inline_string": "{}" } } },
                "default_requirement": requirement }),
            json!({ "providers": { "a": { "local_jwks": { "inline_string": "{}" } } },
                "authorization": { "default": "deny",
                    "policies": [{ "action": "allow", "when": condition }] } }),
        ] {
            let too_deep = mistakes(&config)
                .iter()
                .find_map(|(_, message)| LAXER.iter().find(|(words, _)| message.contains(words)));
            assert_eq!(too_deep.is_some(), depth > 16);
            assert!(judges.validator.is_valid(&config));
            judges.laxer.extend(too_deep.map(|(words, _)| (*words, 1)));
        }
    }
}

/// In either spelling, and not in both.
fn spellings(judges: &mut Judges, place: &instances::Place, field: &Field, members: &Members) {
    let camel = field.camel_case();
    if camel == field.name {
        return;
    }
    let mut other = members.clone();
    let value = other.remove(field.name).unwrap();
    other.insert(camel.clone(), value.clone());
    assert!(judges.judge(&place.fill(other.clone())), "{camel}");
    other.insert(field.name.to_owned(), value);
    assert!(!judges.judge(&place.fill(other)), "{camel} beside {}", field.name);
}

/// An object that nobody knows of would be one more place where fields are: the reader looks into just those
/// that the tables have.
fn objects_where_the_tables_say(place: &instances::Place, field: &Field) {
    let probe = json!({ "zz_unknown": 1 });
    let looked_into = [
        probe.clone(),
        json!([probe]),
        json!([probe, probe]),
        json!({ "name": probe }),
        json!([[probe]]),
        json!({ "name": { "name": probe } }),
    ]
    .into_iter()
    .any(|value| {
        let config = place.fill(with_field(&place.shape, field, value));
        mistakes(&config).iter().any(|(path, message)| {
            path.ends_with("zz_unknown") && message.starts_with("unknown field")
        })
    });
    assert_eq!(
        looked_into,
        !shapes_in(&field.kind).is_empty(),
        "{}.{}",
        place.shape.name(),
        field.name
    );
}

/// The words that the reader lists are those of the tables.
fn choices(place: &instances::Place, field: &Field) {
    let listed = match &field.kind {
        Kind::Choice(listed) | Kind::List(Kind::Choice(listed), _) => listed,
        _ => return,
    };
    let config = place.fill(with_field(&place.shape, field, json!("zz_unknown")));
    let told = mistakes(&config);
    let Some((_, message)) = told.iter().find(|(_, message)| message.contains("expected")) else {
        // Judged where the algorithms are known.
        assert_eq!(field.name, "algorithms");
        return;
    };
    let words = message.replace("expected one of: ", "").replace("expected ", "");
    let words: BTreeSet<_> = words
        .split([' ', ',', '`'])
        .filter(|word| !["", "or", "one", "of"].contains(word))
        .collect();
    assert_eq!(words, listed.iter().copied().collect(), "{}: {message}", field.name);
}

/// Puts an unknown field in; both refuse it, and the reader says which ones it knows.
fn fields_that_the_reader_knows(
    judges: &mut Judges,
    place: &instances::Place,
    members: &Members,
) -> Vec<String> {
    let mut members = members.clone();
    members.insert("zz_unknown".to_owned(), json!(null));
    let config = place.fill(members);
    assert!(!judges.judge(&config), "{config}");
    let told = mistakes(&config);
    let message = told.iter().find(|(path, message)| {
        path.ends_with("zz_unknown") && message.starts_with("unknown field")
    });
    let (_, message) = message.unwrap_or_else(|| panic!("{told:?} {config:#}"));
    match message.split_once("expected one of: ") {
        Some((_, listed)) => listed.split(", ").map(str::to_owned).collect(),
        None => Vec::new(),
    }
}
