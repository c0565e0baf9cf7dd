//! The request that is asked about, with the token where it would be.

use jwt_gate::config::{Config, Provider};
use jwt_gate::extract::percent_encode;
use jwt_gate::request::RequestHead;

use crate::args::ExplainArguments;
use crate::files;
use crate::output::Trouble;

/// A request.
pub struct Request {
    pub head: RequestHead,
    /// Method and address, without the query, which may hold a token.
    pub shown: String,
    /// What was done to make it one.
    pub notes: Vec<String>,
    /// What the proxy would know beside the headers.
    pub properties: Vec<(String, String)>,
}

impl Request {
    pub fn new(arguments: &ExplainArguments, config: &Config) -> Result<Self, Trouble> {
        let mut notes = Vec::new();
        let (method, url) = match arguments.request.as_slice() {
            [method, url] => (method.to_uppercase(), url.clone()),
            _ => ("GET".to_owned(), "/".to_owned()),
        };
        let (scheme, authority, mut path) = split(&url)?;
        let mut headers = vec![(":method".to_owned(), method.clone())];
        headers.push((":scheme".to_owned(), scheme.clone()));
        headers.push((":authority".to_owned(), authority.clone()));
        for header in &arguments.header {
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| Trouble::new("-H: expected a header as `name: value`".to_owned()))?;
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        if let Some(token) = arguments.token.as_deref().map(token).transpose()? {
            let place = Place::of(config);
            notes.push(format!("the token is put {}", place.words()));
            match place {
                Place::Header(name, prefix) => headers.push((name, prefix + &token)),
                Place::Cookie(name) => {
                    headers.push(("cookie".to_owned(), format!("{name}={token}")))
                }
                Place::Param(name) => {
                    let mark = if path.contains('?') { '&' } else { '?' };
                    let token = percent_encode(token.as_bytes());
                    path = format!("{path}{mark}{name}={}", String::from_utf8_lossy(&token));
                }
            }
        }
        headers.insert(1, (":path".to_owned(), path.clone()));
        let bare = path.split(['?', '#']).next().unwrap_or_default();
        let properties = arguments.property.iter().map(|property| {
            let (name, value) = property.split_once('=').ok_or_else(|| {
                Trouble::new("--property: expected NAME=VALUE, such as xds.route_name=main")
            })?;
            Ok((name.to_owned(), value.to_owned()))
        });
        let properties = properties.collect::<Result<_, Trouble>>()?;
        let octets = |(name, value): (String, String)| (name.into_bytes(), value.into_bytes());
        Ok(Self {
            head: RequestHead::new(headers.into_iter().map(octets).collect()),
            shown: format!("{method} {scheme}://{authority}{bare}"),
            notes,
            properties,
        })
    }
}

/// Scheme, host and the rest of an address; a path alone is one, too.
fn split(url: &str) -> Result<(String, String, String), Trouble> {
    if url.starts_with('/') || url == "*" {
        return Ok(("https".to_owned(), "localhost".to_owned(), url.to_owned()));
    }
    let parts = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
    let Some((scheme, rest)) = parts else {
        return Err(Trouble::new(
            "--request: expected a method and an address or a path, such as `GET https://api.example/orders` or `GET /orders`",
        ));
    };
    let (host, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at_checked(at).unwrap_or((rest, "")),
        None => (rest, ""),
    };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok((scheme.to_owned(), host.to_owned(), path))
}

/// The token itself, from `@FILE` or standard input where that is said.
pub fn token(argument: &str) -> Result<String, Trouble> {
    let text = match argument.strip_prefix('@') {
        Some(file) => files::read_text(file.as_ref())?,
        None if argument == "-" => files::read_text("-".as_ref())?,
        None => argument.to_owned(),
    };
    let text = text.trim();
    let scheme = text.get(..7).filter(|start| start.eq_ignore_ascii_case("bearer "));
    let token = scheme.map_or(text, |start| text.get(start.len()..).unwrap_or_default().trim());
    if token.is_empty() {
        return Err(Trouble::new("there is no token"));
    }
    Ok(token.to_owned())
}

/// Where a token is put.
enum Place {
    Header(String, String),
    Cookie(String),
    Param(String),
}

impl Place {
    /// The usual header if some provider looks there, or else the first place of any.
    fn of(config: &Config) -> Self {
        let usual = || Self::Header("authorization".to_owned(), "Bearer ".to_owned());
        let is_default = |own: &Provider| {
            own.from_headers.is_empty() && own.from_params.is_empty() && own.from_cookies.is_empty()
        };
        let providers = || config.providers.values();
        if providers().any(is_default) {
            return usual();
        }
        let headers = || providers().flat_map(|own| &own.from_headers);
        let first =
            headers().find(|from| from.name == "authorization").or_else(|| headers().next());
        let first = first.map(|from| Self::Header(from.name.clone(), from.value_prefix.clone()));
        let cookie =
            || providers().flat_map(|own| &own.from_cookies).next().cloned().map(Self::Cookie);
        let param =
            || providers().flat_map(|own| &own.from_params).next().cloned().map(Self::Param);
        first.or_else(cookie).or_else(param).unwrap_or_else(usual)
    }

    fn words(&self) -> String {
        match self {
            Self::Header(name, prefix) => format!("into the header {name}, behind `{prefix}`"),
            Self::Cookie(name) => format!("into the cookie {name}"),
            Self::Param(name) => format!("into the query parameter {name}"),
        }
    }
}
