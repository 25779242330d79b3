//! Building blocks for connections to systems over TCP: connecting, reusing idle connections, and determining what a failure means
//! for the operation.

use crate::connection::{Outcome, Reply};
use crate::limits;
use heckle_history::Seen;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Time limit for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum length of a line in a reply, in bytes.
const MAX_LINE: u64 = 16 << 20;

/// Why an operation has no usable reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing was sent.
    #[error("not_sent: {0}")]
    NotSent(String),
    /// The system refused the operation before doing anything.
    #[error("refused: {0}")]
    Refused(String),
    /// The operation may have happened, or may still happen.
    #[error("{0}")]
    Unknown(String),
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Reply {
        let outcome = match failure {
            Failure::NotSent(_) | Failure::Refused(_) => Outcome::NotApplied,
            Failure::Unknown(_) => Outcome::Unknown,
        };
        Reply::because(outcome, failure.to_string())
    }
}

impl From<std::io::Error> for Failure {
    /// Converts an error on a connection that was already open.
    fn from(error: std::io::Error) -> Failure {
        Failure::Unknown(format!("connection: {error}"))
    }
}

/// Waits for an attempt at an operation, at most until the timeout. The attempt returns the value seen, with its payload.
pub async fn within(timeout: Duration, attempt: impl Future<Output = Result<(Seen, Option<i64>), Failure>>) -> Reply {
    match tokio::time::timeout(timeout, attempt).await {
        Ok(Ok((seen, payload))) => Reply { outcome: Outcome::Ok(seen), payload, reason: None, diagnostics: None },
        Ok(Err(failure)) => failure.into(),
        Err(_) => Reply::because(Outcome::Unknown, "timeout"),
    }
}

/// Opens a connection.
///
/// # Errors
/// Fails if the connection is refused or not established in time.
pub async fn connect(addr: SocketAddr) -> Result<TcpStream, Failure> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(addr)).await;
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => {
            limits::note(&e);
            return Err(Failure::NotSent(e.to_string()));
        }
        Err(_) => return Err(Failure::NotSent("no connection in time".into())),
    };
    stream.set_nodelay(true).map_err(|e| Failure::NotSent(e.to_string()))?;
    Ok(stream)
}

/// Whether an idle connection can still be used: it has not been closed, and no unsolicited data has arrived.
pub fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock)
}

/// Sends a line on a new connection, and returns the line received in reply, both without the line break.
///
/// # Errors
/// Fails if there is no connection, or no complete line is received.
pub async fn line(addr: SocketAddr, request: &str) -> Result<String, Failure> {
    let mut stream = connect(addr).await?;
    stream.write_all(format!("{request}\n").as_bytes()).await?;
    let mut reply = String::new();
    BufReader::new(stream).take(MAX_LINE).read_line(&mut reply).await?;
    match reply.strip_suffix('\n') {
        Some(line) => Ok(line.to_owned()),
        None => Err(Failure::Unknown("connection: closed in the middle of a reply".into())),
    }
}
