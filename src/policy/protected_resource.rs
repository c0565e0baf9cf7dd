//! OAuth protected resource metadata (RFC 9728): the document that tells clients which issuers they may
//! ask for tokens, and which requests it is about.

use serde_json::{Map, Value};

use crate::config::protected_resource as wire;
use crate::config::reader::Errors;
use crate::jwks::source::Address;
use crate::policy::Provider;
use crate::request::RequestHead;

/// Where the document is, in front of the resource's own path (RFC 9728 section 3.1).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// How long clients may keep it, in seconds: an hour.
const MAX_AGE: &str = "max-age=3600";

/// One of `protected_resources`, compiled.
#[derive(Debug)]
pub(super) struct ProtectedResource {
    /// In lower case, without the port of a scheme; none: any.
    hosts: Option<Vec<String>>,
    /// Without a slash at its end.
    path: String,
    /// Where the document is.
    pub(super) document_path: String,
    address: String,
    document: String,
}

/// What the gate says itself, beside refusals.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Served {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body.
    pub body: String,
}

impl ProtectedResource {
    /// Compiles all of them; one that another one hides is a mistake.
    pub(super) fn compile_all(
        wire: Vec<wire::ProtectedResource>,
        providers: &[Provider],
        errors: &Errors,
    ) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for wire in wire {
            let path = format!("{}.resource", wire.path);
            let Some(own) = Self::compile(wire, providers, errors) else { continue };
            if all.iter().any(|other| other.address == own.address) {
                errors.push(&path, "is in the list twice");
            }
            all.push(own);
        }
        all
    }

    fn compile(
        wire: wire::ProtectedResource,
        providers: &[Provider],
        errors: &Errors,
    ) -> Option<Self> {
        if wire.resource.is_empty() {
            // Said already: it is required.
            return None;
        }
        let address =
            Some(wire.resource.as_str()).filter(|text| !text.contains(['#', '?', '"', '\\']));
        let address = address.and_then(|text| Address::parse(text, "")).filter(is_secure);
        // The document repeats it, and clients compare it with the address they came by (RFC 9728
        // section 3.3).
        let is_normal = |address: &Address| {
            let origin = format!("{}://{}", address.scheme, address.authority);
            let path = wire.resource.strip_prefix(&origin);
            path.is_some_and(|path| path.is_empty() || path == address.path)
        };
        let address = address.filter(is_normal);
        let Some(address) = address else {
            errors.push(
                &format!("{}.resource", wire.path),
                "expected an https address without query and fragment, its host in lower case and \
                 without the port that goes without saying, such as https://api.example/v1 (http is \
                 for hosts of the machine itself)",
            );
            return None;
        };
        let path = if address.path == "/" { "" } else { &address.path };
        let document_path = format!("{WELL_KNOWN}{path}");
        let mut hosts: Vec<_> = wire.hosts.iter().map(|host| comparable(host)).collect();
        hosts.push(comparable(&address.authority));
        let any_host = hosts.iter().any(|host| host == "*");
        Some(Self {
            hosts: (!any_host).then_some(hosts),
            path: path.trim_end_matches('/').to_owned(),
            address: format!("{}://{}{document_path}", address.scheme, address.authority),
            document_path,
            document: document(wire, providers).to_string(),
        })
    }

    fn is_asked_at(&self, head: &RequestHead) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| {
            let host = String::from_utf8_lossy(head.value(":authority").unwrap_or_default());
            hosts.contains(&comparable(&host))
        })
    }

    /// Whether a request to this path is one to the resource.
    fn covers(&self, path: &[u8]) -> bool {
        let rest = path.strip_prefix(self.path.as_bytes());
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
    }
}

/// The address of the metadata of the resource that is asked for: the most precise one.
pub(super) fn metadata_address<'r>(
    resources: &'r [ProtectedResource],
    head: &RequestHead,
) -> Option<&'r str> {
    let path = head.original_path();
    let concerned = |own: &&ProtectedResource| own.covers(path) && own.is_asked_at(head);
    let found = resources.iter().filter(concerned).max_by_key(|own| own.path.len());
    found.map(|own| own.address.as_str())
}

