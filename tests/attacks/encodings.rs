//! Public keys in every form in which somebody may have them at hand, to use them as the secret of an HMAC.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jwt_gate_demo::keys::{base64url, jwks};
use serde_json::Value;

use crate::keys::{key, member, number};

/// The octets of `key form`, or of a form that needs no key.
pub(crate) fn secret(described: &str) -> Vec<u8> {
    let Some((name, form)) = described.split_once(' ') else {
        return match described {
            "empty" => Vec::new(),
            // Up to 64 are padded to the same block as an empty secret.
            "zeros" => vec![0; 65],
            "null" => b"null".to_vec(),
            "undefined" => b"undefined".to_vec(),
            "secret" => b"secret".to_vec(),
            "certificate-pem" => certificate(),
            "certificate-der" => unarmoured(&certificate()),
            "certificate-text" => STANDARD.encode(unarmoured(&certificate())).into_bytes(),
            other => panic!("no secret: {other}"),
        };
    };
    let jwk = key(name).public_jwk();
    let kind = jwk["kty"].as_str().unwrap();
    let spki = || subject_public_key_info(&jwk);
    match (kind, form) {
        (_, "kid") => key(name).kid().as_bytes().to_vec(),
        (_, "spki-der") => spki(),
        (_, "spki-pem") => pem("PUBLIC KEY", &spki(), "\n"),
        (_, "spki-pem-crlf") => pem("PUBLIC KEY", &spki(), "\r\n"),
        (_, "spki-pem-no-end") => pem("PUBLIC KEY", &spki(), "\n").trim_ascii_end().to_vec(),
        (_, "spki-pem-one-line") => STANDARD.encode(spki()).into_bytes(),
        (_, "spki-base64url") => base64url(spki()).into_bytes(),
        (_, "spki-hex") => hex(&spki()).into_bytes(),
        (_, "jwk") => jwk.to_string().into_bytes(),
        (_, "jwk-pretty") => serde_json::to_vec_pretty(&jwk).unwrap(),
        (_, "jwk-thumbprint-input") => thumbprint_input(&jwk).into_bytes(),
        (_, "jwk-base64url") => base64url(jwk.to_string()).into_bytes(),
        (_, "jwks") => jwks(&[key(name)]).to_string().into_bytes(),
        (_, "thumbprint") => key(name).thumbprint().into_bytes(),
        ("RSA", "pkcs1-der") => pkcs1(&jwk),
        ("RSA", "pkcs1-pem") => pem("RSA PUBLIC KEY", &pkcs1(&jwk), "\n"),
        ("RSA", "openssh") => openssh(&jwk).into_bytes(),
        ("RSA", "n") => member(&jwk, "n"),
        ("RSA", "n-signed") => [vec![0], member(&jwk, "n")].concat(),
        ("RSA", "n-text") => jwk["n"].as_str().unwrap().as_bytes().to_vec(),
        ("RSA", "n-hex") => hex(&member(&jwk, "n")).into_bytes(),
        ("RSA", "n-decimal") => number(&jwk, "n").to_string().into_bytes(),
        ("RSA", "e") => member(&jwk, "e"),
        ("EC", "point") => point(&jwk),
        ("EC", "point-compressed") => {
            let odd = member(&jwk, "y").last().unwrap() & 1;
            [vec![2 + odd], member(&jwk, "x")].concat()
        }
        ("EC", "xy") => point(&jwk)[1..].to_vec(),
        ("EC", "y") => member(&jwk, "y"),
        ("EC" | "OKP", "x") => member(&jwk, "x"),
        ("EC" | "OKP", "x-text") => jwk["x"].as_str().unwrap().as_bytes().to_vec(),
        // The text of a secret in place of what it stands for.
        ("oct", "k-text") => jwk["k"].as_str().unwrap().as_bytes().to_vec(),
        ("oct", "k-half") => member(&jwk, "k")[..32].to_vec(),
        _ => panic!("no form of a key: {described}"),
    }
}

fn certificate() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/x509/expired.pem")).unwrap()
}

fn unarmoured(pem: &[u8]) -> Vec<u8> {
    let text = str::from_utf8(pem).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('-'));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn pem(label: &str, der: &[u8], end: &str) -> Vec<u8> {
    let text = STANDARD.encode(der);
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let lines = lines.join(end);
    format!("-----BEGIN {label}-----{end}{lines}{end}-----END {label}-----{end}").into_bytes()
}

/// RFC 7638 section 3.
fn thumbprint_input(jwk: &Value) -> String {
    let names: &[&str] = match jwk["kty"].as_str().unwrap() {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        _ => &["crv", "kty", "x"],
    };
    let members = names.iter().map(|name| format!("\"{name}\":{}", jwk[*name]));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn openssh(jwk: &Value) -> String {
    let field = |octets: &[u8]| {
        let signed = [&[0_u8][..octets.first().map_or(0, |first| usize::from(first >> 7))], octets];
        let signed = signed.concat();
        [&u32::try_from(signed.len()).unwrap().to_be_bytes(), &signed[..]].concat()
    };
    let fields = [field(b"ssh-rsa"), field(&member(jwk, "e")), field(&member(jwk, "n"))];
    format!("ssh-rsa {}", STANDARD.encode(fields.concat()))
}

fn point(jwk: &Value) -> Vec<u8> {
    [vec![4], member(jwk, "x"), member(jwk, "y")].concat()
}

/// RFC 8017 appendix A.1.1.
fn pkcs1(jwk: &Value) -> Vec<u8> {
    der(0x30, &[integer(&member(jwk, "n")), integer(&member(jwk, "e"))].concat())
}

/// RFC 5280 section 4.1.2.7, with the algorithms of RFC 3279, RFC 5480 and RFC 8410.
fn subject_public_key_info(jwk: &Value) -> Vec<u8> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    let curve: &[u8] = match jwk["crv"].as_str() {
        Some("P-256") => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        Some("P-384") => &[0x2b, 0x81, 0x04, 0x00, 0x22],
        _ => &[0x2b, 0x81, 0x04, 0x00, 0x23],
    };
    let (algorithm, key) = match jwk["kty"].as_str().unwrap() {
        "RSA" => ([der(6, RSA), der(5, &[])].concat(), pkcs1(jwk)),
        "EC" => ([der(6, EC), der(6, curve)].concat(), point(jwk)),
        _ => (der(6, ED25519), member(jwk, "x")),
    };
    let key = [vec![0], key].concat();
    der(0x30, &[der(0x30, &algorithm), der(3, &key)].concat())
}

/// A positive INTEGER.
pub(crate) fn integer(octets: &[u8]) -> Vec<u8> {
    let start = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
    let octets = &octets[start..];
    let sign: &[u8] = if octets.first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    der(2, &[sign, octets].concat())
}

pub(crate) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut coded = vec![tag];
    if length < 0x80 {
        coded.push(u8::try_from(length).unwrap());
    } else {
        let octets: Vec<_> =
            length.to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
        coded.push(0x80 | u8::try_from(octets.len()).unwrap());
        coded.extend(octets);
    }
    coded.extend(content);
    coded
}
