//! Decides about a request: a pure function of policy, keys, request head and time.
//!
//! When keys are missing it answers [`Verdict::Wait`]; once they are there, the same function
//! runs again from the start.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

use crate::authorize::Condition;
use crate::config::Mode;
use crate::denial::{Denial, Reason};
use crate::extract::TokenLocation;
use crate::jwks::Keys;
use crate::policy::authorization::Bearer;
use crate::policy::check::Budget;
use crate::policy::grant::{Every, Grant, Outcome, Vouched};
use crate::policy::requirement::{Otherwise, Requirement};
use crate::policy::rewrite::Writes;
use crate::policy::status::Standing;
use crate::policy::verified_tokens::VerifiedTokens;
use crate::policy::{Policy, ProviderIndex};
use crate::request::{RequestEdit, RequestEdits, RequestHead};
use crate::single_use::{Mark, Use};
use crate::sorted;
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
    /// What may still be spent on this request.
    pub budget: &'a Budget,
    /// What is known of tokens that are good no longer, beside the lists among the keys.
    pub standing: Standing<'a>,
    /// The verified tokens of each provider, in the policy's order. What is in them changes what a
    /// decision costs, and nothing else.
    pub verified: &'a [VerifiedTokens],
    /// What could not be used, and why: it counts as not good.
    pub refused: &'a [(Mark, Reason)],
}

/// Most tokens that are looked at in one request. Honest clients send one, rarely two; each costs
/// a signature check.
pub const MAX_TOKENS: usize = 8;

/// Whether a request may wait for keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// It waited long enough, or there is no room: missing keys count as unavailable.
    Exhausted,
    /// It may wait.
    Left,
    /// Many wait already: a `kid` that was looked for in vain a moment ago is refused.
    Scarce,
}

/// The decision.
#[derive(Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Let it pass.
    Allow(Permit),
    /// Refuse it.
    Deny(Denial),
    /// Let it pass, and report that it would be refused.
    Report {
        /// What becomes of it.
        permit: Permit,
        /// Why it would be refused.
        denial: Denial,
        /// Keys that were missing.
        wanted: Vec<Wanted>,
    },
    /// Ask again when these keys are there.
    Wait(Vec<Wanted>),
}

/// The permission to pass, which only an evaluation gives.
#[derive(Debug, Eq, PartialEq)]
pub struct Permit {
    edits: RequestEdits,
    uses: Vec<Use>,
    vouched: Option<Vouched>,
}

impl Permit {
    /// What must be written down before the request goes on.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// What to change in the request before it goes on, and who lets it pass.
    pub fn into_parts(self) -> (RequestEdits, Option<Vouched>) {
        (self.edits, self.vouched)
    }
}

/// Keys that a request waits for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Wanted {
    /// Whose keys.
    pub provider: ProviderIndex,
    /// Which one, when the provider's keys are there but this one is not among them.
    pub kid: Option<String>,
    /// Not its keys, but the list at this address in which its tokens' states stand.
    pub list: Option<Rc<str>>,
}

impl<'a> Evaluation<'a> {
    /// Decides.
    pub fn decide(self) -> Verdict {
        self.note_asked();
        let Some(asked) = self.policy.asked(self.head) else {
            return Verdict::Allow(self.permit(Grant::default(), None, None));
        };
        // Nobody waits where refusals are only reported, so what was looked for in vain is not there.
        let this = match (asked.mode, self.patience) {
            (Mode::ReportOnly, Patience::Left) => Self { patience: Patience::Scarce, ..self },
            _ => self,
        };
        let verdict = match this.meet(asked.requirement, &[]) {
            Outcome::Failed(denial) => Verdict::Deny(denial),
            Outcome::Met(grant) => match self.admit(&asked, &grant.bearers) {
                Ok(path) => Verdict::Allow(self.permit(grant, asked.writes, path)),
                Err(denial) => Verdict::Deny(about(denial, &grant.bearers)),
            },
            Outcome::Waiting(wanted) => Verdict::Wait(sorted::list(wanted)),
        };
        match asked.mode {
            Mode::Enforce => verdict,
            Mode::ReportOnly => self.report(verdict),
        }
    }

    /// What only reports holds nobody up, and whoever would be refused passes like somebody without
    /// a token.
    fn report(self, verdict: Verdict) -> Verdict {
        let (denial, wanted) = match verdict {
            Verdict::Deny(denial) => (denial, Vec::new()),
            Verdict::Wait(wanted) => (self.policy.lists.reason_without(&wanted).into(), wanted),
            other => return other,
        };
        Verdict::Report { permit: self.permit(Grant::default(), None, None), denial, wanted }
    }

    fn permit(self, mut grant: Grant, writes: Option<&Writes>, path: Option<Vec<u8>>) -> Permit {
        // A token that is there twice is used once.
        let uses = sorted::list(std::mem::take(&mut grant.uses));
        let vouched = grant.vouched.take();
        Permit { edits: self.edits(grant, writes, path), uses, vouched }
    }

