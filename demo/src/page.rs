//! The page of the demo: three files that are in the program, and headers under which a browser runs
//! these and nothing else.

use axum::Router;
use axum::http::HeaderName;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Nothing from other places, nothing inline, in nobody's frame. `data:` is the empty icon.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";

/// The page and its files.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let html = include_str!("page/index.html");
    let style = include_str!("page/page.css");
    let script = include_str!("page/page.js");
    Router::new()
        .route("/", get(async || file("text/html; charset=utf-8", html)))
        .route("/demo/page.css", get(async || file("text/css; charset=utf-8", style)))
        .route("/demo/page.js", get(async || file("text/javascript; charset=utf-8", script)))
}

fn file(content_type: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        // Another build may serve another page at the same address.
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Request;
    use crate::serve::Server;

    #[test]
    fn the_page_brings_everything_along() {
        let server = Server::start(([127, 0, 0, 1], 0).into(), router(), None).unwrap();
        let mut paths = vec!["/".to_owned()];
        let html = include_str!("page/index.html");
        for marker in ["src=\"", "rel=\"stylesheet\" href=\""] {
            let found = html.split(marker).skip(1).map(|rest| rest.split('"').next().unwrap());
            paths.extend(found.map(str::to_owned));
        }
        assert_eq!(paths.len(), 3, "{paths:?}");
        for path in paths {
            let answer = Request::get(&path).send(server.addr()).unwrap();
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("content-security-policy").unwrap(), POLICY);
            assert_eq!(answer.header("x-content-type-options").unwrap(), "nosniff");
            let text = answer.text();
            // What the policy would refuse, or what would need another server.
            for bad in ["http://", "style=\"", "<style", "onclick", "innerHTML", "eval("] {
                let allowed = ["http://www.w3.org/2000/svg"];
                let text = allowed.iter().fold(text.clone(), |text, one| text.replace(one, ""));
                assert!(!text.contains(bad), "{path}: {bad}");
            }
            let addresses = text.matches("https://").count();
            assert_eq!(addresses, text.matches("https://evil.demo.test").count(), "{path}");
        }
    }
}
