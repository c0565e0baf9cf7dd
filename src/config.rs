//! The configuration as it is written: Envoy's `JwtAuthentication` message in its JSON form
//! (`envoy.extensions.filters.http.jwt_authn.v3`), and the fields that are ours.
//!
//! The comments of the fields are the configuration reference. Nothing here has meaning yet:
//! [`crate::policy`] makes something of it.

#[macro_use]
pub mod reference;

pub mod authorization;
pub mod condition;
pub mod decision_record;
pub mod error_responses;
pub mod fields;
mod headers;
pub mod issuer;
pub mod mapping;
pub mod matching;
pub mod path;
pub mod path_template;
pub mod possession;
pub mod protected_resource;
pub mod protobuf_struct;
mod provider;
mod read;
pub mod reader;
mod remote;
mod requirement;
pub mod revocation;
mod shadow;
pub mod status_list;
pub mod step_up;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::authorization::Authorization;
use crate::config::condition::Condition;
use crate::config::decision_record::DecisionRecord;
use crate::config::error_responses::ErrorResponses;
use crate::config::issuer::PatternedIssuer;
use crate::config::mapping::{ClaimToHeader, ClaimToParameter, ClaimToPath, Consumer, SetHeader};
use crate::config::matching::{RouteMatch, StringMatch};
use crate::config::possession::{ReplayMemory, SenderConstraint, SingleUse};
use crate::config::protected_resource::ProtectedResource;
use crate::config::revocation::Revocation;
use crate::config::status_list::StatusLists;
use crate::config::step_up::StepUp;

/// `JwtAuthentication`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Config {
    /// Issuers by a name of your choice. At least one.
    pub providers: BTreeMap<String, Provider>,
    /// What is required where; the first match decides. Without rules, every path requires a
    /// token of any one of the providers (natively, everything would be open).
    pub rules: Vec<Rule>,
    /// Ours: what is required where no rule matches. Not set: nothing, as natively.
    pub default_requirement: Option<Requirement>,
    /// What is required where no rule matches, by a text in the filter state.
    pub filter_state_rules: Option<FilterStateRules>,
    /// Requirements by name, for rules with `requirement_name`.
    pub requirement_map: BTreeMap<String, Requirement>,
    /// Let CORS preflights through without a token. Default: false.
    pub bypass_cors_preflight: bool,
    /// Refuse without a body and without `WWW-Authenticate`. Default: false.
    pub strip_failure_response: bool,
    /// A part of the counters' names, to tell several gates apart.
    pub stat_prefix: String,
    /// Ours: the status when keys cannot be had, 503 (default) or 401 (native).
    pub keys_unavailable_status: Option<u32>,
    /// Ours: how workers share what they fetched.
    pub key_sharing: KeySharing,
    /// Ours: policies on requests that brought what their rule requires.
    pub authorization: Option<Authorization>,
    /// Ours: the memory for tables that make signatures of keys in use cheap.
    pub key_tables: KeyTables,
    /// Ours: what becomes of requests that are refused. Default: `enforce`.
    pub mode: Mode,
    /// Ours: what the access log is told of each decision. Not set: nothing.
    pub decision_record: Option<DecisionRecord>,
    /// Ours: what they get.
    pub error_responses: ErrorResponses,
    /// Ours: what clients are told of where to get tokens.
    pub protected_resources: Vec<ProtectedResource>,
    /// Ours: what says that tokens are good no longer, of whichever provider.
    pub revocation: Option<Revocation>,
    /// Ours: where uses are remembered that must be the only ones.
    pub replay_memory: ReplayMemory,
    /// Ours: a candidate; it decides nothing, and what it would decide otherwise is counted.
    pub shadow: Option<Box<Config>>,
}

/// Ours: what becomes of requests that are refused.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// `enforce`: they are.
    #[default]
    Enforce,
    /// `report_only`: they pass, without claims, and are counted.
    ReportOnly,
}

