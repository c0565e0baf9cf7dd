//! Which differences from Envoy's own filter a configuration meets. All of them are in
//! `docs/configuration.md`.

use jwt_gate::config::{Config, Jwks, Provider, RequirementKind};

/// The differences that matter for this one.
pub fn list(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |applies: bool, line: &str| {
        if applies {
            lines.push(line.to_owned());
        }
    };
    let any = |is: &dyn Fn(&Provider) -> bool| config.providers.values().any(is);
    say(
        config.rules.is_empty() && config.default_requirement.is_none(),
        "without rules every path asks for a token of any provider (natively everything is open)",
    );
    say(
        config.default_requirement.is_some(),
        "`default_requirement` holds where no rule matches (natively that is open)",
    );
    let remote = |own: &Provider| matches!(own.jwks, Some(Jwks::Remote { .. }));
    say(
        any(&remote) && config.keys_unavailable_status != Some(401),
        "503 where keys cannot be had (natively 401; `keys_unavailable_status`)",
    );
    say(
        any(&remote),
        "fetched keys are used past their time while the issuer fails (`stale_if_error`), and an unknown \
         `kid` is looked up once while the request waits (natively neither)",
    );
    let retries = |own: &Provider| match &own.jwks {
        Some(Jwks::Remote { remote, .. }) => {
            remote.first_back_off.is_some() || remote.longest_back_off.is_some()
        }
        _ => false,
    };
    say(any(&retries), "fetches are never given up: the number of retries means nothing");
    let metadata = |own: &Provider| {
        let keys =
            [&own.payload_in_metadata, &own.header_in_metadata, &own.failed_status_in_metadata];
        keys.iter().any(|key| !key.is_empty())
    };
    say(
        any(&metadata),
        "`…_in_metadata` leave the payload in the filter state, `wasm.jwt_gate.KEY` (natively dynamic \
         metadata); docs/bridge.md leads to native filters",
    );
    let writes =
        |own: &Provider| !own.claim_to_headers.is_empty() || !own.forward_payload_header.is_empty();
    say(
        any(&writes),
        "clients' copies of headers with claims are struck on every path, also with `_` for `-`",
    );
    say(
        any(&|own| writes(own) && !own.clear_route_cache),
        "Envoy chooses the route again after headers were changed, whatever `clear_route_cache` says",
    );
    say(
        any(&|own| own.jwt_cache.is_none()),
        "verified tokens are kept (natively only with `jwt_cache_config`), and bound to the key set",
    );
    say(
        any(&|own| !own.from_cookies.is_empty() && !own.forward),
        "a token in a cookie is taken out before the request goes on (natively it stays)",
    );
    say(
        any(&|own| !own.from_params.is_empty() && !own.forward),
        "taking a token out of the query leaves every other octet as it is",
    );
    say(
        any(&|own| own.from_headers.iter().any(|from| !from.value_prefix.is_empty())),
        "a `value_prefix` starts the value, in any case (natively anywhere, case-sensitive)",
    );
    say(
        any(&|own| own.clock_skew.is_some()),
        "`clock_skew` is not native; `clock_skew_seconds` is",
    );
    let lenient = |kind: &RequirementKind| {
        matches!(kind, RequirementKind::AllowMissing | RequirementKind::AllowMissingOrFailed)
    };
    let (mut is_lenient, mut has_alternatives) = (false, false);
    super::warnings::each_requirement(config, &mut |own| {
        is_lenient |= lenient(&own.kind);
        has_alternatives |= matches!(own.kind, RequirementKind::Any(_));
    });
    say(is_lenient, "with `allow_missing`, every token that is there must be good (natively one)");
    say(has_alternatives, "an alternative that fails leaves nothing behind for the next one");
    let conditions = config.rules.iter().filter_map(|rule| rule.matches.as_ref());
    say(
        conditions.into_iter().any(|own| !own.cookies.is_empty() || own.grpc),
        "conditions on cookies and gRPC are evaluated in rules (natively ignored)",
    );
    say(
        any(&|own| own.allow_weak_keys),
        "`allow_weak_keys` takes RSA from 1024 bits and HMAC secrets of any length, as natively from 512",
    );
    say(true, "tokens, keys and JSON are read strictly: docs/configuration.md has the whole table");
    lines
}
