//! How refusals look, as written. All of it is ours.

use crate::config::fields::Fields;
use crate::config::headers::{header_value, refusal_header};
use crate::config::reader::Node;

/// `error_responses`: what clients get that are refused.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ErrorResponses {
    /// How reasons are told: `text` (default), `json`, `problem_json`. Of several, the client's
    /// `Accept` chooses; the first is for who does not say.
    pub formats: Vec<Format>,
    /// Tell the status only, not the reason. Default: false.
    pub hide_detail: bool,
    /// Headers of every refusal.
    pub headers: Vec<(String, String)>,
    /// Other answers for some reasons; the first that applies.
    pub overrides: Vec<Override>,
}

/// A form of the reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// `json`: an object of our own.
    Json,
    /// `problem_json`: RFC 9457.
    ProblemJson,
    /// `text`: one line.
    Text,
}

/// One of the `overrides`. It applies where everything that is set holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Override {
    /// The JSON path.
    pub path: String,
    /// The reasons' codes; empty: all.
    pub reasons: Vec<String>,
    /// The statuses that the refusal would have; empty: all.
    pub statuses: Vec<u16>,
    /// The status instead, 400 to 599.
    pub status: Option<u16>,
    /// The body instead, a template.
    pub body: Option<Vec<Piece>>,
    /// The media type of that body. Default: `text/plain`.
    pub content_type: String,
    /// Headers beside those of every refusal.
    pub headers: Vec<(String, String)>,
}

/// A part of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// As it stands.
    Literal(String),
    /// `%MESSAGE%`: the reason in words.
    Message,
    /// `%REASON%`: the reason's code.
    Reason,
    /// `%STATUS%`: the status, in digits.
    Status,
    /// `%TITLE%`: the status, in words.
    Title,
}

/// The longest body, in octets: a refusal should cost little.
const MAX_BODY: usize = 16 * 1024;

reference! {
    /// What clients get that are refused.
    ERROR_RESPONSES = "ErrorResponses" ("answers.md#form-and-text") {
        /// How reasons are told. Of several, the client's `Accept` chooses (its first 32 ranges count);
        /// the first is for clients that say nothing, or want none of them.
        "formats": List(&Choice(&["text", "json", "problem_json"]), 0), ours, default("[\"text\"]"),
            rfc("RFC 9457");
        /// Tell the status in words only: no reason, in no format and no template. The log, the
        /// counters, `%RESPONSE_CODE_DETAILS%` and the challenge stay as they are.
        "hide_detail": Flag, ours, default("false");
        /// Headers of every refusal but `host_failed` and `configuration_invalid`.
        "headers": List(&Fields(&REFUSAL_HEADER), 0), ours, default("none");
        /// Other answers for some reasons; the first that applies.
        "overrides": List(&Fields(&OVERRIDE), 0), ours, default("none");
    }

    /// Another answer. It applies where everything of `reasons` and `statuses` that is set holds.
    OVERRIDE = "Override" ("answers.md#form-and-text")
    .rules(&[AnyOf(&["status", "body", "headers"]), Needs("content_type", &["body"])]) {
        /// Codes of reasons, from the table of answers.
        "reasons": List(&Text(Letters::SOME), 0), ours, default("all"), page("configuration.md#answers"),
            example("[\"expired\"]");
        /// The statuses that the refusal would have.
        "statuses": List(&Unsigned(LEAST_STATUS, MOST_STATUS), 0), ours, default("all");
        /// The status instead. The challenge goes only with 401, always, and 403.
        "status": Unsigned(LEAST_STATUS, MOST_STATUS), ours, default("as it is");
        /// The body instead. `%STATUS%`, `%TITLE%` (the status in words), `%REASON%` (its code) and
        /// `%MESSAGE%` (in words) are filled in, `%%` is a percent sign. None of them holds quotes,
        /// backslashes or `<`.
        "body": Text(Letters { most: Some(MAX_BODY), ..Letters::like(TEMPLATE) }), ours,
            default("as `formats` say");
        /// The media type of that body.
        "content_type": Text(Letters::HEADER_VALUE), ours, default("\"text/plain\"");
        /// Headers beside those of every refusal.
        "headers": List(&Fields(&REFUSAL_HEADER), 0), ours, default("none");
    }

    /// A header of a refusal.
    REFUSAL_HEADER = "RefusalHeader" ("answers.md#form-and-text") {
        /// Its name: not one that frames the answer, nor `content-type` or `www-authenticate`.
        "key": Text(Letters::HEADER), ours, required;
        /// Its value.
        "value": Text(Letters::HEADER_VALUE), ours, required;
    }
}

