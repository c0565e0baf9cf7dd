//! What the fuzzer makes up: a configuration, and what happens to a worker.

use arbitrary::{Arbitrary, Result, Unstructured};
use serde_json::{Map, Value, json};

use crate::keys::{keys, set};

/// Issuers of providers and tokens; the last is nobody's.
pub const ISSUERS: [&str; 3] = ["https://a.example", "b", "nobody"];
/// Audiences.
pub const AUDIENCES: [&str; 3] = ["api", "https://other.example/", "third"];
/// The paths of requests. Those of rules are among them.
pub const PATHS: [&str; 6] = ["/", "/a", "/a/x", "/b", "/b/y", "/c"];
/// The header that a provider writes the payload into.
pub const PAYLOAD_HEADER: &str = "x-payload";

/// A configuration, and what happens.
#[derive(Arbitrary, Debug)]
pub struct Scenario {
    /// Tables of multiples take long to make: in one of four.
    pub tables: Choice<4>,
    /// Where no rule matches.
    #[arbitrary(with = often)]
    pub default: Option<Requirement>,
    #[arbitrary(with = some::<_, 1, 3>)]
    pub providers: Vec<Provider>,
    #[arbitrary(with = some::<_, 0, 3>)]
    pub rules: Vec<Rule>,
    #[arbitrary(with = some::<_, 1, 24>)]
    pub events: Vec<Event>,
}

/// An issuer. It is called `p` and its place.
#[derive(Arbitrary, Debug)]
pub struct Provider {
    /// None: anybody's tokens.
    #[arbitrary(with = issuer)]
    pub issuer: Option<Choice<3>>,
    #[arbitrary(with = perhaps_some)]
    pub audiences: Flags<3>,
    /// The keys, if they are not fetched.
    pub local: Option<Flags<10>>,
    /// Where it takes tokens from; nowhere: the usual places.
    pub places: Flags<4>,
    pub forward: bool,
    pub tells_payload: bool,
    pub caches: bool,
    pub skew: Choice<3>,
}

/// A rule, for all paths that begin like this.
#[derive(Arbitrary, Debug)]
pub struct Rule {
    pub path: Choice<6>,
    pub exact: bool,
    #[arbitrary(with = often)]
    pub requires: Option<Requirement>,
}

/// What is required. Providers are counted modulo their number.
#[derive(Arbitrary, Debug)]
pub enum Requirement {
    Provider(Choice<3>),
    WithAudiences(Choice<3>, Flags<3>),
    Any(Leaf, Leaf),
    All(Leaf, Leaf),
    AllowMissing,
    AllowMissingOrFailed,
    AnyOfAll(Leaf, Leaf, Leaf),
}

/// A requirement within another.
#[derive(Arbitrary, Debug)]
pub enum Leaf {
    Provider(Choice<3>),
    WithAudiences(Choice<3>, Flags<3>),
    AllowMissing,
    AllowMissingOrFailed,
}

/// Something happens. What happens most stands there several times.
#[derive(Arbitrary, Debug)]
pub enum Event {
    Request(Request),
    Another(Request),
    /// The same request as earlier.
    Again(u8),
    /// The oldest fetch brings keys.
    Keys(Flags<10>),
    /// The oldest fetch is answered.
    Answer(Answer),
    /// Milliseconds pass.
    Later(u16),
    /// Many seconds pass.
    MuchLater(u8),
    /// The clock is set back by so many seconds.
    Earlier(u8),
    /// A client gives up.
    Gone(u8),
}

/// What an issuer answers.
#[derive(Arbitrary, Debug)]
pub enum Answer {
    Keys(Flags<10>),
    Nonsense,
    Status(Choice<5>),
    Reset,
}

/// A request.
#[derive(Arbitrary, Clone, Debug)]
pub struct Request {
    pub path: Choice<6>,
    #[arbitrary(with = tokens)]
    pub tokens: Vec<(Choice<4>, Token)>,
    /// The client writes the gate's own header.
    pub forges: bool,
}

