//! The echo backend: answers every request with what arrived, so that one can
//! see which headers the proxy in front added, kept and removed. A request can ask it to fail.

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use http_body_util::BodyExt;
use serde_json::json;

use crate::serve::Connection;

/// A header that asks for a failure: `status`, which is a 503, or `reset`, the end of the connection.
pub const FAULT: &str = "x-backend-fault";

/// The whole backend: any method, any path.
pub fn router() -> Router {
    Router::new().fallback(echo)
}

async fn echo(Extension(connection): Extension<Connection>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body_bytes) = count(body).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match head.headers.get(FAULT).map(|fault| fault.as_bytes()) {
        Some(b"reset") => connection.close().await,
        Some(b"status") => {
            return (StatusCode::SERVICE_UNAVAILABLE, [(FAULT, "told")]).into_response();
        }
        _ => {}
    }
    let headers: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    Json(json!({
        "method": head.method.as_str(),
        "path": head.uri.path_and_query().map_or("", |path| path.as_str()),
        "headers": headers,
        "body_bytes": body_bytes,
    }))
    .into_response()
}

/// Reads the body to its end without keeping it: it may be of any size.
async fn count(mut body: Body) -> Result<usize, axum::Error> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, |data| data.len());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Request;
    use crate::serve::Server;

    #[test]
    fn the_answer_is_the_request() {
        let server = Server::start(([127, 0, 0, 1], 0).into(), router(), None).unwrap();
        let response = Request::new("PUT", "/a%2Fb//c?d=%20e")
            .header("x-twice", "1")
            .header("x-bytes", b"caf\xe9")
            .header("x-twice", "2")
            .body(vec![0; 3_000_000])
            .send(server.addr())
            .unwrap();
        assert_eq!(response.status, 200);
        let echo = response.json().unwrap();
        assert_eq!(echo["method"], "PUT");
        assert_eq!(echo["path"], "/a%2Fb//c?d=%20e");
        assert_eq!(echo["body_bytes"], 3_000_000);
        let headers = echo["headers"].as_array().unwrap();
        let all = |name| headers.iter().filter(move |header| header[0] == name);
        assert!(all("x-twice").map(|header| &header[1]).eq(["1", "2"]));
        assert!(all("x-bytes").map(|header| &header[1]).eq(["caf\u{fffd}"]));
    }

    #[test]
    fn it_fails_when_it_is_asked_to() {
        let server = Server::start(([127, 0, 0, 1], 0).into(), router(), None).unwrap();
        let ask = |fault| Request::get("/").header(FAULT, fault).send(server.addr());
        assert_eq!(ask("status").unwrap().status, 503);
        assert!(ask("reset").is_err());
        assert_eq!(ask("none").unwrap().status, 200);
    }
}
