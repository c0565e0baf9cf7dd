//! Trailers of requests. Proxies and backends exist that add them to the headers, which they must not do
//! unasked (RFC 9110 section 6.5.1): there, too, nobody but the gate says who calls, and no token comes that
//! was not verified.

use crate::extract::TokenLocation;
use crate::policy::Policy;
use crate::request::{Fields, header_reads_as};
use crate::sorted;

impl Policy {
    /// The names of those that must go: what the gate writes, and the headers in which tokens come.
    pub fn struck_trailers(&self, trailers: &Fields) -> Vec<Vec<u8>> {
        let struck = trailers.iter().map(|(name, _)| name).filter(|name| self.is_struck(name));
        sorted::list(struck.map(<[u8]>::to_vec))
    }

    fn is_struck(&self, name: &[u8]) -> bool {
        let locations = self.providers.iter().flat_map(|provider| &provider.locations);
        self.identity_headers.has(name)
            || locations.into_iter().any(|location| match location {
                TokenLocation::Header { name: own, .. } => header_reads_as(name, own.as_bytes()),
                TokenLocation::Cookie { .. } => name == b"cookie",
                TokenLocation::Param { .. } => false,
            })
    }
}
