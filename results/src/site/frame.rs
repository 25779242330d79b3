//! The parts common to all pages: head, navigation, assets and content security policies.

use super::query::encode;
use crate::report::markup::Html;

/// A file that pages load.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its name below `/assets/`.
    pub name: &'static str,
    /// Its content type.
    pub content_type: &'static str,
    /// Its content.
    pub content: &'static str,
}

/// All assets.
pub const ASSETS: [Asset; 3] = [
    Asset { name: "serve.css", content_type: "text/css; charset=utf-8", content: include_str!("../../assets/serve/serve.css") },
    Asset { name: "live.js", content_type: "text/javascript; charset=utf-8", content: include_str!("../../assets/serve/live.js") },
    Asset { name: "icon.svg", content_type: "image/svg+xml", content: include_str!("../../assets/serve/icon.svg") },
];

/// The content security policy of pages: only styles, scripts, pictures and events from this server, and nothing inline.
pub const POLICY_OF_PAGES: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The content security policy of files of a run. A report has inline scripts, whose hashes are in its own policy. Run folders may
/// come from other machines, so each document is sandboxed: it has its own origin, and cannot read anything else from this server.
pub const POLICY_OF_FILES: &str = "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Returns the address of a path below a prefix: every part is encoded.
pub fn url(prefix: &str, path: &str) -> String {
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(encode).collect();
    format!("{prefix}{}", parts.join("/"))
}

/// Returns a page.
pub(super) fn page(title: &str, body: Html) -> String {
    with_head(title, body, Html::default())
}

/// Returns a page with a script from this server.
pub(super) fn page_with_script(title: &str, body: Html, script: &str) -> String {
    with_head(title, body, Html::element("script", &[("src", script), ("defer", "")], Html::default()))
}

fn with_head(title: &str, body: Html, more: Html) -> String {
    let mut head = Html::open("meta", &[("charset", "utf-8")]);
    head.push(Html::open("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]));
    head.push(Html::open("meta", &[("name", "color-scheme"), ("content", "light dark")]));
    head.push(Html::element("title", &[], format!("{title} · heckle")));
    head.push(Html::open("link", &[("rel", "icon"), ("href", "/assets/icon.svg"), ("type", "image/svg+xml")]));
    head.push(Html::open("link", &[("rel", "stylesheet"), ("href", "/assets/serve.css")]));
    head.push(more);
    let link = |address: &str, words: &str| Html::element("a", &[("href", address)], words);
    let skip = Html::element("a", &[("class", "skip"), ("href", "#main")], "Skip to the content");
    let nav = Html::element(
        "nav",
        &[("aria-label", "heckle")],
        link("/", "heckle").and(link("/live", "live")).and(link("/browse/", "all folders")),
    );
    let main = Html::element("main", &[("id", "main")], body);
    let page = Html::element("head", &[], head).and(Html::element("body", &[], skip.and(nav).and(main)));
    format!("<!doctype html>\n{}\n", Html::element("html", &[("lang", "en")], page).as_str())
}

/// Returns a page with a message, for errors.
pub fn message(title: &str, words: &str) -> String {
    let body = Html::element("h1", &[], title).and(Html::element("p", &[], words));
    page(title, body.and(Html::element("p", &[], Html::element("a", &[("href", "/")], "All runs"))))
}