/// A token. Most are signed.
#[derive(Arbitrary, Clone, Debug)]
pub enum Token {
    Signed(Box<Signed>),
    AlsoSigned(Box<Signed>),
    SignedTwice(Box<Signed>),
    /// Letters of tokens, in any order.
    Raw(#[arbitrary(with = some::<_, 0, 40>)] Vec<u8>),
}

/// A token that a key of ours signed, and what was done to it.
#[derive(Arbitrary, Clone, Debug)]
pub struct Signed {
    #[arbitrary(with = signer)]
    pub key: Choice<10>,
    #[arbitrary(with = rarely)]
    pub header: Option<Header>,
    #[arbitrary(with = rarely)]
    pub iss: Option<Said<Choice<3>>>,
    #[arbitrary(with = audience)]
    pub aud: Option<Audience>,
    #[arbitrary(with = time)]
    pub exp: Option<Said<i16>>,
    #[arbitrary(with = time)]
    pub nbf: Option<Said<i16>>,
    #[arbitrary(with = rarely)]
    pub more: Option<More>,
    #[arbitrary(with = rarely)]
    pub tampered: Option<(u16, u8)>,
}

/// What a header says beside the usual.
#[derive(Arbitrary, Clone, Debug)]
pub enum Header {
    Algorithm(Choice<16>),
    /// The key's public half as a secret.
    Confused,
    NoKid,
    Kid(Choice<12>),
    KidNull,
    Critical,
    B64(bool),
    OwnKey,
    TypNumber,
    Doubled,
}

/// A claim.
#[derive(Arbitrary, Clone, Debug)]
pub enum Said<T> {
    Absent,
    This(T),
    Odd(Choice<8>),
}

/// Whom a token is for.
#[derive(Arbitrary, Clone, Debug)]
pub enum Audience {
    One(Choice<3>),
    List(Flags<3>),
    Absent,
    Odd(Choice<8>),
}

/// What the payload says beside the usual.
#[derive(Arbitrary, Clone, Debug)]
pub enum More {
    DoubledIssuer,
    Deep(u8),
    NoObject,
    OddJti,
    NotUtf8,
}

/// A number below `N`.
#[derive(Clone, Copy, Debug)]
pub struct Choice<const N: usize>(pub usize);

impl<'a, const N: usize> Arbitrary<'a> for Choice<N> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(usize::from(u8::arbitrary(u)?) % N))
    }
}

/// Some of `N` things, by their places.
#[derive(Clone, Debug)]
pub struct Flags<const N: usize>(pub Vec<usize>);

impl<'a, const N: usize> Arbitrary<'a> for Flags<N> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let bits = u16::arbitrary(u)? | u16::arbitrary(u)?;
        Ok(Self((0..N).filter(|place| bits >> place & 1 == 1).collect()))
    }
}

/// Something, in one of sixteen cases: there are seven ways for a token to be odd.
fn rarely<'a, T: Arbitrary<'a>>(u: &mut Unstructured<'a>) -> Result<Option<T>> {
    if u8::arbitrary(u)? % 16 == 15 { T::arbitrary(u).map(Some) } else { Ok(None) }
}

/// Something, in seven of eight cases.
fn often<'a, T: Arbitrary<'a>>(u: &mut Unstructured<'a>) -> Result<Option<T>> {
    if u8::arbitrary(u)? % 8 == 7 { Ok(None) } else { T::arbitrary(u).map(Some) }
}

/// Mostly that of most tokens.
fn issuer(u: &mut Unstructured<'_>) -> Result<Option<Choice<3>>> {
    Ok([Some(0), Some(0), Some(0), Some(0), Some(1), Some(2), None, None]
        [usize::from(u8::arbitrary(u)?) % 8]
        .map(Choice))
}

