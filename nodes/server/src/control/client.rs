//! The harness's side of the control channel: blocking calls with timeouts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::client_protocol::{ExpectedNode, Identity};

use super::{Answer, ControlToken, Failpoint, FailpointAction, LeaseChanged, MAX_LINE, PointReached, Request, Status, TOKEN_FILE};
use crate::points::Injection;

/// A connection to the control port of one node.
#[derive(Debug)]
pub struct Client {
    addr: SocketAddr,
    stream: BufReader<TcpStream>,
    line: Vec<u8>,
    points: Vec<PointReached>,
    leases: Vec<LeaseChanged>,
    timeout: Duration,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The connection failed, or the node did not reply in time.
    #[error("control channel of the node at {addr}: {cause}")]
    Io {
        /// Address of the node.
        addr: SocketAddr,
        /// The error from the operating system.
        cause: std::io::Error,
    },
    /// The node sent a reply that this version does not understand.
    #[error("control channel of the node at {addr} sent an invalid reply ({cause}): {line}")]
    Malformed {
        /// Address of the node.
        addr: SocketAddr,
        /// The error from the decoder.
        cause: String,
        /// The start of the reply.
        line: String,
    },
    /// A different node answers at this address.
    #[error("control channel at {addr}: this is {found}, and {expected} was expected: check the address")]
    Mistaken {
        /// The address.
        addr: SocketAddr,
        /// The node that answered.
        found: Box<Identity>,
        /// The node that was expected.
        expected: Box<ExpectedNode>,
    },
    /// The node's token cannot be read.
    #[error("{path}, which allows to control the node: {cause}")]
    Token {
        /// The file.
        path: PathBuf,
        /// The error from the operating system.
        cause: std::io::Error,
    },
    /// The node refused the request.
    #[error("the node at {addr} refused: {message}")]
    Refused {
        /// Address of the node.
        addr: SocketAddr,
        /// The reason that the node gave.
        message: String,
    },
}

