//! How long the parts of a decision take, natively and inside Envoy's engine: the probe
//! (`crates/probe`) does the same work in both.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use jwt_gate_demo::keys::{Alg, SigningKey, base64url};
use jwt_gate_demo::probe::Probe;
use jwt_gate_demo::wasm::{self, workspace};
use serde_json::{Value, json};

use super::Tools;
use super::report::Report;
use super::scenes::{self, claims, provider};

pub(super) fn run(tools: &Tools, report: &mut Report) -> Result<(), String> {
    let subjects = subjects(tools);
    let module = wasm::build_probe(&workspace())?;
    let mut native = Native::start(&wasm::build_probe_program(&workspace())?)?;
    let probe = Probe::start(&tools.envoy, &module)?;
    let (rounds, span) = tools.extent.choose((3, 60_000_000), (1, 15_000_000));
    println!(
        "\nMICRO: nanoseconds for each time in the quickest of many batches, which is what it takes \
         undisturbed;\nnatively, and inside Envoy's engine (V8) with the ratio"
    );
    println!("  {:44} {:>10} {:>10}", "", "native", "V8");
    let mut found = serde_json::Map::new();
    for (name, subject) in subjects {
        let job = json!({ "time": { "subject": subject, "nanoseconds": span } });
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            here.push(native.ask(&job).map_err(|error| format!("{name}: {error}"))?);
            there.push(probe.ask(&job).map_err(|error| format!("{name}: {error}"))?);
        }
        let least = |answers: &[Value]| {
            let figures = answers.iter().filter_map(|answer| answer["least"].as_u64());
            figures.min().unwrap_or_default() as f64
        };
        let (native_least, v8_least) = (least(&here), least(&there));
        println!(
            "  {name:44} {native_least:10.0} {v8_least:10.0} [{:.1}]",
            v8_least / native_least
        );
        found.insert(name, json!({ "native_nanoseconds": here, "v8_nanoseconds": there }));
    }
    report.put("micro", Value::Object(found));
    Ok(())
}

/// What is measured, as jobs of the probe.
fn subjects(tools: &Tools) -> Vec<(String, Value)> {
    let keys = scenes::keys(tools.extent);
    let payload = claims(1, 400).to_string();
    let header = keys[0].1.header().to_string();
    let mut subjects = vec![
        (
            "base64url of a payload".to_owned(),
            json!({ "base64url": { "text": base64url(&payload) } }),
        ),
        ("JSON of a payload".to_owned(), json!({ "json": { "text": payload } })),
        ("JOSE header".to_owned(), json!({ "header": { "text": header } })),
    ];
    // Short, so that the arithmetic is what counts; a secret hashes a whole token.
    let short = b"what is signed".to_vec();
    let token = format!("{}.{}", base64url(&header), base64url(&payload)).into_bytes();
    for (name, key) in keys {
        let input = if key.alg().is_hmac() { &token } else { &short };
        subjects.push((
            format!("signature, {name}"),
            json!({ "signature": {
                "jwk": key.public_jwk(),
                "algorithm": key.alg().as_str(),
                "input": base64url(input),
                "signature": base64url(key.sign_bytes(input)),
            } }),
        ));
    }
    // Signed quickly; how does not matter to a look-up.
    let key = SigningKey::generate(Alg::HS256, "k");
    let tokens: Vec<String> = (0..1_000).map(|index| key.sign(&claims(index, 400))).collect();
    let known = json!({ "known_token": { "jwk": key.public_jwk(), "tokens": tokens } });
    subjects.push(("look-up among 1000 known tokens".to_owned(), known));
    for (name, key) in keys.iter().filter(|(name, _)| ["RS256", "ES256", "HS256"].contains(name)) {
        let heads: Vec<Value> =
            (0..200).map(|index| head(&key.sign(&claims(index, 400)))).collect();
        let mut configuration = provider(&[key]);
        configuration["providers"]["p"]["jwt_cache_config"] = json!({ "jwt_cache_size": 20 });
        let decision = |heads: &[Value]| json!({ "decision": { "configuration": configuration, "heads": heads } });
        subjects.push((format!("decision, new token, {name}"), decision(&heads)));
        subjects.push((format!("decision, known token, {name}"), decision(&heads[..1])));
    }
    subjects
}

/// The head of a request, as Envoy hands it over.
fn head(token: &str) -> Value {
    json!([
        [":authority", "api.example"],
        [":path", "/orders"],
        [":method", "GET"],
        [":scheme", "http"],
        ["user-agent", "bench/1.0"],
        ["accept", "*/*"],
        ["x-request-id", "6ba7b810-9dad-41d1-80b4-00c04fd430c8"],
        ["authorization", format!("Bearer {token}")],
        ["x-forwarded-proto", "http"],
    ])
}

/// The probe as a program of this machine.
struct Native {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Native {
    fn start(program: &std::path::Path) -> Result<Self, String> {
        let mut process = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the probe has no input and output".to_owned());
        };
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    fn ask(&mut self, job: &Value) -> Result<Value, String> {
        let mut line = String::new();
        writeln!(self.input, "{job}")
            .and_then(|()| self.output.read_line(&mut line))
            .map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        match answer.get("error") {
            Some(error) => Err(error.to_string()),
            None => Ok(answer),
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // It would end with its input anyway.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
