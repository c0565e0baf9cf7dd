//! jwt-gate verifies JSON Web Tokens inside Envoy and Istio: a Proxy-Wasm filter.
//!
//! The modules, in the order in which a request meets them:
//!
//! | module | what it knows |
//! |---|---|
//! | `host` | the proxy: reads facts, carries out effects (wasm32 only) |
//! | [`engine`] | events and time in, decisions and effects out |
//! | [`header_pairs`] | how the host encodes headers |
//! | [`request`] | the head of a request, and changes to it |
//! | [`policy`] | the compiled configuration, and how it decides |
//! | [`authorize`] | conditions on claims, and whether they are met |
//! | [`extract`] | where tokens are |
//! | [`jose`] | tokens, keys, signatures |
//! | [`claims`] | registered claims, and the checks at a time |
//! | [`jwks`] | key sets, and how they stay fresh |
//! | [`revocation`] | lists of revoked tokens |
//! | [`denial`] | refusals, and what clients are told |
//! | [`config`] | the configuration as written |
//! | [`text`], [`path`] | texts and paths against patterns |
//! | [`json`], [`time`], [`expression`], [`issuer`] | strict JSON; the time; regular expressions; patterns of issuers |
//! | [`single_use`] | what may be used once |
//! | `sorted` | sorted maps |
//!
//! `ARCHITECTURE.md` says what each of them must not know.

pub mod authorize;
pub mod claims;
pub mod config;
pub mod denial;
pub mod engine;
pub mod expression;
pub mod extract;
pub mod header_pairs;
#[cfg(all(feature = "plugin", target_arch = "wasm32"))]
mod host;
pub mod issuer;
pub mod jose;
pub mod json;
pub mod jwks;
pub mod path;
pub mod policy;
pub mod request;
pub mod revocation;
pub mod single_use;
mod sorted;
pub mod text;
pub mod time;
