//! The world that is explored: the very replicas that the server runs, a network that may hold back, lose, reorder and
//! double every message, disks that keep what was synced, and a few operations.
//!
//! Loss needs no step of its own: a message that is never delivered is lost, and every prefix of every run is explored.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use heckle_paxos::{
    Action as CoreAction, Actions, Ballot, Call, ClientRequest, ClientToken, Config, Event, Key, Message, MonoTime, NodeId, OpId, Outcome,
    Provenance, Record, Replica, Sync, TimerId, Update, Value, WallTime,
};
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::watch::Watch;

/// The one key.
const KEY: &str = "k";
/// Longer than anything that is explored.
const TIMEOUT_NS: u64 = 10_000_000_000;

/// A hash of what `Debug` shows: it covers every field there is, also those added later.
pub(crate) fn digest(value: &impl Debug) -> u64 {
    let mut hashing = Hashing(DefaultHasher::new());
    // Hashing cannot fail.
    let _ = write!(hashing, "{value:?}");
    hashing.0.finish()
}

struct Hashing(DefaultHasher);

impl Write for Hashing {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0.write(s.as_bytes());
        Ok(())
    }
}

/// What a client asks, through which node.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) node: usize,
    pub(crate) call: Call,
}

/// A message on its way.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    from: NodeId,
    to: usize,
    message: Arc<Message>,
    digest: u64,
}

/// One node.
#[derive(Clone)]
pub(crate) struct Node {
    replica: Replica,
    /// All that a crash leaves.
    durable: Arc<Vec<Record>>,
    /// Records that nothing waits for and no sync has covered yet.
    lazy: Vec<Record>,
    timers: Vec<(MonoTime, TimerId)>,
    now: MonoTime,
    digest: u64,
}

impl Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.replica.snapshot().collect::<Vec<_>>())
    }
}

/// How far a client's operation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    Waiting,
    Running,
    Answered(Outcome),
    /// Its node died: nobody will answer.
    Lost,
}

/// How often what may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    pub(crate) crashes: u8,
    pub(crate) duplicates: u8,
    pub(crate) timers: u8,
}

/// One state.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    /// In the order of their digests.
    pub(crate) net: Vec<Envelope>,
    pub(crate) ops: Vec<Progress>,
    pub(crate) left: Budget,
    pub(crate) watch: Watch,
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for node in &self.nodes {
            node.digest.hash(state);
        }
        for envelope in &self.net {
            envelope.digest.hash(state);
        }
        digest(&self.ops).hash(state);
        self.left.hash(state);
        self.watch.digest().hash(state);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        let of = |world: &World| {
            let mut hasher = DefaultHasher::new();
            world.hash(&mut hasher);
            hasher.finish()
        };
        of(self) == of(other)
    }
}

/// When clients ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// At any time.
    Freely,
    /// When all before were answered.
    OneByOne,
}

/// What a step leads to.
pub(crate) enum After {
    /// Another state.
    Changed(World),
    /// The same, but for the message that is no longer under way.
    Idle(World),
}

/// A step of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A client asks.
    Ask(usize),
    /// A message arrives.
    Deliver(usize),
    /// A message arrives, and will arrive again.
    Duplicate(usize),
    /// The earliest timer of a node goes off.
    Timer(usize),
    /// A node dies and is started again on what it had synced.
    Crash(usize),
}

impl World {
    /// All nodes started, nothing asked.
    pub(crate) fn new(config: &Config, asks: &[Ask], left: Budget) -> World {
        let mut world = World {
            nodes: vec![],
            net: vec![],
            ops: vec![Progress::Waiting; asks.len()],
            left,
            watch: Watch::new(config.members.len(), asks),
        };
        for at in 0..config.members.len() {
            let config = Config { node: config.members[at], ..config.clone() };
            let replica = Replica::new(config).expect("a sound configuration");
            world.nodes.push(Node { replica, durable: Arc::default(), lazy: vec![], timers: vec![], now: MonoTime(0), digest: 0 });
            world.start(at);
        }
        world
    }

    /// What can happen next.
    pub(crate) fn steps(&self, asking: Asking, steps: &mut Vec<Step>) {
        if self.watch.wrong().is_some() {
            return;
        }
        let may = |op: &usize| match asking {
            Asking::Freely => true,
            Asking::OneByOne => self.ops[..*op].iter().all(|before| matches!(before, Progress::Answered(_) | Progress::Lost)),
        };
        steps.extend((0..self.ops.len()).filter(|op| self.ops[*op] == Progress::Waiting).filter(may).map(Step::Ask));
        for at in 0..self.net.len() {
            // Equal messages stand side by side, and delivering either is the same.
            if at > 0 && self.net[at].digest == self.net[at - 1].digest {
                continue;
            }
            steps.push(Step::Deliver(at));
            if self.left.duplicates > 0 {
                steps.push(Step::Duplicate(at));
            }
        }
        for at in 0..self.nodes.len() {
            if self.left.timers > 0 && !self.nodes[at].timers.is_empty() {
                steps.push(Step::Timer(at));
            }
            if self.left.crashes > 0 {
                steps.push(Step::Crash(at));
            }
        }
    }

