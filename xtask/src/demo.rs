//! `cargo xtask demo`: issuer, backend and Envoy on this machine, and the story.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions};
use jwt_gate_demo::guard::Guarded;
use jwt_gate_demo::{story, wasm};

use crate::tools::{self, LINKER};

/// The issuer's first RSA key takes a moment; a busy machine may need much longer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What comes after the story.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Everything stays up until Ctrl-C.
    StayUp,
    /// Everything ends.
    End,
}

/// Builds and starts everything, and plays the story.
pub fn run(then: Then) -> Result<(), String> {
    tools::check(&[LINKER])?;
    let workspace = wasm::workspace();
    println!("building the filter");
    let module = wasm::build_filter(&workspace)?;
    println!("building the issuer and the backend");
    // In the profile of this very program: its dependencies, which are the long
    // part, are compiled (and optimised) already.
    let programs = wasm::cargo_build(&workspace, &["-p", "jwt-gate-demo", "--bins"])?;
    let program = |name: &str| {
        let found = programs.iter().find(|file| file.file_name().is_some_and(|it| it == name));
        found.ok_or_else(|| format!("cargo built no {name}"))
    };
    let binary = envoy::find(envoy::PINNED)?;

    let folder = workspace.join("target/demo");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let ports = Ports::choose().map_err(|error| format!("no free port: {error}"))?;
    let local = |port: u16| format!("127.0.0.1:{port}");

    let mut issuer = Command::new(program("issuer")?);
    issuer
        .args(["--listen", &local(ports.issuer_tls)])
        .args(["--demo-listen", &local(ports.issuer)])
        .args(["--issuer", "https://issuer.demo.test"])
        .args(["--audience", "orders-api", "--demo"])
        .args(["--tls-name", "issuer", "localhost"])
        .arg("--ca-dir")
        .arg(&folder);
    let mut issuer = start("issuer", &mut issuer, ports.issuer, &folder)?;
    let mut backend = Command::new(program("backend")?);
    backend.args(["--listen", &local(ports.backend)]);
    let mut backend = start("backend", &mut backend, ports.backend, &folder)?;

    let config = folder.join("envoy.yaml");
    let shipped = workspace.join("envoy.yaml");
    let text =
        fs::read_to_string(&shipped).map_err(|error| format!("{}: {error}", shipped.display()))?;
    let text = localised(&text, &ports, &module, &folder.join("ca.pem"))?;
    fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()))?;
    let options = EnvoyOptions { workdir: Some(folder.clone()), ..EnvoyOptions::default() };
    let mut envoy = Envoy::start_yaml_file(&binary, &config, options)?;
    println!(
        "running: Envoy on {}, its admin on {}, issuer on {}, backend on {}",
        local(ports.envoy),
        envoy.admin(),
        local(ports.issuer),
        local(ports.backend)
    );

    story::run(&local(ports.envoy), &local(ports.issuer), &mut io::stdout()).map_err(
        |failures| format!("{failures}Envoy's log: {}", folder.join("envoy.log").display()),
    )?;
    if then == Then::End {
        return Ok(());
    }
    println!("\n{}", advice(&ports));
    // Ctrl-C simply ends this process; the children notice (see `Guarded`).
    loop {
        thread::sleep(Duration::from_millis(500));
        for (name, child) in [("issuer", &mut issuer), ("backend", &mut backend)] {
            if !matches!(child.try_wait(), Ok(None)) {
                return Err(format!("the {name} has ended; its log is in {}", folder.display()));
            }
        }
        if !envoy.is_running() {
            return Err(format!("Envoy has ended; its log is in {}", folder.display()));
        }
    }
}

/// Starts a program and waits until it accepts connections on the port.
fn start(name: &str, command: &mut Command, port: u16, folder: &Path) -> Result<Guarded, String> {
    let log = folder.join(format!("{name}.log"));
    let mut spawn = || -> io::Result<Guarded> {
        let out = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        Guarded::spawn(command)
    };
    let mut child = spawn().map_err(|error| format!("cannot start the {name}: {error}"))?;
    let deadline = Instant::now() + START_LIMIT;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if !matches!(child.try_wait(), Ok(None)) || Instant::now() > deadline {
            let said = fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("the {name} does not start:\n{said}"));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(child)
}

/// Where everything listens, on 127.0.0.1.
#[derive(Debug)]
struct Ports {
    envoy: u16,
    admin: u16,
    issuer_tls: u16,
    issuer: u16,
    backend: u16,
}

