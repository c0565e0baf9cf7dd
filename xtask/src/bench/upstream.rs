//! The least that a server behind Envoy can be: it answers every request with "200 OK", or with a
//! document.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// What it answers, by path; "ok" elsewhere.
pub(super) type Documents = BTreeMap<String, String>;

/// Starts it; its port. It goes on for as long as this program.
pub(super) fn start(documents: Documents) -> io::Result<u16> {
    let documents = Arc::new(documents);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // An end of the connection is no error: Envoy closes it when it likes.
            let documents = Arc::clone(&documents);
            thread::spawn(move || serve(stream, &documents));
        }
    });
    Ok(port)
}

fn serve(mut stream: TcpStream, documents: &Documents) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut octets = Vec::new();
    let mut buffer = [0; 1 << 16];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        octets.extend_from_slice(&buffer[..read]);
        // Requests of the benchmark have no bodies.
        while let Some(end) = octets.windows(4).position(|window| window == b"\r\n\r\n") {
            let head: Vec<u8> = octets.drain(..end + 4).collect();
            let path = head.split(|octet| *octet == b' ').nth(1).unwrap_or_default();
            let path = String::from_utf8_lossy(path);
            let body = documents.get(path.as_ref()).map_or("ok", String::as_str);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
        }
    }
}
