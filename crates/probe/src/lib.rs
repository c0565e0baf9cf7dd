//! The probe: runs parts of jwt-gate wherever it is loaded, and tells what came of it. It is no part
//! of the product.
//!
//! Envoy loads it as a plugin, and it takes each request's body for a [`Job`] and answers it. The
//! program `probe` does the same natively. So tests and measurements ask one thing twice: once of
//! the code as it runs here, and once of the code as Envoy's engine compiled it.

#[cfg(target_arch = "wasm32")]
mod plugin;
pub mod timing;
pub mod tokens;
pub mod vectors;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the probe is asked to do.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Check signatures whose worth is known.
    Check(vectors::Group),
    /// Judge tokens whose worth is known.
    Judge(tokens::TokenGroup),
    /// Measure how long a thing takes.
    Time(timing::Measurement),
}

/// The time in nanoseconds, from whatever clock there is.
pub type Clock<'a> = &'a dyn Fn() -> u64;

/// Does what `job` asks for. The answer is an object: what came of it, or `{ "error": TEXT }`.
pub fn answer(job: &[u8], clock: Clock<'_>) -> Value {
    let done = match serde_json::from_slice(job) {
        Ok(Job::Check(group)) => vectors::check(&group).map(|tally| json!(tally)),
        Ok(Job::Judge(group)) => tokens::check(&group).map(|tally| json!(tally)),
        Ok(Job::Time(measurement)) => measurement.run(clock).map(|spent| json!(spent)),
        Err(error) => Err(error.to_string()),
    };
    done.unwrap_or_else(|error| json!({ "error": error }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_answered() {
        assert!(answer(b"{", &|| 0)["error"].is_string());
        assert!(answer(br#"{ "sing": {} }"#, &|| 0)["error"].is_string());
    }
}