/// The document, if the request asks for one.
pub(super) fn serve(resources: &[ProtectedResource], head: &RequestHead) -> Option<Served> {
    let path = head.path();
    let is_it = |own: &&ProtectedResource| own.document_path.as_bytes() == path;
    let found = resources.iter().filter(is_it).find(|own| own.is_asked_at(head))?;
    // Clients in browsers read it from anywhere, and send headers of their own.
    let mut headers = vec![("access-control-allow-origin", "*")];
    let (status, body) = match head.value(":method").unwrap_or_default() {
        b"GET" | b"HEAD" => {
            headers.push(("content-type", "application/json"));
            headers.push(("cache-control", MAX_AGE));
            (200, found.document.clone())
        }
        b"OPTIONS" => {
            headers.push(("access-control-allow-methods", "GET, HEAD"));
            headers.push(("access-control-allow-headers", "*"));
            (204, String::new())
        }
        _ => {
            headers.push(("allow", "GET, HEAD, OPTIONS"));
            (405, String::new())
        }
    };
    Some(Served { status, headers, body })
}

/// RFC 9728 section 2.
fn document(wire: wire::ProtectedResource, providers: &[Provider]) -> Value {
    let mut document = Map::new();
    document.insert("resource".to_owned(), wire.resource.into());
    let servers = match wire.authorization_servers.is_empty() {
        true => issuers(providers),
        false => wire.authorization_servers,
    };
    for (name, list) in
        [("authorization_servers", servers), ("scopes_supported", wire.scopes_supported)]
    {
        // Section 3.2: members without a value are left out.
        if !list.is_empty() {
            document.insert(name.to_owned(), list.into());
        }
    }
    if providers.iter().any(Provider::takes_bearer_header) {
        document.insert("bearer_methods_supported".to_owned(), vec!["header"].into());
    }
    document.extend(possession(providers));
    document.extend(wire.metadata);
    Value::Object(document)
}

/// What it says of tokens that are bound to those who present them. What only some providers ask is not
/// required.
fn possession(providers: &[Provider]) -> Vec<(String, Value)> {
    let own = || providers.iter().map(|provider| &provider.possession);
    let mut said = Vec::new();
    let names =
        own().filter_map(|own| own.dpop()).flat_map(|dpop| dpop.algorithm_names().split(' '));
    let mut algorithms: Vec<&str> = Vec::new();
    for name in names {
        if !algorithms.contains(&name) {
            algorithms.push(name);
        }
    }
    if !algorithms.is_empty() {
        said.push(("dpop_signing_alg_values_supported".to_owned(), algorithms.into()));
        if own().all(|own| !own.takes_bearer_tokens()) {
            said.push(("dpop_bound_access_tokens_required".to_owned(), true.into()));
        }
    }
    if own().any(|own| own.mtls().is_some()) {
        said.push(("tls_client_certificate_bound_access_tokens".to_owned(), true.into()));
    }
    said
}

/// The issuers that are addresses, which is what clients can ask.
fn issuers(providers: &[Provider]) -> Vec<String> {
    let mut issuers: Vec<String> = Vec::new();
    for issuer in providers.iter().flat_map(|provider| provider.issuers.listed()) {
        let is_address = Address::parse(issuer, "").is_some_and(|address| is_secure(&address));
        if is_address && !issuers.contains(issuer) {
            issuers.push(issuer.clone());
        }
    }
    issuers
}

fn is_secure(address: &Address) -> bool {
    let authority = address.authority.as_str();
    // An IPv6 address has colons of its own, within brackets.
    let port = authority
        .rfind(':')
        .filter(|place| !authority.get(*place..).unwrap_or_default().contains(']'));
    let host = port.and_then(|place| authority.get(..place)).unwrap_or(authority);
    address.scheme == "https" || ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}

/// A host in lower case, without the port of a scheme, which clients may leave out.
fn comparable(authority: &str) -> String {
    let authority = authority.to_ascii_lowercase();
    let bare = authority.strip_suffix(":443").or_else(|| authority.strip_suffix(":80"));
    bare.unwrap_or(&authority).to_owned()
}
