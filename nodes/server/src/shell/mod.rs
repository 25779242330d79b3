//! State shared by the tasks of one node. All tasks run on one thread, so the state lives in plain cells, which are
//! borrowed briefly and never across an `await`.

mod answer;
mod leases;
mod send;
mod standing;
mod status;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use heckle_paxos::{ClientToken, Event, Key, Mutants, Replica};
use rand_pcg::Pcg64;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use crate::amnesia::Witness;
use crate::client_protocol::{self, Call, FolderId, OpId, Request};
use crate::clients::connection::ClientConnection;
use crate::clock::ClockSeam;
use crate::control::ControlToken;
use crate::gate::Outgoing;
use crate::lease_watch::LeaseWatch;
use crate::log::Logger;
use crate::net::Outbox;
use crate::node::Stopper;
use crate::options::NodeOptions;
use crate::peers::links::Peers;
use crate::points::protocol::ProtocolPoints;
use crate::points::storage::StoragePoints;
use crate::resources::{Descriptors, Lobby, PartialFrames, ReplyBudget};
use crate::status::OpCounts;
use crate::storage::folder::{Folder, Identity};
use crate::storage::thread::{Disk, DiskMetrics};
use crate::timers::Timers;
use crate::wire;

/// The shared state of a node.
pub(crate) struct Shell {
    pub(crate) options: NodeOptions,
    /// The node's id as text.
    pub(crate) name: String,
    pub(crate) log: Logger,
    pub(crate) incarnation: u32,
    pub(crate) mutants: Mutants,
    pub(crate) replica: RefCell<Replica>,
    pub(crate) rng: RefCell<Pcg64>,
    pub(crate) clock: RefCell<ClockSeam>,
    /// Whether the clock skew has changed since the alarm was last set.
    pub(crate) clock_changed: Cell<bool>,
    pub(crate) timers: RefCell<Timers>,
    pub(crate) inbox: Inbox,
    pub(crate) disk: Disk,
    pub(crate) disk_metrics: Arc<DiskMetrics>,
    pub(crate) storage_points: Arc<StoragePoints>,
    pub(crate) folder: Arc<Folder>,
    pub(crate) folder_identity: RefCell<Identity>,
    pub(crate) peers: Peers,
    pub(crate) witness: RefCell<Witness>,
    /// Whether this node takes part. If not, it behaves as if cut off from all others.
    pub(crate) voting: Cell<bool>,
    /// Client connections, including those without a handshake.
    pub(crate) client_lobby: Rc<Lobby>,
    /// Number of refused clients that are being sent the reason.
    pub(crate) refusals: Cell<usize>,
    pub(crate) descriptors: Descriptors,
    pub(crate) control_token: ControlToken,
    pub(crate) partial_frames: Rc<PartialFrames>,
    /// Budgets for the bytes waiting for clients and for peers.
    pub(crate) replies: Rc<ReplyBudget>,
    pub(crate) peer_bytes: Rc<ReplyBudget>,
    /// Bytes of the open operations.
    pub(crate) request_bytes: Cell<usize>,
    pub(crate) clients: RefCell<FxHashMap<u64, Rc<ClientConnection>>>,
    pub(crate) open_ops: RefCell<FxHashMap<u64, OpenOp>>,
    pub(crate) next_token: Cell<u64>,
    /// Outboxes with bytes to flush at the end of the turn.
    pub(crate) dirty: RefCell<Vec<Rc<Outbox>>>,
    pub(crate) points: ProtocolPoints,
    pub(crate) leases: LeaseWatch,
    pub(crate) counts: Counts,
    pub(crate) stopper: Stopper,
    pub(crate) ready_since: Instant,
    pub(crate) recovered_records: u64,
    pub(crate) recovered_torn_bytes: u64,
}

/// An operation that the core is working on.
#[derive(Debug, Clone)]
pub(crate) struct OpenOp {
    pub(crate) connection: u64,
    pub(crate) op: OpId,
    pub(crate) key: Key,
    /// Its share of `request_bytes`.
    pub(crate) bytes: usize,
}

/// Bytes that an open operation takes up in addition to its key and values: its state in the core, its messages and
/// its timer.
const OP_BYTES: usize = 1 << 10;

/// Bytes counted for a request while it is open.
pub(crate) fn request_size(request: &Request) -> usize {
    let values = match &request.call {
        Call::Read | Call::Get { .. } | Call::Fate { .. } => 0,
        Call::Write { new } | Call::Put { new, .. } => new.len(),
        Call::Cas { expected, new } => new.len() + expected.as_ref().map_or(0, Vec::len),
    };
    OP_BYTES + request.key.len() + values
}

/// Counters of the shell, in addition to those of the core.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) ops: Cell<OpCounts>,
    pub(crate) bad_connections: Cell<u64>,
    pub(crate) slow_readers: Cell<u64>,
    pub(crate) turns: Cell<u64>,
}

impl Counts {
    pub(crate) fn ops(&self, change: impl FnOnce(&mut OpCounts)) {
        let mut ops = self.ops.get();
        change(&mut ops);
        self.ops.set(ops);
    }
}

