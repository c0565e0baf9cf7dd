//! One token against one provider.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::claims::RegisteredClaims;
use crate::denial::{Denial, Reason};
use crate::extract::TokenLocation;
use crate::jose::algorithm::Algorithm;
use crate::jose::header::Header;
use crate::jose::jwk::Jwk;
use crate::jose::jws::{NotVerified, Parts, SignedJws, UnverifiedJws, VerifiedPayload};
use crate::json::{Members, Node};
use crate::jwks::{KeyState, UnknownKid};
use crate::policy::authorization::Bearer;
use crate::policy::evaluate::{Evaluation, Patience, Wanted};
use crate::policy::grant::{Grant, Outcome};
use crate::policy::known_token::KnownToken;
use crate::policy::provider::{Lifetime, TokenChecks};
use crate::policy::trace::Note;
use crate::policy::{Provider, ProviderIndex};
use crate::revocation::status_list::StatusError;
use crate::time::UnixTime;

/// Most signatures that are checked for one request, over all its tokens and alternatives: what
/// bounds the work that anybody can cause with one request.
pub const MAX_SIGNATURE_CHECKS: usize = 32;
/// Most octets of tokens that are read for one request; a token counts once for every alternative
/// that looks at it. Fifty providers can look at a token of ten kilobytes.
pub const MAX_OCTETS_READ: usize = 512 * 1024;

/// What may still be spent on one request, and what was saved.
#[derive(Debug, Eq, PartialEq)]
pub struct Budget {
    signatures: Cell<Option<usize>>,
    octets: Cell<Option<usize>>,
    known: Cell<usize>,
    distrusted: Cell<bool>,
    uncompared: Cell<bool>,
    bad_list: Cell<Option<(usize, StatusError)>>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            signatures: Cell::new(Some(MAX_SIGNATURE_CHECKS)),
            octets: Cell::new(Some(MAX_OCTETS_READ)),
            known: Cell::default(),
            distrusted: Cell::default(),
            uncompared: Cell::default(),
            bad_list: Cell::default(),
        }
    }
}

impl Budget {
    /// How many tokens were known, and how many signatures were checked.
    pub fn spent(&self) -> (usize, usize) {
        let left = self.signatures.get().unwrap_or_default();
        (self.known.get(), MAX_SIGNATURE_CHECKS.saturating_sub(left))
    }

    /// Whether a key was used for which arithmetic of our own was wrong.
    pub fn met_distrusted_key(&self) -> bool {
        self.distrusted.get()
    }

    /// Notes that a token passes although a list of revoked ones could not be had.
    pub(super) fn note_uncompared(&self) {
        self.uncompared.set(true);
    }

    /// Whether there was one.
    pub fn has_uncompared(&self) -> bool {
        self.uncompared.get()
    }

    /// Notes that a list of token states was fetched, and does not count.
    pub(super) fn note_bad_list(&self, place: usize, error: StatusError) {
        self.bad_list.set(Some((place, error)));
    }

    /// The place of such a list, and why it did not count.
    pub fn bad_list(&self) -> Option<(usize, StatusError)> {
        self.bad_list.get()
    }

    /// Takes note of such a key.
    pub(super) fn note_distrusted_key(&self) {
        self.distrusted.set(true);
    }

    /// Takes one signature check; false when there was none left.
    pub(super) fn spend_signature(&self) -> bool {
        spend(&self.signatures, 1)
    }

    /// Takes the reading of a token; false when there was not enough left.
    pub(super) fn spend_octets(&self, octets: usize) -> bool {
        spend(&self.octets, octets)
    }
}

fn spend(left: &Cell<Option<usize>>, amount: usize) -> bool {
    left.set(left.get().and_then(|left| left.checked_sub(amount)));
    left.get().is_some()
}

