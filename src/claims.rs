//! Registered claims (RFC 7519 section 4.1): their types, and the checks at a given time.
//!
//! The checks run before the signature, in the native filter's order: an expired token is refused
//! without a key and without arithmetic. Until the signature is checked, they can only refuse.

use std::time::Duration;

use serde_json::Number;

use crate::json::{Members, Node};
use crate::time::UnixTime;

/// The registered claims, each of the right type.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RegisteredClaims {
    /// Issuer.
    pub iss: Option<String>,
    /// Subject.
    pub sub: Option<String>,
    /// Audience: a string counts as a list of one.
    pub aud: Vec<String>,
    /// Expiration, in whole seconds; decimals are dropped.
    pub exp: Option<u64>,
    /// Not before, likewise.
    pub nbf: Option<u64>,
    /// Issued at, likewise.
    pub iat: Option<u64>,
}

/// Which registered claim has the wrong type.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ClaimError {
    /// `aud` is neither a string nor a list of strings.
    AudType,
    /// `exp` is negative or beyond 64 bits.
    ExpRange,
    /// `exp` is no number.
    ExpType,
    /// `iat` is negative or beyond 64 bits.
    IatRange,
    /// `iat` is no number.
    IatType,
    /// `iss` is no string.
    IssType,
    /// `jti` is no string.
    JtiType,
    /// `nbf` is negative or beyond 64 bits.
    NbfRange,
    /// `nbf` is no number.
    NbfType,
    /// `sub` is no string.
    SubType,
}

impl RegisteredClaims {
    /// Reads them in the native filter's order. A wrong type is not absence.
    pub fn read(claims: &Members<'_>) -> Result<Self, ClaimError> {
        let iss = text(claims, "iss", ClaimError::IssType)?;
        let sub = text(claims, "sub", ClaimError::SubType)?;
        let iat = date(claims, "iat", ClaimError::IatType, ClaimError::IatRange)?;
        let nbf = date(claims, "nbf", ClaimError::NbfType, ClaimError::NbfRange)?;
        let exp = date(claims, "exp", ClaimError::ExpType, ClaimError::ExpRange)?;
        text(claims, "jti", ClaimError::JtiType)?;
        let aud = audience(claims)?;
        Ok(Self { iss: iss.map(str::to_owned), sub: sub.map(str::to_owned), aud, exp, nbf, iat })
    }

    /// Whether `nbf` lies more than `skew` ahead (RFC 7519 section 4.1.5).
    pub fn is_not_yet_valid(&self, now: UnixTime, skew: Duration) -> bool {
        self.nbf.is_some_and(|nbf| now.as_secs().saturating_add(skew.as_secs()) < nbf)
    }

    /// Whether `exp` lies `skew` or more behind (RFC 7519 section 4.1.4: on or after it, a token
    /// must not be accepted).
    pub fn is_expired(&self, now: UnixTime, skew: Duration) -> bool {
        self.exp.is_some_and(|exp| now.as_secs() >= exp.saturating_add(skew.as_secs()))
    }

    /// Whether `iat` lies more than `most` behind or, what no clock explains, ahead.
    pub fn is_older_than(&self, most: Duration, now: UnixTime, skew: Duration) -> bool {
        self.iat.is_none_or(|iat| {
            let (now, skew) = (now.as_secs(), skew.as_secs());
            iat > now.saturating_add(skew)
                || now > iat.saturating_add(most.as_secs()).saturating_add(skew)
        })
    }

    /// Whether `aud` names one of `allowed`, which are in [`comparable_audience`] form. A token
    /// without `aud` is for nobody.
    pub fn is_for_any(&self, allowed: &[String]) -> bool {
        self.aud.iter().any(|aud| allowed.iter().any(|own| own == comparable_audience(aud)))
    }
}

/// An audience without `http://` or `https://` and without one trailing slash: the form in which
/// the native filter compares them.
pub fn comparable_audience(audience: &str) -> &str {
    let bare = audience
        .strip_prefix("http://")
        .or_else(|| audience.strip_prefix("https://"))
        .unwrap_or(audience);
    bare.strip_suffix('/').unwrap_or(bare)
}

fn text<'a>(
    claims: &'a Members<'_>,
    name: &str,
    wrong: ClaimError,
) -> Result<Option<&'a str>, ClaimError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Node::Text(text)) => Ok(Some(text)),
        Some(_) => Err(wrong),
    }
}

fn date(
    claims: &Members<'_>,
    name: &str,
    wrong: ClaimError,
    range: ClaimError,
) -> Result<Option<u64>, ClaimError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Node::Number(number)) => whole_seconds(number).map(Some).ok_or(range),
        Some(_) => Err(wrong),
    }
}

