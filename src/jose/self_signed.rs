//! A JWS that brings the key along that verifies it, as proofs of possession do (RFC 9449 section
//! 4.2). What it says is said by whoever has that key, whoever that is: the thumbprint must be one that
//! somebody else vouches for. Never for tokens, whose keys are their issuer's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::jose::algorithm::{Algorithm, Family};
use crate::jose::header::Header;
use crate::jose::jwk::{Jwk, KeyStrength};
use crate::jose::jws::{NotVerified, Parts, SignedJws, UnverifiedJws, VerifiedPayload};
use crate::json::{Members, Node};

/// What only a private or a secret key has (RFC 7518 section 6, RFC 8037 section 2).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A JWS of a good form with a public key in its header.
pub struct SelfSigned<'a> {
    /// None: it is the one that is known.
    key: Option<Jwk>,
    thumbprint: String,
    jws: SignedJws<'a>,
}

/// A key that has signed something before, by its thumbprint. Reading a key takes as long as checking
/// many signatures of one that is used to it.
#[derive(Clone, Copy)]
pub struct KnownKey<'a> {
    /// Its thumbprint, by SHA-256.
    pub thumbprint: &'a str,
    /// The key, once it has signed something.
    pub key: Option<&'a Jwk>,
}

impl<'a> SelfSigned<'a> {
    /// Reads it. None: it is malformed, its algorithm is none for public keys, or its key is not one
    /// that can be used with it.
    pub fn parse(parts: &'a Parts<'_>, known: KnownKey<'_>) -> Option<Self> {
        let jws = UnverifiedJws::parse(parts).ok()?.decode_signature().ok()?;
        let algorithm = jws.header().algorithm;
        if matches!(algorithm.family, Family::Hmac(_)) {
            return None;
        }
        let Ok(Node::Object(header)) = Node::parse(parts.header_json()) else { return None };
        let jwk = header.get("jwk")?.to_value();
        let members = jwk.as_object()?;
        if PRIVATE.iter().any(|name| members.contains_key(*name)) {
            return None;
        }
        if !is_for(members, algorithm) {
            return None;
        }
        let bare = bare(&jwk)?;
        let thumbprint = thumbprint(&bare);
        // Nothing but the key itself is kept: what else one header says of it is no matter of the next.
        let key = match known.key.filter(|_| known.thumbprint == thumbprint) {
            Some(_) => None,
            None => Some(Jwk::parse(&bare, KeyStrength::Required).ok()?),
        };
        let fits = key.as_ref().or(known.key).is_some_and(|key| key.fits(algorithm));
        fits.then_some(Self { key, thumbprint, jws })
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        self.jws.header()
    }

    /// The thumbprint of its key, by SHA-256.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// What it says. Until its signature is checked, that may only serve to refuse it.
    pub fn unverified_claims(&self) -> &Members<'a> {
        self.jws.unverified_claims()
    }

    /// Checks the signature, with the key that is known if the header has that one. Returns the key
    /// that is not known yet.
    pub fn verify(
        self,
        known: KnownKey<'_>,
    ) -> Result<(VerifiedPayload<'a>, Option<Jwk>), NotVerified> {
        let payload = self.jws.verify(self.key.as_ref().or(known.key).into_iter())?;
        Ok((payload, self.key))
    }
}

/// Whether what a JWK says of itself allows this use (RFC 7517 section 4).
fn is_for(members: &Map<String, Value>, algorithm: Algorithm) -> bool {
    let text = |name: &str| members.get(name).map(|value| value.as_str().unwrap_or_default());
    let operations = members.get("key_ops").map(|operations| {
        let operations = operations.as_array().into_iter().flatten();
        operations.filter_map(Value::as_str).any(|operation| operation == "verify")
    });
    text("use").is_none_or(|own| own == "sig")
        && operations.unwrap_or(true)
        && text("alg").is_none_or(|own| Algorithm::from_name(own) == Some(algorithm))
}

/// The members of a public key that make it this one (RFC 7638 section 3.2), as they stand: a key in
/// another spelling is another one.
fn bare(jwk: &Value) -> Option<Value> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let names: &[&str] = match text("kty")? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    let members = names.iter().map(|name| Some(((*name).to_owned(), text(name)?.into())));
    Some(Value::Object(members.collect::<Option<_>>()?))
}

/// The thumbprint of a public key by SHA-256 (RFC 7638), base64url, of its bare members: as a map, they
/// are in the order of their names.
fn thumbprint(bare: &Value) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bare.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 9449 figure 13, with its lines joined.
    const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";

    const NOBODY: KnownKey<'_> = KnownKey { thumbprint: "", key: None };

    #[test]
    fn rfc9449_figure_13() {
        let parts = Parts::of(PROOF.as_bytes()).unwrap();
        let proof = SelfSigned::parse(&parts, NOBODY).unwrap();
        assert_eq!(proof.header().typ.as_deref(), Some("dpop+jwt"));
        // Figure 9.
        assert_eq!(proof.thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        let (payload, key) = proof.verify(NOBODY).unwrap();
        let ath =
            URL_SAFE_NO_PAD.encode(Sha256::digest("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"));
        assert_eq!(payload.claims().get("ath").and_then(Node::as_text), Some(ath.as_str()));
        // Known by its thumbprint, the key serves again; by another one's, it is read anew.
        let thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        for (thumbprint, is_new) in [(thumbprint, false), ("another", true)] {
            let known = KnownKey { thumbprint, key: key.as_ref() };
            let proof = SelfSigned::parse(&parts, known).unwrap();
            assert_eq!(proof.verify(known).unwrap().1.is_some(), is_new);
        }
        // Another signature.
        let changed = PROOF.replace("2oW9", "3oW9");
        let parts = Parts::of(changed.as_bytes()).unwrap();
        assert!(SelfSigned::parse(&parts, NOBODY).unwrap().verify(NOBODY).is_err());
    }

    /// RFC 7638 section 3.1.
    #[test]
    fn rfc7638_thumbprint() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let jwk = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
        let expected = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        assert_eq!(bare(&jwk).map(|bare| thumbprint(&bare)).as_deref(), Some(expected));
    }

    #[test]
    fn keys_that_are_no_public_ones_are_refused() {
        let header = |jwk: Value| json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let (x, y) = (
            "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        );
        let good = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        let read = |header: &Value| {
            let token = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header.to_string()));
            SelfSigned::parse(&Parts::of(token.as_bytes()).unwrap(), NOBODY).is_some()
        };
        assert!(read(&header(good.clone())));
        for (name, value) in [("d", "AA"), ("k", "AA"), ("x", y), ("crv", "P-384"), ("use", "enc")]
        {
            let mut bad = good.clone();
            bad[name] = json!(value);
            assert!(!read(&header(bad)), "{name}");
        }
        let mut nameless = good.clone();
        nameless.as_object_mut().unwrap().remove("crv");
        assert!(!read(&header(nameless)), "the thumbprint needs it");
        let secret = json!({ "kty": "oct", "k": "A".repeat(64) });
        for bad in [json!(null), json!("x"), json!({}), json!([good.clone()]), secret.clone()] {
            assert!(!read(&header(bad)));
        }
        assert!(!read(&json!({ "alg": "HS256", "jwk": secret })));
        assert!(!read(&json!({ "alg": "none", "jwk": good })));
        assert!(!read(&json!({ "alg": "ES256" })));
        assert!(!read(&json!({ "alg": "ES256", "jwk": good, "crit": ["jwk"] })));
    }
}
