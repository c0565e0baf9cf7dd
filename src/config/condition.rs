//! Conditions on claims as written. All of it is ours.

use crate::config::fields::Fields;
use crate::config::headers::header_name;
use crate::config::matching::{Pattern, StringMatch};
use crate::config::path_template::PathTemplate;
use crate::config::reader::Node;

/// A condition, with the place where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    /// The JSON path.
    pub path: String,
    /// What it asks.
    pub kind: ConditionKind,
}

/// The kinds of conditions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConditionKind {
    /// `all`: each of them.
    All(Vec<Condition>),
    /// `any`: one of them.
    Any(Vec<Condition>),
    /// `authenticated`: whether there is a good token.
    Authenticated(bool),
    /// `claim` and one of the forms of [`ClaimMatch`].
    Claim {
        /// The names that lead to the claim.
        claim: Vec<String>,
        /// What it must be.
        value: ClaimMatch,
    },
    /// `not`: not this one.
    Not(Box<Condition>),
    /// `scopes`.
    Scopes(Scopes),
}

/// `scopes`: what the token was issued for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scopes {
    /// `claim`: the names that lead to the claim; empty: `scope`, else `scp`.
    pub claim: Vec<String>,
    /// `all`: each of these.
    pub all: Vec<String>,
    /// `any`: one of these.
    pub any: Vec<String>,
}

/// What a claim must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClaimMatch {
    /// `list_match`: a list, and some of what is in it.
    List(ListMatch),
    /// `present_match`: whether it is there.
    Present(bool),
    /// One of the forms that items of a list have, too.
    Value(ValueMatch),
}

/// What a value must be that is no list and no object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ValueMatch {
    /// `bool_match`.
    Boolean(bool),
    /// `number_match`: a whole number in one of these ranges.
    Number(Vec<NumberRange>),
    /// `request_match`: what the request says there.
    Request(RequestPart),
    /// `string_match`: a text that one of these matches.
    Text(Vec<StringMatch>),
}

/// Whole numbers from `least` to `most`, both included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NumberRange {
    /// `at_least`.
    pub least: i128,
    /// `at_most`.
    pub most: i128,
}

/// `list_match`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListMatch {
    /// Of how many items `item` must hold.
    pub quantity: Quantity,
    /// What items must be.
    pub item: ValueMatch,
    /// What a text counts as in place of a list.
    pub text_as: TextAs,
}

/// Of how many items of a list a condition must hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quantity {
    /// `all`: of each, and there is one.
    All,
    /// `any`: of one at least.
    Any,
    /// `none`: of none.
    None,
}

/// `text_as`: what a text counts as where a list is expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TextAs {
    /// `item`: a list of this text.
    Item,
    /// Not set: it is no list.
    NoList,
    /// `words`: the list of its words, which are separated by spaces.
    Words,
}

/// A part of the request that a claim must be equal to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RequestPart {
    /// `header`: the only value of this header.
    Header(String),
    /// `host`: the name in `:authority`, in lower case and without port.
    Host,
    /// `method`.
    Method,
    /// `path_variable`: a segment of the path.
    PathVariable {
        /// The variable's name.
        name: String,
        /// `path_template`; not set: that of the rule's or policy's `match`.
        template: Option<PathTemplate>,
    },
}

/// How deep conditions may nest: far beyond anything a person writes.
const MAX_CONDITION_DEPTH: usize = 16;

impl Condition {
    /// The condition in the field `name`.
    pub(super) fn read_field(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        fields.get_not_null(name).and_then(|node| Self::read_at(node, 0))
    }

    fn read_at(node: Node<'_>, depth: usize) -> Option<Self> {
        if depth > MAX_CONDITION_DEPTH {
            node.error("conditions are nested too deeply");
            return None;
        }
        let deeper = |node: Node<'_>| Self::read_at(node, depth.saturating_add(1));
        let path = node.path().to_owned();
        let several = |node: Node<'_>| {
            // "All of none" would be met by everybody.
            if node.is_empty_list() {
                node.error("expected at least one condition");
            }
            node.list(deeper)
        };
        let kind = node.object(|fields| {
            let kinds = ["all", "any", "not", "scopes", "claim", "authenticated"];
            for kind in kinds {
                fields.get_not_null(kind);
            }
            match fields.one_of(&kinds) {
                Some(("all", node)) => Some(ConditionKind::All(several(node))),
                Some(("any", node)) => Some(ConditionKind::Any(several(node))),
                Some(("not", node)) => deeper(node).map(Box::new).map(ConditionKind::Not),
                Some(("scopes", node)) => node.object(Scopes::read).map(ConditionKind::Scopes),
                Some(("claim", node)) => {
                    let (claim, value) = (claim_path(&node), ClaimMatch::read(fields));
                    Some(ConditionKind::Claim { claim, value: value? })
                }
                Some((_, node)) => node.boolean().map(ConditionKind::Authenticated),
                None => {
                    fields.error(
                        "`all`, `any`, `not`, `scopes`, `claim` or `authenticated` is required",
                    );
                    None
                }
            }
        })??;
        Some(Self { path, kind })
    }
}

/// The names that lead to a claim. A name with dots must be written as a list, so that nobody takes
/// it for a path.
fn claim_path(node: &Node<'_>) -> Vec<String> {
    if node.is_empty_list() {
        node.error("expected the names that lead to the claim");
    }
    let path = node.list(|node| node.non_empty_text());
    if node.is_text() && path.iter().any(|name| name.contains('.')) {
        node.error(
            "expected a list: [\"a\", \"b\"] for the member b of the claim a, [\"a.b\"] for the claim \
             whose name is a.b",
        );
    }
    path
}

