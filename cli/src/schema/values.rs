//! What a value may be, as a schema.

use jwt_gate::config::reference::{Field, Kind, Letters, Span};
use serde_json::{Value, json};

use crate::schema::reference::{default_in_words, limits};
use crate::schema::text;

/// The value of a field, with everything that an editor shows.
pub fn of_field(field: &'static Field) -> Value {
    let mut schema = of(&field.kind, field.name);
    if !field.not_null {
        schema = or_null(schema);
    }
    let mut about = vec![text(field.meaning)];
    about.extend(limits(&field.kind).map(|limits| format!("{}.", capital(&limits))));
    about.extend(field.unit.map(|unit| format!("In {unit}.")));
    about.extend(default_in_words(field).map(|default| format!("Default: {default}.")));
    about.extend(field.rfc.map(|section| format!("{section}.")));
    about.extend(field.page.map(|page| format!("See docs/{page}.")));
    if let Some(members) = schema.as_object_mut() {
        members.insert("description".to_owned(), about.join(" ").into());
        if let Some(default) = default(field) {
            members.insert("default".to_owned(), default);
        }
        let example = field.example.and_then(|example| serde_json::from_str::<Value>(example).ok());
        if let Some(example) = example {
            members.insert("examples".to_owned(), json!([example]));
        }
    }
    schema
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The default, where it is a value and no explanation.
pub fn default(field: &Field) -> Option<Value> {
    let default = field.default?;
    match field.kind {
        Kind::Choice(choices) => choices.contains(&default).then(|| default.into()),
        Kind::Time(_) => {
            let digits = default.strip_suffix('s')?;
            digits
                .bytes()
                .all(|octet| octet.is_ascii_digit() || octet == b'.')
                .then(|| default.into())
        }
        _ => serde_json::from_str(default).ok(),
    }
}

fn or_null(schema: Value) -> Value {
    match schema.get("type") {
        Some(Value::String(one)) => with(&schema, "type", json!([one, "null"])),
        Some(Value::Array(several)) => {
            with(&schema, "type", [several.as_slice(), &[json!("null")]].concat().into())
        }
        _ => match schema.get("anyOf").or(schema.get("enum")) {
            Some(Value::Array(several)) if schema.get("anyOf").is_some() => {
                let all = [several.as_slice(), &[json!({ "type": "null" })]].concat();
                with(&schema, "anyOf", all.into())
            }
            Some(Value::Array(several)) => {
                with(&schema, "enum", [several.as_slice(), &[Value::Null]].concat().into())
            }
            _ if schema == json!({}) => schema,
            _ => json!({ "anyOf": [schema, { "type": "null" }] }),
        },
    }
}

fn with(schema: &Value, name: &str, value: Value) -> Value {
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    schema
}

fn of(kind: &'static Kind, field: &'static str) -> Value {
    match kind {
        Kind::Anything => json!({}),
        Kind::AnyObject([]) => json!({ "type": "object" }),
        Kind::AnyObject(without) => {
            json!({ "type": "object", "propertyNames": { "not": { "enum": without } } })
        }
        Kind::Array(item, 0) => json!({ "type": "array", "items": of(item, field) }),
        Kind::Array(item, least) => {
            json!({ "type": "array", "items": of(item, field), "minItems": least })
        }
        Kind::Choice(choices) => json!({ "enum": choices }),
        Kind::Either(kinds) => {
            json!({ "anyOf": kinds.iter().map(|kind| of(kind, field)).collect::<Vec<_>>() })
        }
        Kind::Fields(object) => json!({ "$ref": format!("#/$defs/{}", object.name) }),
        // Both as a boolean and as a text.
        Kind::Flag => json!({ "type": ["boolean", "string"], "pattern": "^(true|false)$" }),
        Kind::List(item, least) => list(of(item, field), *least),
        Kind::Map(item, least) => {
            let map = json!({ "type": "object", "additionalProperties": of(item, field) });
            if *least == 0 { map } else { with(&map, "minProperties", (*least).into()) }
        }
        Kind::Numbers(numbers) => {
            let digits = numbers.iter().map(u32::to_string).collect::<Vec<_>>().join("|");
            json!({ "anyOf": [
                { "enum": numbers },
                { "type": "string", "pattern": format!("^\\+?0*({digits})$") },
            ] })
        }
        Kind::Octets => json!({
            "type": "string",
            "minLength": 1,
            "pattern": "^([A-Za-z0-9+/_-]{4})*([A-Za-z0-9+/_-]{2,3})?=*$",
        }),
        Kind::Part(..) => {
            let shape = crate::schema::shapes_in(kind, field);
            json!({ "$ref": format!("#/$defs/{}", shape.first().map(|one| one.name()).unwrap_or_default()) })
        }
        Kind::Text(letters) => letters_of(letters),
        Kind::Time(span) => time(span),
        Kind::Unsigned(least, most) => json!({
            "type": ["integer", "string"],
            "minimum": least,
            "maximum": most,
            "pattern": "^\\+?[0-9]+$",
        }),
        Kind::Whole(unsigned) => json!({
            "type": ["integer", "string"],
            "minimum": i64::MIN,
            "maximum": if *unsigned { json!(u64::MAX) } else { json!(i64::MAX) },
            "pattern": "^[+-]?[0-9]+$",
        }),
    }
}

/// A list; one value stands for a list of one.
fn list(item: Value, least: usize) -> Value {
    let mut array = json!({ "type": "array", "items": item });
    if least > 0 {
        array = with(&array, "minItems", least.into());
    }
    match (least, item.get("anyOf")) {
        (0 | 1, Some(Value::Array(several))) => {
            let all = [&[array], several.as_slice()].concat();
            json!({ "anyOf": all })
        }
        (0 | 1, _) => json!({ "anyOf": [array, item] }),
        _ => array,
    }
}

fn letters_of(letters: &Letters) -> Value {
    let mut schema = json!({ "type": "string" });
    match (letters.least, letters.pattern) {
        (0, _) | (1, Some(_)) => {}
        (1, None) => schema = with(&schema, "minLength", 1.into()),
        (least, _) => {
            // The gate counts octets, a schema letters, of which one has up to four.
            let most_octets =
                json!({ "minLength": least.div_ceil(4), "pattern": "[^\\x00-\\x7f]" });
            schema = with(&schema, "anyOf", json!([{ "minLength": least }, most_octets]));
        }
    }
    if let Some(most) = letters.most {
        schema = with(&schema, "maxLength", most.into());
    }
    if let Some(pattern) = letters.pattern {
        schema = with(&schema, "pattern", pattern.into());
    }
    schema
}

fn time(span: &Span) -> Value {
    let pattern = if span.whole { "^[0-9]+(\\.0{1,9})?s$" } else { "^[0-9]+(\\.[0-9]{1,9})?s$" };
    let schema = json!({ "type": "string", "pattern": pattern });
    match span.positive {
        true => with(&schema, "not", json!({ "type": "string", "pattern": "^[0.]*s$" })),
        false => schema,
    }
}
