//! Reads `docs/cookbook.md`: the recipes, their tokens and their requests; signs the tokens, and answers
//! as their issuers do.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "tests; each uses a part of it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

pub const HOST: &str = "api.example";

/// A recipe: its file, and what the document says of it.
#[derive(Clone)]
pub struct Recipe {
    pub file: String,
    /// What the file holds.
    pub document: Value,
    /// The gate's configuration in it, with local keys of ours in place of its own.
    pub config: Value,
    pub examples: Vec<Example>,
    tokens: BTreeMap<String, Token>,
    /// What else is served, by its address.
    answers: BTreeMap<String, String>,
    /// Names of tokens whose keys are published: the first of an issuer, and those that were used.
    used: BTreeSet<String>,
}

#[derive(Clone)]
struct Token {
    key: SigningKey,
    header: Value,
    claims: Value,
    /// Where its key is published; none: in the configuration.
    keys: Option<String>,
    is_published: bool,
}

/// A request, and what becomes of it.
#[derive(Clone)]
pub struct Example {
    pub line: String,
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    token: Option<(String, Value)>,
    pub expected: String,
    /// Headers, and their values.
    pub details: Vec<(String, String)>,
}

impl Example {
    /// Whether it is not the gate that answers.
    pub fn is_envoys(&self) -> bool {
        self.expected.ends_with(" by Envoy")
    }
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cookbook")
}

/// Every recipe of the document, with the files that it links to.
pub fn recipes() -> (Vec<Recipe>, BTreeSet<String>) {
    let text = include_str!("../../docs/cookbook.md");
    let (mut linked, mut keys) = (BTreeSet::new(), BTreeMap::new());
    let sections = text.split("\n## ").skip(1);
    let recipes = sections.map(|section| {
        let links = section.split("](cookbook/").skip(1);
        let links: Vec<_> = links.map(|rest| rest.split(')').next().unwrap().to_owned()).collect();
        linked.extend(links.iter().cloned());
        let file = links.last().unwrap_or_else(|| panic!("no file: {section}"));
        Recipe::new(file, section, &mut keys)
    });
    (recipes.collect(), linked)
}

impl Recipe {
    /// Recipes that name the same keys have the same keys.
    fn new(file: &str, section: &str, keys: &mut BTreeMap<String, SigningKey>) -> Self {
        let text = fs::read_to_string(folder().join(file)).unwrap();
        let document: Value = serde_saphyr::from_str(&text).unwrap();
        let mut config = gate_of(&document).unwrap_or_else(|| document.clone());
        let (mut tokens, mut used) = (BTreeMap::<String, Token>::new(), BTreeSet::new());
        let (mut answers, mut examples) = (BTreeMap::new(), Vec::new());
        for block in section.split("\n```").skip(1).step_by(2) {
            let (info, block) = block.split_once('\n').unwrap();
            match info.split_once(' ').unwrap_or((info, "")) {
                ("token", name) => {
                    let token = Token::new(block, keys);
                    if tokens.values().all(|other| other.keys != token.keys) {
                        used.insert(name.to_owned());
                    }
                    assert!(tokens.insert(name.to_owned(), token).is_none(), "{file}: {name}");
                }
                ("answer", address) => {
                    answers.insert(address.to_owned(), block.to_owned());
                }
                ("requests", _) => examples.extend(read_examples(block)),
                _ => assert_eq!(info, "sh", "{file}"),
            }
        }
        assert!(examples.len() >= 2, "{file}");
        let local: Vec<_> = tokens.values().filter(|token| token.keys.is_none()).collect();
        let local: Vec<_> = local.iter().filter(|token| token.is_published).collect();
        let local: Vec<_> = local.iter().map(|token| &token.key).collect();
        for provider in config["providers"].as_object_mut().unwrap().values_mut() {
            if let Some(own) = provider.get_mut("local_jwks") {
                assert!(!local.is_empty(), "{file}");
                *own = json!({ "inline_string": jwks(&local).to_string() });
            }
        }
        Self { file: file.to_owned(), document, config, examples, tokens, answers, used }
    }

    /// The issuer of this example's token publishes its key from now on.
    pub fn note(&mut self, example: &Example) {
        self.used.extend(example.token.iter().map(|(name, _)| name.clone()));
    }

    /// The request of an example at a time, with its token.
    pub fn request(&mut self, example: &Example, now: u64) -> (String, Vec<(String, String)>) {
        self.note(example);
        let (mut path, mut headers) = (example.path.clone(), example.headers.clone());
        if let Some((name, changes)) = &example.token {
            let token = self.tokens.get(name).unwrap_or_else(|| panic!("{}", example.line));
            let text = token.sign(changes, now);
            let values = headers.iter_mut().map(|(_, value)| value);
            let mut is_placed = false;
            for place in values.chain([&mut path]) {
                is_placed |= place.contains("TOKEN");
                *place = place.replace("TOKEN", &text);
            }
            if !is_placed {
                headers.push(("authorization".to_owned(), format!("Bearer {text}")));
            }
        }
        (path, headers)
    }