impl Scopes {
    fn read(fields: &mut Fields<'_>) -> Self {
        let claim = fields.get("claim").map(|node| claim_path(&node)).unwrap_or_default();
        let mut scopes = |name| fields.list(name, scope);
        let (all, any) = (scopes("all"), scopes("any"));
        if all.is_empty() && any.is_empty() {
            fields.error("`all` or `any` must name a scope");
        }
        Self { claim, all, any }
    }
}

/// A scope (RFC 6749 section 3.3): visible ASCII but for `"` and `\`, so no space.
pub(super) fn scope(node: Node<'_>) -> Option<String> {
    let scope = node.non_empty_text()?;
    let plain = |octet: u8| octet.is_ascii_graphic() && !b"\"\\".contains(&octet);
    if !scope.bytes().all(plain) {
        node.error("expected one word, without spaces, quotes and backslashes");
    }
    Some(scope)
}

const VALUE_FORMS: [&str; 4] = ["string_match", "number_match", "bool_match", "request_match"];

impl ClaimMatch {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let [a, b, c, d] = VALUE_FORMS;
        match fields.one_of(&[a, b, c, d, "list_match", "present_match"]) {
            Some(("list_match", node)) => node.object(ListMatch::read)?.map(Self::List),
            Some(("present_match", node)) => node.boolean().map(Self::Present),
            Some((form, node)) => ValueMatch::read(form, &node).map(Self::Value),
            None => {
                fields.error(
                    "`string_match`, `number_match`, `bool_match`, `list_match`, `request_match` or \
                     `present_match` is required",
                );
                None
            }
        }
    }
}

impl ListMatch {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let text_as = match fields.get("text_as") {
            None => TextAs::NoList,
            Some(node) => match node.text()?.as_str() {
                "item" => TextAs::Item,
                "words" => TextAs::Words,
                _ => {
                    node.error("expected `item` or `words`");
                    TextAs::NoList
                }
            },
        };
        let Some((quantity, node)) = fields.one_of(&["any", "all", "none"]) else {
            fields.error("`any`, `all` or `none` is required");
            return None;
        };
        let item = node.object(|fields| {
            let form = fields.one_of(&VALUE_FORMS);
            if form.is_none() {
                fields.error(
                    "`string_match`, `number_match`, `bool_match` or `request_match` is required",
                );
            }
            form.and_then(|(form, node)| ValueMatch::read(form, &node))
        })??;
        let quantity = match quantity {
            "any" => Quantity::Any,
            "all" => Quantity::All,
            _ => Quantity::None,
        };
        Some(Self { quantity, item, text_as })
    }
}

impl ValueMatch {
    fn read(form: &str, node: &Node<'_>) -> Option<Self> {
        if node.is_empty_list() {
            node.error("must not be empty");
        }
        match form {
            "string_match" => {
                let texts = node.list(|node| match node.is_text() {
                    // A plain text is the text itself, and an empty one is a text, too.
                    true => node.text().map(|text| StringMatch {
                        pattern: Pattern::Exact(text),
                        ignore_case: false,
                    }),
                    false => StringMatch::read(node),
                });
                Some(Self::Text(texts))
            }
            "number_match" => {
                let ranges = node.list(NumberRange::read);
                Some(Self::Number(ranges))
            }
            "bool_match" => node.boolean().map(Self::Boolean),
            _ => node.object(RequestPart::read)?.map(Self::Request),
        }
    }
}

impl NumberRange {
    fn read(node: Node<'_>) -> Option<Self> {
        if !node.is_object() {
            let number = node.whole_number()?;
            return Some(Self { least: number, most: number });
        }
        node.object(|fields| {
            let mut bound = |name| fields.get(name).map(|node| node.whole_number());
            let (least, most) = (bound("at_least"), bound("at_most"));
            if least.is_none() && most.is_none() {
                fields.error("`at_least` or `at_most` is required");
            }
            let (least, most) =
                (least.unwrap_or(Some(i128::MIN))?, most.unwrap_or(Some(i128::MAX))?);
            if least > most {
                fields.error("no number is from `at_least` to `at_most`");
            }
            Some(Self { least, most })
        })?
    }
}

impl RequestPart {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let template = fields.get("path_template");
        let stands_alone = template.is_some();
        let template = template.and_then(|node| {
            PathTemplate::parse(&node.non_empty_text()?).map_err(|error| node.error(error)).ok()
        });
        let part = match fields.one_of(&["path_variable", "method", "host", "header"]) {
            Some(("path_variable", node)) => {
                return Some(Self::PathVariable { name: node.non_empty_text()?, template });
            }
            Some(("method", node)) => node.object(|_| Self::Method),
            Some(("host", node)) => node.object(|_| Self::Host),
            Some((_, node)) => {
                let name = header_name(&node)?;
                // The proxy keeps it as `:authority`, and a port may stand behind it.
                if name == "host" {
                    node.error("use `host`");
                }
                Some(Self::Header(name))
            }
            None => {
                fields.error("`path_variable`, `method`, `host` or `header` is required");
                None
            }
        };
        if stands_alone {
            fields.error("`path_template` goes with `path_variable`");
        }
        part
    }
}