/// Some, or as often none.
fn perhaps_some<'a, const N: usize>(u: &mut Unstructured<'a>) -> Result<Flags<N>> {
    Ok(if bool::arbitrary(u)? { Flags::arbitrary(u)? } else { Flags(Vec::new()) })
}

/// Mostly for the first audience, which half of the providers do not want.
fn audience(u: &mut Unstructured<'_>) -> Result<Option<Audience>> {
    Ok(match u8::arbitrary(u)? % 8 {
        0..4 => None,
        4 | 5 => Some(Audience::One(Choice::arbitrary(u)?)),
        _ => Some(Audience::arbitrary(u)?),
    })
}

/// Around now more often than far from it.
fn time(u: &mut Unstructured<'_>) -> Result<Option<Said<i16>>> {
    Ok(match u8::arbitrary(u)? % 8 {
        0..6 => None,
        6 => Some(Said::This(i16::from(i8::arbitrary(u)?))),
        _ => rarely(u)?,
    })
}

/// One token, mostly.
fn tokens(u: &mut Unstructured<'_>) -> Result<Vec<(Choice<4>, Token)>> {
    let count = [1, 1, 1, 1, 1, 0, 2, 3][usize::from(u8::arbitrary(u)?) % 8];
    (0..count).map(|_| Arbitrary::arbitrary(u)).collect()
}

/// RSA and the larger curves are slow: seldom.
fn signer(u: &mut Unstructured<'_>) -> Result<Choice<10>> {
    const PLACES: [usize; 32] = [
        0, 1, 2, 5, 8, 9, 0, 1, 2, 5, 8, 9, 0, 1, 2, 5, 8, 9, 0, 1, 2, 5, 8, 9, 0, 1, 5, 9, 3, 4,
        6, 7,
    ];
    Ok(Choice(PLACES[usize::from(u8::arbitrary(u)?) % 32]))
}

fn some<'a, T: Arbitrary<'a>, const LEAST: usize, const MOST: usize>(
    u: &mut Unstructured<'a>,
) -> Result<Vec<T>> {
    let count = u.int_in_range(LEAST..=MOST)?;
    (0..count).map(|_| T::arbitrary(u)).collect()
}

/// The name of the provider at this place.
fn name(place: usize) -> String {
    format!("p{place}")
}

impl Provider {
    /// The keys that it always has.
    pub fn local_keys(&self) -> Option<Vec<usize>> {
        // An empty set is a mistake.
        self.local.as_ref().map(|own| if own.0.is_empty() { vec![0] } else { own.0.clone() })
    }

    /// Seconds.
    pub fn skew(&self) -> i64 {
        [0, 60, 5][self.skew.0]
    }

    /// Places of tokens: authorization, x-token, access_token, the cookie.
    pub fn places(&self) -> Vec<usize> {
        if self.places.0.is_empty() { vec![0, 2] } else { self.places.0.clone() }
    }

    fn config(&self) -> Value {
        let mut provider = json!({
            "audiences": self.audiences.0.iter().map(|place| AUDIENCES[*place]).collect::<Vec<_>>(),
            "forward": self.forward,
            "clock_skew": format!("{}s", self.skew()),
            "jwt_cache_config": { "disabled": !self.caches },
        });
        if let Some(issuer) = self.issuer {
            provider["issuer"] = ISSUERS[issuer.0].into();
        }
        if self.tells_payload {
            provider["forward_payload_header"] = PAYLOAD_HEADER.into();
        }
        match self.local_keys() {
            Some(places) => {
                provider["local_jwks"] = json!({ "inline_string": set(&places).to_string() });
            }
            None => {
                provider["remote_jwks"] = json!({
                    "http_uri": { "uri": "https://i/jwks", "cluster": "i", "timeout": "2s" },
                    "cache_duration": "60s", "stale_if_error": "60s",
                });
            }
        }
        for place in &self.places.0 {
            let (field, item) = match place {
                0 => {
                    ("from_headers", json!({ "name": "authorization", "value_prefix": "Bearer " }))
                }
                1 => ("from_headers", json!({ "name": "x-token" })),
                2 => ("from_params", json!("access_token")),
                _ => ("from_cookies", json!("t")),
            };
            match provider[field].as_array_mut() {
                Some(list) => list.push(item),
                None => provider[field] = json!([item]),
            }
        }
        provider
    }
}

