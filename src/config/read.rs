//! From JSON to the wire structs, field by field, with the checks that need no other field.

use crate::config::authorization::Authorization;
use crate::config::decision_record::DecisionRecord;
use crate::config::error_responses::ErrorResponses;
use crate::config::fields::Fields;
use crate::config::possession::ReplayMemory;
use crate::config::protected_resource::ProtectedResource;
use crate::config::protobuf_struct;
use crate::config::reader::{ConfigError, Errors, Node};
use crate::config::requirement::mode;
use crate::config::revocation::Revocation;
use crate::config::shadow;
use crate::config::{Config, FilterStateRules, KeySharing, KeyTables, Provider, Requirement, Rule};
use crate::json;

#[cfg(feature = "reference")]
use crate::config::{
    authorization, decision_record, error_responses, possession, protected_resource, provider,
    requirement, revocation,
};

reference! {
    /// The configuration as a whole.
    CONFIG = "JwtAuthentication" ("configuration.md")
    .message("envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication") {
        /// Issuers, by a name of your choice.
        "providers": Map(&Fields(&provider::PROVIDER), 1), required, page("configuration.md#provider");
        /// What is required where; the first rule that matches decides.
        "rules": List(&Fields(&requirement::RULE), 0),
            default("a token of any provider, everywhere"), page("configuration.md#rule");
        /// What is required where no rule matches.
        "default_requirement": Fields(&requirement::REQUIREMENT), not_null, ours,
            default("with rules: nothing, as natively"), page("configuration.md#requirement"),
            example("{ \"provider_name\": \"main\" }");
        /// What is required where no rule matches, by a text that an earlier filter left in the filter
        /// state.
        "filter_state_rules": Fields(&requirement::FILTER_STATE_RULES), not_null, default("none");
        /// Requirements by name, for rules with `requirement_name`.
        "requirement_map": Map(&Fields(&requirement::REQUIREMENT), 0), default("empty");
        /// Policies on requests that got past their rule, in order, and what holds where none of them
        /// applies.
        "authorization": Fields(&authorization::AUTHORIZATION), not_null, ours, default("none"),
            page("authorization.md#policies");
        /// `report_only`: requests that would be refused pass, and are counted.
        "mode": Choice(requirement::MODES), ours, default("enforce"), page("roll-out.md#report-only");
        /// A candidate that decides nothing, and whose differences are counted.
        "shadow": Part(&CONFIG, &shadow::SHARED), not_null, ours, default("none"),
            page("roll-out.md#a-candidate-beside-the-configuration-that-decides");
        /// What access logs and traces are told of each decision.
        "decision_record": Fields(&decision_record::DECISION_RECORD), not_null, ours, default("none"),
            page("observability.md#decision-record");
        /// What clients get that are refused.
        "error_responses": Fields(&error_responses::ERROR_RESPONSES), ours, default("as natively"),
            page("answers.md#form-and-text");
        /// What clients are told of where to get tokens.
        "protected_resources": List(&Fields(&protected_resource::PROTECTED_RESOURCE), 0), ours,
            default("none"), page("answers.md#where-to-get-a-token-rfc-9728"), rfc("RFC 9728");
        /// What says that tokens are good no longer, of whichever provider.
        "revocation": Fields(&revocation::REVOCATION), not_null, ours, default("none"),
            page("revocation.md");
        /// Where uses are remembered that must be the only ones.
        "replay_memory": Fields(&possession::REPLAY_MEMORY), ours, page("single-use.md");
        /// How workers share what they fetched.
        "key_sharing": Fields(&KEY_SHARING), ours, page("keys.md#one-fetch-for-all-workers");
        /// The memory for tables that make signatures of keys in use cheap.
        "key_tables": Fields(&KEY_TABLES), ours, page("configuration.md#tables-of-keys");
        /// The status when keys cannot be had; natively it is 401.
        "keys_unavailable_status": Numbers(UNAVAILABLE), ours, default("503"), page("keys.md#what-clients-see");
        /// Let CORS preflights (OPTIONS with `Origin` and `Access-Control-Request-Method`) through
        /// without a token.
        "bypass_cors_preflight": Flag, default("false");
        /// Refuse without a body and without `WWW-Authenticate`.
        "strip_failure_response": Flag, default("false");
        /// A part of the counters' names, behind `jwt_gate.`, to tell several gates apart.
        "stat_prefix": Text(Letters::like("^[A-Za-z0-9_.-]*$")), default("none"),
            page("configuration.md#counters-and-log");
    }

    /// How workers share what they fetched.
    KEY_SHARING = "KeySharing" ("keys.md#one-fetch-for-all-workers") {
        /// Every worker fetches for itself.
        "disabled": Flag, ours, default("false");
        /// Plugins that do not know it can neither read nor write what is shared.
        "secret": Text(Letters::ANY), ours, default("none");
    }

    /// The memory for tables that make signatures of keys in use cheap.
    KEY_TABLES = "KeyTables" ("configuration.md#tables-of-keys") {
        /// The most that all tables of a worker may take together. 0: there are none.
        "max_octets": Unsigned(0, MAX_TABLE_OCTETS), ours, default("1048576"), unit("octets");
    }
}

/// Statuses that say that keys cannot be had.
const UNAVAILABLE: &[u32] = &[401, 503];

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
                if !UNAVAILABLE.contains(&status) {
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

/// A part of the counters' names: letters, digits, `_`, `-` and `.`.
fn stat_prefix(node: &Node<'_>) -> Option<String> {
    let prefix = node.text()?;
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet);
    if !prefix.bytes().all(plain) {
        node.error("expected letters, digits, `_`, `-` and `.`");
    }
    Some(prefix.trim_end_matches('.').to_owned())
}