impl Client {
    /// Connects to a node. `timeout` bounds the connect and every later call.
    ///
    /// # Errors
    /// Fails if the node does not accept the connection in time.
    pub fn connect(addr: SocketAddr, timeout: Duration) -> Result<Client, ControlError> {
        let open = || {
            let stream = TcpStream::connect_timeout(&addr, timeout)?;
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(timeout))?;
            Ok(BufReader::new(stream))
        };
        let stream = open().map_err(|cause| ControlError::Io { addr, cause })?;
        Ok(Client { addr, stream, line: Vec::new(), points: Vec::new(), leases: Vec::new(), timeout })
    }

    /// Connects and checks the node's identity before any other request. By now, the address may belong to another
    /// node, and a fault meant for one node must not hit another.
    ///
    /// # Errors
    /// As for [`connect`](Client::connect), and [`ControlError::Mistaken`] if another node answers.
    pub fn connect_to(addr: SocketAddr, timeout: Duration, expected: &ExpectedNode) -> Result<Client, ControlError> {
        let mut client = Client::connect(addr, timeout)?;
        if *expected == ExpectedNode::default() {
            return Ok(client);
        }
        let found = client.identity()?;
        if expected.is(&found) {
            return Ok(client);
        }
        Err(ControlError::Mistaken { addr, found: Box::new(found), expected: Box::new(expected.clone()) })
    }

    /// Returns the identity of the node.
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn identity(&mut self) -> Result<Identity, ControlError> {
        match self.call(&Request::Identify {})? {
            Answer::Identity { identity } => Ok(identity),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Sends a request and waits for its reply. Points that arrive before the reply are kept for
    /// [`next_point`](Client::next_point).
    ///
    /// # Errors
    /// Fails if the connection breaks, the call times out, or the node refuses the request. After a timeout, replies
    /// no longer match requests, so the connection should be dropped.
    pub fn call(&mut self, request: &Request) -> Result<Answer, ControlError> {
        let mut line = serde_json::to_vec(request).expect("a request is plain data");
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).map_err(|cause| self.io(cause))?;
        let deadline = Instant::now() + self.timeout;
        loop {
            match self.read_answer(deadline)? {
                Answer::Point { point } => self.points.push(point),
                Answer::Lease { lease } => self.leases.push(lease),
                Answer::Error { message } => return Err(ControlError::Refused { addr: self.addr, message }),
                answer @ (Answer::Ok | Answer::Identity { .. } | Answer::Status { .. } | Answer::Metrics { .. }) => return Ok(answer),
            }
        }
    }

    /// Allows this connection to change and follow the node.
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn authorize(&mut self, token: &ControlToken) -> Result<(), ControlError> {
        self.expect_ok(&Request::Authorize { token: token.as_str().to_owned() })
    }

    /// The same, with the token from the node's data folder.
    ///
    /// # Errors
    /// As for [`call`](Client::call), and [`ControlError::Token`] if the token cannot be read.
    pub fn authorize_from(&mut self, data_dir: &Path) -> Result<(), ControlError> {
        let token = ControlToken::read(data_dir);
        let token = token.map_err(|cause| ControlError::Token { path: data_dir.join(TOKEN_FILE), cause })?;
        self.authorize(&token)
    }

    /// Reads the node's status figures.
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn status(&mut self) -> Result<Status, ControlError> {
        match self.call(&Request::Status {})? {
            Answer::Status { status } => Ok(*status),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Reads the node's status figures as Prometheus text.
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn metrics(&mut self) -> Result<String, ControlError> {
        match self.call(&Request::Metrics {})? {
            Answer::Metrics { text } => Ok(text),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Skews the node's clocks from now on.
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn set_clock(&mut self, offset_us: i64, drift_ppm: i64) -> Result<(), ControlError> {
        self.expect_ok(&Request::SetClock { offset_us, drift_ppm, freeze: false })
    }

    /// Arms or disarms a failpoint.
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn failpoint(&mut self, name: Failpoint, action: FailpointAction) -> Result<(), ControlError> {
        self.expect_ok(&Request::Failpoint { name, action })
    }

    /// Subscribes to these protocol points, or to all if the list is empty.
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn subscribe(&mut self, points: &[&str]) -> Result<(), ControlError> {
        self.expect_ok(&Request::Subscribe { points: points.iter().map(|&p| p.to_owned()).collect() })
    }

    /// Holds the node at the next hit of a protocol point.
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn arm(&mut self, point: &str, key: Option<&str>, hold_ms: u64) -> Result<(), ControlError> {
        self.expect_ok(&Request::Arm { point: point.to_owned(), key: key.map(str::to_owned), hold_ms })
    }

    /// Injects a fault at a named point, after ignoring the first `skip` hits.
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn inject(&mut self, point: &str, injection: Injection, skip: u32) -> Result<(), ControlError> {
        self.expect_ok(&Request::Inject { point: point.to_owned(), injection, skip, key: None })
    }

    /// Removes all injections at a named point.
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn disarm(&mut self, point: &str) -> Result<(), ControlError> {
        self.expect_ok(&Request::Disarm { point: point.to_owned() })
    }

    /// Holds the node when it reaches the point, after `skip` hits are ignored, which [`next_point`](Client::next_point)
    /// returns. Dropping this client ends the hold.
    ///
    /// # Errors
    /// As [`call`](Client::call).
    pub fn hold_at(&mut self, point: &str, skip: u32, hold_ms: u64) -> Result<(), ControlError> {
        self.expect_ok(&Request::HoldAt { point: point.to_owned(), skip, hold_ms })
    }

    /// Releases a held node, and disarms all protocol points, except those of [`hold_at`](Client::hold_at).
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn release(&mut self) -> Result<(), ControlError> {
        self.expect_ok(&Request::Release {})
    }

    /// Stops the node cleanly. The reply arrives before the node ends.
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn stop(&mut self) -> Result<(), ControlError> {
        self.expect_ok(&Request::Stop {})
    }

    /// Returns the next protocol point reached, or `None` if there was none within `wait`.
    ///
    /// # Errors
    /// Fails if the connection fails.
    pub fn next_point(&mut self, wait: Duration) -> Result<Option<PointReached>, ControlError> {
        if !self.points.is_empty() {
            return Ok(Some(self.points.remove(0)));
        }
        match self.read_answer(Instant::now() + wait) {
            Ok(Answer::Point { point }) => Ok(Some(point)),
            Ok(Answer::Lease { lease }) => {
                self.leases.push(lease);
                Ok(None)
            }
            Ok(other) => Err(self.unexpected(&other)),
            Err(ControlError::Io { cause, .. }) if is_timeout(&cause) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Subscribes to changes of the node's leases. The first reports are the leases it currently holds.
    ///
    /// # Errors
    /// As for [`call`](Client::call).
    pub fn watch_leases(&mut self) -> Result<(), ControlError> {
        self.expect_ok(&Request::WatchLeases {})
    }

    /// Returns the next change of a lease, or `None` if there was none within `wait`.
    ///
    /// # Errors
    /// Fails if the connection fails.
    pub fn next_lease(&mut self, wait: Duration) -> Result<Option<LeaseChanged>, ControlError> {
        if !self.leases.is_empty() {
            return Ok(Some(self.leases.remove(0)));
        }
        match self.read_answer(Instant::now() + wait) {
            Ok(Answer::Lease { lease }) => Ok(Some(lease)),
            Ok(Answer::Point { point }) => {
                self.points.push(point);
                Ok(None)
            }
            Ok(other) => Err(self.unexpected(&other)),
            Err(ControlError::Io { cause, .. }) if is_timeout(&cause) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn expect_ok(&mut self, request: &Request) -> Result<(), ControlError> {
        match self.call(request)? {
            Answer::Ok => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Reads one line. After a timeout, the part already read stays in `self.line`, so that a later call continues
    /// from there.
    fn read_answer(&mut self, deadline: Instant) -> Result<Answer, ControlError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let bound = (MAX_LINE - self.line.len().min(MAX_LINE)) as u64;
            let read = self
                .stream
                .get_ref()
                .set_read_timeout(Some(left))
                .and_then(|()| (&mut self.stream).take(bound).read_until(b'\n', &mut self.line));
            let count = read.map_err(|cause| self.io(cause))?;
            if self.line.last() == Some(&b'\n') {
                let parsed = serde_json::from_slice(&self.line);
                let answer = parsed.map_err(|cause| self.malformed(cause.to_string()));
                self.line.clear();
                return answer;
            }
            if count == 0 {
                let cause = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the node closed the connection");
                return Err(self.io(cause));
            }
            if Instant::now() >= deadline {
                return Err(self.io(std::io::Error::from(std::io::ErrorKind::TimedOut)));
            }
        }
    }

    fn io(&self, cause: std::io::Error) -> ControlError {
        ControlError::Io { addr: self.addr, cause }
    }

    fn malformed(&self, cause: String) -> ControlError {
        const MAX_SHOWN: usize = 200;
        let line = String::from_utf8_lossy(&self.line[..self.line.len().min(MAX_SHOWN)]).into_owned();
        ControlError::Malformed { addr: self.addr, cause, line }
    }

    fn unexpected(&self, answer: &Answer) -> ControlError {
        ControlError::Malformed { addr: self.addr, cause: "a reply to a different request".to_owned(), line: format!("{answer:?}") }
    }
}

fn is_timeout(cause: &std::io::Error) -> bool {
    matches!(cause.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}
