//! The head of an HTTP request, parsed strictly: anything but plain HTTP/1.1 with CRLF line endings is refused.

/// Maximum size of a head, in bytes.
pub(super) const MAX_HEAD: usize = 8 * 1024;
/// Maximum length of a request target, in bytes.
const MAX_TARGET: usize = 2 * 1024;
/// Maximum number of headers.
const MAX_HEADERS: usize = 64;

/// The supported methods, which only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// GET: the response has a head and a body.
    Get,
    /// HEAD: the response has only a head.
    Head,
}

/// A parsed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// The decoded parts of the path. No part is empty, `.` or `..`, or contains a slash.
    pub(super) path: Vec<String>,
    /// Whether the path ends with a slash.
    pub(super) is_folder: bool,
    /// The query, decoded.
    pub(super) query: Vec<(String, String)>,
    /// The header `Host`.
    pub(super) host: String,
}

/// The refusal of a request, with status and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) u16, pub(super) &'static str);

/// Returns the offset of the end of the head, after the empty line, if the head is complete.
pub(super) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// Parses a head, including its final empty line.
pub(super) fn parse(head: &[u8]) -> Result<Request, Refusal> {
    let text = std::str::from_utf8(head).map_err(|_| Refusal(400, "the head is not text"))?;
    let text = text.strip_suffix("\r\n\r\n").ok_or(Refusal(400, "the head does not end with an empty line"))?;
    let mut lines = text.split("\r\n");
    let (method, target) = request_line(lines.next().unwrap_or_default())?;
    let mut host = None;
    for (count, line) in lines.enumerate() {
        if count == MAX_HEADERS {
            return Err(Refusal(431, "too many headers"));
        }
        let (name, value) = header(line)?;
        match name.to_ascii_lowercase().as_str() {
            "host" if host.is_some() => return Err(Refusal(400, "there are two Host headers")),
            "host" => host = Some(value.to_owned()),
            "transfer-encoding" => return Err(Refusal(400, "a request has no body here")),
            "content-length" if value != "0" => return Err(Refusal(400, "a request has no body here")),
            _ => {}
        }
    }
    let host = host.ok_or(Refusal(400, "there is no Host header"))?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, is_folder) = path_parts(path)?;
    Ok(Request { method, path, is_folder, query: pairs(query)?, host })
}

fn request_line(line: &str) -> Result<(Method, &str), Refusal> {
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(Refusal(400, "the first line is not a method, an address and a version"));
    };
    let is_token = !method.is_empty() && method.len() <= 32 && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    match version {
        "HTTP/1.0" | "HTTP/1.1" => {}
        _ if version.starts_with("HTTP/") => return Err(Refusal(505, "only HTTP/1.1 is served")),
        _ => return Err(Refusal(400, "the first line does not end with a version of HTTP")),
    }
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ if is_token => return Err(Refusal(405, "this server is read-only: GET and HEAD are all it knows")),
        _ => return Err(Refusal(400, "the method is not a word")),
    };
    if target.len() > MAX_TARGET {
        return Err(Refusal(414, "the address is too long"));
    }
    if !target.starts_with('/') || !target.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'#') {
        return Err(Refusal(400, "the address is not a path of printable ASCII letters that begins with a slash"));
    }
    Ok((method, target))
}

fn header(line: &str) -> Result<(&str, &str), Refusal> {
    let wrong = Refusal(400, "a header is not a name, a colon and a value");
    let (name, value) = line.split_once(':').ok_or(wrong)?;
    let is_token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    // A lone carriage return or line feed is not a line ending, and is refused here.
    if !is_token || value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(wrong);
    }
    Ok((name, value.trim_matches([' ', '\t'])))
}

/// Splits a path and decodes its parts. A part that would lead outside the folder is refused as not found, however it is encoded.
fn path_parts(path: &str) -> Result<(Vec<String>, bool), Refusal> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let (inner, is_folder) = inner.strip_suffix('/').map_or((inner, inner.is_empty()), |inner| (inner, true));
    if inner.is_empty() {
        // In `//`, the part between the slashes is empty.
        return if path.len() <= 1 { Ok((vec![], true)) } else { Err(NOT_FOUND) };
    }
    let decode_part = |raw: &str| {
        let part = decode(raw, Plus::Literal)?;
        if is_plain(&part) { Ok(part) } else { Err(NOT_FOUND) }
    };
    Ok((inner.split('/').map(decode_part).collect::<Result<_, _>>()?, is_folder))
}

pub(super) const NOT_FOUND: Refusal = Refusal(404, "there is no such page or file");

/// Whether a part of a path is the name of a file or folder that can be served. Names that begin with a dot are temporary files.
pub(super) fn is_plain(part: &str) -> bool {
    !part.is_empty() && part.len() <= 255 && !part.starts_with('.') && !part.chars().any(|c| matches!(c, '/' | '\\') || c.is_control())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plus {
    Literal,
    Space,
}

fn pairs(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(key, Plus::Space)?, decode(value, Plus::Space)?))
    };
    query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

