//! What a provider asks of whoever presents its tokens, as written. Ours.

use std::time::Duration;

use crate::config::fields::Fields;
use crate::config::headers::header_name;
use crate::config::reader::Node;
#[cfg(feature = "reference")]
use crate::config::reference::PUBLIC_ALGORITHMS;

/// `single_use` of a provider: each token passes once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SingleUse {
    /// The longest that a token may be good for, and is remembered. Not set: an hour.
    pub max_lifetime: Option<Duration>,
}

/// `sender_constraint` of a provider: who may present a token that is bound to somebody by `cnf`
/// (RFC 7800).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SenderConstraint {
    /// Refuse tokens that are bound to nobody. Default: false.
    pub required: bool,
    /// Tokens that are bound to a client certificate (RFC 8705 section 3).
    pub mtls: Option<Mtls>,
    /// Tokens that are bound to a key (RFC 9449).
    pub dpop: Option<Dpop>,
}

/// `mtls`: where the client's certificate is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Mtls {
    /// A header in the form of `x-forwarded-client-cert`, which only a proxy can have written. Not set:
    /// the certificate of the connection.
    pub from_header: Option<String>,
}

/// `dpop`: what proofs of possession must be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Dpop {
    /// The algorithms that they may have. Not set: ES256 and EdDSA.
    pub algorithms: Vec<String>,
    /// How long ago they may have been made. Not set: a minute.
    pub max_age: Option<Duration>,
    /// The scheme, host and port that clients use, if requests do not say so.
    pub origins: Vec<String>,
    /// Nonces that they must have.
    pub nonce: Option<Nonce>,
}

/// `nonce`: nonces that no worker has to remember.
#[derive(Clone, Eq, PartialEq)]
pub struct Nonce {
    /// Who does not know it cannot make them.
    pub secret: String,
    /// How long one is handed out; it is taken for twice as long. Not set: five minutes.
    pub lifetime: Option<Duration>,
}

impl std::fmt::Debug for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the secret.
        self.lifetime.fmt(f)
    }
}

/// `replay_memory`: where uses are remembered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReplayMemory {
    /// The most that are remembered at a time. Not set: 65536.
    pub max_entries: Option<u32>,
}

/// The longest that a token is remembered.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// The largest memory, in uses: 96 MiB.
const MAX_ENTRIES: u32 = 4 * 1024 * 1024;
/// The smallest, one bucket.
const MIN_ENTRIES: u32 = 128;
/// The longest that proofs are good for, and the time of a nonce.
const MAX_PROOF_AGE: Duration = Duration::from_secs(60 * 60);
/// The shortest secret of nonces, in octets: as long as what is made of it.
const MIN_SECRET: usize = 32;

