//! The checks of one token, in the core's order. What failed is the core's word; what is said of it here
//! is only how the token and the configuration look there.

use jwt_gate::claims::RegisteredClaims;
use jwt_gate::config::Provider;
use jwt_gate::denial::Reason;
use jwt_gate::jose::header::Header;
use jwt_gate::jose::jws::{Parts, UnverifiedJws};
use jwt_gate::policy::trace::Came;
use serde_json::{Map, Value};

use crate::explain::steps::{State, Step};
use crate::times;

/// A token and what was looked at for it.
pub struct Checks<'a> {
    pub read: Option<Read>,
    /// As whose token it was judged.
    pub provider: Option<&'a Provider>,
    /// The keys that fit, and of how many.
    pub keys: Option<(&'a [Option<String>], usize)>,
    /// The keys with which the signature was checked.
    pub tried: Vec<&'a Option<String>>,
}

/// What a token says.
pub struct Read {
    header: Header,
    registered: RegisteredClaims,
    claims: Map<String, Value>,
}

impl Checks<'_> {
    pub fn of(token: &[u8]) -> Self {
        let read = || {
            let parts = Parts::of(token).ok()?;
            let jws = UnverifiedJws::parse(&parts).ok()?;
            let registered = RegisteredClaims::read(jws.unverified_claims()).ok()?;
            let claims = jws.unverified_claims().to_map();
            Some(Read { header: jws.header().clone(), registered, claims })
        };
        Self { read: read(), provider: None, keys: None, tried: Vec::new() }
    }
}

/// The checks in the core's order (`Provider::check_claims`, then `check_token`, keys and signature).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Check {
    Form,
    Issuer,
    NotBefore,
    Expiration,
    Audience,
    Subject,
    Lifetime,
    Age,
    Algorithm,
    Kind,
    RequiredClaims,
    Party,
    IssuerClaims,
    Keys,
    Signature,
    Outputs,
    Revocation,
    Possession,
}

const ALL: [(Check, &str); 18] = [
    (Check::Form, "form"),
    (Check::Issuer, "iss"),
    (Check::NotBefore, "nbf"),
    (Check::Expiration, "exp"),
    (Check::Audience, "aud"),
    (Check::Subject, "sub"),
    (Check::Lifetime, "lifetime"),
    (Check::Age, "age"),
    (Check::Algorithm, "alg"),
    (Check::Kind, "typ"),
    (Check::RequiredClaims, "required_claims"),
    (Check::Party, "azp, client_id"),
    (Check::IssuerClaims, "issuer_claims"),
    (Check::Keys, "key"),
    (Check::Signature, "signature"),
    (Check::Outputs, "outputs"),
    (Check::Revocation, "revocation"),
    (Check::Possession, "possession"),
];

/// The steps of one token.
pub fn checks(token: &Checks<'_>, came: Came, at: u64) -> Vec<Step> {
    let failed = match came {
        Came::Good => None,
        Came::Refused(reason) => Some((token.failed(reason), reason)),
        Came::Waiting if token.tried.is_empty() => {
            Some((Some(Check::Keys), Reason::KeysUnavailable))
        }
        Came::Waiting => Some((Some(Check::Revocation), Reason::RevocationUnavailable)),
    };
    let mut steps = Vec::new();
    for (check, name) in ALL {
        let (detail, is_asked) = token.detail(check, at);
        match failed {
            Some((Some(own), reason)) if own == check => {
                let why = match came {
                    Came::Waiting => "what it depends on is not there".to_owned(),
                    _ => format!("{}: {}", reason.code(), reason.text()),
                };
                let joint = if detail.is_empty() { "" } else { "; " };
                steps.push(Step::part(name, State::Bad, format!("{why}{joint}{detail}")));
                let rest = ALL.iter().skip_while(|(other, _)| *other != check).skip(1);
                let rest: Vec<_> = rest.map(|(_, name)| *name).collect();
                if !rest.is_empty() {
                    let text = rest.join(", ");
                    steps.push(Step::part("not reached", State::Skipped, text));
                }
                return steps;
            }
            // Something that this table does not know: only the core's word is sure.
            Some((None, reason)) => {
                let text = format!("{}: {}", reason.code(), reason.text());
                return vec![Step::part("check", State::Bad, text)];
            }
            _ if is_asked => steps.push(Step::part(name, State::Good, detail)),
            _ if detail.is_empty() => {
                steps.push(Step::part(name, State::Skipped, "not asked for"));
            }
            _ => steps.push(Step::part(name, State::Skipped, detail)),
        }
    }
    steps
}