impl Evaluation<'_> {
    /// One token of one provider.
    pub(super) fn judge(
        self,
        index: ProviderIndex,
        provider: &Provider,
        audiences: Option<&[String]>,
        location: &TokenLocation,
        token: &[u8],
    ) -> Result<Outcome, Denial> {
        if let Some(known) = self.known(index, token) {
            self.budget.known.set(self.budget.known.get().saturating_add(1));
            self.note(|| Note::JudgedFor(index));
            provider.check_claims(&known.claims, audiences, self.now)?;
            return self.grant(index, provider, &known, location);
        }
        let parts = self.take_apart(token)?;
        let token = UncheckedToken::parse(token, &parts)?;
        self.check(index, provider, audiences, location, token)
    }

    /// Takes a token apart, within what one request may cost.
    pub(super) fn take_apart<'t>(&self, token: &'t [u8]) -> Result<Parts<'t>, Denial> {
        if !self.budget.spend_octets(token.len()) {
            return Err(Reason::TooManyTokens.into());
        }
        Ok(Parts::of(token).map_err(Reason::from)?)
    }

    /// What is known of a token that was verified under the keys that count now.
    pub(super) fn known(self, index: ProviderIndex, token: &[u8]) -> Option<Rc<KnownToken>> {
        let (keys, cache) = (self.keys.get(index)?, self.verified.get(index)?);
        let known = cache.get(token, keys.generation())?;
        // Keys that are too old count no longer, whatever they verified.
        matches!(keys.state(self.now), KeyState::Ready(_)).then_some(known)
    }

    /// Claims first, then keys, then the signature.
    pub(super) fn check(
        self,
        index: ProviderIndex,
        provider: &Provider,
        audiences: Option<&[String]>,
        location: &TokenLocation,
        token: UncheckedToken<'_>,
    ) -> Result<Outcome, Denial> {
        self.note(|| Note::JudgedFor(index));
        provider.check_claims(&token.claims, audiences, self.now)?;
        let iss = token.claims.iss.as_deref();
        provider.check_token(token.jws.header(), token.jws.unverified_claims())?;
        provider.issuers.check_claims(iss, token.jws.unverified_claims())?;
        let keys = self.keys.get(index).ok_or(Reason::ConfigurationInvalid)?;
        let wait = |kid: Option<&str>| match self.patience {
            Patience::Left | Patience::Scarce => Ok(Outcome::Waiting(vec![Wanted {
                provider: index,
                kid: kid.map(str::to_owned),
                list: None,
            }])),
            Patience::Exhausted => Err(unavailable(Duration::ZERO)),
        };
        let set = match keys.state(self.now) {
            KeyState::Ready(set) => set,
            KeyState::Pending => return wait(None),
            KeyState::Unavailable { retry_after } => return Err(unavailable(retry_after)),
        };
        let candidates = set.candidates(token.jws.header(), iss);
        self.note(|| Note::Keys(candidates.iter().map(|key| key.kid.clone()).collect(), set.len()));
        if candidates.is_empty() {
            let Some(kid) = token.jws.header().kid.as_deref().filter(|kid| !set.names(kid)) else {
                return Err(Reason::KeyUnknown.into());
            };
            return match keys.unknown_kid(kid, self.arrived, self.now) {
                UnknownKid::Refuse => Err(Reason::KeyUnknown.into()),
                UnknownKid::AbsentLately if self.patience == Patience::Scarce => {
                    Err(Reason::KeyUnknown.into())
                }
                UnknownKid::AbsentLately => wait(Some(kid)),
                UnknownKid::Unavailable { retry_after } => Err(unavailable(retry_after)),
                UnknownKid::Wait => wait(Some(kid)),
            };
        }
        let UncheckedToken { octets, jws, claims } = token;
        let kid = jws.header().kid.clone().filter(|_| provider.record.is_kept());
        let payload = self.verify(jws, candidates)?;
        let record = provider.record.of_token(&provider.configured, kid.as_deref(), &claims);
        let refuse = |reason: Reason| Denial { about: Some(Rc::clone(&record)), ..reason.into() };
        provider.outputs.admit(&payload).map_err(refuse)?;
        let generation = keys.generation();
        let known = KnownToken::new(
            octets,
            generation,
            claims,
            &provider.outputs,
            &payload,
            &provider.claims_read,
        );
        let binding = provider.possession.binding(octets, &payload);
        let known = Rc::new(known.bound(binding).recorded(record));
        if let Some(cache) = self.verified.get(index) {
            cache.insert(Rc::clone(&known));
        }
        self.grant(index, provider, &known, location)
    }

    /// What a verified token does to a request, unless it was revoked, and in the right hands.
    fn grant(
        self,
        index: ProviderIndex,
        provider: &Provider,
        known: &Rc<KnownToken>,
        location: &TokenLocation,
    ) -> Result<Outcome, Denial> {
        let granted = self.grant_unless(index, provider, known, location);
        granted.map_err(|denial| Denial { about: Some(Rc::clone(&known.record)), ..denial })
    }

    fn grant_unless(
        self,
        index: ProviderIndex,
        provider: &Provider,
        known: &Rc<KnownToken>,
        location: &TokenLocation,
    ) -> Result<Outcome, Denial> {
        let mut wanted = self.compare_with_lists(index, known)?;
        wanted.extend(self.check_status(index, provider, known)?);
        if !wanted.is_empty() {
            return Ok(Outcome::Waiting(wanted));
        }
        let held = self.possess(provider, known, location)?;
        let taken = || held.proof.into_iter().chain([location.clone()]).collect();
        Ok(Outcome::Met(Grant {
            uses: held.uses,
            headers: known.edits.clone(),
            fixed: provider.outputs.fixed.clone(),
            parameters: known.parameters.clone(),
            vouched: Some((index, Rc::clone(&known.record))),
            taken: if provider.forward { Vec::new() } else { taken() },
            bearers: match self.policy.has_conditions {
                true => vec![Bearer { provider: index, known: Rc::clone(known) }],
                false => Vec::new(),
            },
        }))
    }

    /// The signature, under the keys that fit, within what one request may cost.
    fn verify<'t>(
        self,
        jws: SignedJws<'t>,
        candidates: Vec<&Jwk>,
    ) -> Result<VerifiedPayload<'t>, Reason> {
        let affordable = candidates.iter().copied().take_while(|_| self.budget.spend_signature());
        let affordable = affordable.inspect(|key| self.note(|| Note::Tried(key.kid.clone())));
        let verified = jws.verify(affordable);
        if candidates.iter().any(|key| key.is_distrusted()) {
            self.budget.distrusted.set(true);
        }
        verified.map_err(|error| match error {
            NotVerified::Length => Reason::SignatureLength,
            NotVerified::Signature if self.budget.signatures.get().is_none() => {
                Reason::TooManyTokens
            }
            NotVerified::Signature => Reason::SignatureInvalid,
        })
    }
}

