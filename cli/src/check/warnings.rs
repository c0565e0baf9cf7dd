//! What is valid and seldom meant.

use std::time::Duration;

use jwt_gate::config::authorization::Action;
use jwt_gate::config::path::PathSpecifier;
use jwt_gate::config::reader::member_path;
use jwt_gate::config::revocation::{Revocation, WhenUnavailable};
use jwt_gate::config::{Config, Jwks, Provider, RemoteSource, Requirement, RequirementKind};
use jwt_gate::jose::base64url::decode_key_member;
use jwt_gate::jose::jwk::KeyStrength;
use jwt_gate::jwks::key_set::KeySet;
use serde_json::Value;

use crate::check::Finding;
use crate::tree::Tree;

/// Longer than this, and a withdrawn key lives on for days.
const LONG: Duration = Duration::from_secs(24 * 3600);
/// More than clocks differ.
const MUCH_SKEW: Duration = Duration::from_secs(300);

struct Warnings<'a> {
    tree: &'a Tree,
    list: Vec<Finding>,
}

impl Warnings<'_> {
    fn say(&mut self, code: &'static str, path: &str, message: impl Into<String>) {
        let (place, path) = (self.tree.place_of(path), path.to_owned());
        self.list.push(Finding { place, path, code, message: message.into() });
    }
}

/// All warnings about the configuration itself.
pub fn list(config: &Config, tree: &Tree) -> Vec<Finding> {
    let mut warnings = Warnings { tree, list: Vec::new() };
    for (name, provider) in &config.providers {
        let path = member_path("providers", name);
        about_tokens(&mut warnings, config, name, provider, &path);
        about_keys(&mut warnings, provider, &path);
    }
    about_rules(&mut warnings, config);
    about_lists(&mut warnings, config);
    warnings.list
}

fn about_tokens(
    warnings: &mut Warnings<'_>,
    config: &Config,
    name: &str,
    provider: &Provider,
    path: &str,
) {
    if provider.audiences.is_empty() && !always_with_audiences(config, name) {
        warnings.say(
            "no_audience",
            path,
            "no `audiences`: a token that the issuer made for any other service is good here, too",
        );
    }
    let has_issuer = !provider.issuer.is_empty() || !provider.issuers.is_empty();
    if !has_issuer && provider.issuer_pattern.is_none() {
        warnings.say("no_issuer", path, "no `issuer`: whatever `iss` says, or none, is good");
    }
    if !provider.require_expiration && provider.max_lifetime.is_none() && provider.max_age.is_none()
    {
        warnings.say(
            "no_expiration",
            path,
            "a token without `exp` is good for ever; `require_expiration` or `max_lifetime` refuses it",
        );
    }
    let locations =
        [provider.from_headers.len(), provider.from_params.len(), provider.from_cookies.len()];
    if locations == [0, 0, 0] {
        warnings.say(
            "token_in_query",
            path,
            "without locations, tokens are also taken from the query (`access_token`), and addresses end \
             up in logs; `from_headers` with `authorization` and `Bearer ` leaves that out",
        );
    } else if !provider.from_params.is_empty() {
        warnings.say(
            "token_in_query",
            &format!("{path}.from_params"),
            "tokens in the query end up in logs and histories",
        );
    }
    let skew =
        provider.clock_skew.unwrap_or(Duration::from_secs(provider.clock_skew_seconds.into()));
    if skew > MUCH_SKEW {
        let field = if provider.clock_skew.is_some() { "clock_skew" } else { "clock_skew_seconds" };
        let message = format!("expired tokens are good for {} s more", skew.as_secs());
        warnings.say("long_clock_skew", &format!("{path}.{field}"), message);
    }
}

fn about_keys(warnings: &mut Warnings<'_>, provider: &Provider, path: &str) {
    let (local, remote) = match &provider.jwks {
        Some(Jwks::Local(text)) => (Some(text), None),
        Some(Jwks::Remote { remote, fallback }) => (fallback.as_ref(), Some(remote)),
        None => (None, None),
    };
    if let Some(text) = local {
        about_local_keys(warnings, provider, text, &format!("{path}.local_jwks"));
    }
    let Some(remote) = remote else { return };
    let path = format!("{path}.remote_jwks");
    if let Some(RemoteSource::Uri { uri, .. }) = &remote.source
        && uri.starts_with("http://")
    {
        warnings.say(
            "keys_over_http",
            &format!("{path}.http_uri.uri"),
            "whoever is on the way of a plain http address can put keys into it",
        );
    }
    for (field, value) in
        [("stale_if_error", remote.stale_if_error), ("cache_duration", remote.cache_duration)]
    {
        if let Some(value) = value.filter(|value| *value > LONG) {
            let hours = value.as_secs() / 3600;
            let message = format!("a key that the issuer withdrew may be used for {hours} hours");
            warnings.say("long_stale_keys", &format!("{path}.{field}"), message);
        }
    }
}

