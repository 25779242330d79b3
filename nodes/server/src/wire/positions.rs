//! Log positions of the nodes, which precede messages between nodes and make up heartbeats.

use serde::{Deserialize, Serialize};

use super::{WireError, node_id};
use crate::amnesia::Position;
use crate::encoding::{Sink, append};
use crate::options::NodeId;

/// The positions that precede a message of the core, or that make up a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Positions {
    /// Newest synced batch of the sender's process, the one that sent the hello.
    pub(crate) own: u64,
    /// The positions that the sender has seen of all nodes, including the receiver. Only in learns and heartbeats.
    pub(crate) seen: Vec<(NodeId, Position)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Wire {
    own: u64,
    seen: Vec<(u16, Position)>,
}

/// Appends the encoding of positions.
pub(crate) fn encode_positions(positions: &Positions, out: &mut impl Sink) {
    let seen = positions.seen.iter().map(|(node, position)| (node.number(), *position)).collect();
    append(&Wire { own: positions.own, seen }, out);
}

/// Decodes positions. Returns the bytes that follow them.
pub(crate) fn decode_positions(bytes: &[u8]) -> Result<(Positions, &[u8]), WireError> {
    let malformed = |cause: postcard::Error| WireError::Malformed { what: "positions", cause: cause.to_string() };
    let (Wire { own, seen }, rest) = postcard::take_from_bytes(bytes).map_err(malformed)?;
    let seen = seen.into_iter().map(|(node, position)| Ok((node_id(node)?, position))).collect::<Result<_, WireError>>()?;
    Ok((Positions { own, seen }, rest))
}

/// Decodes a heartbeat, which consists only of positions.
pub(crate) fn decode_beat(bytes: &[u8]) -> Result<Positions, WireError> {
    match decode_positions(bytes)? {
        (positions, []) => Ok(positions),
        (_, rest) => Err(WireError::Malformed { what: "heartbeat", cause: format!("{} bytes follow its positions", rest.len()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_round_trip_before_a_message() {
        let position = Position { folder: u64::MAX, incarnation: 3, process: 9, batch: 200 };
        for seen in [vec![], vec![(NodeId::new(2).unwrap(), position)]] {
            let positions = Positions { own: 77, seen };
            let mut bytes = Vec::new();
            encode_positions(&positions, &mut bytes);
            bytes.extend_from_slice(b"message");
            assert_eq!(decode_positions(&bytes).unwrap(), (positions.clone(), &b"message"[..]));
            assert!(decode_beat(&bytes).is_err(), "a heartbeat has no message");
            assert_eq!(decode_beat(&bytes[..bytes.len() - b"message".len()]).unwrap(), positions);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(decode_positions(&[]).is_err() && decode_positions(&[0xff; 30]).is_err());
        // A node with number 0.
        let mut bytes = Vec::new();
        append(&Wire { own: 1, seen: vec![(0, Position { folder: 1, incarnation: 1, process: 1, batch: 1 })] }, &mut bytes);
        assert_eq!(decode_positions(&bytes), Err(WireError::NodeNumber { number: 0 }));
    }
}
