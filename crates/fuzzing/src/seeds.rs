//! Where fuzzing begins: inputs that lead deep, made from keys, published examples and documents, and
//! the files in `fuzz/seeds`, which the fuzzer found.

use std::fs;
use std::path::PathBuf;

use jwt_gate::header_pairs::encode;
use jwt_gate_signing::base64url;
use serde_json::json;

use crate::keys::{keys, set};

/// The folder of the project.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All seeds of a target, those that are made and those that were found.
///
/// # Panics
/// If there is no such target, or a file cannot be read.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut seeds = made(target);
    let mut files: Vec<_> = match fs::read_dir(root().join("fuzz/seeds").join(target)) {
        Ok(files) => files.map(|file| file.expect("a file").path()).collect(),
        Err(_) => Vec::new(),
    };
    files.sort();
    seeds.extend(files.iter().map(|file| fs::read(file).expect("readable")));
    seeds
}

fn made(target: &str) -> Vec<Vec<u8>> {
    match target {
        "configuration" => documents("json"),
        // Any octets are a scenario: these are long enough for one.
        "engine" => (0..64_u64).map(|number| noise(number, 1_500)).collect(),
        "jwks" => key_sets(),
        "pairs" => pairs(),
        "paths" => paths(),
        "token" => tokens(),
        other => panic!("there is no target {other}"),
    }
}

/// The blocks of a language in the documents, and what `envoy.yaml`'s like hold.
fn documents(language: &str) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    let folder = fs::read_dir(root().join("docs")).expect("the folder of documents");
    let mut files: Vec<_> = folder.map(|file| file.expect("a file").path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(file).expect("text");
        let fence = format!("```{language}\n");
        let found = text.split(fence.as_str()).skip(1);
        blocks.extend(found.map(|rest| rest.split("```").next().unwrap_or_default().into()));
    }
    blocks
}

/// A good token of every key, RFC 7515's example, and tokens with every odd header that is known.
fn tokens() -> Vec<Vec<u8>> {
    let claims = json!({ "iss": "b", "exp": 1_900_000_000, "aud": ["a", "b"], "sub": "alice" });
    let mut tokens: Vec<String> = keys().iter().map(|key| key.signing.sign(&claims)).collect();
    let key = &keys()[2].signing;
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "ES256" }),
        json!({ "alg": "ES256", "kid": 1 }),
        json!({ "alg": "ES256", "kid": "", "typ": 1, "x5c": {} }),
        json!({ "alg": "ES256", "crit": ["b64"], "b64": false }),
        json!({ "alg": "ES256", "jwk": keys()[2].jwk }),
        json!({ "alg": ["ES256"] }),
    ] {
        tokens.push(key.sign_with_header(&header, claims.to_string().as_bytes()));
    }
    for payload in ["[]", "{}", r#"{"a":1,"a":2}"#, r#"{"exp":"1"}"#, r#"{"exp":1e400}"#, "{\"a\":"]
    {
        tokens.push(key.sign_with_header(&key.header(), payload.as_bytes()));
    }
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(99), "]".repeat(99));
    tokens.push(key.sign_with_header(&key.header(), deep.as_bytes()));
    tokens.push(format!("{}.{}.", base64url(r#"{"alg":"none"}"#), base64url("{}")));
    // RFC 7515 appendix A.1.
    tokens.push(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0\
         dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
            .to_owned(),
    );
    tokens.into_iter().map(String::into_bytes).collect()
}

fn key_sets() -> Vec<Vec<u8>> {
    let all: Vec<_> = (0..keys().len()).collect();
    let mut sets = vec![set(&all), set(&[0]), set(&[]), json!({ "keys": [{}] }), json!({})];
    for key in keys() {
        let mut bare = key.jwk.clone();
        for name in ["alg", "kid", "use"] {
            bare.as_object_mut().expect("an object").remove(name);
        }
        let private = key.signing.private_jwk();
        sets.push(json!({ "keys": [bare, private] }));
        let mut odd = key.jwk.clone();
        odd["use"] = "enc".into();
        odd["issuer"] = "https://{tenant}.example".into();
        sets.push(json!({ "keys": [odd], "more": 1 }));
    }
    let certificate = fs::read_to_string(root().join("tests/data/x509/pss.pem")).expect("a file");
    let other = fs::read_to_string(root().join("tests/data/x509/ec.pem")).expect("a file");
    sets.push(json!({ "a": certificate, "b": other }));
    sets.iter().map(|set| set.to_string().into_bytes()).collect()
}

fn pairs() -> Vec<Vec<u8>> {
    let good = encode(&[(":path", "/a?b=c"), ("cookie", "a=b"), ("", ""), ("x", "y")]);
    let cut = good[..good.len() - 1].to_vec();
    vec![Vec::new(), vec![0; 4], vec![255; 64], encode(&[]), encode(&[("a", "b")]), good, cut]
}

/// A template's and a path's lengths stand at the end of the octets.
fn paths() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for template in
        ["/", "/a/*", "/{id}/x", "/**.mpd", "/a/**/z", "/{v=x/*}/{rest=**}", "/v/*/*.m4s"]
    {
        for path in
            ["/", "/a/b", "/x/1/y", "/a//z", "/a%2Fb", "/v/hls/1.m4s", "/a/../b;c", "/%C3%A9"]
        {
            let mut seed = [template.as_bytes(), path.as_bytes(), b"text"].concat();
            seed.extend([template.len() as u8, path.len() as u8]);
            seeds.push(seed);
        }
    }
    seeds
}

/// Octets without order, always the same ones for a number.
pub fn noise(number: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(number);
    (0..length).map(|_| random.below(256) as u8).collect()
}

/// A generator of numbers (xorshift), so that whatever is found can be found again.
pub struct Random(u64);

impl Random {
    /// One of many sequences.
    pub fn new(number: u64) -> Self {
        Self(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d | 1)
    }

    /// A number below this one.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }

    /// The octets with some changes: what a fuzzer does, without knowing where it leads.
    pub fn change(&mut self, octets: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
        let mut changed = octets.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(changed.len() + 1);
            match self.below(7) {
                0 if at < changed.len() => changed[at] = self.below(256) as u8,
                1 if at < changed.len() => changed[at] ^= 1 << self.below(8),
                2 => changed.truncate(at),
                3 => changed.insert(at, self.below(256) as u8),
                4 => {
                    let end = at + self.below(changed.len() - at + 1).min(8);
                    drop(changed.drain(at..end));
                }
                5 => {
                    let other = &others[self.below(others.len())];
                    let from = self.below(other.len() + 1);
                    changed.truncate(at);
                    changed.extend(&other[from..]);
                }
                _ => {
                    let end = at + self.below(changed.len() - at + 1).min(32);
                    let part = changed[at..end].to_vec();
                    changed.splice(at..at, part);
                }
            }
        }
        changed
    }
}
