//! The part of HTTP/1.1 that a client of the JSON gateway needs: POST with a body, and a response with a length or in chunks. A
//! connection stays open and carries one request at a time.

use heckle_system_api::exchange::Failure;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Maximum size of a response in bytes, including head and body.
const MAX_RESPONSE: usize = 16 << 20;
const READ_BYTES: usize = 16 << 10;

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// The status code, such as `200`.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// Whether the connection can be used for another request.
    pub(crate) keep_open: bool,
}

/// Sends a request and reads its response.
///
/// # Errors
/// Fails if there is no valid response. The request may have arrived.
pub(crate) async fn post(stream: &mut TcpStream, host: SocketAddr, path: &str, body: &[u8]) -> Result<Response, Failure> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).await?;
    let (mut got, mut chunk) = (vec![], vec![0; READ_BYTES]);
    loop {
        let n = stream.read(&mut chunk).await?;
        got.extend_from_slice(&chunk[..n]);
        match parse(&got, n == 0) {
            Ok(Some(response)) => return Ok(response),
            Ok(None) if n == 0 => return Err(Failure::Unknown("connection: closed in the middle of a response".into())),
            Ok(None) if got.len() > MAX_RESPONSE => return Err(Failure::Unknown(format!("a response of more than {MAX_RESPONSE} bytes"))),
            Ok(None) => {}
            Err(what) => return Err(Failure::Unknown(format!("no HTTP response: {what}"))),
        }
    }
}

/// Parses a response. Returns `None` if it is incomplete. `ended` means that the connection has ended.
fn parse(bytes: &[u8], ended: bool) -> Result<Option<Response>, String> {
    let Some(head_end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..head_end]).map_err(|_| "a head that is not text".to_owned())?;
    let rest = &bytes[head_end + 4..];
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.strip_prefix("HTTP/1.").and_then(|s| s.split(' ').nth(1)).and_then(|s| s.parse().ok());
    let status = status.ok_or_else(|| format!("`{}`", first.escape_debug()))?;
    let header = |name: &str| {
        let value = |line: &str| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_ascii_lowercase())
        };
        head.split("\r\n").skip(1).find_map(value)
    };
    let keep_open = header("connection").is_none_or(|c| c != "close");
    let whole = |body: &[u8], keep_open| Some(Response { status, body: body.to_vec(), keep_open });
    if header("transfer-encoding").is_some_and(|t| t == "chunked") {
        return Ok(decode_chunks(rest)?.and_then(|body| whole(&body, keep_open)));
    }
    match header("content-length") {
        Some(length) => {
            let length: usize = length.parse().map_err(|_| format!("a length `{}`", length.escape_debug()))?;
            Ok(if rest.len() < length { None } else { whole(&rest[..length], keep_open) })
        }
        // The body ends when the connection does.
        None => Ok(if ended { whole(rest, false) } else { None }),
    }
}

/// Decodes a chunked body. Returns `None` if it is incomplete.
fn decode_chunks(mut rest: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut body = vec![];
    loop {
        let Some(line_end) = find(rest, b"\r\n") else { return Ok(None) };
        let line = String::from_utf8_lossy(&rest[..line_end]);
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok().filter(|size| *size <= MAX_RESPONSE);
        let size = size.ok_or_else(|| format!("a chunk of `{}` bytes", line.escape_debug()))?;
        let data = &rest[line_end + 2..];
        // Each chunk ends with a line break. The last one is empty.
        if data.len() < size + 2 {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(&data[..size]);
        rest = &data[size + 2..];
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, ended: bool, want: Option<(u16, &str, bool)>) {
        let got = parse(text.as_bytes(), ended).expect("HTTP");
        let got = got.map(|r| (r.status, String::from_utf8(r.body).expect("text"), r.keep_open));
        assert_eq!(got, want.map(|(status, body, keep)| (status, body.to_owned(), keep)), "{text:?}");
    }

    #[test]
    fn parses_responses_with_length_chunks_or_neither() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", false, Some((200, "{}", true)));
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", false, None);
        check("HTTP/1.1 503 Not now\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false, Some((503, "", false)));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        check(chunked, false, Some((200, "abcde", true)));
        for cut in 1..chunked.len() {
            assert_eq!(parse(&chunked.as_bytes()[..cut], true), Ok(None), "cut at {cut}");
        }
        check("HTTP/1.0 200 OK\r\n\r\nall", false, None);
        check("HTTP/1.0 200 OK\r\n\r\nall", true, Some((200, "all", false)));
    }

    #[test]
    fn rejects_malformed_responses() {
        for (text, what) in [
            ("SSH-2.0-x\r\n\r\n", "SSH-2.0-x"),
            ("HTTP/1.1 many OK\r\n\r\n", "many"),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "`-1`"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "`zz`"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n", "ffffffffffff"),
        ] {
            let error = parse(text.as_bytes(), false).expect_err(text);
            assert!(error.contains(what), "{error}");
        }
    }
}