    /// The state after a step.
    pub(crate) fn after(&self, step: &Step, asks: &[Ask]) -> After {
        let mut next = self.clone();
        match *step {
            Step::Ask(op) => {
                next.ops[op] = Progress::Running;
                next.watch.asked(op);
                let request = ClientRequest {
                    op: id(op),
                    key: Key::from(KEY),
                    call: asks[op].call.clone(),
                    timeout_ns: TIMEOUT_NS,
                    provenance: Provenance::First,
                };
                next.step(asks[op].node, Event::Client { token: ClientToken(op as u64), request });
            }
            Step::Deliver(at) | Step::Duplicate(at) => {
                let envelope = if matches!(step, Step::Duplicate(_)) {
                    next.left.duplicates -= 1;
                    next.net[at].clone()
                } else {
                    next.net.remove(at)
                };
                let (to, sent, before) = (envelope.to, next.net.len(), next.nodes[envelope.to].digest);
                next.step(to, Event::Peer { from: envelope.from, message: Message::clone(&envelope.message) });
                if next.nodes[to].digest == before && next.net.len() == sent && next.ops == self.ops {
                    return After::Idle(next);
                }
            }
            Step::Timer(node) => {
                next.left.timers -= 1;
                let timers = &mut next.nodes[node].timers;
                let earliest = (0..timers.len()).min_by_key(|at| timers[*at]).expect("there is one");
                let (at, id) = timers.remove(earliest);
                next.nodes[node].now = next.nodes[node].now.max(at);
                next.step(node, Event::Timer { id });
            }
            Step::Crash(node) => {
                next.left.crashes -= 1;
                for (op, progress) in next.ops.iter_mut().enumerate() {
                    if asks[op].node == node && *progress == Progress::Running {
                        *progress = Progress::Lost;
                    }
                }
                let dead = &mut next.nodes[node];
                dead.replica = Replica::new(dead.replica.config().clone()).expect("it was sound before");
                for record in dead.durable.iter() {
                    dead.replica.recover(record.clone());
                }
                (dead.lazy, dead.timers) = (vec![], vec![]);
                next.start(node);
            }
        }
        After::Changed(next)
    }

    /// Highest time of a ballot that any node knows of.
    pub(crate) fn highest_ballot(&self) -> u64 {
        self.watch.highest_ballot()
    }

    fn start(&mut self, node: usize) {
        let mut out = Actions::new();
        self.nodes[node].replica.start(&mut out);
        self.carry_out(node, out);
    }

    fn step(&mut self, at: usize, event: Event) {
        let mut out = Actions::new();
        let node = &mut self.nodes[at];
        // Chance only spreads nonces and backoffs: it is the same in every step, and ballots differ by their times.
        node.replica.step(node.now, WallTime(0), event, &mut Pcg64::seed_from_u64(0), &mut out);
        self.carry_out(at, out);
    }

    fn carry_out(&mut self, at: usize, mut out: Actions) {
        let mut synced = None;
        for action in out.drain() {
            match action {
                CoreAction::Persist { io_id, records, sync } => {
                    let node = &mut self.nodes[at];
                    for record in &records {
                        self.watch.persisted(at, record);
                    }
                    node.lazy.extend(records);
                    if sync == Sync::Required {
                        Arc::make_mut(&mut node.durable).append(&mut node.lazy);
                        synced = Some(io_id);
                    }
                }
                // What waits for a sync leaves when it is done, which here is at once.
                CoreAction::Send { to, message, after: _ } => {
                    let from = self.nodes[at].replica.config().node;
                    self.watch.sent(&message);
                    let digest = digest(&(from, to, &message));
                    let to = self.nodes[at].replica.config().members.iter().position(|node| *node == to).expect("a member");
                    let place = self.net.partition_point(|held| held.digest < digest);
                    self.net.insert(place, Envelope { from, to, message: Arc::new(message), digest });
                }
                CoreAction::Reply { token, outcome, .. } => {
                    let op = token.0 as usize;
                    self.watch.answered(op, &outcome);
                    self.ops[op] = Progress::Answered(outcome);
                }
                CoreAction::Timer { id, at: when } => self.nodes[at].timers.push((when, id)),
                CoreAction::SendLease { .. } | CoreAction::Lease(_) => panic!("leases are off here"),
                CoreAction::Point { .. } => {}
            }
        }
        match synced {
            Some(io_id) => self.step(at, Event::Persisted { io_id }),
            None => {
                let node = &mut self.nodes[at];
                node.timers.sort_unstable();
                node.timers.dedup();
                node.digest = digest(&(node.replica.fingerprint(), &node.timers, &node.lazy, node.now));
            }
        }
    }
}

/// The id of the operation at this place: a client each.
pub(crate) fn id(op: usize) -> OpId {
    OpId { client: op as u64 + 1, seq: 1 }
}

/// A value.
pub(crate) fn value(text: &str) -> Value {
    Value::from(text)
}

/// Updates accepted at each ballot, and by whom.
pub(crate) type Accepts = BTreeMap<Ballot, (Update, u64)>;