impl Checks<'_> {
    /// Which check has this outcome.
    fn failed(&self, reason: Reason) -> Option<Check> {
        Some(match reason {
            Reason::TokenTooLong
            | Reason::TokenMalformed
            | Reason::HeaderEncoding
            | Reason::HeaderNotJson
            | Reason::AlgorithmMissing
            | Reason::AlgorithmUnknown
            | Reason::KidType
            | Reason::HeaderCritical
            | Reason::PayloadEncoding
            | Reason::PayloadNotJson
            | Reason::ClaimType(_)
            | Reason::SignatureEncoding => Check::Form,
            Reason::IssuerUnknown if self.fits_pattern() => Check::IssuerClaims,
            Reason::IssuerUnknown => Check::Issuer,
            Reason::NotYetValid => Check::NotBefore,
            Reason::Expired => Check::Expiration,
            Reason::AudienceNotAllowed => Check::Audience,
            Reason::SubjectNotAllowed => Check::Subject,
            Reason::LifetimeNotAllowed => Check::Lifetime,
            Reason::AgeNotAllowed => Check::Age,
            Reason::AlgorithmNotAllowed => Check::Algorithm,
            Reason::TypeNotAllowed => Check::Kind,
            Reason::ClaimMissing if self.has_required_claims() => Check::IssuerClaims,
            Reason::ClaimMissing => Check::RequiredClaims,
            Reason::PartyNotAllowed => Check::Party,
            Reason::KeyUnknown | Reason::KeysUnavailable => Check::Keys,
            Reason::SignatureInvalid | Reason::SignatureLength => Check::Signature,
            Reason::TooManyTokens if self.keys.is_some() => Check::Signature,
            Reason::ClaimsNotAllowed => Check::Outputs,
            Reason::TokenRevoked
            | Reason::TokenSuspended
            | Reason::StatusUnacceptable
            | Reason::RevocationUnavailable => Check::Revocation,
            Reason::Misused(_) => Check::Possession,
            _ => return None,
        })
    }

    fn fits_pattern(&self) -> bool {
        let pattern = self.provider.and_then(|own| own.issuer_pattern.as_ref());
        let iss = self.read.as_ref().and_then(|read| read.registered.iss.as_deref());
        pattern.zip(iss).is_some_and(|(own, iss)| own.pattern.matches(iss))
    }

    fn has_required_claims(&self) -> bool {
        let (Some(provider), Some(read)) = (self.provider, &self.read) else { return false };
        let has = |name: &String| read.claims.get(name).is_some_and(|value| !value.is_null());
        provider.required_claims.iter().all(has)
    }

    /// How it looks there, and whether anything is asked.
    fn detail(&self, check: Check, at: u64) -> (String, bool) {
        let Some(read) = &self.read else {
            return (String::new(), true);
        };
        let own = &read.registered;
        let default = Provider::default();
        let provider = self.provider.unwrap_or(&default);
        let skew = match (provider.clock_skew, provider.clock_skew_seconds) {
            (Some(skew), _) => skew.as_secs(),
            (None, 0) => 60,
            (None, seconds) => seconds.into(),
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        let time = |value: Option<u64>| {
            value.map_or_else(|| "none".to_owned(), |value| times::beside(value, at))
        };
        let listed =
            |list: &[String]| if list.is_empty() { "anything".to_owned() } else { list.join(", ") };
        let claim = |name: &str| match read.claims.get(name) {
            None => format!("{name} none"),
            Some(Value::String(text)) => format!("{name} {text}"),
            Some(other) => format!("{name} {other}"),
        };
        match check {
            Check::Form => {
                let Header { algorithm, kid, .. } = &read.header;
                (format!("alg {}, kid {}", algorithm.name, text(kid)), true)
            }
            Check::Issuer => {
                let mut taken = provider.issuers.clone();
                taken.extend(Some(provider.issuer.clone()).filter(|issuer| !issuer.is_empty()));
                let taken = match &provider.issuer_pattern {
                    Some(_) => "what fits `issuer_pattern`".to_owned(),
                    None => listed(&taken),
                };
                (format!("{}; taken: {taken}", text(&own.iss)), taken != "anything")
            }
            Check::NotBefore => (format!("{}; skew {skew} s", time(own.nbf)), own.nbf.is_some()),
            Check::Expiration => (format!("{}; skew {skew} s", time(own.exp)), own.exp.is_some()),
            Check::Audience => {
                let aud = if own.aud.is_empty() { "none".to_owned() } else { own.aud.join(", ") };
                let taken = match provider.audiences.as_slice() {
                    [] => "what the requirement names, or anything".to_owned(),
                    some => some.join(", "),
                };
                (format!("{aud}; taken: {taken}"), !provider.audiences.is_empty())
            }
            Check::Subject => (text(&own.sub), provider.subjects.is_some()),
            Check::Lifetime => {
                let most = provider
                    .max_lifetime
                    .map(|most| format!("; less than {} left", times::long(most.as_secs())));
                let is_asked = most.is_some() || provider.require_expiration;
                (format!("exp {}{}", time(own.exp), most.unwrap_or_default()), is_asked)
            }
            Check::Age => {
                let most = provider
                    .max_age
                    .map(|most| format!("; at most {}", times::long(most.as_secs())));
                let is_asked = most.is_some();
                (format!("iat {}{}", time(own.iat), most.unwrap_or_default()), is_asked)
            }
            Check::Algorithm => {
                let taken = listed(&provider.algorithms);
                let name = read.header.algorithm.name;
                (format!("{name}; taken: {taken}"), !provider.algorithms.is_empty())
            }
            Check::Kind => {
                let taken = listed(&provider.token_types);
                (
                    format!("{}; taken: {taken}", text(&read.header.typ)),
                    !provider.token_types.is_empty(),
                )
            }
            Check::RequiredClaims => {
                (provider.required_claims.join(", "), !provider.required_claims.is_empty())
            }
            Check::Party => {
                let told = format!("{}, {}", claim("azp"), claim("client_id"));
                (told, !provider.authorized_parties.is_empty())
            }
            Check::IssuerClaims => {
                let pattern = provider.issuer_pattern.as_ref();
                let names = pattern.iter().flat_map(|own| &own.claims).map(|(name, _)| claim(name));
                let names: Vec<_> = names.collect();
                (names.join(", "), !names.is_empty())
            }
            Check::Keys => (self.key_words(), true),
            Check::Signature => {
                let tried: Vec<_> = self.tried.iter().map(|kid| named(kid)).collect();
                let tried = match tried.as_slice() {
                    [] => String::new(),
                    [.., last] => format!("checked with {last} ({} tried)", tried.len()),
                };
                (tried, true)
            }
            Check::Revocation => {
                let is_asked = provider.revocation.is_some() || provider.status_list.is_some();
                let told = if is_asked { "by the lists of the provider" } else { "" };
                (told.to_owned(), is_asked)
            }
            Check::Possession => {
                let asked = [
                    provider.single_use.as_ref().map(|_| "once"),
                    provider.sender_constraint.as_ref().map(|_| "by its owner"),
                ];
                let asked: Vec<_> = asked.into_iter().flatten().collect();
                (asked.join(", "), !asked.is_empty())
            }
            Check::Outputs => {
                ("what claims become can be made".to_owned(), provider.consumer.is_some())
            }
        }
    }

    fn key_words(&self) -> String {
        let Some((fitting, of)) = self.keys else { return String::new() };
        let kid = self.read.as_ref().and_then(|read| read.header.kid.as_ref());
        let why = match kid {
            Some(_) => "kid and alg fit",
            None => "the token names no kid; alg fits",
        };
        let names: Vec<_> = fitting.iter().map(named).collect();
        match names.is_empty() {
            true => format!("none of {of} keys fits by kid, alg, kind and issuer"),
            false => format!("{} of {of}: {why}", names.join(", ")),
        }
    }
}

fn named(kid: &Option<String>) -> String {
    kid.as_ref().map_or_else(|| "one without a name".to_owned(), |kid| format!("`{kid}`"))
}