/// A `NumericDate` (RFC 7519 section 2) in whole seconds; none where it is negative or beyond 64 bits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked first, and decimals are meant to go"
)]
pub fn whole_seconds(number: &Number) -> Option<u64> {
    /// 2^64 as a float, exactly.
    const END: f64 = 18_446_744_073_709_551_616.0;
    // Through a double, as natively; it is exact for the next few million years.
    let number = number.as_f64()?;
    (0.0..END).contains(&number).then_some(number as u64)
}

fn audience(claims: &Members<'_>) -> Result<Vec<String>, ClaimError> {
    match claims.get("aud") {
        None => Ok(Vec::new()),
        Some(Node::Text(one)) => Ok(vec![one.clone().into_owned()]),
        Some(Node::List(list)) => list
            .iter()
            .map(|one| one.as_text().map(str::to_owned).ok_or(ClaimError::AudType))
            .collect(),
        Some(_) => Err(ClaimError::AudType),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(claims: Value) -> Result<RegisteredClaims, ClaimError> {
        let text = claims.to_string();
        RegisteredClaims::read(Node::parse(text.as_bytes()).unwrap().as_object().unwrap())
    }

    #[test]
    fn wrong_types_are_not_absence() {
        for value in [json!(null), json!(1), json!([]), json!({}), json!(true)] {
            assert_eq!(read(json!({"iss": value})), Err(ClaimError::IssType));
            assert_eq!(read(json!({"sub": value})), Err(ClaimError::SubType));
            assert_eq!(read(json!({"jti": value})), Err(ClaimError::JtiType));
        }
        for value in [json!(null), json!("1"), json!([]), json!({}), json!(true)] {
            assert_eq!(read(json!({"exp": value})), Err(ClaimError::ExpType));
            assert_eq!(read(json!({"nbf": value})), Err(ClaimError::NbfType));
            assert_eq!(read(json!({"iat": value})), Err(ClaimError::IatType));
        }
        for value in [json!(-1), json!(-0.5), json!(1.9e19), json!(1e300), json!(u64::MAX)] {
            assert_eq!(read(json!({"exp": value})), Err(ClaimError::ExpRange));
            assert_eq!(read(json!({"nbf": value})), Err(ClaimError::NbfRange));
            assert_eq!(read(json!({"iat": value})), Err(ClaimError::IatRange));
        }
        for value in [json!(null), json!(1), json!({}), json!([1]), json!(["a", null])] {
            assert_eq!(read(json!({"aud": value})), Err(ClaimError::AudType));
        }
    }

    #[test]
    fn small_expirations_are_1970() {
        for value in [json!(0), json!(-0.0), json!(0.9), json!(1e-300)] {
            let claims = read(json!({"exp": value})).unwrap();
            assert_eq!(claims.exp, Some(0));
            assert!(claims.is_expired(UnixTime::from_secs(1_000_000), Duration::from_secs(60)));
        }
    }

    #[test]
    fn times_are_checked_to_the_second() {
        let claims = read(json!({"nbf": 1000, "exp": 2000.7})).unwrap();
        let skew = Duration::from_secs(60);
        assert!(claims.is_not_yet_valid(UnixTime::from_secs(939), skew));
        assert!(!claims.is_not_yet_valid(UnixTime::from_secs(940), skew));
        assert!(!claims.is_expired(UnixTime::from_secs(2059), skew));
        assert!(claims.is_expired(UnixTime::from_secs(2060), skew));
        assert!(!claims.is_expired(UnixTime::from_secs(1999), Duration::ZERO));
        assert!(claims.is_expired(UnixTime::from_secs(2000), Duration::ZERO));
        let forever = read(json!({"exp": 1e19, "nbf": 1e19})).unwrap();
        assert!(!forever.is_expired(UnixTime::from_secs(5), skew));
        assert!(forever.is_not_yet_valid(UnixTime::from_secs(5), skew));
    }

    #[test]
    fn audiences_compare_without_scheme_and_slash() {
        #[track_caller]
        fn check(aud: Value, allowed: &str, expected: bool) {
            let allowed = [comparable_audience(allowed).to_owned()];
            assert_eq!(read(json!({"aud": aud})).unwrap().is_for_any(&allowed), expected);
        }
        check(json!("https://a/"), "a", true);
        check(json!("a"), "http://a/", true);
        check(json!(["x", "http://a"]), "https://a", true);
        check(json!("a//"), "a", false);
        check(json!("http://https://a"), "a", false);
        check(json!("A"), "a", false);
        check(json!([]), "a", false);
        check(json!(""), "", true);
    }
}
