//! Decides about a request: a pure function of policy, keys, request head and time.
//!
//! When keys are missing it answers [`Verdict::Wait`]; once they are there, the same function
//! runs again from the start.

use std::time::Duration;

use crate::claims::RegisteredClaims;
use crate::denial::{Denial, Reason};
use crate::extract::{self, TokenLocation};
use crate::jose::jws::{SignedJws, UnverifiedJws, VerifiedPayload};
use crate::jwks::{KeyState, Keys, UnknownKid};
use crate::policy::{Otherwise, Policy, Provider, ProviderIndex, Requirement, identity};
use crate::request::{HeaderEdit, HeaderEdits, RequestHead};
use crate::time::UnixTime;

/// Everything a decision depends on.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    /// The rules.
    pub policy: &'a Policy,
    /// The keys of each provider, in the policy's order.
    pub keys: &'a [Keys],
    /// The request.
    pub head: &'a RequestHead,
    /// When it arrived.
    pub arrived: UnixTime,
    /// The time.
    pub now: UnixTime,
    /// Whether waiting is still an option.
    pub patience: Patience,
}

/// Whether a request may wait for keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// It waited long enough: missing keys count as unavailable.
    Exhausted,
    /// It may wait.
    Left,
}

/// The decision.
#[derive(Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Let it pass.
    Allow(Permit),
    /// Refuse it.
    Deny(Denial),
    /// Ask again when these keys are there.
    Wait(Vec<Wanted>),
}

/// The permission to pass, which only an evaluation gives.
#[derive(Debug, Eq, PartialEq)]
pub struct Permit {
    edits: HeaderEdits,
}

impl Permit {
    /// What to change in the request before it goes on.
    pub fn into_edits(self) -> HeaderEdits {
        self.edits
    }
}

/// Keys that a request waits for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Wanted {
    /// Whose keys.
    pub provider: ProviderIndex,
    /// Which one, when the provider's keys are there but this one is not among them.
    pub kid: Option<String>,
}

/// What a requirement, or one token, comes to.
enum Outcome {
    Failed(Denial),
    Met(Grant),
    Waiting(Vec<Wanted>),
}

/// What a met requirement does to the request.
#[derive(Default)]
struct Grant {
    headers: Vec<HeaderEdit>,
    taken: Vec<TokenLocation>,
}

impl Grant {
    fn join(&mut self, other: Self) {
        self.headers.extend(other.headers);
        self.taken.extend(other.taken);
    }
}

/// Collects the outcomes of things that must all be good: the first failure ends it, and waiting
/// ends it only when nothing failed.
#[derive(Default)]
struct Every {
    grant: Grant,
    waiting: Vec<Wanted>,
}

impl Every {
    /// Takes one outcome; returns the failure, if it is one.
    fn take(&mut self, outcome: Outcome) -> Result<(), Denial> {
        match outcome {
            Outcome::Failed(denial) => return Err(denial),
            Outcome::Met(grant) => self.grant.join(grant),
            Outcome::Waiting(wanted) => self.waiting.extend(wanted),
        }
        Ok(())
    }

    fn finish(self) -> Outcome {
        match self.waiting.is_empty() {
            true => Outcome::Met(self.grant),
            false => Outcome::Waiting(self.waiting),
        }
    }
}

impl<'a> Evaluation<'a> {
    /// Decides.
    pub fn decide(self) -> Verdict {
        let requirement = self.policy.requirement(self.head.path());
        match self.meet(requirement, &[]) {
            Outcome::Failed(denial) => Verdict::Deny(denial),
            Outcome::Met(grant) => Verdict::Allow(self.permit(grant)),
            Outcome::Waiting(mut wanted) => {
                wanted.sort();
                wanted.dedup();
                Verdict::Wait(wanted)
            }
        }
    }

    /// First what clients may not send goes, then the tokens, then the claims come in.
    fn permit(self, grant: Grant) -> Permit {
        let mut edits = self.policy.identity_headers.strike(self.head);
        edits.extend(extract::removal(grant.taken.iter(), self.head));
        edits.extend(grant.headers);
        Permit { edits }
    }