    /// `taken`: locations whose token an earlier requirement took; natively it is gone for later
    /// ones.
    pub(super) fn meet(self, requirement: &Requirement, taken: &[TokenLocation]) -> Outcome {
        self.note_requirement(requirement);
        match requirement {
            Requirement::Nothing => Outcome::Met(Grant::default()),
            Requirement::Provider { places, audiences, condition } => {
                match self.meet_provider(places, audiences.as_deref(), taken) {
                    Outcome::Met(grant) => {
                        self.meet_condition(places.start, condition.as_ref(), grant)
                    }
                    other => other,
                }
            }
            Requirement::Any { children, otherwise } => self.meet_any(children, *otherwise, taken),
            Requirement::All(children) => self.meet_all(children, taken),
            Requirement::ExtractOnly(status) => {
                self.meet_optional(taken, Failure::IsTold(status.as_deref()))
            }
            Requirement::AllowMissing => self.meet_optional(taken, Failure::Denies),
            Requirement::AllowMissingOrFailed => self.meet_optional(taken, Failure::IsIgnored),
        }
    }

    fn meet_provider(
        self,
        places: &Range<ProviderIndex>,
        audiences: Option<&[String]>,
        taken: &[TokenLocation],
    ) -> Outcome {
        // All of them are alike, but for their issuers.
        let index = places.start;
        let Some(provider) = self.policy.providers.get(index) else {
            return Outcome::Failed(Reason::ConfigurationInvalid.into());
        };
        let refuse = |denial: Denial| Outcome::Failed(Denial { provider: Some(index), ..denial });
        let tokens = self.tokens(&provider.locations, taken);
        if tokens.is_empty() {
            return refuse(Reason::TokenMissing.into());
        }
        if tokens.len() > MAX_TOKENS {
            return refuse(Reason::TooManyTokens.into());
        }
        // All of them must be good: the backend might look at any.
        let mut every = Every::default();
        for (location, token) in tokens {
            let outcome = match places.len() {
                1 => self.judge(index, provider, audiences, location, &token),
                _ => self.judge_among(places, audiences, location, &token),
            };
            if let Err(denial) = every.take(self.judged(location, &token, outcome)) {
                return refuse(denial);
            }
        }
        every.finish()
    }

    /// What the requirement asks of the claims; its tokens are verified.
    fn meet_condition(
        self,
        index: ProviderIndex,
        condition: Option<&Condition>,
        grant: Grant,
    ) -> Outcome {
        let Some(condition) = condition else { return Outcome::Met(grant) };
        let tokens: Vec<_> = grant.bearers.iter().map(|bearer| &bearer.known.facts).collect();
        match self.demand(condition, &tokens) {
            Ok(()) => Outcome::Met(grant),
            Err(denial) => {
                let denial = Denial { provider: Some(index), ..denial };
                Outcome::Failed(about(denial, &grant.bearers))
            }
        }
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
                // Once an earlier one waits, a later one cannot win: who the backend sees must
                // not depend on which keys happen to be there.
                Outcome::Met(grant) if waiting.is_empty() => return Outcome::Met(grant),
                Outcome::Met(_) => {}
                Outcome::Waiting(wanted) => waiting.extend(wanted),
                Outcome::Failed(denial) => {
                    told = Some(match told {
                        Some(earlier) => earlier.or_later(denial),
                        None => denial,
                    });
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
            // What the next ones find depends on which tokens this one takes.
            if !every.waiting.is_empty() {
                break;
            }
        }
        every.finish()
    }

    /// `allow_missing` and its lenient siblings: tokens of any provider, at the places of those
    /// providers; the `iss` says whose a token is.
    fn meet_optional(self, taken: &[TokenLocation], failure: Failure<'_>) -> Outcome {
        let locations = self.all_locations();
        let tokens = self.tokens(&locations, taken);
        let mut told = (tokens.len() > MAX_TOKENS).then(|| Reason::TooManyTokens.into());
        let mut every = Every::default();
        for (location, token) in tokens.into_iter().take(MAX_TOKENS) {
            let outcome = self.judged(location, &token, self.judge_for_issuer(location, &token));
            // The last failure is told, as natively.
            told = every.take(outcome).err().or(told);
        }
        match (told, failure) {
            (Some(denial), Failure::Denies) => return Outcome::Failed(denial),
            (Some(_), Failure::IsTold(Some(header))) => {
                let told = RequestEdit::Replace(header.to_owned(), b"false".to_vec());
                every.grant.headers.push(told);
            }
            _ => {}
        }
        every.finish()
    }

    /// Every place where some provider takes tokens from.
    fn all_locations(self) -> Vec<TokenLocation> {
        let providers = self.policy.providers.iter();
        sorted::list(providers.flat_map(|provider| provider.locations.iter().cloned()))
    }

    /// The tokens at `locations`, the last location first: native's order of checking.
    fn tokens<'l>(
        self,
        locations: &'l [TokenLocation],
        taken: &[TokenLocation],
    ) -> Vec<(&'l TokenLocation, Cow<'l, [u8]>)>
    where
        'a: 'l,
    {
        locations
            .iter()
            .rev()
            .filter(|location| !taken.iter().any(|other| location.goes_with(other)))
            .flat_map(|location| {
                location.tokens(self.head).into_iter().rev().map(move |token| (location, token))
            })
            .collect()
    }
}

/// The denial of a request that brought these tokens. Of several, nobody knows whose claims it is for.
fn about(denial: Denial, bearers: &[Bearer]) -> Denial {
    match bearers {
        [only] => Denial { about: Some(Rc::clone(&only.known.record)), ..denial },
        _ => denial,
    }
}

/// What a failed token means where tokens are optional.
#[derive(Clone, Copy)]
enum Failure<'a> {
    Denies,
    IsIgnored,
    /// By this header, if any.
    IsTold(Option<&'a str>),
}
