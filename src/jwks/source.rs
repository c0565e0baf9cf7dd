//! Where an issuer's keys are: an address, or the metadata in which the issuer tells it
//! (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3).

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::json;

/// Where a request goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// The Envoy cluster.
    pub cluster: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host and port.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

impl Address {
    /// The address `uri`, reached by way of `cluster`. None: it is not `http` or `https`, has a
    /// user name (which would end up in `:authority`, and in logs), or is no address.
    pub fn parse(uri: &str, cluster: &str) -> Option<Self> {
        let uri = uri.parse::<Uri>().ok()?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
        let authority = uri.authority()?.as_str();
        let authority = Some(authority).filter(|host| !host.is_empty() && !host.contains('@'))?;
        let path = uri.path_and_query()?.as_str();
        // A scheme's own port says nothing, and hosts compare without regard to case (RFC 3986
        // sections 3.2.2 and 6.2.3).
        let port = if scheme == "https" { ":443" } else { ":80" };
        let authority = authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
        Some(Self {
            cluster: cluster.to_owned(),
            scheme: scheme.to_owned(),
            authority,
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
        })
    }
}

impl Address {
    fn parts(&self) -> [&str; 4] {
        [&self.cluster, &self.scheme, &self.authority, &self.path]
    }
}

/// Where the keys are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// At this address.
    At(Address),
    /// Where the issuer's metadata says.
    Discovered(Discovery),
}

/// How to find an issuer's metadata, and what is made of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Discovery {
    /// The issuer, as tokens name it.
    pub issuer: String,
    /// Whether the issuer is `https`, and its keys must be.
    pub secure: bool,
    /// Where its metadata may be, in the order in which to look.
    pub documents: Vec<Address>,
    /// The clusters that lead to hosts on which keys may be.
    pub clusters: BTreeMap<String, String>,
}

/// A form of issuer metadata.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Document {
    /// `/.well-known/oauth-authorization-server` (RFC 8414).
    OauthAuthorizationServer,
    /// `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0).
    OpenidConfiguration,
}

/// Why metadata does not lead to keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MetadataError {
    /// Not a JSON object in the strict sense.
    NotJson,
    /// It is another issuer's (RFC 8414 section 3.3).
    OtherIssuer,
    /// No `jwks_uri`, or one that is no address, or not `https` although the issuer is.
    NoAddress,
    /// No cluster is configured for the host in `jwks_uri`.
    NoCluster(String),
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("is not a JSON object"),
            Self::OtherIssuer => f.write_str("names another `issuer` than the configuration"),
            Self::NoAddress => f.write_str("has no acceptable `jwks_uri`"),
            Self::NoCluster(host) => write!(
                f,
                "has its `jwks_uri` on `{host}`, for which `discovery.clusters` names no cluster"
            ),
        }
    }
}

impl Discovery {
    /// How to discover `issuer`, whose host `cluster` leads to. None: the issuer is no address.
    pub fn new(
        issuer: &str,
        cluster: &str,
        documents: &[Document],
        mut clusters: BTreeMap<String, String>,
    ) -> Option<Self> {
        let base = Address::parse(issuer, cluster).filter(|base| !base.path.contains('?'))?;
        let path = base.path.trim_end_matches('/');
        let documents = documents.iter().map(|document| {
            let path = match document {
                Document::OpenidConfiguration => format!("{path}/.well-known/openid-configuration"),
                Document::OauthAuthorizationServer => {
                    format!("/.well-known/oauth-authorization-server{path}")
                }
            };
            Address { path, ..base.clone() }
        });
        let documents = documents.collect();
        let secure = base.scheme == "https";
        clusters.entry(base.authority).or_insert_with(|| cluster.to_owned());
        Some(Self { issuer: issuer.to_owned(), secure, documents, clusters })
    }

    /// The address of the keys, by the text of the metadata.
    pub fn read(&self, text: &[u8]) -> Result<String, MetadataError> {
        let Ok(Value::Object(metadata)) = json::parse(text) else {
            return Err(MetadataError::NotJson);
        };
        // Without this check, anybody who can serve metadata could name any issuer's keys.
        if metadata.get("issuer").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(MetadataError::OtherIssuer);
        }
        let uri = metadata.get("jwks_uri").and_then(Value::as_str);
        let uri = uri.ok_or(MetadataError::NoAddress)?;
        self.address(uri)?;
        Ok(uri.to_owned())
    }

    /// `uri` as an address by way of the cluster that leads to its host.
    pub fn address(&self, uri: &str) -> Result<Address, MetadataError> {
        let address = Address::parse(uri, "").ok_or(MetadataError::NoAddress)?;
        if self.secure && address.scheme != "https" {
            return Err(MetadataError::NoAddress);
        }
        match self.clusters.get(&address.authority) {
            Some(cluster) => Ok(Address { cluster: cluster.clone(), ..address }),
            None => Err(MetadataError::NoCluster(address.authority)),
        }
    }
}

impl Source {
    /// Whether the issuer's metadata may be in a document of this place.
    pub fn has_document(&self, index: usize) -> bool {
        match self {
            Self::At(_) => false,
            Self::Discovered(discovery) => index < discovery.documents.len(),
        }
    }

    /// Whether keys can be fetched from `uri`, which somebody else discovered.
    pub fn leads_to(&self, uri: &str) -> bool {
        matches!(self, Self::Discovered(discovery) if discovery.address(uri).is_ok())
    }

