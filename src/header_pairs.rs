//! The Proxy-Wasm encoding of header maps: a count, the lengths of all names and values, then
//! the octets of each with a NUL behind it.

use crate::request::{Fields, Place};

/// Decodes what the host sent; none if it does not hold together.
pub fn decode(encoded: Vec<u8>) -> Option<Fields> {
    if encoded.is_empty() {
        return Some(Fields::default());
    }
    let (count, mut lengths) = split_length(&encoded)?;
    let mut start = count.checked_mul(8)?.checked_add(4)?;
    // More than there is would be nonsense, and memory for it an attack.
    if start > encoded.len() {
        return None;
    }
    let mut places = Vec::with_capacity(count);
    for _ in 0..count {
        let (name_len, rest) = split_length(lengths)?;
        let (value_len, rest) = split_length(rest)?;
        lengths = rest;
        let mut text = |len: usize| {
            let end = start.checked_add(len)?;
            let range = start..end;
            // Each text has a NUL behind it.
            (*encoded.get(end)? == 0).then_some(())?;
            start = end.checked_add(1)?;
            Some(range)
        };
        places.push(Place { name: text(name_len)?, value: text(value_len)? });
    }
    Some(Fields::new(encoded, places))
}

/// Encodes headers for the host.
pub fn encode(headers: &[(&str, &str)]) -> Vec<u8> {
    // Header lists are a few hundred octets: the lengths fit.
    let length = |length: usize| u32::try_from(length).unwrap_or_default().to_le_bytes();
    let mut encoded = length(headers.len()).to_vec();
    for (name, value) in headers {
        encoded.extend(length(name.len()));
        encoded.extend(length(value.len()));
    }
    for (name, value) in headers {
        encoded.extend(name.as_bytes());
        encoded.push(0);
        encoded.extend(value.as_bytes());
        encoded.push(0);
    }
    encoded
}

fn split_length(octets: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = octets.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*length)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_it_encodes() {
        let expected = [("a", "b"), ("", ""), ("c-d", "e f")];
        let fields = decode(encode(&expected)).unwrap();
        let pairs: Vec<_> = fields.iter().collect();
        assert_eq!(pairs, expected.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        assert_eq!(decode(Vec::new()), Some(Fields::default()));
    }

    #[test]
    fn nonsense_is_refused() {
        let good = encode(&[("a", "b")]);
        for end in 1..good.len() {
            assert_eq!(decode(good[..end].to_vec()), None, "{end}");
        }
        assert_eq!(decode(vec![255; 64]), None);
        let mut without_end = good;
        *without_end.last_mut().unwrap() = 1;
        assert_eq!(decode(without_end), None);
    }
}