/// `JwtProvider`: one issuer, where its tokens are, and what becomes of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Provider {
    /// The `iss` that tokens must have, compared exactly. Empty: any, or none.
    pub issuer: String,
    /// Ours: several, in place of `issuer`, all of which sign with the same keys; with `discovery`,
    /// each with its own.
    pub issuers: Vec<String>,
    /// Ours: whatever looks like this, in place of `issuer`.
    pub issuer_pattern: Option<PatternedIssuer>,
    /// The token's `aud` must name one of these; empty: not checked. Compared without `http://`,
    /// `https://` and one trailing slash.
    pub audiences: Vec<String>,
    /// The token's `sub` must match this; an absent one counts as empty.
    pub subjects: Option<StringMatch>,
    /// Refuse tokens without `exp`. Default: false.
    pub require_expiration: bool,
    /// Refuse tokens without `exp`, or with more than this left until it.
    pub max_lifetime: Option<Duration>,
    /// Ours: `iat` must be there and lie at most this far back.
    pub max_age: Option<Duration>,
    /// Ours: the algorithms that tokens may have; empty: all.
    pub algorithms: Vec<String>,
    /// Ours: the `typ` that the JOSE header must have, one of these; empty: not checked.
    pub token_types: Vec<String>,
    /// Ours: claims that must be there, and not be `null`.
    pub required_claims: Vec<String>,
    /// Ours: `azp` and `client_id`, whichever are there, must be among these, and one must be there.
    pub authorized_parties: Vec<String>,
    /// Ours: each token passes once.
    pub single_use: Option<SingleUse>,
    /// Ours: who may present a token that is bound to somebody. Not set: whoever has it, as natively.
    pub sender_constraint: Option<SenderConstraint>,
    /// The keys. Required.
    pub jwks: Option<Jwks>,
    /// Whether the token travels on to the backend. Default: false, it is taken out.
    pub forward: bool,
    /// Headers that may hold the token. Without any location: `Authorization: Bearer` and the
    /// query parameter `access_token`.
    pub from_headers: Vec<FromHeader>,
    /// Query parameters that may hold the token.
    pub from_params: Vec<String>,
    /// Cookies that may hold the token.
    pub from_cookies: Vec<String>,
    /// A header that receives the payload, base64url as in the token. A client's copy is struck.
    pub forward_payload_header: String,
    /// Complete the payload in that header with `=` to a multiple of four. Default: false.
    pub pad_forward_payload_header: bool,
    /// A key under which the payload is left in the filter state, as JSON: `wasm.jwt_gate.KEY`.
    /// (Natively it becomes dynamic metadata, which a plugin cannot write.)
    pub payload_in_metadata: String,
    /// The same for the JOSE header.
    pub header_in_metadata: String,
    /// The same for the reason of a refusal: `{"code": NUMBER, "message": TEXT}`.
    pub failed_status_in_metadata: String,
    /// `normalize_payload_in_metadata.space_delimited_claims`: claims whose text is split into a
    /// list there.
    pub space_delimited_claims: Vec<String>,
    /// Have Envoy choose the route again after claims became headers. Default: false.
    pub clear_route_cache: bool,
    /// Ours: a header that receives the payload, as base64 of a serialized `google.protobuf.Value`.
    /// A client's copy is struck.
    pub forward_payload_value_header: String,
    /// Headers that receive claims. Clients' copies are struck.
    pub claim_to_headers: Vec<ClaimToHeader>,
    /// Ours: query parameters that receive claims. Clients' copies are struck.
    pub claim_to_query_parameters: Vec<ClaimToParameter>,
    /// Ours: headers that a token of this provider brings. Clients' copies are struck.
    pub set_headers: Vec<SetHeader>,
    /// Ours: a header with a name for what a claim says; what has none is refused.
    pub consumer: Option<Consumer>,
    /// `jwt_cache_config`: how many verified tokens are kept. Not set: 1000 in each worker.
    pub jwt_cache: Option<JwtCacheConfig>,
    /// Ours: what says that its tokens are good no longer.
    pub revocation: Option<Revocation>,
    /// Ours: where tokens say that their state stands.
    pub status_list: Option<StatusLists>,
    /// Tolerance for `exp` and `nbf`, in seconds. 0 or not set: 60, as natively.
    pub clock_skew_seconds: u32,
    /// Ours: the same as a duration, where `"0s"` means none.
    pub clock_skew: Option<Duration>,
    /// Ours: take RSA keys from 512 bits and HMAC secrets shorter than the hash. Default: false.
    pub allow_weak_keys: bool,
}

/// Where keys come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Jwks {
    /// `local_jwks`: a key set as text, `inline_string` or `inline_bytes`.
    Local(Vec<u8>),
    /// `remote_jwks`: a key set that is fetched.
    Remote {
        /// How to fetch it.
        remote: RemoteJwks,
        /// `local_jwks` beside it, with `local_jwks_is_fallback`.
        fallback: Option<Vec<u8>>,
    },
}

