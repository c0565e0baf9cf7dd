//! The echo backend as a program.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use jwt_gate_demo::backend;
use jwt_gate_demo::serve::{Server, run_until_terminated};

const HELP: &str = "\
Answers every request with what arrived, as JSON.

Usage: backend [--listen ADDRESS:PORT]

  --listen ADDRESS:PORT  where to listen [default: 127.0.0.1:9001, or JWT_GATE_LISTEN]
  --help                 this text
";

fn main() -> ExitCode {
    match listen_address() {
        Ok(Some(addr)) => match run(addr) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("backend: {error}");
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("backend: {error}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

/// `None` when asked for help.
fn listen_address() -> Result<Option<SocketAddr>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut listen = std::env::var("JWT_GATE_LISTEN").unwrap_or("127.0.0.1:9001".to_owned());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => listen = parser.value()?.string()?,
            Short('h') | Long("help") => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    match listen.parse() {
        Ok(addr) => Ok(Some(addr)),
        Err(_) => Err(format!("--listen {listen}: not an ADDRESS:PORT").into()),
    }
}

fn run(addr: SocketAddr) -> io::Result<()> {
    run_until_terminated(|| {
        let server = Server::start(addr, backend::router(), None)?;
        println!("backend: ready on http://{}", server.addr());
        Ok(server)
    })
}
