//! The headers by which the backend learns who calls: struck from every request, written only
//! from verified claims.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::config;
use crate::jose::jws::VerifiedPayload;
use crate::policy::Provider;
use crate::request::{HeaderEdit, RequestHead};

/// A claim that becomes a header (`JwtClaimToHeader`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimHeader {
    name: String,
    claim: Vec<String>,
}

impl ClaimHeader {
    /// Compiles `wire`: dots lead into objects.
    pub fn new(wire: config::ClaimToHeader) -> Self {
        let claim = wire.claim_name.split('.').map(str::to_owned).collect();
        Self { name: wire.header_name, claim }
    }

    fn value(&self, payload: &VerifiedPayload<'_>) -> Option<Vec<u8>> {
        let (first, rest) = self.claim.split_first()?;
        let claim = rest.iter().try_fold(payload.claims().get(first)?, |value, segment| {
            value.as_object()?.get(segment)
        })?;
        let text = match claim {
            Value::Null => return None,
            Value::Bool(value) => value.to_string(),
            // As it stands in the token: a double would lose digits of a long account number.
            Value::Number(_) => payload.member_text(&self.claim)?.to_owned(),
            Value::String(text) => text.clone(),
            // Native's form: base64 of compact JSON.
            Value::Array(_) | Value::Object(_) => STANDARD.encode(claim.to_string()),
        };
        Some(text.into_bytes()).filter(|text| !text.is_empty() && text.iter().all(is_header_octet))
    }
}

/// What a field value may hold (RFC 9110 section 5.5). A claim with a line feed would otherwise
/// write headers of its own; it is left out, as if it were absent.
fn is_header_octet(octet: &u8) -> bool {
    *octet == b'\t' || (*octet >= 0x20 && *octet != 0x7f)
}

/// The headers that `provider` writes from `payload`.
pub fn headers(provider: &Provider, payload: &VerifiedPayload<'_>) -> Vec<HeaderEdit> {
    let whole = provider
        .payload_header
        .iter()
        .map(|name| HeaderEdit::Add(name.clone(), payload.encoded().as_bytes().to_vec()));
    let claims = provider
        .claim_headers
        .iter()
        .filter_map(|header| Some(HeaderEdit::Add(header.name.clone(), header.value(payload)?)));
    whole.chain(claims).collect()
}

/// The names that clients may not send, of all providers together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IdentityHeaders(Vec<Vec<u8>>);

impl IdentityHeaders {
    /// Collects the names.
    pub fn of(providers: &[Provider]) -> Self {
        let names = providers.iter().flat_map(|provider| {
            let claims = provider.claim_headers.iter().map(|header| &header.name);
            provider.payload_header.iter().chain(claims)
        });
        let mut names: Vec<_> = names.map(|name| canonical(name.as_bytes())).collect();
        names.sort();
        names.dedup();
        Self(names)
    }

    /// The edits that strike clients' copies, whichever spelling they use: many backends read
    /// `x_user` and `x-user` as one header.
    pub fn strike(&self, head: &RequestHead) -> Vec<HeaderEdit> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut struck: Vec<Vec<u8>> = head
            .headers()
            .filter(|(name, _)| self.0.contains(&canonical(name)))
            .map(|(name, _)| name.to_vec())
            .collect();
        struck.sort();
        struck.dedup();
        struck.into_iter().map(HeaderEdit::Remove).collect()
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