fn unavailable(retry_after: Duration) -> Denial {
    Denial { retry_after: Some(retry_after), ..Reason::KeysUnavailable.into() }
}

/// A token whose form is good, and nothing else known of it.
pub(super) struct UncheckedToken<'a> {
    octets: &'a [u8],
    jws: SignedJws<'a>,
    pub(super) claims: RegisteredClaims,
}

impl<'a> UncheckedToken<'a> {
    pub(super) fn parse(octets: &'a [u8], parts: &'a Parts<'_>) -> Result<Self, Denial> {
        let jws = UnverifiedJws::parse(parts).map_err(Reason::from)?;
        let claims = RegisteredClaims::read(jws.unverified_claims()).map_err(Reason::ClaimType)?;
        let jws = jws.decode_signature().map_err(Reason::from)?;
        Ok(Self { octets, jws, claims })
    }
}

impl Provider {
    /// What can be refused without a key, in native's order. It admits nothing.
    fn check_claims(
        &self,
        claims: &RegisteredClaims,
        audiences: Option<&[String]>,
        now: UnixTime,
    ) -> Result<(), Reason> {
        let iss = claims.iss.as_deref();
        if self.issuers.fit(iss).is_none() {
            return Err(Reason::IssuerUnknown);
        }
        if claims.is_not_yet_valid(now, self.clock_skew) {
            return Err(Reason::NotYetValid);
        }
        if claims.is_expired(now, self.clock_skew) {
            return Err(Reason::Expired);
        }
        let audiences = audiences.unwrap_or(&self.audiences);
        if !audiences.is_empty() && !claims.is_for_any(audiences) {
            return Err(Reason::AudienceNotAllowed);
        }
        let subject = claims.sub.as_deref().unwrap_or_default().as_bytes();
        if self.subjects.as_ref().is_some_and(|subjects| !subjects.matches(subject)) {
            return Err(Reason::SubjectNotAllowed);
        }
        let lives = match (self.lifetime, claims.exp) {
            (Lifetime::Any, _) | (Lifetime::Bounded, Some(_)) => true,
            (Lifetime::Below(most), Some(exp)) => {
                Duration::from_secs(exp.saturating_sub(now.as_secs())) < most
            }
            (Lifetime::Bounded | Lifetime::Below(_), None) => false,
        };
        if !lives {
            return Err(Reason::LifetimeNotAllowed);
        }
        match self.max_age {
            Some(most) if claims.is_older_than(most, now, self.clock_skew) => {
                Err(Reason::AgeNotAllowed)
            }
            _ => Ok(()),
        }
    }