impl Scenario {
    /// The configuration.
    pub fn config(&self) -> Value {
        let providers = self.providers.iter().enumerate();
        let providers: Map<_, _> =
            providers.map(|(place, own)| (name(place), own.config())).collect();
        let rules = self.rules.iter().map(|rule| {
            let kind = if rule.exact { "path" } else { "prefix" };
            let mut config = json!({ "match": { kind: PATHS[rule.path.0] } });
            if let Some(requires) = &rule.requires {
                config["requires"] = requires.config(self.providers.len());
            }
            config
        });
        let mut config = json!({
            "providers": providers,
            "rules": rules.collect::<Vec<_>>(),
            "key_sharing": { "disabled": true },
            "key_tables": { "max_octets": if self.tables.0 == 3 { 1 << 20 } else { 0 } },
        });
        if let Some(default) = &self.default {
            config["default_requirement"] = default.config(self.providers.len());
        }
        config
    }
}

impl Requirement {
    fn config(&self, providers: usize) -> Value {
        let list = |leaves: &[&Leaf]| json!({ "requirements": leaves.iter().map(|one| one.config(providers)).collect::<Vec<_>>() });
        match self {
            Self::Provider(place) => Leaf::Provider(*place).config(providers),
            Self::WithAudiences(place, audiences) => {
                Leaf::WithAudiences(*place, audiences.clone()).config(providers)
            }
            Self::AllowMissing => Leaf::AllowMissing.config(providers),
            Self::AllowMissingOrFailed => Leaf::AllowMissingOrFailed.config(providers),
            Self::Any(one, other) => json!({ "requires_any": list(&[one, other]) }),
            Self::All(one, other) => json!({ "requires_all": list(&[one, other]) }),
            Self::AnyOfAll(one, two, three) => {
                let all = json!({ "requires_all": list(&[one, two]) });
                json!({ "requires_any": { "requirements": [all, three.config(providers)] } })
            }
        }
    }
}

impl Leaf {
    fn config(&self, providers: usize) -> Value {
        match self {
            Self::Provider(place) => json!({ "provider_name": name(place.0 % providers) }),
            Self::WithAudiences(place, audiences) => json!({ "provider_and_audiences": {
                "provider_name": name(place.0 % providers),
                "audiences": audiences.0.iter().map(|place| AUDIENCES[*place]).collect::<Vec<_>>(),
            } }),
            Self::AllowMissing => json!({ "allow_missing": {} }),
            Self::AllowMissingOrFailed => json!({ "allow_missing_or_failed": {} }),
        }
    }
}

impl Token {
    /// The token, made at this time.
    pub fn text(&self, now: i64) -> String {
        const LETTERS: &[u8] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=";
        match self {
            Self::Raw(octets) => octets
                .iter()
                .map(|octet| char::from(LETTERS[usize::from(*octet) % LETTERS.len()]))
                .collect(),
            Self::Signed(signed) | Self::AlsoSigned(signed) | Self::SignedTwice(signed) => {
                signed.text(now)
            }
        }
    }
}

/// What no registered claim should be.
fn odd(which: Choice<8>) -> Value {
    [
        json!(null),
        json!("1"),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!([]),
        json!({}),
        json!(true),
    ][which.0]
        .clone()
}

