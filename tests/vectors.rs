//! Published vectors: RFC 7515 appendix A and RFC 8037 appendix A.
//!
//! The tokens and keys are copied from the RFCs (IETF Trust Legal Provisions: code components).
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

use jwt_gate::jose::jwk::{Jwk, JwkError, KeyStrength};
use jwt_gate::jose::jws::{JwsError, Parts, UnverifiedJws};
use serde_json::{Value, json};

/// Whether `token` verifies under `jwk`; the payload is not a JSON object in every vector.
#[track_caller]
fn verifies(token: &str, jwk: &Value) -> bool {
    let jwk = Jwk::parse(jwk, KeyStrength::Required).unwrap();
    match UnverifiedJws::parse(&Parts::of(token.as_bytes()).unwrap()) {
        Ok(jws) => jws.decode_signature().unwrap().verify([&jwk].into_iter()).is_ok(),
        Err(error) => panic!("{error:?}"),
    }
}

/// The payload of RFC 7515 A.1 to A.3.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                   cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn token(header: &str, payload: &str, signature: &str) -> String {
    format!("{header}.{payload}.{signature}")
}

#[test]
fn rfc7515_a1_hs256() {
    let key = json!({
        "kty": "oct",
        "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    });
    let header = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
    let good = token(header, JOE, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert!(verifies(&good, &key));
    let bad = token(header, JOE, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXg");
    assert!(!verifies(&bad, &key));
}

fn rfc7515_a2_key() -> Value {
    json!({
        "kty": "RSA",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt\
              0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX\
              ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5\
              IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "e": "AQAB",
    })
}

const RFC7515_A2: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5\
    jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN\
    9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVm\
    tVrBp0igcN_IoypGlUPQGe77Rw";

#[test]
fn rfc7515_a2_rs256() {
    let header = "eyJhbGciOiJSUzI1NiJ9";
    assert!(verifies(&token(header, JOE, RFC7515_A2), &rfc7515_a2_key()));
    let other = RFC7515_A2.replacen('c', "d", 1);
    assert!(!verifies(&token(header, JOE, &other), &rfc7515_a2_key()));
}

fn rfc7515_a3_key() -> Value {
    json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

#[test]
fn rfc7515_a3_es256() {
    let signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert!(verifies(&token("eyJhbGciOiJFUzI1NiJ9", JOE, signature), &rfc7515_a3_key()));
}

/// The payload of A.4 and A.5 of RFC 8037 is no JSON object, which a JWT must be: the signature
/// is checked over the same octets by the key itself.
#[track_caller]
fn verifies_octets(jwk: &Value, algorithm: &str, signing_input: &str, signature: &str) -> bool {
    let jwk = Jwk::parse(jwk, KeyStrength::Required).unwrap();
    let algorithm = jwt_gate::jose::algorithm::Algorithm::from_name(algorithm).unwrap();
    let signature = jwt_gate::jose::base64url::decode(signature.as_bytes()).unwrap();
    jwk.verify(algorithm, signing_input.as_bytes(), &signature).is_ok()
}

#[test]
fn rfc7515_a4_es512() {
    let key = json!({
        "kty": "EC",
        "crv": "P-521",
        "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
        "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
    });
    let signature = "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7Xdt\
                     AG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    let input = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA";
    assert!(verifies_octets(&key, "ES512", input, signature));
    assert!(!verifies_octets(&key, "ES512", "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZB", signature));
    assert!(!verifies_octets(&key, "ES256", input, signature));
}

/// A.5 is the unsecured JWS: a token that nobody signed.
#[test]
fn rfc7515_a5_none_is_refused() {
    let unsecured = format!("eyJhbGciOiJub25lIn0.{JOE}.");
    assert_eq!(Parts::of(unsecured.as_bytes()).map(|_| ()), Err(JwsError::NotThreeParts));
}

#[test]
fn rfc8037_a4_ed25519() {
    let key = json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(verifies_octets(&key, "EdDSA", input, signature));
    assert!(!verifies_octets(&key, "EdDSA", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZQ", signature));
}

/// RFC 8037 A.1 is the same key with its private half.
#[test]
fn rfc8037_a1_private_half_is_refused() {
    let key = json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    assert_eq!(Jwk::parse(&key, KeyStrength::Required).map(|_| ()), Err(JwkError::PrivatePart));
}
