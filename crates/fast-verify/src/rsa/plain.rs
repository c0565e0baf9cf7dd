//! Numbers in limbs from 0 to `2^bits - 1`, the least significant first: what is done once, not fast.

use alloc::vec;
use alloc::vec::Vec;

use super::montgomery::TILE;

/// `-1/n` modulo `2^(TILE·bits)`, bit by bit.
pub(super) fn inverse(n: &[i64], bits: u32) -> [i64; TILE] {
    let mut k = [0; TILE];
    // (k·n + 1) / 2^bit, as far as the bits above are known.
    let mut rest = [0; TILE];
    rest[0] = 1;
    for bit in 0..TILE * bits as usize {
        if rest[0] & 1 == 1 {
            k[bit / bits as usize] |= 1 << (bit % bits as usize);
            for (rest, n) in rest.iter_mut().zip(n) {
                *rest += n;
            }
        }
        let mut above = 0;
        for rest in rest.iter_mut().rev() {
            let limb = *rest + (above << bits);
            above = limb & 1;
            *rest = limb >> 1;
        }
    }
    k
}

/// Whether `left` is less than `right`, in limbs that are not negative.
pub(super) fn less(left: &[i64], right: &[i64]) -> bool {
    left.iter().rev().lt(right.iter().rev())
}

/// Twice the number, for which there is room.
pub(super) fn double(number: &mut [i64], bits: u32) {
    let mut carry = 0;
    for limb in number {
        let sum = 2 * *limb + carry;
        *limb = sum & ((1 << bits) - 1);
        carry = sum >> bits;
    }
}

/// The number less another, which is not greater.
pub(super) fn subtract(number: &mut [i64], other: &[i64], bits: u32) {
    let mut carry = 0;
    for (limb, other) in number.iter_mut().zip(other) {
        let sum = *limb - other + carry;
        *limb = sum & ((1 << bits) - 1);
        carry = sum >> bits;
    }
    debug_assert_eq!(carry, 0, "a number not below the other");
}

/// Limbs of a big-endian number that has room in them.
pub(super) fn from_octets(octets: &[u8], width: u32, length: usize) -> Vec<i64> {
    debug_assert!(octets.len() * 8 <= width as usize * length);
    let mut limbs = Vec::with_capacity(length);
    let (mut pending, mut bits) = (0, 0);
    for octet in octets.iter().rev() {
        pending |= i64::from(*octet) << bits;
        bits += 8;
        if bits >= width {
            limbs.push(pending & ((1 << width) - 1));
            pending >>= width;
            bits -= width;
        }
    }
    limbs.push(pending);
    limbs.resize(length, 0);
    limbs
}

/// The lowest `length` octets of a number, big-endian.
pub(super) fn to_octets(limbs: &[i64], width: u32, length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    let (mut pending, mut bits, mut next) = (0, 0, limbs.iter());
    for octet in octets.iter_mut().rev() {
        if bits < 8 {
            pending |= next.next().copied().unwrap_or_default() << bits;
            bits += width;
        }
        *octet = pending as u8;
        pending >>= 8;
        bits -= 8;
    }
    octets
}
