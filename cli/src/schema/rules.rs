//! What holds between the fields of an object, as a schema.

use jwt_gate::config::reference::{Field, Rule};
use serde_json::{Map, Value, json};

use crate::schema::Shape;

/// The keywords for it.
pub fn of(shape: &Shape) -> Map<String, Value> {
    let mut keywords = Map::new();
    let mut all = Vec::new();
    match shape.is_part() {
        true => {
            keywords.insert("minProperties".to_owned(), 1.into());
        }
        false => {
            all.extend(shape.fields().filter(|field| field.required).map(is_set));
            all.extend(shape.object.rules.iter().map(|one| rule(one, shape)));
        }
    }
    let spellings = shape.fields().filter(|field| field.camel_case() != field.name);
    let doubled: Map<_, _> = spellings
        .map(|field| (field.camel_case(), json!({ "not": { "required": [field.name] } })))
        .collect();
    if !doubled.is_empty() {
        keywords.insert("dependentSchemas".to_owned(), doubled.into());
    }
    if !all.is_empty() {
        keywords.insert("allOf".to_owned(), all.into());
    }
    keywords
}

fn rule(rule: &Rule, shape: &Shape) -> Value {
    let set = |names: &[&str]| -> Vec<Value> {
        names.iter().filter_map(|name| shape.object.field(name)).map(is_set).collect()
    };
    let first = |name: &str| set(&[name]).into_iter().next().unwrap_or_default();
    match rule {
        Rule::AnyOf(names) => json!({ "anyOf": set(names) }),
        Rule::OneOf(names) => json!({ "oneOf": set(names) }),
        Rule::AtMostOne(names) => {
            let none = json!({ "not": { "anyOf": set(names) } });
            let all = [set(names), vec![none]].concat();
            json!({ "oneOf": all })
        }
        Rule::OneOfBeside(names, beside) => {
            json!({ "if": first(beside), "then": { "oneOf": set(names) } })
        }
        Rule::Needs(name, others) => json!({ "if": first(name), "then": { "anyOf": set(others) } }),
        Rule::Beside(names, beside) => {
            let there = names.iter().filter_map(|name| shape.object.field(name)).map(is_there);
            json!({ "if": { "anyOf": there.collect::<Vec<_>>() }, "then": first(beside) })
        }
    }
}

/// In one of its spellings, whatever it says.
fn is_there(field: &Field) -> Value {
    each_spelling(field, |name| json!({ "required": [name] }))
}

/// In one of its spellings, and not `null`.
fn is_set(field: &Field) -> Value {
    each_spelling(field, |name| match field.not_null {
        true => json!({ "required": [name] }),
        false => {
            json!({ "required": [name], "not": { "properties": { name: { "type": "null" } } } })
        }
    })
}

fn each_spelling(field: &Field, schema: impl Fn(&str) -> Value) -> Value {
    let camel = field.camel_case();
    match camel == field.name {
        true => schema(field.name),
        false => json!({ "anyOf": [schema(field.name), schema(&camel)] }),
    }
}
