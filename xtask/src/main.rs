//! The commands of jwt-gate's developers. They need Rust, a C linker and Python 3;
//! the wasm target and Envoy are installed when missing.

mod assure;
mod bench;
mod demo;
mod docs;
mod image;
mod test;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jwt_gate_demo::wasm;

const HELP: &str = "\
cargo xtask demo          build everything, play the story, stay up until Ctrl-C
cargo xtask demo --once   the same, but end after the story; the exit code tells how it went
cargo xtask test          all checks and tests, as the CI runs them
cargo xtask test --quick  the same without Envoy
cargo xtask assure        all evidence in one table: vectors, attacks, fuzzing, load, memory (half an
                          hour)
cargo xtask assure --long the same with an hour of fuzzing for each target, a million requests, a
                          thousand changes of keys
cargo xtask assure [--long] WORD
                          the suites with WORD in their names
cargo xtask bench         measure beside the native filter (ten minutes)
cargo xtask bench --quick the same in a minute, roughly
cargo xtask bench [--quick] WORD
                          one section only (cost, traffic, start, heap, micro), or the scenes of
                          cost with WORD in their names
cargo xtask build         build the filter and print where it is
cargo xtask build --portable  the same for hosts whose engine refuses relaxed SIMD
cargo xtask docs          make the JSON Schema and the reference of the configuration anew
cargo xtask image         build what a release consists of: modules, images, bills of materials,
                          checksums

ENVOY and ENVOY_OLDEST may name Envoy binaries to use instead of downloaded ones.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["demo"] => demo::run(demo::Then::StayUp),
        ["demo", "--once"] => demo::run(demo::Then::End),
        ["test"] => test::run(test::Extent::All),
        ["test", "--quick"] => test::run(test::Extent::WithoutEnvoy),
        ["assure"] => assure::run(false, None),
        ["assure", "--long"] => assure::run(true, None),
        ["assure", "--long", word] => assure::run(true, Some(word)),
        ["assure", word] => assure::run(false, Some(word)),
        ["bench"] => bench::run(bench::Extent::Full, None),
        ["bench", "--quick"] => bench::run(bench::Extent::Quick, None),
        ["bench", "--quick", scene] => bench::run(bench::Extent::Quick, Some(scene)),
        ["bench", scene] => bench::run(bench::Extent::Full, Some(scene)),
        ["build"] => build(wasm::build_filter),
        ["build", "--portable"] => build(wasm::build_portable_filter),
        ["docs"] => docs::run(),
        ["image"] => image::run(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("cargo xtask does not know {arguments:?}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build(filter: fn(&Path) -> Result<PathBuf, String>) -> Result<(), String> {
    tools::check(&[tools::LINKER])?;
    println!("{}", filter(&wasm::workspace())?.display());
    Ok(())
}
