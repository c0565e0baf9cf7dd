//! The arguments, completions for shells, and the manual page.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use serde_json::json;

use crate::output::{Answer, Trouble};

/// Checks configurations of jwt-gate, explains its decisions, makes keys and tokens.
#[derive(Debug, Parser)]
#[command(name = "jwt-gate", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 good; 1 the answer is no (invalid, refused, flawed); \
    2 wrong arguments; 3 a file cannot be used, or something is missing for an answer.")]
pub struct Arguments {
    /// Answer as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Validate a configuration, and tell what it protects and what it leaves open.
    Check(CheckArguments),
    /// Decide about one request as the proxy would, and tell every step.
    Explain(ExplainArguments),
    /// Print completions for a shell.
    Completions { shell: Shell },
    /// Print the manual page.
    Man,
}

#[derive(Args, Debug)]
pub struct CheckArguments {
    /// The configuration (JSON or YAML), or an Envoy configuration or a WasmPlugin that holds it; `-`
    /// for standard input.
    #[arg(value_name = "CONFIG")]
    pub file: PathBuf,
    /// Count warnings as errors.
    #[arg(long)]
    pub strict: bool,
}

#[derive(Args, Debug)]
pub struct ExplainArguments {
    /// The configuration, as for `check`.
    #[arg(long, short, value_name = "CONFIG")]
    pub config: PathBuf,
    /// The token; `@FILE` reads it from a file, `-` from standard input, so that nobody sees it in
    /// the list of processes. Without one, the request has none.
    #[arg(long, short)]
    pub token: Option<String>,
    /// The key set that a fetch would bring; `PROVIDER=FILE` for one provider of several.
    #[arg(long, value_name = "[PROVIDER=]FILE")]
    pub jwks: Vec<String>,
    /// The request.
    #[arg(long, short, num_args = 2, value_names = ["METHOD", "URL"])]
    pub request: Vec<String>,
    /// A header of the request.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// What the proxy knows beside the headers, such as `xds.route_name=main`.
    #[arg(long, value_name = "NAME=VALUE")]
    pub property: Vec<String>,
    /// When: `now`, seconds since 1970, 2026-01-31T12:00:00Z, or a time from now on (`+1h`, `-5m`).
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    pub at: String,
}

/// Completions for a shell.
pub fn completions(shell: Shell) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "jwt-gate", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Answer::good(script.clone(), json!({ "script": script }))
}

/// The manual page: of the program, and behind it of each command.
pub fn man() -> Result<Answer, Trouble> {
    let mut page = Vec::new();
    let mut command = Arguments::command();
    command.build();
    let commands = command.get_subcommands().filter(|own| own.get_name() != "help").cloned();
    let pages: Vec<_> = std::iter::once(command.clone()).chain(commands).collect();
    for command in pages {
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| Trouble::new(format!("the page cannot be written: {error}")))?;
    }
    let page = String::from_utf8_lossy(&page).into_owned();
    Ok(Answer::good(page.clone(), json!({ "page": page })))
}
