//! One session with one server. A server answers the requests of a session in order, so several can be sent without waiting.

use crate::jute::{Reader, Writer};
use heckle_system_api::limits;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Time limit for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// The requested session timeout. The server ends a session after this long without requests.
const SESSION_TIMEOUT_MS: i32 = 10_000;
/// A session that was idle for longer is not reused, so no session needs to be kept alive.
const MAX_IDLE_TIME: Duration = Duration::from_secs(3);
/// Maximum size of a message, in bytes.
const MAX_MESSAGE: usize = 4 << 20;
/// Ids of messages that do not answer a request: notifications and ping replies.
const UNSOLICITED_IDS: [i32; 2] = [-1, -2];

/// Kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Create = 1,
    GetData = 4,
    SetData = 5,
    Sync = 9,
}

/// A server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// 0, or an error code.
    pub(crate) code: i32,
    /// The record of the answer.
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Session {
    stream: TcpStream,
    sent: i32,
    heard: i32,
    used: Instant,
}

impl Session {
    /// Opens a connection and a session.
    ///
    /// # Errors
    /// Says why the session could not be opened.
    pub(crate) async fn open(addr: SocketAddr) -> Result<Session, String> {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(addr)).await;
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) => {
                limits::note(&e);
                return Err(e.to_string());
            }
            Err(_) => return Err("no connection in time".into()),
        };
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let mut session = Session { stream, sent: 0, heard: 0, used: Instant::now() };
        // Protocol version 0, no transaction seen, no earlier session, and no read-only server.
        let hello = Writer::default().int(0).long(0).int(SESSION_TIMEOUT_MS).long(0).bytes(&[0; 16]).boolean(false);
        session.stream.write_all(&hello.message()).await.map_err(|e| format!("connection: {e}"))?;
        let welcome = session.message().await?;
        let mut record = Reader(&welcome);
        match (record.int(), record.int()) {
            (Some(_), Some(timeout)) if timeout > 0 => Ok(session),
            _ => Err("the server granted no session".into()),
        }
    }

    /// Whether the session can be reused: it has been idle only briefly, is not closed, and has received no unsolicited
    /// message.
    pub(crate) fn is_fresh(&self) -> bool {
        let open = matches!(self.stream.try_read(&mut [0]), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock);
        open && self.sent == self.heard && self.used.elapsed() < MAX_IDLE_TIME
    }

    /// Sends requests without waiting for their answers.
    ///
    /// # Errors
    /// Fails if the connection breaks. Some requests may have arrived.
    pub(crate) async fn send(&mut self, requests: impl IntoIterator<Item = (Kind, Writer)>) -> Result<(), String> {
        let mut all = vec![];
        for (kind, body) in requests {
            self.sent += 1;
            let head = Writer::default().int(self.sent).int(kind as i32).message();
            let body = body.message();
            let len = i32::try_from(head.len() + body.len() - 8).expect("values are bounded");
            all.extend(len.to_be_bytes());
            // Both parts, without their own length prefixes.
            all.extend(&head[4..]);
            all.extend(&body[4..]);
        }
        self.used = Instant::now();
        self.stream.write_all(&all).await.map_err(|e| format!("connection: {e}"))
    }

    /// Receives the answer to the oldest open request.
    ///
    /// # Errors
    /// Fails if there is no valid answer.
    pub(crate) async fn answer(&mut self) -> Result<Answer, String> {
        loop {
            let message = self.message().await?;
            let mut record = Reader(&message);
            let (Some(number), Some(_transaction), Some(code)) = (record.int(), record.long(), record.int()) else {
                return Err("an answer without its head".into());
            };
            if UNSOLICITED_IDS.contains(&number) {
                continue;
            }
            self.heard += 1;
            if number != self.heard {
                return Err(format!("an answer to request {number} instead of {}", self.heard));
            }
            return Ok(Answer { code, body: record.0.to_vec() });
        }
    }

    async fn message(&mut self) -> Result<Vec<u8>, String> {
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => "connection: closed".to_owned(),
            _ => format!("connection: {e}"),
        };
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).await.map_err(failed)?;
        let len = usize::try_from(i32::from_be_bytes(len)).ok().filter(|len| *len <= MAX_MESSAGE);
        let mut message = vec![0; len.ok_or("a message of another protocol, or of more bytes than any answer has")?];
        self.stream.read_exact(&mut message).await.map_err(failed)?;
        Ok(message)
    }
}
