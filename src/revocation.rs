//! What says that tokens are good no longer: a list that somebody keeps ([`deny_list`]),
//! and the list in which an issuer keeps the states of its tokens ([`status_list`],
//! [`status_token`]).
//!
//! Only claims of verified tokens are compared with it, as whole texts; nothing here looks at how a
//! token is spelt.

pub mod deny_list;
pub mod logouts;
pub mod status_list;
pub mod status_token;