    /// `taken`: locations whose token an earlier requirement took; natively it is gone for later
    /// ones.
    fn meet(self, requirement: &Requirement, taken: &[TokenLocation]) -> Outcome {
        match requirement {
            Requirement::Nothing => Outcome::Met(Grant::default()),
            Requirement::Provider { index, audiences } => {
                self.meet_provider(*index, audiences.as_deref(), taken)
            }
            Requirement::Any { children, otherwise } => self.meet_any(children, *otherwise, taken),
            Requirement::All(children) => self.meet_all(children, taken),
            Requirement::AllowMissing => self.meet_optional(taken, Failure::Denies),
            Requirement::AllowMissingOrFailed => self.meet_optional(taken, Failure::IsIgnored),
        }
    }

    fn meet_provider(
        self,
        index: ProviderIndex,
        audiences: Option<&[String]>,
        taken: &[TokenLocation],
    ) -> Outcome {
        let Some(provider) = self.policy.providers.get(index) else {
            return Outcome::Failed(Reason::ConfigurationInvalid.into());
        };
        let tokens = self.tokens(&provider.locations, taken);
        if tokens.is_empty() {
            return Outcome::Failed(Reason::TokenMissing.into());
        }
        // All of them must be good: the backend might look at any.
        let mut every = Every::default();
        for (location, token) in tokens {
            let outcome = UncheckedToken::parse(&token)
                .and_then(|token| self.check(index, provider, audiences, location, token));
            if let Err(denial) = every.take(outcome.unwrap_or_else(Outcome::Failed)) {
                return Outcome::Failed(denial);
            }
        }
        every.finish()
    }

    fn meet_any(
        self,
        children: &[Requirement],
        otherwise: Otherwise,
        taken: &[TokenLocation],
    ) -> Outcome {
        let mut told: Option<Denial> = None;
        let mut waiting = Vec::new();
        for child in children {
            match self.meet(child, taken) {
                Outcome::Met(grant) => return Outcome::Met(grant),
                Outcome::Waiting(wanted) => waiting.extend(wanted),
                Outcome::Failed(denial) => {
                    told = Some(told.map_or(denial, |earlier| earlier.or_later(denial)));
                }
            }
        }
        if !waiting.is_empty() {
            return Outcome::Waiting(waiting);
        }
        let denial = told.unwrap_or_else(|| Reason::TokenMissing.into());
        let allowed = match otherwise {
            Otherwise::Allow => true,
            Otherwise::AllowMissing => denial.reason == Reason::TokenMissing,
            Otherwise::Deny => false,
        };
        if allowed { Outcome::Met(Grant::default()) } else { Outcome::Failed(denial) }
    }

    fn meet_all(self, children: &[Requirement], taken: &[TokenLocation]) -> Outcome {
        let mut every = Every::default();
        for child in children {
            let taken = [taken, every.grant.taken.as_slice()].concat();
            if let Err(denial) = every.take(self.meet(child, &taken)) {
                return Outcome::Failed(denial);
            }
        }
        every.finish()
    }

    /// `allow_missing` and its lenient sibling: tokens of any provider, at the places of those
    /// providers; the `iss` says whose a token is.
    fn meet_optional(self, taken: &[TokenLocation], failure: Failure) -> Outcome {
        let mut locations: Vec<_> = self
            .policy
            .providers
            .iter()
            .flat_map(|provider| provider.locations.iter().cloned())
            .collect();
        locations.sort();
        locations.dedup();
        let mut every = Every::default();
        for (location, token) in self.tokens(&locations, taken) {
            let outcome = UncheckedToken::parse(&token)
                .and_then(|token| {
                    let (index, provider) = self.provider_of(&token, location)?;
                    self.check(index, provider, None, location, token)
                })
                .unwrap_or_else(Outcome::Failed);
            if let (Err(denial), Failure::Denies) = (every.take(outcome), failure) {
                return Outcome::Failed(denial);
            }
        }
        every.finish()
    }

