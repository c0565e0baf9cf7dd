//! The JOSE header of a token (RFC 7515 section 4).
//!
//! Only `alg`, `kid`, `typ`, `crit` and `b64` are read. A key or an address of one inside the header
//! (`jwk`, `jku`, `x5u`, `x5c`) is never used: it is the sender's word (RFC 8725 section 3.10). Proofs
//! of possession are just that, and have [`super::self_signed`].

use crate::jose::algorithm::Algorithm;
use crate::json::Node;

/// What the gate takes from a JOSE header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// The algorithm, one of the table.
    pub algorithm: Algorithm,
    /// The key id; an empty one counts as none, as natively.
    pub kid: Option<String>,
    /// The type (RFC 7515 section 4.1.9); one that is no string is nobody's type.
    pub typ: Option<String>,
}

/// Why a header is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeaderError {
    /// `alg` is absent or no string.
    AlgorithmMissing,
    /// `alg` is none of the table; `none` is not in it either.
    AlgorithmUnknown,
    /// `crit` or `b64` asks for something that is not understood (RFC 7515 section 4.1.11,
    /// RFC 7797 section 6).
    Critical,
    /// `kid` is no string.
    KidType,
    /// Not a JSON object in the strict sense.
    NotJson,
}

impl Header {
    /// Reads the decoded header.
    pub fn parse(json: &[u8]) -> Result<Self, HeaderError> {
        let Ok(Node::Object(members)) = Node::parse(json) else {
            return Err(HeaderError::NotJson);
        };
        let algorithm =
            members.get("alg").and_then(Node::as_text).ok_or(HeaderError::AlgorithmMissing)?;
        let algorithm = Algorithm::from_name(algorithm).ok_or(HeaderError::AlgorithmUnknown)?;
        let kid = match members.get("kid") {
            None => None,
            Some(Node::Text(kid)) => Some(kid.clone().into_owned()).filter(|kid| !kid.is_empty()),
            Some(_) => return Err(HeaderError::KidType),
        };
        // No extension is implemented, so whatever is critical is not understood. An unencoded
        // payload (`b64: false`) must be announced as critical, but refuse it without, too.
        let encoded = |b64: &Node<'_>| *b64 == Node::Bool(true);
        if members.get("crit").is_some() || !members.get("b64").is_none_or(encoded) {
            return Err(HeaderError::Critical);
        }
        let typ = members.get("typ").and_then(Node::as_text).map(str::to_owned);
        Ok(Self { algorithm, kid, typ })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: Result<(&str, Option<&str>), HeaderError>) {
        let actual = Header::parse(json.as_bytes());
        let actual = actual
            .as_ref()
            .map(|header| (header.algorithm.name, header.kid.as_deref()))
            .map_err(|error| *error);
        assert_eq!(actual, expected, "{json}");
    }

    #[test]
    fn headers() {
        check(r#"{"alg":"RS256"}"#, Ok(("RS256", None)));
        check(r#"{"alg":"ES256","kid":"a","typ":"JWT","cty":"x"}"#, Ok(("ES256", Some("a"))));
        check(r#"{"alg":"ES256","kid":""}"#, Ok(("ES256", None)));
        check(r#"{"alg":"ES256","b64":true}"#, Ok(("ES256", None)));
        check(r#"{"alg":"RS256","jwk":{},"jku":"https://a","x5c":[]}"#, Ok(("RS256", None)));
        for json in ["", "[]", "1", "null", "{", r#"{"alg":"RS256","alg":"none"}"#, "{'alg':1}"] {
            check(json, Err(HeaderError::NotJson));
        }
        for json in ["{}", r#"{"alg":null}"#, r#"{"alg":["RS256"]}"#, r#"{"ALG":"RS256"}"#] {
            check(json, Err(HeaderError::AlgorithmMissing));
        }
        for name in ["none", "None", "nOnE", "", "rs256", "HS256\\u0000", "RSA-OAEP"] {
            check(&format!(r#"{{"alg":"{name}"}}"#), Err(HeaderError::AlgorithmUnknown));
        }
        for kid in ["1", "null", "[]", "{}", "true"] {
            check(&format!(r#"{{"alg":"RS256","kid":{kid}}}"#), Err(HeaderError::KidType));
        }
        for member in [
            r#""crit":["exp"]"#,
            r#""crit":[]"#,
            r#""crit":null"#,
            r#""b64":false"#,
            r#""b64":"false""#,
            r#""crit":["b64"],"b64":false"#,
        ] {
            check(&format!(r#"{{"alg":"RS256",{member}}}"#), Err(HeaderError::Critical));
        }
    }
}
