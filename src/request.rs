//! The head of a request, and what to change in the request: plain values.
//!
//! Header names are in lower case, as Envoy holds them; values are octets, since HTTP does not
//! promise more.

use std::ops::Range;

/// Header fields in one piece of memory, as the host hands them over: a request has a dozen of them,
/// and most are never looked at.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fields {
    octets: Vec<u8>,
    places: Vec<Place>,
}

/// Where a field is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// Its name.
    pub name: Range<usize>,
    /// Its value.
    pub value: Range<usize>,
}

impl Fields {
    /// Fields at these places; one that is beyond the end counts as empty.
    pub fn new(octets: Vec<u8>, places: Vec<Place>) -> Self {
        Self { octets, places }
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let text = |range: &Range<usize>| self.octets.get(range.clone()).unwrap_or_default();
        self.places.iter().map(move |place| (text(&place.name), text(&place.value)))
    }
}

impl FromIterator<(Vec<u8>, Vec<u8>)> for Fields {
    fn from_iter<T: IntoIterator<Item = (Vec<u8>, Vec<u8>)>>(pairs: T) -> Self {
        let mut fields = Self::default();
        let append = |octets: &mut Vec<u8>, text: Vec<u8>| {
            let start = octets.len();
            octets.extend(text);
            start..octets.len()
        };
        for (name, value) in pairs {
            let name = append(&mut fields.octets, name);
            let value = append(&mut fields.octets, value);
            fields.places.push(Place { name, value });
        }
        fields
    }
}

/// The head of a request as the host handed it over.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestHead {
    fields: Fields,
    properties: Vec<(PropertyPath, Vec<u8>)>,
    /// The path with which it came, where it has another one by now.
    sent_path: Option<Vec<u8>>,
}

/// The path of a property that the proxy knows of a request, such as `xds`, `route_name`.
pub type PropertyPath = Vec<String>;

impl RequestHead {
    /// A head of these headers, pseudo-headers included, in their order.
    pub fn new(headers: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        Self::of(headers.into_iter().collect())
    }

    /// The same, as the host hands them over.
    pub fn of(fields: Fields) -> Self {
        Self { fields, ..Self::default() }
    }

    /// The same head, with what the proxy knows beside the headers.
    pub fn with_properties(self, properties: Vec<(PropertyPath, Vec<u8>)>) -> Self {
        Self { properties, ..self }
    }

    /// The same head with another path before the query.
    pub fn with_path(&self, path: &[u8]) -> Self {
        let rest = self.path_and_query().get(self.path().len()..).unwrap_or_default();
        let target = [path, rest].concat();
        let headers = self.headers().map(|(name, value)| match name {
            b":path" => (name.to_vec(), target.clone()),
            _ => (name.to_vec(), value.to_vec()),
        });
        let (properties, sent_path) = (self.properties.clone(), Some(self.sent_path().to_vec()));
        Self { fields: headers.collect(), properties, sent_path }
    }

    /// The property at `path`, if it was asked for and the proxy knows it.
    pub fn property(&self, path: &PropertyPath) -> Option<&[u8]> {
        let found = self.properties.iter().find(|(own, _)| own == path);
        found.map(|(_, value)| value.as_slice())
    }

    /// Whether this is a gRPC request, by Envoy's rule: `application/grpc`, alone or with `+` and
    /// a suffix or parameters.
    pub fn is_grpc(&self) -> bool {
        let rest =
            self.value("content-type").and_then(|kind| kind.strip_prefix(b"application/grpc"));
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    }

    /// Whether this is a CORS preflight (Fetch standard, as Envoy recognises it).
    pub fn is_cors_preflight(&self) -> bool {
        let has = |name| self.value(name).is_some_and(|value| !value.is_empty());
        self.value(":method") == Some(b"OPTIONS")
            && has("origin")
            && has("access-control-request-method")
    }

