//! `cargo xtask demo`: issuer, backend and Envoy on this machine, and the story.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions};
use jwt_gate_demo::guard::Guarded;
use jwt_gate_demo::local::{self, Ports, Prefer};
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
    let ports =
        Ports::choose(Prefer::TheUsual).map_err(|error| format!("no free port: {error}"))?;
    let address = |port: u16| format!("127.0.0.1:{port}");

    let mut issuer = Command::new(program("issuer")?);
    issuer
        .args(["--listen", &address(ports.issuer_tls)])
        .args(["--demo-listen", &address(ports.issuer)])
        .args(["--issuer", "https://issuer.demo.test"])
        .args(["--audience", "orders-api", "--demo"])
        .args(["--tls-name", "issuer", "localhost"])
        .arg("--ca-dir")
        .arg(&folder);
    let mut issuer = start("issuer", &mut issuer, ports.issuer, &folder)?;
    let mut backend = Command::new(program("backend")?);
    backend.args(["--listen", &address(ports.backend)]);
    let mut backend = start("backend", &mut backend, ports.backend, &folder)?;

    let config = folder.join("envoy.yaml");
    let shipped = workspace.join("envoy.yaml");
    let text =
        fs::read_to_string(&shipped).map_err(|error| format!("{}: {error}", shipped.display()))?;
    let text = local::envoy_yaml(&text, &ports, &module, &folder.join("ca.pem"))?;
    fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()))?;
    let options = EnvoyOptions { workdir: Some(folder.clone()), ..EnvoyOptions::default() };
    let mut envoy = Envoy::start_yaml_file(&binary, &config, options)?;
    println!(
        "running: Envoy on {}, its admin on {}, issuer on {}, backend on {}",
        address(ports.envoy),
        envoy.admin(),
        address(ports.issuer),
        address(ports.backend)
    );

    let places = story::Places {
        envoy: &address(ports.envoy),
        issuer: &address(ports.issuer),
        page: &address(ports.page),
    };
    story::run(&places, &mut io::stdout()).map_err(|failures| {
        format!("{failures}Envoy's log: {}", folder.join("envoy.log").display())
    })?;
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

fn advice(ports: &Ports) -> String {
    let Ports { envoy, admin, issuer, page, .. } = ports;
    format!(
        r#"Everything stays up until Ctrl-C. The page to see it in a browser:

  http://127.0.0.1:{page}/

To try by hand:

  TOKEN=$(curl -s http://127.0.0.1:{envoy}/login -d username=alice -d password=wonderland | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -i http://127.0.0.1:{envoy}/orders -H "authorization: Bearer $TOKEN"
  curl -i http://127.0.0.1:{envoy}/orders
  curl -X POST http://127.0.0.1:{issuer}/demo/rotate
  curl http://127.0.0.1:{admin}/stats?filter=jwt_gate
"#
    )
}
