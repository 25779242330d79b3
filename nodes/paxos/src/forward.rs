//! Operations forwarded to the holder of a lease: the messages, and the rules that keep an operation from running
//! twice.
//!
//! A forward is a message, so it may be lost, late, duplicated or overtaken. **At most once:** the holder's process
//! remembers the serial numbers of the forwards it has seen from each process and never accepts one twice. A forward
//! identifies the holder's process by the ballot of the lease, so a later process, which has no such memory, refuses
//! it. If a forward were accepted twice,
//!   copy 1 -> condition not met, reply to the client; another write; copy 2 -> the condition holds -> applied
//! would apply an operation already reported to the client as refused. **One hop:** a holder never forwards an
//! operation again.

use crate::ballot::{Ballot, BallotClock};
use crate::ids::{MonoTime, NodeId, OpId};
use crate::lease::LeaseBallot;
use crate::message::tag::Tag;
use crate::request::{Call, Diagnostics, Outcome, Provenance};

/// A forwarded operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Forward {
    /// Sequence number of the forward in the sending process.
    pub serial: u64,
    /// The lease under which the receiver is believed to hold the range. It also identifies the receiver's process.
    pub lease: LeaseBallot,
    /// The operation.
    pub call: Call,
    /// The remaining time of the operation, in nanoseconds.
    pub timeout_ns: u64,
    /// The client's statement about earlier requests.
    pub provenance: Provenance,
    /// Time of a ballot lower than any that a coordinator could have used for the operation: the ballot of the newest row known
    /// to its first coordinator when the operation arrived. A row that has forgotten ids since then refuses the operation, since
    /// the forward may be late, and a later request of the client may already have put the operation into the row.
    pub born_us: u64,
    /// Whether a proposal made by the first coordinator for the operation may still be chosen. If so, the holder
    /// never answers "not applied", and refuses the operation only behind a fence.
    pub open: bool,
}

/// The result of a forwarded operation at the holder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Forwarded {
    /// Sequence number of the forward.
    pub serial: u64,
    /// The outcome.
    pub outcome: Outcome,
    /// How the outcome came about at the holder.
    pub diagnostics: Box<Diagnostics>,
    /// The current lease and its remaining time in nanoseconds, so that the sender need not query a grantor. `None`
    /// if the lease has ended.
    pub lease: Option<(LeaseBallot, u64)>,
}

/// The recipient of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// A client.
    Client(crate::ids::ClientToken),
    /// The node that forwarded the operation.
    Node {
        to: NodeId,
        serial: u64,
        /// The tag to echo, as in any reply.
        tag: Tag,
    },
}

/// The tag of a forward. It belongs to no attempt, since the holder runs the rounds. Its ballot is the time of the
/// sender's ballot clock, and the holder's ballots are above it: a client assumes that the ballot in a reply from the
/// sender is lower than any ballot that its next operation can use, whichever node coordinates that operation.
pub(crate) fn tag(op: OpId, clock: &BallotClock, node: NodeId) -> Tag {
    Tag { op, attempt: 0, incarnation: clock.incarnation(), ballot: Ballot { micros: clock.last_micros(), node, nonce: 0 } }
}

/// How many serial numbers below the newest are remembered. Older forwards count as seen and get no reply.
const WINDOW: u64 = 1 << 14;

/// The forwards seen from one process of a node.
#[derive(Debug, Default, Clone)]
pub(crate) struct ForwardWindow {
    incarnation: u32,
    newest: u64,
    /// Bit set of the most recent serial numbers seen.
    seen: Vec<u64>,
}

impl ForwardWindow {
    /// Marks a forward as seen. Returns whether it is new, since only a new forward may be accepted.
    pub(crate) fn take(&mut self, incarnation: u32, serial: u64) -> bool {
        if incarnation < self.incarnation {
            return false;
        }
        if incarnation > self.incarnation || self.seen.is_empty() {
            *self = ForwardWindow { incarnation, newest: 0, seen: vec![0; (WINDOW / 64) as usize] };
        }
        if serial + WINDOW <= self.newest {
            return false;
        }
        // Numbers entering the window have not been seen yet.
        for number in self.newest + 1..=serial.min(self.newest + WINDOW) {
            self.clear(number);
        }
        if serial > self.newest + WINDOW {
            self.seen.fill(0);
        }
        self.newest = self.newest.max(serial);
        let (word, bit) = Self::place(serial);
        let new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        new
    }

    fn clear(&mut self, serial: u64) {
        let (word, bit) = Self::place(serial);
        self.seen[word] &= !bit;
    }

    fn place(serial: u64) -> (usize, u64) {
        let at = serial % WINDOW;
        ((at / 64) as usize, 1 << (at % 64))
    }
}

/// Tracks whether holders reply to forwards. A dead node still holds its lease for a while, and operations forwarded
/// to it have unknown outcomes.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReplyTracker {
    /// For each silent node: the time of the first unanswered forward.
    unanswered: Vec<(NodeId, MonoTime)>,
}

impl ReplyTracker {
    /// Records a forward to a node.
    pub(crate) fn note_forward(&mut self, node: NodeId, now: MonoTime) {
        if !self.unanswered.iter().any(|(known, _)| *known == node) {
            self.unanswered.push((node, now));
        }
    }

    /// Records a reply from a node. Unprompted messages do not count: the link to the node may be cut while the link
    /// back works.
    pub(crate) fn note_reply(&mut self, node: NodeId) {
        self.unanswered.retain(|(known, _)| *known != node);
    }

    /// Whether a forward to this node has gone unanswered for at least `patience_ns`.
    pub(crate) fn is_silent(&self, node: NodeId, now: MonoTime, patience_ns: u64) -> bool {
        self.unanswered.iter().any(|(known, since)| *known == node && now.since_ns(*since) > patience_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_are_accepted_once() {
        let mut window = ForwardWindow::default();
        //        process, number, taken
        let story = [
            (1, 1, true),
            (1, 1, false),
            (1, 3, true),
            (1, 2, true),
            (1, 2, false),
            (1, WINDOW + 3, true),
            (1, 3, false),
            (1, 4, true),
            (1, 10 * WINDOW, true),
            (1, 9 * WINDOW + 1, true),
            (1, 9 * WINDOW, false),
            (2, 1, true),
            (1, 10 * WINDOW + 1, false),
            (2, 1, false),
        ];
        for (at, (incarnation, serial, taken)) in story.into_iter().enumerate() {
            assert_eq!(window.take(incarnation, serial), taken, "step {at}");
        }
    }
}
