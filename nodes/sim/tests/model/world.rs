//! The explored world: the same replicas that the server runs, a network, disks, and a few operations.
//!
//! **Network.** Messages are never removed: each may arrive at any time, repeatedly, in any order, or never. So loss,
//! delay, reordering and duplication need no separate steps, and a state need not record the remaining copies.
//!
//! **Time** is only the order of steps. A timer may fire at any time once it is set, at a clock reading late enough
//! for everything it was set for. Time limits expire in a separate step.
//!
//! **Omitted from a state** is everything that can no longer matter: see [`World::tidy`].

mod net; // the messages that still matter

use std::fmt::{self, Debug};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use heckle_paxos::{
    Action as CoreAction, Actions, Call, ClientRequest, ClientToken, Config, Event, Key, Message, MonoTime, NodeId, OpId, Outcome,
    Provenance, Record, Replica, Sync, Tag, TimerId, Value, WallTime,
};
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::watch::Watch;
use net::{RoundKind, round_kind};

/// The only key.
const KEY: &str = "k";
/// Later than the time of any timer, except for time limits.
const TIMER_LATE_NS: u64 = 10_000_000_000;
/// Longer than all timers of one run together.
const TIMEOUT_NS: u64 = 1_000 * TIMER_LATE_NS;

fn digest(fill: impl FnOnce(&mut DefaultHasher)) -> u64 {
    let mut hasher = DefaultHasher::new();
    fill(&mut hasher);
    hasher.finish()
}

/// A client's operation, and the node that it uses.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) node: usize,
    pub(crate) call: Call,
}

/// When operations may be requested.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RequestOrder {
    /// At any time, in any order.
    Freely,
    /// In order, each after all earlier ones have been answered or lost.
    OneByOne,
}

/// A message that was sent.
#[derive(Clone)]
struct Envelope {
    from: usize,
    to: usize,
    message: Arc<Message>,
    digest: u64,
}

impl Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Message { key: _, tag, body } = &*self.message;
        write!(f, "n{} to n{}, op {} at {}: {body:?}", self.from + 1, self.to + 1, tag.op.client, tag.ballot)
    }
}

/// One node.
#[derive(Clone)]
struct Node {
    replica: Replica,
    /// The replica as it would be after a crash: recovered from all synced records. Not kept up to date once no more
    /// crashes can occur.
    durable: Arc<Replica>,
    /// Un-synced records for which nothing waits.
    lazy: Vec<Record>,
    timers: Vec<TimerId>,
    now: MonoTime,
    digest: u64,
    durable_digest: u64,
}

/// The progress of a client's operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Progress {
    Waiting,
    Running,
    Answered(Outcome),
    /// Its node crashed, so it gets no reply.
    Lost,
}

/// The number of times that each event may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// A node loses power and restarts.
    pub(crate) crashes: u8,
    /// All nodes lose power at the same moment and restart.
    pub(crate) blackouts: u8,
    /// A timer fires: resend, another attempt, housekeeping.
    pub(crate) timers: u8,
    /// The time limits of a node's operations expire.
    pub(crate) timeouts: u8,
}

/// The possible steps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Ask(usize),
    /// The message with this digest arrives.
    Deliver(u64),
    Timer(usize, TimerId),
    TimeOut(usize),
    Crash(usize),
    Blackout,
}

/// One state.
#[derive(Clone)]
pub(crate) struct World {
    nodes: Vec<Arc<Node>>,
    /// Sorted by their digests, without repetition.
    net: Vec<Envelope>,
    pub(crate) ops: Vec<Progress>,
    /// The last round sent by each operation's coordinator. Replies to earlier rounds are ignored.
    rounds: Vec<Option<(Tag, RoundKind)>>,
    left: Budget,
    pub(crate) watch: Arc<Watch>,
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for node in &self.nodes {
            node.digest.hash(state);
            if self.left.crashes + self.left.blackouts > 0 {
                (node.durable_digest, &node.lazy).hash(state);
            }
        }
        for envelope in &self.net {
            envelope.digest.hash(state);
        }
        // The results of answered operations are part of the watch.
        self.ops.iter().map(std::mem::discriminant).for_each(|progress| progress.hash(state));
        self.left.hash(state);
        let asks_left = self.ops.contains(&Progress::Waiting);
        let running = (0..self.ops.len()).filter(|op| self.ops[*op] == Progress::Running);
        self.watch.fingerprint(asks_left, running, state);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        digest(|hasher| self.hash(hasher)) == digest(|hasher| other.hash(hasher))
    }
}

