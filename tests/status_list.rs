//! Token Status Lists: the vectors of the draft, hostile lists, and tokens that name them.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod gate;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gate::{Gate, NOW, told};
use jwt_gate::engine::Decision;
use jwt_gate::revocation::status_list::{Status, StatusError, StatusList};
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::{Value, json};

const URI: &str = "https://status.test/lists/1";

fn unpack(bits: u8, packed: &[u8]) -> Result<StatusList, StatusError> {
    StatusList::unpack(bits, packed, 1 << 20, None)
}

/// Section 4.1 of the draft.
#[test]
fn vectors_of_the_draft() {
    #[track_caller]
    fn check(bits: u8, packed: &str, expected: &[u8]) {
        let list = unpack(bits, &URL_SAFE_NO_PAD.decode(packed).unwrap()).unwrap();
        for (index, expected) in expected.iter().enumerate() {
            let expected = match expected {
                0 => Status::Valid,
                1 => Status::Invalid,
                2 => Status::Suspended,
                other => Status::Other(*other),
            };
            assert_eq!(list.get(index as u64), Some(expected), "{index}");
        }
        for beyond in [expected.len() as u64, u64::MAX, u64::MAX / 8, 1 << 32] {
            assert_eq!(list.get(beyond), None);
        }
    }
    check(1, "eNrbuRgAAhcBXQ", &[1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
    check(2, "eNo76fITAAPfAgc", &[1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
}

/// Every width, every index, against the plain definition.
#[test]
fn states_of_every_width() {
    for bits in [1_u8, 2, 4, 8] {
        let most = u8::MAX >> (8 - bits);
        let states: Vec<u8> = (0..1000_u32).map(|n| ((n * 7919) >> 3) as u8 & most).collect();
        let each = usize::from(8 / bits);
        let octets = states.chunks(each).map(|chunk| {
            let placed = chunk.iter().enumerate();
            placed.fold(0, |octet, (place, state)| octet | state << (place as u8 * bits))
        });
        let list = unpack(bits, &compress_to_vec_zlib(&octets.collect::<Vec<_>>(), 9)).unwrap();
        for (index, state) in states.iter().enumerate() {
            let read = match list.get(index as u64).unwrap() {
                Status::Valid => 0,
                Status::Invalid => 1,
                Status::Suspended => 2,
                Status::Other(other) => other,
            };
            assert_eq!(read, *state, "{bits} {index}");
        }
    }
    for bits in [0, 3, 5, 16, 255] {
        assert_eq!(unpack(bits, &compress_to_vec_zlib(&[0], 9)), Err(StatusError::BadList));
    }
}

/// What is packed a thousandfold is given up at the limit; broken streams say nothing.
#[test]
fn bombs_and_broken_streams() {
    let bomb = compress_to_vec_zlib(&vec![0; 64 << 20], 9);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    assert_eq!(unpack(1, &bomb), Err(StatusError::TooLarge));
    let exact = compress_to_vec_zlib(&vec![0; 1 << 20], 9);
    assert_eq!(unpack(1, &exact).unwrap().octets(), 1 << 20);
    let more = compress_to_vec_zlib(&vec![0; (1 << 20) + 1], 9);
    assert_eq!(unpack(1, &more), Err(StatusError::TooLarge));
    let good = compress_to_vec_zlib(&(0..=255).collect::<Vec<u8>>(), 9);
    for length in 0..good.len() {
        assert_eq!(unpack(1, &good[..length]), Err(StatusError::BadList), "{length}");
    }
    let mut wrong = good.clone();
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(unpack(1, &wrong), Err(StatusError::BadList), "the checksum counts");
    for nonsense in [&b""[..], b"x", &[0x1f, 0x8b, 8, 0], &[0xff; 100]] {
        assert_eq!(unpack(1, nonsense), Err(StatusError::BadList));
    }
}

struct Bench {
    key: SigningKey,
    gate: Gate,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Value)) -> Self {
        let key = SigningKey::generate(Alg::ES256, "k");
        let mut config = json!({ "providers": { "main": {
            "issuer": "i",
            "local_jwks": { "inline_string": jwks(&[&key]).to_string() },
            "status_list": { "clusters": { "status.test": "status" }, "timeout": "2s" },
        } } });
        change(&mut config["providers"]["main"]["status_list"]);
        Self { gate: Gate::new(&config), key }
    }

    /// Somebody with this key.
    fn of(key: SigningKey) -> Self {
        Self { key, ..Self::new(|_| ()) }
    }

    fn token(&self, status: &Value) -> String {
        self.key.sign(&json!({ "iss": "i", "sub": "a", "status": status }))
    }

    fn numbered(&self, index: u64) -> String {
        self.token(&json!({ "status_list": { "idx": index, "uri": URI } }))
    }

    /// A list with these octets, signed by `key`, with changes to its header and claims.
    fn list(&self, octets: &[u8], change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let packed = URL_SAFE_NO_PAD.encode(compress_to_vec_zlib(octets, 9));
        let mut header = self.key.header();
        header["typ"] = json!("statuslist+jwt");
        let mut claims = json!({
            "sub": URI, "iat": NOW - 5, "exp": NOW + 1000, "ttl": 60,
            "status_list": { "bits": 2, "lst": packed },
        });
        change(&mut header, &mut claims);
        self.key.sign_with_header(&header, claims.to_string().as_bytes())
    }

    fn at(&mut self, after: u64, token: &str) -> String {
        let bearer = format!("Bearer {token}");
        told(&self.gate.decide(NOW + after, &[("authorization", &bearer)]))
    }
}

/// 0, 1, 2 and 3, then zeros.
const STATES: [u8; 2] = [0b11_10_01_00, 0];

#[test]
fn states_decide() {
    let mut bench = Bench::new(|_| ());
    let tokens: Vec<_> = (0..9).map(|index| bench.numbered(index)).collect();
    assert_eq!(bench.at(0, &tokens[0]), "wait");
    let list = bench.list(&STATES, |_, _| ());
    bench.gate.answer(NOW, "status.test", "200", &list);
    assert_eq!(bench.gate.answered, ["pass"]);
    for (index, expected) in [
        (0, "pass"),
        (1, "401 token_revoked"),
        (2, "401 token_suspended"),
        (3, "401 status_unacceptable"),
        (4, "pass"),
        (7, "pass"),
        (8, "401 status_unacceptable"),
    ] {
        assert_eq!(bench.at(1, &tokens[index]), expected, "{index}");
        assert_eq!(bench.at(1, &tokens[index]), expected, "known: {index}");
    }
    // Revoked later: a known token is refused with the next list.
    let list = bench.list(&[0b01, 0], |_, _| ());
    bench.gate.answer(NOW + 60, "status.test", "200", &list);
    assert_eq!(bench.at(60, &tokens[0]), "401 token_revoked");
    assert_eq!(bench.at(60, &tokens[1]), "pass");
    assert_eq!(bench.gate.fetches.len(), 0);
}

/// A token never chooses where the gate sends requests, and what it says must be plain.
#[test]
fn references_that_lead_nowhere() {
    let mut bench = Bench::new(|_| ());
    for uri in [
        "http://status.test/lists/1",
        "https://evil.test/1",
        "https://status.test:8443/1",
        "https://status.test@evil.test/1",
        "https://evil.test/https://status.test/",
        "//status.test/1",
        "/1",
        "",
        "status.test",
        "https://status.test.evil.test/1",
        "ftp://status.test/",
    ] {
        let token = bench.token(&json!({ "status_list": { "idx": 0, "uri": uri } }));
        assert_eq!(bench.at(0, &token), "401 status_unacceptable", "{uri}");
    }
    for status in [
        json!({"status_list": {}}),
        json!({"status_list": null}),
        json!({"status_list": 5}),
        json!(5),
        json!(null),
        json!("x"),
        json!({"status_list": {"idx": 0}}),
        json!({"status_list": {"uri": URI}}),
        json!({"status_list": {"idx": -1, "uri": URI}}),
        json!({"status_list": {"idx": 0.5, "uri": URI}}),
        json!({"status_list": {"idx": "0", "uri": URI}}),
        json!({"status_list": {"idx": 0, "uri": [URI]}}),
    ] {
        let token = bench.token(&status);
        assert_eq!(bench.at(0, &token), "401 status_unacceptable", "{status}");
    }
    bench.gate.tick(NOW);
    assert!(bench.gate.fetches.is_empty(), "{:?}", bench.gate.fetches);
    // Another mechanism, or none: unless one is required.
    let (other, none) = (bench.token(&json!({"other": 1})), bench.key.sign(&json!({"iss": "i"})));
    assert_eq!((bench.at(0, &other), bench.at(0, &none)), ("pass".into(), "pass".into()));
    let mut strict = Bench::new(|list| list["required"] = json!(true));
    let (other, none) = (strict.token(&json!({"other": 1})), strict.key.sign(&json!({"iss": "i"})));
    let missing = || "401 claim_missing".to_owned();
    assert_eq!((strict.at(0, &other), strict.at(0, &none)), (missing(), missing()));
    // Nobody's token makes the gate ask anything.
    let forged = SigningKey::generate(Alg::ES256, "k");
    let status = json!({ "status_list": { "idx": 0, "uri": URI } });
    let forged = forged.sign(&json!({ "iss": "i", "status": status }));
    assert_eq!(strict.at(0, &forged), "401 signature_invalid");
    strict.gate.tick(NOW);
    assert!(strict.gate.fetches.is_empty());
}

/// A scheme's own port says nothing, on either side.
#[test]
fn the_port_of_https_goes_without_saying() {
    for host in ["status.test", "status.test:443", "STATUS.test:443"] {
        for uri in [URI, "https://status.test:443/lists/1", "https://STATUS.test/lists/1"] {
            let mut bench = Bench::new(|list| list["clusters"] = json!({ host: "status" }));
            let token = bench.token(&json!({ "status_list": { "idx": 0, "uri": uri } }));
            assert_eq!(bench.at(0, &token), "wait", "{host} {uri}");
        }
    }
}

/// A list that is not the issuer's, not this one, or not good any more decides nothing.
#[test]
fn lists_that_do_not_count() {
    type Change = fn(&mut Value, &mut Value);
    let changes: [(&str, Change); 14] = [
        ("status_list_type", |header, _| header["typ"] = json!("JWT")),
        ("status_list_type", |header, _| header["typ"] = json!("at+jwt")),
        ("status_list_other_subject", |_, claims| {
            claims["sub"] = json!("https://status.test/lists/2")
        }),
        ("status_list_claims", |_, claims| claims["sub"] = Value::Null),
        ("status_list_claims", |_, claims| claims["iat"] = json!("x")),
        ("status_list_claims", |_, claims| claims["exp"] = json!("x")),
        ("status_list_expired", |_, claims| claims["exp"] = json!(NOW)),
        ("status_list_claims", |_, claims| claims["status_list"] = json!(5)),
        ("status_list_malformed", |_, claims| claims["status_list"]["bits"] = json!(3)),
        ("status_list_malformed", |_, claims| claims["status_list"]["bits"] = json!("1")),
        ("status_list_malformed", |_, claims| claims["status_list"]["lst"] = json!("AAAA")),
        ("status_list_malformed", |_, claims| {
            claims["status_list"]["lst"] = json!("eNrbuRgAAhcBXQ==")
        }),
        ("status_list_malformed", |_, claims| claims["status_list"]["lst"] = json!(5)),
        ("status_list_too_large", |_, claims| {
            let bomb = compress_to_vec_zlib(&vec![0; 32 << 20], 9);
            claims["status_list"]["lst"] = json!(URL_SAFE_NO_PAD.encode(bomb));
        }),
    ];
    for (code, change) in changes {
        for (when, expected) in [("deny", "503 revocation_unavailable"), ("allow", "pass")] {
            let mut bench = Bench::new(|list| list["when_unavailable"] = json!(when));
            let token = bench.numbered(0);
            assert_eq!(bench.at(0, &token), "wait");
            let list = bench.list(&STATES, change);
            bench.gate.answer(NOW, "status.test", "200", &list);
            assert_eq!(bench.gate.answered, [expected], "{code}");
            let counted = bench.gate.counted.iter();
            let names: Vec<_> = counted.map(|one| bench.gate.engine.counter_name(*one)).collect();
            // A better one is asked for soon.
            let good = bench.list(&STATES, |_, _| ());
            bench.gate.answer(NOW + 3, "status.test", "200", &good);
            assert_eq!(bench.at(3, &token), "pass");
            assert!(
                names.contains(&format!("jwt_gate.status_list_unusable_for.{code}")),
                "{names:?}"
            );
        }
    }
    // Somebody else's signature, none, no token at all.
    let other = Bench::new(|_| ());
    let foreign = other.list(&STATES, |_, _| ());
    let (signed, _) = foreign.rsplit_once('.').unwrap();
    for list in [foreign.as_str(), &format!("{signed}.AAAA"), signed, "", "<html>", "a.b.c", "{}"] {
        let mut bench = Bench::new(|_| ());
        let token = bench.numbered(0);
        assert_eq!(bench.at(0, &token), "wait");
        bench.gate.answer(NOW, "status.test", "200", list);
        bench.gate.tick(NOW + 6);
        assert_eq!(bench.gate.answered, ["503 revocation_unavailable"], "{list:.20}");
    }
}

/// While it cannot be fetched, a list serves for a bounded time, and no longer than its own `exp`.
#[test]
fn an_unreachable_status_list_is_bridged() {
    let mut bench = Bench::new(|list| list["stale_if_error"] = json!("100s"));
    let (good, bad) = (bench.numbered(0), bench.numbered(1));
    assert_eq!(bench.at(0, &good), "wait");
    let list = bench.list(&STATES, |_, _| ());
    bench.gate.answer(NOW, "status.test", "200", &list);
    bench.gate.answer(NOW + 60, "status.test", "500", "");
    assert_eq!(bench.at(150, &good), "pass");
    assert_eq!(bench.at(150, &bad), "401 token_revoked");
    let unavailable = ["503 revocation_unavailable", "wait"];
    assert!(unavailable.contains(&bench.at(161, &good).as_str()));
    let mut bench = Bench::new(|_| ());
    let good = bench.numbered(0);
    assert_eq!(bench.at(0, &good), "wait");
    let list = bench.list(&STATES, |_, claims| claims["exp"] = json!(NOW + 30));
    bench.gate.answer(NOW, "status.test", "200", &list);
    bench.gate.answer(NOW + 29, "status.test", "500", "");
    assert_eq!(bench.at(29, &good), "pass");
    assert_eq!(bench.at(30, &good), "503 revocation_unavailable");
}

/// Lists take turns in a bounded room, and one in use is not displaced.
#[test]
fn the_number_of_lists_is_bounded() {
    let mut bench = Bench::new(|list| list["max_lists"] = json!(2));
    let uri = |number: usize| format!("https://status.test/lists/{number}");
    let token = |bench: &Bench, number: usize| {
        bench.token(&json!({ "status_list": { "idx": 0, "uri": uri(number) } }))
    };
    for number in 0..2 {
        let token = token(&bench, number);
        assert_eq!(bench.at(0, &token), "wait");
        let list = bench.list(&STATES, |_, claims| claims["sub"] = json!(uri(number)));
        bench.gate.answer(NOW, "status.test", "200", &list);
        assert_eq!(bench.at(1, &token), "pass");
    }
    let third = token(&bench, 2);
    assert_eq!(bench.at(2, &third), "503 revocation_unavailable");
    // The first is in use still; the second was not for a minute.
    let first = token(&bench, 0);
    assert_eq!(bench.at(50, &first), "pass");
    assert_eq!(bench.at(70, &third), "wait");
    bench.gate.fetches.retain(|(_, request)| {
        request.headers.iter().any(|(name, value)| name == ":path" && value == "/lists/2")
    });
    let list = bench.list(&STATES, |_, claims| claims["sub"] = json!(uri(2)));
    bench.gate.answer(NOW + 70, "status.test", "200", &list);
    assert_eq!(bench.at(71, &third), "pass");
    assert_eq!(bench.at(71, &first), "pass");
    // What nobody asks for is forgotten.
    bench.gate.tick(NOW + 2000);
    bench.gate.fetches.clear();
    bench.gate.tick(NOW + 4000);
    assert!(bench.gate.fetches.is_empty());
    assert!(matches!(bench.gate.decide(NOW + 4000, &[]), Decision::Reject(_)));
}

#[test]
fn examples_of_status_lists() {
    let examples = gate::run_examples(include_str!("../docs/status-list.md"));
    assert_eq!(examples, (1, 7));
}

/// Where keys are bound to issuers, one tenant's list says nothing of another tenant's tokens.
#[test]
fn lists_are_their_issuers() {
    let (a, b) = (SigningKey::generate(Alg::ES256, "a"), SigningKey::generate(Alg::ES256, "b"));
    let iss = |tenant: &str| format!("https://login.test/{tenant}");
    let bound = |key: &SigningKey, tenant: &str| {
        let mut jwk = key.public_jwk();
        jwk["issuer"] = json!(iss(tenant));
        jwk
    };
    let set = json!({ "keys": [bound(&a, "a"), bound(&b, "b")] });
    let config = json!({ "providers": { "main": {
        "issuer_pattern": "https://login.test/{tenant}",
        "local_jwks": { "inline_string": set.to_string() },
        "status_list": { "clusters": { "status.test": "status" }, "timeout": "2s" },
    } } });
    let mut bench = Bench { gate: Gate::new(&config), key: a };
    let status = json!({ "status_list": { "idx": 0, "uri": URI } });
    let token =
        |key: &SigningKey, tenant: &str| key.sign(&json!({ "iss": iss(tenant), "status": status }));
    let (of_a, of_b) = (token(&bench.key, "a"), token(&b, "b"));
    assert_eq!(bench.at(0, &of_a), "wait");
    let list = bench.list(&STATES, |_, _| ());
    bench.gate.answer(NOW, "status.test", "200", &list);
    for _ in 0..2 {
        assert_eq!(bench.at(1, &of_a), "pass");
        assert_eq!(bench.at(1, &of_b), "503 revocation_unavailable");
    }
}

/// A gate whose keys are fetched, with a list of which `k2` made the signature.
fn rotated() -> (Bench, SigningKey, String) {
    let (k1, k2) = (SigningKey::generate(Alg::ES256, "k1"), SigningKey::generate(Alg::ES256, "k2"));
    let config = json!({ "providers": { "main": {
        "issuer": "i",
        "remote_jwks": { "http_uri": { "uri": "https://keys.test/", "cluster": "keys", "timeout": "2s" } },
        "status_list": { "clusters": { "status.test": "status" }, "timeout": "2s" },
    } } });
    let mut bench = Bench { gate: Gate::new(&config), key: k1 };
    let token = bench.numbered(0);
    bench.gate.answer(NOW, "keys.test", "200", &jwks(&[&bench.key]).to_string());
    (bench, k2, token)
}

/// A list's key is looked for as a token's is: again after each cooldown, and not by name of failure.
#[test]
fn the_key_of_a_list_is_looked_for_again() {
    let (mut bench, k2, token) = rotated();
    let old = jwks(&[&bench.key]).to_string();
    let signer = Bench::of(k2);
    assert_eq!(bench.at(1, &token), "wait");
    bench.gate.answer(NOW + 1, "status.test", "200", &signer.list(&STATES, |_, _| ()));
    bench.gate.answer(NOW + 3, "keys.test", "200", &old);
    assert_eq!(bench.gate.answered, ["503 revocation_unavailable"]);
    bench.gate.fetches.clear();
    bench.gate.answered.clear();
    assert_eq!(bench.at(8, &token), "wait");
    let both = jwks(&[&bench.key, &signer.key]).to_string();
    bench.gate.answer(NOW + 8, "keys.test", "200", &both);
    assert_eq!(bench.gate.answered, ["pass"]);
    assert_eq!(bench.at(9, &token), "pass");
    // An issuer that does not answer says nothing of the list.
    let (mut bench, _, token) = rotated();
    assert_eq!(bench.at(1, &token), "wait");
    bench.gate.answer(NOW + 1, "status.test", "200", &signer.list(&STATES, |_, _| ()));
    for after in [3, 4, 6, 9] {
        bench.gate.answer(NOW + after, "keys.test", "500", "");
    }
    bench.gate.answered.clear();
    assert_eq!(bench.at(9, &token), "503 revocation_unavailable", "no attempt is near");
    let both = jwks(&[&bench.key, &signer.key]).to_string();
    bench.gate.answer(NOW + 20, "keys.test", "200", &both);
    assert_eq!(bench.at(21, &token), "pass");
}

/// A list whose key is not known yet takes nothing away, and has the key looked for.
#[test]
fn a_new_key_of_a_list_keeps_nobody_waiting() {
    let (mut bench, k2, token) = rotated();
    let signer = Bench::of(k2);
    assert_eq!(bench.at(1, &token), "wait");
    bench.gate.answer(NOW + 1, "status.test", "200", &bench.list(&STATES, |_, _| ()));
    let revoked = signer.list(&[0b01], |_, _| ());
    bench.gate.answer(NOW + 60, "status.test", "200", &revoked);
    bench.gate.fetches.clear();
    assert_eq!(bench.at(61, &token), "pass");
    let both = jwks(&[&bench.key, &signer.key]).to_string();
    bench.gate.answer(NOW + 61, "keys.test", "200", &both);
    assert_eq!(bench.at(62, &token), "401 token_revoked");
}

/// A bad answer discards nothing: what counted last goes on, as long as it would have without it.
#[test]
fn a_bad_status_list_discards_nothing() {
    let foreign = Bench::new(|_| ()).list(&[0b00_01], |_, _| ());
    for when in ["deny", "allow"] {
        for bad in ["foreign", "other", "bare", "html", "expired"] {
            let mut bench = Bench::new(|list| {
                list["when_unavailable"] = json!(when);
                list["stale_if_error"] = json!("100s");
            });
            let (good, revoked) = (bench.numbered(0), bench.numbered(1));
            assert_eq!(bench.at(0, &good), "wait");
            let list = bench.list(&STATES, |_, _| ());
            bench.gate.answer(NOW, "status.test", "200", &list);
            assert_eq!(bench.gate.answered, ["pass"]);
            let bad = match bad {
                "foreign" => foreign.clone(),
                "bare" => "a.e30.b".to_owned(),
                "html" => "<html>".to_owned(),
                "other" => bench.list(&[1], |_, claims| claims["sub"] = json!("https://x")),
                _ => bench.list(&[1], |_, claims| claims["exp"] = json!(NOW)),
            };
            for after in [60, 64, 70, 80, 100, 120] {
                bench.gate.answer(NOW + after, "status.test", "200", &bad);
                assert_eq!(bench.at(after, &good), "pass", "{bad}");
                assert_eq!(bench.at(after, &revoked), "401 token_revoked", "{bad}");
            }
            assert_eq!(bench.at(159, &revoked), "401 token_revoked", "{bad}");
            // Its time is over.
            let expected = if when == "deny" { "503 revocation_unavailable" } else { "pass" };
            bench.gate.tick(NOW + 161);
            let told = bench.at(161, &revoked);
            assert!([expected, "wait"].contains(&told.as_str()), "{told}");
            bench.gate.fetches.clear();
            bench.gate.tick(NOW + 170);
            bench.gate.tick(NOW + 171);
            let list = bench.list(&[0b01], |_, _| ());
            bench.at(171, &revoked);
            bench.gate.answer(NOW + 175, "status.test", "200", &list);
            assert_eq!(bench.at(176, &good), "401 token_revoked");
            assert_eq!(bench.at(176, &revoked), "pass");
        }
    }
}

/// A bad list that wants to be forgotten soon does not take the good one with it.
#[test]
fn a_bad_status_list_of_short_life() {
    let mut bench = Bench::new(|list| list["stale_if_error"] = json!("0s"));
    let (good, revoked) = (bench.numbered(0), bench.numbered(1));
    assert_eq!(bench.at(0, &good), "wait");
    let list = bench.list(&STATES, |_, claims| claims["ttl"] = json!(300));
    bench.gate.answer(NOW, "status.test", "200", &list);
    let bad = Bench::of(SigningKey::generate(Alg::ES256, "k"));
    let bad = bad.list(&STATES, |_, claims| claims["ttl"] = json!(1));
    bench.gate.answer(NOW + 270, "status.test", "200", &bad);
    bench.gate.answer(NOW + 280, "status.test", "500", "");
    for after in [281, 290, 299] {
        assert_eq!(bench.at(after, &good), "pass", "{after}");
        assert_eq!(bench.at(after, &revoked), "401 token_revoked", "{after}");
    }
    assert_ne!(bench.at(300, &good), "pass");
}

/// `algorithms` is for all that the provider's keys sign.
#[test]
fn algorithms_bind_lists_too() {
    let key = SigningKey::generate(Alg::ES256, "k");
    let secret = SigningKey::generate(Alg::HS256, "s");
    let config = json!({ "providers": { "main": {
        "issuer": "i",
        "algorithms": ["ES256"],
        "local_jwks": { "inline_string": jwks(&[&key, &secret]).to_string() },
        "status_list": { "clusters": { "status.test": "status" }, "timeout": "2s" },
    } } });
    let mut bench = Bench { gate: Gate::new(&config), key };
    let token = bench.numbered(0);
    assert_eq!(bench.at(0, &token), "wait");
    let forger = Bench::of(secret);
    bench.gate.answer(NOW, "status.test", "200", &forger.list(&STATES, |_, _| ()));
    assert_eq!(bench.gate.answered, ["503 revocation_unavailable"]);
    bench.gate.answer(NOW + 3, "status.test", "200", &bench.list(&STATES, |_, _| ()));
    assert_eq!(bench.at(3, &token), "pass");
}

/// `exp` counts from now, also of a list that did not change.
#[test]
fn a_list_is_fetched_again_before_it_expires() {
    let mut bench = Bench::new(|_| ());
    let token = bench.numbered(0);
    assert_eq!(bench.at(0, &token), "wait");
    let list = |bench: &Bench, iat: u64| {
        bench.list(&STATES, |_, claims| {
            claims["iat"] = json!(iat);
            claims["exp"] = json!(iat + 600);
            claims.as_object_mut().unwrap().remove("ttl");
        })
    };
    let (first, second) = (list(&bench, NOW), list(&bench, NOW + 590));
    bench.gate.answer(NOW, "status.test", "200", &first);
    // The same text, as after "not modified".
    for after in [270, 540] {
        bench.gate.answer(NOW + after, "status.test", "200", &first);
        assert_eq!(bench.at(after, &token), "pass");
    }
    bench.gate.answer(NOW + 595, "status.test", "200", &second);
    for after in 595..620 {
        assert_eq!(bench.at(after, &token), "pass", "{after}");
    }
}

/// However many issuers ask, a list is checked by itself and then for each of them.
#[test]
fn many_issuers_share_a_list() {
    let iss = |tenant: usize| format!("https://login.test/{tenant}");
    let key = SigningKey::generate(Alg::ES256, "k");
    let mut jwk = key.public_jwk();
    jwk["issuer"] = json!("https://login.test/{tenant}");
    let own = SigningKey::generate(Alg::ES256, "own");
    let mut bound = own.public_jwk();
    bound["issuer"] = json!(iss(3));
    let config = json!({ "providers": { "main": {
        "issuer_pattern": "https://login.test/{tenant}",
        "local_jwks": { "inline_string": json!({ "keys": [jwk, bound] }).to_string() },
        "status_list": { "clusters": { "status.test": "status" }, "timeout": "2s" },
    } } });
    let mut bench = Bench { gate: Gate::new(&config), key };
    let status = json!({ "status_list": { "idx": 0, "uri": URI } });
    let tokens: Vec<_> = (0..9)
        .map(|tenant| bench.key.sign(&json!({ "iss": iss(tenant), "status": status })))
        .collect();
    assert_eq!(bench.at(0, &tokens[0]), "wait");
    bench.gate.answer(NOW, "status.test", "200", &bench.list(&STATES, |_, _| ()));
    for _ in 0..2 {
        for token in &tokens {
            assert_eq!(bench.at(1, token), "pass");
        }
    }
    // The next one is one tenant's: it is that one's only, and the others go on with the last.
    let signer = Bench::of(own);
    bench.gate.answer(NOW + 60, "status.test", "200", &signer.list(&[1], |_, _| ()));
    for _ in 0..2 {
        for (tenant, token) in tokens.iter().enumerate() {
            let expected = if tenant == 3 { "401 token_revoked" } else { "pass" };
            assert_eq!(bench.at(61, token), expected, "{tenant}");
        }
    }
}
