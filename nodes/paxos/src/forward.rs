//! Operations handed to the holder of a lease: what travels, and what keeps it from happening twice.
//!
//! A forward is a message, so it may be lost, late, doubled and overtaken. **At most once:** the holder's process
//! remembers the numbers of the forwards it has seen from each process and never takes one twice; a forward names
//! the holder's process by the lease's ballot, so a later process, which remembers nothing, refuses it. Were it
//! taken twice,
//!   copy 1 -> condition not met, the client is answered; another write; copy 2 -> the condition holds -> applied
//! would apply what was answered as refused. **One hop:** a holder never forwards again.

use crate::ballot::{Ballot, BallotClock};
use crate::ids::{MonoTime, NodeId, OpId};
use crate::lease::LeaseBallot;
use crate::message::tag::Tag;
use crate::request::{Call, Diagnostics, Outcome, Provenance};

/// An operation on its way to the holder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Forward {
    /// Counts the forwards of the sending process.
    pub serial: u64,
    /// The lease under which the receiver is thought to hold the range; names its process.
    pub lease: LeaseBallot,
    /// What to do.
    pub call: Call,
    /// What is left of the operation's time.
    pub timeout_ns: u64,
    /// What the client said of earlier requests.
    pub provenance: Provenance,
    /// Time of a ballot below every one that any coordinator can have used for the operation: that of the newest row
    /// its first coordinator knew when the operation came. A row that forgot ids since then refuses it: it may be
    /// late, and be in the row already by a later request of the client.
    pub born_us: u64,
    /// Whether something that its first coordinator proposed for it may still be chosen. The holder then answers "not
    /// applied" to nothing, and a refusal only behind a fence.
    pub open: bool,
}

/// What became of it at the holder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Forwarded {
    /// The number of the forward.
    pub serial: u64,
    /// The answer.
    pub outcome: Outcome,
    /// How it came about there.
    pub diagnostics: Box<Diagnostics>,
    /// The lease as of now, and for how long: the sender need not ask a grantor. `None` if it is over.
    pub lease: Option<(LeaseBallot, u64)>,
}

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// To a client.
    Client(crate::ids::ClientToken),
    /// To the node that forwarded the operation.
    Node {
        to: NodeId,
        serial: u64,
        /// Echoed, as in any answer.
        tag: Tag,
    },
}

/// The tag of a forward: it belongs to no attempt, since the rounds are the holder's. Its ballot is the time of the
/// sender's ballot clock, and the holder goes above it: a client takes a ballot in the sender's answer for one that lies
/// below all that its next operation can use, at any coordinator.
pub(crate) fn tag(op: OpId, clock: &BallotClock, node: NodeId) -> Tag {
    Tag { op, attempt: 0, incarnation: clock.incarnation(), ballot: Ballot { micros: clock.last_micros(), node, nonce: 0 } }
}

/// How many numbers back a forward may be overtaken. Older ones count as seen: they get no answer.
const WINDOW: u64 = 1 << 14;

/// The forwards that were seen from one node's process.
#[derive(Debug, Default, Clone)]
pub(crate) struct Window {
    incarnation: u32,
    newest: u64,
    /// One bit for each of the last numbers.
    seen: Vec<u64>,
}

impl Window {
    /// Marks a forward as seen. Says whether it is new: only then may it be taken.
    pub(crate) fn take(&mut self, incarnation: u32, serial: u64) -> bool {
        if incarnation < self.incarnation {
            return false;
        }
        if incarnation > self.incarnation || self.seen.is_empty() {
            *self = Window { incarnation, newest: 0, seen: vec![0; (WINDOW / 64) as usize] };
        }
        if serial + WINDOW <= self.newest {
            return false;
        }
        // Numbers that come into the window have not been seen.
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

/// Whether holders answer at all: a node that has died goes on holding its lease for a while, and what is handed to
/// it is of unknown outcome.
#[derive(Debug, Clone, Default)]
pub(crate) struct HolderSilence {
    /// By node: when something was handed over first that nothing was heard after.
    unanswered: Vec<(NodeId, MonoTime)>,
}

impl HolderSilence {
    /// Something was handed to a node.
    pub(crate) fn asked(&mut self, node: NodeId, now: MonoTime) {
        if !self.unanswered.iter().any(|(known, _)| *known == node) {
            self.unanswered.push((node, now));
        }
    }

    /// A node answered something. What it says by itself does not count: the way to it may be cut, and the way back
    /// not.
    pub(crate) fn answered(&mut self, node: NodeId) {
        self.unanswered.retain(|(known, _)| *known != node);
    }

    /// Whether a node has been silent for this long since it was handed something.
    pub(crate) fn is_silent(&self, node: NodeId, now: MonoTime, patience_ns: u64) -> bool {
        self.unanswered.iter().any(|(known, since)| *known == node && now.since_ns(*since) > patience_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_is_taken_once() {
        let mut window = Window::default();
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