/// Decodes `%` and two hexadecimal digits, once.
fn decode(text: &str, plus: Plus) -> Result<String, Refusal> {
    let wrong = Refusal(400, "a % in the address is not followed by two hexadecimal digits of UTF-8 text");
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
                let (high, low) = (digit().ok_or(wrong)?, digit().ok_or(wrong)?);
                u8::try_from(high * 16 + low).map_err(|_| wrong)?
            }
            b'+' if plus == Plus::Space => b' ',
            b => b,
        });
    }
    String::from_utf8(out).map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, want: Result<(Method, &[&str], bool), u16>) {
        let got = parse(head.as_bytes());
        let got = got.as_ref().map(|r| (r.method, r.path.iter().map(String::as_str).collect::<Vec<_>>(), r.is_folder)).map_err(|e| e.0);
        assert_eq!(got, want.map(|(method, path, is_folder)| (method, path.to_vec(), is_folder)), "{head:?}");
    }

    fn get(target: &str) -> String {
        format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    }

    #[test]
    fn plain_requests_are_understood() {
        check(&get("/"), Ok((Method::Get, &[], true)));
        check(&get("/a/b"), Ok((Method::Get, &["a", "b"], false)));
        check(&get("/a/b/"), Ok((Method::Get, &["a", "b"], true)));
        check(&get("/a%20b%C3%A9+c"), Ok((Method::Get, &["a bé+c"], false)));
        check("HEAD / HTTP/1.0\r\nhOsT:\tx \r\nA: b\r\nContent-Length: 0\r\n\r\n", Ok((Method::Head, &[], true)));
        let request = parse(get("/?a=1&b=x%26y+z&&c").as_bytes()).expect("well-formed");
        let query: Vec<(&str, &str)> = request.query.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(query, [("a", "1"), ("b", "x&y z"), ("c", "")]);
    }

    #[test]
    fn no_path_leads_elsewhere() {
        for target in [
            "/..",
            "/../",
            "/../../etc/passwd",
            "/a/../b",
            "/a/..",
            "/.",
            "/a/./b",
            "//",
            "//etc/passwd",
            "/a//b",
            "///",
            "/%2e%2e/x",
            "/.%2e/x",
            "/%2E%2E%2Fx",
            "/..%2f..%2fetc",
            "/a%2fb",
            "/%2fetc%2fpasswd",
            "/a%5c..%5cb",
            "/a\\b",
            "/..\\..",
            "/a%00",
            "/%00/b",
            "/a%0d%0ab",
            "/.hidden",
            "/a/.x.tmp",
            "/%c2%85",
            "/a%7f",
        ] {
            check(&get(target), Err(404));
        }
        // Decoding happens once: the result is a name with percent signs, which no file here has.
        check(&get("/%252e%252e/x"), Ok((Method::Get, &["%2e%2e", "x"], false)));
        check(&get(&format!("/{}", "a".repeat(256))), Err(404));
    }

    #[test]
    fn malformed_requests_are_refused() {
        let host = "Host: localhost\r\n\r\n";
        for (head, status) in [
            (String::new(), 400),
            ("\r\n\r\n".into(), 400),
            (format!("GET /\r\n{host}"), 400),
            (format!("GET  / HTTP/1.1\r\n{host}"), 400),
            (format!("GET / HTTP/1.1 \r\n{host}"), 400),
            (format!("get / HTTP/1.1\r\n{host}"), 400),
            (format!("G\u{e9}T / HTTP/1.1\r\n{host}"), 400),
            (format!("GET / HTTX/1.1\r\n{host}"), 400),
            (format!("GET / HTTP/2.0\r\n{host}"), 505),
            (format!("GET / HTTP/1.10\r\n{host}"), 505),
            (format!("POST / HTTP/1.1\r\n{host}"), 405),
            (format!("DELETE /x HTTP/1.1\r\n{host}"), 405),
            (format!("M-SEARCH * HTTP/1.1\r\n{host}"), 405),
            (format!("{} / HTTP/1.1\r\n{host}", "A".repeat(40)), 400),
            (format!("GET * HTTP/1.1\r\n{host}"), 400),
            (format!("GET etc/passwd HTTP/1.1\r\n{host}"), 400),
            (format!("GET http://localhost/ HTTP/1.1\r\n{host}"), 400),
            (format!("GET /a#b HTTP/1.1\r\n{host}"), 400),
            (format!("GET /a\tb HTTP/1.1\r\n{host}"), 400),
            (format!("GET /é HTTP/1.1\r\n{host}"), 400),
            (format!("GET /% HTTP/1.1\r\n{host}"), 400),
            (format!("GET /%2 HTTP/1.1\r\n{host}"), 400),
            (format!("GET /%zz HTTP/1.1\r\n{host}"), 400),
            (format!("GET /%+1 HTTP/1.1\r\n{host}"), 400),
            (format!("GET /%ff HTTP/1.1\r\n{host}"), 400),
            (format!("GET /?a=%ff HTTP/1.1\r\n{host}"), 400),
            (format!("GET /{} HTTP/1.1\r\n{host}", "a/".repeat(2_000)), 414),
            ("GET / HTTP/1.1\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\n Host: a\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\n: a\r\nHost: a\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\nHost: a\n\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".into(), 400),
            (format!("GET / HTTP/1.1\r\n{}{host}", "A: b\r\n".repeat(64)), 431),
            (format!("GET / HTTP/1.1\r\n{host}more"), 400),
        ] {
            check(&head, Err(status));
        }
        assert_eq!(parse(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n").map_err(|e| e.0), Err(400));
    }

    /// Tries every prefix of a request, and the request with each byte replaced by every other value: no input causes a panic, and
    /// no accepted path leads outside the folder.
    #[test]
    fn damaged_requests_never_panic_or_escape() {
        let head = b"GET /files/plan/run/report.html?a=%41 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for length in 0..head.len() {
            assert!(parse(&head[..length]).is_err());
        }
        let mut understood = 0;
        for at in 0..head.len() {
            for byte in 0..=255u8 {
                let mut damaged = head.to_vec();
                damaged[at] = byte;
                if let Ok(request) = parse(&damaged) {
                    understood += 1;
                    assert!(request.path.iter().all(|part| is_plain(part) && part != ".."), "{request:?}");
                }
            }
        }
        assert!(understood > 1_000, "{understood}");
    }
}
