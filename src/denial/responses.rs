//! How a refusal looks, where the configuration wants it otherwise than the native filter has it.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::json;

use crate::config::error_responses::{self as wire, Format, Piece};
use crate::config::reader::Errors;
use crate::denial::Reason;
use crate::request::RequestHead;

/// `error_responses`, compiled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Responses {
    formats: Vec<Format>,
    hide_detail: bool,
    headers: Vec<(String, String)>,
    overrides: Vec<Override>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Override {
    reasons: Vec<Reason>,
    wire: wire::Override,
}

/// What the configuration makes of a refusal.
pub(super) struct Told {
    pub(super) status: u16,
    /// Beside the challenge.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Cow<'static, str>,
}

impl Responses {
    /// Compiles `wire`; none where it asks for nothing.
    pub fn compile(wire: wire::ErrorResponses, errors: &Errors) -> Option<Self> {
        if wire == wire::ErrorResponses::default() {
            return None;
        }
        let overrides = wire.overrides.into_iter().map(|wire| Override::compile(wire, errors));
        Some(Self {
            formats: wire.formats,
            hide_detail: wire.hide_detail,
            headers: wire.headers,
            overrides: overrides.collect(),
        })
    }

    /// Whether reasons are not told.
    pub(super) fn hide_detail(&self) -> bool {
        self.hide_detail
    }

    pub(super) fn tell(&self, reason: Reason, status: u16, head: &RequestHead) -> Told {
        let chosen = self.overrides.iter().find(|own| own.applies(reason, status));
        let status = chosen.and_then(|own| own.wire.status).unwrap_or(status);
        let told = self.told(reason, status);
        let mut headers = self.headers.clone();
        headers.extend(chosen.iter().flat_map(|own| own.wire.headers.iter().cloned()));
        // Envoy puts the text into `grpc-message`.
        let template = chosen.and_then(|own| Some((own.wire.body.as_ref()?, &own.wire)));
        let body = match template.filter(|_| !head.is_grpc()) {
            Some((pieces, wire)) => {
                headers.push(("content-type".to_owned(), wire.content_type.clone()));
                pieces.iter().map(|piece| told.piece(piece)).collect::<String>().into()
            }
            None => self.formatted(&told, head, &mut headers),
        };
        Told { status, headers, body }
    }

    /// What may be told.
    fn told(&self, reason: Reason, status: u16) -> Words {
        let title = title(status);
        match self.hide_detail {
            true => Words { status, title, reason: None, message: title },
            false => Words { status, title, reason: Some(reason.code()), message: reason.text() },
        }
    }

    fn formatted(
        &self,
        told: &Words,
        head: &RequestHead,
        headers: &mut Vec<(String, String)>,
    ) -> Cow<'static, str> {
        if self.formats.len() > 1 {
            headers.push(("vary".to_owned(), "accept".to_owned()));
        }
        let format = if head.is_grpc() { Format::Text } else { self.negotiate(head) };
        let Words { status, title, reason, message } = *told;
        let mut object = match format {
            // Envoy says `text/plain` itself.
            Format::Text => return message.into(),
            Format::Json => json!({ "status": status, "title": title }),
            Format::ProblemJson => {
                json!({ "type": "about:blank", "status": status, "title": title })
            }
        };
        if let (Some(reason), Some(members)) = (reason, object.as_object_mut()) {
            let message_name = if format == Format::Json { "message" } else { "detail" };
            members.insert(message_name.to_owned(), message.into());
            members.insert("reason".to_owned(), reason.into());
        }
        headers.push(("content-type".to_owned(), media_type(format).to_owned()));
        object.to_string().into()
    }

    /// The format that the client prefers (RFC 9110 section 12.5.1); the first where it does not
    /// say, or wants none of them: a refusal in a strange form is better than none.
    fn negotiate(&self, head: &RequestHead) -> Format {
        let first = self.formats.first().copied().unwrap_or(Format::Text);
        if self.formats.len() < 2 {
            return first;
        }
        let mut best = (0, first);
        for format in &self.formats {
            let quality = quality(media_type(*format), head);
            if quality > best.0 {
                best = (quality, *format);
            }
        }
        best.1
    }
}

