//! Signatures whose worth is known, through the libraries and through arithmetic of our own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fast_verify::rsa::Arithmetic;
use jwt_gate::jose::algorithm::Algorithm;
use jwt_gate::jose::jwk::{Jwk, KeyStrength};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Signatures under one key.
#[derive(Debug, Deserialize, Serialize)]
pub struct Group {
    /// What a failure is told with.
    pub name: String,
    /// The key.
    pub jwk: Value,
    /// The name of the algorithm, as in `alg`.
    pub algorithm: String,
    /// Whether the key may be weaker than is usually required: published ones are.
    #[serde(default)]
    pub weak: bool,
    /// The signatures.
    pub cases: Vec<Case>,
}

/// One signature, and whether it is good.
#[derive(Debug, Deserialize, Serialize)]
pub struct Case {
    /// What a failure is told with.
    pub name: String,
    /// What was signed, in base64url.
    pub input: String,
    /// The signature, in base64url.
    pub signature: String,
    /// Whether it must be accepted.
    pub good: bool,
}

impl Case {
    /// A case of these octets.
    pub fn new(name: String, input: &[u8], signature: &[u8], good: bool) -> Self {
        let encode = |octets| URL_SAFE_NO_PAD.encode(octets);
        Self { name, input: encode(input), signature: encode(signature), good }
    }
}

/// What came of a group.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Tally {
    /// Signatures that had to be accepted.
    pub good: usize,
    /// Signatures that had to be refused.
    pub bad: usize,
    /// Signatures that arithmetic of our own judged alone: the key had earned it by good ones.
    pub fast: usize,
    /// Those of RSA among them, where the arithmetic was that of fused multiply-adds.
    pub fused: usize,
    /// Every case that went wrong, and every key that ended up distrusted.
    pub failures: Vec<String>,
}

/// Good signatures after which a key is sure to use fast arithmetic alone, if it has any.
const ENOUGH: usize = 8;

/// Asks a new key, which the library serves, and one that has accepted good signatures before.
///
/// Errors: the key or the algorithm is not known.
pub fn check(group: &Group) -> Result<Tally, String> {
    let error = |what: &str| format!("{}: {what}", group.name);
    let algorithm =
        Algorithm::from_name(&group.algorithm).ok_or_else(|| error("unknown algorithm"))?;
    let strength = if group.weak { KeyStrength::WeakAllowed } else { KeyStrength::Required };
    let new = Jwk::parse(&group.jwk, strength).map_err(|reason| error(&reason.to_string()))?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| error("not base64url"));

    let mut tally = Tally::default();
    let experienced = new.clone();
    let good = group.cases.iter().find(|case| case.good);
    if let Some(case) = good {
        let (input, signature) = (decode(&case.input)?, decode(&case.signature)?);
        for _ in 0..ENOUGH {
            if experienced.verify(algorithm, &input, &signature).is_err() {
                tally.failures.push(format!("{} {}, to begin with", group.name, case.name));
            }
        }
    }
    let is_fast = experienced.is_fast();
    let is_fused = group.jwk["kty"] == "RSA" && Arithmetic::best() != Arithmetic::Integers;
    for case in &group.cases {
        let (input, signature) = (decode(&case.input)?, decode(&case.signature)?);
        let keys = [("new", Some(&new)), ("experienced", good.map(|_| &experienced))];
        for (state, key) in keys {
            // A copy, so that no case gives experience to the next.
            let Some(key) = key.cloned() else { continue };
            for attempt in ["first", "second"] {
                if key.verify(algorithm, &input, &signature).is_ok() != case.good {
                    let (group, case) = (&group.name, &case.name);
                    tally.failures.push(format!("{group} {case}, {state} key, {attempt} time"));
                }
            }
            if key.is_distrusted() {
                tally.failures.push(format!("{} {}: distrusted", group.name, case.name));
            }
        }
        tally.fast += usize::from(is_fast);
        tally.fused += usize::from(is_fast && is_fused);
        match case.good {
            true => tally.good += 1,
            false => tally.bad += 1,
        }
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// RFC 8037 appendix A.4.
    #[test]
    fn failures_are_told() {
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let case = |name: &str, good| {
            let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
            Case::new(name.to_owned(), input, &URL_SAFE_NO_PAD.decode(signature).unwrap(), good)
        };
        let group = Group {
            name: "RFC 8037".to_owned(),
            jwk: json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
            algorithm: "EdDSA".to_owned(),
            weak: false,
            cases: vec![case("A.4", true), case("wrongly called bad", false)],
        };
        let tally = check(&group).unwrap();
        assert_eq!((tally.good, tally.bad, tally.fast, tally.fused), (1, 1, 2, 0));
        assert_eq!(tally.failures.len(), 4, "{:?}", tally.failures);
        assert!(check(&Group { algorithm: "none".to_owned(), ..group }).is_err());
    }
}
