//! Any octets as headers from the host: decoded as a naive decoder does, or refused.

use jwt_gate::header_pairs::{decode, encode};

/// The octets are an encoded header map.
pub fn run(octets: &[u8]) {
    let decoded = decode(octets.to_vec());
    let expected = naive(octets);
    match (&decoded, &expected) {
        (Some(fields), Some(pairs)) => {
            let found: Vec<_> = fields.iter().collect();
            assert_eq!(&found, pairs);
            let texts = pairs.iter().map(|(name, value)| {
                Some((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?))
            });
            if let Some(texts) = texts.collect::<Option<Vec<_>>>() {
                let again = decode(encode(&texts)).expect("what was encoded can be read");
                assert_eq!(&again.iter().collect::<Vec<_>>(), pairs);
            }
        }
        (None, None) => {}
        _ => panic!("{decoded:?}, expected {expected:?}"),
    }
}

/// One step after the other, as Envoy's own decoder does it.
fn naive(octets: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    if octets.is_empty() {
        return Some(Vec::new());
    }
    let number = |at: usize| {
        let octets: [u8; 4] = octets.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(octets)).ok()
    };
    let count = number(0)?;
    let mut at = count.checked_mul(8)?.checked_add(4)?;
    if at > octets.len() {
        return None;
    }
    let mut texts = Vec::new();
    for index in 0..2 * count {
        let end = at.checked_add(number(4 + 4 * index)?)?;
        if octets.get(end) != Some(&0) {
            return None;
        }
        texts.push(octets.get(at..end)?);
        at = end + 1;
    }
    Some(texts.chunks(2).map(|pair| (pair[0], pair[1])).collect())
}