impl Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.nodes {
            writeln!(f, "{:?}", node.replica.snapshot().collect::<Vec<_>>())?;
        }
        write!(f, "{:?}\n{:?}\n{:?}", self.net, self.ops, self.watch.wrong())
    }
}

impl World {
    /// The initial world: the nodes have started, and nothing has been requested.
    pub(crate) fn new(config: &Config, asks: &[Ask], left: Budget) -> World {
        let mut world = World {
            nodes: vec![],
            net: vec![],
            ops: vec![Progress::Waiting; asks.len()],
            rounds: vec![None; asks.len()],
            left,
            watch: Arc::new(Watch::new(config, asks)),
        };
        for (at, id) in config.members.iter().enumerate() {
            let replica = Replica::new(Config { node: *id, ..config.clone() }).expect("the settings are sound");
            let durable = Arc::new(replica.clone());
            let node = Node { replica, durable, lazy: vec![], timers: vec![], now: MonoTime(0), digest: 0, durable_digest: 0 };
            world.nodes.push(Arc::new(node));
            world.start(at);
        }
        world
    }

    /// The steps that can come next, including those without effect.
    pub(crate) fn steps(&self, asking: RequestOrder, steps: &mut Vec<Step>) {
        if self.watch.wrong().is_some() {
            return;
        }
        let over = |before: &Progress| matches!(before, Progress::Answered(_) | Progress::Lost);
        let may = |op: &usize| match asking {
            RequestOrder::Freely => true,
            RequestOrder::OneByOne => self.ops[..*op].iter().all(over),
        };
        steps.extend((0..self.ops.len()).filter(|op| self.ops[*op] == Progress::Waiting).filter(may).map(Step::Ask));
        steps.extend(self.net.iter().map(|envelope| Step::Deliver(envelope.digest)));
        for (at, node) in self.nodes.iter().enumerate() {
            if self.left.timers > 0 && !self.is_over() {
                steps.extend(node.timers.iter().map(|id| Step::Timer(at, *id)));
            }
            if self.left.timeouts > 0 && node.replica.in_flight() > 0 {
                steps.push(Step::TimeOut(at));
            }
            if self.left.crashes > 0 {
                steps.push(Step::Crash(at));
            }
        }
        if self.left.blackouts > 0 {
            steps.push(Step::Blackout);
        }
    }

    /// The state after a step, or `None` if the step has no effect.
    pub(crate) fn after(&self, step: &Step, asks: &[Ask]) -> Option<World> {
        let mut next = self.clone();
        match *step {
            Step::Ask(op) => {
                next.ops[op] = Progress::Running;
                Arc::make_mut(&mut next.watch).asked(op);
                let request = ClientRequest {
                    op: id(op),
                    key: Key::from(KEY),
                    call: asks[op].call.clone(),
                    timeout_ns: TIMEOUT_NS,
                    provenance: Provenance::First,
                };
                next.step(asks[op].node, Event::Client { token: ClientToken(op as u64), request });
            }
            Step::Deliver(digest) => {
                let at = self.net.binary_search_by_key(&digest, |held| held.digest).ok()?;
                let Envelope { from, to, message, .. } = self.net[at].clone();
                let event = Event::Peer { from: self.node_id(from), message: Message::clone(&message) };
                next.step(to, event);
                if next.is_as(self, to) {
                    return None;
                }
                next.tidy(to);
            }
            Step::Timer(node, id) => {
                next.left.timers -= 1;
                next.pass(node, TIMER_LATE_NS);
                next.fire(node, id);
                if next.is_as(self, node) {
                    return None;
                }
                next.tidy(node);
            }
            Step::TimeOut(node) => {
                next.left.timeouts -= 1;
                next.pass(node, 2 * TIMEOUT_NS);
                for id in self.nodes[node].timers.clone() {
                    next.fire(node, id);
                }
                next.tidy(node);
            }
            Step::Crash(node) => {
                next.left.crashes -= 1;
                next.crash(node, asks);
                next.tidy(node);
            }
            Step::Blackout => {
                next.left.blackouts -= 1;
                for node in 0..self.nodes.len() {
                    next.crash(node, asks);
                }
                for node in 0..self.nodes.len() {
                    next.tidy(node);
                }
            }
        }
        Some(next)
    }

    /// Whether a step of one node has changed nothing. Messages are only ever added.
    fn is_as(&self, before: &World, at: usize) -> bool {
        let disk = |world: &World| (world.nodes[at].digest, world.nodes[at].durable_digest, world.nodes[at].lazy.len());
        disk(self) == disk(before) && self.net.len() == before.net.len() && self.ops == before.ops
    }

    fn node_id(&self, at: usize) -> NodeId {
        self.nodes[at].replica.config().node
    }

