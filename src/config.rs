//! The configuration as it is written: Envoy's `JwtAuthentication` message in its JSON form
//! (`envoy.extensions.filters.http.jwt_authn.v3`), and the fields that are ours.
//!
//! The comments of the fields are the configuration reference. Nothing here has meaning yet:
//! [`crate::policy`] makes something of it.

pub mod reader;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::reader::{ConfigError, Errors, Fields, Node};
use crate::json;

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
    /// Ours: the status when keys cannot be had, 503 (default) or 401 (native).
    pub keys_unavailable_status: Option<u32>,
}

/// `JwtProvider`: one issuer, where its tokens are, and what becomes of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Provider {
    /// The `iss` that tokens must have, compared exactly. Empty: any, or none.
    pub issuer: String,
    /// The token's `aud` must name one of these; empty: not checked. Compared without `http://`,
    /// `https://` and one trailing slash.
    pub audiences: Vec<String>,
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
    /// Headers that receive claims. Clients' copies are struck.
    pub claim_to_headers: Vec<ClaimToHeader>,
    /// Tolerance for `exp` and `nbf`, in seconds. 0 or not set: 60, as natively.
    pub clock_skew_seconds: u32,
    /// Ours: the same as a duration, where `"0s"` means none.
    pub clock_skew: Option<Duration>,
    /// Ours: take RSA keys from 512 bits and HMAC secrets shorter than the hash. Default: false.
    pub allow_weak_keys: bool,
}

/// Where keys come from: exactly one of the two.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Jwks {
    /// `local_jwks.inline_string`: a JWK set as text.
    Local(String),
    /// `remote_jwks`: a JWK set that is fetched.
    Remote(RemoteJwks),
}

/// `RemoteJwks`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RemoteJwks {
    /// The address. Required; `https` in production, since whoever controls the answer can sign.
    pub uri: String,
    /// The Envoy cluster that leads there. Required.
    pub cluster: String,
    /// How long one fetch may take. Required, longer than zero.
    pub timeout: Duration,
    /// How long a set counts as fresh. Default: 10 minutes. Refreshed ahead of that.
    pub cache_duration: Option<Duration>,
    /// Ours: how long past its freshness a set is used while the issuer fails. Default: 1 hour.
    pub stale_if_error: Option<Duration>,
    /// Ours: the least time between two fetches for unknown `kid`s. Default: 2 s, at most 4 s.
    pub unknown_kid_cooldown: Option<Duration>,
}

/// `JwtHeader`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FromHeader {
    /// The header's name.
    pub name: String,
    /// What stands before the token, such as `Bearer `; compared without regard to case.
    pub value_prefix: String,
}

/// `JwtClaimToHeader`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimToHeader {
    /// The header's name.
    pub header_name: String,
    /// The claim; dots lead into objects (`address.country`).
    pub claim_name: String,
}

/// `RequirementRule`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Which requests. Required.
    pub matches: Option<PathMatch>,
    /// What they need; not set: nothing.
    pub requires: Option<Requirement>,
}

/// The part of `RouteMatch` that is implemented so far.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathMatch {
    /// How the path is compared.
    pub kind: PathMatchKind,
    /// Whether case matters. Default: true.
    pub case_sensitive: bool,
}

/// The path specifier of a `RouteMatch`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PathMatchKind {
    /// `path`: the whole path, without the query.
    Path(String),
    /// `prefix`: how the path begins.
    Prefix(String),
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
    /// `requires_any`: one of at least two.
    Any(Vec<Requirement>),
    /// An empty requirement: nothing.
    Nothing,
    /// `provider_name`, or `provider_and_audiences` with the audiences that replace the
    /// provider's own.
    Provider {
        /// The provider.
        name: String,
        /// Empty: the provider's own.
        audiences: Vec<String>,
    },
}

impl Config {
    /// Reads a configuration; returns what could be read and every mistake in its form.
    pub fn parse(text: &[u8]) -> (Self, Vec<ConfigError>) {
        let errors = Errors::default();
        let config = match json::parse(text) {
            Ok(value) => Node::root(&value, &errors).object(Self::read),
            Err(error) => {
                errors.push("", format!("the configuration is not acceptable: {error}"));
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
            default_requirement: fields.get("default_requirement").and_then(Requirement::read),
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
                    remote.timeout = node.duration().unwrap_or(Duration::from_secs(1));
                    if remote.timeout.is_zero() {
                        node.error("must be longer than 0s");
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

/// The shortest `unknown_kid_cooldown`: it is what protects the issuer from invented `kid`s.
pub const MIN_COOLDOWN: Duration = Duration::from_millis(100);
/// The longest `unknown_kid_cooldown`: shorter than requests wait for keys, so that a `kid` that
/// nobody looked for yet is looked for before its request is given up.
pub const MAX_COOLDOWN: Duration = Duration::from_secs(4);

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
            requires: fields.get("requires").and_then(Requirement::read),
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
        let kind = match name {
            "prefix" => PathMatchKind::Prefix(node.text()?),
            _ => PathMatchKind::Path(node.text()?),
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
            let kind = fields.one_of(&[
                "provider_name",
                "provider_and_audiences",
                "requires_any",
                "requires_all",
                "allow_missing",
                "allow_missing_or_failed",
            ]);
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
