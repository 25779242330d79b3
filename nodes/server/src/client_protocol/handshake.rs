//! The handshake of a connection: the client names itself and the node it expects, and the node identifies itself.
//!
//! An address proves nothing: any program on the machine can take a killed node's port, including a node of another
//! cluster. So both sides identify themselves before the first request, and if a client names the node it expects,
//! all other nodes refuse it. The version is the first field of both messages and is read before the rest, so that
//! programs of different releases can refuse each other with a clear message.

use std::fmt;

use bytes::BytesMut;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{PROTOCOL, ProtocolError, decode_message};
use crate::frame::{FrameKind, encode_frame_with};

/// First frame sent by a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The client's [`PROTOCOL`]. First field in every version, so that any node can read it.
    pub protocol: u32,
    /// Name of the client, for the node's log.
    pub client: String,
    /// The cluster that the client expects. Nodes of other clusters refuse it.
    pub cluster: Option<String>,
    /// The name of the node that the client expects. Other nodes refuse it.
    pub node: Option<String>,
}

/// The node's reply to a [`Hello`] that it accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The node's [`PROTOCOL`].
    pub protocol: u32,
    /// Identity of the node.
    pub identity: Identity,
    /// Number of times this node has been started on its data folder.
    pub incarnation: u64,
    /// Limits of this connection.
    pub limits: Limits,
}

/// Limits of one connection. A request over a limit is answered with [`Outcome::Invalid`](super::Outcome::Invalid)
/// (key, value, second open operation of one client), [`Outcome::NotApplied`](super::Outcome::NotApplied) with
/// [`Reason::TooManyInFlight`](super::Reason::TooManyInFlight), or a [`Refused`] message before the connection is
/// closed (frame, connections).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Maximum key length in bytes.
    pub max_key: u32,
    /// Maximum value length in bytes.
    pub max_value: u32,
    /// Maximum frame payload in bytes.
    pub max_frame: u32,
    /// Maximum number of open operations on this connection.
    pub max_in_flight: u32,
}

/// The node refuses the connection, and closes it after this message.
///
/// Clients of every version can read the reason. The identity follows it only if the other side has either shown that
/// it speaks this version, or does not speak the client protocol at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The reason, and a remedy.
    pub why: String,
    /// Identity of the refusing node, if the client expected another one.
    pub identity: Option<Identity>,
}

/// The identity of a node, different from that of every other node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the node in its cluster, such as `n1`.
    pub node: String,
    /// Id of the data folder. Two clusters may share a name by mistake, but two folders never share an id.
    pub folder: FolderId,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names come from another program, so terminal control characters are escaped.
        write!(f, "{} of cluster {}", self.node.escape_debug(), self.cluster.escape_debug())
    }
}

/// Random id of a data folder, drawn when the folder is created. Sixteen hexadecimal digits in JSON and in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FolderId(pub u64);

impl fmt::Display for FolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for FolderId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Programs that read JSON numbers as floats would round the id.
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for FolderId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FolderId, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(FolderId);
        }
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format!("{text:?} is not the id of a data folder, such as 00c0ffee00c0ffee"));
        u64::from_str_radix(&text, 16).map(FolderId).map_err(|_| wrong())
    }
}

/// The node that a client expects. An absent field matches any node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExpectedNode {
    /// Name of the cluster.
    pub cluster: Option<String>,
    /// Name of the node.
    pub node: Option<String>,
    /// Id of the data folder.
    pub folder: Option<FolderId>,
}

impl ExpectedNode {
    /// Whether `found` matches.
    pub fn is(&self, found: &Identity) -> bool {
        matches(self.cluster.as_deref(), &found.cluster)
            && matches(self.node.as_deref(), &found.node)
            && self.folder.is_none_or(|f| f == found.folder)
    }
}

impl fmt::Display for ExpectedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.node.as_deref().unwrap_or("any node").escape_debug();
        match &self.cluster {
            Some(cluster) => write!(f, "{node} of cluster {}", cluster.escape_debug())?,
            None => write!(f, "{node} of any cluster")?,
        }
        self.folder.map_or(Ok(()), |folder| write!(f, " with data folder {folder}"))
    }
}

fn matches(expected: Option<&str>, found: &str) -> bool {
    expected.is_none_or(|expected| expected == found)
}

impl Hello {
    /// Creates a hello message of this version.
    pub fn new(client: impl Into<String>, expected: &ExpectedNode) -> Hello {
        Hello { protocol: PROTOCOL, client: client.into(), cluster: expected.cluster.clone(), node: expected.node.clone() }
    }

    /// The node that this client expects.
    pub fn expected(&self) -> ExpectedNode {
        ExpectedNode { cluster: self.cluster.clone(), node: self.node.clone(), folder: None }
    }

    pub(super) fn decode(payload: &[u8]) -> Result<Hello, ProtocolError> {
        decode_versioned("hello", payload, |client| ProtocolError::OtherVersion { node: PROTOCOL, client })
    }
}

impl Welcome {
    pub(super) fn decode(payload: &[u8]) -> Result<Welcome, ProtocolError> {
        decode_versioned("welcome", payload, |node| ProtocolError::OtherVersion { node, client: PROTOCOL })
    }
}

/// Decodes the version first, since the layout of the other fields depends on it.
fn decode_versioned<T: DeserializeOwned>(
    what: &'static str,
    payload: &[u8],
    other_version: impl FnOnce(u32) -> ProtocolError,
) -> Result<T, ProtocolError> {
    match postcard::take_from_bytes::<u32>(payload) {
        Ok((PROTOCOL, _)) => decode_message(what, payload),
        Ok((version, _)) => Err(other_version(version)),
        Err(cause) => Err(ProtocolError::Malformed { what, cause: cause.to_string() }),
    }
}

impl Refused {
    /// Creates a refusal that every version understands.
    pub fn new(why: impl Into<String>) -> Refused {
        Refused { why: why.into(), identity: None }
    }

    /// Appends the refusal as one frame.
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        encode_frame_with(FrameKind::Refused, out, |out| {
            crate::encoding::append(&self.why, out);
            if let Some(identity) = &self.identity {
                crate::encoding::append(identity, out);
            }
        });
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Refused, ProtocolError> {
        let what = "refusal";
        let (why, rest) =
            postcard::take_from_bytes(payload).map_err(|cause| ProtocolError::Malformed { what, cause: cause.to_string() })?;
        let identity = if rest.is_empty() { None } else { Some(decode_message(what, rest)?) };
        Ok(Refused { why, identity })
    }
}
