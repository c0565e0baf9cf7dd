//! JSON and YAML as values that know where in the file they stand.

pub mod json;
pub mod yaml;

use jwt_gate::config::reader::member_path;
use serde_json::{Map, Number, Value};

/// Where something stands, counted from one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub const START: Self = Self { line: 1, column: 1 };
}

/// Why a text cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Flaw {
    pub place: Place,
    pub message: String,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    pub place: Place,
    pub data: Data,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Null,
    Bool(bool),
    Number(Number),
    Text(String, Origin),
    List(Vec<Tree>),
    Object(Vec<Member>),
}

/// Where the lines of a text stand, should there be something to point at in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Line by line, from this one on and so far to the right.
    Block { line: usize, indent: usize },
    /// With escapes, or folded: nobody knows exactly.
    Quoted(Place),
}

impl Origin {
    /// The place in the file of a place in the text.
    pub fn place(self, within: Place) -> Place {
        match self {
            Self::Block { line, indent } => Place {
                line: line.saturating_add(within.line).saturating_sub(1),
                column: indent.saturating_add(within.column),
            },
            Self::Quoted(place) => place,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub name: String,
    pub place: Place,
    pub value: Tree,
}

impl Tree {
    /// The member of this name, in either spelling.
    pub fn get(&self, name: &str) -> Option<&Tree> {
        let found = self.members().iter().find(|own| own.name == name);
        let found =
            found.or_else(|| self.members().iter().find(|own| snake_case(&own.name) == name));
        found.map(|own| &own.value)
    }

    /// The value that these names lead to.
    pub fn at(&self, names: &[&str]) -> Option<&Tree> {
        names.iter().try_fold(self, |tree, name| tree.get(name))
    }

    pub fn members(&self) -> &[Member] {
        match &self.data {
            Data::Object(members) => members,
            _ => &[],
        }
    }

    pub fn items(&self) -> &[Tree] {
        match &self.data {
            Data::List(items) => items,
            _ => &[],
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text, _) => Some(text),
            _ => None,
        }
    }

    /// The text of the member of this name.
    pub fn text_at(&self, name: &str) -> Option<&str> {
        self.get(name)?.text()
    }

    pub fn is_object(&self) -> bool {
        matches!(self.data, Data::Object(_))
    }

    pub fn is_true(&self) -> bool {
        self.data == Data::Bool(true)
    }

    pub fn to_value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text, _) => Value::String(text.clone()),
            Data::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Data::Object(members) => {
                let members = members.iter().map(|own| (own.name.clone(), own.value.to_value()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// What stands at `path`, one of the configuration's, or as much of the way as there is.
    pub fn place_of(&self, path: &str) -> Place {
        let (mut tree, mut at, mut place) = (self, String::new(), self.place);
        while at != path {
            let Some((own, next_place, next)) = tree.step(&at, path) else { break };
            (at, place, tree) = (own, next_place, next);
        }
        place
    }

    /// The next step on the way to `path`.
    fn step(&self, at: &str, path: &str) -> Option<(String, Place, &Tree)> {
        match &self.data {
            Data::Object(members) => members.iter().find_map(|own| {
                // The core's own texts are in snake_case, whatever the file is in.
                let spellings = [own.name.clone(), snake_case(&own.name)];
                let mut paths = spellings.iter().map(|name| member_path(at, name));
                let way = paths.find(|way| leads_to(way, path))?;
                Some((way, own.place, &own.value))
            }),
            Data::List(items) => items.iter().enumerate().find_map(|(index, item)| {
                let way = format!("{at}[{index}]");
                leads_to(&way, path).then_some((way, item.place, item))
            }),
            _ => None,
        }
    }

    /// Calls `visit` with every object in it, outer ones first.
    pub fn each_object<'a>(&'a self, visit: &mut impl FnMut(&'a Tree)) {
        match &self.data {
            Data::Object(members) => {
                visit(self);
                members.iter().for_each(|own| own.value.each_object(visit));
            }
            Data::List(items) => items.iter().for_each(|item| item.each_object(visit)),
            _ => {}
        }
    }
}

fn leads_to(way: &str, path: &str) -> bool {
    path.strip_prefix(way).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// `remoteJwks` as `remote_jwks`.
pub fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tree: &Tree, path: &str, line: usize) {
        assert_eq!(tree.place_of(path).line, line, "{path}");
    }

    #[test]
    fn paths_lead_to_lines() {
        let yaml = "providers:\n  a:\n    remoteJwks:\n      timeout: 5\n  a.b:\n    issuer: x\nrules:\n- match: {}\n-\n  match:\n    prefix: /\n";
        let [tree] = &yaml::parse(yaml).unwrap()[..] else { panic!() };
        check(tree, "", 1);
        check(tree, "providers.a", 2);
        check(tree, "providers.a.remote_jwks.timeout", 4);
        check(tree, "providers.a.remoteJwks.timeout", 4);
        check(tree, "providers[\"a.b\"].issuer", 6);
        check(tree, "providers.a.nowhere.at.all", 2);
        check(tree, "rules[0].match", 8);
        check(tree, "rules[1].match.prefix", 11);
        let json =
            "{\n  \"rules\": [\n    {},\n    { \"match\":\n      { \"prefix\": \"/\" } }\n  ]\n}";
        let tree = json::parse(json.as_bytes()).unwrap();
        check(&tree, "rules[0]", 3);
        check(&tree, "rules[1].match", 4);
        check(&tree, "rules[1].match.prefix", 5);
        assert_eq!(tree.to_value(), serde_json::from_str::<Value>(json).unwrap());
    }
}
