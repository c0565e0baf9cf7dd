//! The Proxy-Wasm encoding of header maps: a count, the lengths of all names and values, then
//! the octets of each with a NUL behind it.

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Decodes what the host sent; none if it does not hold together.
pub(super) fn decode(encoded: &[u8]) -> Option<Pairs> {
    if encoded.is_empty() {
        return Some(Vec::new());
    }
    let (count, mut lengths) = split_length(encoded)?;
    let mut texts = lengths.get(count.checked_mul(8)?..)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let (name_len, rest) = split_length(lengths)?;
        let (value_len, rest) = split_length(rest)?;
        lengths = rest;
        let (name, rest) = split_text(texts, name_len)?;
        let (value, rest) = split_text(rest, value_len)?;
        texts = rest;
        pairs.push((name.to_vec(), value.to_vec()));
    }
    Some(pairs)
}

/// Encodes headers for the host.
pub(super) fn encode(headers: &[(&str, &str)]) -> Vec<u8> {
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

fn split_text(octets: &[u8], len: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = octets.split_at_checked(len)?;
    Some((text, rest.strip_prefix(&[0])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_it_encodes() {
        let pairs = decode(&encode(&[("a", "b"), ("", ""), ("c-d", "e f")])).unwrap();
        let expected = [("a", "b"), ("", ""), ("c-d", "e f")];
        assert_eq!(pairs, expected.map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())));
        assert_eq!(decode(&[]), Some(vec![]));
    }

    #[test]
    fn nonsense_is_refused() {
        let good = encode(&[("a", "b")]);
        for end in 1..good.len() {
            assert_eq!(decode(&good[..end]), None, "{end}");
        }
        assert_eq!(decode(&[255; 64]), None);
    }
}
