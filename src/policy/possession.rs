//! What a provider asks of whoever presents its tokens, beside tokens that are good: that each is used
//! once, and by whom it was issued to.
//!
//! A token that is known from before is asked the same: what of it never changes is kept with it.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::config;
use crate::config::reader::Errors;
use crate::denial::{Denial, DpopScheme, Misuse, Reason};
use crate::extract::TokenLocation;
use crate::jose::base64url;
use crate::jose::jwk::Jwk;
use crate::jose::jws::VerifiedPayload;
use crate::json::Node;
use crate::policy::certificate::Mtls;
use crate::policy::dpop::Dpop;
use crate::policy::evaluate::Evaluation;
use crate::policy::known_token::KnownToken;
use crate::policy::{Policy, Provider};
use crate::request::PropertyPath;
use crate::single_use::{DEFAULT_RECORDS, Kind, Mark, Memory, Use, mark};

/// The longest that tokens of single use may be good for, if the configuration does not say.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);
/// RFC 7519 section 4.1.7.
pub(super) const JTI: &str = "jti";
/// RFC 7800 section 3.1.
const CNF: &str = "cnf";

/// What a provider asks of those who present its tokens.
#[derive(Debug, Default)]
pub(super) struct Possession {
    /// Each token passes once. Whose tokens they are is part of their mark: another provider's must not
    /// use them up.
    single_use: Option<String>,
    pub(super) sender: Option<Sender>,
}

/// Who may present tokens that are bound to somebody.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) required: bool,
    pub(super) mtls: Option<Mtls>,
    pub(super) dpop: Option<Dpop>,
}

/// What binds a token, once it is verified.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Binding {
    /// What it is remembered by when it is used.
    once: Option<Mark>,
    confirmation: Confirmation,
}

/// Who may present a token.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum Confirmation {
    /// Whoever has it.
    #[default]
    Anybody,
    /// Whoever has all of these.
    Owner { certificate: Option<[u8; 32]>, key: Option<BoundKey> },
    /// Nobody can tell.
    Unknown,
}

/// The key to which a token is bound, and what its proofs say of the token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct BoundKey {
    pub(super) jkt: String,
    pub(super) ath: String,
    pub(super) proven: ProvenKey,
}

/// The key itself, from its first good proof on: it lives as long as the token is known.
#[derive(Clone, Default)]
pub(super) struct ProvenKey(pub(super) Rc<OnceCell<Jwk>>);

impl fmt::Debug for ProvenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "proven" } else { "not proven" })
    }
}

/// What is remembered of a token changes nothing of what it is.
impl PartialEq for ProvenKey {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ProvenKey {}

/// What a request uses up, and what travels on with a token.
#[derive(Default)]
pub(super) struct Held {
    pub(super) uses: Vec<Use>,
    /// Where the proof is.
    pub(super) proof: Option<TokenLocation>,
}

/// Where uses are remembered.
pub(super) fn memory(wire: config::possession::ReplayMemory, secret: &str) -> Rc<Memory> {
    Rc::new(Memory::new(wire.max_entries.unwrap_or(DEFAULT_RECORDS), secret))
}

/// The longest that tokens may be good for: those of single use must be remembered as long.
pub(super) fn longest_life(wire: &config::Provider) -> Option<Duration> {
    let own = wire.single_use.map(|own| own.max_lifetime.unwrap_or(DEFAULT_LIFETIME));
    own.into_iter().chain(wire.max_lifetime).min()
}

impl Binding {
    /// What it takes, roughly, in octets: most of it is the client's key.
    pub(super) fn octets(&self) -> usize {
        const OF_A_KEY: usize = 512;
        match &self.confirmation {
            Confirmation::Owner { key: Some(_), .. } => OF_A_KEY,
            _ => 0,
        }
    }
}

impl Possession {
    pub(super) fn compile(
        name: &str,
        wire: &config::Provider,
        path: &str,
        errors: &Errors,
    ) -> Self {
        let path = format!("{path}.sender_constraint");
        let sender = wire.sender_constraint.as_ref().map(|wire| Sender {
            required: wire.required,
            mtls: wire.mtls.as_ref().map(Mtls::compile),
            dpop: wire.dpop.as_ref().map(|wire| Dpop::compile(wire, &path, errors)),
        });
        Self { single_use: wire.single_use.map(|_| name.to_owned()), sender }
    }

    /// The place of tokens that are bound to a key (RFC 9449 section 7.1), beside those of others.
    pub(super) fn location(&self) -> Option<TokenLocation> {
        self.dpop().map(|_| Dpop::location())
    }

    pub(super) fn dpop(&self) -> Option<&Dpop> {
        self.sender.as_ref()?.dpop.as_ref()
    }

    pub(super) fn mtls(&self) -> Option<&Mtls> {
        self.sender.as_ref()?.mtls.as_ref()
    }

    /// Whether tokens that are bound to nobody, or to a certificate, may pass.
    pub(super) fn takes_bearer_tokens(&self) -> bool {
        self.sender.as_ref().is_none_or(|own| !own.required || own.mtls.is_some())
    }

