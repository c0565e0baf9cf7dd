//! RSA moduli of the generator that was broken in 2017 (ROCA, CVE-2017-15361): whoever sees one can
//! compute the private key, for a price that falls.
//!
//! Its primes are `k·M + 65537^a mod M`, with `M` the product of the first primes, so the modulus is a power
//! of 65537 modulo each of them (Nemec et al., "The Return of Coppersmith's Attack", section 2.2). A modulus
//! that was made well fits all of these by a chance of 2^-83.

/// The primes that divide `M` for every size from 992 bits on, but for 2, which tells nothing.
const PRIMES: [u32; 70] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193,
    197, 199, 211, 223, 227, 229, 233, 239, 241, 251, 257, 263, 269, 271, 277, 281, 283, 293, 307,
    311, 313, 317, 331, 337, 347, 349, 353,
];

/// Whether this big-endian modulus was made by that generator. Most others are told by the first few primes.
pub(super) fn was_made_badly(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| {
        let with_octet = |rest, octet: &u8| shifted(rest, 256, (*octet).into(), *prime);
        is_power(modulus.iter().fold(0, with_octet), *prime)
    })
}

/// Whether `rest` is a power of 65537 modulo `prime`.
fn is_power(rest: u32, prime: u32) -> bool {
    let next = |power: &u32| Some(shifted(*power, 65_537, 0, prime));
    let mut powers = std::iter::successors(Some(1), next).take(prime as usize);
    powers.any(|power| power == rest)
}

/// `(rest * factor + more) mod prime`, which cannot overflow: all of `PRIMES` have nine bits at most.
fn shifted(rest: u32, factor: u32, more: u32, prime: u32) -> u32 {
    rest.wrapping_mul(factor).wrapping_add(more).checked_rem(prime).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::base64url;

    /// Of Project Wycheproof's key `kid-rsa-roca-sign`.
    const BROKEN: &str = "AanFpofbj7KjD4Lf-N2hVMKR7yewSyXhhbirIMTGpfYEhZ_lnt5UoK98DnKIgArXGTu3MaW_HhFw16HGaTDUHqPrId7fe4r11CqRw09yBFuW79V8sYIwHdzCaWflUI6auImYbVfoN9_nD5n8N8SY9DwXw7mwZM9wREPXoDPgOoIWl6q_MPsp7n0zs3Z5ZaiQWOOzl1S9OhwAfSiiOwz6efnXEaxuTEtPd7BjSx7NaFka8Dx9U7YqXy2RFj1O9PjyaDGuRh7YXsX3iMUSP_wSyHQg_c_qHRtKUsNSGCT7OZg0hzm2KphtjnayKJvC64vAbROBR4Ubg6Bxg9IQVZ-QYyE";

    #[test]
    fn moduli_of_the_broken_generator_are_told_from_others() {
        let broken = base64url::decode(BROKEN.as_bytes()).unwrap();
        assert!(was_made_badly(&broken));
        // Leading zeros change no number.
        assert!(was_made_badly(&[&[0, 0], &broken[..]].concat()));
        // Its neighbours are others.
        for change in 1..=255 {
            let mut other = broken.clone();
            *other.last_mut().unwrap() ^= change;
            assert!(!was_made_badly(&other), "{change}");
        }
        assert!(!was_made_badly(&[]));
        assert!(!was_made_badly(&[0xff; 256]));
        // What every prime of the list must fit: a power itself.
        assert!(was_made_badly(&[1]) && was_made_badly(&[1, 0, 1]));
    }

    #[test]
    fn every_prime_to_353_is_asked() {
        let is_prime = |number: &u32| (2..*number).all(|divisor| !number.is_multiple_of(divisor));
        assert!((3..=353).filter(is_prime).eq(PRIMES));
    }

    #[test]
    fn powers_are_those_that_multiplication_finds() {
        for prime in PRIMES {
            let mut powers = vec![false; prime as usize];
            let mut power = 1_u64;
            for _ in 0..prime {
                powers[power as usize] = true;
                power = power * 65_537 % u64::from(prime);
            }
            for rest in 0..prime {
                assert_eq!(is_power(rest, prime), powers[rest as usize], "{rest} modulo {prime}");
            }
        }
    }
}
