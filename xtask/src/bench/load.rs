//! A load generator: connections that speak just enough HTTP/1.1, and ways to use them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 8;
/// As many as it takes for Envoy to have no rest. (Several requests at a time over each would take
/// fewer, but Envoy closes HTTP/1.1 connections on which more than two answers queue up.)
const MANY_CONNECTIONS: usize = 32;

/// Requests in an endless turn that goes on where it was left, so that no run begins with the tokens
/// that the one before it ended with.
pub(super) struct Turn<'a> {
    pub(super) requests: &'a [Vec<u8>],
    pub(super) next: usize,
}

impl<'a> Turn<'a> {
    pub(super) fn next(&mut self) -> io::Result<&'a [u8]> {
        let request = self.requests.get(self.next % self.requests.len().max(1));
        self.next += 1;
        request.map(Vec::as_slice).ok_or_else(|| io::Error::other("no requests"))
    }
}

/// Sends one request at a time over each of a few connections, for at least `span`; how many. Every
/// answer must have the status `expected`.
pub(super) fn run(
    address: SocketAddr,
    turn: &mut Turn<'_>,
    expected: u16,
    span: Duration,
) -> io::Result<u64> {
    let mut connections = open_many(address, CONNECTIONS)?;
    let (mut sent, began) = (0, Instant::now());
    while began.elapsed() < span {
        for connection in &mut connections {
            connection.send(turn.next()?)?;
        }
        for connection in &mut connections {
            connection.expect(expected)?;
            sent += 1;
        }
    }
    Ok(sent)
}

/// Keeps a request under way over each of many connections while `goes_on`, which is told how many
/// were answered; how many that is at last. Every answer must have the status `expected`.
pub(super) fn saturate(
    address: SocketAddr,
    mut send: impl FnMut(&mut Connection) -> io::Result<()>,
    expected: u16,
    mut goes_on: impl FnMut(u64) -> bool,
) -> io::Result<u64> {
    let mut connections = open_many(address, MANY_CONNECTIONS)?;
    connections.iter_mut().try_for_each(&mut send)?;
    let mut answered = 0;
    while goes_on(answered) {
        for connection in &mut connections {
            connection.expect(expected)?;
            send(connection)?;
            answered += 1;
        }
    }
    // What is still under way is over before anybody measures the next thing.
    for connection in &mut connections {
        connection.expect(expected)?;
        answered += 1;
    }
    Ok(answered)
}

/// So many connections.
pub(super) fn open_many(address: SocketAddr, count: usize) -> io::Result<Vec<Connection>> {
    (0..count).map(|_| Connection::open(address)).collect()
}

/// A connection that is read in order.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    read: std::ops::Range<usize>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self { stream, buffer: vec![0; 1 << 16], read: 0..0 })
    }

    pub(super) fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)
    }

    /// Reads one answer, which must have this status.
    pub(super) fn expect(&mut self, status: u16) -> io::Result<()> {
        match self.receive()? {
            answered if answered == status => Ok(()),
            answered => Err(io::Error::other(format!("status {answered}, not {status}"))),
        }
    }

    /// Reads one answer; its status.
    pub(super) fn receive(&mut self) -> io::Result<u16> {
        loop {
            if let Some((status, length)) = answer(&self.buffer[self.read.clone()])? {
                self.read.start += length;
                return Ok(status);
            }
            if self.read.start > 0 {
                self.buffer.copy_within(self.read.clone(), 0);
                self.read = 0..self.read.len();
            }
            let space = &mut self.buffer[self.read.end..];
            if space.is_empty() {
                return Err(io::Error::other("a long answer"));
            }
            match self.stream.read(space)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.read.end += read,
            }
        }
    }
}

/// The status and the length of the first answer, if it is there to its end.
fn answer(octets: &[u8]) -> io::Result<Option<(u16, usize)>> {
    let Some(end) = octets.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&octets[..end]);
    let body = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let length = end + 4 + body;
    if octets.len() < length {
        return Ok(None);
    }
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    Ok(Some((status.ok_or_else(|| io::Error::other("no status"))?, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let two =
            b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(answer(two).unwrap(), Some((401, 51)));
        assert_eq!(answer(&two[..50]).unwrap(), None);
        assert_eq!(answer(&two[51..]).unwrap(), Some((200, 19)));
        assert!(answer(b"nonsense\r\n\r\n").is_err());
    }
}
