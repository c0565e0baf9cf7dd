//! An RSA key and its two kinds of signatures (RFC 8017 section 8), by fast arithmetic under the
//! library's eyes.
//!
//! RustCrypto reads keys and hashes, and is the reference; `fast_verify` does the exponentiation,
//! several times as fast in WebAssembly. What makes that safe:
//!
//! - the exponentiation is compared with the library's in tests (edges, random and spiteful
//!   operands), and the whole with published vectors;
//! - until a key has accepted a signature, the library checks each one, too (refusals prove nothing:
//!   anybody can send nonsense), and should they ever disagree, that key is the library's alone from
//!   then on;
//! - what is left to do here is to compare an encoding with the only good one (PKCS#1 v1.5), or to
//!   follow the steps of the standard (PSS); all inputs are public.

use fast_verify::rsa::PublicKey;
use rsa::RsaPublicKey;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pss::Pss;
use rsa::traits::PublicKeyParts as _;
use sha2::digest::Digest;
use sha2::digest::const_oid::AssociatedOid;

use crate::jose::trust::Trust;

/// An RSA public key.
#[derive(Clone)]
pub struct RsaKey {
    library: RsaPublicKey,
    fast: Option<PublicKey>,
    /// Each scheme earns its own: its comparison of encodings is ours, too.
    pkcs1: Trust,
    pss: Trust,
}

impl RsaKey {
    /// The same key, with what the fast arithmetic needs.
    pub fn new(library: RsaPublicKey) -> Self {
        let exponent = match library.e_bytes().as_ref() {
            [3] => 3,
            [1, 0, 1] => 65_537,
            // The library does what the fast arithmetic does not.
            _ => 0,
        };
        let fast = PublicKey::new(&library.n_bytes(), exponent);
        Self { library, fast, pkcs1: Trust::default(), pss: Trust::default() }
    }

    /// The modulus in octets.
    pub fn size(&self) -> usize {
        self.library.size()
    }

    /// Whether the fast arithmetic was wrong for this key.
    pub fn is_distrusted(&self) -> bool {
        self.pkcs1.is_lost() || self.pss.is_lost()
    }

    /// Whether the fast arithmetic is believed, for one scheme at least.
    pub fn is_fast(&self) -> bool {
        !self.is_distrusted() && (self.pkcs1.is_earned() || self.pss.is_earned())
    }

    /// RSASSA-PKCS1-v1_5 (section 8.2.2).
    pub fn verify_pkcs1<D: Digest + AssociatedOid>(&self, input: &[u8], signature: &[u8]) -> bool {
        let digest = D::digest(input);
        self.agreed(
            &self.pkcs1,
            |fast| {
                let encoded = fast.power(signature)?;
                let good = pkcs1_encoding::<D>(&digest, encoded.len());
                Some(good.is_some_and(|good| good == encoded))
            },
            || self.library.verify(Pkcs1v15Sign::new::<D>(), &digest, signature).is_ok(),
        )
    }

    /// RSASSA-PSS with MGF1 and a salt as long as the digest (section 8.1.2, RFC 7518 section 3.5).
    pub fn verify_pss<D: Digest>(&self, input: &[u8], signature: &[u8]) -> bool
    where
        Pss<D>: rsa::traits::SignatureScheme,
    {
        let digest = D::digest(input);
        self.agreed(
            &self.pss,
            |fast| {
                let encoded = fast.power(signature)?;
                let bits = self.library.n().bits();
                Some(pss_is_good::<D>(&digest, &encoded, bits).unwrap_or(false))
            },
            || self.library.verify(Pss::<D>::new(), &digest, signature).is_ok(),
        )
    }

    /// The fast answer where it is believed.
    fn agreed(
        &self,
        trust: &Trust,
        fast: impl FnOnce(&PublicKey) -> Option<bool>,
        library: impl FnOnce() -> bool,
    ) -> bool {
        match &self.fast {
            Some(key) if !self.is_distrusted() => {
                trust.judge(|| fast(key).unwrap_or(false), library)
            }
            _ => library(),
        }
    }
}

/// The only good encoding of a digest (section 9.2): to compare with it is to leave nothing open.
fn pkcs1_encoding<D: AssociatedOid>(digest: &[u8], length: usize) -> Option<Vec<u8>> {
    let oid = D::OID.as_bytes();
    let octet = |length: usize| u8::try_from(length).ok();
    let algorithm = octet(oid.len().checked_add(4)?)?;
    let whole = octet(oid.len().checked_add(digest.len())?.checked_add(8)?)?;
    let mut info = vec![0x30, whole, 0x30, algorithm, 0x06, octet(oid.len())?];
    info.extend(oid);
    info.extend([0x05, 0x00, 0x04, octet(digest.len())?]);
    info.extend(digest);
    let padding = length.checked_sub(info.len())?.checked_sub(3)?;
    if padding < 8 {
        return None;
    }
    let mut encoding = vec![0x00, 0x01];
    encoding.resize(padding.checked_add(2)?, 0xff);
    encoding.push(0x00);
    encoding.extend(info);
    Some(encoding)
}

