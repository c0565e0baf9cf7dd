//! Strict JSON, by the reader of the core; then once more for the places.

use jwt_gate::json::{self, JsonError, JsonErrorKind};

use crate::tree::{Data, Flaw, Member, Origin, Place, Tree};

/// Reads a text.
pub fn parse(text: &[u8]) -> Result<Tree, Flaw> {
    parse_within(text, Origin::Block { line: 1, indent: 0 })
}

/// Reads a text that stands in another one.
pub fn parse_within(text: &[u8], origin: Origin) -> Result<Tree, Flaw> {
    json::parse(text).map_err(|error| {
        let (line, column) = error.place();
        Flaw { place: origin.place(Place { line, column }), message: words(&error).to_owned() }
    })?;
    let mut reader = Reader { text, at: 0, place: Place::START, origin };
    reader.value().ok_or_else(|| Flaw {
        place: origin.place(reader.place),
        message: "not valid JSON".to_owned(),
    })
}

/// What is wrong; the place is told apart, since it is the file's.
fn words(error: &JsonError) -> &'static str {
    match error.kind() {
        JsonErrorKind::DuplicateMember => "an object names a member twice",
        JsonErrorKind::Syntax => "not valid JSON",
        JsonErrorKind::TooDeep => "nested too deeply",
    }
}

/// Goes through a text that is known to be good; none where it is not.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    place: Place,
    origin: Origin,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Option<Tree> {
        self.skip(u8::is_ascii_whitespace);
        let place = self.origin.place(self.place);
        let data = match self.peek()? {
            b'{' => self.object()?,
            b'[' => self.list()?,
            b'"' => Data::Text(self.text()?, Origin::Quoted(place)),
            _ => {
                let word =
                    self.skip(|octet| !b",]}".contains(octet) && !octet.is_ascii_whitespace());
                match serde_json::from_slice(word).ok()? {
                    serde_json::Value::Bool(value) => Data::Bool(value),
                    serde_json::Value::Number(number) => Data::Number(number),
                    _ => Data::Null,
                }
            }
        };
        self.skip(u8::is_ascii_whitespace);
        Some(Tree { place, data })
    }

    fn object(&mut self) -> Option<Data> {
        let mut members = Vec::new();
        self.step();
        self.skip(u8::is_ascii_whitespace);
        while self.peek()? != b'}' {
            let place = self.origin.place(self.place);
            let name = self.text()?;
            self.skip(|octet| octet.is_ascii_whitespace() || *octet == b':');
            let value = self.value()?;
            members.push(Member { name, place, value });
            self.skip(|octet| octet.is_ascii_whitespace() || *octet == b',');
        }
        self.step();
        Some(Data::Object(members))
    }

    fn list(&mut self) -> Option<Data> {
        let mut items = Vec::new();
        self.step();
        self.skip(u8::is_ascii_whitespace);
        while self.peek()? != b']' {
            items.push(self.value()?);
            self.skip(|octet| octet.is_ascii_whitespace() || *octet == b',');
        }
        self.step();
        Some(Data::List(items))
    }

    fn text(&mut self) -> Option<String> {
        let start = self.at;
        self.step();
        while self.peek()? != b'"' {
            if self.step() == Some(b'\\') {
                self.step();
            }
        }
        self.step();
        serde_json::from_slice(self.text.get(start..self.at)?).ok()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn step(&mut self) -> Option<u8> {
        let octet = self.peek()?;
        self.at = self.at.saturating_add(1);
        match octet {
            b'\n' => {
                self.place = Place { line: self.place.line.saturating_add(1), column: 1 };
            }
            // Within a letter of several octets.
            0x80..=0xbf => {}
            _ => self.place.column = self.place.column.saturating_add(1),
        }
        Some(octet)
    }

    /// Goes on while `is` holds; returns what was passed.
    fn skip(&mut self, is: impl Fn(&u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(|octet| is(&octet)) {
            self.step();
        }
        self.text.get(start..self.at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_flaws() {
        let tree =
            parse("{ \"ä\\\"b\": [1.50, true, null, \"x\\n\"],\n\t\"c\": {} }".as_bytes()).unwrap();
        let [first, second] = tree.members() else { panic!("{tree:?}") };
        assert_eq!((first.name.as_str(), first.place), ("ä\"b", Place { line: 1, column: 3 }));
        assert_eq!(first.value.items()[1].place, Place { line: 1, column: 18 });
        assert_eq!(second.place, Place { line: 2, column: 2 });
        let flaw = parse(b"{\n \"a\": 1,\n}").unwrap_err();
        assert_eq!(flaw.place.line, 3);
        let flaw = parse_within(b"{\n!", Origin::Block { line: 10, indent: 4 }).unwrap_err();
        assert_eq!((flaw.place.line, flaw.place.column > 4), (11, true));
        assert!(parse(b"{\"a\": 1, \"a\": 2}").unwrap_err().message.contains("twice"));
        assert!(parse(b"").is_err());
    }
}
