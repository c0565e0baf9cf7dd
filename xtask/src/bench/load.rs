//! A load generator: a few connections, each with one request under way.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 8;

/// Sends `requests` in turn, over and over, for at least `span`; how many. Every answer must have
/// the status `expected`.
pub(super) fn run(
    address: SocketAddr,
    requests: &[Vec<u8>],
    expected: u16,
    span: Duration,
) -> Result<u64, String> {
    send(address, requests, expected, span).map_err(|error| format!("{address}: {error}"))
}

fn send(
    address: SocketAddr,
    requests: &[Vec<u8>],
    expected: u16,
    span: Duration,
) -> io::Result<u64> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        connections.push(stream);
    }
    let mut turn = requests.iter().cycle();
    let (mut sent, began) = (0, Instant::now());
    while began.elapsed() < span {
        for stream in &mut connections {
            stream.write_all(turn.next().ok_or_else(|| io::Error::other("no requests"))?)?;
        }
        for stream in &mut connections {
            let status = read_answer(stream)?;
            if status != expected {
                return Err(io::Error::other(format!("status {status}, not {expected}")));
            }
            sent += 1;
        }
    }
    Ok(sent)
}

/// Reads one answer; its status.
fn read_answer(stream: &mut TcpStream) -> io::Result<u16> {
    let mut buffer = [0; 4096];
    let mut len = 0;
    loop {
        let space = buffer.get_mut(len..).filter(|space| !space.is_empty());
        let read = stream.read(space.ok_or_else(|| io::Error::other("a long answer"))?)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        len += read;
        let text = String::from_utf8_lossy(&buffer[..len]);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        if body.len() < length {
            continue;
        }
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        return status.ok_or_else(|| io::Error::other("no status"));
    }
}
