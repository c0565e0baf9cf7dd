//! The headers and query parameters by which the backend learns who calls: struck from every request,
//! written only from verified claims.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::config;
use crate::config::mapping::{ClaimToHeader, ClaimToParameter, Consumer};
use crate::denial::Reason;
use crate::extract::encoded_param;
use crate::jose::jws::VerifiedPayload;
use crate::policy::rewrite::{fixed_headers, names};
use crate::policy::{Provider, claim_value, protobuf_value};
use crate::request::{RequestEdit, RequestHead, header_reads_as};
use crate::sorted;

/// The longest value of the header with the whole payload: what reads it, Envoy's `header_to_metadata`,
/// passes over 8 KiB and more as if there were none, and a policy that denies would then not apply.
const MOST_PAYLOAD_OCTETS: usize = 8 * 1024 - 1;
/// How deep the messages in it may nest: protobuf's parsers read no more, and what they do not read is
/// passed over, too.
const MOST_PAYLOAD_DEPTH: usize = 100;

/// What a good token of a provider becomes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outputs {
    payload_header: Option<String>,
    pad_payload: bool,
    payload_value_header: Option<String>,
    claim_headers: Vec<ClaimToHeader>,
    claim_parameters: Vec<ClaimToParameter>,
    consumer: Option<Consumer>,
    /// Headers with fixed values.
    pub(super) fixed: Vec<RequestEdit>,
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
            payload_value_header: named(&wire.forward_payload_value_header),
            claim_headers: wire.claim_to_headers.clone(),
            claim_parameters: wire.claim_to_query_parameters.clone(),
            consumer: wire.consumer.clone(),
            fixed: fixed_headers(&wire.set_headers),
            clear_route_cache: wire.clear_route_cache,
            payload_state: named(&wire.payload_in_metadata),
            header_state: named(&wire.header_in_metadata),
            space_delimited_claims: wire.space_delimited_claims.clone(),
        }
    }

    /// Whether a verified token can become all that it must become.
    pub(super) fn admit(&self, payload: &VerifiedPayload<'_>) -> Result<(), Reason> {
        let is_nobody =
            self.consumer.as_ref().is_some_and(|own| consumer_name(own, payload).is_none());
        let is_unreadable = self.payload_value_header.is_some() && {
            let value = self.normalized(payload);
            protobuf_value::depth(&value) > MOST_PAYLOAD_DEPTH
                || encoded_value(&value).len() > MOST_PAYLOAD_OCTETS
        };
        if is_nobody || is_unreadable { Err(Reason::ClaimsNotAllowed) } else { Ok(()) }
    }

    /// The edits that a verified token brings, beside those that are fixed.
    pub fn edits(&self, payload: &VerifiedPayload<'_>) -> Vec<RequestEdit> {
        let whole = self.payload_header.iter().map(|name| {
            let mut encoded = payload.encoded().as_bytes().to_vec();
            if self.pad_payload {
                let length = encoded.len().next_multiple_of(4);
                encoded.resize(length, b'=');
            }
            RequestEdit::Add(name.clone(), encoded)
        });
        // One only, of several tokens the last: two of them would be joined, and read as none.
        let whole = whole.chain(self.payload_value_header.iter().map(|name| {
            RequestEdit::Replace(
                name.clone(),
                encoded_value(&self.normalized(payload)).into_bytes(),
            )
        }));
        let mut claims = Vec::new();
        for ClaimToHeader { header_name: name, claim, format } in &self.claim_headers {
            let values = claim_value::header_values(payload, claim, *format).into_iter();
            claims.extend(values.map(|value| RequestEdit::Add(name.clone(), value)));
        }
        if let Some(consumer) = &self.consumer {
            let name = consumer_name(consumer, payload).into_iter();
            claims.extend(name.map(|name| {
                RequestEdit::Add(consumer.header_name.clone(), name.clone().into_bytes())
            }));
        }
        // Natively, the payload in the metadata is a reason as well: routes may match on it.
        let reroute = self.clear_route_cache
            && (!claims.is_empty() || !self.fixed.is_empty() || self.payload_state.is_some());
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

    /// The query parameters that a verified token brings, encoded.
    pub(super) fn parameters(&self, payload: &VerifiedPayload<'_>) -> Vec<Vec<u8>> {
        let encoded = |own: &ClaimToParameter| {
            Some(encoded_param(&own.name, &claim_value::scalar(payload, &own.claim)?))
        };
        self.claim_parameters.iter().filter_map(encoded).collect()
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
        self.clear_route_cache
            || self.header_names().next().is_some()
            || !self.claim_parameters.is_empty()
    }

    /// The names of the headers that are written.
    fn header_names(&self) -> impl Iterator<Item = &String> {
        let whole = self.payload_header.iter().chain(&self.payload_value_header);
        whole
            .chain(self.claim_headers.iter().map(|header| &header.header_name))
            .chain(self.consumer.iter().map(|consumer| &consumer.header_name))
            .chain(names(&self.fixed))
    }
}

/// A serialized `google.protobuf.Value`, as text.
pub(super) fn encoded_value(value: &Value) -> String {
    STANDARD.encode(protobuf_value::encode(value))
}

/// The name for what this token's claim says.
fn consumer_name<'c>(consumer: &'c Consumer, payload: &VerifiedPayload<'_>) -> Option<&'c String> {
    consumer.names.get(&claim_value::scalar(payload, &consumer.claim)?)
}

/// The names, decoded, of the query parameters that clients may not send.
pub(super) fn identity_parameters(providers: &[Provider]) -> Vec<Vec<u8>> {
    let own = providers.iter().flat_map(|provider| &provider.outputs.claim_parameters);
    sorted::list(own.map(|own| own.name.clone().into_bytes()))
}

/// The names that clients may not send, of all providers together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IdentityHeaders(Vec<Vec<u8>>);

impl IdentityHeaders {
    /// Collects the names that providers write, and `others`.
    pub fn of<'a>(providers: &'a [Provider], others: impl Iterator<Item = &'a String>) -> Self {
        let names = providers.iter().flat_map(|provider| provider.outputs.header_names());
        let names = names.chain(others);
        Self(sorted::list(names.map(|name| name.to_ascii_lowercase().into_bytes())))
    }

    /// Whether clients may not send a header of this name, as some backends read it.
    pub fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|own| header_reads_as(name, own))
    }

    /// The edits that strike clients' copies, whichever spelling they use: many backends read
    /// `x_user` and `x-user` as one header.
    pub fn strike(&self, head: &RequestHead) -> Vec<RequestEdit> {
        let struck = head.headers().filter(|(name, _)| self.has(name));
        let struck = sorted::list(struck.map(|(name, _)| name));
        struck.into_iter().map(|name| RequestEdit::Remove(name.to_vec())).collect()
    }
}
