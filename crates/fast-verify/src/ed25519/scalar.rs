//! Scalars: whole numbers below the order of the generator, `L` = 2^252 + δ.

/// `L`, in words of 32 bits.
const ORDER: [u32; 8] = [0x5cf5_d3ed, 0x5812_631a, 0xa2f7_9cd6, 0x14de_f9de, 0, 0, 0, 0x1000_0000];
/// δ, in limbs of 28 bits, of which nine are 252 bits.
const DELTA: [i64; 9] = [217_437_165, 19_280_293, 127_719_000, 262_007_343, 5_342, 0, 0, 0, 0];
const BITS: u32 = 28;
const MASK: i64 = (1 << BITS) - 1;

/// A number below the order, in words of 32 bits, the least significant first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Scalar([u32; 8]);

impl Scalar {
    /// The number of these little-endian octets, if it is below the order.
    pub(super) fn canonical(octets: &[u8; 32]) -> Option<Self> {
        let mut words = [0; 8];
        for (word, octets) in words.iter_mut().zip(octets.chunks_exact(4)) {
            *word = octets.iter().rev().fold(0, |word, octet| word << 8 | u32::from(*octet));
        }
        words.iter().rev().lt(ORDER.iter().rev()).then_some(Self(words))
    }

    /// The number of these little-endian octets, modulo the order.
    pub(super) fn reduce(octets: &[u8; 64]) -> Self {
        // 19 limbs hold 532 bits.
        let mut limbs = [0_i64; 19];
        for (index, octet) in octets.iter().enumerate() {
            let (limb, shift) = (8 * index / 28, 8 * index % 28);
            let bits = i64::from(*octet) << shift;
            limbs[limb] += bits & MASK;
            if shift > 20 {
                limbs[limb + 1] += bits >> BITS;
            }
        }
        // From the top, a limb at a time. The number so far is below the order, so its topmost limb
        // is at most 2^28. One limb further up, that limb counts 2^252, which is -δ.
        let mut number = [0_i64; 9];
        for limb in limbs.iter().rev() {
            let quotient = number[8];
            number.copy_within(..8, 1);
            number[0] = *limb;
            add(&mut number, -quotient);
            // Now it is below 2^252, and above -2^28·δ.
            if number[8] < 0 {
                number[8] += 1 << BITS;
                add(&mut number, 1);
            }
        }
        let mut words = [0_u32; 8];
        for (place, limb) in number.iter().enumerate() {
            let bit = BITS as usize * place;
            let bits = (*limb as u64) << (bit % 32);
            words[bit / 32] |= bits as u32;
            if bit / 32 < 7 {
                words[bit / 32 + 1] |= (bits >> 32) as u32;
            }
        }
        Self(words)
    }

    /// `count` bits, of at most 16, from `first` on.
    #[inline]
    pub(super) fn bits(&self, first: usize, count: u32) -> usize {
        let word = |place: usize| u64::from(self.0.get(place).copied().unwrap_or_default());
        let bits = (word(first / 32) | word(first / 32 + 1) << 32) >> (first % 32);
        bits as usize & ((1 << count) - 1)
    }
}

/// Adds a multiple of δ, by at most 2^28 in either direction, and carries: each product is below 2^56.
fn add(number: &mut [i64; 9], times: i64) {
    debug_assert!(times.abs() <= 1 << BITS);
    let mut carry = 0;
    for (limb, delta) in number[..8].iter_mut().zip(DELTA) {
        let sum = *limb + times * delta + carry;
        *limb = sum & MASK;
        carry = sum >> BITS;
    }
    number[8] += carry;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_all_places() {
        let scalar = Scalar([0x8765_4321, 0x0fed_cba9, 1, 2, 3, 4, 5, 0x1000_0000]);
        assert_eq!(scalar.bits(0, 8), 0x21);
        assert_eq!(scalar.bits(28, 8), 0x98);
        assert_eq!(scalar.bits(224, 16), 0);
        assert_eq!(scalar.bits(248, 5), 16);
        assert_eq!(scalar.bits(252, 3), 1);
    }
}
