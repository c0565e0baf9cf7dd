//! A small HTTP/1.1 client for tests and the demo, with full control of the bytes.
//!
//! Ordinary clients refuse what a gate has to survive: header values that are not
//! UTF-8, repeated headers, odd paths. This one sends what it is told. It speaks
//! plain HTTP (`tls.rs` has the other kind), and trusts the server: answers are not limited in size.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long to wait for each read before giving up.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// A request, byte for byte as given, apart from `Host`, `Content-Length` and
/// `Connection`, which are added when missing.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    path: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    timeout: Duration,
}

impl Request {
    /// A request without headers and body; the path may hold any bytes.
    pub fn new(method: &str, path: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.to_owned(),
            path: path.as_ref().to_vec(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: TIMEOUT,
        }
    }

    /// A `GET` request.
    pub fn get(path: impl AsRef<[u8]>) -> Self {
        Self::new("GET", path)
    }

    /// A `POST` request with a JSON body.
    pub fn post_json(path: impl AsRef<[u8]>, body: &serde_json::Value) -> Self {
        Self::new("POST", path).header("content-type", "application/json").body(body.to_string())
    }

    /// Adds a header; a name may be given more than once.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds `Authorization: Bearer TOKEN`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits this long for each read instead of [`TIMEOUT`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends the request over a connection of its own.
    pub fn send(&self, addr: impl ToSocketAddrs) -> io::Result<Response> {
        let mut connection = Connection::open(addr)?;
        connection.stream.get_ref().set_read_timeout(Some(self.timeout))?;
        connection.exchange(self, "close")
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
    }

    fn to_bytes(&self, host: &str, connection: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(self.method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&self.path);
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        let mut line = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        if !self.has("host") {
            line("Host", host.as_bytes());
        }
        if !self.has("connection") {
            line("Connection", connection.as_bytes());
        }
        let needs_length = !self.body.is_empty() || self.method == "POST" || self.method == "PUT";
        if needs_length && !self.has("content-length") && !self.has("transfer-encoding") {
            line("Content-Length", self.body.len().to_string().as_bytes());
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// All headers in the order of arrival; the names are in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, with any chunking taken off.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name, with bytes that are not UTF-8 replaced.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// The body as text, with bytes that are not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> io::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).map_err(invalid)
    }
}

/// One TCP connection for many requests, as a load test wants it.
///
/// After an error, or an answer that ends with the connection, open a new one.
#[derive(Debug)]
pub struct Connection<S = TcpStream> {
    stream: BufReader<S>,
    host: String,
}

impl Connection {
    /// Connects; `Host` will be the address of the peer.
    pub fn open(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        // Requests are written in one piece: waiting to fill a packet only costs time.
        stream.set_nodelay(true)?;
        let host = stream.peer_addr()?.to_string();
        Ok(Self { stream: BufReader::new(stream), host })
    }

    /// Sends a request and reads the answer, and leaves the connection open.
    pub fn send(&mut self, request: &Request) -> io::Result<Response> {
        self.stream.get_ref().set_read_timeout(Some(request.timeout))?;
        self.exchange(request, "keep-alive")
    }

    /// Sends these octets as they stand, and reads what comes in answer to a request of this method.
    pub fn send_octets(
        &mut self,
        octets: &[u8],
        method: &str,
        timeout: Duration,
    ) -> io::Result<Response> {
        self.stream.get_ref().set_read_timeout(Some(timeout))?;
        let written = self.stream.get_mut().write_all(octets);
        match (self.read_response(method), written) {
            (Err(_), Err(broken)) => Err(broken),
            (answer, _) => answer,
        }
    }
}

impl<S: Read + Write> Connection<S> {
    /// Requests over `stream`, which is connected already.
    pub(crate) fn over(stream: S, host: &str) -> Self {
        Self { stream: BufReader::new(stream), host: host.to_owned() }
    }

    /// Sends a request as the last one, and reads the answer.
    pub(crate) fn exchange(&mut self, request: &Request, connection: &str) -> io::Result<Response> {
        let socket = self.stream.get_mut();
        let written = socket.write_all(&request.to_bytes(&self.host, connection));
        // A server may refuse before it has read everything: its answer says more
        // than the broken pipe.
        match (self.read_response(&request.method), written) {
            (Err(_), Err(broken)) => Err(broken),
            (answer, _) => answer,
        }
    }

    fn read_response(&mut self, method: &str) -> io::Result<Response> {
        let mut response = loop {
            let head = self.read_head()?;
            // Interim answers (100 Continue) announce the real one.
            if head.status >= 200 || head.status == 101 {
                break head;
            }
        };
        if method == "HEAD" || matches!(response.status, 101 | 204 | 304) {
            return Ok(response);
        }
        let chunked = response
            .header("transfer-encoding")
            .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"));
        response.body = if chunked {
            self.read_chunks()?
        } else if let Some(length) = response.header("content-length") {
            self.read_exactly(length.trim().parse().map_err(invalid)?)?
        } else {
            let mut body = Vec::new();
            self.stream.read_to_end(&mut body)?;
            body
        };
        Ok(response)
    }

