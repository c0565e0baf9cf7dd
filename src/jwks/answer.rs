//! An issuer's HTTP answer: what it brings, how long to keep it, or why it brings nothing.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use crate::jwks::board::is_etag;
use crate::jwks::key_set::KeySetError;
use crate::jwks::source::MetadataError;
use crate::revocation::deny_list::ListError;
use crate::revocation::status_list::StatusError;
use crate::time::UnixTime;

/// Header fields and body, as they came; pseudo-headers included.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// The fields.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// As much of the body as may be read.
    pub body: Vec<u8>,
}

/// What a good answer brings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fetched<'a> {
    /// The body; none when it is the same as before (304).
    pub body: Option<&'a [u8]>,
    /// How long the issuer wants it to be kept (RFC 9111 sections 4.2.1 and 5.2.2); none when it
    /// does not say.
    pub max_age: Option<Duration>,
    /// The entity tag, to ask for changes only.
    pub etag: Option<String>,
}

/// Why a fetch brought no keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FetchFailure {
    /// What went wrong.
    pub cause: Cause,
    /// How long the issuer wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// What went wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// The body is no usable key set.
    Body(KeySetError),
    /// The body is compressed, which nobody asked for.
    ContentCoding,
    /// The host did not take the request: most often the cluster does not exist.
    Dispatch,
    /// The body is no list of revoked tokens.
    List(ListError),
    /// The issuer's metadata does not lead to keys.
    Metadata(MetadataError),
    /// No answer came: connection refused or reset, TLS failure, time-out.
    NoAnswer,
    /// The keys are said to be elsewhere, which is not believed.
    Redirect(String),
    /// Another status than 200.
    Status(u16),
    /// The body is no list of token states.
    StatusList(StatusError),
}

impl Cause {
    /// The name in counters.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Body(KeySetError::NoKeys) => "body_no_keys",
            Self::Body(KeySetError::NoUsableKey(_)) => "body_no_usable_key",
            Self::Body(KeySetError::NotJson) => "body_not_json",
            Self::Body(KeySetError::TooLarge) => "body_too_large",
            Self::ContentCoding => "content_coding",
            Self::Dispatch => "dispatch",
            Self::List(error) => error.code(),
            Self::Metadata(MetadataError::NoCluster(_)) => "metadata_no_cluster",
            Self::Metadata(MetadataError::NoAddress) => "metadata_no_address",
            Self::Metadata(MetadataError::NotJson) => "metadata_not_json",
            Self::Metadata(MetadataError::OtherIssuer) => "metadata_other_issuer",
            Self::NoAnswer => "no_answer",
            Self::Redirect(_) => "redirect",
            Self::Status(_) => "status",
            Self::StatusList(error) => error.code(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(error) => write!(f, "the answer {error}"),
            Self::ContentCoding => f.write_str("the answer is compressed, which was not asked for"),
            Self::Dispatch => f.write_str("the request could not be sent; does the cluster exist?"),
            Self::List(error) => write!(f, "the list {error}"),
            Self::Metadata(error) => write!(f, "the issuer's metadata {error}"),
            Self::NoAnswer => f.write_str("no answer came in time"),
            Self::Redirect(to) => write!(f, "redirects are not followed, and this one is to {to}"),
            Self::StatusList(error) => write!(f, "the status list {error}"),
            Self::Status(status) => write!(f, "the answer has status {status}, not 200"),
        }
    }
}

impl From<Cause> for FetchFailure {
    fn from(cause: Cause) -> Self {
        Self { cause, retry_after: None }
    }
}

impl FetchFailure {
    /// Of two failures of one fetch: the one that says more, and the longer wish to be left alone.
    pub(super) fn or_later(self, later: Self) -> Self {
        let retry_after = self.retry_after.max(later.retry_after);
        let cause = match self.cause {
            Cause::Metadata(_) => self.cause,
            _ => later.cause,
        };
        Self { cause, retry_after }
    }
}

impl Answer {
    /// What the answer brings.
    pub fn read(&self, now: UnixTime) -> Result<Fetched<'_>, FetchFailure> {
        let status = self.value(":status").and_then(|status| status.parse::<u16>().ok());
        match status {
            None => return Err(Cause::NoAnswer.into()),
            Some(200) => {}
            Some(304) => return Ok(Fetched { body: None, ..self.fetched() }),
            Some(status @ (301 | 302 | 303 | 307 | 308)) => {
                let location = self.value("location").map(presentable);
                let cause = location.map_or(Cause::Status(status), Cause::Redirect);
                return Err(cause.into());
            }
            Some(status) => {
                let retry_after = self.retry_after(now);
                return Err(FetchFailure { cause: Cause::Status(status), retry_after });
            }
        }
        if self
            .value("content-encoding")
            .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
        {
            return Err(Cause::ContentCoding.into());
        }
        Ok(self.fetched())
    }

    fn fetched(&self) -> Fetched<'_> {
        // RFC 8259 section 8.1: a byte order mark may be ignored.
        let body = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body);
        let etag = self.value("etag").filter(|tag| is_etag(tag));
        Fetched { body: Some(body), max_age: self.max_age(), etag: etag.map(str::to_owned) }
    }

    /// What is left of the time for which the answer may be kept.
    fn max_age(&self) -> Option<Duration> {
        let directives = self.values("cache-control").flat_map(|value| value.split(','));
        let ages = directives.filter_map(|directive| {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-cache" | "no-store" => Some(0),
                "max-age" => value.trim().trim_matches('"').parse().ok(),
                _ => None,
            }
        });
        // Of two statements, the more cautious one.
        let age = self.value("age").and_then(|age| age.trim().parse().ok()).unwrap_or(0);
        ages.min().map(|max_age: u64| Duration::from_secs(max_age.saturating_sub(age)))
    }

    /// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.
    fn retry_after(&self, now: UnixTime) -> Option<Duration> {
        let value = self.value("retry-after")?.trim();
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(UnixTime::default().after(date).since(now))
    }

    fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let own = self.headers.iter().filter(move |(own, _)| own == name.as_bytes());
        own.filter_map(|(_, value)| str::from_utf8(value).ok())
    }
}

