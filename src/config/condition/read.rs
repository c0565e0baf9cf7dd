//! Conditions: from JSON to the wire structs.

use crate::config::condition::{
    ClaimMatch, Condition, ConditionKind, ListMatch, NumberRange, Quantity, RequestPart, Scopes,
    TextAs, ValueMatch,
};
use crate::config::fields::Fields;
use crate::config::headers::header_name;
use crate::config::matching::{Pattern, StringMatch};
use crate::config::path_template::PathTemplate;
use crate::config::reader::Node;

#[cfg(feature = "reference")]
use crate::config::{matching, requirement};

reference! {
    /// A condition on the claims of a token. Just one of the first six fields is set.
    CONDITION = "Condition" ("authorization.md#conditions")
    .rules(&[
        OneOf(&CONDITIONS),
        Beside(&CLAIM_FORMS, "claim"),
        OneOfBeside(&CLAIM_FORMS, "claim"),
    ]) {
        /// Each of these conditions.
        "all": List(&Fields(&CONDITION), 1), not_null, ours;
        /// One of these conditions.
        "any": List(&Fields(&CONDITION), 1), not_null, ours;
        /// Not this condition.
        "not": Fields(&CONDITION), not_null, ours;
        /// What the token was issued for.
        "scopes": Fields(&SCOPES), not_null, ours, page("authorization.md#scopes");
        /// The names that lead to the claim, of which none is split. One name without dots may be written
        /// without the list. One of the other fields goes with it.
        "claim": Either(&[Text(Letters::like("^[^.]+$")), NAMES]), not_null, ours,
            page("authorization.md#claim"), example("[\"realm_access\", \"roles\"]");
        /// Whether there is a good token.
        "authenticated": Flag, not_null, ours;
        /// The claim is a text, and one of these matches it. A plain text is compared exactly.
        "string_match": TEXTS, ours, page("authorization.md#claim");
        /// The claim is a whole number, and one of these or in one of these ranges.
        "number_match": NUMBERS, ours, page("authorization.md#claim");
        /// The claim is this boolean.
        "bool_match": Flag, ours;
        /// The claim is a list, and some of what is in it is so.
        "list_match": Fields(&LIST_MATCH), ours, page("authorization.md#claim");
        /// The claim is what the request says there.
        "request_match": Fields(&REQUEST_MATCH), ours, page("authorization.md#request_match");
        /// Whether the claim is there, whatever it is.
        "present_match": Flag, ours;
    }

    /// What the token was issued for. Both may be set, and both must hold then.
    SCOPES = "Scopes" ("authorization.md#scopes").rules(&[AnyOf(&["all", "any"])]) {
        /// The names that lead to the claim, of which none is split.
        "claim": Either(&[Text(Letters::like("^[^.]+$")), NAMES]), ours, default("`scope`, else `scp`"),
            example("[\"permissions\"]");
        /// The token must have each of these.
        "all": List(&Text(Letters::like(SCOPE)), 0), ours, default("none"), rfc("RFC 6749 section 3.3");
        /// The token must have one of these. The first is what clients are told to ask for.
        "any": List(&Text(Letters::like(SCOPE)), 0), ours, default("none"), rfc("RFC 6749 section 3.3");
    }

    /// What a list must be: one of `any`, `all` and `none` is set.
    LIST_MATCH = "ListMatch" ("authorization.md#claim").rules(&[OneOf(&QUANTITIES)]) {
        /// One item at least is so.
        "any": Fields(&ITEM_MATCH), ours;
        /// Each item is so, and there is one.
        "all": Fields(&ITEM_MATCH), ours;
        /// No item is so.
        "none": Fields(&ITEM_MATCH), ours;
        /// What a text counts as: a list of this one text, or the list of its words, which are separated
        /// by spaces.
        "text_as": Choice(&["item", "words"]), ours, default("it is no list");
    }

    /// What an item of a list must be.
    ITEM_MATCH = "ItemMatch" ("authorization.md#claim").rules(&[OneOf(&VALUE_FORMS)]) {
        /// A text, and one of these matches it. A plain text is compared exactly.
        "string_match": TEXTS, ours;
        /// A whole number, and one of these or in one of these ranges.
        "number_match": NUMBERS, ours;
        /// This boolean.
        "bool_match": Flag, ours;
        /// What the request says there.
        "request_match": Fields(&REQUEST_MATCH), ours, page("authorization.md#request_match");
    }

    /// Whole numbers of 64 bits, both bounds included.
    NUMBER_RANGE = "NumberRange" ("authorization.md#claim").rules(&[AnyOf(&["at_least", "at_most"])]) {
        /// The least.
        "at_least": Whole(true), ours, default("no bound");
        /// The greatest.
        "at_most": Whole(true), ours, default("no bound");
    }

    /// A part of the request that a claim must be equal to.
    REQUEST_MATCH = "RequestMatch" ("authorization.md#request_match")
    .rules(&[OneOf(&PARTS), Needs("path_template", &["path_variable"])]) {
        /// The segment for which this variable of a path template stands.
        "path_variable": Text(Letters::SOME), ours;
        /// The template of that variable.
        "path_template": Text(Letters::SOME), ours, default("that of the rule's or policy's `match`"),
            example("\"/users/{id}/**\"");
        /// The method.
        "method": Fields(&requirement::EMPTY), ours;
        /// The name in `:authority`, in lower case, without port.
        "host": Fields(&requirement::EMPTY), ours;
        /// The value of this header; not `host`.
        "header": Text(Letters::HEADER), ours;
    }
}