/// What a body may be: every `%` is one of these.
#[cfg(feature = "reference")]
const TEMPLATE: &str = "^([^%]|%(MESSAGE|REASON|STATUS|TITLE)?%)*$";

/// Whoever is refused must be able to tell.
const LEAST_STATUS: u32 = 400;
const MOST_STATUS: u32 = 599;

impl ErrorResponses {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            formats: fields.list("formats", format),
            hide_detail: fields.flag("hide_detail"),
            headers: headers(fields),
            overrides: fields.list("overrides", |node| {
                let path = node.path().to_owned();
                node.object(|fields| Override::read(fields, path))
            }),
        }
    }
}

impl Override {
    fn read(fields: &mut Fields<'_>, path: String) -> Self {
        let body = fields.get("body").and_then(|node| template(&node));
        let content_type = fields.get("content_type");
        if let Some(node) = content_type.as_ref().filter(|_| body.is_none()) {
            node.error("goes with `body`");
        }
        let content_type = content_type.and_then(|node| header_value(&node));
        let read = Self {
            path,
            reasons: fields.texts("reasons"),
            statuses: fields.list("statuses", |node| status(&node)),
            status: fields.get("status").and_then(|node| status(&node)),
            body,
            content_type: content_type.unwrap_or_else(|| "text/plain".to_owned()),
            headers: headers(fields),
        };
        if read.status.is_none() && read.body.is_none() && read.headers.is_empty() {
            fields.error("changes nothing: expected `status`, `body` or `headers`");
        }
        read
    }
}

fn headers(fields: &mut Fields<'_>) -> Vec<(String, String)> {
    fields.list("headers", |node| {
        node.object(|fields| {
            let name = fields.required("key").and_then(|node| refusal_header(&node));
            let value = fields.required("value").and_then(|node| header_value(&node));
            Some((name?, value?))
        })?
    })
}

fn format(node: Node<'_>) -> Option<Format> {
    match node.text()?.as_str() {
        "json" => Some(Format::Json),
        "problem_json" => Some(Format::ProblemJson),
        "text" => Some(Format::Text),
        _ => {
            node.error("expected `text`, `json` or `problem_json`");
            None
        }
    }
}

fn status(node: &Node<'_>) -> Option<u16> {
    let status = node.unsigned().filter(|status| (LEAST_STATUS..=MOST_STATUS).contains(status));
    let status = status.and_then(|status| u16::try_from(status).ok());
    if status.is_none() {
        node.error("expected a status from 400 to 599");
    }
    status
}

fn template(node: &Node<'_>) -> Option<Vec<Piece>> {
    let text = node.text()?;
    if text.len() > MAX_BODY {
        node.error(format!("must be at most {MAX_BODY} octets long"));
    }
    let mut pieces = Vec::new();
    let mut rest = text.as_str();
    while let Some((literal, tail)) = rest.split_once('%') {
        pieces.push(Piece::Literal(literal.to_owned()));
        let Some((name, tail)) = tail.split_once('%') else {
            node.error("a `%` without a second one; `%%` stands for `%`");
            return None;
        };
        pieces.push(match name {
            "" => Piece::Literal("%".to_owned()),
            "MESSAGE" => Piece::Message,
            "REASON" => Piece::Reason,
            "STATUS" => Piece::Status,
            "TITLE" => Piece::Title,
            _ => {
                node.error(
                    "expected `%MESSAGE%`, `%REASON%`, `%STATUS%`, `%TITLE%`, or `%%` for `%`",
                );
                return None;
            }
        });
        rest = tail;
    }
    pieces.push(Piece::Literal(rest.to_owned()));
    pieces.retain(|piece| *piece != Piece::Literal(String::new()));
    Some(pieces)
}