fn about_local_keys(warnings: &mut Warnings<'_>, provider: &Provider, text: &[u8], path: &str) {
    let strength = match provider.allow_weak_keys {
        true => KeyStrength::WeakAllowed,
        false => KeyStrength::Required,
    };
    if let Ok(set) = KeySet::parse(text, strength) {
        for skipped in set.skipped() {
            let message = format!("keys[{}] is not used: {}", skipped.index, skipped.reason);
            warnings.say("key_not_used", path, message);
        }
    }
    let set: Value = serde_json::from_slice(text).unwrap_or_default();
    let keys = set.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, key) in keys.iter().enumerate() {
        let secret = key.get("k").and_then(Value::as_str).map(decode_key_member);
        let Some(Ok(secret)) = secret else { continue };
        if secret.len() < 32 {
            let message = format!(
                "keys[{index}]: a secret of {} octets; whoever has a token can try out short ones",
                secret.len()
            );
            warnings.say("weak_secret", path, message);
        } else if secret.iter().all(|octet| octet.is_ascii_graphic() || *octet == b' ') {
            let message = format!(
                "keys[{index}]: the secret looks like words that somebody typed; whoever has a token \
                 can try out those. `jwt-gate keygen --alg HS256` makes a random one"
            );
            warnings.say("weak_secret", path, message);
        }
    }
}

/// Lists of revoked tokens that need not be there.
fn about_lists(warnings: &mut Warnings<'_>, config: &Config) {
    let passes = |list: &Option<Revocation>| {
        let list = list.as_ref().and_then(|own| own.list.as_ref());
        list.is_some_and(|own| own.when_unavailable == WhenUnavailable::Allow)
    };
    let own = config.providers.iter().filter(|(_, provider)| passes(&provider.revocation));
    let own = own.map(|(name, _)| format!("{}.revocation", member_path("providers", name)));
    let whole = Some("revocation".to_owned()).filter(|_| passes(&config.revocation));
    for path in own.chain(whole) {
        warnings.say(
            "revoked_tokens_pass",
            &format!("{path}.list.when_unavailable"),
            "while the list cannot be had, revoked tokens pass: whoever keeps it away is let in",
        );
    }
}

fn about_rules(warnings: &mut Warnings<'_>, config: &Config) {
    let policies_deny = config.authorization.as_ref().is_some_and(|all| {
        all.default == Action::Deny || all.policies.iter().any(|one| one.action == Action::Deny)
    });
    for (index, rule) in config.rules.iter().enumerate() {
        let has_conditions = rule.authorization.is_some() || rule.step_up.is_some();
        if let Some(path) = rule.requires.as_ref().and_then(optional)
            && !has_conditions
            && !policies_deny
        {
            let path = if path.is_empty() { format!("rules[{index}].requires") } else { path };
            warnings.say(
                "optional_without_deny",
                &path,
                "a request without a good token passes, and nothing behind it denies anything: the \
                 backend must look for itself",
            );
        }
    }
    let catches_all = |path: &PathSpecifier| matches!(path, PathSpecifier::Prefix(prefix) if prefix == "/" || prefix.is_empty());
    let is_caught = config.rules.iter().any(|rule| {
        rule.matches.as_ref().is_some_and(|own| {
            catches_all(&own.path)
                && own.headers.is_empty()
                && own.query_parameters.is_empty()
                && own.cookies.is_empty()
                && !own.grpc
                && own.route_name.is_none()
                && own.route_metadata.is_empty()
        })
    });
    let has_default = config.default_requirement.is_some() || policies_deny;
    if !config.rules.is_empty() && !is_caught && !has_default {
        warnings.say(
            "no_catch_all",
            "rules",
            "what no rule matches is open; a last rule for the prefix `/` or `default_requirement` \
             closes it",
        );
    }
}

/// The path of what lets requests without a good token pass.
fn optional(own: &Requirement) -> Option<String> {
    match &own.kind {
        RequirementKind::AllowMissing
        | RequirementKind::AllowMissingOrFailed
        | RequirementKind::ExtractOnly(_) => Some(own.path.clone()),
        RequirementKind::Any(all) => all.iter().find_map(optional),
        _ => None,
    }
}

/// Whether every use of a provider names audiences.
fn always_with_audiences(config: &Config, provider: &str) -> bool {
    let (mut is_used, mut always) = (false, true);
    each_requirement(config, &mut |own| match &own.kind {
        RequirementKind::Provider { name, audiences, .. } if name == provider => {
            is_used = true;
            always &= !audiences.is_empty();
        }
        // These take tokens of every provider.
        RequirementKind::AllowMissing
        | RequirementKind::AllowMissingOrFailed
        | RequirementKind::ExtractOnly(_) => always = false,
        _ => {}
    });
    is_used && always
}

/// Calls `visit` with every requirement, those within others, too.
pub fn each_requirement<'a>(config: &'a Config, visit: &mut impl FnMut(&'a Requirement)) {
    fn go<'a>(own: &'a Requirement, visit: &mut impl FnMut(&'a Requirement)) {
        visit(own);
        if let RequirementKind::All(all) | RequirementKind::Any(all) = &own.kind {
            all.iter().for_each(|one| go(one, visit));
        }
    }
    let rules = config.rules.iter().filter_map(|rule| rule.requires.as_ref());
    let states = config.filter_state_rules.iter().flat_map(|all| all.requires.values());
    let all = rules.chain(states).chain(config.requirement_map.values());
    all.chain(&config.default_requirement).for_each(|own| go(own, visit));
}