    /// What all gates that ask the same question share: a digest of everything that the answer
    /// depends on, and of what else must be equal.
    pub fn digest(&self, headers: &[(String, String)], more: &[&str]) -> String {
        let mut hash = Sha256::new();
        // Each part with its length, so that no two lists of parts are one text.
        let mut add = |part: &str| {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        };
        match self {
            Self::At(address) => {
                add("at");
                address.parts().into_iter().for_each(&mut add);
            }
            Self::Discovered(discovery) => {
                add("discovered");
                add(&discovery.documents.len().to_string());
                for document in &discovery.documents {
                    document.parts().into_iter().for_each(&mut add);
                }
                add(&discovery.issuer);
                add(&discovery.clusters.len().to_string());
                for (host, cluster) in &discovery.clusters {
                    add(host);
                    add(cluster);
                }
            }
        };
        add(&headers.len().to_string());
        for (name, value) in headers {
            add(name);
            add(value);
        }
        more.iter().for_each(|part| add(part));
        URL_SAFE_NO_PAD.encode(hash.finalize())
    }
}

/// A digest of these parts, each with its length, so that no two lists of parts are one text.
pub fn digest_of(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Document; 2] = [Document::OpenidConfiguration, Document::OauthAuthorizationServer];

    fn discovery(issuer: &str) -> Option<Discovery> {
        let clusters = [("keys.test:8443".to_owned(), "keys".to_owned())].into();
        Discovery::new(issuer, "main", &BOTH, clusters)
    }

    #[test]
    fn documents_are_where_the_standards_put_them() {
        #[track_caller]
        fn check(issuer: &str, expected: [&str; 2]) {
            let found = discovery(issuer).unwrap();
            let paths: Vec<_> =
                found.documents.iter().map(|document| document.path.as_str()).collect();
            assert_eq!(paths, expected, "{issuer}");
        }
        let root = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
        check("https://i.test", root);
        check("https://i.test/", root);
        // The examples of RFC 8414 section 3.1 and of Discovery section 4.1.
        check(
            "https://example.com/issuer1",
            [
                "/issuer1/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/issuer1",
            ],
        );
        for bad in
            ["accounts.google.com", "", "https://u@i.test", "ftp://i.test", "https://i.test?a"]
        {
            assert_eq!(discovery(bad), None, "{bad}");
        }
    }

    #[test]
    fn metadata_leads_to_keys_or_says_why_not() {
        let issuer = discovery("https://i.test").unwrap();
        let read = |text: &str| issuer.read(text.as_bytes());
        let with =
            |uri: &str| read(&format!(r#"{{"issuer":"https://i.test","jwks_uri":"{uri}"}}"#));
        assert_eq!(with("https://i.test/k"), Ok("https://i.test/k".to_owned()));
        assert_eq!(with("https://keys.test:8443/k?v=1"), Ok("https://keys.test:8443/k?v=1".into()));
        assert_eq!(issuer.address("https://KEYS.test:8443/k").unwrap().cluster, "keys");
        assert_eq!(issuer.address("https://i.test/k").unwrap().cluster, "main");
        assert_eq!(
            with("https://evil.test/k"),
            Err(MetadataError::NoCluster("evil.test".to_owned()))
        );
        for uri in ["http://i.test/k", "/k", "", "https://a@i.test/k"] {
            assert_eq!(with(uri), Err(MetadataError::NoAddress), "{uri}");
        }
        assert_eq!(read("<html>"), Err(MetadataError::NotJson));
        assert_eq!(read(r#"{"issuer":"https://i.test"}"#), Err(MetadataError::NoAddress));
        for other in [r#"{"issuer":"https://i.test/"}"#, r#"{"issuer":["https://i.test"]}"#, "{}"] {
            assert_eq!(read(other), Err(MetadataError::OtherIssuer), "{other}");
        }
        assert!(discovery("HTTPS://i.test").unwrap().address("http://i.test/k").is_err());
        assert!(issuer.address("https://i.test:443/k").is_ok());
        assert!(issuer.address("https://i.test:444/k").is_err());
        let plain = discovery("http://i.test").unwrap();
        assert!(plain.address("http://i.test/k").is_ok());
    }

    #[test]
    fn digests_tell_every_part_apart() {
        let at = |uri: &str, cluster: &str| Source::At(Address::parse(uri, cluster).unwrap());
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let base = at("https://a/b", "c");
        let digests = [
            base.digest(&[], &[]),
            base.digest(&[], &["s"]),
            base.digest(&[header("x", "y")], &[]),
            base.digest(&[header("xy", "")], &[]),
            base.digest(&[header("", "xy")], &[]),
            at("https://a/b", "d").digest(&[], &[]),
            at("http://a/b", "c").digest(&[], &[]),
            at("https://a/bc", "").digest(&[], &[]),
            Source::Discovered(discovery("https://a/b").unwrap()).digest(&[], &[]),
        ];
        let with_cluster = |clusters: &[(&str, &str)]| {
            let clusters = clusters.iter().map(|(host, name)| header(host, name)).collect();
            Source::Discovered(Discovery::new("https://i.test", "main", &BOTH, clusters).unwrap())
        };
        assert_ne!(
            with_cluster(&[("k.test", "keys")]).digest(&[], &[]),
            with_cluster(&[]).digest(&[header("k.test", "keys")], &[])
        );
        let different: std::collections::BTreeSet<_> = digests.iter().collect();
        assert_eq!(different.len(), digests.len());
        assert_eq!(base.digest(&[], &[]), at("https://A/b", "c").digest(&[], &[]));
    }
}
