//! The demo issuer as a program.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;
use std::{env, fmt, fs, io};

use jwt_gate_demo::issuer::{Issuer, IssuerOptions, JWKS_MAX_AGE};
use jwt_gate_demo::keys::Alg;
use jwt_gate_demo::pki::{Authority, ServerIdentity};
use jwt_gate_demo::serve::{Server, run_until_terminated};

const HELP: &str = "\
Signs in the demo users (alice/wonderland, bob/builder) and publishes the keys
that their tokens can be verified with. For demos and tests, never in production.

Usage: issuer [OPTIONS]

  --listen ADDRESS:PORT     where to listen [default: 127.0.0.1:9000]
  --issuer URL              the issuer's name and public URL [default: that of --listen]
  --audience TEXT           who the tokens are for [default: jwt-gate-demo]
  --algorithm NAME          RS256, PS256, ES256, ES384, ES512, EdDSA, ... [default: RS256]
  --token-lifetime SECONDS  [default: 900]
  --previous-key-lifetime SECONDS
                            how long a replaced key stays published
                            [default: the token lifetime and 300 seconds]
  --tls-cert FILE --tls-key FILE
                            serve TLS with this certificate and key (PEM)
  --ca-dir DIR --tls-name NAME...
                            serve TLS with a certificate for these names, of a
                            private CA made now; clients find it in DIR/ca.pem
  --demo                    turn on the page (GET /), POST /demo/rotate, POST /demo/mint,
                            POST /demo/outage, GET /demo/stats
  --demo-listen ADDRESS:PORT
                            serve the same here too, without TLS
  --help                    this text

Each option can also be set in the environment: --token-lifetime as
JWT_GATE_TOKEN_LIFETIME, --tls-name as JWT_GATE_TLS_NAME (with commas between
names), --demo as JWT_GATE_DEMO=1.
";

/// The options with a value.
const OPTIONS: [&str; 11] = [
    "listen",
    "demo-listen",
    "issuer",
    "audience",
    "algorithm",
    "token-lifetime",
    "previous-key-lifetime",
    "tls-cert",
    "tls-key",
    "ca-dir",
    "tls-name",
];

/// What the command line and the environment ask for.
struct Command {
    listen: SocketAddr,
    demo_listen: Option<SocketAddr>,
    options: IssuerOptions,
    tls: Tls,
}

enum Tls {
    Off,
    Files { cert: PathBuf, key: PathBuf },
    PrivateCa { dir: PathBuf, names: Vec<String> },
}

