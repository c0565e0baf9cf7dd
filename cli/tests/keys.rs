//! `keygen`, `sign`, `inspect` and `jwks`, and what the gate thinks of their results.
#![expect(clippy::unwrap_used, reason = "tests")]

mod command;

use std::fs;
use std::path::Path;

use command::{json, run, run_with, scratch};
use jwt_gate_signing::Alg;
use serde_json::Value;

const CONFIG: &str = r#"{
  "providers": { "main": {
    "issuer": "https://issuer.example", "audiences": ["orders-api"],
    "remote_jwks": { "http_uri": { "uri": "https://issuer.example/jwks", "cluster": "c", "timeout": "5s" } }
  } }
}"#;

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[cfg(unix)]
fn mode(file: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

/// Every algorithm and format, from the key to the gate's decision, without a web site.
#[test]
fn keys_and_tokens_of_every_algorithm_are_good_for_the_gate() {
    let folder = scratch("keys-every");
    let config = path(&folder, "config.json");
    fs::write(&config, CONFIG).unwrap();
    for alg in Alg::ALL {
        for format in ["jwk", "jwks", "pem"] {
            let [private, public] =
                ["private", "public"].map(|half| path(&folder, &format!("{alg}-{format}-{half}")));
            let mut arguments =
                vec!["keygen", "--alg", alg.as_str(), "--format", format, "--out", &private];
            if !alg.is_hmac() {
                arguments.extend(["--public", &public]);
            } else if format == "pem" {
                let said = run(&arguments);
                assert!(said.code == 3 && said.err.contains("shared secret"), "{said:?}");
                continue;
            }
            let (code, made) = json(&arguments);
            assert_eq!(code, 0, "{alg} {format}: {made}");
            #[cfg(unix)]
            assert_eq!(
                (mode(&private), alg.is_hmac() || mode(&public) & 0o077 != 0o077),
                (0o600, true)
            );
            let kid = made["kid"].as_str().unwrap();
            let mut arguments = vec![
                "sign",
                "--key",
                &private,
                "--alg",
                alg.as_str(),
                "--iss",
                "https://issuer.example",
            ];
            arguments.extend(["--aud", "orders-api"]);
            if format == "pem" {
                arguments.extend(["--kid", kid]);
            }
            let token = run(&arguments);
            assert_eq!((token.code, token.err.as_str()), (0, ""), "{alg} {format}: {token:?}");
            if format == "pem" || (format == "jwk" && alg.is_hmac()) {
                continue;
            }
            let set = path(&folder, "set.json");
            match (format, alg.is_hmac()) {
                ("jwk", _) => {
                    let jwk = fs::read_to_string(&public).unwrap();
                    fs::write(&set, format!("{{\"keys\":[{jwk}]}}")).unwrap();
                }
                (_, true) => drop(fs::copy(&private, &set).unwrap()),
                _ => drop(fs::copy(&public, &set).unwrap()),
            }
            let said =
                run(&["explain", "-c", &config, "--jwks", &set, "--token", token.out.trim()]);
            assert_eq!(said.code, 0, "{alg} {format}: {said:?}");
            let code = run(&["jwks", &set]).code;
            assert_eq!(code, 0, "{alg}");
            let halves = fs::read_to_string(&set).unwrap();
            assert!(alg.is_hmac() || !halves.contains("\"d\""), "{alg}: {halves}");
        }
    }
}

#[test]
fn secrets_are_written_with_care() {
    let folder = scratch("keys-care");
    let (private, public) = (path(&folder, "private.json"), path(&folder, "public.json"));
    let arguments = ["keygen", "--out", &private, "--public", &public];
    assert_eq!(run(&arguments).code, 0);
    let first = fs::read_to_string(&private).unwrap();
    let said = run(&arguments);
    assert!(
        said.code == 3 && said.err.contains("is there already; --force replaces it"),
        "{said:?}"
    );
    assert_eq!(fs::read_to_string(&private).unwrap(), first);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&private, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let said = run(&[&arguments[..], &["--force"]].concat());
    assert_eq!(said.code, 0, "{said:?}");
    assert_ne!(fs::read_to_string(&private).unwrap(), first);
    #[cfg(unix)]
    assert_eq!(mode(&private), 0o600, "--force must not leave it open");
    // What is said holds no secret.
    let jwk: Value = serde_json::from_str(&fs::read_to_string(&private).unwrap()).unwrap();
    assert!(!said.out.contains(jwk["d"].as_str().unwrap()));
    for (more, says) in [
        (&["--alg", "none"][..], "expected one of RS256"),
        (&["--alg", "ES256", "--bits", "2048"], "one size only"),
        (&["--alg", "RS256", "--bits", "1024"], "expected one of 2048"),
        (&["--alg", "HS256", "--public", "x"], "no public half"),
        (&["--out", "nowhere/at/all"], "no such folder"),
        (&["--out", "same", "--public", "same"], "the same file"),
    ] {
        let said = run(&[&["keygen"], more].concat());
        assert!(said.code == 3 && said.err.contains(says), "{more:?}: {said:?}");
    }
    // To standard output goes the key and nothing else.
    let jwk: Value =
        serde_json::from_str(&run(&["keygen", "--alg", "EdDSA", "--kid", "a"]).out).unwrap();
    assert_eq!((jwk["kid"].as_str(), jwk["crv"].as_str()), (Some("a"), Some("Ed25519")));
}

#[test]
fn claims_come_from_flags_and_files() {
    let folder = scratch("keys-claims");
    let (key, claims) = (path(&folder, "key.json"), path(&folder, "claims.json"));
    assert_eq!(run(&["keygen", "--alg", "HS256", "--kid", "k", "--out", &key]).code, 0);
    fs::write(&claims, r#"{ "iss": "a", "roles": ["x"], "exp": "+2h", "n": 123456789012345678 }"#)
        .unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (code, told) = json(&[
        "sign",
        "-k",
        &key,
        "--claims",
        &claims,
        "--iss",
        "b",
        "--aud",
        "one",
        "--aud",
        "two",
        "-c",
        "level=3",
        "-c",
        "name=Alice Example",
        "-c",
        "deep={\"a\":[1]}",
        "--nbf",
        "-1m",
        "--typ",
        "at+jwt",
        "--header",
        "x=1",
    ]);
    assert_eq!(code, 0, "{told}");
    let own = &told["claims"];
    assert_eq!(
        (&own["iss"], &own["level"], &own["name"]),
        (&"b".into(), &3.into(), &"Alice Example".into())
    );
    assert_eq!(
        (own["aud"][1].as_str(), own["deep"]["a"][0].as_u64(), own["n"].as_u64()),
        (Some("two"), Some(1), Some(123_456_789_012_345_678))
    );
    let near = |name: &str, expected: u64| own[name].as_u64().unwrap().abs_diff(expected) < 60;
    assert!(near("exp", now + 7200) && near("nbf", now - 60) && near("iat", now), "{own}");
    assert_eq!(
        (
            told["header"]["typ"].as_str(),
            told["header"]["x"].as_u64(),
            told["header"]["kid"].as_str()
        ),
        (Some("at+jwt"), Some(1), Some("k"))
    );
    // What the token says is what was told.
    let (code, seen) = json(&["inspect", told["token"].as_str().unwrap()]);
    assert_eq!(
        (code, &seen["claims"], &seen["header"], &seen["verified"]),
        (0, own, &told["header"], &false.into())
    );
    let (_, bare) = json(&["sign", "-k", &key, "--exp", "none", "--iat", "none"]);
    assert_eq!(bare["claims"].to_string(), "{}");
    let file = path(&folder, "token");
    assert_eq!(run(&["sign", "-k", &key, "--out", &file]).code, 0);
    assert_eq!(run(&["inspect", &format!("@{file}")]).code, 0);
    #[cfg(unix)]
    assert_eq!(mode(&file), 0o600);
    let set = path(&folder, "set.json");
    fs::write(&set, format!("{{\"keys\":[{0},{0}]}}", fs::read_to_string(&key).unwrap())).unwrap();
    let public = path(&folder, "public.json");
    assert_eq!(run(&["keygen", "--out", &path(&folder, "p"), "--public", &public]).code, 0);
    for (arguments, says) in [
        (vec!["-k", "nowhere"], "there is no such file"),
        (vec!["-k", "explain.yaml"], "neither a JWK nor PEM"),
        (vec!["-k", &public], "no private half"),
        (vec!["-k", &set], "which key? --kid picks one of: k, k"),
        (vec!["-k", &set, "--kid", "z"], "no key is called `z`"),
        (vec!["-k", &key, "--alg", "RS256"], "does not sign RS256, but HS256"),
        (vec!["-k", &key, "--exp", "soon"], "exp: expected `none`"),
        (vec!["-k", &key, "-c", "nonsense"], "expected NAME=VALUE"),
        (vec!["-k", &key, "--claims", "explain.yaml"], "not valid JSON"),
        (vec!["-k", &key, "--claims", "nowhere"], "there is no such file"),
    ] {
        let said = run(&[&["sign"], &arguments[..]].concat());
        assert!(said.code == 3 && said.err.contains(says), "{arguments:?}: {said:?}");
    }
}

#[test]
fn inspect_marks_what_nobody_vouches_for() {
    // RFC 7519 section 3.1, by another hand.
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLCJleHAiOjEzMDA4MTkzODB9.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let said = run(&["inspect", token]);
    assert_eq!(said.code, 0);
    for text in ["NOT VERIFIED", "iss: \"joe\"", "2011-03-22T18:43:00Z", "32 octets, not checked"] {
        assert!(said.out.contains(text), "{text}: {}", said.out);
    }
    assert!(!said.out.contains("dBjft"), "{}", said.out);
    for (token, code, says) in [
        ("eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.", 1, "token_malformed"),
        ("eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.eA", 1, "algorithm_unknown"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJleHAiOiJub3cifQ.eA", 1, "exp_type"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.!", 1, "not base64url"),
        ("hello", 3, "not a JSON Web Token"),
        ("a.b.c.d.e", 3, "encrypted (JWE)"),
        ("", 3, "there is no token"),
        ("@nowhere", 3, "there is no such file"),
    ] {
        let said = run(&["inspect", token]);
        assert_eq!(said.code, code, "{token}: {said:?}");
        assert!(said.out.contains(says) || said.err.contains(says), "{token}: {said:?}");
    }
    assert_eq!(run_with(&["inspect", "-"], &format!("Bearer {token}\n")).code, 0);
    // What a terminal would obey is not passed on.
    let nasty = "eyJhbGciOiJIUzI1NiJ9.eyJcdTAwMWJbMm0iOiJhIn0.eA";
    assert!(!run(&["inspect", nasty]).out.contains('\u{1b}'));
}

#[test]
fn key_sets_are_looked_at_key_by_key() {
    let (code, told) = json(&["jwks", "jwks-flawed.json"]);
    assert_eq!(code, 1);
    let findings: Vec<_> = told["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| (own["code"].as_str().unwrap(), own["key"].as_u64()))
        .collect();
    for expected in [
        ("too_weak", Some(0)),
        ("private_part", Some(1)),
        ("duplicate_key", Some(2)),
        ("duplicate_kid", Some(3)),
        ("no_kid", Some(4)),
        ("no_alg", Some(4)),
        ("curve_unsupported", Some(5)),
        ("shared_secret", Some(6)),
        ("weak_secret", Some(6)),
    ] {
        assert!(findings.contains(&expected), "{expected:?}: {findings:?}");
    }
    assert_eq!(
        (told["keys"][0]["bits"].as_u64(), told["keys"][0]["usable"].as_bool()),
        (Some(1024), Some(false))
    );
    let said = run(&["jwks", "jwks-flawed.json"]);
    assert!(
        said.out.contains("keys[1]: kid leaked, EC, P-256, alg ES256, use sig"),
        "{}",
        said.out
    );
    // No value of a key is told.
    assert!(
        !said.out.contains("jpsQ") && !said.out.contains("c2VjcmV0") && !said.out.contains("f83OJ"),
        "{}",
        said.out
    );
    for (input, code, says) in [
        ("", 3, "is empty"),
        ("hello", 3, "no key set: not valid JSON"),
        ("[]", 3, "an object with `keys`"),
        ("{}", 3, "no list `keys`"),
        ("{\"keys\": {}}", 1, "`keys` is no list"),
        ("{\"keys\": []}", 1, "can use none of them"),
        ("{\"keys\": [7]}", 1, "a key must be an object"),
        ("{\"kty\": \"oct\", \"k\": \"AA\"}", 1, "a bare key"),
        (
            "{\"jwks_uri\": \"https://issuer.example/keys\"}",
            3,
            "its keys are at https://issuer.example/keys",
        ),
        ("{\"a\": \"-----BEGIN CERTIFICATE-----\\nAA\"}", 1, "not an X.509 certificate"),
        ("{\"keys\": [], \"keys\": []}", 3, "names a member twice"),
    ] {
        let said = run_with(&["jwks", "-"], input);
        assert_eq!(said.code, code, "{input}: {said:?}");
        assert!(said.out.contains(says) || said.err.contains(says), "{input}: {said:?}");
    }
    let said = run(&["jwks", "https://issuer.example/keys"]);
    assert!(said.code == 3 && said.err.contains("jwt-gate jwks -"), "{said:?}");
    assert_eq!(run(&["jwks", "nowhere"]).code, 3);
}