impl Signed {
    fn text(&self, now: i64) -> String {
        let key = &keys()[self.key.0];
        let mut claims = json!({ "sub": "alice" });
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                claims[name] = value;
            }
        };
        put(
            "iss",
            match &self.iss {
                None => Some(ISSUERS[0].into()),
                Some(Said::Absent) => None,
                Some(Said::This(which)) => Some(ISSUERS[which.0].into()),
                Some(Said::Odd(which)) => Some(odd(*which)),
            },
        );
        put(
            "aud",
            match &self.aud {
                None => Some(AUDIENCES.into_iter().collect()),
                Some(Audience::One(which)) => Some(AUDIENCES[which.0].into()),
                Some(Audience::List(some)) => {
                    Some(some.0.iter().map(|which| AUDIENCES[*which]).collect())
                }
                Some(Audience::Absent) => None,
                Some(Audience::Odd(which)) => Some(odd(*which)),
            },
        );
        for (name, said, usual) in [("exp", &self.exp, 600), ("nbf", &self.nbf, -600)] {
            put(
                name,
                match said {
                    None => Some(json!(now + usual)),
                    Some(Said::Absent) => None,
                    Some(Said::This(seconds)) => Some(json!(now + i64::from(*seconds))),
                    Some(Said::Odd(which)) => Some(odd(*which)),
                },
            );
        }
        if let Some(More::OddJti) = self.more {
            put("jti", Some(json!(7)));
        }
        let mut payload = claims.to_string().into_bytes();
        match &self.more {
            Some(More::DoubledIssuer) => {
                payload.splice(1..1, br#""iss":"b","#.iter().copied());
            }
            Some(More::Deep(depth)) => {
                let depth = usize::from(*depth);
                let deep = format!(r#""deep":{}{},"#, "[".repeat(depth), "]".repeat(depth));
                payload.splice(1..1, deep.into_bytes());
            }
            Some(More::NoObject) => payload = b"[]".to_vec(),
            Some(More::NotUtf8) => payload.splice(1..1, *b"\"\xff\":1,").for_each(drop),
            Some(More::OddJti) | None => {}
        }
        let mut token = self.sign(key, &payload);
        if let Some((place, change)) = self.tampered {
            // Still a letter, so that it stays where it was put.
            let place = usize::from(place) % token.len();
            let letter = char::from(b"AZaz09-_.="[usize::from(change) % 10]);
            token.replace_range(place..=place, &letter.to_string());
        }
        token
    }

    fn sign(&self, key: &crate::keys::Key, payload: &[u8]) -> String {
        use jwt_gate_signing::{Alg, SigningKey, base64url};
        const NAMES: [&str; 16] = [
            "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512",
            "PS256", "PS384", "PS512", "EdDSA", "none", "None", "",
        ];
        let mut header = key.signing.header();
        let Some(odd) = &self.header else {
            return key.signing.sign_with_header(&header, payload);
        };
        match odd {
            Header::Doubled => {}
            Header::Algorithm(which) => header["alg"] = NAMES[which.0].into(),
            Header::NoKid => drop(header.as_object_mut().expect("an object").remove("kid")),
            Header::Kid(which) => {
                let kid = keys().get(which.0).map_or("unknown", |key| key.signing.kid());
                header["kid"] = kid.into();
            }
            Header::KidNull => header["kid"] = Value::Null,
            Header::Critical => header["crit"] = json!(["exp"]),
            Header::B64(encoded) => header["b64"] = (*encoded).into(),
            Header::OwnKey => header["jwk"] = keys()[2].jwk.clone(),
            Header::TypNumber => header["typ"] = json!(1),
            Header::Confused => {
                header["alg"] = "HS256".into();
                let text = key.jwk.to_string();
                let secret = SigningKey::from_hmac_secret(Alg::HS256, "", text.as_bytes());
                return secret.sign_with_header(&header, payload);
            }
        }
        if let Header::Doubled = odd {
            let text = header.to_string().replacen('{', r#"{"alg":"none","#, 1);
            let input = format!("{}.{}", base64url(text), base64url(payload));
            let signature = base64url(key.signing.sign_bytes(input.as_bytes()));
            return format!("{input}.{signature}");
        }
        key.signing.sign_with_header(&header, payload)
    }
}
