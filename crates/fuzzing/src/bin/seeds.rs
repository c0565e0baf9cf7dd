//! Writes the seeds of every target into folders for `cargo fuzz`: `seeds fuzz/corpus`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use jwt_gate_fuzzing::TARGETS;
use jwt_gate_fuzzing::seeds::seeds;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: seeds FOLDER");
        return ExitCode::from(2);
    };
    for (name, _) in TARGETS {
        let folder = folder.join(name);
        let write = |(number, seed): (usize, Vec<u8>)| {
            fs::write(folder.join(format!("seed-{number:03}")), seed)
        };
        let written = fs::create_dir_all(&folder)
            .and_then(|()| seeds(name).into_iter().enumerate().try_for_each(write));
        if let Err(error) = written {
            eprintln!("{}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
