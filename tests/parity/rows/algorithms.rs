//! Algorithms, headers, keys and how one is chosen.

use jwt_gate_demo::keys::{Alg, SigningKey, base64url, jwks};
use serde_json::{Value, json};

use super::{KEYS, bearer, claims, provider, required, scene, token, with};
use crate::Scene;

pub(super) fn scenes() -> Vec<Scene> {
    vec![algorithms(), shapes(), headers(), choice(), key_forms(), one_sided_kid(), certificates()]
}

/// Every algorithm: good, a flipped bit, a cut signature, an empty one.
fn algorithms() -> Scene {
    let mut scene = scene("algorithms", required(json!({})));
    for (name, key) in KEYS.iter() {
        let good = key.sign(&claims(json!({})));
        let (input, _) = good.rsplit_once('.').unwrap();
        let mut signature = key.sign_bytes(input.as_bytes());
        let signed = |signature: &[u8]| format!("{input}.{}", base64url(signature));
        let cut = signed(&signature[..signature.len() - 1]);
        let longer = signed(&[signature.as_slice(), &[0]].concat());
        signature[10] ^= 1;
        scene = scene
            .row(format!("{name} good"), bearer(&good))
            .row(format!("{name} flipped bit"), bearer(&signed(&signature)))
            .row(format!("{name} cut signature"), bearer(&cut))
            .row(format!("{name} longer signature"), bearer(&longer))
            .row(format!("{name} empty signature"), bearer(&format!("{input}.")));
    }
    scene
}

/// Texts that are no token.
fn shapes() -> Scene {
    let good = token(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let texts = [
        ("one part", "abc".to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{good}.x")),
        ("dots", "...".to_owned()),
        ("leading dot", format!(".{good}")),
        ("trailing dot", format!("{good}.")),
        ("double dot", format!("{header}..{payload}.{signature}")),
        ("header not base64", format!("a!b.{payload}.{signature}")),
        ("payload not base64", format!("{header}.a!b.{signature}")),
        ("signature not base64", format!("{header}.{payload}.a!b")),
        ("header padded", format!("{header}=.{payload}.{signature}")),
        ("payload padded", format!("{header}.{payload}==.{signature}")),
        ("signature padded", format!("{header}.{payload}.{signature}==")),
        ("header not json", format!("{}.{payload}.{signature}", base64url("abc"))),
        ("header a list", format!("{}.{payload}.{signature}", base64url("[]"))),
        ("payload not json", format!("{header}.{}.{signature}", base64url("abc"))),
        ("payload a list", format!("{header}.{}.{signature}", base64url("[]"))),
        ("payload null", format!("{header}.{}.{signature}", base64url("null"))),
        ("space inside", format!("{header}. {payload}.{signature}")),
        ("space before", format!(" {good}")),
        ("two words", format!("{good} more")),
        ("quoted", format!("\"{good}\"")),
        ("comma", format!("{good},{good}")),
    ];
    let rows = texts.into_iter().map(|(name, text)| (name.to_owned(), bearer(&text)));
    scene("shapes", required(json!({}))).rows(rows)
}

/// JOSE headers.
fn headers() -> Scene {
    let payload = claims(json!({})).to_string();
    let key = &KEYS["ES256"];
    let signed = |header: &str| {
        let input = format!("{}.{}", base64url(header), base64url(&payload));
        let signature = base64url(key.sign_bytes(input.as_bytes()));
        bearer(&format!("{input}.{signature}"))
    };
    let mut scene = scene("headers", required(json!({})));
    for header in [
        r#"{}"#,
        r#"{"alg":null}"#,
        r#"{"alg":1}"#,
        r#"{"alg":["ES256"]}"#,
        r#"{"alg":""}"#,
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"es256"}"#,
        r#"{"alg":"ES256K"}"#,
        r#"{"alg":"RSA-OAEP"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":"ES256"}"#,
        r#"{"alg":"ES256","kid":""}"#,
        r#"{"alg":"ES256","kid":"other"}"#,
        r#"{"alg":"ES256","kid":"es256"}"#,
        r#"{"alg":"ES256","kid":1}"#,
        r#"{"alg":"ES256","kid":null}"#,
        r#"{"alg":"ES256","kid":["ES256"]}"#,
        r#"{"alg":"ES384","kid":"ES256"}"#,
        r#"{"alg":"HS256","kid":"ES256"}"#,
        r#"{"alg":"RS256","kid":"ES256"}"#,
        r#"{"alg":"ES256","typ":"at+jwt"}"#,
        r#"{"alg":"ES256","typ":1}"#,
        r#"{"alg":"ES256","cty":"JWT"}"#,
        r#"{"alg":"ES256","zip":"DEF"}"#,
        r#"{"alg":"ES256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"ES256","crit":[]}"#,
        r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"ES256","b64":true}"#,
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":"ES256","x":{"y":1,"y":2}}"#,
        r#"{"alg":"ES256",}"#,
        r#"{'alg':'ES256'}"#,
        r#"{alg:"ES256"}"#,
        r#"{"alg":"ES256"} "#,
        r#"{"alg":"ES256"}x"#,
        r#"{"\u0061lg":"ES256"}"#,
        r#"{"alg":"ES256","x":"\ud800"}"#,
        r#"{"alg":"ES256","n":1e400}"#,
        r#"{"alg":"ES256","n":01}"#,
    ] {
        scene = scene.row(header, signed(header));
    }
    let deep = |depth: usize| {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        signed(&format!("{{\"alg\":\"ES256\",\"x\":{nested}}}"))
    };
    scene.row("depth 50", deep(50)).row("depth 200", deep(200))
}