/// `RemoteJwks`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RemoteJwks {
    /// Where the keys are. Required.
    pub source: Option<RemoteSource>,
    /// How long one request may take. Required, longer than zero.
    pub timeout: Duration,
    /// The longest that a set counts as fresh. Default: 10 minutes. Refreshed ahead of that.
    pub cache_duration: Option<Duration>,
    /// Ours: the shortest, whatever the issuer's `Cache-Control` says. Default: 30 s.
    pub min_cache_duration: Option<Duration>,
    /// Ours: how long past its freshness a set is used while the issuer fails. Default: 1 hour.
    pub stale_if_error: Option<Duration>,
    /// Ours: the least time between two fetches for unknown `kid`s. Default: 2 s, at most 4 s.
    pub unknown_kid_cooldown: Option<Duration>,
    /// The wait after a first failure, `retry_policy.retry_back_off.base_interval`. Default: 0.5 s.
    pub first_back_off: Option<Duration>,
    /// The longest wait after failures, `async_fetch.failed_refetch_duration` or
    /// `retry_policy.retry_back_off.max_interval`. Default: 30 s.
    pub longest_back_off: Option<Duration>,
    /// Ours: headers to send along.
    pub request_headers: Vec<(String, String)>,
}

/// Where remote keys are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RemoteSource {
    /// `http_uri`: at this address.
    Uri {
        /// The address. `https` in production, since whoever controls the answer can sign.
        uri: String,
        /// The Envoy cluster that leads there.
        cluster: String,
    },
    /// `discovery`, ours: where the issuer's metadata says.
    Discovery {
        /// The Envoy cluster that leads to the issuer, or to all that have none in `clusters`.
        cluster: Option<String>,
        /// `document`; none: first the one, then the other.
        document: Option<Document>,
        /// Clusters by host, for keys that are elsewhere.
        clusters: BTreeMap<String, String>,
    },
}

/// A form of issuer metadata.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Document {
    /// `oauth-authorization-server` (RFC 8414).
    OauthAuthorizationServer,
    /// `openid-configuration` (OpenID Connect Discovery 1.0).
    OpenidConfiguration,
}

/// Ours: how workers share what they fetched.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeySharing {
    /// Every worker fetches for itself.
    pub disabled: bool,
    /// Who does not know it can neither read nor write what is shared.
    pub secret: String,
}

/// Ours: tables of the multiples of keys.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeyTables {
    /// The most that all tables of a worker may take together, in octets; 0: there are none. Not set:
    /// 1 MiB.
    pub max_octets: Option<u32>,
}

/// `JwtCacheConfig`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JwtCacheConfig {
    /// Ours: keep none.
    pub disabled: bool,
    /// `jwt_cache_size`. 0 or not set: 100, as natively.
    pub tokens: Option<u32>,
    /// `jwt_max_token_size`: the longest token that is kept, in octets. 0 or not set: 4096.
    pub token_octets: Option<u32>,
}

/// `JwtHeader`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FromHeader {
    /// The header's name.
    pub name: String,
    /// What stands before the token, such as `Bearer `; compared without regard to case.
    pub value_prefix: String,
}

/// `RequirementRule`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Which requests. Required.
    pub matches: Option<RouteMatch>,
    /// What they need; not set: nothing.
    pub requires: Option<Requirement>,
    /// Ours: what the claims of their tokens must be.
    pub authorization: Option<Condition>,
    /// Ours: how their users must have authenticated.
    pub step_up: Option<StepUp>,
    /// Ours: what becomes of those that are refused; not set: what `mode` of the whole says.
    pub mode: Option<Mode>,
    /// Ours: headers that a request gets which the rule lets through. Clients' copies are struck.
    pub set_headers: Vec<SetHeader>,
    /// Ours: segments of the path that claims replace.
    pub claim_to_path: Vec<ClaimToPath>,
}

/// `FilterStateRule`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FilterStateRules {
    /// The name of the filter state object. Required.
    pub name: String,
    /// Requirements by the object's text.
    pub requires: BTreeMap<String, Requirement>,
}

/// `JwtRequirement`, with the place where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Requirement {
    /// The JSON path, for errors about names that do not exist.
    pub path: String,
    /// What is required.
    pub kind: RequirementKind,
}

/// The members of `JwtRequirement`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RequirementKind {
    /// `requires_all`: every one of at least two.
    All(Vec<Requirement>),
    /// `allow_missing`: no token, or a good one of any provider.
    AllowMissing,
    /// `allow_missing_or_failed`: anything goes; good tokens are still read.
    AllowMissingOrFailed,
    /// `extract_only_without_validation`: anything goes; when a token is not good, this header
    /// says `false`, if there is one.
    ExtractOnly(Option<String>),
    /// `requires_any`: one of at least two.
    Any(Vec<Requirement>),
    /// `requirement_name` of a rule: one of `requirement_map`.
    Named(String),
    /// An empty requirement: nothing.
    Nothing,
    /// `provider_name`, or `provider_and_audiences` with the audiences that replace the
    /// provider's own.
    Provider {
        /// The provider.
        name: String,
        /// Empty: the provider's own.
        audiences: Vec<String>,
        /// Ours, `authorization`: what the claims of its tokens must be.
        authorization: Option<Box<Condition>>,
    },
}