    /// All headers.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter()
    }

    /// Every value of the header `name`.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers().filter(move |(own, _)| *own == name.as_bytes()).map(|(_, value)| value)
    }

    /// The first value of the header `name`.
    pub fn value<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// The path and the query; empty when there is none, as in `CONNECT`.
    pub fn path_and_query(&self) -> &[u8] {
        self.value(":path").unwrap_or_default()
    }

    /// The path without query and fragment.
    pub fn path(&self) -> &[u8] {
        let whole = self.path_and_query();
        whole.split(|octet| matches!(octet, b'?' | b'#')).next().unwrap_or_default()
    }

    /// The path without query and fragment with which it came, whatever the gate made of it.
    pub fn sent_path(&self) -> &[u8] {
        self.sent_path.as_deref().unwrap_or_else(|| self.path())
    }

    /// The path that the client asked for, before routes changed it, as Envoy keeps it.
    pub fn original_path(&self) -> &[u8] {
        match self.value("x-envoy-original-path") {
            Some(path) => {
                path.split(|octet| matches!(octet, b'?' | b'#')).next().unwrap_or_default()
            }
            None => self.path(),
        }
    }

    /// The query without its `?`, up to a fragment.
    pub fn query(&self) -> Option<&[u8]> {
        let whole = self.path_and_query();
        let start = whole.iter().position(|octet| matches!(octet, b'?' | b'#'))?;
        match whole.get(start..)?.split_first()? {
            (b'?', rest) => rest.split(|octet| *octet == b'#').next(),
            _ => None,
        }
    }
}

/// Whether some backend may read this name of a header as that one: CGI and its heirs make `_` of `-`
/// (RFC 3875 section 4.1.18), some of all that is neither letter nor digit.
pub fn header_reads_as(name: &[u8], own: &[u8]) -> bool {
    let fold = |octet: &u8| match octet {
        // HTTP/2's own names are no headers.
        octet if octet.is_ascii_alphanumeric() || *octet == b':' => octet.to_ascii_lowercase(),
        _ => b'-',
    };
    name.len() == own.len() && name.iter().map(fold).eq(own.iter().map(fold))
}

/// One change to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RequestEdit {
    /// Adds a value beside those that are there.
    Add(String, Vec<u8>),
    /// Takes every value of the name away.
    Remove(Vec<u8>),
    /// Puts this value in place of all others.
    Replace(String, Vec<u8>),
    /// Has the proxy choose the route again, by the changed headers.
    ClearRouteCache,
    /// Leaves a text for later filters and the access log, in the filter state.
    State(String, Vec<u8>),
    /// The same, for the access log only: nobody is refused for want of it.
    Record(String, Vec<u8>),
}

/// A text for the access log, and its key in the filter state.
pub type RecordEntry = (&'static str, String);

/// The changes to make before a request goes on, in this order.
pub type RequestEdits = Vec<RequestEdit>;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A head of these headers.
    pub(crate) fn head(headers: &[(&str, &str)]) -> RequestHead {
        let octets = |text: &str| text.as_bytes().to_vec();
        let fields = headers.iter().map(|(name, value)| (octets(name), octets(value)));
        RequestHead::new(fields.collect())
    }

    #[test]
    fn names_of_headers_that_read_alike() {
        for name in ["x-jwt", "x_jwt", "X-JWT", "x.jwt", "x~jwt"] {
            assert!(header_reads_as(name.as_bytes(), b"x-jwt"), "{name}");
            assert!(header_reads_as(b"X_Jwt", name.as_bytes()), "{name}");
        }
        for name in ["xjwt", "x-jw", "x--jwt", "x-jwt-", ":-jwt", "", "-path"] {
            assert!(!header_reads_as(name.as_bytes(), b"x-jwt"), "{name}");
        }
        assert!(!header_reads_as(b":path", b"-path"));
    }

    #[test]
    fn path_and_query() {
        #[track_caller]
        fn check(whole: &str, path: &str, query: Option<&str>) {
            let head = RequestHead::new(vec![(b":path".to_vec(), whole.as_bytes().to_vec())]);
            assert_eq!(head.path(), path.as_bytes());
            assert_eq!(head.query(), query.map(str::as_bytes));
        }
        check("/a", "/a", None);
        check("/a?b=c", "/a", Some("b=c"));
        check("/a?b=c#d?e", "/a", Some("b=c"));
        check("/a#?b=c", "/a", None);
        check("/a?", "/a", Some(""));
        check("/a??b", "/a", Some("?b"));
        check("", "", None);
        assert_eq!(RequestHead::default().path(), b"");
    }
}
