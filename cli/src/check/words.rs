//! A configuration in plain words.

use jwt_gate::config::condition::{ClaimMatch, Condition, ConditionKind};
use jwt_gate::config::{Config, Jwks, Provider, RemoteSource, Requirement, RequirementKind, Rule};

/// What rules ask for that nobody gets past without a good token; `open` are those of which the core
/// says otherwise.
pub fn protected(config: &Config, open: &[String]) -> Vec<String> {
    let is_open = |place: &str| {
        let place = format!("{place}:");
        open.iter().any(|line| line.starts_with(&place))
    };
    let rules = config.rules.iter().enumerate().filter_map(|(index, rule)| {
        let place = format!("rules[{index}] ({})", rule.matches.as_ref()?);
        (!is_open(&place)).then(|| format!("{place}: {}", asked(rule)))
    });
    let mut lines: Vec<_> = rules.collect();
    let place = "what no rule matches";
    if !is_open(place) {
        let asked = match &config.default_requirement {
            Some(own) => requirement(own),
            None => {
                let names: Vec<_> = config.providers.keys().map(String::as_str).collect();
                format!("a good token of {}", or(&names))
            }
        };
        lines.push(format!("{place}: {asked}"));
    }
    if let Some(authorization) = &config.authorization {
        let count = authorization.policies.len();
        lines.push(format!("behind the rules, {count} authorization policies decide in order"));
    }
    lines
}

fn asked(rule: &Rule) -> String {
    let mut text = rule.requires.as_ref().map_or_else(|| "nothing".to_owned(), requirement);
    if let Some(own) = &rule.authorization {
        text.push_str(&format!("; {}", condition(own)));
    }
    if let Some(step_up) = &rule.step_up {
        let ways = Some(&step_up.acr_values).filter(|ways| !ways.is_empty());
        let ways = ways.map(|ways| format!("; authenticated by {}", ways.join(" or ")));
        text.push_str(&ways.unwrap_or_default());
        if let Some(age) = step_up.max_age {
            text.push_str(&format!("; authenticated in the last {} s", age.as_secs()));
        }
    }
    text
}

/// What a requirement asks for.
pub fn requirement(own: &Requirement) -> String {
    let each = |all: &[Requirement]| all.iter().map(requirement).collect::<Vec<_>>();
    match &own.kind {
        RequirementKind::All(all) => format!("all of: {}", each(all).join(", and ")),
        RequirementKind::Any(all) => format!("one of: {}", each(all).join(", or ")),
        RequirementKind::AllowMissing => "no token, or a good one of any provider".to_owned(),
        RequirementKind::AllowMissingOrFailed => "nothing, though good tokens are read".to_owned(),
        RequirementKind::ExtractOnly(_) => "nothing, though good tokens are read".to_owned(),
        RequirementKind::Named(name) => format!("the requirement `{name}`"),
        RequirementKind::Nothing => "nothing".to_owned(),
        RequirementKind::Provider { name, audiences, authorization } => {
            let mut text = format!("a good token of `{name}`");
            if !audiences.is_empty() {
                text.push_str(&format!(" for {}", or(audiences)));
            }
            if let Some(own) = authorization {
                text.push_str(&format!(" with {}", condition(own)));
            }
            text
        }
    }
}

fn condition(own: &Condition) -> String {
    let each = |all: &[Condition]| all.iter().map(condition).collect::<Vec<_>>();
    match &own.kind {
        ConditionKind::All(all) => format!("({})", each(all).join(" and ")),
        ConditionKind::Any(all) => format!("({})", each(all).join(" or ")),
        ConditionKind::Not(inner) => format!("not {}", condition(inner)),
        ConditionKind::Authenticated(true) => "a good token".to_owned(),
        ConditionKind::Authenticated(false) => "no good token".to_owned(),
        ConditionKind::Claim { claim, value } => {
            let name = claim.join(".");
            match value {
                ClaimMatch::Present(true) => format!("the claim `{name}`"),
                ClaimMatch::Present(false) => format!("no claim `{name}`"),
                ClaimMatch::List(_) | ClaimMatch::Value(_) => {
                    format!("the claim `{name}` as the condition asks")
                }
            }
        }
        ConditionKind::Scopes(scopes) => {
            let all = scopes.all.iter().map(|scope| format!("scope {scope}"));
            let mut parts: Vec<_> = all.collect();
            if !scopes.any.is_empty() {
                parts.push(format!("scope {}", or(&scopes.any)));
            }
            parts.join(" and ")
        }
    }
}

/// What each provider takes.
pub fn providers(config: &Config) -> Vec<String> {
    config.providers.iter().map(|(name, own)| format!("{name}: {}", provider(own))).collect()
}

fn provider(own: &Provider) -> String {
    let mut issuers: Vec<&str> = own.issuers.iter().map(String::as_str).collect();
    issuers.extend(Some(own.issuer.as_str()).filter(|issuer| !issuer.is_empty()));
    let whose = match (&own.issuer_pattern, issuers.as_slice()) {
        (Some(_), _) => "tokens of issuers that fit the pattern".to_owned(),
        (None, []) => "tokens of anybody who signs with its keys".to_owned(),
        (None, some) => format!("tokens of {}", or(some)),
    };
    let audiences = match own.audiences.as_slice() {
        [] => "for any audience".to_owned(),
        some => format!("for {}", or(some)),
    };
    let keys = match &own.jwks {
        None => "without keys".to_owned(),
        Some(Jwks::Local(_)) => "keys in the configuration".to_owned(),
        Some(Jwks::Remote { remote, fallback }) => {
            let source = match &remote.source {
                Some(RemoteSource::Uri { uri, cluster }) => {
                    format!("keys from {uri} by way of the cluster `{cluster}`")
                }
                Some(RemoteSource::Discovery { .. }) => {
                    "keys where the issuer's metadata says".to_owned()
                }
                None => "keys from nowhere".to_owned(),
            };
            let fallback =
                fallback.as_ref().map_or("", |_| ", until then those in the configuration");
            format!("{source}{fallback}")
        }
    };
    format!("{whose}, {audiences}; {}; {keys}", locations(own))
}

/// Where a provider takes tokens from.
pub fn locations(own: &Provider) -> String {
    let headers = own.from_headers.iter().map(|from| match from.value_prefix.as_str() {
        "" => format!("header {}", from.name),
        prefix => format!("header {}: {}…", from.name, prefix),
    });
    let params = own.from_params.iter().map(|name| format!("query parameter {name}"));
    let cookies = own.from_cookies.iter().map(|name| format!("cookie {name}"));
    let all: Vec<_> = headers.chain(params).chain(cookies).collect();
    match all.as_slice() {
        [] => "in authorization: Bearer … or the query parameter access_token".to_owned(),
        all => format!("in {}", or(all)),
    }
}

fn or(all: &[impl AsRef<str>]) -> String {
    all.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" or ")
}