reference! {
    /// Each token passes once: it must have `jti` and `exp`.
    SINGLE_USE = "SingleUse" ("single-use.md") {
        /// Tokens with this much or more left until `exp` are refused, since each has to be remembered
        /// as long. A shorter `max_lifetime` of the provider counts as well.
        "max_lifetime": Time(Span::up_to(MAX_LIFETIME)), ours, default("3600s");
    }

    /// Who may present a token that is bound to somebody.
    SENDER_CONSTRAINT = "SenderConstraint" ("bound-tokens.md").rules(&[AnyOf(&["mtls", "dpop"])]) {
        /// Refuse tokens without `cnf` (`confirmation_missing`).
        "required": Flag, ours, default("false");
        /// Take tokens with `cnf.x5t#S256`, from clients with that certificate.
        "mtls": Fields(&MTLS), ours, default("not taken"), page("bound-tokens.md#client-certificates"),
            rfc("RFC 8705 section 3");
        /// Take tokens with `cnf.jkt`, with proofs of that key.
        "dpop": Fields(&DPOP), ours, default("not taken"), page("bound-tokens.md#dpop"), rfc("RFC 9449");
    }

    /// Where the client's certificate is.
    MTLS = "Mtls" ("bound-tokens.md#client-certificates") {
        /// A header in the form of `x-forwarded-client-cert`, which only a proxy can have written.
        "from_header": Text(Letters::HEADER), ours, default("the certificate of the connection");
    }

    /// What proofs of possession must be.
    DPOP = "Dpop" ("bound-tokens.md#dpop") {
        /// Those that proofs may have.
        "algorithms": List(&Choice(PUBLIC_ALGORITHMS), 0), ours, default("[\"ES256\", \"EdDSA\"]"),
            page("configuration.md#algorithms");
        /// How long ago a proof may have been made, beside the provider's clock skew.
        "max_age": Time(Span::up_to(MAX_PROOF_AGE).whole()), ours, default("60s");
        /// Schemes, hosts and ports that clients use. Where a request says one of them itself, only that
        /// one counts for it.
        "origins": List(&Text(Letters::SOME), 0), ours,
            default("of each request: `x-forwarded-proto` or else `:scheme`, and `:authority`"),
            example("[\"https://api.example\"]");
        /// Proofs must have a nonce of the gate's.
        "nonce": Fields(&NONCE), ours, default("none"), rfc("RFC 9449 section 8");
    }

    /// Nonces that no worker has to remember.
    NONCE = "Nonce" ("bound-tokens.md#dpop") {
        /// Who does not know it cannot make them.
        "secret": Text(Letters { least: MIN_SECRET, ..Letters::ANY }), ours, required;
        /// How long one is handed out; it is taken for twice as long.
        "lifetime": Time(Span::up_to(MAX_PROOF_AGE).whole()), ours, default("300s");
    }

    /// Where uses are remembered that must be the only ones.
    REPLAY_MEMORY = "ReplayMemory" ("single-use.md") {
        /// How many tokens and proofs are remembered at a time, 24 octets each.
        "max_entries": Unsigned(MIN_ENTRIES, MAX_ENTRIES), ours, default("65536"), unit("uses");
    }
}

impl SingleUse {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let max_lifetime = fields.get("max_lifetime");
        Self { max_lifetime: max_lifetime.and_then(|node| up_to(MAX_LIFETIME, &node)) }
    }
}

/// A time longer than zero, and no longer than this.
fn up_to(most: Duration, node: &Node<'_>) -> Option<Duration> {
    let duration = node.duration()?;
    if duration.is_zero() || duration > most {
        node.error(format!("must be longer than 0s, and at most {}s", most.as_secs()));
    }
    Some(duration)
}

/// The same in whole seconds: what is compared with it has no others.
fn whole_seconds(node: &Node<'_>) -> Option<Duration> {
    let duration = up_to(MAX_PROOF_AGE, node)?;
    if duration.subsec_nanos() > 0 {
        node.error("expected whole seconds");
    }
    Some(duration)
}

impl SenderConstraint {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let read = Self {
            required: fields.flag("required"),
            mtls: fields.get("mtls").and_then(|node| node.object(Mtls::read)),
            dpop: fields.get("dpop").and_then(|node| node.object(Dpop::read)),
        };
        if read.mtls.is_none() && read.dpop.is_none() {
            fields.error("`mtls` or `dpop` is required");
        }
        read
    }
}

impl Mtls {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self { from_header: fields.get("from_header").as_ref().and_then(header_name) }
    }
}

impl Dpop {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            algorithms: fields.texts("algorithms"),
            max_age: fields.get("max_age").and_then(|node| whole_seconds(&node)),
            origins: fields.texts("origins"),
            nonce: fields.get("nonce").and_then(|node| node.object(Nonce::read)),
        }
    }
}

impl Nonce {
    fn read(fields: &mut Fields<'_>) -> Self {
        let secret = fields.required("secret");
        let read = Self {
            secret: secret.as_ref().and_then(|node| node.text()).unwrap_or_default(),
            lifetime: fields.get("lifetime").and_then(|node| whole_seconds(&node)),
        };
        if let Some(node) = secret.filter(|_| read.secret.len() < MIN_SECRET) {
            node.error(format!("must have at least {MIN_SECRET} octets"));
        }
        read
    }
}

impl ReplayMemory {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let max_entries = fields.get("max_entries").and_then(|node| {
            let entries = node.unsigned()?;
            if !(MIN_ENTRIES..=MAX_ENTRIES).contains(&entries) {
                node.error(format!("must be at least {MIN_ENTRIES}, and at most {MAX_ENTRIES}"));
            }
            Some(entries)
        });
        Self { max_entries }
    }
}
