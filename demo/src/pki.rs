//! A private certificate authority, made on the spot: TLS between a proxy and
//! the demo issuer needs one, and no file of keys has to be kept anywhere.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long certificates are valid.
const LIFETIME: Duration = DAY.saturating_mul(90);

/// A private CA whose key exists in memory only.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server's certificate, or a client's, and its private key.
#[derive(Clone)]
pub struct ServerIdentity {
    /// The certificate, followed by intermediate ones where there are any.
    pub cert_pem: String,
    /// The private key (PKCS#8, PKCS#1 or SEC1).
    pub key_pem: String,
}

impl Authority {
    /// Makes a CA with a fresh key.
    pub fn new(name: &str) -> Authority {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Authority(CertifiedIssuer::self_signed(params, new_key()).expect("a CA certificate"))
    }

    /// The certificate that clients have to trust.
    pub fn ca_pem(&self) -> String {
        self.0.pem()
    }

    /// Writes the certificate (not the key) to `ca.pem` in this folder, which is
    /// made where missing. A reader that waits for the file never sees half of it.
    pub fn write_ca(&self, dir: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(dir)?;
        let (path, new) = (dir.join("ca.pem"), dir.join("ca.pem.new"));
        fs::write(&new, self.ca_pem())?;
        fs::rename(&new, &path)?;
        Ok(path)
    }

    /// A server certificate for these DNS names and IP addresses.
    ///
    /// # Panics
    /// If there is none, or one of them cannot be in a certificate.
    pub fn issue(&self, names: &[&str]) -> ServerIdentity {
        self.issue_for(names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client certificate for this name.
    ///
    /// # Panics
    /// If it cannot be in a certificate.
    pub fn issue_to_client(&self, name: &str) -> ServerIdentity {
        self.issue_for(&[name], ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue_for(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> ServerIdentity {
        let mut params = params(names.first().expect("a name"), names);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = new_key();
        let cert = params.signed_by(&key, &self.0).expect("a certificate");
        ServerIdentity { cert_pem: cert.pem(), key_pem: key.serialize_pem() }
    }
}

/// An ECDSA key on P-256.
fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn params(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let mut params = CertificateParams::new(names).expect("DNS names or IP addresses");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970");
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // A day of grace for clients whose clock is behind.
    params.not_before = epoch + now - DAY;
    params.not_after = epoch + now + LIFETIME;
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_file_is_replaced_as_a_whole() {
        let dir = std::env::temp_dir().join(format!("jwt-gate-pki-{}", std::process::id()));
        let authority = Authority::new("test CA");
        Authority::new("older CA").write_ca(&dir).unwrap();
        let path = authority.write_ca(&dir).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), authority.ca_pem());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(dir).unwrap();
    }
}
