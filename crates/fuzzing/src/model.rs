//! Who may pass, said as naively as possible: what the configuration, the keys, the request and the
//! clock come to, with signatures checked by another library.

use serde_json::{Map, Value};

use crate::keys::keys;
use crate::oracle::Read;
use crate::scenario::{AUDIENCES, ISSUERS, Leaf, PATHS, Provider, Requirement, Scenario};
use crate::strict::is_strict;

/// A request as the model sees it: a path, and tokens at places.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The place of the path.
    pub path: usize,
    /// Places and tokens.
    pub tokens: Vec<(usize, String)>,
}

/// What is true when a decision is made.
pub struct World<'a> {
    /// The configuration.
    pub scenario: &'a Scenario,
    /// The keys that each provider can use now; none: none were ever fetched, or they are too old.
    pub keys: &'a [Option<Vec<usize>>],
    /// Seconds.
    pub now: i64,
}

/// What a requirement comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It is met, and these places are emptied.
    Met(Vec<usize>),
    /// There is no token.
    Absent,
    /// A token is not good.
    Bad,
    /// Keys are missing: it waits, or is refused for that.
    Unsure,
    /// It is met, or waits for keys that cannot change that.
    Later(Vec<usize>),
    /// There is no token, or it waits for keys that cannot change that.
    LaterAbsent,
}

use Outcome::{Absent, Bad, Later, LaterAbsent, Met, Unsure};

