//! From JSON to the wire structs, field by field, with the checks that need no other field.

use std::time::Duration;

use crate::config::authorization::Authorization;
use crate::config::decision_record::DecisionRecord;
use crate::config::error_responses::ErrorResponses;
use crate::config::fields::Fields;
use crate::config::headers::{header_name, identity_header};
use crate::config::issuer::PatternedIssuer;
use crate::config::mapping::{ClaimToHeader, ClaimToParameter, Consumer, SetHeader};
use crate::config::matching::StringMatch;
use crate::config::possession::{ReplayMemory, SenderConstraint, SingleUse};
use crate::config::protected_resource::ProtectedResource;
use crate::config::protobuf_struct;
use crate::config::reader::{ConfigError, Errors, Node};
use crate::config::requirement::mode;
use crate::config::revocation::Revocation;
use crate::config::shadow;
use crate::config::status_list::StatusLists;
use crate::config::{
    Config, FilterStateRules, FromHeader, Jwks, JwtCacheConfig, KeySharing, KeyTables, Provider,
    Requirement, Rule,
};
use crate::json;

impl Config {
    /// Reads a configuration, a JSON text or a `google.protobuf.Struct`; returns what could be
    /// read and every mistake in its form.
    pub fn parse(octets: &[u8]) -> (Self, Vec<ConfigError>) {
        let errors = Errors::default();
        // Nothing is both: the tags of a `Struct` with a member are octets that no JSON text has.
        // It can begin like a text, though: its first octet is a line feed, and a brace may follow.
        let value =
            json::parse(octets).or_else(|error| protobuf_struct::decode(octets).ok_or(error));
        let config = match value {
            Ok(value) => Node::root(&value, &errors).object(Self::read),
            Err(error) => {
                let expected = "expected a JSON text, delivered as google.protobuf.StringValue, \
                                or a google.protobuf.Struct";
                errors
                    .push("", format!("the configuration is not acceptable: {error}; {expected}"));
                None
            }
        };
        (config.unwrap_or_default(), errors.into_sorted())
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let providers = fields
            .required("providers")
            .map(|node| {
                let providers = node.map(|node| node.object(Provider::read).unwrap_or_default());
                if providers.is_empty() {
                    node.error("at least one provider is required");
                }
                providers
            })
            .unwrap_or_default();
        Self {
            providers,
            rules: fields.list("rules", |node| node.object(Rule::read)),
            filter_state_rules: fields
                .get_not_null("filter_state_rules")
                .and_then(|node| node.object(FilterStateRules::read)),
            requirement_map: Requirement::read_map(fields.get("requirement_map")),
            bypass_cors_preflight: fields.flag("bypass_cors_preflight"),
            strip_failure_response: fields.flag("strip_failure_response"),
            stat_prefix: fields
                .get("stat_prefix")
                .and_then(|node| stat_prefix(&node))
                .unwrap_or_default(),
            default_requirement: fields
                .get_not_null("default_requirement")
                .and_then(Requirement::read),
            keys_unavailable_status: fields.get("keys_unavailable_status").and_then(|node| {
                let status = node.unsigned()?;
                if !matches!(status, 401 | 503) {
                    node.error("expected 401 or 503");
                }
                Some(status)
            }),
            key_sharing: fields
                .get("key_sharing")
                .and_then(|node| node.object(KeySharing::read))
                .unwrap_or_default(),
            authorization: fields
                .get_not_null("authorization")
                .and_then(|node| node.object(Authorization::read)?),
            key_tables: fields
                .get("key_tables")
                .and_then(|node| node.object(KeyTables::read))
                .unwrap_or_default(),
            mode: fields.get("mode").and_then(|node| mode(&node)).unwrap_or_default(),
            decision_record: fields
                .get_not_null("decision_record")
                .and_then(|node| node.object(DecisionRecord::read)),
            error_responses: fields
                .get("error_responses")
                .and_then(|node| node.object(ErrorResponses::read))
                .unwrap_or_default(),
            protected_resources: fields
                .list("protected_resources", |node| node.object(ProtectedResource::read)),
            revocation: Revocation::read(fields),
            replay_memory: fields
                .get("replay_memory")
                .and_then(|node| node.object(ReplayMemory::read))
                .unwrap_or_default(),
            shadow: shadow::read(fields),
        }
    }
}

impl KeySharing {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self { disabled: fields.flag("disabled"), secret: fields.text("secret") }
    }
}

impl KeyTables {
    fn read(fields: &mut Fields<'_>) -> Self {
        let max_octets = fields.get("max_octets").and_then(|node| {
            let octets = node.unsigned()?;
            if octets > MAX_TABLE_OCTETS {
                node.error(format!("must be at most {MAX_TABLE_OCTETS}"));
            }
            Some(octets)
        });
        Self { max_octets }
    }
}

