//! From JSON to the wire structs, field by field, with the checks that need no other field.

use std::time::Duration;

use crate::config::reader::{ConfigError, Errors, Fields, Node};
use crate::config::{
    ClaimToHeader, Config, FromHeader, Jwks, PathMatch, PathMatchKind, Provider, RemoteJwks,
    Requirement, RequirementKind, Rule,
};
use crate::json;

impl Config {
    /// Reads a configuration; returns what could be read and every mistake in its form.
    pub fn parse(text: &[u8]) -> (Self, Vec<ConfigError>) {
        let errors = Errors::default();
        let config = match json::parse(text) {
            Ok(value) => Node::root(&value, &errors).object(Self::read),
            Err(error) => {
                let expected = "expected a JSON text, delivered as google.protobuf.StringValue";
                errors
                    .push("", format!("the configuration is not acceptable: {error}; {expected}"));
                None
            }
        };
        (config.unwrap_or_default(), errors.into_sorted())
    }

    fn read(fields: &mut Fields<'_>) -> Self {
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
            rules: list(fields, "rules", |node| node.object(Rule::read)),
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
        }
    }
}

impl Provider {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            issuer: text(fields, "issuer"),
            audiences: texts(fields, "audiences"),
            jwks: Jwks::read(fields),
            forward: flag(fields, "forward"),
            from_headers: list(fields, "from_headers", |node| node.object(FromHeader::read)),
            from_params: texts(fields, "from_params"),
            from_cookies: texts(fields, "from_cookies"),
            forward_payload_header: identity_header(
                fields.get("forward_payload_header").filter(|node| !node.is_empty_text()),
            ),
            claim_to_headers: list(fields, "claim_to_headers", |node| {
                node.object(ClaimToHeader::read)
            }),
            clock_skew_seconds: fields
                .get("clock_skew_seconds")
                .and_then(|node| node.unsigned())
                .unwrap_or_default(),
            clock_skew: fields.get("clock_skew").and_then(|node| node.duration()),
            allow_weak_keys: flag(fields, "allow_weak_keys"),
        }
    }
}

impl Jwks {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let Some((name, node)) = fields.one_of(&["remote_jwks", "local_jwks"]) else {
            fields.error("`remote_jwks` or `local_jwks` is required");
            return None;
        };
        match name {
            "remote_jwks" => node.object(RemoteJwks::read).map(Self::Remote),
            _ => node
                .object(|fields| {
                    for source in ["filename", "environment_variable"] {
                        fields.unsupported(
                            source,
                            "a plugin cannot read it; put the keys into `inline_string`",
                        );
                    }
                    fields.required("inline_string").and_then(|node| node.non_empty_text())
                })?
                .map(Self::Local),
        }
    }
}

impl RemoteJwks {
    fn read(fields: &mut Fields<'_>) -> Self {
        let mut remote = Self::default();
        if let Some(node) = fields.required("http_uri") {
            node.object(|fields| {
                remote.uri = required_text(fields, "uri");
                remote.cluster = required_text(fields, "cluster");
                if let Some(node) = fields.required("timeout") {
                    remote.timeout = node.duration().unwrap_or(MAX_TIMEOUT);
                    if remote.timeout < MIN_TIMEOUT || remote.timeout > MAX_TIMEOUT {
                        node.error("must be from 0.001s to 60s");
                    }
                }
            });
        }
        remote.cache_duration = fields.get("cache_duration").and_then(|node| {
            let duration = node.duration()?;
            if duration.is_zero() {
                node.error("must be longer than 0s");
            }
            Some(duration)
        });
        remote.stale_if_error = fields.get("stale_if_error").and_then(|node| node.duration());
        remote.unknown_kid_cooldown = fields.get("unknown_kid_cooldown").and_then(|node| {
            let duration = node.duration()?;
            if duration < MIN_COOLDOWN || duration > MAX_COOLDOWN {
                node.error("must be from 0.1s to 4s");
            }
            Some(duration)
        });
        remote
    }
}

/// The shortest `timeout`: the host counts in milliseconds, and takes zero for no time-out.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);
/// The longest `timeout`: a fetch that hangs longer only keeps the next one from being tried.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// The shortest `unknown_kid_cooldown`: it is what protects the issuer from invented `kid`s.
const MIN_COOLDOWN: Duration = Duration::from_millis(100);
/// The longest `unknown_kid_cooldown`: shorter than requests wait for keys, so that a `kid` that
/// nobody looked for yet is looked for before its request is given up.
const MAX_COOLDOWN: Duration = Duration::from_secs(4);

impl FromHeader {
    fn read(fields: &mut Fields<'_>) -> Self {
        let name = fields.required("name").and_then(|node| header_name(&node)).unwrap_or_default();
        Self { name, value_prefix: text(fields, "value_prefix") }
    }
}