    fn pass(&mut self, node: usize, ns: u64) {
        let node = Arc::make_mut(&mut self.nodes[node]);
        node.now = node.now.after_ns(ns);
    }

    fn fire(&mut self, node: usize, id: TimerId) {
        Arc::make_mut(&mut self.nodes[node]).timers.retain(|set| *set != id);
        self.step(node, Event::Timer { id });
    }

    /// Lets power fail and return: everything un-synced is lost.
    fn crash(&mut self, node: usize, asks: &[Ask]) {
        for (op, progress) in self.ops.iter_mut().enumerate() {
            if asks[op].node == node && *progress == Progress::Running {
                *progress = Progress::Lost;
                self.rounds[op] = None;
            }
        }
        let dead = Arc::make_mut(&mut self.nodes[node]);
        dead.replica = Replica::clone(&dead.durable);
        (dead.lazy, dead.timers) = (vec![], vec![]);
        self.start(node);
    }

    fn start(&mut self, node: usize) {
        let mut out = Actions::new();
        Arc::make_mut(&mut self.nodes[node]).replica.start(&mut out);
        self.carry_out(node, out);
    }

    fn step(&mut self, at: usize, event: Event) {
        let mut out = Actions::new();
        advance(Arc::make_mut(&mut self.nodes[at]), event, &mut out);
        self.carry_out(at, out);
    }

    fn carry_out(&mut self, at: usize, mut out: Actions) {
        let mut synced = None;
        for action in out.drain() {
            match action {
                CoreAction::Persist { io_id, records, sync } => {
                    for record in &records {
                        Arc::make_mut(&mut self.watch).persisted(at, record);
                    }
                    let node = Arc::make_mut(&mut self.nodes[at]);
                    node.lazy.extend(records);
                    if sync == Sync::Required {
                        let durable = Arc::make_mut(&mut node.durable);
                        node.lazy.drain(..).for_each(|record| durable.recover(record));
                        node.durable_digest = digest(|hasher| node.durable.fingerprint(hasher));
                        synced = Some(io_id);
                    }
                }
                // A message that waits for a sync leaves after it, which here is immediately. A crash between the two
                // is like a crash after which the message is never delivered.
                CoreAction::Send { to, message, after: _ } => self.send(at, to, message),
                CoreAction::Reply { token, outcome, diagnostics, .. } => {
                    let op = token.0 as usize;
                    Arc::make_mut(&mut self.watch).answered(op, &outcome, &diagnostics);
                    self.ops[op] = Progress::Answered(outcome);
                }
                CoreAction::Timer { id, at: _ } => {
                    let timers = &mut Arc::make_mut(&mut self.nodes[at]).timers;
                    if !timers.contains(&id) {
                        timers.push(id);
                    }
                }
                CoreAction::SendLease { .. } | CoreAction::Lease(_) => panic!("leases are off here"),
                CoreAction::Point { .. } => {}
            }
        }
        match synced {
            Some(io_id) => self.step(at, Event::Persisted { io_id }),
            None => {
                let node = Arc::make_mut(&mut self.nodes[at]);
                node.digest = digest(|hasher| node.replica.fingerprint(hasher));
            }
        }
    }

    fn send(&mut self, from: usize, to: NodeId, message: Message) {
        Arc::make_mut(&mut self.watch).sent(&message);
        let to = self.nodes.iter().position(|node| node.replica.config().node == to).expect("a member");
        let op = op_of(message.tag.op);
        if let (Some(kind), Some(op)) = (round_kind(&message.body), op) {
            self.rounds[op] = Some((message.tag, kind));
        }
        let digest = digest(|hasher| (from, to, &message).hash(hasher));
        let place = self.net.partition_point(|held| held.digest < digest);
        if self.net.get(place).is_none_or(|held| held.digest != digest) {
            self.net.insert(place, Envelope { from, to, message: Arc::new(message), digest });
        }
    }
}

/// Randomness only affects nonces and backoffs. It is the same in every step, and ballots differ by their times.
fn advance(node: &mut Node, event: Event, out: &mut Actions) {
    node.replica.step(node.now, WallTime(0), event, &mut Pcg64::seed_from_u64(0), out);
}

/// The id of the operation with this index. Each comes from a different client.
pub(crate) fn id(op: usize) -> OpId {
    OpId { client: op as u64 + 1, seq: 1 }
}

/// The index of an operation, or `None` for work that a node does on its own.
pub(crate) fn op_of(id: OpId) -> Option<usize> {
    (id.seq == 1).then(|| usize::try_from(id.client).ok()?.checked_sub(1)).flatten()
}

/// A value.
pub(crate) fn value(text: &str) -> Value {
    Value::from(text)
}