/// The most memory for tables, 256 MiB: enough for the largest of five hundred keys.
const MAX_TABLE_OCTETS: u32 = 256 * 1024 * 1024;

impl Provider {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            issuer: fields.text("issuer"),
            issuers: fields.texts("issuers"),
            issuer_pattern: PatternedIssuer::read(fields),
            audiences: fields.texts("audiences"),
            subjects: fields.get("subjects").and_then(StringMatch::read),
            require_expiration: fields.flag("require_expiration"),
            max_lifetime: fields.get("max_lifetime").and_then(|node| longer_than_zero(&node)),
            max_age: fields.get("max_age").and_then(|node| longer_than_zero(&node)),
            algorithms: fields.texts("algorithms"),
            token_types: fields.texts("token_types"),
            required_claims: fields.texts("required_claims"),
            authorized_parties: fields.texts("authorized_parties"),
            single_use: fields.get("single_use").and_then(|node| node.object(SingleUse::read)),
            sender_constraint: fields
                .get("sender_constraint")
                .and_then(|node| node.object(SenderConstraint::read)),
            jwks: Jwks::read(fields),
            forward: fields.flag("forward"),
            from_headers: fields.list("from_headers", |node| node.object(FromHeader::read)),
            from_params: fields.texts("from_params"),
            from_cookies: fields.texts("from_cookies"),
            forward_payload_header: identity_header(
                fields.get("forward_payload_header").filter(|node| !node.is_empty_text()),
            ),
            forward_payload_value_header: identity_header(
                fields.get("forward_payload_value_header").filter(|node| !node.is_empty_text()),
            ),
            claim_to_headers: fields
                .list("claim_to_headers", |node| node.object(ClaimToHeader::read)),
            claim_to_query_parameters: fields
                .list("claim_to_query_parameters", |node| node.object(ClaimToParameter::read)),
            set_headers: SetHeader::read_list(fields),
            consumer: fields.get("consumer").and_then(|node| node.object(Consumer::read)),
            jwt_cache: fields
                .get("jwt_cache_config")
                .and_then(|node| node.object(JwtCacheConfig::read)),
            pad_forward_payload_header: fields.flag("pad_forward_payload_header"),
            payload_in_metadata: fields.text("payload_in_metadata"),
            header_in_metadata: fields.text("header_in_metadata"),
            failed_status_in_metadata: fields.text("failed_status_in_metadata"),
            space_delimited_claims: fields
                .get("normalize_payload_in_metadata")
                .and_then(|node| node.object(|fields| fields.texts("space_delimited_claims")))
                .unwrap_or_default(),
            clear_route_cache: fields.flag("clear_route_cache"),
            revocation: Revocation::read_own(fields),
            status_list: fields
                .get_not_null("status_list")
                .and_then(|n| n.object(StatusLists::read)),
            clock_skew_seconds: fields
                .get("clock_skew_seconds")
                .and_then(|node| node.unsigned())
                .unwrap_or_default(),
            clock_skew: fields.get("clock_skew").and_then(|node| node.duration()),
            allow_weak_keys: fields.flag("allow_weak_keys"),
        }
    }
}

fn longer_than_zero(node: &Node<'_>) -> Option<Duration> {
    let duration = node.duration()?;
    if duration.is_zero() {
        node.error("must be longer than 0s");
    }
    Some(duration)
}

impl JwtCacheConfig {
    fn read(fields: &mut Fields<'_>) -> Self {
        let mut number = |name| {
            let node = fields.get(name)?;
            let number = node.unsigned().filter(|number| *number > 0)?;
            if number > MAX_CACHE_NUMBER {
                node.error(format!("must be at most {MAX_CACHE_NUMBER}"));
            }
            Some(number)
        };
        let (tokens, token_octets) = (number("jwt_cache_size"), number("jwt_max_token_size"));
        Self { disabled: fields.flag("disabled"), tokens, token_octets }
    }
}

/// The largest cache, in tokens, and the longest token in it, in octets: more than a worker has
/// memory for.
const MAX_CACHE_NUMBER: u32 = 100_000;

impl FromHeader {
    fn read(fields: &mut Fields<'_>) -> Self {
        let node = fields.required("name");
        let name = node.as_ref().and_then(header_name).unwrap_or_default();
        if let Some(node) = node.filter(|_| name == "host") {
            node.error("the host is no place for a token");
        }
        Self { name, value_prefix: fields.text("value_prefix") }
    }
}

/// A part of the counters' names: letters, digits, `_`, `-` and `.`.
fn stat_prefix(node: &Node<'_>) -> Option<String> {
    let prefix = node.text()?;
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet);
    if !prefix.bytes().all(plain) {
        node.error("expected letters, digits, `_`, `-` and `.`");
    }
    Some(prefix.trim_end_matches('.').to_owned())
}
