//! What a verified claim says, as text for headers and parameters. What cannot be written so that it
//! reads as the claim, and as nothing else, is left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::mapping::ValueFormat;
use crate::jose::jws::VerifiedPayload;
use crate::json::{self, Node};
use crate::policy::identity::encoded_value;

/// The claim to which these names lead.
fn find<'p>(payload: &'p VerifiedPayload<'_>, claim: &[String]) -> Option<&'p Node<'p>> {
    let (first, rest) = claim.split_first()?;
    rest.iter().try_fold(payload.claims().get(first)?, |value, name| value.as_object()?.get(name))
}

/// What a claim says that is a scalar: a text that is not empty and has no control characters, a number
/// digit by digit, `true` or `false`.
pub(super) fn scalar(payload: &VerifiedPayload<'_>, claim: &[String]) -> Option<String> {
    let value = find(payload, claim)?;
    text_of(value, || payload.member_text(claim)).filter(|text| is_plain(text))
}

/// The values of the headers that a claim becomes in this format.
pub(super) fn header_values(
    payload: &VerifiedPayload<'_>,
    claim: &[String],
    format: ValueFormat,
) -> Vec<Vec<u8>> {
    let Some(value) = find(payload, claim) else { return Vec::new() };
    let one = |text: Option<String>| text.into_iter().collect();
    let texts: Vec<String> = match (format, value) {
        (_, Node::Null) => Vec::new(),
        (ValueFormat::ProtobufValue, value) => {
            vec![encoded_value(&value.to_value())]
        }
        (ValueFormat::Csv, value) => {
            one(elements(payload, claim, value).map(|elements| elements.join(",")))
        }
        (ValueFormat::Repeated, value) => elements(payload, claim, value).unwrap_or_default(),
        (ValueFormat::Json, Node::List(_) | Node::Object(_)) => {
            one(payload.member_text(claim).map(json::compact))
        }
        // Native's form.
        (ValueFormat::Base64Json, Node::List(_) | Node::Object(_)) => {
            vec![STANDARD.encode(value.to_value().to_string())]
        }
        (_, value) => one(text_of(value, || payload.member_text(claim))),
    };
    // Blanks around a value are not part of it (RFC 9110 section 5.5): ` admin` would read as `admin`.
    let reads_as_it_is = |text: &String| is_plain(text) && text.trim().len() == text.len();
    texts.into_iter().filter(reads_as_it_is).map(String::into_bytes).collect()
}

/// The elements of a list; a scalar counts as a list of one. None if one of them could be read as
/// another, or as several: lists in headers are split at commas, blanks go, and quotation marks hide
/// commas.
fn elements(
    payload: &VerifiedPayload<'_>,
    claim: &[String],
    value: &Node<'_>,
) -> Option<Vec<String>> {
    let json = payload.member_text(claim)?;
    let elements: Option<Vec<String>> = match value {
        Node::List(items) => {
            let texts = json::item_texts(json)?;
            items.iter().zip(texts).map(|(item, json)| text_of(item, || Some(json))).collect()
        }
        value => text_of(value, || Some(json)).map(|text| vec![text]),
    };
    let is_element = |text: &String| {
        is_plain(text) && !text.contains([',', '"']) && text.trim().len() == text.len()
    };
    elements.filter(|elements| elements.iter().all(is_element))
}

/// The text of a scalar, of which this is the JSON.
fn text_of<'j>(value: &Node<'_>, json: impl FnOnce() -> Option<&'j str>) -> Option<String> {
    match value {
        Node::Bool(value) => Some(value.to_string()),
        // As it stands in the token: a double would lose digits of a long account number.
        Node::Number(_) => json().map(str::to_owned),
        Node::Text(text) => Some(text.clone().into_owned()),
        Node::Null | Node::List(_) | Node::Object(_) => None,
    }
}

/// What a field value may hold (RFC 9110 section 5.5). A claim with a line feed would otherwise
/// write headers of its own; it is left out, as if it were absent.
fn is_plain(text: &str) -> bool {
    let plain = |octet: u8| octet == b'\t' || (octet >= 0x20 && octet != 0x7f);
    !text.is_empty() && text.bytes().all(plain)
}