impl ClaimToHeader {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            header_name: identity_header(fields.required("header_name")),
            claim_name: required_text(fields, "claim_name"),
        }
    }
}

impl Rule {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            matches: fields
                .required("match")
                .and_then(|node| node.object(PathMatch::read))
                .flatten(),
            requires: fields.get_not_null("requires").and_then(Requirement::read),
        }
    }
}

impl PathMatch {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let case_sensitive =
            fields.get("case_sensitive").and_then(|node| node.boolean()).unwrap_or(true);
        let Some((name, node)) = fields.one_of(&["prefix", "path"]) else {
            fields.error("`prefix` or `path` is required");
            return None;
        };
        let pattern = node.text()?;
        // Patterns that no path can match would leave open what they are meant to protect.
        let anything = pattern.is_empty() && name == "prefix";
        if !anything && !pattern.starts_with('/') && pattern != "*" {
            node.error("expected a path, which begins with `/`");
        }
        if pattern.contains(['?', '#']) {
            node.error("paths are compared without their query: expected no `?` and no `#`");
        }
        let kind = match name {
            "prefix" => PathMatchKind::Prefix(pattern),
            _ => PathMatchKind::Path(pattern),
        };
        Some(Self { kind, case_sensitive })
    }
}

/// How deep requirements may nest: far beyond anything a person writes.
const MAX_REQUIREMENT_DEPTH: usize = 16;

impl Requirement {
    fn read(node: Node<'_>) -> Option<Self> {
        Self::read_at(node, 0)
    }

    fn read_at(node: Node<'_>, depth: usize) -> Option<Self> {
        if depth > MAX_REQUIREMENT_DEPTH {
            node.error("requirements are nested too deeply");
            return None;
        }
        let children = |node: Node<'_>| {
            node.object(|fields| {
                let requirements = fields.required("requirements")?;
                let children =
                    requirements.list(|node| Self::read_at(node, depth.saturating_add(1)));
                if children.len() < 2 {
                    requirements.error("at least two requirements are expected");
                }
                Some(children)
            })
            .flatten()
            .unwrap_or_default()
        };
        let path = node.path().to_owned();
        let kind = node.object(|fields| {
            let kinds = [
                "provider_name",
                "provider_and_audiences",
                "requires_any",
                "requires_all",
                "allow_missing",
                "allow_missing_or_failed",
            ];
            for kind in kinds {
                fields.get_not_null(kind);
            }
            let kind = fields.one_of(&kinds);
            Some(match kind {
                None => RequirementKind::Nothing,
                Some(("provider_name", node)) => RequirementKind::Provider {
                    name: node.non_empty_text()?,
                    audiences: Vec::new(),
                },
                Some(("provider_and_audiences", node)) => {
                    node.object(|fields| RequirementKind::Provider {
                        name: required_text(fields, "provider_name"),
                        audiences: texts(fields, "audiences"),
                    })?
                }
                Some(("requires_any", node)) => RequirementKind::Any(children(node)),
                Some(("requires_all", node)) => RequirementKind::All(children(node)),
                Some((name, node)) => {
                    node.object(|_| ());
                    match name {
                        "allow_missing" => RequirementKind::AllowMissing,
                        _ => RequirementKind::AllowMissingOrFailed,
                    }
                }
            })
        })??;
        Some(Self { path, kind })
    }
}

fn text(fields: &mut Fields<'_>, name: &str) -> String {
    fields.get(name).and_then(|node| node.text()).unwrap_or_default()
}

fn required_text(fields: &mut Fields<'_>, name: &str) -> String {
    fields.required(name).and_then(|node| node.non_empty_text()).unwrap_or_default()
}

fn texts(fields: &mut Fields<'_>, name: &str) -> Vec<String> {
    list(fields, name, |node| node.non_empty_text())
}

fn list<'a, T>(
    fields: &mut Fields<'a>,
    name: &str,
    read: impl FnMut(Node<'a>) -> Option<T>,
) -> Vec<T> {
    fields.get(name).map(|node| node.list(read)).unwrap_or_default()
}

fn flag(fields: &mut Fields<'_>, name: &str) -> bool {
    fields.get(name).and_then(|node| node.boolean()).unwrap_or_default()
}

/// A header name in lower case, as Envoy holds it (RFC 9110 section 5.6.2, token).
fn header_name(node: &Node<'_>) -> Option<String> {
    let name = node.non_empty_text()?;
    let token = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    if name.bytes().all(token) {
        return Some(name.to_ascii_lowercase());
    }
    node.error("expected the name of a header");
    None
}

/// A header that the gate writes: not one that frames or routes the request.
fn identity_header(node: Option<Node<'_>>) -> String {
    const FRAMING: [&str; 8] = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let name = node.as_ref().and_then(header_name).unwrap_or_default();
    if let Some(node) = node.filter(|_| FRAMING.contains(&name.as_str())) {
        node.error("this header frames or routes the request and cannot carry a claim");
    }
    name
}
