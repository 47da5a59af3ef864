//! The dashboard: one page that draws what the event stream tells. It is part of the program, and fetches nothing from
//! elsewhere.
//!
//! Its policy (Content Security Policy Level 3) allows its own script, its own style and its own stream, and nothing else:
//! what a member or an operator wrote cannot become a part of it.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Path, type, and what is there.
const FILES: [(&str, &str, &str); 6] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ("/orders.js", "text/javascript; charset=utf-8", include_str!("page/orders.js")),
    ("/tools.js", "text/javascript; charset=utf-8", include_str!("page/tools.js")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page and what belongs to it.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |routes, (path, kind, text)| {
        routes.route(path, get(move || async move { file(kind, text) }))
    })
}

/// Browsers ask again each time: the next version of the program has another page.
fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the policy would forbid, or what would have to come from elsewhere.
    #[test]
    fn the_page_keeps_to_its_policy() {
        for (path, _, text) in FILES {
            for forbidden in
                ["http://", "https://", "<style", " style=", " onclick=", "javascript:", "innerHTML", "eval("]
            {
                let text = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!text.contains(forbidden), "{path}: {forbidden}");
            }
        }
        for (path, _, _) in &FILES[1..] {
            assert!(FILES.iter().any(|(_, _, text)| text.contains(&path[1..])), "{path} is used");
        }
    }
}
