//! Tokens that are bound to the client certificate of the connection (RFC 8705 section 3).

use crate::config::possession as wire;
use crate::denial::Misuse;
use crate::request::{PropertyPath, RequestHead};

/// What the proxy says of the peer of a connection: the SHA-256 of its certificate, in hexadecimal
/// digits.
const DIGEST: [&str; 2] = ["connection", "sha256_peer_certificate_digest"];
/// What `x-forwarded-client-cert` calls the same.
const HASH: &[u8] = b"hash";

/// Where the digest of the client's certificate is.
#[derive(Debug)]
pub(super) enum Mtls {
    /// Of the connection itself.
    Connection(PropertyPath),
    /// In what a proxy in front wrote.
    Forwarded(String),
}

impl Mtls {
    pub(super) fn compile(wire: &wire::Mtls) -> Self {
        match &wire.from_header {
            Some(name) => Self::Forwarded(name.clone()),
            None => Self::Connection(DIGEST.map(str::to_owned).to_vec()),
        }
    }

    /// What the host must tell.
    pub(super) fn property(&self) -> Option<PropertyPath> {
        match self {
            Self::Connection(path) => Some(path.clone()),
            Self::Forwarded(_) => None,
        }
    }

    /// That the client has the certificate of this digest.
    pub(super) fn check(&self, digest: &[u8; 32], head: &RequestHead) -> Result<(), Misuse> {
        let found = match self {
            Self::Connection(path) => head.property(path),
            Self::Forwarded(name) => {
                let mut values = head.values(name);
                // Of several, the client may have sent one.
                values.next().filter(|_| values.next().is_none()).and_then(forwarded_hash)
            }
        };
        let found = found.filter(|text| !text.is_empty()).ok_or(Misuse::CertificateMissing)?;
        if hexadecimal(found).as_ref() == Some(digest) {
            Ok(())
        } else {
            Err(Misuse::CertificateMismatch)
        }
    }
}

/// The hash in a value of `x-forwarded-client-cert`. None: there is none, or there are several elements,
/// of which only the proxies know whose they are.
fn forwarded_hash(value: &[u8]) -> Option<&[u8]> {
    // A client can begin a quotation that what the proxy appends falls into. So there must be one hash
    // wherever it stands, and every quotation must end.
    let named = |part: &[u8]| {
        part.split_last()
            .is_some_and(|(last, name)| *last == b'=' && name.eq_ignore_ascii_case(HASH))
    };
    let hashes = value.windows(HASH.len().saturating_add(1)).filter(|part| named(part)).count();
    if hashes != 1 || !ends_unquoted(value) || unquoted(value, b',').len() != 1 {
        return None;
    }
    let mut hashes = unquoted(value, b';').into_iter().filter_map(|pair| {
        let (name, value) = pair.split_at_checked(HASH.len())?;
        value.strip_prefix(b"=").filter(|_| name.eq_ignore_ascii_case(HASH))
    });
    hashes.next().filter(|_| hashes.next().is_none())
}

/// Whether what begins with a quotation mark ends with one.
fn ends_unquoted(text: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for octet in text {
        quoted ^= *octet == b'"' && !escaped;
        escaped = quoted && *octet == b'\\' && !escaped;
    }
    !quoted
}

/// The parts of a text between separators that are not in quotes.
fn unquoted(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let separates = |octet: &u8| {
        let separates = !quoted && *octet == separator;
        quoted ^= *octet == b'"' && !escaped;
        escaped = quoted && *octet == b'\\' && !escaped;
        separates
    };
    text.split(separates).collect()
}

fn hexadecimal(text: &[u8]) -> Option<[u8; 32]> {
    let mut octets = [0; 32];
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != octets.len() || !rest.is_empty() {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(pairs) {
        for digit in pair {
            let digit = u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
            *octet = *octet << 4 | digit;
        }
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_certificates() {
        let digest: [u8; 32] = std::array::from_fn(|index| index as u8 * 8);
        let hex: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
        let head = |values: &[&str]| {
            let field = |value: &&str| (b"x-cert".to_vec(), value.as_bytes().to_vec());
            RequestHead::new(values.iter().map(field).collect())
        };
        let mtls = Mtls::Forwarded("x-cert".to_owned());
        let check = |values: &[&str]| mtls.check(&digest, &head(values));
        for good in [
            format!("Hash={hex}"),
            format!("By=spiffe://a;hash={};URI=spiffe://b", hex.to_uppercase()),
            format!("Subject=\"CN=a,O=\\\"b;Hash\";Hash={hex};Chain=\"a,b\""),
        ] {
            assert_eq!(check(&[&good]), Ok(()), "{good}");
            assert_eq!(check(&[&good, &good]), Err(Misuse::CertificateMissing));
        }
        let other = hex.replace("08", "09");
        assert_eq!(check(&[&format!("Hash={other}")]), Err(Misuse::CertificateMismatch));
        for (bad, why) in [
            (String::new(), Misuse::CertificateMissing),
            ("By=a".to_owned(), Misuse::CertificateMissing),
            (format!("Hash={hex},Hash={hex}"), Misuse::CertificateMissing),
            (format!("Hash={hex},By=proxyproxy"), Misuse::CertificateMissing),
            (format!("Hash={hex};Hash={hex}"), Misuse::CertificateMissing),
            // What a client sends in front of what the proxy says.
            (format!("Hash={hex};x=\",By=spiffe://p;Hash={other}"), Misuse::CertificateMissing),
            (
                format!("Hash={hex};x=\",By=p;hASH={other};Subject=\"CN=a\""),
                Misuse::CertificateMissing,
            ),
            (format!("Subject=\"Hash=00\";Hash={hex}"), Misuse::CertificateMissing),
            (format!("Hash={hex};Subject=\"CN=a"), Misuse::CertificateMissing),
            (format!("Hash={hex}00"), Misuse::CertificateMismatch),
            (format!("Hash=\"{hex}\""), Misuse::CertificateMismatch),
            (format!("Hash={}", hex.replace('0', "g")), Misuse::CertificateMismatch),
        ] {
            assert_eq!(check(&[&bad]), Err(why), "{bad}");
        }
        assert_eq!(check(&[]), Err(Misuse::CertificateMissing));
        let path: PropertyPath = DIGEST.map(str::to_owned).to_vec();
        let mtls = Mtls::Connection(path.clone());
        let of = |value: &str| head(&[&hex]).with_properties(vec![(path.clone(), value.into())]);
        assert_eq!(mtls.check(&digest, &of(&hex)), Ok(()));
        assert_eq!(mtls.check(&digest, &of("")), Err(Misuse::CertificateMissing));
        assert_eq!(mtls.check(&digest, &of(&other)), Err(Misuse::CertificateMismatch));
        assert_eq!(mtls.check(&digest, &head(&[&hex])), Err(Misuse::CertificateMissing));
    }
}
