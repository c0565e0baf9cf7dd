//! The headers by which the backend learns who calls: struck from every request, written only
//! from verified claims.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::config;
use crate::jose::jws::VerifiedPayload;
use crate::json::Node;
use crate::policy::Provider;
use crate::request::{RequestEdit, RequestHead};
use crate::sorted;

/// A claim that becomes a header (`JwtClaimToHeader`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimHeader {
    name: String,
    claim: Vec<String>,
}

impl ClaimHeader {
    /// Compiles `wire`.
    pub fn new(wire: config::ClaimToHeader) -> Self {
        Self { name: wire.header_name, claim: wire.claim }
    }

    fn value(&self, payload: &VerifiedPayload<'_>) -> Option<Vec<u8>> {
        let (first, rest) = self.claim.split_first()?;
        let claim = rest.iter().try_fold(payload.claims().get(first)?, |value, segment| {
            value.as_object()?.get(segment)
        })?;
        let text = match claim {
            Node::Null => return None,
            Node::Bool(value) => value.to_string(),
            // As it stands in the token: a double would lose digits of a long account number.
            Node::Number(_) => payload.member_text(&self.claim)?.to_owned(),
            Node::Text(text) => text.clone().into_owned(),
            // Native's form: base64 of compact JSON.
            Node::List(_) | Node::Object(_) => STANDARD.encode(claim.to_value().to_string()),
        };
        Some(text.into_bytes()).filter(|text| !text.is_empty() && text.iter().all(is_header_octet))
    }
}

/// What a field value may hold (RFC 9110 section 5.5). A claim with a line feed would otherwise
/// write headers of its own; it is left out, as if it were absent.
fn is_header_octet(octet: &u8) -> bool {
    *octet == b'\t' || (*octet >= 0x20 && *octet != 0x7f)
}

/// What a good token of a provider becomes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outputs {
    payload_header: Option<String>,
    pad_payload: bool,
    claim_headers: Vec<ClaimHeader>,
    clear_route_cache: bool,
    payload_state: Option<String>,
    header_state: Option<String>,
    space_delimited_claims: Vec<String>,
}

impl Outputs {
    /// Compiles what `wire` says of them.
    pub fn new(wire: &config::Provider) -> Self {
        let named = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
        Self {
            payload_header: named(&wire.forward_payload_header),
            pad_payload: wire.pad_forward_payload_header,
            claim_headers: wire.claim_to_headers.iter().cloned().map(ClaimHeader::new).collect(),
            clear_route_cache: wire.clear_route_cache,
            payload_state: named(&wire.payload_in_metadata),
            header_state: named(&wire.header_in_metadata),
            space_delimited_claims: wire.space_delimited_claims.clone(),
        }
    }

    /// The edits that a verified token brings.
    pub fn edits(&self, payload: &VerifiedPayload<'_>) -> Vec<RequestEdit> {
        let whole = self.payload_header.iter().map(|name| {
            let mut encoded = payload.encoded().as_bytes().to_vec();
            if self.pad_payload {
                let length = encoded.len().next_multiple_of(4);
                encoded.resize(length, b'=');
            }
            RequestEdit::Add(name.clone(), encoded)
        });
        let claims = self.claim_headers.iter().filter_map(|header| {
            Some(RequestEdit::Add(header.name.clone(), header.value(payload)?))
        });
        let claims: Vec<_> = claims.collect();
        // Natively, the payload in the metadata is a reason as well: routes may match on it.
        let reroute =
            self.clear_route_cache && (!claims.is_empty() || self.payload_state.is_some());
        let payload_state = self.payload_state.iter().map(|key| {
            RequestEdit::State(key.clone(), self.normalized(payload).to_string().into_bytes())
        });
        let header_state = self
            .header_state
            .iter()
            .map(|key| RequestEdit::State(key.clone(), payload.header_json().to_vec()));
        whole
            .chain(claims)
            .chain(payload_state)
            .chain(header_state)
            .chain(reroute.then_some(RequestEdit::ClearRouteCache))
            .collect()
    }

    /// The claims, those named by `space_delimited_claims` split into lists, as natively.
    fn normalized(&self, payload: &VerifiedPayload<'_>) -> Value {
        let mut claims = payload.claims().to_map();
        for name in &self.space_delimited_claims {
            if let Some(Value::String(text)) = claims.get(name) {
                let list = text.split(' ').filter(|word| !word.is_empty()).map(Value::from);
                let list = Value::Array(list.collect());
                claims.insert(name.clone(), list);
            }
        }
        Value::Object(claims)
    }

    /// Whether requests are changed at all; the filter state is beside them.
    pub fn change_requests(&self) -> bool {
        self.clear_route_cache || self.header_names().next().is_some()
    }

    /// The names of the headers that are written.
    fn header_names(&self) -> impl Iterator<Item = &String> {
        self.payload_header.iter().chain(self.claim_headers.iter().map(|header| &header.name))
    }
}

/// The names that clients may not send, of all providers together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IdentityHeaders(Vec<Vec<u8>>);

impl IdentityHeaders {
    /// Collects the names that providers write, and `others`.
    pub fn of<'a>(providers: &'a [Provider], others: impl Iterator<Item = &'a String>) -> Self {
        let names = providers.iter().flat_map(|provider| provider.outputs.header_names());
        let names = names.chain(others);
        Self(sorted::list(names.map(|name| canonical(name.as_bytes()))))
    }

    /// The edits that strike clients' copies, whichever spelling they use: many backends read
    /// `x_user` and `x-user` as one header.
    pub fn strike(&self, head: &RequestHead) -> Vec<RequestEdit> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let struck = head.headers().filter(|(name, _)| self.0.contains(&canonical(name)));
        let struck = sorted::list(struck.map(|(name, _)| name));
        struck.into_iter().map(|name| RequestEdit::Remove(name.to_vec())).collect()
    }
}

fn canonical(name: &[u8]) -> Vec<u8> {
    name.iter()
        .map(|octet| match octet {
            b'_' => b'-',
            octet => octet.to_ascii_lowercase(),
        })
        .collect()
}