/// EMSA-PSS-VERIFY (section 9.1.2), by its steps. None, too, is a bad one.
fn pss_is_good<D: Digest>(digest: &[u8], encoded: &[u8], modulus_bits: u32) -> Option<bool> {
    let bits = usize::try_from(modulus_bits.checked_sub(1)?).ok()?;
    let length = bits.div_ceil(8);
    // Where the encoding is an octet shorter than the modulus, that octet is zero.
    let (excess, encoded) = encoded.split_at_checked(encoded.len().checked_sub(length)?)?;
    if excess.iter().any(|octet| *octet != 0) {
        return Some(false);
    }
    // 3 and 4: `0xbc` at the end. 5: the masked block, and the hash.
    let [front @ .., 0xbc] = encoded else { return Some(false) };
    let (masked, hash) = front.split_at_checked(front.len().checked_sub(digest.len())?)?;
    // 6: bits beyond the encoding's are zero.
    let unused = length.checked_mul(8)?.checked_sub(bits)?;
    let used = 0xff_u8.checked_shr(u32::try_from(unused).ok()?)?;
    if masked.first()? & !used != 0 {
        return Some(false);
    }
    // 7 to 9.
    let mut block = mgf1::<D>(hash, masked.len());
    for (octet, masked) in block.iter_mut().zip(masked) {
        *octet ^= masked;
    }
    *block.first_mut()? &= used;
    // 10: zeros, a one, and 11: the salt.
    let (zeros, salt) = block.split_at_checked(block.len().checked_sub(digest.len())?)?;
    let [zeros @ .., 1] = zeros else { return Some(false) };
    if zeros.iter().any(|octet| *octet != 0) {
        return Some(false);
    }
    // 12 to 14.
    let own = D::new().chain_update([0; 8]).chain_update(digest).chain_update(salt).finalize();
    Some(own.as_slice() == hash)
}

/// MGF1 (appendix B.2.1).
fn mgf1<D: Digest>(seed: &[u8], length: usize) -> Vec<u8> {
    let mut mask = Vec::with_capacity(length.saturating_add(64));
    let mut counter = 0_u32;
    while mask.len() < length {
        let block = D::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        mask.extend_from_slice(&block);
        counter = counter.saturating_add(1);
    }
    mask.truncate(length);
    mask
}

#[cfg(test)]
mod tests {
    use rsa::BoxedUint;
    use sha2::{Sha256, Sha512};

    use super::*;

    fn key(modulus: &[u8]) -> RsaKey {
        let modulus = BoxedUint::from_be_slice_vartime(modulus);
        RsaKey::new(RsaPublicKey::new_unchecked(modulus, BoxedUint::from(65_537_u32)))
    }

    /// An odd number of 2048 bits; whether it is a product of primes plays no part here.
    fn modulus(last: u8) -> Vec<u8> {
        let mut modulus = vec![0xa5; 256];
        modulus[255] = last;
        modulus
    }

    #[test]
    fn the_library_has_the_last_word() {
        let mut key = key(&modulus(1));
        assert!(key.fast.is_some());
        assert!(!key.verify_pkcs1::<Sha256>(b"input", &[7; 256]));
        assert!(!key.verify_pss::<Sha256>(b"input", &[7; 256]));
        let (good, bad) = (|_: &PublicKey| Some(true), |_: &PublicKey| Some(false));
        assert!(key.agreed(&key.pkcs1, good, || true));
        assert!(!key.agreed(&key.pkcs1, bad, || true), "it is on its own");
        assert!(key.agreed(&key.pss, |_| None, || true), "nobody is turned away");
        assert!(key.is_distrusted() && key.clone().is_distrusted());
        assert!(key.agreed(&key.pkcs1, bad, || true), "whichever scheme was wrong");
        key.fast = None;
        assert!(key.agreed(&key.pss, bad, || true), "without fast arithmetic");
    }

    #[test]
    fn encodings() {
        let encoding = pkcs1_encoding::<Sha256>(&[9; 32], 256).unwrap();
        assert_eq!(encoding.len(), 256);
        assert_eq!(encoding[..3], [0, 1, 0xff]);
        // RFC 8017 section 9.2, note 1.
        let info = [
            0, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x01, 0x05, 0x00, 0x04, 0x20, 9,
        ];
        assert_eq!(encoding[204..225], info);
        assert_eq!(
            pkcs1_encoding::<Sha512>(&[9; 64], 93),
            None,
            "fewer than eight octets of padding"
        );
        assert!(pkcs1_encoding::<Sha512>(&[9; 64], 94).is_some());
        for length in [0, 1, 31, 32, 33, 65, 256] {
            for bits in [511, 512, 513] {
                let _ = pss_is_good::<Sha256>(&[9; 32], &vec![0xbc; length], bits);
            }
        }
    }
}
