//! YAML: events into values, by the core schema of YAML 1.2.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Number;

use crate::tree::{Data, Flaw, Member, Origin, Place, Tree};

/// As deep as the core reads JSON.
const MAX_DEPTH: usize = 100;
/// Most values, aliases resolved: a file of a few lines could hold millions otherwise.
const MAX_VALUES: usize = 200_000;

/// Reads all documents of a text; those that are empty are left out.
pub fn parse(text: &str) -> Result<Vec<Tree>, Flaw> {
    let lines: Vec<_> = text.lines().collect();
    let mut builder = Builder { lines: &lines, ..Builder::default() };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Flaw {
            place: Place {
                line: error.marker().line().max(1),
                column: error.marker().col().saturating_add(1),
            },
            message: format!("not YAML: {}", error.info()),
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.documents)
}

#[derive(Default)]
struct Builder<'a> {
    lines: &'a [&'a str],
    documents: Vec<Tree>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Tree>,
    values: usize,
}

/// A collection that is being read.
struct Open {
    place: Place,
    anchor: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Tree>),
    Object { members: Vec<Member>, name: Option<(String, Place)> },
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Flaw> {
        let place =
            Place { line: span.start.line().max(1), column: span.start.col().saturating_add(1) };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.clone());
                if let Some(Open { kind: Kind::Object { name: name @ None, .. }, .. }) =
                    self.open.last_mut()
                {
                    *name = Some((text.into_owned(), place));
                    return Ok(());
                }
                let data = match (style, tag.as_deref()) {
                    (ScalarStyle::Plain, None | Some("int" | "float" | "bool" | "null")) => {
                        plain(&text, place)
                    }
                    (ScalarStyle::Literal, _) => {
                        let origin = self.block(&text, place);
                        Data::Text(text.into_owned(), origin)
                    }
                    _ => Data::Text(text.into_owned(), Origin::Quoted(place)),
                };
                self.put(Tree { place, data }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(place, anchor, Kind::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.begin(place, anchor, Kind::Object { members: Vec::new(), name: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { place, anchor, kind }) = self.open.pop() else { return Ok(()) };
                let data = match kind {
                    Kind::List(items) => Data::List(items),
                    Kind::Object { members, .. } => Data::Object(members),
                };
                self.put(Tree { place, data }, anchor)
            }
            Event::Alias(anchor) => {
                let unknown = || Flaw { place, message: "no anchor of this name".to_owned() };
                let tree = self.anchors.get(&anchor).ok_or_else(unknown)?;
                self.values = self.values.saturating_add(size(tree));
                let tree = Tree { place, ..tree.clone() };
                self.put(tree, 0)
            }
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, place: Place, anchor: usize, kind: Kind) -> Result<(), Flaw> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Flaw { place, message: "nested too deeply".to_owned() });
        }
        if let Some(Open { kind: Kind::Object { name: None, .. }, .. }) = self.open.last() {
            return Err(Flaw { place, message: "a name must be text".to_owned() });
        }
        self.open.push(Open { place, anchor, kind });
        Ok(())
    }

    fn put(&mut self, tree: Tree, anchor: usize) -> Result<(), Flaw> {
        self.values = self.values.saturating_add(1);
        if self.values > MAX_VALUES {
            return Err(Flaw { place: tree.place, message: "too many values".to_owned() });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, tree.clone());
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None if tree.data == Data::Null => {}
            None => self.documents.push(tree),
            Some(Kind::List(items)) => items.push(tree),
            Some(Kind::Object { members, name }) => {
                let Some((name, place)) = name.take() else {
                    return Err(Flaw {
                        place: tree.place,
                        message: "a name must be text".to_owned(),
                    });
                };
                if members.iter().any(|own| own.name == name) {
                    return Err(Flaw { place, message: format!("`{name}` stands here twice") });
                }
                members.push(Member { name, place, value: tree });
            }
        }
        Ok(())
    }

    /// Where the lines of a literal block stand. Its place may be that of the `|` or of a line.
    fn block(&self, text: &str, place: Place) -> Origin {
        let spaces = |line: &str| line.len().saturating_sub(line.trim_start_matches(' ').len());
        let filled = text.lines().enumerate().find(|(_, line)| !line.trim().is_empty());
        let (index, within) = filled.unwrap_or((0, ""));
        let below = self.lines.iter().enumerate().skip(place.line.saturating_sub(1));
        let found =
            below.take(index.saturating_add(3)).find(|(_, line)| line.trim() == within.trim());
        match found {
            Some((at, line)) => Origin::Block {
                line: at.saturating_add(1).saturating_sub(index),
                indent: spaces(line).saturating_sub(spaces(within)),
            },
            None => Origin::Quoted(place),
        }
    }
}

