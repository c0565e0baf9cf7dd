//! A headless Chromium, driven by the DevTools protocol.
//!
//! By pipes, not by a WebSocket: messages are JSON with a zero octet behind them, so nothing but the
//! standard library is needed, and no port is open.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::guard::Guarded;
use crate::wasm::workspace;

/// How long any answer, or anything on a page, may take. Starting on a busy machine is the slowest.
const LIMIT: Duration = Duration::from_secs(60);

/// Names under which it is installed.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Finds Chromium: the variable `CHROMIUM`, else on `PATH`. `None`: there is none.
///
/// # Panics
/// If the variable names no file.
pub fn find() -> Option<PathBuf> {
    find_program("CHROMIUM", &NAMES)
}

/// Finds a program that tests can do without: the one that this variable names, else the first of
/// these names on `PATH`.
///
/// # Panics
/// If the variable names no file: whoever sets it wants it used.
pub fn find_program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "{variable} is {}: no such file", path.display());
        return Some(path);
    }
    let folders: Vec<_> = env::split_paths(&env::var_os("PATH")?).collect();
    let paths = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    paths.into_iter().find(|path| path.is_file())
}

/// A browser with one page. Dropping it ends the process.
pub struct Browser {
    // Before the process: at the end of its input, it ends by itself.
    input: ChildStdin,
    messages: Receiver<Value>,
    _process: Guarded,
    folder: PathBuf,
    session: Option<String>,
    last: u64,
    complaints: Vec<String>,
}

impl Browser {
    /// Starts it.
    pub fn start(program: &Path) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = workspace().join(format!("target/browser/{}-{count}", process::id()));
        let spawn = || -> io::Result<Guarded> {
            fs::create_dir_all(&folder)?;
            let mut command = Command::new("sh");
            // It reads commands from file 3 and answers on file 4.
            command.args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >&2"#]).arg(program);
            command.arg("--headless=new").arg("--remote-debugging-pipe");
            command.arg(format!("--user-data-dir={}", folder.display()));
            // It shows only pages of ours, and its sandbox does not work for root and in containers.
            command.args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
            command.args(["--no-first-run", "--hide-scrollbars", "about:blank"]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            Guarded::spawn(command.stderr(fs::File::create(folder.join("stderr"))?))
        };
        let mut process =
            spawn().map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let (input, output) = process.take_pipes().ok_or("no pipes")?;
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { break };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self {
            input,
            messages,
            _process: process,
            folder,
            session: None,
            last: 0,
            complaints: Vec::new(),
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach)?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Calls a method of the protocol.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let text = format!("{message}\0");
        self.input.write_all(text.as_bytes()).map_err(|error| format!("{method}: {error}"))?;
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut answer = self.messages.recv_timeout(left).map_err(|error| {
                let said = fs::read_to_string(self.folder.join("stderr")).unwrap_or_default();
                format!("{method}: no answer ({error}); the browser said:\n{said}")
            })?;
            if answer["id"] != self.last {
                self.note(&answer);
                continue;
            }
            return match answer.get("error") {
                Some(error) => Err(format!("{method}: {error}")),
                None => Ok(answer["result"].take()),
            };
        }
    }

    /// Keeps what a developer would see in red.
    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                self.complaints.push(params["exceptionDetails"].to_string());
            }
            Some("Runtime.consoleAPICalled") if params["type"] == "error" => {
                self.complaints.push(params["args"].to_string());
            }
            // An answer of 401 is in this log too, and no mistake.
            Some("Log.entryAdded") if params["entry"]["source"] != "network" => {
                self.complaints.push(params["entry"].to_string());
            }
            _ => {}
        }
    }

    /// Exceptions and complaints of pages so far, such as what a policy forbade.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Opens an address, and waits until the page is loaded.
    pub fn open(&mut self, address: &str) -> Result<(), String> {
        let opened = self.call("Page.navigate", json!({ "url": address }))?;
        if let Some(error) = opened["errorText"].as_str() {
            return Err(format!("{address}: {error}"));
        }
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")
    }

    /// What an expression comes to; promises are waited for.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", params)?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(format!("{expression}: {details}")),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Waits until an expression is true.
    pub fn until(&mut self, expression: &str) -> Result<(), String> {
        let deadline = Instant::now() + LIMIT;
        while self.evaluate(expression)? != true {
            if Instant::now() > deadline {
                return Err(format!("{expression}: not true after {} s", LIMIT.as_secs()));
            }
            thread::sleep(Duration::from_millis(30));
        }
        Ok(())
    }

    /// Clicks with the mouse at the middle of the first element that fits, as a person would.
    pub fn click(&mut self, selector: &str) -> Result<(), String> {
        let place = self.evaluate(&format!(
            "(() => {{ const element = document.querySelector({selector});
                element.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const {{ x, y, width, height }} = element.getBoundingClientRect();
                return [x + width / 2, y + height / 2]; }})()",
            selector = json!(selector)
        ))?;
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", params)?;
        }
        Ok(())
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str) -> Result<(), String> {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            _ => return Err(format!("which key is {key}?")),
        };
        for kind in ["keyDown", "keyUp"] {
            let params = json!({ "type": kind, "key": key, "code": key, "text": text,
                                 "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", params)?;
        }
        Ok(())
    }

    /// Makes the page so wide and high, light or dark.
    pub fn resize(&mut self, width: u32, height: u32, dark: bool) -> Result<(), String> {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1,
                           "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", size)?;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            // Colours are as they will be, not on their way there.
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }))?;
        Ok(())
    }

    /// Writes a picture (PNG) of the page: all of it, or what is visible.
    pub fn picture(&mut self, file: &Path, all: bool) -> Result<(), String> {
        let params = json!({ "format": "png", "captureBeyondViewport": all });
        let answer = self.call("Page.captureScreenshot", params)?;
        let octets = answer["data"].as_str().and_then(|data| BASE64_STANDARD.decode(data).ok());
        fs::write(file, octets.ok_or("no picture")?)
            .map_err(|error| format!("{}: {error}", file.display()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to close, it ends its helpers too; the guard is for when it does not.
        self.session = None;
        let _ = self.call("Browser.close", json!({}));
        thread::sleep(Duration::from_millis(100));
        let _ = fs::remove_dir_all(&self.folder);
    }
}