impl World<'_> {
    /// What becomes of a request.
    pub fn decide(&self, asked: &Asked) -> Outcome {
        let path = PATHS[asked.path];
        let rule = self.scenario.rules.iter().find(|rule| {
            let own = PATHS[rule.path.0];
            if rule.exact { path == own } else { path.starts_with(own) }
        });
        match rule {
            Some(rule) => match &rule.requires {
                Some(requirement) => self.meet(requirement, asked),
                None => Met(Vec::new()),
            },
            None => match &self.scenario.default {
                Some(default) => self.meet(default, asked),
                // Providers without rules protect everything.
                None if self.scenario.rules.is_empty() => {
                    let all = 0..self.scenario.providers.len();
                    self.any(all.map(|place| self.provider(place, None, asked, &[])), false, false)
                }
                None => Met(Vec::new()),
            },
        }
    }

    fn meet(&self, requirement: &Requirement, asked: &Asked) -> Outcome {
        match requirement {
            Requirement::Provider(place) => self.leaf(&Leaf::Provider(*place), asked, &[]),
            Requirement::WithAudiences(place, audiences) => {
                self.leaf(&Leaf::WithAudiences(*place, audiences.clone()), asked, &[])
            }
            Requirement::AllowMissing => self.leaf(&Leaf::AllowMissing, asked, &[]),
            Requirement::AllowMissingOrFailed => self.leaf(&Leaf::AllowMissingOrFailed, asked, &[]),
            Requirement::Any(one, other) => self.any_of(&[one, other], None, asked),
            Requirement::All(one, other) => self.all(&[one, other], asked),
            Requirement::AnyOfAll(one, two, three) => {
                self.any_of(&[three], Some(self.all(&[one, two], asked)), asked)
            }
        }
    }

    /// The allowances beside alternatives say what to do when none of those is met.
    fn any_of(&self, leaves: &[&Leaf], first: Option<Outcome>, asked: &Asked) -> Outcome {
        let failed = leaves.iter().any(|leaf| matches!(leaf, Leaf::AllowMissingOrFailed));
        let missing = leaves.iter().any(|leaf| matches!(leaf, Leaf::AllowMissing));
        let own = leaves
            .iter()
            .filter(|leaf| !matches!(leaf, Leaf::AllowMissing | Leaf::AllowMissingOrFailed));
        let mut own =
            first.into_iter().chain(own.map(|leaf| self.leaf(leaf, asked, &[]))).peekable();
        match own.peek() {
            Some(_) => self.any(own, missing, failed),
            None if failed => self.leaf(&Leaf::AllowMissingOrFailed, asked, &[]),
            None => self.leaf(&Leaf::AllowMissing, asked, &[]),
        }
    }

    fn any(
        &self,
        outcomes: impl Iterator<Item = Outcome>,
        allow_missing: bool,
        allow_failed: bool,
    ) -> Outcome {
        let (mut unsure, mut waits, mut bad) = (false, false, false);
        for outcome in outcomes {
            match outcome {
                Met(taken) if !unsure && !waits => return Met(taken),
                Met(taken) | Later(taken) => return Later(taken),
                Unsure => unsure = true,
                LaterAbsent => waits = true,
                Bad => bad = true,
                Absent => {}
            }
        }
        let allowed = allow_failed || (allow_missing && !bad && !unsure);
        match (allowed, unsure || waits) {
            (true, true) => Later(Vec::new()),
            (true, false) => Met(Vec::new()),
            (false, true) if unsure || bad => Unsure,
            (false, true) => LaterAbsent,
            (false, false) if bad => Bad,
            (false, false) => Absent,
        }
    }

    fn all(&self, leaves: &[&Leaf], asked: &Asked) -> Outcome {
        let (mut taken, mut later) = (Vec::new(), false);
        for leaf in leaves {
            match self.leaf(leaf, asked, &taken) {
                Met(more) => taken.extend(more),
                Later(more) => {
                    taken.extend(more);
                    later = true;
                }
                // It may wait before that.
                Absent | LaterAbsent if later => return LaterAbsent,
                _ if later => return Unsure,
                other => return other,
            }
        }
        if later { Later(taken) } else { Met(taken) }
    }

    fn leaf(&self, leaf: &Leaf, asked: &Asked, taken: &[usize]) -> Outcome {
        let count = self.scenario.providers.len();
        match leaf {
            Leaf::Provider(place) => self.provider(place.0 % count, None, asked, taken),
            Leaf::WithAudiences(place, audiences) => {
                self.provider(place.0 % count, Some(&audiences.0), asked, taken)
            }
            Leaf::AllowMissing => self.optional(asked, taken, false),
            Leaf::AllowMissingOrFailed => self.optional(asked, taken, true),
        }
    }

    fn provider(
        &self,
        place: usize,
        audiences: Option<&[usize]>,
        asked: &Asked,
        taken: &[usize],
    ) -> Outcome {
        let provider = &self.scenario.providers[place];
        let own = provider.places();
        let tokens = asked.tokens.iter().filter(|(at, _)| own.contains(at) && !taken.contains(at));
        let (mut emptied, mut unsure) = (Vec::new(), false);
        let mut tokens = tokens.peekable();
        if tokens.peek().is_none() {
            return Absent;
        }
        for (at, token) in tokens {
            match self.judge(place, audiences, token) {
                Met(_) if provider.forward => {}
                Met(_) => emptied.push(*at),
                Unsure => unsure = true,
                _ => return Bad,
            }
        }
        if unsure { Unsure } else { Met(emptied) }
    }

    /// Tokens of any provider, by their issuers.
    fn optional(&self, asked: &Asked, taken: &[usize], ignores_bad: bool) -> Outcome {
        let providers = || self.scenario.providers.iter().enumerate();
        let is_place = |at: &usize| providers().any(|(_, own)| own.places().contains(at));
        let tokens = asked.tokens.iter().filter(|(at, _)| is_place(at) && !taken.contains(at));
        let (mut emptied, mut unsure, mut bad) = (Vec::new(), false, false);
        for (at, token) in tokens {
            let iss = Read::parse(token.as_bytes())
                .and_then(|read| Some(read.claims.get("iss")?.as_str()?.to_owned()));
            let here = || providers().filter(|(_, own)| own.places().contains(at));
            let named = here().find(|(_, own)| {
                own.issuer.is_some_and(|own| Some(ISSUERS[own.0]) == iss.as_deref())
            });
            let found = named.or_else(|| here().find(|(_, own)| own.issuer.is_none()));
            match found.map(|(place, own)| (own, self.judge(place, None, token))) {
                Some((own, Met(_))) if own.forward => {}
                Some((_, Met(_))) => emptied.push(*at),
                Some((_, Unsure)) => unsure = true,
                _ => bad = true,
            }
        }
        match (bad && !ignores_bad, unsure) {
            (true, _) => Bad,
            (false, true) if ignores_bad => Later(emptied),
            (false, true) => Unsure,
            (false, false) => Met(emptied),
        }
    }

    /// One token for one provider.
    pub fn judge(&self, place: usize, audiences: Option<&[usize]>, token: &str) -> Outcome {
        let provider = &self.scenario.providers[place];
        let Some(read) = Read::parse(token.as_bytes())
            .filter(|read| is_well_formed(token.as_bytes(), read) && are_typed(&read.claims))
        else {
            return Bad;
        };
        if !claims_are_good(provider, audiences, &read.claims, self.now) {
            return Bad;
        }
        let Some(held) = &self.keys[place] else { return Unsure };
        let kid = read.header.get("kid").and_then(Value::as_str).filter(|kid| !kid.is_empty());
        let kid_of = |place: &usize| keys()[*place].signing.kid();
        if let Some(kid) = kid
            && !held.iter().any(|own| kid_of(own) == kid)
        {
            // It may come with the next fetch.
            return if provider.local.is_some() { Bad } else { Unsure };
        }
        let fits = |own: &usize| kid.is_none_or(|kid| kid_of(own) == kid);
        let good =
            held.iter().filter(|own| fits(own)).any(|own| keys()[*own].verifier.verifies(&read));
        if good { Met(Vec::new()) } else { Bad }
    }
}

