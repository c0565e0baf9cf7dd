//! Path templates: Envoy's `UriTemplateMatchConfig`
//! (`envoy.extensions.path.match.uri_template.v3`), such as `/users/{id}/**`.
//!
//! `*`, `{name}` and `{name=*}` stand for one segment, `**` and `{name=**}` for any rest, and
//! `{name=videos/*}` for what is in it. Names have no meaning in a match; conditions on claims may refer
//! to variables of one segment. What may stand where is Envoy's rule: globs fill a segment but for a
//! literal suffix of the last one, and no glob comes after `**`. So a path is matched from the left
//! in one pass.

use std::collections::BTreeSet;

/// Most variables in one template, as in Envoy.
const MAX_VARIABLES: usize = 5;
/// Longest name of a variable, as in Envoy.
const MAX_NAME: usize = 16;

/// A template, in pieces that stand one behind the other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathTemplate {
    /// As it was written, for people.
    written: String,
    pieces: Vec<Piece>,
    variables: Vec<Variable>,
}

/// A variable that stands for one segment: `{name}` or `{name=*}`.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Variable {
    name: String,
    /// The number of its glob among the globs.
    glob: usize,
}

/// A piece of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// This text.
    Literal(String),
    /// `**`: any number of octets that may stand in a path, slashes too.
    Rest,
    /// `*`: one or more octets that may stand in a segment.
    Segment,
}

/// The octets that globs stand for: `pchar` of RFC 3986 section 3.3, and `%`, as in Envoy.
pub fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@".contains(&octet)
}

impl PathTemplate {
    /// Reads a template, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut reader = Reader {
            rest: text,
            pieces: Vec::new(),
            names: BTreeSet::new(),
            variables: Vec::new(),
        };
        reader.template()?;
        Ok(Self { written: text.to_owned(), pieces: reader.pieces, variables: reader.variables })
    }

    /// As it was written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The pieces, in their order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The number, among the globs, of the one that the variable `name` is: none where no variable
    /// has this name, or where it stands for more than one segment.
    pub fn variable(&self, name: &str) -> Option<usize> {
        self.variables.iter().find(|variable| variable.name == name).map(|variable| variable.glob)
    }
}

struct Reader<'a> {
    rest: &'a str,
    pieces: Vec<Piece>,
    names: BTreeSet<&'a str>,
    variables: Vec<Variable>,
}

impl<'a> Reader<'a> {
    fn template(&mut self) -> Result<(), &'static str> {
        if !self.take("/") {
            return Err("expected a path template, which begins with `/`");
        }
        self.literal("/");
        while !self.rest.is_empty() {
            if !self.rest.starts_with('{') {
                self.segment()?;
            } else {
                self.variable()?;
            }
            if self.take("/") {
                self.literal("/");
            } else if !self.rest.is_empty() {
                let suffix = self.take_literal()?;
                self.literal(suffix);
                if !self.rest.is_empty() {
                    return Err("text may follow a glob in the last segment only");
                }
            }
        }
        Ok(())
    }

    /// A glob, or text up to the next slash.
    fn segment(&mut self) -> Result<(), &'static str> {
        if self.take("**") {
            self.glob(Piece::Rest)
        } else if self.take("*") {
            self.glob(Piece::Segment)
        } else {
            let text = self.take_literal()?;
            self.literal(text);
            Ok(())
        }
    }

    fn variable(&mut self) -> Result<(), &'static str> {
        let inner = self.rest.strip_prefix('{').unwrap_or_default();
        let (inner, rest) = inner.split_once('}').ok_or("a `{` has no `}`")?;
        let (name, pattern) = inner.split_once('=').unwrap_or((inner, "*"));
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if !name.starts_with(|first: char| first.is_ascii_alphabetic())
            || !name.chars().all(plain)
            || name.len() > MAX_NAME
        {
            return Err("a variable's name has 1 to 16 letters, digits and `_`, a letter first");
        }
        if !self.names.insert(name) {
            return Err("two variables have the same name");
        }
        if self.names.len() > MAX_VARIABLES {
            return Err("a template has at most 5 variables");
        }
        if pattern == "*" {
            let globs = self.pieces.iter().filter(|piece| !matches!(piece, Piece::Literal(_)));
            self.variables.push(Variable { name: name.to_owned(), glob: globs.count() });
        }
        self.rest = pattern;
        loop {
            self.segment()?;
            if self.rest.is_empty() {
                break;
            }
            if !self.take("/") {
                return Err("in a variable, a glob fills its segment");
            }
            self.literal("/");
        }
        self.rest = rest;
        Ok(())
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take_literal(&mut self) -> Result<&'a str, &'static str> {
        let end = self.rest.find('/').unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        if text.is_empty() {
            return Err("a segment must not be empty");
        }
        // Natively text may hold a `*`, which then repeats the letter before it.
        if !text.bytes().all(|octet| is_plain(octet) && octet != b'*') {
            return Err("a segment is a glob, a variable or text, and text has no `*`, `{`, `}`");
        }
        self.rest = rest;
        Ok(text)
    }

    fn literal(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Literal(before)) => before.push_str(text),
            _ => self.pieces.push(Piece::Literal(text.to_owned())),
        }
    }

    fn glob(&mut self, glob: Piece) -> Result<(), &'static str> {
        if self.pieces.contains(&Piece::Rest) {
            return Err("no glob may come after `**`");
        }
        self.pieces.push(glob);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        for good in [
            "/",
            "/a",
            "/a/",
            "/*",
            "/**",
            "/**.mpd",
            "/a/*/b/**",
            "/{id}",
            "/{id}.json",
            "/{id=*}/{rest=**}",
            "/{file=videos/*/x}/y",
            "/a%2Fb;c@d=e",
            "/{a=b=c}",
            "/{a}/{b}/{c}/{d}/{e}",
        ] {
            assert!(PathTemplate::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "//",
            "/a//b",
            "/a*",
            "/*a/b",
            "/**/*",
            "/**/{id}",
            "/**/**",
            "/{a=**}/{b}",
            "/{",
            "/{}",
            "/{1a}",
            "/{a-b}",
            "/{a=}",
            "/{a=*/}",
            "/{a=*b}",
            "/{a={b}}",
            "/{a}/{a}",
            "/{a}{b}",
            "/{a}/{b}/{c}/{d}/{e}/{f}",
            "/{abcdefghijklmnopq}",
            "/a b",
            "/\u{e9}",
            "/a?b",
        ] {
            assert!(PathTemplate::parse(bad).is_err(), "{bad}");
        }
    }
}