    /// Whether what its keys sign may have this algorithm.
    pub(super) fn takes_algorithm(&self, algorithm: Algorithm) -> bool {
        self.checks.algorithms.is_empty() || self.checks.algorithms.contains(&algorithm)
    }

    /// What never changes about a token: it is checked before its signature, and once.
    fn check_token(&self, header: &Header, claims: &Members<'_>) -> Result<(), Reason> {
        let TokenChecks { types, required_claims, parties, .. } = &self.checks;
        if !self.takes_algorithm(header.algorithm) {
            return Err(Reason::AlgorithmNotAllowed);
        }
        let is_type = |own: &String| {
            let typ = header.typ.as_deref().map(media_type);
            typ.is_some_and(|typ| typ.eq_ignore_ascii_case(media_type(own)))
        };
        if !types.is_empty() && !types.iter().any(is_type) {
            return Err(Reason::TypeNotAllowed);
        }
        let is_there = |name: &String| claims.get(name).is_some_and(|value| *value != Node::Null);
        if !required_claims.iter().all(is_there) {
            return Err(Reason::ClaimMissing);
        }
        if !parties.is_empty() {
            let mut told = PARTY_CLAIMS.iter().filter_map(|name| claims.get(name)).peekable();
            let is_allowed =
                |party: &Node<'_>| parties.iter().any(|own| party.as_text() == Some(own.as_str()));
            if told.peek().is_none() || !told.all(is_allowed) {
                return Err(Reason::PartyNotAllowed);
            }
        }
        Ok(())
    }
}

/// Who asked for a token: OpenID Connect Core section 2, RFC 9068 section 2.2.
const PARTY_CLAIMS: [&str; 2] = ["azp", "client_id"];

/// Whether a `typ` names this media type.
pub(super) fn is_media_type(typ: &str, own: &str) -> bool {
    media_type(typ).eq_ignore_ascii_case(own)
}

/// A media type without its `application/`, which may be left out where no other slash is (RFC 7515
/// section 4.1.9).
fn media_type(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => {
            typ.get(PREFIX.len()..).filter(|rest| !rest.contains('/')).unwrap_or(typ)
        }
        _ => typ,
    }
}
