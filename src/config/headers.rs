//! Names of headers: those that tokens come in, those that the gate writes, those that rules ask for.

use crate::config::reader::Node;

/// A header name in lower case, as Envoy holds it (RFC 9110 section 5.6.2, token).
pub(super) fn header_name(node: &Node<'_>) -> Option<String> {
    let name = node.non_empty_text()?;
    if is_token(&name) {
        return Some(name.to_ascii_lowercase());
    }
    node.error("expected the name of a header");
    None
}

/// What frames or routes a request.
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A header to send along with a fetch: not one that frames or routes it, or that says what the
/// gate can read.
pub(super) fn sent_header(node: &Node<'_>) -> Option<String> {
    let name = header_name(node)?;
    if FRAMING.contains(&name.as_str()) || ["accept-encoding", "if-none-match"].contains(&&*name) {
        node.error("this header is the gate's own");
    }
    Some(name)
}

/// A header of a refusal: not one that frames it, or that the gate writes itself.
pub(super) fn refusal_header(node: &Node<'_>) -> Option<String> {
    let name = header_name(node)?;
    if name == "content-type" {
        node.error("`content_type` beside `body` says it");
    } else if FRAMING.contains(&name.as_str()) || name == "www-authenticate" {
        node.error("this header is the gate's own");
    }
    Some(name)
}

/// The value of a header: not empty, and without control characters (RFC 9110 section 5.5).
pub(super) fn header_value(node: &Node<'_>) -> Option<String> {
    let value = node.non_empty_text()?;
    if value.bytes().any(|octet| octet != b'\t' && octet.is_ascii_control()) {
        node.error("must not hold control characters");
    }
    Some(value)
}

/// A header that the gate writes: not one that frames or routes the request, nor that of the cookies,
/// of which tokens are taken out one by one.
pub(super) fn identity_header(node: Option<Node<'_>>) -> String {
    let name = node.as_ref().and_then(header_name).unwrap_or_default();
    match node {
        Some(node) if FRAMING.contains(&name.as_str()) => {
            node.error("this header frames or routes the request and cannot carry a claim");
        }
        Some(node) if name == "cookie" => {
            node.error("this header holds the client's cookies and cannot carry a claim");
        }
        _ => {}
    }
    name
}

/// The value of a header that nobody changes on its way: no proxy trims it or takes it for other text.
pub(super) fn plain_value(node: &Node<'_>) -> Option<String> {
    let value = node.non_empty_text()?;
    let plain = |octet: u8| (0x20..0x7f).contains(&octet);
    if !value.bytes().all(plain) || value.trim() != value {
        node.error("expected printable ASCII characters, without spaces around them");
    }
    Some(value)
}

/// A header or pseudo-header that a rule asks for, as Envoy holds it: `host` is `:authority`.
pub(super) fn any_header(node: &Node<'_>) -> Option<String> {
    let name = node.non_empty_text()?.to_ascii_lowercase();
    let plain = name.strip_prefix(':').unwrap_or(&name);
    if plain.is_empty() || !is_token(plain) {
        node.error("expected the name of a header");
    }
    Some(if name == "host" { ":authority".to_owned() } else { name })
}

fn is_token(name: &str) -> bool {
    let token = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    name.bytes().all(token)
}