/// A location for a log line: without its query, in printable ASCII, of bounded length.
fn presentable(location: &str) -> String {
    const MAX: usize = 200;
    let plain = location.split(['?', '#']).next().unwrap_or_default();
    plain.chars().filter(char::is_ascii_graphic).take(MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let octets = |text: &str| text.as_bytes().to_vec();
        let headers = headers.iter().map(|(name, value)| (octets(name), octets(value)));
        Answer { headers: headers.collect(), body: body.to_vec() }
    }

    #[test]
    fn bodies() {
        let good = answer(&[(":status", "200"), ("content-type", "text/plain")], b"{}");
        assert_eq!(good.read(UnixTime::default()).unwrap().body, Some(&b"{}"[..]));
        let marked = answer(&[(":status", "200"), ("etag", "W/\"a\"")], b"\xef\xbb\xbf{}");
        let read = marked.read(UnixTime::default()).unwrap();
        assert_eq!((read.body, read.etag.as_deref()), (Some(&b"{}"[..]), Some("W/\"a\"")));
        let same = answer(&[(":status", "304"), ("cache-control", "max-age=5")], b"");
        let read = same.read(UnixTime::default()).unwrap();
        assert_eq!((read.body, read.max_age), (None, Some(Duration::from_secs(5))));
    }

    #[test]
    fn ages() {
        #[track_caller]
        fn check(headers: &[(&str, &str)], expected: Option<u64>) {
            let all = [&[(":status", "200")], headers].concat();
            let read = answer(&all, b"");
            let read = read.read(UnixTime::default()).unwrap().max_age;
            assert_eq!(read, expected.map(Duration::from_secs), "{headers:?}");
        }
        check(&[], None);
        check(&[("cache-control", "public, max-age=300")], Some(300));
        check(&[("cache-control", "Max-Age = \"300\" ,must-revalidate")], Some(300));
        check(&[("cache-control", "max-age=300"), ("age", "100")], Some(200));
        check(&[("cache-control", "max-age=300"), ("age", "1000")], Some(0));
        check(&[("cache-control", "max-age=300, max-age=20")], Some(20));
        check(&[("cache-control", "max-age=300"), ("cache-control", "no-cache")], Some(0));
        check(&[("cache-control", "no-store")], Some(0));
        check(&[("cache-control", "max-age=-1")], None);
        check(&[("cache-control", "max-age=99999999999999999999")], None);
        check(&[("cache-control", "private")], None);
    }

    #[test]
    fn failures() {
        #[track_caller]
        fn check(headers: &[(&str, &str)], cause: Cause, retry_after: Option<u64>) {
            let now = UnixTime::from_secs(784_111_777 - 60);
            let retry_after = retry_after.map(Duration::from_secs);
            let expected = FetchFailure { cause, retry_after };
            assert_eq!(answer(headers, b"").read(now), Err(expected), "{headers:?}");
        }
        check(&[], Cause::NoAnswer, None);
        check(&[(":status", "x")], Cause::NoAnswer, None);
        check(&[(":status", "404")], Cause::Status(404), None);
        check(&[(":status", "204")], Cause::Status(204), None);
        check(&[(":status", "503"), ("retry-after", "7")], Cause::Status(503), Some(7));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        check(&[(":status", "429"), ("retry-after", date)], Cause::Status(429), Some(60));
        let past = "Sun, 06 Nov 1994 08:00:00 GMT";
        check(&[(":status", "429"), ("retry-after", past)], Cause::Status(429), Some(0));
        check(&[(":status", "429"), ("retry-after", "soon")], Cause::Status(429), None);
        check(&[(":status", "302")], Cause::Status(302), None);
        check(
            &[(":status", "302"), ("location", "https://evil/k?token=\r\n x")],
            Cause::Redirect("https://evil/k".to_owned()),
            None,
        );
        let compressed = [(":status", "200"), ("content-encoding", "gzip")];
        check(&compressed, Cause::ContentCoding, None);
    }
}
