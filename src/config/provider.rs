//! Providers: from JSON to the wire structs.

use std::time::Duration;

use crate::config::fields::Fields;
use crate::config::headers::{header_name, identity_header};
use crate::config::issuer::PatternedIssuer;
use crate::config::mapping::{ClaimToHeader, ClaimToParameter, Consumer, SetHeader};
use crate::config::matching::StringMatch;
use crate::config::possession::{SenderConstraint, SingleUse};
use crate::config::reader::Node;
use crate::config::revocation::Revocation;
use crate::config::status_list::StatusLists;
use crate::config::{FromHeader, Jwks, JwtCacheConfig, Provider};

#[cfg(feature = "reference")]
use crate::config::{
    mapping, matching, possession, reference::ALGORITHMS, remote, revocation, status_list,
};

reference! {
    /// One issuer, where its tokens are, and what becomes of them.
    PROVIDER = "JwtProvider" ("configuration.md#provider")
    .message("envoy.extensions.filters.http.jwt_authn.v3.JwtProvider")
    .rules(&[
        AnyOf(&["remote_jwks", "local_jwks"]),
        Needs("issuer_claims", &["issuer_pattern"]),
    ]) {
        /// The `iss` of its tokens, compared exactly. Empty: any `iss`, or none.
        "issuer": Text(Letters::ANY), example("\"https://issuer.example\""), rfc("RFC 7519 section 4.1.1");
        /// Several issuers, in place of `issuer`, each compared exactly. With
        /// `remote_jwks.discovery`, each has keys of its own; otherwise any of them may sign with
        /// any key of the provider, so list those that share their keys.
        "issuers": List(&Text(Letters::SOME), 0), ours, default("none"),
            page("configuration.md#several-issuers"), rfc("RFC 8725 section 3.8");
        /// Whatever looks like this, in place of `issuer`: an address with variables in its path.
        "issuer_pattern": Text(Letters::ANY), ours, default("none"),
            page("configuration.md#several-issuers"),
            example("\"https://login.example/{tenant}/v2.0\"");
        /// Claims, by name, and the variable of `issuer_pattern` that each must repeat: text that is
        /// just what stands for the variable in `iss`. An absent claim is `claim_missing`, anything
        /// else `issuer_unknown`.
        "issuer_claims": Map(&Text(Letters::ANY), 0), ours, default("none"),
            page("configuration.md#several-issuers"), example("{ \"tid\": \"tenant\" }");
        /// The keys, fetched by HTTP. This or `local_jwks` is required.
        "remote_jwks": Fields(&remote::REMOTE_JWKS), page("keys.md");
        /// The keys, in the configuration itself.
        "local_jwks": Fields(&remote::LOCAL_JWKS), page("configuration.md#key-sets");
        /// Allow `local_jwks` beside `remote_jwks`: keys of last resort, used after the first failure
        /// and until the first success. Needs both.
        "local_jwks_is_fallback": Flag, ours, default("false");
        /// The token's `aud` must name one of these, else 403. Compared without `http://`,
        /// `https://` and one trailing slash.
        "audiences": List(&Text(Letters::SOME), 0), default("not checked"),
            example("[\"orders-api\"]"), rfc("RFC 7519 section 4.1.3");
        /// The token's `sub` must match this, else 401; an absent one counts as empty.
        "subjects": Fields(&matching::STRING_MATCHER), default("not checked");
        /// Refuse tokens without `exp`.
        "require_expiration": Flag, default("false");
        /// Refuse tokens without `exp`, or with this much or more left until it.
        "max_lifetime": Time(Span::SOME), default("not checked");
        /// Refuse tokens without `iat`, or issued longer ago than this and the clock skew, or ahead
        /// of the clock by more than the skew.
        "max_age": Time(Span::SOME), ours, default("not checked"), rfc("RFC 7519 section 4.1.6");
        /// The only values of `alg` that are taken; a key must fit all the same.
        "algorithms": List(&Choice(ALGORITHMS), 0), ours, default("all"),
            page("configuration.md#algorithms"), rfc("RFC 8725 section 3.1");
        /// The JOSE header must have one of these as its `typ`, compared without regard to case;
        /// `application/` in front may be left out on either side.
        "token_types": List(&Text(Letters::SOME), 0), ours, default("not checked"),
            example("[\"at+jwt\"]"), rfc("RFC 9068 section 2.1");
        /// Claims, by name, that must be there and not be `null`.
        "required_claims": List(&Text(Letters::SOME), 0), ours, default("none"), example("[\"sub\"]");
        /// The clients for which tokens may have been issued. `azp` and `client_id`, whichever are
        /// there, must be among them, and one must be there.
        "authorized_parties": List(&Text(Letters::SOME), 0), ours, default("not checked");
        /// Tolerance for `exp` and `nbf`. 0 means the default.
        "clock_skew_seconds": Unsigned(0, u32::MAX), default("60"), unit("seconds");
        /// The same as a duration, where `"0s"` means none. Not beside `clock_skew_seconds`.
        "clock_skew": Time(Span::ANY), ours, default("see `clock_skew_seconds`");
        /// Take RSA keys from 1024 bits (2048 otherwise) and those that can be factored (ROCA, CVE-2017-15361),
        /// and HMAC secrets shorter than their hash.
        "allow_weak_keys": Flag, ours, default("false");
        /// Each token passes once.
        "single_use": Fields(&possession::SINGLE_USE), ours, default("not asked"), page("single-use.md");
        /// Who may present a token that is bound to somebody by `cnf`.
        "sender_constraint": Fields(&possession::SENDER_CONSTRAINT), ours,
            default("whoever has it, as natively"), page("bound-tokens.md"), rfc("RFC 7800");
        /// A list of revoked tokens of this provider.
        "revocation": Fields(&revocation::OWN_REVOCATION), not_null, ours, default("none"),
            page("revocation.md");
        /// Where the states of its tokens stand (Token Status List).
        "status_list": Fields(&status_list::STATUS_LIST), not_null, ours, default("none"),
            page("status-list.md");
        /// Headers that may hold the token.
        "from_headers": List(&Fields(&FROM_HEADER), 0),
            default("without any location: `Authorization: Bearer` and the parameter `access_token`"),
            page("configuration.md#token-locations"), rfc("RFC 6750 section 2.1");
        /// Query parameters that may hold the token, names decoded.
        "from_params": List(&Text(Letters::SOME), 0), default("as `from_headers` says"),
            page("configuration.md#token-locations"), rfc("RFC 6750 section 2.3");
        /// Cookies that may hold the token.
        "from_cookies": List(&Text(Letters::SOME), 0), default("none"),
            page("configuration.md#token-locations");
        /// Whether the token travels on to the backend. Otherwise it is taken out of the header, query
        /// or cookie.
        "forward": Flag, default("false");
        /// A header that receives the payload, base64url as in the token. A client's copy is struck.
        "forward_payload_header": Either(&[Text(Letters::HEADER), Text(Letters::EMPTY)]),
            default("none"), example("\"x-jwt-payload\"");
        /// Complete the payload in that header with `=` to a multiple of four.
        "pad_forward_payload_header": Flag, default("false");
        /// A header that receives the payload as base64 of a serialized `google.protobuf.Value`, with
        /// the lists of `normalize_payload_in_metadata`, for native filters. A client's copy is struck.
        /// A good token whose payload makes 8 KiB of it or more, or nests deeper than protobuf reads, is
        /// refused with 403.
        "forward_payload_value_header": Either(&[Text(Letters::HEADER), Text(Letters::EMPTY)]), ours,
            default("none"), page("bridge.md");
        /// Headers that receive claims. Clients' copies are struck.
        "claim_to_headers": List(&Fields(&mapping::CLAIM_TO_HEADER), 0), default("none"),
            page("mapping.md#headers-from-claims");
        /// Query parameters that receive claims. Clients' copies are struck.
        "claim_to_query_parameters": List(&Fields(&mapping::CLAIM_TO_PARAMETER), 0), ours,
            default("none"), page("mapping.md#query-parameters");
        /// Headers with a fixed value that every good token of the provider brings. Clients' copies are
        /// struck.
        "set_headers": List(&Fields(&mapping::SET_HEADER), 0), ours, default("none"),
            page("mapping.md#fixed-headers-and-consumers");
        /// A header with a name for what a claim says. A good token whose claim has no entry is refused
        /// with 403; a client's copy is struck.
        "consumer": Fields(&mapping::CONSUMER), ours, default("none"),
            page("mapping.md#fixed-headers-and-consumers");
        /// A key under which the payload is left in the filter state, as JSON: `wasm.jwt_gate.KEY`.
        "payload_in_metadata": Text(Letters::ANY), default("none"),
            page("configuration.md#filter-state-instead-of-dynamic-metadata");
        /// What becomes of claims there.
        "normalize_payload_in_metadata": Fields(&NORMALIZE), default("none");
        /// The same for the JOSE header.
        "header_in_metadata": Text(Letters::ANY), default("none"),
            page("configuration.md#filter-state-instead-of-dynamic-metadata");
        /// The same for number and text of a refusal: `{"code":3,"message":"Jwt is expired"}`.
        "failed_status_in_metadata": Text(Letters::ANY), default("none"),
            page("configuration.md#filter-state-instead-of-dynamic-metadata");
        /// Have Envoy choose the route again after claims became headers. Envoy does so after any
        /// change a plugin makes to the headers.
        "clear_route_cache": Flag, default("false");
        /// How many verified tokens each worker keeps.
        "jwt_cache_config": Fields(&JWT_CACHE_CONFIG), default("1000 tokens of up to 4096 octets"),
            page("configuration.md#verified-tokens");
    }

    /// A header that may hold the token.
    FROM_HEADER = "JwtHeader" ("configuration.md#token-locations")
    .message("envoy.extensions.filters.http.jwt_authn.v3.JwtHeader") {
        /// The header's name; not `host`.
        "name": Text(Letters::HEADER), required, example("\"authorization\"");
        /// What stands before the token; it starts the value, or a later element of it, and is compared
        /// without regard to case.
        "value_prefix": Text(Letters::ANY), example("\"Bearer \"");
    }

    /// What becomes of claims in the filter state.
    NORMALIZE = "NormalizePayload" ("configuration.md#filter-state-instead-of-dynamic-metadata")
    .message("envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.NormalizePayload") {
        /// Claims whose text is split at its spaces into a list.
        "space_delimited_claims": List(&Text(Letters::SOME), 0), default("none"),
            example("[\"scope\"]");
    }

    /// How many verified tokens each worker keeps.
    JWT_CACHE_CONFIG = "JwtCacheConfig" ("configuration.md#verified-tokens")
    .message("envoy.extensions.filters.http.jwt_authn.v3.JwtCacheConfig") {
        /// Keep none.
        "disabled": Flag, ours, default("false");
        /// How many are kept, for this provider. 0 means 100, as natively, and so does leaving it out
        /// here.
        "jwt_cache_size": Unsigned(0, MAX_CACHE_NUMBER), default("100"), unit("tokens");
        /// The longest token that is kept. 0 means the default.
        "jwt_max_token_size": Unsigned(0, MAX_CACHE_NUMBER), default("4096"), unit("octets");
    }
}

impl Provider {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
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
