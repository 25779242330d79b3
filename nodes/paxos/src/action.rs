//! The input and output of a step: events and actions.

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
    /// A client sends a request.
    Client {
        /// Where the reply goes.
        token: ClientToken,
        /// The request.
        request: ClientRequest,
    },
    /// A client sends a request on the last-write-wins path.
    Plain {
        /// Where the reply goes.
        token: ClientToken,
        /// The request.
        request: PlainRequest,
    },
    /// A message arrived from another node. It may be late, duplicated or out of order.
    Peer {
        /// The sender.
        from: NodeId,
        /// The message.
        message: Message,
    },
    /// A lease message arrived from another node.
    PeerLease {
        /// The sender.
        from: NodeId,
        /// The message.
        message: LeaseMessage,
    },
    /// The client of these requests has disconnected. Requests that have proposed nothing end. The others continue
    /// briefly, since an unfinished proposal costs the next operation a repair. All of them are answered as usual.
    ClientGone {
        /// The requests, with their keys. Requests that have already ended are ignored.
        requests: Vec<(Key, ClientToken)>,
    },
    /// The node is about to stop: it releases its leases and requests no new ones. Operations continue.
    Stopping,
    /// A timer set by [`Action::Timer`] has expired, possibly some time ago.
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

/// Work that a step requests. The shell must carry out the actions in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Append the records to the log as one batch. A step emits at most one, ahead of all actions that rely on it.
    Persist {
        /// Identifies the batch in [`Event::Persisted`] and in `after`.
        io_id: IoId,
        /// The records, never empty. After a crash, all, none or a prefix of them may remain.
        records: Vec<Record>,
        /// Whether the batch must be synced now.
        sync: Sync,
    },
    /// Send a message to another node (never to this one).
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: Message,
        /// If set, the message may be sent only once this batch is durable, since the message claims that something
        /// is on disk. If it were sent earlier, a crash could make the claim false.
        after: Option<IoId>,
    },
    /// Send a lease message to another node.
    SendLease {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: LeaseMessage,
        /// As for [`Action::Send`].
        after: Option<IoId>,
    },
    /// A lease of this node has changed. The shell may report the change to a harness.
    Lease(LeaseEvent),
    /// Report [`Event::Timer`] at this time, or as soon as possible if it has passed.
    Timer {
        /// The timer.
        id: TimerId,
        /// When the timer expires.
        at: MonoTime,
    },
    /// Reply to a client. There is exactly one for each request.
    Reply {
        /// Where the reply goes.
        token: ClientToken,
        /// The outcome.
        outcome: Outcome,
        /// How the outcome came about.
        diagnostics: Box<Diagnostics>,
        /// As for [`Action::Send`].
        after: Option<IoId>,
    },
    /// The protocol has reached a named point, after the actions that precede this one. Emitted only with
    /// [`crate::Points::Announced`]. The shell may report the point to a nemesis and pause the node here.
    Point {
        /// The point.
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
    /// An action waits for the batch: write and sync the batch, then report [`Event::Persisted`].
    Required,
    /// No action waits for the batch: append it in order. A later sync covers it.
    Lazy,
}

/// Named points in the protocol at which a fault does the most harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// Prepare has been sent to all nodes.
    AfterPrepareAll,
    /// Propose of a client's own update has been sent, but only to the first other node.
    AfterProposeFirst,
    /// Propose of a client's own update has been sent to all nodes.
    AfterProposeAll,
    /// Learn has been sent, but only to the first other node.
    AfterLearnFirst,
    /// Learn has been sent to all nodes.
    AfterLearnAll,
    /// A refresh has been sent to a lagging replica.
    AfterRefresh,
    /// The outcome is known, but the reply has not yet been sent.
    BeforeReply,
}

impl Point {
    /// All points, in protocol order.
    pub const ALL: [Point; 7] = [
        Point::AfterPrepareAll,
        Point::AfterProposeFirst,
        Point::AfterProposeAll,
        Point::AfterLearnFirst,
        Point::AfterLearnAll,
        Point::AfterRefresh,
        Point::BeforeReply,
    ];

    /// The name of the point on the control channel.
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

/// Collects the actions of one or more steps. Reuse it: it keeps its allocation.
#[derive(Debug, Default)]
pub struct Actions {
    list: Vec<Action>,
    /// Index of the current step's batch. `None` until its first record.
    batch_at: Option<usize>,
}

impl Actions {
    /// Creates an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes and returns all actions, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Action> {
        self.batch_at = None;
        self.list.drain(..)
    }

    /// The actions collected so far.
    #[must_use]
    pub fn as_slice(&self) -> &[Action] {
        &self.list
    }

    /// Whether there are no actions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Begins a new step, whose records form a new batch.
    pub(crate) fn begin_step(&mut self) {
        self.batch_at = None;
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.list.push(action);
    }

    /// Adds a record to the batch of this step. `next_io` numbers the batches, and only the first record of a step
    /// advances it. A batch is synced if any of its records requires it.
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
