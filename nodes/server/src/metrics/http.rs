//! `GET /metrics` for Prometheus: just enough HTTP/1.1 for a scraper or a browser, one request per connection.
//!
//! The endpoint is read-only. The node's own thread serves it, so scrapers are limited in connections, bytes and
//! time, and figures are gathered only for complete and valid requests.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::shell::Shell;

/// Maximum length of a request in bytes, including its head.
const MAX_REQUEST: usize = 8 << 10;
/// Time limit for receiving a request and sending its response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts scrapers until the node ends.
pub(crate) async fn accept_all(shell: Rc<Shell>, listener: TcpListener) {
    let open = Rc::new(Cell::new(0));
    loop {
        match listener.accept().await {
            Ok((stream, addr)) => {
                let full = open.get() >= shell.descriptors.metrics;
                if open.get() >= 2 * shell.descriptors.metrics {
                    continue;
                }
                if full {
                    shell.log.warn("metrics_refused", &[("addr", &addr), ("open", &open.get())]);
                }
                let (shell, open) = (Rc::clone(&shell), Rc::clone(&open));
                open.set(open.get() + 1);
                tokio::task::spawn_local(async move {
                    // A slow or vanished scraper is not an event worth logging.
                    let _ = tokio::time::timeout(REQUEST_TIMEOUT, serve(&shell, stream, full)).await;
                    open.set(open.get() - 1);
                });
            }
            Err(cause) => {
                shell.log.error("metrics_accept_failed", &[("why", &cause)]);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(shell: &Shell, mut stream: TcpStream, full: bool) -> std::io::Result<()> {
    let answer = if full {
        Answer::error("503 Service Unavailable", format!("{} connections are open here already", shell.descriptors.metrics))
    } else {
        match read_head(&mut stream).await? {
            Head::Whole(head) => answer(&head, || shell.status().to_prometheus()),
            Head::TooLong => Answer::error("431 Request Header Fields Too Large", format!("a request has at most {MAX_REQUEST} bytes")),
            // The scraper has disconnected, so no reply is possible.
            Head::CutShort => return Ok(()),
        }
    };
    stream.write_all(&answer.bytes).await?;
    stream.shutdown().await?;
    // Unread bytes would turn the close into a reset, which would discard the response.
    let mut rest = [0; 4_096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

enum Head {
    Whole(Vec<u8>),
    TooLong,
    CutShort,
}

async fn read_head(stream: &mut TcpStream) -> std::io::Result<Head> {
    let mut head = Vec::new();
    loop {
        if head.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(Head::Whole(head));
        }
        if head.len() >= MAX_REQUEST {
            return Ok(Head::TooLong);
        }
        let mut chunk = [0; 1_024];
        match stream.read(&mut chunk).await? {
            0 => return Ok(Head::CutShort),
            count => head.extend_from_slice(&chunk[..count]),
        }
    }
}

struct Answer {
    bytes: Vec<u8>,
}

impl Answer {
    fn new(status: &str, content_type: &str, more: &str, body: &str, with_body: bool) -> Answer {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{more}Connection: close\r\n\r\n",
            body.len()
        );
        let body = if with_body { body } else { "" };
        Answer { bytes: [head.as_bytes(), body.as_bytes()].concat() }
    }

    fn error(status: &str, body: impl Into<String>) -> Answer {
        Answer::new(status, "text/plain; charset=utf-8", "", &(body.into() + "\n"), true)
    }
}

/// The response to a complete request head. `figures` is called only if the request needs them.
fn answer(head: &[u8], figures: impl FnOnce() -> String) -> Answer {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let words: Vec<&str> = std::str::from_utf8(line).map(|line| line.split(' ').collect()).unwrap_or_default();
    let &[method, target, version] = &words[..] else {
        return Answer::error("400 Bad Request", "this is not HTTP: ask GET /metrics");
    };
    if !version.starts_with("HTTP/1.") {
        return Answer::error("505 HTTP Version Not Supported", "this endpoint speaks HTTP/1.1: ask GET /metrics");
    }
    let path = target.split('?').next().unwrap_or_default();
    match (method, path) {
        ("GET" | "HEAD", "/metrics") => Answer::new("200 OK", "text/plain; version=0.0.4; charset=utf-8", "", &figures(), method == "GET"),
        (_, "/metrics") => {
            Answer::new("405 Method Not Allowed", "text/plain; charset=utf-8", "Allow: GET, HEAD\r\n", "ask GET /metrics\n", true)
        }
        _ => Answer::error("404 Not Found", "there is only /metrics here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: &str, starts: &str, ends: &str) {
        let answer = answer(request.as_bytes(), || "heckle_x 1\n".to_owned());
        let text = String::from_utf8(answer.bytes).unwrap();
        assert!(text.starts_with(starts) && text.ends_with(ends), "{request:?} is answered {text:?}");
    }

    #[test]
    fn each_request_gets_its_response() {
        check("GET /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4", "\r\n\r\nheckle_x 1\n");
        check("GET /metrics?x=y HTTP/1.0\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK", "heckle_x 1\n");
        check("HEAD /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK", "Content-Length: 11\r\nConnection: close\r\n\r\n");
        check("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 ", "ask GET /metrics\n");
        check("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", "only /metrics here\n");
        check("GET /metrics HTTP/2.0\r\n\r\n", "HTTP/1.1 505 ", "ask GET /metrics\n");
        check("hk\r\n\r\n", "HTTP/1.1 400 ", "ask GET /metrics\n");
        check("\r\n\r\n", "HTTP/1.1 400 ", "ask GET /metrics\n");
    }

    #[test]
    fn invalid_requests_gather_no_figures() {
        for request in ["GET / HTTP/1.1\r\n\r\n", "PUT /metrics HTTP/1.1\r\n\r\n", "\u{fffd}\r\n\r\n"] {
            answer(request.as_bytes(), || panic!("figures for {request:?}"));
        }
    }
}