fn main() -> ExitCode {
    let command = match arguments() {
        Ok(Some(arguments)) => Command::from_arguments(arguments),
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => Err(error.to_string()),
    };
    let command = match command {
        Ok(command) => command,
        Err(error) => {
            eprintln!("issuer: {error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    // Outlives the closure, and so serves as long as the first one.
    let mut plain = None;
    match run_until_terminated(|| start(command, &mut plain)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("issuer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command, plain: &mut Option<Server>) -> io::Result<Server> {
    let Command { listen, demo_listen, options, tls } = command;
    let identity = tls.identity()?;
    let about = format!(
        "issuer {}, {}{}",
        options.issuer,
        options.algorithm,
        if options.admin { ", demo routes on" } else { "" }
    );
    let issuer = Issuer::new(options);
    let server = Server::start(listen, issuer.router(), identity)?;
    // Last: who can connect here finds the CA file and the other listener ready.
    if let Some(addr) = demo_listen {
        *plain = Some(Server::start(addr, issuer.router(), None)?);
    }
    println!("issuer: ready on {} ({about})", server.addr());
    Ok(server)
}

/// Options and their values.
type Arguments = HashMap<String, Vec<String>>;

/// The environment's options, each replaced by that of the command line. `None` when asked for help.
fn arguments() -> Result<Option<Arguments>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut arguments = Arguments::new();
    for name in OPTIONS.into_iter().chain(["demo"]) {
        let variable = format!("JWT_GATE_{}", name.to_uppercase().replace('-', "_"));
        // An empty variable is none: compose files cannot leave one out.
        if let Some(value) = env::var(variable).ok().filter(|value| !value.is_empty()) {
            let values = match name {
                "tls-name" => value.split(',').map(|name| name.trim().to_owned()).collect(),
                _ => vec![value],
            };
            arguments.insert(name.to_owned(), values);
        }
    }
    let mut given = Arguments::new();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("demo") => {
                given.insert("demo".to_owned(), vec!["1".to_owned()]);
            }
            Long("tls-name") => {
                let names = given.entry("tls-name".to_owned()).or_default();
                for name in parser.values()? {
                    names.push(name.string()?);
                }
            }
            Long(name) if OPTIONS.contains(&name) => {
                let name = name.to_owned();
                given.insert(name, vec![parser.value()?.string()?]);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    arguments.extend(given);
    Ok(Some(arguments))
}

impl Command {
    fn from_arguments(mut arguments: Arguments) -> Result<Command, String> {
        let names = arguments.remove("tls-name");
        let mut take = |name: &str| arguments.remove(name).and_then(|mut values| values.pop());
        let tls = match (take("tls-cert"), take("tls-key"), take("ca-dir"), names) {
            (None, None, None, None) => Tls::Off,
            (Some(cert), Some(key), None, None) => {
                Tls::Files { cert: cert.into(), key: key.into() }
            }
            (None, None, Some(dir), Some(names)) => Tls::PrivateCa { dir: dir.into(), names },
            _ => {
                return Err(
                    "TLS needs --tls-cert with --tls-key, or --ca-dir with --tls-name".to_owned()
                );
            }
        };
        let listen = parse("listen", take("listen"), ([127, 0, 0, 1], 9000).into())?;
        let demo_listen = take("demo-listen")
            .map(|addr| addr.parse().map_err(|error| format!("--demo-listen {addr}: {error}")))
            .transpose()?;
        let defaults = IssuerOptions::default();
        let algorithm: Alg = parse("algorithm", take("algorithm"), defaults.algorithm)?;
        if algorithm.is_hmac() {
            return Err(format!(
                "--algorithm {algorithm}: its key is secret, and the issuer publishes its keys"
            ));
        }
        let token_lifetime =
            seconds("token-lifetime", take("token-lifetime"), defaults.token_lifetime)?;
        let previous_key_lifetime = seconds(
            "previous-key-lifetime",
            take("previous-key-lifetime"),
            token_lifetime.saturating_add(JWKS_MAX_AGE),
        )?;
        let scheme = match tls {
            Tls::Off => "http",
            _ => "https",
        };
        Ok(Command {
            listen,
            demo_listen,
            options: IssuerOptions {
                issuer: take("issuer").unwrap_or_else(|| format!("{scheme}://{listen}")),
                audience: take("audience").unwrap_or(defaults.audience),
                algorithm,
                token_lifetime,
                previous_key_lifetime,
                admin: flag(take("demo"))?,
            },
            tls,
        })
    }
}

impl Tls {
    fn identity(self) -> io::Result<Option<ServerIdentity>> {
        match self {
            Tls::Off => Ok(None),
            Tls::Files { cert, key } => {
                Ok(Some(ServerIdentity { cert_pem: read(&cert)?, key_pem: read(&key)? }))
            }
            Tls::PrivateCa { dir, names } => {
                let authority = Authority::new("jwt-gate demo CA");
                authority.write_ca(&dir).map_err(|error| at(&dir, error))?;
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                Ok(Some(authority.issue(&names)))
            }
        }
    }
}

fn parse<T: FromStr<Err: fmt::Display>>(
    name: &str,
    value: Option<String>,
    default: T,
) -> Result<T, String> {
    match value {
        None => Ok(default),
        Some(value) => value.parse().map_err(|error| format!("--{name} {value}: {error}")),
    }
}

/// At most a year: no clock overflows then.
fn seconds(name: &str, value: Option<String>, default: Duration) -> Result<Duration, String> {
    let seconds = parse(name, value, default.as_secs())?;
    match seconds {
        0..=31_536_000 => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("--{name} {seconds}: more than a year")),
    }
}

fn flag(value: Option<String>) -> Result<bool, String> {
    match value.as_deref() {
        None | Some("0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(value) => Err(format!("JWT_GATE_DEMO={value}: not 1 or 0")),
    }
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| at(path, error))
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
