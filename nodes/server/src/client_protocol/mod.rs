//! The protocol between clients and nodes: [`postcard`] messages inside [frames](crate::frame).
//!
//! `docs/client-protocol.md` describes the protocol for authors of other clients. Tests check both the document and
//! this module against fixed bytes. The types are separate from the core's, so that the wire format changes only with
//! [`PROTOCOL`]. Enum variants are encoded by position, so new ones are only ever appended.
//!
//! ```text
//! client                                  node
//!   | ClientHello {protocol, client,  ---> |      the node refuses a client that expects another
//!   |              cluster, node}          |
//!   | <--- ClientWelcome {cluster, node,   |      or Refused {why} and a close
//!   |                     folder, limits}  |
//!   | Request {op, key, timeout, call} --> |      many at once, at most one open per op.client
//!   | <--- Response {op, outcome, ...}     |      in any order
//! ```

mod answer;
mod handshake;

use std::fmt;

use bytes::BytesMut;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::frame::{Frame, FrameKind, encode_frame_with};

pub use answer::{BallotTag, Diagnostics, Fate, Outcome, Phase, Reason, Response};
pub use handshake::{ExpectedNode, FolderId, Hello, Identity, Limits, Refused, Welcome};

/// Version of the messages in this module. A node refuses clients of other versions.
pub const PROTOCOL: u32 = 3;
/// Maximum key length in bytes. A key has at least one byte.
pub const MAX_KEY: usize = 1 << 10;
/// Maximum value length in bytes.
pub const MAX_VALUE: usize = 1 << 20;
/// Maximum payload in bytes that a client may send after the handshake: a request with a key and two values of
/// maximum length, plus some room, so that slightly longer values can be refused with a reason.
pub const MAX_REQUEST: usize = MAX_KEY + 2 * MAX_VALUE + (64 << 10);
/// Maximum length of a client name in bytes.
pub const MAX_CLIENT_NAME: usize = 128;
/// Maximum timeout of an operation, in microseconds: one hour.
pub const MAX_TIMEOUT_US: u64 = 3_600_000_000;

/// The permanent id of an operation. A client numbers its operations with `seq`, starting at 1. Two requests with the
/// same id request the same operation, which takes effect at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OpId {
    /// Number of the client, used by no other client of the cluster.
    pub client: u64,
    /// Position of the operation among those of this client.
    pub seq: u64,
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}.{}", self.client, self.seq)
    }
}

impl std::str::FromStr for OpId {
    type Err = String;

    /// Parses the format written by [`fmt::Display`]: `c7.1`.
    fn from_str(text: &str) -> Result<OpId, String> {
        let parts = text.strip_prefix('c').and_then(|rest| rest.split_once('.'));
        let numbers = parts.and_then(|(client, seq)| Some((client.parse().ok()?, seq.parse().ok()?)));
        let (client, seq) = numbers.ok_or_else(|| format!("`{text}` is not an operation's id, such as c7.1"))?;
        Ok(OpId { client, seq })
    }
}

/// Parses an operation id as printed in replies and histories: `c7.1`, or `c7.1@300.n2.5` with its birth ballot.
///
/// # Errors
/// Returns a description of what is wrong with the text.
pub fn parse_printed_id(text: &str) -> Result<(OpId, Option<BallotTag>), String> {
    let (op, born) = text.split_once('@').map_or((text, None), |(op, born)| (op, Some(born)));
    Ok((op.parse()?, born.map(str::parse).transpose()?))
}

/// A request for one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Id of the operation. At most one operation per `op.client` may be open on a connection.
    pub op: OpId,
    /// The key, 1 to [`MAX_KEY`] bytes.
    pub key: Vec<u8>,
    /// How long the node may work on the operation, in microseconds.
    pub timeout_us: u64,
    /// Whether this operation may have been sent before.
    pub provenance: Provenance,
    /// The operation.
    pub call: Call,
}

