//! The first frames of a connection: who the client is and whom it expects, and who answers.
//!
//! An address proves nothing: a killed node's port is free to any program of the machine, another cluster's node included. So both
//! sides say who they are before the first request, and a client that names whom it expects is refused by any other node.
//! The version is the first field of both messages and is read before the rest, so that programs of different releases
//! refuse each other by name.

use std::fmt;

use bytes::BytesMut;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{PROTOCOL, ProtocolError, decode_message};
use crate::frame::{FrameKind, encode_frame_with};

/// First frame of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The client's [`PROTOCOL`]. First field of every version, so that any node can read it.
    pub protocol: u32,
    /// A name for the node's log.
    pub client: String,
    /// The cluster that the client expects; a node of any other refuses it.
    pub cluster: Option<String>,
    /// The name of the node that the client expects; any other refuses it.
    pub node: Option<String>,
}

/// The node's answer to a [`Hello`] it accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The node's [`PROTOCOL`].
    pub protocol: u32,
    /// Who answers.
    pub identity: Identity,
    /// How many times this node has been started on its data folder.
    pub incarnation: u64,
    /// What this node accepts on one connection.
    pub limits: Limits,
}

/// Limits of one connection. What is over a limit is answered with [`Outcome::Invalid`](super::Outcome::Invalid) (key, value,
/// second open operation of one client), [`Outcome::NotApplied`](super::Outcome::NotApplied) with
/// [`Reason::TooManyInFlight`](super::Reason::TooManyInFlight), or a [`Refused`] and a close (frame, connections).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest key in bytes.
    pub max_key: u32,
    /// Longest value in bytes.
    pub max_value: u32,
    /// Longest frame payload in bytes.
    pub max_frame: u32,
    /// Most open operations on this connection.
    pub max_in_flight: u32,
}

/// The node does not want to talk; it closes the connection after this.
///
/// The reason alone is what clients of every version read. The identity follows it only where the other side has shown that
/// it speaks this version, or is no client at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What was wrong and what to do, in words.
    pub why: String,
    /// Who refuses, where another was expected.
    pub identity: Option<Identity>,
}

/// What tells one node from all others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Name of its cluster.
    pub cluster: String,
    /// Its name there, such as `n1`.
    pub node: String,
    /// Its data folder: two clusters may have one name by mistake, two folders have not.
    pub folder: FolderId,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names come from another program: what a terminal would act on is escaped.
        write!(f, "{} of cluster {}", self.node.escape_debug(), self.cluster.escape_debug())
    }
}

/// Random id of a data folder, drawn when the folder is made. Sixteen hexadecimal digits in JSON and in print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FolderId(pub u64);

impl fmt::Display for FolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for FolderId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Programs that read JSON numbers as floats would round it.
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

/// Whom a client expects; what is absent may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExpectedNode {
    /// Name of the cluster.
    pub cluster: Option<String>,
    /// Name of the node.
    pub node: Option<String>,
    /// Its data folder.
    pub folder: Option<FolderId>,
}

impl ExpectedNode {
    /// Whether this is the expected node.
    pub fn is(&self, found: &Identity) -> bool {
        fits(self.cluster.as_deref(), &found.cluster)
            && fits(self.node.as_deref(), &found.node)
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

fn fits(expected: Option<&str>, found: &str) -> bool {
    expected.is_none_or(|expected| expected == found)
}

impl Hello {
    /// A hello of this version.
    pub fn new(client: impl Into<String>, expected: &ExpectedNode) -> Hello {
        Hello { protocol: PROTOCOL, client: client.into(), cluster: expected.cluster.clone(), node: expected.node.clone() }
    }

    /// Whom this client expects.
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

/// The version first: what follows it may have another layout.
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
    /// A refusal that every version understands.
    pub fn new(why: impl Into<String>) -> Refused {
        Refused { why: why.into(), identity: None }
    }

    /// Appends it as one frame.
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
