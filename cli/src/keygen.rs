//! `keygen`: keys that sign, and their public halves.

use std::path::Path;

use jwt_gate_signing::{Alg, SigningKey, random_id};
use serde_json::{Value, json};

use crate::args::{Format, KeygenArguments};
use crate::files::{self, Readers};
use crate::output::{Answer, Lines, Trouble};

/// Sizes of RSA keys: shorter ones are refused by default, longer ones only cost.
const RSA_BITS: [usize; 4] = [2048, 3072, 4096, 8192];

pub fn run(arguments: &KeygenArguments) -> Result<Answer, Trouble> {
    let alg = algorithm(&arguments.alg)?;
    let key = generate(alg, arguments)?;
    let (private, public) = (private(&key, arguments.format)?, public(&key, arguments.format)?);
    if let (Some(file), None) = (&arguments.public, &public) {
        return Err(Trouble::new(format!(
            "--public {}: {alg} has one shared secret and no public half; what verifies can sign, too",
            file.display()
        )));
    }
    let same = arguments.out.is_some() && arguments.out == arguments.public;
    if same {
        return Err(Trouble::new("--out and --public are the same file"));
    }
    let mut lines = Lines::default();
    let mut json = json!({ "alg": alg.as_str(), "kid": key.kid() });
    let mut put = |name: &str, value: Value| {
        if let Some(members) = json.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    // The public half first: when it cannot be written, nothing secret lies about.
    if let (Some(file), Some(public)) = (&arguments.public, &public) {
        files::write(file, public, Readers::Everybody, arguments.force)?;
        lines.push(format_args!("{}: the public half of {alg} key {}", file.display(), key.kid()));
        put("public_file", shown(file));
    } else if let Some(public) = &public {
        put("public", document(public));
    }
    match &arguments.out {
        Some(file) => {
            files::write(file, &private, Readers::Owner, arguments.force)?;
            lines.push(format_args!(
                "{}: {alg} key {}; whoever reads it can sign",
                file.display(),
                key.kid()
            ));
            put("private_file", shown(file));
        }
        None => {
            // Nothing else on standard output, so that it can go somewhere.
            lines = Lines::default();
            lines.push(private.trim_end());
            put("private", document(&private));
        }
    }
    Ok(Answer::good(lines.text(), json))
}

/// The algorithm of this name.
pub fn algorithm(name: &str) -> Result<Alg, Trouble> {
    let known = || Alg::ALL.map(Alg::as_str).join(", ");
    let found = Alg::ALL.into_iter().find(|alg| alg.as_str().eq_ignore_ascii_case(name));
    found.ok_or_else(|| Trouble::new(format!("--alg {name}: expected one of {}", known())))
}

fn generate(alg: Alg, arguments: &KeygenArguments) -> Result<SigningKey, Trouble> {
    let key = match (alg.is_rsa(), arguments.bits) {
        (true, bits) => {
            let bits = bits.unwrap_or(2048);
            if !RSA_BITS.contains(&bits) {
                let known = RSA_BITS.map(|bits| bits.to_string()).join(", ");
                return Err(Trouble::new(format!("--bits {bits}: expected one of {known}")));
            }
            SigningKey::generate_rsa(alg, "", bits)
        }
        (false, Some(_)) => {
            return Err(Trouble::new(format!("--bits: {alg} keys have one size only")));
        }
        (false, None) => SigningKey::generate(alg, ""),
    };
    // A digest of a secret would help to guess it.
    let usual = || if alg.is_hmac() { random_id() } else { key.thumbprint() };
    let kid = arguments.kid.clone().unwrap_or_else(usual);
    Ok(key.named(&kid))
}

fn private(key: &SigningKey, format: Format) -> Result<String, Trouble> {
    match format {
        Format::Jwk => Ok(lines(&key.private_jwk())),
        Format::Jwks => Ok(lines(&json!({ "keys": [key.private_jwk()] }))),
        Format::Pem => key.private_pem().ok_or_else(|| {
            Trouble::new(format!("--format pem: {} has a shared secret, which has none", key.alg()))
        }),
    }
}

/// None of a shared secret.
fn public(key: &SigningKey, format: Format) -> Result<Option<String>, Trouble> {
    if key.alg().is_hmac() {
        return Ok(None);
    }
    Ok(match format {
        Format::Jwk => Some(lines(&key.public_jwk())),
        Format::Jwks => Some(lines(&json!({ "keys": [key.public_jwk()] }))),
        Format::Pem => key.public_pem(),
    })
}

fn lines(json: &Value) -> String {
    format!("{json:#}\n")
}

fn shown(file: &Path) -> Value {
    file.display().to_string().into()
}

/// A document as JSON where it is, else as text.
fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
