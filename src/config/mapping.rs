//! What verified claims become in a request, as written: headers, query parameters, segments of the
//! path, and headers with fixed values.

use std::collections::BTreeMap;

use crate::config::fields::Fields;
use crate::config::headers::{identity_header, plain_value};
use crate::config::reader::Node;

/// `JwtClaimToHeader`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimToHeader {
    /// The header's name.
    pub header_name: String,
    /// The claim, as the names that lead to it: `claim_name` split at its dots, or `claim_path`.
    pub claim: Vec<String>,
    /// Ours: how lists and objects are written.
    pub format: ValueFormat,
}

/// Ours: `value_format`, how a claim is written into a header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ValueFormat {
    /// `base64_json`: lists and objects as base64 of compact JSON, as natively.
    #[default]
    Base64Json,
    /// `csv`: a list of scalars, joined by commas.
    Csv,
    /// `json`: lists and objects as compact JSON.
    Json,
    /// `protobuf_value`: base64 of a serialized `google.protobuf.Value`.
    ProtobufValue,
    /// `repeated`: a list of scalars, a header for each.
    Repeated,
}

/// Ours: a claim that becomes a query parameter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimToParameter {
    /// The parameter's name, decoded.
    pub name: String,
    /// The claim.
    pub claim: Vec<String>,
}

/// Ours: a claim that replaces a segment of the path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimToPath {
    /// The variable of the rule's path template that stands for the segment.
    pub variable: String,
    /// The claim.
    pub claim: Vec<String>,
    /// Where it stands in the configuration.
    pub path: String,
}

/// Ours: a header with a fixed value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Ours: a header that receives a name for what a claim says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consumer {
    /// The header's name.
    pub header_name: String,
    /// The claim.
    pub claim: Vec<String>,
    /// Names by what the claim says.
    pub names: BTreeMap<String, String>,
}

reference! {
    /// A claim that becomes a header.
    CLAIM_TO_HEADER = "JwtClaimToHeader" ("mapping.md#headers-from-claims")
    .message("envoy.extensions.filters.http.jwt_authn.v3.JwtClaimToHeader")
    .rules(&[OneOf(CLAIM)]) {
        /// The header's name: not one that frames or routes the request, nor `cookie`.
        "header_name": Text(Letters::HEADER), required, example("\"x-user\"");
        /// The claim; dots lead into objects.
        "claim_name": Text(Letters::SOME), example("\"realm_access.roles\"");
        /// In place of `claim_name`: the names that lead to the claim, of which none is split. Objects
        /// with a `key` are natively so, plain names are ours.
        "claim_path": List(&Either(&[Text(Letters::SOME), Fields(&CLAIM_KEY)]), 1);
        /// How lists and objects are written: as base64 of compact JSON (natively so), as JSON, as a list
        /// of scalars joined by commas, as a header for each of them, or as base64 of a serialized
        /// `google.protobuf.Value`.
        "value_format": Choice(&names()), ours, default("base64_json");
    }

    /// A claim that becomes a query parameter.
    CLAIM_TO_PARAMETER = "ClaimToQueryParameter" ("mapping.md#query-parameters").rules(&[OneOf(CLAIM)]) {
        /// The parameter's name, decoded: without spaces, control characters and any of `&;=[]+`.
        "parameter_name": Text(Letters::like("^[^\\x00-\\x20\\x7f-\\x9f&;=\\[\\]+]+$")), ours, required;
        /// The claim; dots lead into objects.
        "claim_name": Text(Letters::SOME), ours;
        /// In place of `claim_name`: the names that lead to the claim, of which none is split.
        "claim_path": List(&Either(&[Text(Letters::SOME), Fields(&CLAIM_KEY)]), 1), ours;
    }

    /// A claim that replaces a segment of the path.
    CLAIM_TO_PATH = "ClaimToPath" ("mapping.md#segments-of-the-path").rules(&[OneOf(CLAIM)]) {
        /// The variable of the rule's `path_match_policy` that stands for the segment.
        "path_variable": Text(Letters::SOME), ours, required;
        /// The claim; dots lead into objects.
        "claim_name": Text(Letters::SOME), ours;
        /// In place of `claim_name`: the names that lead to the claim, of which none is split.
        "claim_path": List(&Either(&[Text(Letters::SOME), Fields(&CLAIM_KEY)]), 1), ours;
    }

    /// A name on the way to a claim.
    CLAIM_KEY = "PathSegment" ("mapping.md#headers-from-claims") {
        /// The name.
        "key": Text(Letters::SOME), required;
    }

    /// A header with a fixed value.
    SET_HEADER = "SetHeader" ("mapping.md#fixed-headers-and-consumers") {
        /// Its name: not one that frames or routes the request, nor `cookie`.
        "key": Text(Letters::HEADER), ours, required;
        /// Its value: printable ASCII, without spaces around it.
        "value": Text(Letters::PLAIN_VALUE), ours, required;
    }

    /// A header with a name for what a claim says.
    CONSUMER = "Consumer" ("mapping.md#fixed-headers-and-consumers").rules(&[OneOf(CLAIM)]) {
        /// The header's name: not one that frames or routes the request, nor `cookie`.
        "header_name": Text(Letters::HEADER), ours, required;
        /// The claim; dots lead into objects.
        "claim_name": Text(Letters::SOME), ours;
        /// In place of `claim_name`: the names that lead to the claim, of which none is split.
        "claim_path": List(&Either(&[Text(Letters::SOME), Fields(&CLAIM_KEY)]), 1), ours;
        /// What the header says by what the claim says: printable ASCII, without spaces around it.
        "names": Map(&Text(Letters::PLAIN_VALUE), 1), ours, required,
            example("{ \"client-1\": \"billing\" }");
    }
}

