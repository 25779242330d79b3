//! What enters a step and what leaves it.

use crate::ballot::Ballot;
use crate::cell::PlainRequest;
use crate::ids::{ClientToken, IoId, Key, MonoTime, NodeId, OpId, TimerId};
use crate::lease::{LeaseEvent, LeaseMessage};
use crate::message::Message;
use crate::record::Record;
use crate::request::{ClientRequest, Diagnostics, Outcome};

/// An input of [`crate::Replica::step`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A client asks for something.
    Client {
        /// Where the answer goes.
        token: ClientToken,
        /// What is asked.
        request: ClientRequest,
    },
    /// A client asks for something on the last-write-wins path.
    Plain {
        /// Where the answer goes.
        token: ClientToken,
        /// What is asked.
        request: PlainRequest,
    },
    /// A message arrived from another node. It may be late, doubled or out of order.
    Peer {
        /// The sender.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// A message about leases arrived from another node.
    PeerLease {
        /// The sender.
        from: NodeId,
        /// What it says.
        message: LeaseMessage,
    },
    /// The node is going to end: it gives back its leases and asks for none any more. Operations go on.
    Stopping,
    /// A timer asked for by [`Action::Timer`] went off. Being late is harmless.
    Timer {
        /// The timer.
        id: TimerId,
    },
    /// The batch `io_id` **and all batches before it** are durable. A shell that groups many
    /// batches into one sync reports only the last.
    Persisted {
        /// The newest durable batch.
        io_id: IoId,
    },
}

/// Something the step wants done. Carry them out in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Append the records to the log as one batch. At most one for each step; it comes before all
    /// actions that rely on it.
    Persist {
        /// Names the batch in [`Event::Persisted`] and in `after`.
        io_id: IoId,
        /// The records, never empty. A crash leaves all of them or none, or a prefix.
        records: Vec<Record>,
        /// Whether it must be synced now.
        sync: Sync,
    },
    /// Send a message to another node (never to oneself).
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: Message,
        /// If given, the message may leave only when this batch is durable: it says that something
        /// is on disk. Were it sent earlier, a crash could break the promise it carries.
        after: Option<IoId>,
    },
    /// Send a message about leases to another node.
    SendLease {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: LeaseMessage,
        /// As for [`Action::Send`].
        after: Option<IoId>,
    },
    /// A lease of this node has changed; the shell may tell a harness.
    Lease(LeaseEvent),
    /// Report [`Event::Timer`] at this time, or as soon as possible if it is past.
    Timer {
        /// The timer.
        id: TimerId,
        /// When.
        at: MonoTime,
    },
    /// Answer a client. Exactly one for each request.
    Reply {
        /// Where to.
        token: ClientToken,
        /// What happened.
        outcome: Outcome,
        /// How it came about.
        diagnostics: Box<Diagnostics>,
        /// As for [`Action::Send`].
        after: Option<IoId>,
    },
    /// The protocol has reached a named point: all actions before this one are what was done up to
    /// it. Only with [`crate::Points::Announced`]; the shell may tell a nemesis, and hold here.
    Point {
        /// Which point.
        point: Point,
        /// The register.
        key: Key,
        /// The operation.
        op: OpId,
        /// The ballot of the attempt.
        ballot: Ballot,
    },
}

/// How urgent a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sync {
    /// Something waits for it: write and sync, then report [`Event::Persisted`].
    Required,
    /// Nothing waits for it: append it in order; a later sync covers it.
    Lazy,
}

/// Named moments of the protocol at which a fault bites hardest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// Prepare has been sent to all.
    AfterPrepareAll,
    /// Propose of a client's own update has been sent to the first other node only.
    AfterProposeFirst,
    /// Propose of a client's own update has been sent to all.
    AfterProposeAll,
    /// Learn has been sent to the first other node only.
    AfterLearnFirst,
    /// Learn has been sent to all.
    AfterLearnAll,
    /// Refresh of a lagging replica has been sent.
    AfterRefresh,
    /// The outcome is known and not yet sent to the client.
    BeforeReply,
}

impl Point {
    /// All points, in the order of the protocol.
    pub const ALL: [Point; 7] = [
        Point::AfterPrepareAll,
        Point::AfterProposeFirst,
        Point::AfterProposeAll,
        Point::AfterLearnFirst,
        Point::AfterLearnAll,
        Point::AfterRefresh,
        Point::BeforeReply,
    ];

    /// The name on the control channel.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Point::AfterPrepareAll => "after-prepare-all",
            Point::AfterProposeFirst => "after-propose-first",
            Point::AfterProposeAll => "after-propose-all",
            Point::AfterLearnFirst => "after-learn-first",
            Point::AfterLearnAll => "after-learn-all",
            Point::AfterRefresh => "after-refresh",
            Point::BeforeReply => "before-reply",
        }
    }
}

/// Collects the actions of one or more steps. Reuse one: its memory is kept.
#[derive(Debug, Default)]
pub struct Actions {
    list: Vec<Action>,
    /// Where the batch of the running step is, once it has one.
    batch_at: Option<usize>,
}

impl Actions {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes out all actions, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Action> {
        self.batch_at = None;
        self.list.drain(..)
    }

    /// The actions collected so far.
    #[must_use]
    pub fn as_slice(&self) -> &[Action] {
        &self.list
    }

    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// A new step begins: its records form a new batch.
    pub(crate) fn begin_step(&mut self) {
        self.batch_at = None;
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.list.push(action);
    }

    /// Adds a record to the batch of this step. `next_io` counts batches and is advanced by the
    /// first record only. A batch is synced if any of its records must be.
    pub(crate) fn persist(&mut self, next_io: &mut u64, record: Record, sync: Sync) -> IoId {
        if let Some(Action::Persist { io_id, records, sync: urgency }) = self.batch_at.and_then(|at| self.list.get_mut(at)) {
            records.push(record);
            if sync == Sync::Required {
                *urgency = Sync::Required;
            }
            return *io_id;
        }
        *next_io += 1;
        let io_id = IoId(*next_io);
        self.batch_at = Some(self.list.len());
        self.list.push(Action::Persist { io_id, records: vec![record], sync });
        io_id
    }
}