    /// An answer that has no body yet.
    fn read_head(&mut self) -> io::Result<Response> {
        let start = String::from_utf8_lossy(&self.read_line()?).into_owned();
        let status = start
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split(' ').nth(1))
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| invalid(format!("not an HTTP answer: {start:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                break;
            }
            let colon = line
                .iter()
                .position(|byte| *byte == b':')
                .ok_or_else(|| invalid("a header line without a colon"))?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
        Ok(Response { status, headers, body: Vec::new() })
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8_lossy(&self.read_line()?).into_owned();
            let size = line.split(';').next().unwrap_or_default().trim();
            match usize::from_str_radix(size, 16).map_err(invalid)? {
                0 => break,
                size => body.extend(self.read_exactly(size)?),
            }
            self.read_line()?;
        }
        // Trailers are read, so that the next answer starts at its beginning.
        while !self.read_line()?.is_empty() {}
        Ok(body)
    }

    fn read_exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// A line without its end; the end of the stream is an error.
    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection was closed in the middle of an answer",
            ));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{SocketAddr, TcpListener};
    use std::thread::{self, JoinHandle};

    /// Serves one connection: for each answer, reads a request without a body and
    /// sends the answer. Gives back everything it read.
    fn serve(answers: &[&'static [u8]]) -> (SocketAddr, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let answers = answers.to_vec();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            for answer in answers {
                let mut byte = [0];
                let from = seen.len();
                while !seen[from..].ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    seen.push(byte[0]);
                }
                stream.write_all(answer).unwrap();
            }
            seen
        });
        (addr, server)
    }

    #[test]
    fn sends_exactly_the_given_bytes() {
        let (addr, server) = serve(&[b"HTTP/1.1 204 No Content\r\n\r\n"]);
        let answer = Request::get("/a//b/%2e?x=y z")
            .header("X-Raw", [0xff, 0xfe])
            .header("x-twice", "1")
            .header("x-twice", "2")
            .send(addr)
            .unwrap();
        assert_eq!(answer.status, 204);
        let mut expected =
            format!("GET /a//b/%2e?x=y z HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nX-Raw: ")
                .into_bytes();
        expected.extend_from_slice(b"\xff\xfe\r\nx-twice: 1\r\nx-twice: 2\r\n\r\n");
        assert_eq!(server.join().unwrap(), expected);
    }

    #[test]
    fn a_given_host_and_length_are_not_doubled() {
        let request = Request::new("POST", "/")
            .header("HOST", "example.test")
            .header("content-length", "3")
            .body("abc");
        let text = String::from_utf8(request.to_bytes("other", "close")).unwrap();
        assert_eq!(
            text,
            "POST / HTTP/1.1\r\nConnection: close\r\nHOST: example.test\r\ncontent-length: 3\r\n\r\nabc"
        );
    }

    #[test]
    fn reads_every_framing_on_one_connection() {
        let (addr, server) = serve(&[
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"a\": 1}",
            b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nx-a:2\r\n\r\n\
              3;x=y\r\nJwt\r\na\r\n is missed\r\n0\r\nTrailer: t\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX-Raw: \xff\r\n\r\nto the end",
        ]);
        let mut connection = Connection::open(addr).unwrap();
        let first = connection.send(&Request::get("/1")).unwrap();
        assert_eq!(first.json().unwrap()["a"], 1);
        let second = connection.send(&Request::get("/2")).unwrap();
        assert_eq!((second.status, second.text().as_str()), (401, "Jwt is missed"));
        assert_eq!(second.header("X-a").as_deref(), Some("1"));
        assert_eq!(second.headers.len(), 3);
        let third = connection.send(&Request::get("/3")).unwrap();
        assert_eq!(third.text(), "to the end");
        assert_eq!(third.headers[0].1, [0xff]);
        let seen = String::from_utf8(server.join().unwrap()).unwrap();
        assert_eq!(seen.matches("Connection: keep-alive").count(), 3);
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        let (addr, _server) = serve(&[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"]);
        let answer = Request::new("HEAD", "/").send(addr).unwrap();
        assert!(answer.body.is_empty());
    }

    #[test]
    fn a_cut_answer_is_an_error() {
        for cut in [
            &b""[..],
            b"HTTP/1.1 200",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ] {
            let (addr, _server) = serve(&[cut]);
            let error = Request::get("/").send(addr).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{cut:?}");
        }
    }

    #[test]
    fn a_silent_server_runs_into_the_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = Request::get("/")
            .timeout(Duration::from_millis(50))
            .send(listener.local_addr().unwrap())
            .unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
    }
}