impl Ports {
    /// The usual ports, and others for those that are taken.
    fn choose() -> io::Result<Self> {
        // All are held until the last is chosen, so that no two are the same.
        let mut held = Vec::new();
        let mut choose = |usual: u16| -> io::Result<u16> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, usual))
                .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
            let port = listener.local_addr()?.port();
            held.push(listener);
            Ok(port)
        };
        Ok(Self {
            envoy: choose(10000)?,
            admin: choose(9901)?,
            issuer_tls: choose(8443)?,
            issuer: choose(9000)?,
            backend: choose(8080)?,
        })
    }
}

/// The `envoy.yaml` that ships, with the addresses and files of this machine. An
/// error when it does not hold each expected text exactly once: a demo of
/// something else than what ships would prove nothing.
fn localised(shipped: &str, ports: &Ports, module: &Path, ca: &Path) -> Result<String, String> {
    // A JSON string is a YAML string, whatever is in the path.
    let quoted = |path: &Path| match path.to_str() {
        Some(path) => Ok(serde_json::Value::from(path).to_string()),
        None => Err(format!("{} is not UTF-8", path.display())),
    };
    let address = |host: &str, port: u16| format!("address: {host}, port_value: {port} ");
    let here = |port: u16| address("127.0.0.1", port);
    let replacements = [
        (address("0.0.0.0", 10000), here(ports.envoy)),
        (address("127.0.0.1", 9901), here(ports.admin)),
        (address("issuer", 8443), here(ports.issuer_tls)),
        (address("backend", 8080), here(ports.backend)),
        ("\"/etc/envoy/jwt_gate.wasm\"".to_owned(), quoted(module)?),
        ("\"/etc/envoy/certs/ca.pem\"".to_owned(), quoted(ca)?),
    ];
    let mut text = shipped.to_owned();
    for (from, to) in replacements {
        match shipped.matches(&from).count() {
            1 => text = text.replacen(&from, &to, 1),
            count => return Err(format!("envoy.yaml holds {from:?} {count} times, not once")),
        }
    }
    Ok(format!("# Made from envoy.yaml by `cargo xtask demo`: edit that one.\n{text}"))
}

fn advice(ports: &Ports) -> String {
    let Ports { envoy, admin, issuer, .. } = ports;
    format!(
        r#"Everything stays up until Ctrl-C. To try by hand:

  TOKEN=$(curl -s http://127.0.0.1:{envoy}/login -d username=alice -d password=wonderland | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -i http://127.0.0.1:{envoy}/orders -H "authorization: Bearer $TOKEN"
  curl -i http://127.0.0.1:{envoy}/orders
  curl -X POST http://127.0.0.1:{issuer}/demo/rotate
  curl http://127.0.0.1:{admin}/stats?filter=jwt_gate
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../envoy.yaml");
    const PORTS: Ports = Ports { envoy: 1, admin: 2, issuer_tls: 3, issuer: 4, backend: 5 };

    fn localise(shipped: &str) -> Result<String, String> {
        let module = Path::new("/a \"folder\"/jwt_gate.wasm");
        localised(shipped, &PORTS, module, Path::new("/demo/ca.pem"))
    }

    #[test]
    fn every_address_and_file_of_the_containers_is_replaced() {
        let text = localise(SHIPPED).unwrap();
        for port in [1, 2, 3, 5] {
            let expected = format!("{{ address: 127.0.0.1, port_value: {port} }}");
            assert_eq!(text.matches(&expected).count(), 1, "{expected}");
        }
        assert!(text.contains(r#"filename: "/a \"folder\"/jwt_gate.wasm""#));
        assert!(text.contains(r#"trusted_ca: { filename: "/demo/ca.pem" }"#));
        for gone in ["/etc/envoy", "address: issuer", "address: backend", "0.0.0.0"] {
            assert!(!text.contains(gone), "{gone}");
        }
        // The certificate has this name everywhere.
        assert!(text.contains("sni: issuer") && text.contains("exact: issuer"));
    }

    #[test]
    fn a_text_that_is_missing_or_doubled_is_an_error() {
        let missing = SHIPPED.replace("port_value: 8443", "port_value: 8444");
        assert!(localise(&missing).unwrap_err().contains("0 times"));
        let doubled = format!("{SHIPPED}{SHIPPED}");
        assert!(localise(&doubled).unwrap_err().contains("2 times"));
    }

    #[test]
    fn chosen_ports_differ_and_avoid_those_in_use() {
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 10000));
        let ports = Ports::choose().unwrap();
        let mut all = [ports.envoy, ports.admin, ports.issuer_tls, ports.issuer, ports.backend];
        all.sort_unstable();
        assert!(all.windows(2).all(|two| two[0] != two[1]), "{ports:?}");
        assert_ne!(ports.envoy, 10000);
    }
}