    /// What of a verified token it has to do with.
    pub(super) fn binding(&self, token: &[u8], payload: &VerifiedPayload<'_>) -> Binding {
        Binding {
            once: self.single_use.as_ref().map(|provider| {
                let text = |name| payload.claims().get(name).and_then(Node::as_text);
                let parts = [Some(provider.as_str()), text("iss"), text(JTI)];
                mark(Kind::Token, &parts.map(|part| part.unwrap_or_default().as_bytes()))
            }),
            confirmation: match (&self.sender, payload.claims().get(CNF)) {
                (None, _) | (_, None) => Confirmation::Anybody,
                (Some(sender), Some(cnf)) => {
                    sender.confirmation(&cnf.to_value(), token).unwrap_or(Confirmation::Unknown)
                }
            },
        }
    }
}

impl Sender {
    /// None: something in it is not understood, and might be what matters.
    fn confirmation(&self, cnf: &Value, token: &[u8]) -> Option<Confirmation> {
        let (mut certificate, mut key) = (None, None);
        for (name, value) in cnf.as_object()? {
            let text = value.as_str()?;
            match name.as_str() {
                // RFC 8705 section 3.1.
                "x5t#S256" if self.mtls.is_some() => {
                    let digest = base64url::decode(text.as_bytes()).ok()?;
                    certificate = Some(<[u8; 32]>::try_from(digest).ok()?);
                }
                // RFC 9449 section 6.1.
                "jkt" if self.dpop.is_some() => {
                    let ath = URL_SAFE_NO_PAD.encode(Sha256::digest(token));
                    let proven = ProvenKey::default();
                    key = Some(BoundKey { jkt: text.to_owned(), ath, proven });
                }
                _ => return None,
            }
        }
        let is_bound = certificate.is_some() || key.is_some();
        is_bound.then_some(Confirmation::Owner { certificate, key })
    }
}

impl Evaluation<'_> {
    /// What a request uses up that presents this verified token; or why it must not present it.
    pub(super) fn possess(
        self,
        provider: &Provider,
        known: &KnownToken,
        location: &TokenLocation,
    ) -> Result<Held, Denial> {
        let mut held = match &provider.possession.sender {
            Some(sender) => self.check_sender(sender, provider, known, location)?,
            None => Held::default(),
        };
        if let Some(mark) = known.binding.once {
            let until = known.claims.exp.unwrap_or(u64::MAX);
            // As long as any provider would take it.
            let until = until.saturating_add(self.policy.longest_skew);
            held.uses.push(self.usable(Use { kind: Kind::Token, mark, until })?);
        }
        Ok(held)
    }

    fn check_sender(
        self,
        sender: &Sender,
        provider: &Provider,
        known: &KnownToken,
        location: &TokenLocation,
    ) -> Result<Held, Denial> {
        let (certificate, key) = match &known.binding.confirmation {
            Confirmation::Unknown => return Err(misused(Misuse::ConfirmationUnknown)),
            Confirmation::Anybody if sender.required => {
                return Err(misused(Misuse::ConfirmationMissing));
            }
            Confirmation::Anybody => (&None, &None),
            Confirmation::Owner { certificate, key } => (certificate, key),
        };
        // What cannot be checked was not understood in the first place.
        if let Some((mtls, digest)) = sender.mtls.as_ref().zip(certificate.as_ref()) {
            mtls.check(digest, self.head).map_err(misused)?;
        }
        match sender.dpop.as_ref().zip(key.as_ref()) {
            Some((dpop, key)) => {
                let proof = self.check_proof(dpop, provider.clock_skew, key, location)?;
                let proof = self.usable(proof)?;
                Ok(Held { uses: vec![proof], proof: Some(Dpop::proof_location()) })
            }
            None if *location == Dpop::location() => Err(misused(Misuse::NotBound)),
            None => Ok(Held::default()),
        }
    }

    /// A use that is not known to be impossible.
    fn usable(self, one: Use) -> Result<Use, Reason> {
        match self.refused.iter().find(|(mark, _)| *mark == one.mark) {
            None => Ok(one),
            Some((_, reason)) => Err(*reason),
        }
    }
}

impl Provider {
    /// Whether it takes tokens from `Authorization: Bearer`, or in another way that needs no proof.
    pub(super) fn takes_bearer_header(&self) -> bool {
        let proven = Dpop::location();
        let is_it = |own: &TokenLocation| own.goes_with(&proven) && *own != proven;
        self.possession.takes_bearer_tokens() && self.locations.iter().any(is_it)
    }
}

pub(super) fn misused(misuse: Misuse) -> Denial {
    Reason::Misused(misuse).into()
}

/// The most of these, in whole seconds.
pub(super) fn longest(spans: impl Iterator<Item = Duration>) -> u64 {
    spans.max().map_or(0, |most| most.as_secs().saturating_add(u64::from(most.subsec_nanos() > 0)))
}

impl Policy {
    /// What the host must tell of a request's connection.
    pub(super) fn connection_properties(providers: &[Provider]) -> Vec<PropertyPath> {
        let mtls = providers.iter().filter_map(|provider| provider.possession.mtls());
        mtls.filter_map(Mtls::property).collect()
    }

    /// How challenges speak of DPoP: as the provider wants that refused, or any of them if it was none.
    pub(super) fn dpop_scheme(&self, provider: Option<&Provider>) -> Option<DpopScheme<'_>> {
        let concerned = || {
            let providers = self.providers.iter();
            providers.filter(|own| provider.is_none_or(|provider| std::ptr::eq(*own, provider)))
        };
        let algorithms = concerned().find_map(|own| own.possession.dpop())?.algorithm_names();
        let only = concerned().all(|own| !own.possession.takes_bearer_tokens());
        Some(DpopScheme { algorithms, only })
    }
}
