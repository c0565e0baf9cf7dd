//! `schema`: the configuration as a JSON Schema (draft 2020-12), and as a page for people. Both are made of
//! the tables that stand beside the filter's own reader.
//!
//! The reader is the judge. The schema never refuses what the reader takes; where it takes more,
//! `cli/tests/schema.rs` says why.

pub mod lookup;
pub mod reference;
mod rules;
mod values;

use jwt_gate::config::reference::{Field, Kind, Object, root};
use serde_json::{Map, Value, json};

use crate::args::SchemaArguments;
use crate::output::Answer;

pub fn run(arguments: &SchemaArguments) -> Answer {
    if arguments.reference {
        let page = reference::page();
        return Answer::good(page.clone(), json!({ "page": page }));
    }
    let schema = schema();
    Answer::good(format!("{schema:#}\n"), schema)
}

/// An object as it stands in one place: with all its fields, or with some.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub object: &'static Object,
    /// Fields that are missing there.
    without: &'static [&'static str],
    /// The field that holds it, where it is not the whole.
    part: Option<&'static str>,
}

impl Shape {
    pub fn whole(object: &'static Object) -> Self {
        Self { object, without: &[], part: None }
    }

    /// Its name, which no other has.
    pub fn name(&self) -> String {
        match self.part {
            None => self.object.name.to_owned(),
            Some(field) => {
                let (first, rest) = field.split_at(1);
                format!("{}{rest}", first.to_ascii_uppercase())
            }
        }
    }

    pub fn is_part(&self) -> bool {
        self.part.is_some()
    }

    pub fn fields(&self) -> impl Iterator<Item = &'static Field> {
        let without = self.without;
        self.object.fields.iter().filter(move |field| !without.contains(&field.name))
    }
}

/// The objects in a value of this kind.
pub fn shapes_in(kind: &'static Kind, field: &'static str) -> Vec<Shape> {
    match kind {
        Kind::Fields(object) => vec![Shape::whole(object)],
        Kind::Part(object, without) => vec![Shape { object, without, part: Some(field) }],
        Kind::Array(item, _) | Kind::List(item, _) | Kind::Map(item, _) => shapes_in(item, field),
        Kind::Either(kinds) => kinds.iter().flat_map(|kind| shapes_in(kind, field)).collect(),
        _ => Vec::new(),
    }
}

/// Every object, once, in the order in which one comes upon them.
pub fn shapes() -> Vec<Shape> {
    let mut all = vec![Shape::whole(root())];
    let mut next = 0;
    while let Some(shape) = all.get(next).copied() {
        next = next.saturating_add(1);
        for inner in shape.fields().flat_map(|field| shapes_in(&field.kind, field.name)) {
            if !all.iter().any(|known| known.name() == inner.name()) {
                all.push(inner);
            }
        }
    }
    all
}

/// The shortest path to an object.
pub fn path_of(shape: &Shape, all: &[Shape]) -> String {
    let mut paths =
        vec![(Shape::whole(all.first().map_or(shape.object, |root| root.object)), String::new())];
    let mut next = 0;
    while let Some((holder, path)) = paths.get(next).cloned() {
        if holder.name() == shape.name() {
            return path;
        }
        next = next.saturating_add(1);
        for field in holder.fields() {
            for inner in shapes_in(&field.kind, field.name) {
                if !paths.iter().any(|(known, _)| known.name() == inner.name()) {
                    let dot = if path.is_empty() { "" } else { "." };
                    let behind = match field.kind {
                        Kind::List(..) | Kind::Array(..) => "[]",
                        Kind::Map(..) => ".NAME",
                        _ => "",
                    };
                    paths.push((inner, format!("{path}{dot}{}{behind}", field.name)));
                }
            }
        }
    }
    String::new()
}

/// The schema.
pub fn schema() -> Value {
    let defs: Map<_, _> = shapes().iter().map(|shape| (shape.name(), object(shape))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Made by `cargo xtask docs` from the filter's own tables; do not edit. Names are also taken in \
                     lowerCamelCase, numbers and booleans also as texts, one value also for a list of one. \
                     `jwt-gate check` knows what a schema cannot say.",
        "title": "The configuration of jwt-gate",
        "$ref": format!("#/$defs/{}", root().name),
        "$defs": defs,
    })
}

fn object(shape: &Shape) -> Value {
    let (mut properties, mut patterns) = (Map::new(), Map::new());
    for field in shape.fields() {
        if let Some(instead) = field.refused {
            // No editor shall offer it.
            let refused = json!({ "type": "null", "description": format!("Refused: {instead}.") });
            patterns.insert(format!("^({}|{})$", field.name, field.camel_case()), refused);
            continue;
        }
        let defined = format!("#/$defs/{}/properties/{}", shape.object.name, field.name);
        let value = match shape.is_part() {
            true => json!({ "$ref": defined }),
            false => values::of_field(field),
        };
        properties.insert(field.name.to_owned(), value);
        // Taken, but not offered: completion proposes `properties` only.
        if field.camel_case() != field.name {
            patterns.insert(format!("^{}$", field.camel_case()), json!({ "$ref": defined }));
        }
    }
    let mut schema = json!({
        "type": "object",
        "description": text(shape.object.about),
        "properties": properties,
        "additionalProperties": false,
    });
    let rules = rules::of(shape);
    if let Some(members) = schema.as_object_mut() {
        if !patterns.is_empty() {
            members.insert("patternProperties".to_owned(), patterns.into());
        }
        members.extend(rules);
    }
    schema
}

/// Lines of a comment as one text.
pub fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}