    /// What is at an address.
    pub fn serve(&self, address: &str) -> Option<String> {
        if let Some(answer) = self.answers.get(address) {
            return Some(answer.clone());
        }
        let is_there = |token: &&Token| token.keys.as_deref() == Some(address);
        if self.tokens.values().any(|token| is_there(&token)) {
            let used = self.tokens.iter().filter(|(name, _)| self.used.contains(*name));
            let published = used.map(|(_, token)| token).filter(is_there);
            let published = published.filter(|token| token.is_published);
            let keys: BTreeMap<_, _> =
                published.map(|token| (token.key.kid().to_owned(), &token.key)).collect();
            return Some(jwks(&keys.into_values().collect::<Vec<_>>()).to_string());
        }
        let issuer = address.strip_suffix("/.well-known/openid-configuration")?;
        let is_its = |token: &&Token| {
            token.claims["iss"].as_str().map(|own| own.trim_end_matches('/')) == Some(issuer)
        };
        let token = self.tokens.values().find(is_its)?;
        Some(json!({ "issuer": token.claims["iss"], "jwks_uri": token.keys }).to_string())
    }
}

impl Token {
    fn new(text: &str, keys: &mut BTreeMap<String, SigningKey>) -> Self {
        let mut json: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let mut header = json["header"].take();
        if header.get("kid").is_none() {
            header["kid"] = "1".into();
        }
        let alg: Alg = header["alg"].as_str().unwrap().parse().unwrap();
        let kid = header["kid"].as_str().unwrap();
        let address = json["keys"].as_str().map(str::to_owned);
        let key = keys.entry(format!("{address:?} {alg} {kid}"));
        let key = key.or_insert_with(|| match alg.is_rsa() {
            true => SigningKey::test_rsa(alg, kid),
            false => SigningKey::generate(alg, kid),
        });
        let is_published = json.get("published").is_none();
        Self {
            key: key.clone(),
            header,
            claims: json["claims"].take(),
            keys: address,
            is_published,
        }
    }

    /// With these changes to its claims.
    fn sign(&self, changes: &Value, now: u64) -> String {
        let mut claims = json!({ "iat": "-10", "exp": "+300" });
        for source in [&self.claims, changes] {
            for (name, value) in source.as_object().unwrap() {
                claims[name] = value.clone();
            }
        }
        let claims = claims.as_object_mut().unwrap();
        claims.retain(|_, value| !value.is_null());
        for name in ["iat", "exp"] {
            if let Some(Value::String(text)) = claims.get(name) {
                let offset: i64 = text.parse().unwrap();
                let time = now.checked_add_signed(offset).unwrap();
                claims.insert(name.to_owned(), time.into());
            }
        }
        self.key
            .sign_with_header(&self.header, Value::Object(claims.clone()).to_string().as_bytes())
    }
}

fn read_examples(block: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for line in block.lines() {
        if let Some(detail) = line.strip_prefix("  ") {
            let split = detail.bytes().skip(1).position(|octet| octet == b':').unwrap() + 1;
            let (name, value) = (&detail[..split], detail[split + 1..].trim_start());
            let last = examples.last_mut().unwrap();
            last.details.push((name.to_owned(), value.to_owned()));
            continue;
        }
        let (request, expected) = line.split_once(" -> ").unwrap_or_else(|| panic!("{line}"));
        let mut parts = request.splitn(3, ' ');
        let (method, path) = (parts.next().unwrap(), parts.next().unwrap());
        let mut rest = parts.next().unwrap_or_default();
        let mut headers = vec![(":authority".to_owned(), HOST.to_owned())];
        while let Some((header, after)) =
            rest.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        {
            let (name, value) = header.split_once(": ").unwrap();
            headers.retain(|(own, _)| *own != name);
            headers.push((name.to_owned(), value.to_owned()));
            rest = after.trim_start();
        }
        let token = Some(rest).filter(|rest| !rest.is_empty()).map(|rest| {
            let (name, changes) = rest.split_once(' ').unwrap_or((rest, "{}"));
            (
                name.to_owned(),
                serde_json::from_str(changes).unwrap_or_else(|e| panic!("{e}: {line}")),
            )
        });
        examples.push(Example {
            line: line.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            token,
            expected: expected.to_owned(),
            details: Vec::new(),
        });
    }
    examples
}

/// The configuration of the gate in that of an Envoy.
fn gate_of(document: &Value) -> Option<Value> {
    match document {
        Value::Object(members) => {
            let text = members.get("configuration").and_then(|own| own["value"].as_str());
            match text {
                Some(text) => Some(serde_json::from_str(text).unwrap()),
                None => members.values().find_map(gate_of),
            }
        }
        Value::Array(items) => items.iter().find_map(gate_of),
        _ => None,
    }
}
