//! Plays the demo's story against a running demo: `story ENVOY ISSUER PAGE`, all
//! `host:port` with plain HTTP. Exits with 1 if anything was not as it should be.

use std::io;
use std::process::ExitCode;

use jwt_gate_demo::story;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [envoy, issuer, page] = &arguments[..] else {
        eprintln!("usage: story ENVOY ISSUER PAGE (host:port each)");
        return ExitCode::from(2);
    };
    match story::run(&story::Places { envoy, issuer, page }, &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failures) => {
            eprintln!("\n{failures}");
            ExitCode::FAILURE
        }
    }
}
