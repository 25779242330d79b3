//! Serializable counterparts of the core's types, for the network and the disk.
//!
//! The core's types do not define an encoding, and these types contain no protocol logic. Conversions are total, and
//! return an error for anything that a correct node never sends. Byte strings are borrowed in both directions, so a
//! message is copied only once. Enum variants are encoded by position, so new ones are only appended. Each top-level
//! type carries its version in the first byte.

pub(crate) mod client;
pub(crate) mod lease;
pub(crate) mod message;
pub(crate) mod peer;
pub(crate) mod positions;
pub(crate) mod record;
mod row;

use serde::{Deserialize, Serialize};

use crate::client_protocol::{MAX_KEY, MAX_VALUE};
use crate::encoding::{Sink, append};
use crate::options::NodeId;

/// Maximum number of ids accepted in a dedupe table.
const MAX_DEDUPE: usize = 4_096;

/// The version byte that precedes a message or record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Versioned<T> {
    V1(T),
}

/// Why bytes cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("malformed {what}: {cause}")]
    Malformed { what: &'static str, cause: String },
    #[error("{extra} bytes after the end of a {what}")]
    Trailing { what: &'static str, extra: usize },
    #[error("{what} of {len} is over the limit of {limit}")]
    TooLong { what: &'static str, len: usize, limit: usize },
    #[error("{what} is empty")]
    Empty { what: &'static str },
    #[error("{number} is not the number of a node")]
    NodeNumber { number: u16 },
    #[error("this is no {what}")]
    Unexpected { what: &'static str },
}

/// Appends the encoding of `value`, with its version.
fn encode<T: Serialize>(value: T, out: &mut impl Sink) {
    append(&Versioned::V1(value), out);
}

fn decode<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T, WireError> {
    match postcard::take_from_bytes::<Versioned<T>>(bytes) {
        Ok((Versioned::V1(value), [])) => Ok(value),
        Ok((_, rest)) => Err(WireError::Trailing { what, extra: rest.len() }),
        Err(cause) => Err(WireError::Malformed { what, cause: cause.to_string() }),
    }
}

fn key(bytes: &[u8]) -> Result<heckle_paxos::Key, WireError> {
    match bytes.len() {
        0 => Err(WireError::Empty { what: "key" }),
        1..=MAX_KEY => Ok(bytes.into()),
        len => Err(WireError::TooLong { what: "key", len, limit: MAX_KEY }),
    }
}

fn node_id(number: u16) -> Result<NodeId, WireError> {
    NodeId::new(number).map_err(|_| WireError::NodeNumber { number })
}

fn value(bytes: &[u8]) -> Result<heckle_paxos::Value, WireError> {
    match bytes.len() {
        0..=MAX_VALUE => Ok(bytes.into()),
        len => Err(WireError::TooLong { what: "value", len, limit: MAX_VALUE }),
    }
}

#[cfg(test)]
mod tests;