fn size(tree: &Tree) -> usize {
    let inner: usize = match &tree.data {
        Data::List(items) => items.iter().map(size).sum(),
        Data::Object(members) => members.iter().map(|own| size(&own.value)).sum(),
        _ => 0,
    };
    inner.saturating_add(1)
}

/// A word without quotes (YAML 1.2 section 10.3.2).
fn plain(text: &str, place: Place) -> Data {
    let digits = |text: &str, radix| u64::from_str_radix(text, radix).ok();
    let number = || -> Option<Number> {
        if let Some(octal) = text.strip_prefix("0o") {
            return digits(octal, 8).map(Number::from);
        }
        if let Some(hex) = text.strip_prefix("0x") {
            return digits(hex, 16).map(Number::from);
        }
        let bare = text.strip_prefix('+').unwrap_or(text);
        if !bare.starts_with(|first: char| first.is_ascii_digit() || "-.".contains(first)) {
            return None;
        }
        // What is JSON keeps its digits.
        let own = serde_json::from_str(bare).ok();
        let own = own.or_else(|| bare.parse::<i64>().ok().map(Number::from));
        own.or_else(|| bare.parse::<f64>().ok().and_then(Number::from_f64))
    };
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Bool(true),
        "false" | "False" | "FALSE" => Data::Bool(false),
        _ => match number() {
            Some(number) => Data::Number(number),
            None => Data::Text(text.to_owned(), Origin::Quoted(place)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(yaml: &str, expected: &[Value]) {
        let documents = parse(yaml).unwrap_or_else(|flaw| panic!("{yaml}: {flaw:?}"));
        assert_eq!(documents.iter().map(Tree::to_value).collect::<Vec<_>>(), expected, "{yaml}");
    }

    #[test]
    fn values() {
        check("a: [1, -2, 0x1f, 1.5, +3, 007, .5]", &[json!({"a": [1, -2, 31, 1.5, 3, 7, 0.5]})]);
        check(
            "a: [yes, 5s, '1', \"x\\ty\", ~, null, True]",
            &[json!({"a": ["yes", "5s", "1", "x\ty", null, null, true]})],
        );
        check(
            "a: !!str 5\nb: |\n  x\n   y\nc: >-\n  x\n  y\n",
            &[json!({"a": "5", "b": "x\n y\n", "c": "x y"})],
        );
        check("a: &x {b: 1}\nc: *x\n", &[json!({"a": {"b": 1}, "c": {"b": 1}})]);
        check("---\na: 1\n---\n# nothing\n---\nb: 2\n", &[json!({"a": 1}), json!({"b": 2})]);
        check("", &[]);
        check("{\"a\": [1, {\"b\": null}]}", &[json!({"a": [1, {"b": null}]})]);
        check("1: a\ntrue: b", &[json!({"1": "a", "true": "b"})]);
    }

    #[test]
    fn flaws_have_places() {
        for (yaml, line) in [
            ("a: 1\nb: [1\nc: 2\n", 3),
            ("a: 1\nb: 2\na: 3\n", 3),
            ("a:\n\t- b\n", 2),
            ("a: *x\n", 1),
            ("? [a]\n: b\n", 1),
            ("a: \"b\n", 1),
        ] {
            let flaw = parse(yaml).unwrap_err();
            assert!(flaw.place.line >= line, "{yaml}: {flaw:?}");
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(parse(&deep).is_err());
        let bomb = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |all, n| {
            let items = vec![format!("*a{}", n - 1); 10].join(", ");
            format!("{all}a{n}: &a{n} [{items}]\n")
        });
        assert_eq!(parse(&bomb).unwrap_err().message, "too many values");
    }

    #[test]
    fn lines_of_blocks() {
        let yaml = "a:\n  value: |\n    {\n      \"x\": 1\n    }\n  other: |-\n\n      first\n";
        let [tree] = &parse(yaml).unwrap()[..] else { panic!() };
        let origin = |names: &[&str]| match &tree.at(names).unwrap().data {
            Data::Text(_, origin) => *origin,
            data => panic!("{data:?}"),
        };
        assert_eq!(origin(&["a", "value"]), Origin::Block { line: 3, indent: 4 });
        assert_eq!(origin(&["a", "other"]), Origin::Block { line: 7, indent: 6 });
    }
}