/// Whether a request is the first for its operation. A client that sends each operation only once always uses
/// `First`. A client that retries must use `Resent`, or the replies may claim more than is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Provenance {
    /// The operation is sent for the first time, to this node only.
    #[default]
    First,
    /// An earlier request of the same operation had an unknown outcome and may still be running.
    Resent {
        /// A ballot lower than any that the earlier request could have used: one that the same node sent in a reply
        /// before that request. `None` if no such ballot is known.
        born: Option<BallotTag>,
    },
    /// The operation is sent for the first time, after the client has seen a ballot in a reply. The newer the ballot,
    /// the better. A fate query for the operation must use the same one. Once a row has forgotten ids that were
    /// declared aborted, it refuses any operation that may be among them, and an operation sent as `First` always may
    /// be.
    FirstAfter {
        /// Any ballot that the client has seen before.
        born: BallotTag,
    },
}

/// An operation on a key. Values are opaque bytes, at most [`MAX_VALUE`] of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// A serial (linearizable) read.
    Read,
    /// Sets the value, whatever the current one is.
    Write {
        /// The value to set.
        new: Vec<u8>,
    },
    /// Sets the value if the current one is as expected.
    Cas {
        /// The value expected. `None` means that the key has never been written.
        expected: Option<Vec<u8>>,
        /// The value to set.
        new: Vec<u8>,
    },
    /// Queries the fate of an earlier write or CAS on this key, under a separate id. If the operation has not taken
    /// effect, it never will: its id is declared aborted.
    Fate {
        /// The queried operation.
        of: OpId,
        /// The `born` of that operation's requests. `None` if they used [`Provenance::First`].
        born: Option<BallotTag>,
    },
    /// Sets the value without Paxos, whatever the current one is: the last write wins, by the wall clock of the node
    /// that receives the request. Must not be mixed with the Paxos operations on one key. Its id is not remembered,
    /// so [`Provenance`] does not make a retry safe, and its fate cannot be queried.
    Put {
        /// The value to set.
        new: Vec<u8>,
        /// Number of replicas that must have stored it durably before the reply.
        level: Level,
    },
    /// Reads without Paxos: the newest value at one replica or among a quorum.
    Get {
        /// Number of replicas that must reply.
        level: Level,
    },
}

/// The number of replicas that must respond to a put or get before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Level {
    /// One replica: the fastest for a put, and the node that receives the request for a get.
    One,
    /// A quorum of replicas.
    Quorum,
}

impl Level {
    /// The name used in plans and flags.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::One => "one",
            Level::Quorum => "quorum",
        }
    }
}

/// Why a frame is not the expected message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A different kind of frame was expected.
    #[error("a {found:?} frame where {expected} was expected")]
    WrongKind {
        /// The kind of the frame.
        found: FrameKind,
        /// The frames allowed here.
        expected: &'static str,
    },
    /// The frame is complete, but its payload is not a message of this version.
    #[error("malformed {what}: {cause}")]
    Malformed {
        /// The message expected.
        what: &'static str,
        /// The error from the decoder.
        cause: String,
    },
    /// A hello or welcome of another version of this protocol.
    #[error("the node speaks client protocol {node}, the client {client}: use programs of the same release")]
    OtherVersion {
        /// The node's version.
        node: u32,
        /// The client's version.
        client: u32,
    },
    /// More bytes follow a complete message.
    #[error("{extra} bytes after the end of a {what}")]
    Trailing {
        /// The message expected.
        what: &'static str,
        /// Number of extra bytes.
        extra: usize,
    },
    /// The other side refused the connection.
    #[error("refused: {why}")]
    Refused {
        /// The reason it gave.
        why: String,
    },
}

/// A message from a client to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToNode {
    /// The handshake.
    Hello(Hello),
    /// An operation.
    Request(Request),
}

/// A message from a node to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToClient {
    /// The handshake succeeded.
    Welcome(Welcome),
    /// The connection is refused.
    Refused(Refused),
    /// An operation is answered.
    Response(Response),
}

