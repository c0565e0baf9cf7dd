//! OAuth protected resources (RFC 9728) as written. All of it is ours.

use serde_json::{Map, Value};

use crate::config::fields::Fields;
use crate::config::reader::Node;

/// One of `protected_resources`: its metadata is served, and challenges lead there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProtectedResource {
    /// The JSON path.
    pub path: String,
    /// The resource's identifier: the `https` address that clients use, without a fragment.
    pub resource: String,
    /// Other hosts under which requests for it arrive, with their ports if there are; `*`: any.
    pub hosts: Vec<String>,
    /// Issuers that clients may ask for tokens. Not set: the providers' issuers that are addresses.
    pub authorization_servers: Vec<String>,
    /// Scopes that requests to it may need.
    pub scopes_supported: Vec<String>,
    /// Other members of the document, such as `resource_name`, as they stand.
    pub metadata: Map<String, Value>,
}

reference! {
    /// An OAuth protected resource: its metadata is served, and challenges lead there.
    PROTECTED_RESOURCE = "ProtectedResource" ("answers.md#where-to-get-a-token-rfc-9728") {
        /// Its identifier, the address that clients use: `https` (`http` for `localhost`, `127.0.0.1`,
        /// `[::1]`), without query and fragment, in normal form. Requests to its host, whose path is its
        /// path or lies below it, are about it; of several resources the longest path counts.
        "resource": Text(Letters::SOME), ours, required, example("\"https://api.example/mcp\""),
            rfc("RFC 9728 section 3.3");
        /// Other hosts by which requests for it arrive, such as an internal name, with their port; `*`:
        /// any. Ports 80 and 443 count as none.
        "hosts": List(&Text(Letters::like("^(\\*|[A-Za-z0-9._:\\[\\]-]+)$")), 0), ours, default("none");
        /// Issuers that clients may ask.
        "authorization_servers": List(&Text(Letters::SOME), 0), ours,
            default("the providers' `issuer` and `issuers` that are `https` addresses");
        /// Scopes that it may ask for.
        "scopes_supported": List(&Text(Letters::SOME), 0), ours, default("left out");
        /// Other members of the document, as they stand (`resource_name`, `resource_documentation`,
        /// `jwks_uri`, …).
        "metadata": AnyObject(&OWN_MEMBERS), ours, default("none"), example("{ \"resource_name\": \"Tools\" }"),
            rfc("RFC 9728 section 2");
    }
}

/// Members that the gate writes itself.
const OWN_MEMBERS: [&str; 4] =
    ["resource", "authorization_servers", "scopes_supported", "signed_metadata"];

impl ProtectedResource {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            path: fields.path().to_owned(),
            resource: fields.required_text("resource"),
            hosts: fields.list("hosts", host),
            authorization_servers: fields.texts("authorization_servers"),
            scopes_supported: fields.texts("scopes_supported"),
            metadata: fields.get("metadata").and_then(|node| members(&node)).unwrap_or_default(),
        }
    }
}

/// A host with its port, if there is one; `*`: any.
fn host(node: Node<'_>) -> Option<String> {
    let host = node.non_empty_text()?;
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._:[]".contains(&octet);
    if host != "*" && !host.bytes().all(plain) {
        node.error("expected a host such as api.example or api.example:8443, or `*` for any");
    }
    Some(host)
}

fn members(node: &Node<'_>) -> Option<Map<String, Value>> {
    let members = node.any_object()?;
    for name in OWN_MEMBERS.iter().filter(|name| members.contains_key(**name)) {
        node.error(match *name {
            "signed_metadata" => "`signed_metadata` cannot be made here".to_owned(),
            name => format!("`{name}` is a field of its own, beside `metadata`"),
        });
    }
    Some(members.clone())
}