#[cfg(feature = "reference")]
mod kinds {
    use super::{NUMBER_RANGE, matching};
    use crate::config::reference::Kind::{self, Array, Either, Fields, List, Text, Whole};
    use crate::config::reference::Letters;

    pub(super) const NAMES: Kind = Array(&Text(Letters::SOME), 1);
    pub(super) const TEXTS: Kind =
        List(&Either(&[Text(Letters::ANY), Fields(&matching::STRING_MATCHER)]), 1);
    pub(super) const NUMBERS: Kind = List(&Either(&[Whole(true), Fields(&NUMBER_RANGE)]), 1);
}
#[cfg(feature = "reference")]
use kinds::{NAMES, NUMBERS, TEXTS};

/// One word without quotes and backslashes.
#[cfg(feature = "reference")]
pub(in crate::config) const SCOPE: &str = "^[!#-\\[\\]-~]+$";

/// The kinds of conditions.
const CONDITIONS: [&str; 6] = ["all", "any", "not", "scopes", "claim", "authenticated"];
/// What may be asked of a claim.
const CLAIM_FORMS: [&str; 6] =
    [VALUE_FORMS[0], VALUE_FORMS[1], VALUE_FORMS[2], VALUE_FORMS[3], "list_match", "present_match"];
/// What may be asked of an item of a list, too.
const VALUE_FORMS: [&str; 4] = ["string_match", "number_match", "bool_match", "request_match"];
const QUANTITIES: [&str; 3] = ["any", "all", "none"];
const PARTS: [&str; 4] = ["path_variable", "method", "host", "header"];

/// How deep conditions may nest: far beyond anything a person writes.
const MAX_CONDITION_DEPTH: usize = 16;

impl Condition {
    /// The condition in the field `name`.
    pub(in crate::config) fn read_field(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
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
            for kind in CONDITIONS {
                fields.get_not_null(kind);
            }
            match fields.one_of(&CONDITIONS) {
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
pub(in crate::config) fn scope(node: Node<'_>) -> Option<String> {
    let scope = node.non_empty_text()?;
    let plain = |octet: u8| octet.is_ascii_graphic() && !b"\"\\".contains(&octet);
    if !scope.bytes().all(plain) {
        node.error("expected one word, without spaces, quotes and backslashes");
    }
    Some(scope)
}

impl ClaimMatch {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        match fields.one_of(&CLAIM_FORMS) {
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
        let Some((quantity, node)) = fields.one_of(&QUANTITIES) else {
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
        let part = match fields.one_of(&PARTS) {
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
