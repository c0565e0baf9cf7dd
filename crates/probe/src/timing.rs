//! How long the parts of a decision take.

use std::hint::black_box;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_gate::claims::RegisteredClaims;
use jwt_gate::engine::{Decision, Engine, StreamId};
use jwt_gate::jose::algorithm::Algorithm;
use jwt_gate::jose::base64url;
use jwt_gate::jose::header::Header;
use jwt_gate::jose::jwk::{Jwk, KeyStrength};
use jwt_gate::jose::jws::{Parts, UnverifiedJws};
use jwt_gate::json::Node;
use jwt_gate::policy::Policy;
use jwt_gate::policy::identity::Outputs;
use jwt_gate::policy::known_token::KnownToken;
use jwt_gate::policy::verified_tokens::{CacheSettings, VerifiedTokens};
use jwt_gate::request::RequestHead;
use jwt_gate::time::UnixTime;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Clock;

/// A thing, and for how long to repeat it.
#[derive(Debug, Deserialize, Serialize)]
pub struct Measurement {
    /// What is measured.
    pub subject: Subject,
    /// For how long, roughly; as long again is spent to warm up.
    pub nanoseconds: u64,
}

/// What can be measured.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Reading base64url.
    Base64url { text: String },
    /// Strict JSON into a value.
    Json { text: String },
    /// A JOSE header from its JSON.
    Header { text: String },
    /// A signature, by a key that has seen it before. The octets are in base64url.
    Signature { jwk: Value, algorithm: String, input: String, signature: String },
    /// Looking up tokens that are known; the cache holds as many as it does by default.
    KnownToken { jwk: Value, tokens: Vec<String> },
    /// A whole decision of the engine about requests with these heads, which must be let in.
    Decision { configuration: Value, heads: Vec<Vec<(String, String)>> },
}

/// How long it took, in nanoseconds for each time.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Spent {
    /// In the middle of all batches.
    pub median: u64,
    /// In the quickest batch: what it takes when nobody disturbs.
    pub least: u64,
    /// How often it was done.
    pub times: u64,
}

impl Measurement {
    /// Measures. Errors: the subject is not what it claims to be, such as a bad signature.
    pub fn run(&self, clock: Clock<'_>) -> Result<Spent, String> {
        let repeat = Repeat { clock, span: self.nanoseconds };
        match &self.subject {
            Subject::Base64url { text } => {
                repeat.run(|| (), |()| base64url::decode(black_box(text.as_bytes())).is_ok())
            }
            Subject::Json { text } => {
                repeat.run(|| (), |()| Node::parse(black_box(text.as_bytes())).is_ok())
            }
            Subject::Header { text } => {
                repeat.run(|| (), |()| Header::parse(black_box(text.as_bytes())).is_ok())
            }
            Subject::Signature { jwk, algorithm, input, signature } => {
                let key = key(jwk)?;
                let algorithm = Algorithm::from_name(algorithm).ok_or("an unknown algorithm")?;
                let octets =
                    |text: &String| URL_SAFE_NO_PAD.decode(text).map_err(|error| error.to_string());
                let (input, signature) = (octets(input)?, octets(signature)?);
                repeat.run(
                    || (),
                    |()| key.verify(algorithm, black_box(&input), black_box(&signature)).is_ok(),
                )
            }
            Subject::KnownToken { jwk, tokens } => known_token(&key(jwk)?, tokens, &repeat),
            Subject::Decision { configuration, heads } => decision(configuration, heads, &repeat),
        }
    }
}

fn key(jwk: &Value) -> Result<Jwk, String> {
    Jwk::parse(jwk, KeyStrength::Required).map_err(|error| error.to_string())
}

