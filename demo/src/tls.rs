//! Requests over TLS for tests, with a client certificate or without.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::http::{Connection, Request, Response, TIMEOUT};
use crate::pki::ServerIdentity;

/// Who asks whom over TLS.
pub struct Client {
    config: Arc<ClientConfig>,
    /// The name that the server must have.
    name: String,
}

impl Client {
    /// A client that trusts this CA for a server of this name, and has a certificate of its own or none.
    ///
    /// # Panics
    /// If something is not what it should be.
    pub fn new(ca_pem: &str, name: &str, identity: Option<&ServerIdentity>) -> Self {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).expect("a certificate");
        roots.add(ca).expect("a CA");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some(ServerIdentity { cert_pem, key_pem }) => {
                let certs = CertificateDer::pem_slice_iter(cert_pem.as_bytes());
                let certs = certs.collect::<Result<Vec<_>, _>>().expect("certificates");
                let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).expect("a key");
                config.with_client_auth_cert(certs, key).expect("a certificate and its key")
            }
        };
        Self { config: Arc::new(config), name: name.to_owned() }
    }

    /// Sends a request over a connection of its own.
    pub fn send(&self, request: &Request, addr: SocketAddr) -> io::Result<Response> {
        let socket = TcpStream::connect(addr)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        let name = ServerName::try_from(self.name.clone()).map_err(io::Error::other)?;
        let session =
            ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        let stream = StreamOwned::new(session, socket);
        Connection::over(stream, &self.name).exchange(request, "close")
    }
}

/// A certificate in the form in which digests are made of it.
///
/// # Panics
/// If it is none.
pub fn der(cert_pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(cert_pem.as_bytes()).expect("a certificate").to_vec()
}