/// Several keys that could fit.
fn choice() -> Scene {
    let (own, other) =
        (SigningKey::generate(Alg::ES256, "a"), SigningKey::generate(Alg::ES256, "a"));
    let nameless = SigningKey::generate(Alg::ES256, "n");
    let set = json!({"keys": [
        other.public_jwk(),
        own.public_jwk(),
        with(nameless.public_jwk(), json!({"kid": null})),
    ]});
    let configuration = required(json!({"local_jwks": {"inline_string": set.to_string()}}));
    let signed = |key: &SigningKey, header: Value| {
        let header = with(json!({"alg": "ES256"}), header);
        bearer(&key.sign_with_header(&header, claims(json!({})).to_string().as_bytes()))
    };
    let stranger = SigningKey::generate(Alg::ES256, "a");
    scene("choice", configuration)
        .row("first of two of one name", signed(&other, json!({"kid": "a"})))
        .row("second of two of one name", signed(&own, json!({"kid": "a"})))
        .row("no kid", signed(&own, json!({})))
        .row("no kid, nameless key", signed(&nameless, json!({})))
        .row("any kid, nameless key", signed(&nameless, json!({"kid": "whatever"})))
        .row("wrong kid", signed(&own, json!({"kid": "b"})))
        .row("stranger", signed(&stranger, json!({"kid": "a"})))
}

/// Tokens with and without `kid` against a set with one named key.
fn one_sided_kid() -> Scene {
    let key = SigningKey::generate(Alg::EdDSA, "a");
    let configuration =
        required(json!({"local_jwks": {"inline_string": jwks(&[&key]).to_string()}}));
    let signed = |header: Value| {
        let header = with(json!({"alg": "EdDSA"}), header);
        bearer(&key.sign_with_header(&header, claims(json!({})).to_string().as_bytes()))
    };
    scene("one sided kid", configuration)
        .row("same", signed(json!({"kid": "a"})))
        .row("none", signed(json!({})))
        .row("other", signed(json!({"kid": "b"})))
}

/// Forms of a key, each in a provider of its own: the issuer says which.
fn key_forms() -> Scene {
    let ec = &KEYS["ES256"];
    let rsa = &KEYS["RS256"];
    let okp = &KEYS["EdDSA"];
    let weak_rsa = SigningKey::generate_rsa(Alg::RS256, "k", 1024);
    let short = SigningKey::from_hmac_secret(Alg::HS256, "k", b"short");
    let forms: Vec<(&str, &SigningKey, Value)> = vec![
        ("use sig", ec, json!({"use": "sig"})),
        ("no use", ec, json!({"use": null})),
        ("use enc", ec, json!({"use": "enc"})),
        ("key_ops verify", ec, json!({"use": null, "key_ops": ["verify"]})),
        ("key_ops sign", ec, json!({"use": null, "key_ops": ["sign"]})),
        ("no alg", ec, json!({"alg": null})),
        ("no crv", ec, json!({"crv": null})),
        ("no crv, no alg", ec, json!({"crv": null, "alg": null})),
        ("rsa without alg", rsa, json!({"alg": null})),
        ("rsa padded n", rsa, json!({"e": "AQAB"})),
        ("okp without alg", okp, json!({"alg": null})),
        ("extra members", ec, json!({"x5t": "abc", "x5c": ["abc"], "nbf": 1})),
        ("rsa of 1024 bits", &weak_rsa, json!({})),
        ("hmac of 5 octets", &short, json!({})),
    ];
    let mut providers = json!({});
    let mut rows = Vec::new();
    // A good key of another name beside it: a set without any usable key is refused at load.
    let spare = SigningKey::generate(Alg::ES384, "spare");
    for (name, key, changes) in forms {
        let set = json!({"keys": [with(key.public_jwk(), changes), spare.public_jwk()]});
        let changes = json!({
            "issuer": name,
            "local_jwks": {"inline_string": set.to_string()},
            "from_headers": [{"name": "x-jwt"}],
        });
        providers[name] = provider(changes);
        let request = super::get("/").header("x-jwt", key.sign(&claims(json!({"iss": name}))));
        rows.push((name.to_owned(), request));
    }
    let configuration = json!({
        "providers": providers,
        "rules": [{ "match": { "prefix": "/" }, "requires": { "allow_missing": {} } }],
    });
    scene("key forms", configuration).rows(rows)
}

/// A set that is a map of certificates; those in `tests/data` expired long ago.
fn certificates() -> Scene {
    let set = json!({
        "expired": include_str!("../../data/x509/expired.pem"),
        "version1": include_str!("../../data/x509/version1.pem"),
    });
    let fields = json!({ "issuer": "", "local_jwks": { "inline_string": set.to_string() } });
    let token = |text: &str| bearer(text.trim());
    scene("certificates", required(fields))
        .row("RS256", token(include_str!("../../data/x509/expired-RS256.jwt")))
        .row("PS256", token(include_str!("../../data/x509/expired-PS256.jwt")))
        .row("RS512", token(include_str!("../../data/x509/version1-RS512.jwt")))
        .row("a kid that is not there", token(include_str!("../../data/x509/weak-RS256.jwt")))
}