fn known_token(key: &Jwk, tokens: &[String], repeat: &Repeat<'_>) -> Result<Spent, String> {
    let defaults = Policy::parse(
        br#"{ "providers": { "p": { "local_jwks": { "inline_string": "{\"keys\":[]}" } } } }"#,
    );
    let settings = defaults.ok().and_then(|policy| Some(policy.providers.first()?.cache));
    let settings = settings.unwrap_or(CacheSettings { tokens: 1000, token_octets: 4096 });
    let cache = VerifiedTokens::new(settings);
    for token in tokens {
        let parts = Parts::of(token.as_bytes()).map_err(|error| format!("{error:?}"))?;
        let signed = UnverifiedJws::parse(&parts)
            .and_then(UnverifiedJws::decode_signature)
            .map_err(|error| format!("{error:?}"))?;
        let payload = signed.verify([key].into_iter()).map_err(|error| format!("{error:?}"))?;
        let claims =
            RegisteredClaims::read(payload.claims()).map_err(|error| format!("{error:?}"))?;
        let known =
            KnownToken::new(token.as_bytes(), 1, claims, &Outputs::default(), &payload, &[]);
        cache.insert(Rc::new(known));
    }
    let kept = |token: &&String| cache.get(token.as_bytes(), 1).is_some();
    let kept: Vec<&String> = tokens.iter().filter(kept).collect();
    let mut turn = kept.iter().cycle();
    repeat.run(
        || turn.next(),
        |token| token.is_some_and(|token| cache.get(black_box(token.as_bytes()), 1).is_some()),
    )
}

fn decision(
    configuration: &Value,
    heads: &[Vec<(String, String)>],
    repeat: &Repeat<'_>,
) -> Result<Spent, String> {
    let policy = Policy::parse(configuration.to_string().as_bytes())
        .map_err(|errors| errors.iter().map(|error| format!("{error}; ")).collect::<String>())?;
    let mut engine = Engine::new(policy);
    let heads = heads.iter().map(|head| {
        let octets = |text: &String| text.as_bytes().to_vec();
        RequestHead::new(head.iter().map(|(name, value)| (octets(name), octets(value))).collect())
    });
    let heads: Vec<RequestHead> = heads.collect();
    let mut turn = heads.iter().cycle();
    // Measurements are short: one reading of the clock serves them all.
    let now = UnixTime::from_nanos((repeat.clock)());
    repeat.run(
        || turn.next().cloned().unwrap_or_default(),
        |head| {
            let decision = engine.handle_request(StreamId(1), head, now);
            while black_box(engine.next_effect()).is_some() {}
            matches!(decision, Decision::Forward(_))
        },
    )
}

/// Repeats a thing in batches that are long enough for the clock.
struct Repeat<'a> {
    clock: Clock<'a>,
    span: u64,
}

/// The length of a batch, in nanoseconds: reading the clock takes less than a thousandth of it.
const BATCH: u64 = 200_000;
/// Most times in a batch: what they are done with is made before, and kept.
const MOST_TIMES: u64 = 1_000;

impl Repeat<'_> {
    /// Does `act` again and again with what `prepare` makes, which is not counted. `act` tells
    /// whether it went well, so that nothing is measured that did not happen.
    fn run<T>(
        &self,
        mut prepare: impl FnMut() -> T,
        mut act: impl FnMut(T) -> bool,
    ) -> Result<Spent, String> {
        let mut batch = |times: u64| {
            let inputs: Vec<T> = (0..times).map(|_| prepare()).collect();
            let before = (self.clock)();
            let went_well = inputs.into_iter().all(&mut act);
            let after = (self.clock)();
            match went_well {
                true => Ok(after.saturating_sub(before)),
                false => Err("what is to be measured fails".to_owned()),
            }
        };
        let (mut times, mut warm) = (1, 0);
        while warm < self.span {
            let spent = batch(times)?;
            // A clock that stands still must not keep this going forever.
            warm += spent.max(1_000);
            if spent < BATCH {
                times = times.saturating_mul(2).min(MOST_TIMES);
            }
        }
        let (mut each, mut total) = (Vec::new(), 0);
        while total < self.span {
            let spent = batch(times)?;
            total += spent.max(1_000);
            each.push(spent / times);
        }
        each.sort_unstable();
        Ok(Spent {
            median: each.get(each.len() / 2).copied().unwrap_or_default(),
            least: each.first().copied().unwrap_or_default(),
            times: times.saturating_mul(each.len() as u64),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_middle_and_the_least() {
        let now = Cell::new(0);
        let clock = || {
            now.set(now.get() + 300_000);
            now.get()
        };
        let repeat = Repeat { clock: &clock, span: 3_000_000 };
        let spent = repeat.run(|| (), |()| true).unwrap();
        assert_eq!((spent.median, spent.least, spent.times), (300_000, 300_000, 10));
        assert!(repeat.run(|| (), |()| false).is_err());
        let subject = Subject::Header { text: "{}".to_owned() };
        assert!(Measurement { subject, nanoseconds: 1 }.run(&|| 0).is_err());
    }
}