impl Override {
    fn compile(wire: wire::Override, errors: &Errors) -> Self {
        let reasons = (0_usize..).zip(&wire.reasons).filter_map(|(index, code)| {
            let reason = Reason::from_code(code);
            if let Some(Reason::ConfigurationInvalid | Reason::HostFailed) = reason {
                let path = format!("{}.reasons[{index}]", wire.path);
                errors.push(&path, "has an answer of its own: there may be no configuration then");
            }
            if reason.is_none() {
                let known: Vec<_> = Reason::codes().collect();
                let path = format!("{}.reasons[{index}]", wire.path);
                errors.push(&path, format!("expected one of: {}", known.join(", ")));
            }
            reason
        });
        Self { reasons: reasons.collect(), wire }
    }

    fn applies(&self, reason: Reason, status: u16) -> bool {
        (self.reasons.is_empty() || self.reasons.contains(&reason))
            && (self.wire.statuses.is_empty() || self.wire.statuses.contains(&status))
    }
}

/// A refusal in words.
struct Words {
    status: u16,
    title: &'static str,
    reason: Option<&'static str>,
    message: &'static str,
}

impl Words {
    fn piece<'p>(&self, piece: &'p Piece) -> Cow<'p, str> {
        match piece {
            Piece::Literal(text) => text.into(),
            Piece::Message => self.message.into(),
            Piece::Reason => self.reason.unwrap_or("refused").into(),
            Piece::Status => self.status.to_string().into(),
            Piece::Title => self.title.into(),
        }
    }
}

fn media_type(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json",
        Format::ProblemJson => "application/problem+json",
        Format::Text => "text/plain",
    }
}

/// Most ranges of `Accept` that are looked at.
const MAX_RANGES: usize = 32;

/// How much the client wants this media type, in thousandths: what the most precise of its ranges
/// says.
fn quality(media_type: &str, head: &RequestHead) -> u16 {
    let kind = media_type.split('/').next().unwrap_or_default();
    let values = head.values("accept").flat_map(|value| value.split(|octet| *octet == b','));
    let ranges = values.take(MAX_RANGES).filter_map(|range| std::str::from_utf8(range).ok());
    let mut best = (0, 0);
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let precision = match name.split_once('/') {
            _ if name.eq_ignore_ascii_case(media_type) => 3,
            Some((own, "*")) if own.eq_ignore_ascii_case(kind) => 2,
            Some(("*", "*")) => 1,
            _ => continue,
        };
        let weight = parts.find_map(|part| {
            part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")).map(thousandths)
        });
        if precision > best.0 {
            best = (precision, weight.unwrap_or(1000));
        }
    }
    best.1
}

/// A weight (RFC 9110 section 12.4.2); 0 for what is none.
fn thousandths(weight: &str) -> u16 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = format!("{fraction:0<3}");
    match (whole, digits.len(), digits.parse::<u16>()) {
        ("0", 3, Ok(fraction)) => fraction,
        ("1", 3, Ok(0)) => 1000,
        _ => 0,
    }
}

/// A status in words (RFC 9110 section 15), as RFC 9457 section 4.2.1 wants it.
fn title(status: u16) -> &'static str {
    let known = StatusCode::from_u16(status).ok();
    known.and_then(|status| status.canonical_reason()).unwrap_or("Refused")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(accept: &[&str]) -> RequestHead {
        let header = |value: &&str| (b"accept".to_vec(), value.as_bytes().to_vec());
        RequestHead::new(accept.iter().map(header).collect())
    }

    #[test]
    fn the_client_chooses() {
        #[track_caller]
        fn check(accept: &[&str], expected: Format) {
            let formats = vec![Format::Text, Format::ProblemJson, Format::Json];
            let responses = Responses { formats, ..Responses::default() };
            assert_eq!(responses.negotiate(&accepting(accept)), expected, "{accept:?}");
        }
        check(&[], Format::Text);
        check(&["*/*"], Format::Text);
        check(&["application/json"], Format::Json);
        check(&["Application/JSON; charset=utf-8"], Format::Json);
        check(&["application/*"], Format::ProblemJson);
        check(&["application/*;q=0.5, application/json;q=0.4"], Format::ProblemJson);
        check(&["text/plain;q=0", "*/*"], Format::ProblemJson);
        check(&["text/html, application/json;q=0.9, */*;q=0.8"], Format::Json);
        check(&["image/png"], Format::Text);
        check(&["application/json;q=2", "application/json;q=-1"], Format::Text);
        check(&["application/json;q=0.0001", ""], Format::Text);
        check(
            &["\u{e4}/\u{e4};q=1", "text/*;q=0.1, application/problem+json;q=0.2"],
            Format::ProblemJson,
        );
        let many = vec!["a/b"; MAX_RANGES].join(",") + ",application/json";
        check(&[&many], Format::Text);
    }
}
