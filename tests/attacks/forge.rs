//! Signatures that were made to be taken by verifiers that are careless.

use jwt_gate_demo::keys::SigningKey;
use num_bigint::BigUint;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::encodings::{der, integer};
use crate::keys::{member, number};

/// A digest in place of a signature: whoever knows no key can make it.
pub(crate) fn digest(name: &str, input: &[u8]) -> Vec<u8> {
    match name {
        "256" => Sha256::digest(input).to_vec(),
        "384" => Sha384::digest(input).to_vec(),
        _ => Sha512::digest(input).to_vec(),
    }
}

struct Curve {
    octets: usize,
    order: BigUint,
    prime: BigUint,
}

fn curve(jwk: &Value) -> Curve {
    let number = |text: &str| BigUint::parse_bytes(text.as_bytes(), 16).unwrap();
    // SEC 2 sections 2.4.2, 2.5.1 and 2.6.1.
    match jwk["crv"].as_str().unwrap() {
        "P-256" => Curve {
            octets: 32,
            order: number("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
            prime: number("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
        },
        "P-384" => Curve {
            octets: 48,
            order: number(
                "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
            ),
            prime: number(
                "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
            ),
        },
        _ => Curve {
            octets: 66,
            order: number(
                "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
            ),
            prime: (BigUint::from(1_u8) << 521) - 1_u8,
        },
    }
}

/// `r=X s=Y`, where each is `0`, `1`, `n`, `n-1`, `n+1`, `p`, `max`, `x` (the key's), or `r`, `s`, `-r`,
/// `-s` (the good signature's, or `n` without it); or a form: `der`, `p1363-of-der`, `wide`, `narrow`.
pub(crate) fn ecdsa(how: &str, key: &SigningKey, input: &[u8]) -> Vec<u8> {
    let curve = curve(&key.public_jwk());
    let good = key.sign_bytes(input);
    let (r, s) = good.split_at(curve.octets);
    let (r, s) = (BigUint::from_bytes_be(r), BigUint::from_bytes_be(s));
    let fixed = |number: &BigUint, octets: usize| {
        let octets_of = number.to_bytes_be();
        // What does not fit is what it is modulo the width.
        let start = octets_of.len().saturating_sub(octets);
        let own = &octets_of[start..];
        [vec![0; octets - own.len()], own.to_vec()].concat()
    };
    let in_der = |r: &BigUint, s: &BigUint| {
        der(0x30, &[integer(&r.to_bytes_be()), integer(&s.to_bytes_be())].concat())
    };
    match how {
        "der-high" => return in_der(&r, &s.clone().max(&curve.order - &s)),
        "der-low" => return in_der(&r, &s.clone().min(&curve.order - &s)),
        "wide" => return [fixed(&r, curve.octets + 1), fixed(&s, curve.octets + 1)].concat(),
        "narrow" => return [fixed(&r, curve.octets - 1), fixed(&s, curve.octets - 1)].concat(),
        "only-r" => return fixed(&r, curve.octets),
        "with-recovery" => return [vec![0], good.clone()].concat(),
        "little-endian" => {
            let mut halves = good.clone();
            halves[..curve.octets].reverse();
            halves[curve.octets..].reverse();
            return halves;
        }
        _ => {}
    }
    let value = |text: &str| match text {
        "0" => BigUint::ZERO,
        "1" => BigUint::from(1_u8),
        "2" => BigUint::from(2_u8),
        "n" => curve.order.clone(),
        "n-1" => &curve.order - 1_u8,
        "n+1" => &curve.order + 1_u8,
        "2n" => &curve.order * 2_u8,
        "p" => curve.prime.clone(),
        "p-n" => &curve.prime - &curve.order,
        "max" => (BigUint::from(1_u8) << (8 * curve.octets)) - 1_u8,
        "x" => number(&key.public_jwk(), "x"),
        "r" => r.clone(),
        "s" => s.clone(),
        "-r" => &curve.order - &r,
        "-s" => &curve.order - &s,
        "r+n" => &r + &curve.order,
        "s+n" => &s + &curve.order,
        other => panic!("no number: {other}"),
    };
    let mut halves = how.split(' ').map(|half| {
        let (_, text) = half.split_once('=').unwrap();
        fixed(&value(text), curve.octets)
    });
    [halves.next().unwrap(), halves.next().unwrap()].concat()
}

/// Ed25519 signatures that only a lenient verifier takes.
pub(crate) fn eddsa(how: &str, key: &SigningKey, input: &[u8]) -> Vec<u8> {
    let mut signature = key.sign_bytes(input);
    // RFC 8032 section 5.1.
    let order = BigUint::parse_bytes(
        b"7237005577332262213973186563042994240857116359379907606001950938285454250989",
        10,
    )
    .unwrap();
    let (r, s) = signature.split_at_mut(32);
    match how {
        // The same modulo the order: RFC 8032 section 8.4.
        "s+l" => {
            let larger = (BigUint::from_bytes_le(s) + order).to_bytes_le();
            s.fill(0);
            s[..larger.len()].copy_from_slice(&larger);
        }
        "s=0" => s.fill(0),
        "s=l" => s.copy_from_slice(&order.to_bytes_le()),
        "r-sign" => r[31] ^= 0x80,
        "r-identity" => {
            r.fill(0);
            r[0] = 1;
        }
        "r-identity-s-0" => {
            signature.fill(0);
            signature[0] = 1;
        }
        other => panic!("eddsa {other}?"),
    }
    signature
}

/// DER of `DigestInfo` before the digest (RFC 8017 section 9.2).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// RSA over blocks that are padded in odd ways, by the owner of the key or, for `cube-…`, by somebody who
/// has not got it.
pub(crate) fn rsa(how: &str, key: &SigningKey, input: &[u8]) -> Vec<u8> {
    let jwk = key.public_jwk();
    let size = member(&jwk, "n").len();
    let digest = Sha256::digest(input).to_vec();
    let info = [&SHA256_INFO[..], &digest].concat();
    let padded = |first: u8, second: u8, fill: u8, count: usize, rest: &[u8]| {
        [vec![first, second], vec![fill; count], vec![0], rest.to_vec()].concat()
    };
    // As many as fit before `rest`.
    let whole = |rest: &[u8]| padded(0, 1, 0xff, size - rest.len() - 3, rest);
    let sequence = |algorithm: &[u8], digest: &[u8]| {
        der(0x30, &[der(0x30, algorithm), der(4, digest)].concat())
    };
    const OID_256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    const OID_384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
    const OID_MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05];
    let null = || der(5, &[]);
    let block = match how {
        // Bleichenbacher's of 2006 (CVE-2006-4339): the digest is not at the end.
        "garbage-after-hash" => {
            let start = padded(0, 1, 0xff, 8, &info);
            [start.clone(), vec![0x55; size - start.len()]].concat()
        }
        "zeros-after-hash" => {
            let start = padded(0, 1, 0xff, 8, &info);
            [start.clone(), vec![0; size - start.len()]].concat()
        }
        "no-padding" => {
            let start = padded(0, 1, 0xff, 0, &info);
            [start.clone(), vec![0; size - start.len()]].concat()
        }
        "short-padding" => {
            let start = padded(0, 1, 0xff, 7, &info);
            [start.clone(), vec![0; size - start.len()]].concat()
        }
        "garbage-in-padding" => {
            let mut block = whole(&info);
            block[20] = 0xfe;
            block
        }
        "type-0" => padded(0, 0, 0, size - info.len() - 3, &info),
        "type-2" => padded(0, 2, 0xff, size - info.len() - 3, &info),
        "leading-one" => padded(1, 1, 0xff, size - info.len() - 3, &info),
        "no-separator" => {
            let mut block = whole(&info);
            let place = size - info.len() - 1;
            block[place] = 0xff;
            block
        }
        // RFC 8017 section 9.2 note 2: it stands there.
        "null-missing" => whole(&sequence(&der(6, OID_256), &digest)),
        "null-with-content" => {
            whole(&sequence(&[der(6, OID_256), der(5, &[0; 8])].concat(), &digest))
        }
        "parameters-garbage" => {
            whole(&sequence(&[der(6, OID_256), der(4, &[0x55; 150])].concat(), &digest))
        }
        "oid-of-sha384" => whole(&sequence(&[der(6, OID_384), null()].concat(), &digest)),
        "oid-of-md5" => whole(&sequence(&[der(6, OID_MD5), null()].concat(), &digest[..16])),
        "oid-empty" => whole(&sequence(&[der(6, &[]), null()].concat(), &digest)),
        "no-digest-info" => whole(&digest),
        "digest-cut" => whole(&sequence(&[der(6, OID_256), null()].concat(), &digest[..20])),
        "digest-longer" => {
            let longer = [digest.as_slice(), &[0]].concat();
            whole(&sequence(&[der(6, OID_256), null()].concat(), &longer))
        }
        "digest-empty" => whole(&sequence(&[der(6, OID_256), null()].concat(), &[])),
        "long-form-length" => {
            let mut odd = info.clone();
            odd.splice(1..2, [0x81, 0x31]);
            whole(&odd)
        }
        "indefinite-length" => {
            let mut odd = info.clone();
            odd[1] = 0x80;
            odd.extend([0, 0]);
            whole(&odd)
        }
        "well-padded" => whole(&info),
        // Without the private key: the block is not a power of the signature, but of small numbers.
        "cube-garbage-after-hash" => return cube(&padded(0, 1, 0xff, 8, &info), size, true),
        "cube-no-padding" => return cube(&padded(0, 1, 0xff, 0, &info), size, true),
        "cube-zero-block" => return cube(&[0, 1], size, false),
        "identity" => whole(&info),
        other => panic!("rsa {other}?"),
    };
    let number = BigUint::from_bytes_be(&block);
    match how {
        // With the exponent 1, the block is its own signature.
        "identity" => block,
        _ => power(&number, key, size),
    }
}

/// The private operation.
fn power(number: &BigUint, key: &SigningKey, size: usize) -> Vec<u8> {
    let jwk = key.private_jwk();
    let (n, d) = (self::number(&jwk, "n"), self::number(&jwk, "d"));
    sized(&number.modpow(&d, &n), size)
}

fn sized(number: &BigUint, size: usize) -> Vec<u8> {
    let octets = number.to_bytes_be();
    [vec![0; size - octets.len()], octets].concat()
}

/// The cube root of a block that begins with `start` and ends with whatever the root makes of it.
fn cube(start: &[u8], size: usize, check: bool) -> Vec<u8> {
    let most = [start, &vec![0xff; size - start.len()]].concat();
    let root = BigUint::from_bytes_be(&most).cbrt();
    if check {
        let block = sized(&root.pow(3), size);
        assert!(block.starts_with(start), "the forgery is none");
    }
    sized(&root, size)
}

/// EMSA-PSS (RFC 8017 section 9.1) with SHA-256, and something about it that is not as JWS has it.
pub(crate) fn pss(how: &str, key: &SigningKey, input: &[u8]) -> Vec<u8> {
    let jwk = key.public_jwk();
    let bits = usize::try_from(number(&jwk, "n").bits()).unwrap() - 1;
    let size = bits.div_ceil(8);
    let salt_length = match how {
        "salt 0" => 0,
        "salt 20" => 20,
        "salt 31" => 31,
        "salt 33" => 33,
        "salt 64" => 64,
        "salt max" => size - 34,
        _ => 32,
    };
    let salt = vec![0x5a; salt_length];
    let message = Sha256::digest(input);
    let hash = match how {
        "hash 512" => {
            let message = Sha512::digest(input);
            Sha512::digest([&[0; 8][..], &message, &salt].concat())[..32].to_vec()
        }
        _ => Sha256::digest([&[0; 8][..], &message, &salt].concat()).to_vec(),
    };
    let first = if how == "separator" { 2 } else { 1 };
    let block = [vec![0; size - hash.len() - salt.len() - 2], vec![first], salt].concat();
    let mask = match how {
        "mgf 512" => mgf1::<Sha512>(&hash, block.len()),
        "mgf 384" => mgf1::<Sha384>(&hash, block.len()),
        _ => mgf1::<Sha256>(&hash, block.len()),
    };
    let mut masked: Vec<u8> = block.iter().zip(mask).map(|(a, b)| a ^ b).collect();
    masked[0] &= 0xff >> (8 * size - bits);
    let trailer = if how == "trailer" { 0xcc } else { 0xbc };
    let block = [masked, hash, vec![trailer]].concat();
    power(&BigUint::from_bytes_be(&block), key, member(&jwk, "n").len())
}

fn mgf1<D: Digest>(seed: &[u8], length: usize) -> Vec<u8> {
    let mut mask = Vec::new();
    for counter in 0_u32.. {
        if mask.len() >= length {
            break;
        }
        mask.extend(D::digest([seed, &counter.to_be_bytes()].concat()));
    }
    mask.truncate(length);
    mask
}
