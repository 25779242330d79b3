//! Responses. Every one closes its connection and carries the headers that keep what it shows to this server.

use super::request::Refusal;
use heckle_results::site;
use std::fs::File;

/// A response.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    /// Further headers.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

/// What comes after the head.
pub(super) enum Body {
    /// Bytes at hand.
    Bytes(Vec<u8>),
    /// This many bytes of an open file.
    File(File, u64),
    /// Events, as they happen, until the connection closes.
    Events,
}

const HTML: &str = "text/html; charset=utf-8";

impl Response {
    /// A page.
    pub(super) fn page(html: String) -> Self {
        Response { status: 200, content_type: HTML, headers: vec![], body: Body::Bytes(html.into_bytes()) }
    }

    /// Text or data of this program.
    pub(super) fn text(content_type: &'static str, text: impl Into<Vec<u8>>) -> Self {
        Response { status: 200, content_type, headers: vec![], body: Body::Bytes(text.into()) }
    }

    /// Events of a run.
    pub(super) fn events() -> Self {
        Response { status: 200, content_type: "text/event-stream", headers: vec![], body: Body::Events }
    }

    /// A page with an error.
    pub(super) fn error(status: u16, words: &str) -> Self {
        let html = site::message(&format!("{status} {}", reason(status)), words);
        let allow = (status == 405).then(|| ("Allow", "GET, HEAD".to_owned()));
        Response { status, headers: allow.into_iter().collect(), ..Response::page(html) }
    }

    /// A file from the folder of all runs.
    pub(super) fn file(name: &str, file: File, bytes: u64) -> Self {
        let (content_type, is_shown) = type_of(name);
        let mut headers = vec![("Content-Security-Policy", site::POLICY_OF_FILES.to_owned())];
        if !is_shown {
            headers.push(("Content-Disposition", "attachment".to_owned()));
        }
        Response { status: 200, content_type, headers, body: Body::File(file, bytes) }
    }

    /// Sends the browser to another address of this server.
    pub(super) fn redirect(address: String) -> Self {
        Response { headers: vec![("Location", address)], ..Response::error(307, "What you asked for is at another address.") }
    }

    /// The first line and the headers, with the empty line after them.
    pub(super) fn head(&self) -> String {
        let length = match &self.body {
            Body::Bytes(bytes) => format!("Content-Length: {}\r\n", bytes.len()),
            Body::File(_, bytes) => format!("Content-Length: {bytes}\r\n"),
            Body::Events => String::new(),
        };
        let mut head = format!("HTTP/1.1 {} {}\r\nContent-Type: {}\r\n{length}", self.status, reason(self.status), self.content_type);
        for (name, value) in &self.headers {
            debug_assert!(!value.contains(['\r', '\n']), "{name}: {value}");
            head += &format!("{name}: {value}\r\n");
        }
        if !self.headers.iter().any(|(name, _)| *name == "Content-Security-Policy") {
            head += &format!("Content-Security-Policy: {}\r\n", site::POLICY_OF_PAGES);
        }
        // No guessing of types, no address of this server sent elsewhere, no other site that embeds or reads what is here.
        head += "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n\
                 Cross-Origin-Opener-Policy: same-origin\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n";
        head
    }
}

impl From<Refusal> for Response {
    fn from(Refusal(status, why): Refusal) -> Self {
        Response::error(status, why)
    }
}

/// The type of a file, and whether a browser shows it. Only pages and pictures are what they say; everything else is text or a
/// download, so that no file is run as something else.
fn type_of(name: &str) -> (&'static str, bool) {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => (HTML, true),
        "png" => ("image/png", true),
        "svg" => ("image/svg+xml", true),
        "json" => ("application/json", true),
        "txt" | "md" | "log" | "toml" | "jsonl" | "xml" | "csv" | "sh" | "hlog" | "prom" | "edn" | "seal" => {
            ("text/plain; charset=utf-8", true)
        }
        "zst" => ("application/zstd", false),
        _ => ("application/octet-stream", false),
    }
}

/// The words of a status.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}
