//! Configurations made of the filter's own tables: the least that holds an object, or one of its fields.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests; each uses a part of it"
)]

use jwt_gate::config::Config;
use jwt_gate::config::reference::{Field, Kind, Object, Rule, root};
use serde_json::{Map, Value, json};

/// A key set with a secret, as base64.
const KEYS: &str = "eyJrZXlzIjpbeyJrdHkiOiJvY3QiLCJrIjoiYzJsNGRIa3RabTkxY2lCdlkzUmxkSE1nYjJZZ2MyVmpjbVYwTENCM2FHbGphQ0J1WlhabGNpQnphV2R1SUdGdWVYUm9hVzVuSUdGMElHRnNiQzR1TGk0dUxpNCJ9XX0=";

pub type Members = Map<String, Value>;

/// An object in a place: with all its fields, or with some.
#[derive(Clone, Copy)]
pub struct Shape {
    pub object: &'static Object,
    without: &'static [&'static str],
    is_part: bool,
}

impl Shape {
    pub fn fields(&self) -> Vec<&'static Field> {
        self.object.fields.iter().filter(|field| !self.without.contains(&field.name)).collect()
    }

    pub fn name(&self) -> String {
        if self.is_part { "Shadow".to_owned() } else { self.object.name.to_owned() }
    }
}

/// A place of an object, and what is around it, outermost first.
#[derive(Clone)]
pub struct Place {
    pub shape: Shape,
    pub around: Vec<(Shape, &'static Field)>,
}

impl Place {
    /// A whole configuration with `members` there.
    pub fn fill(&self, members: Members) -> Value {
        let mut value = Value::Object(members);
        for (holder, field) in self.around.iter().rev() {
            value = Value::Object(with_field(holder, field, wrap(&field.kind, value)));
        }
        value
    }
}

/// The nearest place of every object.
pub fn places() -> Vec<Place> {
    let root = Shape { object: root(), without: &[], is_part: false };
    let mut all = vec![Place { shape: root, around: Vec::new() }];
    let mut next = 0;
    while next < all.len() {
        let place = all[next].clone();
        next += 1;
        for field in place.shape.fields() {
            for shape in shapes_in(&field.kind) {
                if !all.iter().any(|known| known.shape.name() == shape.name()) {
                    let mut around = place.around.clone();
                    around.push((place.shape, field));
                    all.push(Place { shape, around });
                }
            }
        }
    }
    all
}

pub fn shapes_in(kind: &Kind) -> Vec<Shape> {
    match kind {
        Kind::Fields(object) => vec![Shape { object, without: &[], is_part: false }],
        Kind::Part(object, without) => vec![Shape { object, without, is_part: true }],
        Kind::Array(item, _) | Kind::List(item, _) | Kind::Map(item, _) => shapes_in(item),
        Kind::Either(kinds) => kinds.iter().flat_map(shapes_in).collect(),
        _ => Vec::new(),
    }
}

/// What holds an inner object, in a field of this kind.
fn wrap(kind: &Kind, inner: Value) -> Value {
    match kind {
        Kind::Map(item, _) => json!({ "name": wrap(item, inner) }),
        Kind::Array(item, least) | Kind::List(item, least) => {
            Value::Array(vec![wrap(item, inner); (*least).max(1)])
        }
        _ => inner,
    }
}

/// What the reader says.
pub fn mistakes(config: &Value) -> Vec<(String, String)> {
    let (_, errors) = Config::parse(config.to_string().as_bytes());
    errors.into_iter().map(|error| (error.path, error.message)).collect()
}

/// The least members of an object.
pub fn least(shape: &Shape) -> Members {
    if shape.is_part {
        return json!({ "mode": "report_only" }).as_object().unwrap().clone();
    }
    let mut members = Members::new();
    for field in shape.object.fields.iter().filter(|field| field.required) {
        members.insert(field.name.to_owned(), sample(field));
    }
    for rule in shape.object.rules {
        if let Rule::AnyOf(names) | Rule::OneOf(names) = rule
            && !names.iter().any(|name| members.contains_key(*name))
        {
            // The policy wants to know more of `discovery`.
            let name = if names.contains(&"http_uri") { "http_uri" } else { names.last().unwrap() };
            let field = shape.object.field(name).unwrap();
            members.insert(field.name.to_owned(), sample(field));
        }
    }
    // So that tokens are somebody's, and requests stay as they are.
    if shape.object.name == "JwtProvider" {
        members.insert("issuer".to_owned(), "https://issuer.example".into());
        members.insert("forward".to_owned(), true.into());
    }
    // No number lies in the range without fields.
    if shape.object.name == "Int64Range" {
        members.insert("end".to_owned(), 10.into());
    }
    members
}

/// The least members of an object with this field, and whatever goes with it.
pub fn with_field(shape: &Shape, field: &Field, value: Value) -> Members {
    let mut members = least(shape);
    let add = |members: &mut Members, name: &str| {
        if !members.contains_key(name) {
            members.insert(name.to_owned(), sample(shape.object.field(name).unwrap()));
        }
    };
    for rule in shape.object.rules {
        match rule {
            Rule::Beside(names, beside) if names.contains(&field.name) => {
                add(&mut members, beside);
                for other in other_kinds(shape, beside) {
                    members.remove(other);
                }
            }
            Rule::OneOfBeside(names, beside) if *beside == field.name => {
                add(&mut members, names.last().unwrap());
            }
            Rule::Needs(name, others) if *name == field.name => {
                add(&mut members, others.last().unwrap());
                for other in other_kinds(shape, others.last().unwrap()) {
                    members.remove(other);
                }
            }
            _ => {}
        }
    }
    for other in other_kinds(shape, field.name) {
        members.remove(other);
    }
    if field.name == "local_jwks_is_fallback" {
        add(&mut members, "remote_jwks");
    }
    members.insert(field.name.to_owned(), value);
    members
}

/// What may not stand beside a field.
fn other_kinds(shape: &Shape, name: &str) -> Vec<&'static str> {
    let mut others = Vec::new();
    for rule in shape.object.rules {
        if let Rule::AtMostOne(names) | Rule::OneOf(names) | Rule::OneOfBeside(names, _) = rule
            && names.contains(&name)
        {
            others.extend(names.iter().filter(|other| **other != name));
        }
    }
    if shape.object.name == "JwtProvider" {
        match name {
            "remote_jwks" => others.push("local_jwks"),
            "issuers" | "issuer_pattern" | "issuer_claims" => others.push("issuer"),
            _ => {}
        }
    }
    others
}

