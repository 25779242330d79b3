//! One connection: one request, one response, and the size and time limits for both.

use super::request::{self, MAX_HEAD, Method, Refusal, Request};
use super::response::{Body, Response};
use super::sending::write_until;
use super::{Site, Slot, events, routes};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Time limit for the head of a request to arrive completely.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for a whole response, which may be a large history over a slow connection.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(600);
/// Number of bytes of a response to write at a time.
const PIECE: usize = 64 * 1024;
/// Limits, in bytes and time, on reading after a response, so that the peer receives the response before the connection is closed.
const LINGER_BYTES: usize = 64 * 1024;
const LINGER_FOR: Duration = Duration::from_millis(500);

/// Serves one request.
pub(super) fn serve(stream: &TcpStream, site: &Site) {
    // The listener does not block. Whether its connections do depends on the operating system.
    if stream.set_nonblocking(false).is_err() {
        return;
    }
    let parsed = match read_head(stream) {
        Ok(None) => return,
        Ok(Some(head)) => request::parse(&head),
        Err(refusal) => Err(refusal),
    };
    // A peer that disconnects is not an error.
    let sent = match parsed {
        Ok(request) => respond(stream, &request, site),
        Err(refusal) => write(stream, refusal.into(), Method::Get),
    };
    if sent.is_ok() {
        linger(stream);
    }
}

fn respond(stream: &TcpStream, request: &Request, site: &Site) -> io::Result<()> {
    let response = routes::respond(request, site);
    if !matches!(response.body, Body::Events) || request.method == Method::Head {
        return write(stream, response, request.method);
    }
    // Pages that watch a run stay connected, so they must not take up all connections.
    let _place = Slot(&site.watchers);
    if site.watchers.fetch_add(1, Ordering::SeqCst) >= events::MAX_WATCHERS {
        return write(stream, Response::error(503, "Too many pages watch a run: close one."), request.method);
    }
    write_until(stream, response.head().as_bytes(), Instant::now() + HEAD_TIMEOUT)?;
    events::send(stream, request, site)
}

/// Refuses a connection without reading from it.
pub(super) fn refuse(stream: &TcpStream) {
    let response = Response::error(503, "Too many connections: try again in a moment.");
    let Body::Bytes(body) = &response.body else { return };
    let mut bytes = response.head().into_bytes();
    bytes.extend_from_slice(body);
    // The response fits into the buffer of a new connection, so there is no need to wait.
    let _ = stream.set_nonblocking(true).and_then(|()| (&*stream).write_all(&bytes));
}

/// Reads until the empty line. Returns `None` if the peer closes the connection before sending anything.
fn read_head(mut stream: &TcpStream) -> Result<Option<Vec<u8>>, Refusal> {
    let deadline = Instant::now() + HEAD_TIMEOUT;
    let mut head = vec![];
    let mut piece = [0; 2048];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(Refusal(408, "the request did not arrive in time"));
        }
        match stream.read(&mut piece) {
            Ok(0) if head.is_empty() => return Ok(None),
            Ok(0) => return Err(Refusal(400, "the request ends in its head")),
            Ok(n) => head.extend_from_slice(&piece[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
            Err(_) => return Ok(None),
        }
        if let Some(end) = request::end_of_head(&head).filter(|end| *end <= MAX_HEAD) {
            // Anything after the head is not read: there is one request per connection.
            head.truncate(end);
            return Ok(Some(head));
        }
        if head.len() > MAX_HEAD {
            return Err(Refusal(431, "the head of the request is too large"));
        }
    }
}

fn write(stream: &TcpStream, response: Response, method: Method) -> io::Result<()> {
    let mut out = Out { stream, deadline: Instant::now() + RESPONSE_TIMEOUT };
    out.bytes(response.head().as_bytes())?;
    if method == Method::Head {
        return Ok(());
    }
    match response.body {
        Body::Bytes(bytes) => out.bytes(&bytes),
        Body::File(file, length) => out.file(file, length),
        Body::Events => Ok(()),
    }
}

/// The sending side, with its deadline.
struct Out<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
}

impl Out<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_until(self.stream, bytes, self.deadline)
    }

    /// Sends exactly `length` bytes, as stated in the head. If the file has become shorter, closes the connection. If it has
    /// grown, leaves out the rest.
    fn file(&mut self, file: std::fs::File, length: u64) -> io::Result<()> {
        let mut file = file.take(length);
        let mut piece = vec![0; PIECE];
        let mut sent = 0;
        while sent < length {
            let n = file.read(&mut piece)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.bytes(&piece[..n])?;
            sent += n as u64;
        }
        Ok(())
    }
}

/// Ends the response, and briefly reads any remaining input. Closing with unread bytes would make the system discard the response.
fn linger(mut stream: &TcpStream) {
    let deadline = Instant::now() + LINGER_FOR;
    let _ = stream.shutdown(Shutdown::Write);
    let (mut piece, mut read) = ([0; 4096], 0);
    while read < LINGER_BYTES {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(n) => read += n,
        }
    }
}