/// What the gate asks of a token's form beyond what other libraries ask: strict JSON (RFC 8725 section
/// 2.4), a `kid` that is a text, nothing critical, an encoded payload, an algorithm that is known, a
/// signature, and 64 KiB at most.
pub fn is_well_formed(token: &[u8], read: &Read) -> bool {
    const NAMES: [&str; 13] = [
        "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256",
        "PS384", "PS512", "EdDSA",
    ];
    let header = &read.header;
    token.len() <= 64 * 1024
        && !read.signature.is_empty()
        && read.texts.iter().all(|text| is_strict(text, 100))
        && header.get("alg").and_then(Value::as_str).is_some_and(|alg| NAMES.contains(&alg))
        && header.get("kid").is_none_or(Value::is_string)
        && !header.contains_key("crit")
        && header.get("b64").is_none_or(|encoded| *encoded == true)
}

/// Whether registered claims are of their types (RFC 7519 section 4.1).
pub fn are_typed(claims: &Map<String, Value>) -> bool {
    let is_text = |name| claims.get(name).is_none_or(Value::is_string);
    let is_time = |name| claims.get(name).is_none_or(|value| seconds(value).is_some());
    let is_audience = claims.get("aud").is_none_or(|aud| match aud {
        Value::Array(list) => list.iter().all(Value::is_string),
        other => other.is_string(),
    });
    ["iss", "sub", "jti"].into_iter().all(is_text)
        && ["exp", "nbf", "iat"].into_iter().all(is_time)
        && is_audience
}

/// A point in time in whole seconds.
fn seconds(value: &Value) -> Option<u64> {
    let number = value.as_f64()?;
    (0.0..18_446_744_073_709_551_616.0).contains(&number).then_some(number as u64)
}

fn claims_are_good(
    provider: &Provider,
    audiences: Option<&[usize]>,
    claims: &Map<String, Value>,
    now: i64,
) -> bool {
    let (now, skew) = (i128::from(now), i128::from(provider.skew()));
    let time = |name| claims.get(name).and_then(seconds).map(i128::from);
    let issuer = provider
        .issuer
        .is_none_or(|own| claims.get("iss").and_then(Value::as_str) == Some(ISSUERS[own.0]));
    let bare = |text: &str| {
        let bare = text.trim_start_matches("https://");
        bare.strip_suffix('/').unwrap_or(bare).to_owned()
    };
    // An empty list says nothing.
    let allowed = match audiences {
        Some(own) if !own.is_empty() => own,
        _ => &provider.audiences.0,
    };
    let allowed: Vec<_> = allowed.iter().map(|place| bare(AUDIENCES[*place])).collect();
    let is_allowed = |aud: &Value| aud.as_str().is_some_and(|aud| allowed.contains(&bare(aud)));
    let audience = allowed.is_empty()
        || claims.get("aud").is_some_and(|aud| match aud {
            Value::Array(list) => list.iter().any(is_allowed),
            one => is_allowed(one),
        });
    issuer
        && audience
        && time("exp").is_none_or(|exp| now < exp + skew)
        && time("nbf").is_none_or(|nbf| nbf <= now + skew)
}