impl ToNode {
    /// Appends the message as one frame.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            ToNode::Hello(hello) => encode_message(FrameKind::ClientHello, hello, out),
            ToNode::Request(request) => encode_message(FrameKind::Request, request, out),
        }
    }

    /// Decodes the message in one frame.
    ///
    /// # Errors
    /// Fails if clients never send frames of this kind, or if the payload is malformed.
    pub fn decode(frame: &Frame) -> Result<ToNode, ProtocolError> {
        match frame.kind {
            FrameKind::ClientHello => Hello::decode(&frame.payload).map(ToNode::Hello),
            FrameKind::Request => decode_message("request", &frame.payload).map(ToNode::Request),
            found @ (FrameKind::ClientWelcome
            | FrameKind::Refused
            | FrameKind::Response
            | FrameKind::PeerHello
            | FrameKind::PeerWelcome
            | FrameKind::PeerMessage
            | FrameKind::PeerLease
            | FrameKind::PeerBeat) => Err(ProtocolError::WrongKind { found, expected: "a client's hello or request" }),
        }
    }
}

impl ToClient {
    /// Appends the message as one frame.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            ToClient::Welcome(welcome) => encode_message(FrameKind::ClientWelcome, welcome, out),
            ToClient::Refused(refused) => refused.encode(out),
            ToClient::Response(response) => encode_message(FrameKind::Response, response, out),
        }
    }

    /// Decodes the message in one frame.
    ///
    /// # Errors
    /// Fails if nodes never send frames of this kind to clients, or if the payload is malformed.
    pub fn decode(frame: &Frame) -> Result<ToClient, ProtocolError> {
        match frame.kind {
            FrameKind::ClientWelcome => Welcome::decode(&frame.payload).map(ToClient::Welcome),
            FrameKind::Refused => Refused::decode(&frame.payload).map(ToClient::Refused),
            FrameKind::Response => decode_message("response", &frame.payload).map(ToClient::Response),
            found @ (FrameKind::ClientHello
            | FrameKind::Request
            | FrameKind::PeerHello
            | FrameKind::PeerWelcome
            | FrameKind::PeerMessage
            | FrameKind::PeerLease
            | FrameKind::PeerBeat) => Err(ProtocolError::WrongKind { found, expected: "a node's welcome or response" }),
        }
    }
}

impl Request {
    /// Describes the protocol rule that the request breaks, if any.
    pub fn broken_rule(&self) -> Option<String> {
        let values: &[&[u8]] = match &self.call {
            Call::Read | Call::Fate { .. } | Call::Get { .. } => &[],
            Call::Write { new } | Call::Put { new, .. } => &[new],
            Call::Cas { expected, new } => &[expected.as_deref().unwrap_or_default(), new],
        };
        if self.key.is_empty() {
            return Some("the key is empty".to_owned());
        }
        if self.key.len() > MAX_KEY {
            return Some(format!("a key of {} bytes is over the limit of {MAX_KEY}", self.key.len()));
        }
        if let Some(long) = values.iter().find(|value| value.len() > MAX_VALUE) {
            return Some(format!("a value of {} bytes is over the limit of {MAX_VALUE}", long.len()));
        }
        if matches!(self.call, Call::Put { .. } | Call::Get { .. }) && self.provenance != Provenance::First {
            return Some("a put or get is always sent as First: nothing remembers its id".to_owned());
        }
        if self.timeout_us == 0 || self.timeout_us > MAX_TIMEOUT_US {
            return Some(format!("a timeout of {} us is not within 1..={MAX_TIMEOUT_US}", self.timeout_us));
        }
        None
    }
}

/// The encoding of a message, without a frame.
pub(crate) fn encode_payload<T: Serialize>(message: &T) -> Vec<u8> {
    let mut out = Vec::new();
    crate::encoding::append(message, &mut out);
    out
}

pub(crate) fn encode_message<T: Serialize>(kind: FrameKind, message: &T, out: &mut BytesMut) {
    encode_frame_with(kind, out, |out| crate::encoding::append(message, out));
}

pub(crate) fn decode_message<T: DeserializeOwned>(what: &'static str, payload: &[u8]) -> Result<T, ProtocolError> {
    match postcard::take_from_bytes::<T>(payload) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(ProtocolError::Trailing { what, extra: rest.len() }),
        Err(cause) => Err(ProtocolError::Malformed { what, cause: cause.to_string() }),
    }
}
