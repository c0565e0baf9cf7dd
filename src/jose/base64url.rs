//! Base64url as JOSE defines it (RFC 7515 section 2): no padding, no white space, no second
//! spelling of the same octets. A token with two spellings would escape every digest over it.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};

/// The text is not base64url.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidBase64url;

/// Decodes a part of a token: strict, since the text itself is signed and remembered.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, InvalidBase64url> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidBase64url)
}

/// Decodes a member of a JWK.
///
/// Padding and stray trailing bits are tolerated here, as natively: some issuers pad, and nothing
/// is ever keyed by the text of a key.
pub fn decode_key_member(text: &str) -> Result<Vec<u8>, InvalidBase64url> {
    const TOLERANT: GeneralPurpose = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    TOLERANT.decode(text).map_err(|_| InvalidBase64url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_only_the_one_spelling() {
        assert_eq!(decode(b"AQ"), Ok(vec![1]));
        assert_eq!(decode(b"-_8"), Ok(vec![0xfb, 0xff]));
        for other in ["AQ==", "AR", "A", "A Q", "AQ\n", "+/8", "AQ.", "\u{e4}"] {
            assert_eq!(decode(other.as_bytes()), Err(InvalidBase64url), "{other}");
        }
        assert_eq!(decode(b""), Ok(vec![]));
    }

    #[test]
    fn key_members_may_be_padded() {
        assert_eq!(decode_key_member("AQ=="), Ok(vec![1]));
        assert_eq!(decode_key_member("AQ"), Ok(vec![1]));
        assert_eq!(decode_key_member("AR"), Ok(vec![1]));
        assert_eq!(decode_key_member("+/8"), Err(InvalidBase64url));
    }
}
