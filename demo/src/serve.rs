//! A small HTTP/1.1 server around an axum router, with or without TLS, that
//! synchronous code can start and, above all, stop: stopping closes the
//! listener and every open connection before it returns, so that a test can
//! take a service down and start it again on the same port.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::pki::ServerIdentity;

/// Connections that wait to be accepted. The standard library's 128 are too few for a burst of
/// several hundred clients: the kernel drops what is beyond, and the client tries again a second
/// later.
const BACKLOG: u32 = 1024;
/// A client that has not finished its TLS handshake by then is let go.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server; it stops when dropped.
pub struct Server {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts to serve. Port 0 chooses a free one: see [`Server::addr`].
    /// From here on connections are accepted.
    pub fn start(
        addr: SocketAddr,
        router: Router,
        tls: Option<ServerIdentity>,
    ) -> io::Result<Server> {
        let tls = tls.map(tls_acceptor).transpose()?;
        let runtime = runtime()?;
        let listener = {
            let _context = runtime.enter();
            listen(addr)?
        };
        let addr = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let thread =
            std::thread::Builder::new().name(format!("server {addr}")).spawn(move || {
                runtime.block_on(accept(listener, router, tls, stopped));
                // Does not wait for work that handlers gave to other threads.
                runtime.shutdown_background();
            })?;
        Ok(Server { addr, stop: Some(stop), thread: Some(thread) })
    }

    /// Where the server listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Closes the listener and all connections; when this returns they are closed.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The receiver wakes up when the sender goes.
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The connection that a request came on, an extension of every request.
#[derive(Clone, Default)]
pub struct Connection(Arc<Notify>);

impl Connection {
    /// Closes the connection without an answer.
    pub async fn close(&self) -> ! {
        self.0.notify_one();
        std::future::pending().await
    }
}

/// Starts a server and keeps it until this process is asked to end, by SIGTERM
/// or SIGINT. The handlers are there before `start` runs: without one, a
/// process that is PID 1 of a container would not be ended by these signals.
pub fn run_until_terminated(start: impl FnOnce() -> io::Result<Server>) -> io::Result<()> {
    let runtime = runtime()?;
    let (mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let server = start()?;
    runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    server.stop();
    Ok(())
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn tls_acceptor(identity: ServerIdentity) -> io::Result<TlsAcceptor> {
    let certs = CertificateDer::pem_slice_iter(identity.cert_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(io::Error::other)?;
    let key =
        PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(io::Error::other)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(certs, key))
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of a server before this one, still in TIME_WAIT, do not keep the port busy.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

async fn accept(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone(), tls.clone()));
                }
                // Out of file descriptors, most likely: do not spin.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, router: Router, tls: Option<TlsAcceptor>) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => requests(stream, router).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                requests(stream, router).await;
            }
        }
    }
}

fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
) -> impl Future<Output = ()> {
    let connection = Connection::default();
    let service = TowerToHyperService::new(router.layer(Extension(connection.clone())));
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    async move {
        tokio::select! {
            // An error is the client's going away.
            _ = served => {}
            () = connection.0.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Instant;

    use axum::routing::get;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

    use super::*;
    use crate::pki::Authority;

    fn router() -> Router {
        Router::new()
            .route("/", get(async || "hello"))
            .route("/slow", get(async || sleep(Duration::from_secs(60)).await))
    }

    fn start(addr: SocketAddr, tls: Option<ServerIdentity>) -> Server {
        Server::start(addr, router(), tls).unwrap()
    }

    fn any_port() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    /// Sends the request line and reads to the end of the connection.
    fn ask(mut stream: impl Read + Write, path: &str) -> io::Result<String> {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn ask_over_tls(
        addr: SocketAddr,
        name: &'static str,
        trusted: &Authority,
    ) -> io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.ca_pem().as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name).unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        ask(StreamOwned::new(tls, TcpStream::connect(addr)?), "/")
    }

    #[test]
    fn tls_clients_need_to_trust_the_authority() {
        let authority = Authority::new("test CA");
        let identity = authority.issue(&["issuer.test", "127.0.0.1"]);
        let server = start(any_port(), Some(identity));
        for name in ["issuer.test", "127.0.0.1"] {
            let answer = ask_over_tls(server.addr(), name, &authority).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.ends_with("hello"), "{answer}");
        }
        // The same name on another key: only the signature tells them apart.
        let other = Authority::new("test CA");
        let refused = ask_over_tls(server.addr(), "issuer.test", &other).unwrap_err();
        assert!(refused.to_string().contains("certificate"), "{refused}");
        let refused = ask_over_tls(server.addr(), "other.test", &authority).unwrap_err();
        assert!(refused.to_string().contains("certificate"), "{refused}");
    }

    #[test]
    fn a_bad_certificate_is_an_error_at_the_start() {
        let cert_pem = Authority::new("one").issue(&["one.test"]).cert_pem;
        let key_pem = Authority::new("two").issue(&["two.test"]).key_pem;
        for key_pem in [key_pem, "no key".to_owned()] {
            let cert_pem = cert_pem.clone();
            let identity = ServerIdentity { cert_pem, key_pem };
            assert!(Server::start(any_port(), router(), Some(identity)).is_err());
        }
    }

    #[test]
    fn a_server_stops_at_once_and_starts_again_on_the_same_port() {
        let mut addr = any_port();
        for _ in 0..3 {
            let server = start(addr, None);
            addr = server.addr();
            // One connection in the middle of a request, one idle after a request.
            let mut busy = TcpStream::connect(addr).unwrap();
            write!(busy, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            let mut idle = TcpStream::connect(addr).unwrap();
            write!(idle, "GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            let mut first = [0; 15];
            idle.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"HTTP/1.1 200 OK");

            let before = Instant::now();
            server.stop();
            assert!(before.elapsed() < Duration::from_secs(5));
            for mut stream in [busy, idle] {
                // The end of the stream, or a reset: both are closed.
                let _ = stream.read_to_end(&mut Vec::new());
            }
            assert!(TcpStream::connect(addr).is_err());
        }
    }

    #[test]
    fn a_handler_can_close_its_connection() {
        let close = async |Extension(connection): Extension<Connection>| -> String {
            connection.close().await
        };
        let router = router().route("/close", get(close));
        let server = Server::start(any_port(), router, None).unwrap();
        let connect = || TcpStream::connect(server.addr()).unwrap();
        assert_eq!(ask(connect(), "/close").unwrap_or_default(), "");
        assert!(ask(connect(), "/").unwrap().ends_with("hello"));
    }
}