/// A value that is good for a field.
pub fn sample(field: &Field) -> Value {
    match field.example {
        None if field.name == "provider_name" => "name".into(),
        Some(example) => serde_json::from_str(example)
            .unwrap_or_else(|error| panic!("{}: {example}: {error}", field.name)),
        None => of_kind(&field.kind),
    }
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Anything => json!(1),
        Kind::AnyObject(_) => json!({ "a": 1 }),
        Kind::Array(item, least) | Kind::List(item, least) => {
            Value::Array(vec![of_kind(item); (*least).max(1)])
        }
        Kind::Choice(choices) => choices[0].into(),
        Kind::Either(kinds) => of_kind(&kinds[0]),
        Kind::Fields(object) => {
            Value::Object(least(&Shape { object, without: &[], is_part: false }))
        }
        Kind::Part(object, without) => {
            Value::Object(least(&Shape { object, without, is_part: true }))
        }
        Kind::Flag => true.into(),
        Kind::Map(item, _) => json!({ "name": of_kind(item) }),
        Kind::Numbers(numbers) => numbers[0].into(),
        Kind::Octets => KEYS.into(),
        Kind::Text(letters) => match letters.pattern {
            None => "a".repeat(letters.least.max(1)).into(),
            Some(pattern) => {
                let schema = json!({ "type": "string", "pattern": pattern });
                let fits = |text: &&&str| jsonschema::is_valid(&schema, &json!(text));
                let text = ["x-a", "/a", "GET"].iter().find(fits);
                (*text.unwrap_or_else(|| panic!("no text for {pattern}"))).into()
            }
        },
        Kind::Time(span) => {
            let time = if span.least.is_zero() {
                span.least.saturating_add(std::time::Duration::from_secs(1))
            } else {
                span.least
            };
            format!("{}.{:09}s", time.as_secs(), time.subsec_nanos()).into()
        }
        Kind::Unsigned(least, _) => (*least).max(1).into(),
        Kind::Whole(_) => 1.into(),
    }
}
