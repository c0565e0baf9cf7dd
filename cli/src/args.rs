//! The arguments, completions for shells, and the manual page.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
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
    /// Make a key that signs tokens.
    Keygen(KeygenArguments),
    /// Sign a token.
    Sign(SignArguments),
    /// Show what a token says, without verifying it.
    Inspect(InspectArguments),
    /// Look at a key set: kinds, sizes, duplicates, private parts.
    Jwks(JwksArguments),
    /// Convert the configuration of another system, and list what has no equivalent.
    Import(ImportArguments),
    /// Print what a configuration consists of, as a JSON Schema for editors.
    Schema(SchemaArguments),
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

#[derive(Args, Debug)]
pub struct KeygenArguments {
    /// What it signs: RS256 to RS512, PS256 to PS512, ES256, ES384, ES512, EdDSA, HS256 to HS512.
    #[arg(long, default_value = "ES256")]
    pub alg: String,
    /// Its name; by default the thumbprint of RFC 7638, and for a secret a random one.
    #[arg(long)]
    pub kid: Option<String>,
    /// The size of an RSA key: 2048, 3072, 4096 or 8192.
    #[arg(long)]
    pub bits: Option<usize>,
    /// What the files hold.
    #[arg(long, value_enum, default_value = "jwk")]
    pub format: Format,
    /// Where the private key goes, for its owner's eyes only (mode 0600). Without it: standard output.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where the public half goes.
    #[arg(long, value_name = "FILE")]
    pub public: Option<PathBuf>,
    /// Replace files that are there.
    #[arg(long)]
    pub force: bool,
}

/// What a file of keys holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// A JSON Web Key.
    Jwk,
    /// A set of one.
    Jwks,
    /// PKCS#8 and SubjectPublicKeyInfo in PEM.
    Pem,
}

#[derive(Args, Debug)]
pub struct SignArguments {
    /// The private key: a JWK, a set of them, or PEM.
    #[arg(long, short, value_name = "FILE")]
    pub key: PathBuf,
    /// The algorithm, for keys that serve several.
    #[arg(long)]
    pub alg: Option<String>,
    /// The `kid`: picks a key of a set, or names one that has no name.
    #[arg(long)]
    pub kid: Option<String>,
    /// The `typ`.
    #[arg(long, default_value = "JWT")]
    pub typ: String,
    /// A file of claims, a JSON object; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub claims: Option<PathBuf>,
    /// A claim. The value is JSON if it reads as such, else text.
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub claim: Vec<String>,
    /// A member of the header, likewise.
    #[arg(long, value_name = "NAME=VALUE")]
    pub header: Vec<String>,
    /// The issuer.
    #[arg(long)]
    pub iss: Option<String>,
    /// The subject.
    #[arg(long)]
    pub sub: Option<String>,
    /// One audience of several, or the only one.
    #[arg(long)]
    pub aud: Vec<String>,
    /// The scopes, separated by spaces.
    #[arg(long)]
    pub scope: Option<String>,
    /// When it ends: a time as for `explain --at`, or `none`. Without one: +1h.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub exp: Option<String>,
    /// When it begins, likewise. Without one: none.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub nbf: Option<String>,
    /// When it was made, likewise. Without one: now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub iat: Option<String>,
    /// Where the token goes (mode 0600). Without it: standard output.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace a file that is there.
    #[arg(long)]
    pub force: bool,
}

#[derive(Args, Debug)]
pub struct InspectArguments {
    /// The token; `@FILE` reads it from a file, `-` from standard input.
    pub token: String,
}

#[derive(Args, Debug)]
pub struct JwksArguments {
    /// The key set; `-` for standard input.
    pub file: PathBuf,
    /// As `allow_weak_keys` in the configuration.
    #[arg(long)]
    pub allow_weak_keys: bool,
    /// Count warnings as errors.
    #[arg(long)]
    pub strict: bool,
}

#[derive(Args, Debug)]
pub struct ImportArguments {
    /// Whose configuration it is.
    #[arg(value_enum)]
    pub from: From,
    /// The file, JSON or YAML; `-` for standard input.
    pub file: PathBuf,
}

/// Whose configuration is converted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum From {
    /// Istio's RequestAuthentication and AuthorizationPolicy, as WasmPlugins.
    Istio,
    /// Envoy's own jwt_authn, as a plugin configuration.
    Envoy,
    /// Higress' jwt-auth.
    Higress,
    /// The JWT plug-in of Alibaba Cloud's API Gateway.
    Alibaba,
    /// Kong's jwt plugin in a declarative configuration.
    Kong,
}

#[derive(Args, Debug)]
pub struct SchemaArguments {
    /// As a page for people, in Markdown.
    #[arg(long)]
    pub reference: bool,
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
