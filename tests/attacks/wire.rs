//! Requests as octets: HTTP/1 as it stands, and HTTP/2 in frames that no decent client would send.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use jwt_gate_demo::http::{Connection, Response};

use crate::native::Headers;

/// How long an answer may take. None takes as long, unless the other end waits for something.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client that leaves its connection open as long as it is good for anything.
pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<Connection>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Sends octets that are one request in good order.
    pub(crate) fn send(&mut self, octets: &[u8], method: &str) -> io::Result<Response> {
        let reused = self.connection.take();
        let was_open = reused.is_some();
        let mut connection = match reused {
            Some(connection) => connection,
            None => Connection::open(self.address)?,
        };
        match connection.send_octets(octets, method, PATIENCE) {
            Ok(answer) => {
                let is_over = answer.header("connection").is_some_and(|value| value == "close");
                self.connection = (!is_over).then_some(connection);
                Ok(answer)
            }
            // The proxy may have closed it since.
            Err(_) if was_open => self.send(octets, method),
            Err(error) => Err(error),
        }
    }
}

/// Sends octets, whatever they are, over a connection of their own, and reads as many more answers.
pub(crate) fn send_once(
    address: SocketAddr,
    octets: &[u8],
    method: &str,
    more: usize,
) -> io::Result<(Response, Vec<Response>)> {
    let mut connection = Connection::open(address)?;
    let first = connection.send_octets(octets, method, PATIENCE)?;
    let more = (0..more).map(|_| connection.send_octets(b"", "GET", PATIENCE));
    Ok((first, more.collect::<io::Result<_>>()?))
}

/// A request in HTTP/1.1.
pub(crate) fn http1(
    method: &[u8],
    path: &[u8],
    headers: &Headers,
    body: &[u8],
    host: &str,
) -> Vec<u8> {
    let mut octets = [method, b" ", path, b" HTTP/1.1\r\n"].concat();
    let mut line = |name: &[u8], value: &[u8]| {
        octets.extend([name, b": ", value, b"\r\n"].concat());
    };
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"host")) {
        line(b"host", host.as_bytes());
    }
    if !body.is_empty() {
        line(b"content-length", body.len().to_string().as_bytes());
    }
    for (name, value) in headers {
        line(name, value);
    }
    octets.extend([b"\r\n", body].concat());
    octets
}

/// Sends a request of these headers over HTTP/2 (RFC 9113), and reads the answer. Every header is
/// written as it stands, without compression (RFC 7541 section 6.2.2).
pub(crate) fn http2(address: SocketAddr, headers: &Headers) -> io::Result<Response> {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    const CONTINUATION: u8 = 9;
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut octets = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // No table of headers: the answer's are then readable without one.
    octets.extend(frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]));
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            block.extend(integer(text.len()));
            block.extend(text);
        }
    }
    // In pieces, as no frame may be longer than 16 KiB.
    let pieces: Vec<_> = block.chunks(16_000).collect();
    for (place, piece) in pieces.iter().enumerate() {
        let ends_headers = if place + 1 == pieces.len() { 4 } else { 0 };
        octets.extend(match place {
            0 => frame(HEADERS, 1 | ends_headers, 1, piece),
            _ => frame(CONTINUATION, ends_headers, 1, piece),
        });
    }
    stream.write_all(&octets)?;
    let mut answer: Option<Response> = None;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut content = vec![0; length];
        stream.read_exact(&mut content)?;
        let (kind, flags, id) = (head[3], head[4], head[8]);
        let is_ours = id == 1;
        let closed =
            |what: &str| Err(io::Error::new(io::ErrorKind::UnexpectedEof, what.to_owned()));
        match kind {
            SETTINGS if flags & 1 == 0 => stream.write_all(&frame(SETTINGS, 1, 0, &[]))?,
            HEADERS if is_ours => {
                let status = status(&content).ok_or_else(|| io::Error::other("no status"))?;
                answer = Some(Response { status, headers: Vec::new(), body: Vec::new() });
            }
            DATA if is_ours => {
                if let Some(answer) = &mut answer {
                    answer.body.extend(&content);
                }
            }
            RST_STREAM if is_ours && answer.is_none() => return closed("reset"),
            GOAWAY if answer.is_none() => return closed("go away"),
            _ => {}
        }
        if is_ours && matches!(kind, DATA | HEADERS) && flags & 1 == 1 {
            return answer.ok_or_else(|| io::Error::other("no answer"));
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u8, content: &[u8]) -> Vec<u8> {
    let [_, _, _, _, _, a, b, c] = content.len().to_be_bytes();
    [&[a, b, c, kind, flags, 0, 0, 0, stream][..], content].concat()
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn integer(mut value: usize) -> Vec<u8> {
    if value < 127 {
        return vec![u8::try_from(value).unwrap()];
    }
    value -= 127;
    let mut octets = vec![127];
    while value >= 128 {
        octets.push(u8::try_from(value % 128).unwrap() | 128);
        value /= 128;
    }
    octets.push(u8::try_from(value).unwrap());
    octets
}

/// The status, which comes first: indexed, or as digits by Huffman's code (RFC 7541 appendices A and B).
fn status(block: &[u8]) -> Option<u16> {
    let mut block = block;
    // A change of the table's size may come before.
    while block.first().is_some_and(|first| first & 0xe0 == 0x20) {
        block = &block[1..];
    }
    let (first, rest) = block.split_first()?;
    if first & 0x80 != 0 {
        let known = [200, 204, 206, 304, 400, 404, 500];
        return known.get(usize::from(first & 0x7f).checked_sub(8)?).copied();
    }
    let (length, rest) = rest.split_first()?;
    let text = rest.get(..usize::from(length & 0x7f))?;
    if length & 0x80 == 0 {
        return str::from_utf8(text).ok()?.parse().ok();
    }
    let bits: String = text.iter().map(|octet| format!("{octet:08b}")).collect();
    let mut bits = bits.as_str();
    let mut status = 0;
    for _ in 0..3 {
        let (digit, length) = match bits.get(..5)? {
            "00000" => (0, 5),
            "00001" => (1, 5),
            "00010" => (2, 5),
            _ => (u16::from_str_radix(bits.get(..6)?, 2).ok()?.checked_sub(0b01_1001)? + 3, 6),
        };
        status = status * 10 + digit;
        bits = &bits[length..];
    }
    Some(status)
}