/// The ways to say which claim.
const CLAIM: &[&str] = &["claim_name", "claim_path"];

#[cfg(feature = "reference")]
const fn names() -> [&'static str; FORMATS.len()] {
    let [a, b, c, d, e] = FORMATS;
    [a.0, b.0, c.0, d.0, e.0]
}

const FORMATS: [(&str, ValueFormat); 5] = [
    ("base64_json", ValueFormat::Base64Json),
    ("json", ValueFormat::Json),
    ("csv", ValueFormat::Csv),
    ("repeated", ValueFormat::Repeated),
    ("protobuf_value", ValueFormat::ProtobufValue),
];

impl ClaimToHeader {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            header_name: identity_header(fields.required("header_name")),
            claim: claim(fields),
            format: fields.get("value_format").and_then(|node| format(&node)).unwrap_or_default(),
        }
    }
}

fn format(node: &Node<'_>) -> Option<ValueFormat> {
    let name = node.text()?;
    let format = FORMATS.iter().find(|(own, _)| *own == name).map(|(_, format)| *format);
    if format.is_none() {
        node.error(format!("expected one of: {}", FORMATS.map(|(name, _)| name).join(", ")));
    }
    format
}

impl ClaimToParameter {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let node = fields.required("parameter_name");
        let name = node.as_ref().and_then(Node::non_empty_text).unwrap_or_default();
        // What separates parameters, or makes a list of one, stands in no name that is found again.
        let separates = |letter: char| letter.is_control() || "&;=[]+ ".contains(letter);
        if let Some(node) = node.filter(|_| name.contains(separates)) {
            node.error("expected a name without spaces, control characters and any of `&;=[]+`");
        }
        Self { name, claim: claim(fields) }
    }
}

impl ClaimToPath {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            variable: fields.required_text("path_variable"),
            claim: claim(fields),
            path: fields.path().to_owned(),
        }
    }
}

impl SetHeader {
    /// The field `set_headers` of a provider or rule.
    pub(super) fn read_list(fields: &mut Fields<'_>) -> Vec<Self> {
        fields.list("set_headers", |node| node.object(Self::read))
    }

    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            name: identity_header(fields.required("key")),
            value: fields.required("value").and_then(|node| plain_value(&node)).unwrap_or_default(),
        }
    }
}

impl Consumer {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let names = fields.required("names").map(|node| {
            let names = node.map(|node| plain_value(&node).unwrap_or_default());
            if names.is_empty() {
                node.error("at least one name is required");
            }
            names
        });
        Self {
            header_name: identity_header(fields.required("header_name")),
            claim: claim(fields),
            names: names.unwrap_or_default(),
        }
    }
}

/// `claim_name` or `claim_path`.
fn claim(fields: &mut Fields<'_>) -> Vec<String> {
    match fields.one_of(CLAIM) {
        Some(("claim_name", node)) => {
            let name = node.non_empty_text().unwrap_or_default();
            name.split('.').map(str::to_owned).collect()
        }
        Some((_, node)) => {
            // Natively a list of `{"key": NAME}`; plain names are ours.
            let path = node.list(|node| match node.is_text() {
                true => node.non_empty_text(),
                false => node.object(|fields| fields.required_text("key")),
            });
            if path.is_empty() {
                node.error("expected the names that lead to the claim");
            }
            path
        }
        None => {
            fields.error("`claim_name` or `claim_path` is required");
            Vec::new()
        }
    }
}