    /// The provider of this `iss` among those that take tokens from `location`, else the first of
    /// them that takes any issuer.
    fn provider_of(
        self,
        token: &UncheckedToken<'_>,
        location: &TokenLocation,
    ) -> Result<(ProviderIndex, &'a Provider), Denial> {
        let here = || {
            self.policy
                .providers
                .iter()
                .enumerate()
                .filter(|(_, provider)| provider.locations.contains(location))
        };
        here()
            .find(|(_, provider)| provider.issuer.is_some() && provider.issuer == token.claims.iss)
            .or_else(|| here().find(|(_, provider)| provider.issuer.is_none()))
            .ok_or(Reason::IssuerUnknown.into())
    }

    /// The tokens at `locations`, the last location first: native's order of checking.
    fn tokens<'l>(
        self,
        locations: &'l [TokenLocation],
        taken: &[TokenLocation],
    ) -> Vec<(&'l TokenLocation, Vec<u8>)> {
        locations
            .iter()
            .rev()
            .filter(|location| !is_taken(location, taken))
            .flat_map(|location| {
                location.tokens(self.head).into_iter().rev().map(move |token| (location, token))
            })
            .collect()
    }

    /// One token against one provider: claims first, then keys, then the signature.
    fn check(
        self,
        index: ProviderIndex,
        provider: &Provider,
        audiences: Option<&[String]>,
        location: &TokenLocation,
        token: UncheckedToken<'_>,
    ) -> Result<Outcome, Denial> {
        provider.check_claims(&token.claims, audiences, self.now)?;
        let keys = self.keys.get(index).ok_or(Reason::ConfigurationInvalid)?;
        let wait = |kid: Option<&str>| match self.patience {
            Patience::Left => {
                Ok(Outcome::Waiting(vec![Wanted { provider: index, kid: kid.map(str::to_owned) }]))
            }
            Patience::Exhausted => Err(unavailable(Duration::ZERO)),
        };
        let set = match keys.state(self.now) {
            KeyState::Ready(set) => set,
            KeyState::Pending => return wait(None),
            KeyState::Unavailable { retry_after } => return Err(unavailable(retry_after)),
        };
        let candidates = set.candidates(token.jws.header());
        if candidates.is_empty() {
            let Some(kid) = token.jws.header().kid.as_deref().filter(|kid| !set.names(kid)) else {
                return Err(Reason::KeyUnknown.into());
            };
            return match keys.unknown_kid(kid, self.arrived, self.now) {
                UnknownKid::Refuse => Err(Reason::KeyUnknown.into()),
                UnknownKid::Unavailable { retry_after } => Err(unavailable(retry_after)),
                UnknownKid::Wait => wait(Some(kid)),
            };
        }
        let payload: VerifiedPayload<'_> = token
            .jws
            .verify(candidates.into_iter())
            .map_err(|_| Denial::from(Reason::SignatureInvalid))?;
        Ok(Outcome::Met(Grant {
            headers: identity::headers(provider, &payload),
            taken: if provider.forward { Vec::new() } else { vec![location.clone()] },
        }))
    }
}

/// What a failed token means where tokens are optional.
#[derive(Clone, Copy)]
enum Failure {
    Denies,
    IsIgnored,
}

/// Taking a header takes all of it, whatever the prefix.
fn is_taken(location: &TokenLocation, taken: &[TokenLocation]) -> bool {
    taken.iter().any(|other| match (location, other) {
        (TokenLocation::Header { name, .. }, TokenLocation::Header { name: other, .. }) => {
            name == other
        }
        _ => location == other,
    })
}

fn unavailable(retry_after: Duration) -> Denial {
    Denial { reason: Reason::KeysUnavailable, retry_after: Some(retry_after) }
}

/// A token whose form is good, and nothing else known of it.
struct UncheckedToken<'a> {
    jws: SignedJws<'a>,
    claims: RegisteredClaims,
}

impl<'a> UncheckedToken<'a> {
    fn parse(token: &'a [u8]) -> Result<Self, Denial> {
        let jws = UnverifiedJws::parse(token).map_err(Reason::from)?;
        let claims = RegisteredClaims::read(jws.unverified_claims()).map_err(Reason::ClaimType)?;
        let jws = jws.decode_signature().map_err(Reason::from)?;
        Ok(Self { jws, claims })
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
        if self.issuer.is_some() && self.issuer != claims.iss {
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
        Ok(())
    }
}
