//! `jwt-gate`: checks configurations, explains decisions, makes keys and tokens. `docs/cli.md` has the
//! commands and exit codes.

mod args;
mod check;
mod explain;
mod files;
mod import;
mod inspect;
mod jwks;
mod keygen;
mod manifest;
mod output;
mod schema;
mod sign;
mod times;
mod tree;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Arguments, Command};
use crate::output::{Answer, Paint, Trouble};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let paint = Paint::new();
    let answer = run(&arguments, paint);
    output::tell(answer, arguments.json, paint)
}

fn run(arguments: &Arguments, paint: Paint) -> Result<Answer, Trouble> {
    match &arguments.command {
        Command::Check(own) => check::run(own, paint),
        Command::Explain(own) => explain::run(own, paint),
        Command::Import(own) => import::run(own, paint),
        Command::Inspect(own) => inspect::run(own, paint),
        Command::Jwks(own) => jwks::run(own, paint),
        Command::Keygen(own) => keygen::run(own),
        Command::Schema(own) => Ok(schema::run(own)),
        Command::Sign(own) => sign::run(own),
        Command::Completions { shell } => Ok(args::completions(*shell)),
        Command::Man => args::man(),
    }
}