/// Adds one.
pub(crate) fn increment(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl Shell {
    /// The identity reported to clients.
    pub(crate) fn identity(&self) -> client_protocol::Identity {
        let folder = FolderId(self.folder_identity.borrow().folder);
        client_protocol::Identity { cluster: self.options.cluster_id.clone(), node: self.name.clone(), folder }
    }

    /// Marks an outbox to be flushed at the end of this turn.
    pub(crate) fn flush_at_end_of_turn(&self, outbox: &Rc<Outbox>) {
        if outbox.mark_dirty() {
            self.dirty.borrow_mut().push(Rc::clone(outbox));
        }
    }

    /// Flushes all marked outboxes.
    pub(crate) fn flush_all(&self) {
        for outbox in self.dirty.borrow_mut().drain(..) {
            outbox.flush();
        }
    }

    /// Hands a request to the core and remembers where to send its reply.
    pub(crate) fn begin_op(&self, connection: u64, request: Request) {
        let token = self.next_token.get();
        self.next_token.set(token + 1);
        let (op, bytes) = (request.op, request_size(&request));
        let event = wire::client::core_event(ClientToken(token), request);
        let key = match &event {
            Event::Client { request, .. } => request.key.clone(),
            Event::Plain { request, .. } => request.key.clone(),
            Event::Peer { .. }
            | Event::PeerLease { .. }
            | Event::ClientGone { .. }
            | Event::Stopping
            | Event::Timer { .. }
            | Event::Persisted { .. } => unreachable!("a request is an operation"),
        };
        self.open_ops.borrow_mut().insert(token, OpenOp { connection, op, key, bytes });
        self.request_bytes.set(self.request_bytes.get() + bytes);
        self.counts.ops(|ops| ops.started += 1);
        // Its bytes are already limited as part of all open operations.
        self.inbox.push(event, 0);
    }

    /// Removes an open operation that is about to be answered.
    pub(crate) fn take_op(&self, token: u64) -> Option<OpenOp> {
        let open = self.open_ops.borrow_mut().remove(&token)?;
        self.request_bytes.set(self.request_bytes.get() - open.bytes);
        Some(open)
    }

    /// Lets the core end the open operations of a closed connection.
    pub(crate) fn client_gone(&self, connection: u64) {
        let open_ops = self.open_ops.borrow();
        let of_connection = open_ops.iter().filter(|(_, open)| open.connection == connection);
        let mut requests: Vec<_> = of_connection.map(|(token, open)| (open.key.clone(), ClientToken(*token))).collect();
        if !requests.is_empty() {
            requests.sort_unstable_by_key(|(_, token)| *token);
            self.inbox.push(Event::ClientGone { requests }, 0);
        }
    }

    /// Sends a message or reply that has passed the gate. It is flushed at the end of this turn.
    pub(crate) fn send_outgoing(&self, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Send { to, message } => self.send(to, &message),
            Outgoing::SendLease { to, message } => self.send_lease(to, &message),
            Outgoing::Reply { token, outcome, diagnostics } => {
                // A token is missing if the node is stopping and has already answered in place of the core.
                if let Some(open) = self.take_op(token.0) {
                    self.answer(&open, wire::client::response(open.op, outcome, &diagnostics));
                }
            }
        }
    }

    /// Hands a message from another node to the core.
    pub(crate) fn receive(&self, event: Event, bytes: usize) {
        self.inbox.push(event, bytes);
    }
}

/// Events waiting for the core.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Each event with the number of bytes counted for it.
    events: RefCell<VecDeque<(Event, usize)>>,
    bytes: Cell<usize>,
    max_events: usize,
    max_bytes: usize,
    /// Wakes the event loop. The disk thread uses it too.
    pub(crate) bell: Arc<Notify>,
    /// Wakes connections waiting for room.
    room: Notify,
}

impl Inbox {
    pub(crate) fn new(max_events: usize, max_bytes: usize, bell: Arc<Notify>) -> Inbox {
        Inbox { events: RefCell::default(), bytes: Cell::new(0), max_events, max_bytes, bell, room: Notify::new() }
    }

    fn push(&self, event: Event, bytes: usize) {
        let mut events = self.events.borrow_mut();
        events.push_back((event, bytes));
        self.bytes.set(self.bytes.get() + bytes);
        if events.len() == 1 {
            self.bell.notify_one();
        }
    }

    pub(crate) fn pop(&self) -> Option<Event> {
        let was_full = self.is_full();
        let (event, bytes) = self.events.borrow_mut().pop_front()?;
        self.bytes.set(self.bytes.get() - bytes);
        if was_full && !self.is_full() {
            self.room.notify_waiters();
        }
        Some(event)
    }

    fn is_full(&self) -> bool {
        self.len() >= self.max_events || self.bytes.get() >= self.max_bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.events.borrow().len()
    }

    /// Waits until the event loop has caught up. A connection that calls this before reading more stays unread while
    /// it waits, so TCP slows the sender down. Bytes already read may exceed the limit by the size of one read.
    pub(crate) async fn has_room(&self) {
        while self.is_full() {
            self.room.notified().await;
        }
    }
}
