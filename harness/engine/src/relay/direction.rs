//! One direction of a relayed connection: the bytes that were read but not yet delivered, and how far the direction has been closed.

use super::context::READ_BYTES;
use super::lane::{Close, Departure, Lane};
use super::rules::{LinkId, Rules, Traffic};
use super::splitter::Splitter;

/// The stage of a direction, from open to closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The source may send more data.
    Open,
    /// The source has ended, and the end is in the lane.
    Ended,
    /// The end has left the lane and follows the bytes that the receiver has not yet accepted.
    Ending(Close),
    /// The end was forwarded.
    Done,
    /// The receiver is gone: nothing more can be sent.
    Dead,
}

/// One direction: from the socket with the same index to the other socket.
pub(super) struct Direction {
    pub(super) lane: Lane,
    pub(super) splitter: Splitter,
    pub(super) stage: Stage,
    /// The link whose traffic it counts.
    pub(super) flow: Option<LinkId>,
    /// The start of an incomplete frame, and the minimum length of the whole frame.
    pub(super) partial: Vec<u8>,
    pub(super) wanted: usize,
    /// Bytes that the receiver's socket has not accepted, from `sent` on, and the number of pieces they belong to.
    pub(super) out: Vec<u8>,
    pub(super) sent: usize,
    pub(super) pieces: u64,
    pub(super) timer: Option<u64>,
    /// Whether the next bytes may advertise an address.
    pub(super) greets: bool,
}

impl Direction {
    pub(super) fn new(lane: Lane, flow: Option<LinkId>) -> Direction {
        let splitter = Splitter::default();
        Direction {
            lane,
            splitter,
            stage: Stage::Open,
            flow,
            partial: vec![],
            wanted: 0,
            out: vec![],
            sent: 0,
            pieces: 0,
            timer: None,
            greets: false,
        }
    }

    /// Whether a cut also holds bytes that have left the lane. A frame that has begun must be completed, while a
    /// byte stream can stop anywhere.
    pub(super) fn is_held(&self, rules: &Rules) -> bool {
        self.lane.traffic() == Traffic::Bytes && rules.is_cut(self.lane.gate())
    }

    /// Moves pieces that may leave from the lane to the output buffer.
    pub(super) fn collect_output(&mut self, now: u64, rules: &mut Rules) {
        while self.out.len() < READ_BYTES {
            match self.lane.pop(now, rules) {
                None => return,
                Some(Departure::Piece(bytes)) => {
                    self.out.extend_from_slice(&bytes);
                    self.pieces += 1;
                }
                Some(Departure::End(close)) => {
                    self.stage = Stage::Ending(close);
                    return;
                }
            }
        }
    }
}

/// The kind of traffic of a connection, and its links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionKind {
    /// Messages from one node to another; only the reply to the handshake travels back.
    Messages { forward: LinkId },
    /// Requests of a client and replies of a node.
    Conversation { forward: LinkId, backward: LinkId },
    /// A byte stream in both directions.
    Bytes { forward: LinkId, backward: LinkId },
}

impl ConnectionKind {
    /// Returns the link in the forward direction.
    pub(super) fn forward(self) -> LinkId {
        match self {
            ConnectionKind::Messages { forward } | ConnectionKind::Conversation { forward, .. } | ConnectionKind::Bytes { forward, .. } => {
                forward
            }
        }
    }

    /// Returns all its links.
    pub(super) fn links(self) -> impl Iterator<Item = LinkId> {
        let backward = match self {
            ConnectionKind::Messages { .. } => None,
            ConnectionKind::Conversation { backward, .. } | ConnectionKind::Bytes { backward, .. } => Some(backward),
        };
        [Some(self.forward()), backward].into_iter().flatten()
    }
}
