//! The whole node: the acceptor and coordinator of every key, and how the node handles an event.

pub mod counters;
mod fingerprint;
mod keys;

use self::keys::absent::ABSENT_READS;
use self::keys::{HOUSEKEEPING, Keys, key_bytes};
use crate::acceptor::Acceptor;
use crate::action::{Actions, Event, Sync};
use crate::backoff::Latencies;
use crate::ballot::{Ballot, BallotClock};
use crate::cell::Cell;
use crate::config::{Config, ConfigError};
use crate::coordinator::{Env, LEASE_TIMERS, Shared};
use crate::counters::Counters;
use crate::expiry::state::Expiry;
use crate::forward::{ForwardWindow, ReplyTracker};
use crate::ids::{IoId, Key, MonoTime, WallTime};
use crate::lease::{LeaseLimits, Leases};
use crate::message::Message;
use crate::prune::queue::PruneQueue;
use crate::quorum::Members;
use crate::record::{Record, StateBytes};
use crate::row::{Accepted, Row};
use crate::slot::Slot;
use rand::Rng;
use std::collections::VecDeque;

/// Both roles of one node for all keys.
///
/// ```
/// # use heckle_paxos::*;
/// # use rand::SeedableRng;
/// let mut replica = Replica::new(Config::new(NodeId(1), vec![NodeId(1)]))?;
/// let mut out = Actions::new();
/// replica.start(&mut out); // After feeding it what was persisted, with `recover`.
/// let request = ClientRequest {
///     op: OpId { client: 1, seq: 1 },
///     key: Key::from("k1"),
///     call: Call::Write { new: Value::from("v1") },
///     timeout_ns: 1_000_000_000,
///     provenance: Provenance::First,
/// };
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let mut next = vec![Event::Client { token: ClientToken(7), request }];
/// let mut answered = false;
/// while let Some(event) = next.pop() {
///     replica.step(MonoTime(0), WallTime(1_000), event, &mut rng, &mut out);
///     for action in out.drain() {
///         match action {
///             // A real shell writes and syncs first.
///             Action::Persist { io_id, .. } => next.push(Event::Persisted { io_id }),
///             Action::Reply { outcome, .. } => answered = outcome == Outcome::Applied,
///             _ => {}
///         }
///     }
/// }
/// assert!(answered);
/// # Ok::<(), ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Replica {
    pub(crate) shared: Shared,
    pub(crate) keys: Keys,
    /// Replies from this node's acceptor to this node's coordinator that are waiting for the disk, oldest first. At
    /// most one per request that this node has sent to itself.
    pub(crate) own_answers: VecDeque<(IoId, Message)>,
    pub(crate) started: bool,
}

impl Replica {
    /// Creates an empty replica. Pass it the persisted records with [`Replica::recover`], call [`Replica::start`] once,
    /// and then [`Replica::step`] for each event.
    ///
    /// # Errors
    /// Returns an error if a setting is invalid.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        let members = Members::new(config.members.clone(), config.mutants);
        let me = members.place(config.node).ok_or(ConfigError::NodeNotMember { node: config.node })?;
        let clock = BallotClock::new(config.node);
        let leases = Leases::new(config.lease, members.clone(), me, config.mutants);
        let windows = vec![ForwardWindow::default(); members.nodes().len()];
        let shared = Shared {
            config,
            members,
            me,
            clock,
            counters: Counters::default(),
            to_self: VecDeque::new(),
            prepared_keys: VecDeque::new(),
            latencies: Latencies::default(),
            next_io: 0,
            durable: IoId(0),
            birth: IoId(0),
            leases,
            lease_out: Vec::new(),
            forwards: 0,
            windows,
            reply_tracker: ReplyTracker::default(),
            state: StateBytes::default(),
            prune: PruneQueue::default(),
            expiry: Expiry::default(),
            housekeeping_at: MonoTime(u64::MAX),
        };
        Ok(Self { shared, keys: Keys::default(), own_answers: VecDeque::new(), started: false })
    }

    /// Replays one persisted record from a snapshot or the log. Records must be passed in the order written.
    ///
    /// # Panics
    /// Panics if called after [`Replica::start`].
    pub fn recover(&mut self, record: Record) {
        assert!(!self.started, "records are recovered before the start");
        let mutants = self.shared.config.mutants;
        match record {
            Record::Incarnation { incarnation } => self.shared.clock.recover_incarnation(incarnation),
            Record::Floor { micros } => {
                self.shared.expiry.raise_floor(micros);
                self.shared.clock.observe(Ballot { micros, ..Ballot::ZERO });
            }
            Record::LeaseLimits(limits) => self.shared.leases.recover(limits),
            Record::Promised { key, ballot } => self.recover_key(&key, |acceptor| acceptor.recover(ballot, None, None, mutants)),
            Record::Accepted { key, accepted, promised } => {
                self.recover_key(&key, |acceptor| acceptor.recover(promised, Some(accepted), None, mutants));
            }
            Record::Learned { key, row } => {
                self.recover_key(&key, |acceptor| acceptor.recover(Ballot::ZERO, None, Some(row), mutants));
            }
            Record::Chosen { key, ballot } => self.recover_key(&key, |acceptor| acceptor.recover_chosen(ballot, mutants)),
            Record::Pruned { key, ballot } => self.recover_key(&key, |acceptor| acceptor.recover_pruned(ballot, mutants)),
            Record::Put { key, cell } => {
                self.shared.clock.observe(Ballot { micros: cell.us, node: cell.node, nonce: 0 });
                self.recover_key(&key, |acceptor| acceptor.recover_put(&cell));
            }
            Record::State { key, promised, accepted, row } => {
                self.recover_key(&key, |acceptor| acceptor.recover(promised, accepted, Some(row), mutants));
            }
        }
    }

    fn recover_key(&mut self, key: &Key, change: impl FnOnce(&mut Acceptor)) {
        let at = self.keys.find_or_add(key, &mut self.shared);
        let acceptor = &mut self.keys.slots[at].acceptor;
        let before = acceptor.bytes();
        change(acceptor);
        self.shared.state.replace(&before, &acceptor.bytes());
        // A ballot below the highest promise would only be rejected, starting with this node itself.
        self.shared.clock.observe(acceptor.promised());
    }

    /// Ends recovery: takes a new incarnation and requests that it be persisted. Requests from this process carry
    /// `after` until the incarnation is durable.
    ///
    /// # Panics
    /// Panics if called twice.
    pub fn start(&mut self, out: &mut Actions) {
        assert!(!self.started, "a replica starts once");
        self.started = true;
        out.begin_step();
        let incarnation = self.shared.clock.begin_incarnation();
        let record = Record::Incarnation { incarnation };
        self.shared.birth = out.persist(&mut self.shared.next_io, record, Sync::Required);
        self.shared.counters.records += 1;
        self.shared.counters.batches += 1;
        // In the same batch, since nothing may be granted before the limits are durable.
        if let Some(limits) = self.shared.leases.start(incarnation) {
            out.persist(&mut self.shared.next_io, Record::LeaseLimits(limits), Sync::Required);
            self.shared.counters.records += 1;
        }
    }

    /// Advances the replica by one event. It uses no clock, socket or global randomness: the same events, times and
    /// random numbers give the same actions.
    ///
    /// `now` must never go backwards within a process, but `wall` may.
    ///
    /// # Panics
    /// Panics if called before [`Replica::start`], and on a broken invariant.
    pub fn step<R: Rng + ?Sized>(&mut self, now: MonoTime, wall: WallTime, event: Event, rng: &mut R, out: &mut Actions) {
        assert!(self.started, "a replica is started before its first step");
        out.begin_step();
        let Self { shared, keys, own_answers, started: _ } = self;
        shared.leases.boot(now);
        let mut env = Env { shared, now, wall, rng, out };
        match event {
            Event::Client { token, request } => keys.on_client(token, request, &mut env),
            Event::Plain { token, request } => keys.on_plain(token, request, &mut env),
            Event::Peer { from, message } => keys.on_peer(from, message, &mut env),
            Event::PeerLease { from, message } => env.lease_message(from, message),
            Event::Stopping => env.stop_leases(),
            Event::Timer { id } if id.slot == LEASE_TIMERS => env.lease_timer(id.serial),
            Event::Timer { id } if id.slot == HOUSEKEEPING => keys.housekeeping(&mut env),
            Event::Timer { id } if id.slot == ABSENT_READS => keys.absent_timer(id.serial, &mut env),
            Event::ClientGone { requests } => keys.on_client_gone(&requests, &mut env),
            Event::Timer { id } => {
                if let Some(slot) = keys.slots.get_mut(id.slot as usize) {
                    slot.timer(id, &mut env);
                }
            }
            Event::Persisted { io_id } => {
                env.shared.durable = env.shared.durable.max(io_id);
                while own_answers.front().is_some_and(|(after, _)| *after <= env.shared.durable) {
                    if let Some((_, message)) = own_answers.pop_front() {
                        keys.on_own_answer(message, &mut env);
                    }
                }
            }
        }
        // Handle the requests of this node's coordinators to its own acceptor.
        while let Some(message) = env.shared.to_self.pop_front() {
            let me = env.shared.config.node;
            if let Some(answer) = keys.serve_absent(&message).or_else(|| env.lease_refusal(me, &message)) {
                keys.on_own_answer(answer, &mut env);
                continue;
            }
            let at = keys.find_or_add(&message.key, env.shared);
            match keys.slots[at].serve(message, &mut env) {
                Some((answer, Some(after))) => own_answers.push_back((after, answer)),
                Some((answer, None)) => keys.on_own_answer(answer, &mut env),
                None => {}
            }
        }
        // The key that has had a prepared ballot the longest loses it. The next operation on it costs a prepare.
        while env.shared.prepared_keys.len() > env.shared.config.prepared_keys {
            if let Some(place) = env.shared.prepared_keys.pop_front() {
                keys.slots[place as usize].forget_prepared();
            }
        }
        env.arm_housekeeping();
    }

    /// A snapshot: the whole state as records, in an order that depends only on the history of events. It replaces
    /// the log up to the newest [`crate::Action::Persist`] emitted, durable or not. Together with the later batches,
    /// it recovers the same replica.
    pub fn snapshot(&self) -> impl Iterator<Item = Record> + '_ {
        let incarnation = Record::Incarnation { incarnation: self.incarnation() };
        let limits = Some(self.shared.leases.limits()).filter(|limits| *limits != LeaseLimits::default());
        // The floor comes before the states, since they omit promises that only the floor replaces.
        let floor = Some(self.shared.expiry.floor_us()).filter(|floor_us| *floor_us > 0);
        let floor = floor.map(|micros| Record::Floor { micros });
        let states = self.keys.slots.iter().flat_map(|slot| {
            let state = slot.acceptor.to_record(&slot.key);
            std::iter::once(state).chain(slot.acceptor.cell_record(&slot.key))
        });
        std::iter::once(incarnation).chain(limits.map(Record::LeaseLimits)).chain(floor).chain(states)
    }

    /// Size of the state in bytes, by kind. Updated with every change, so this call is cheap.
    #[must_use]
    pub fn state_bytes(&self) -> StateBytes {
        self.shared.state
    }

    /// The same, recomputed over all keys, so that tests can compare the two. The prune queue's size is copied.
    #[must_use]
    pub fn count_state_bytes(&self) -> StateBytes {
        let mut sum = StateBytes { queue: self.shared.state.queue, ..StateBytes::default() };
        for slot in &self.keys.slots {
            sum.replace(&StateBytes::default(), &key_bytes(&slot.key));
            sum.replace(&StateBytes::default(), &slot.acceptor.bytes());
        }
        sum
    }

    /// Number of prune queue slots in use.
    #[must_use]
    pub fn prune_queue_len(&self) -> usize {
        self.shared.prune.len()
    }

    /// The floor in microseconds: every ballot of this time or earlier is rejected. 0 if nothing has expired yet.
    #[must_use]
    pub fn floor_us(&self) -> u64 {
        self.shared.expiry.floor_us()
    }

    /// Counters since the process started.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Incarnation of this process. 0 before the first process calls [`Replica::start`].
    #[must_use]
    pub fn incarnation(&self) -> u32 {
        self.shared.clock.incarnation()
    }

    /// The row most recently learned by this replica for a key. Not linearizable: for tools and tests.
    #[must_use]
    pub fn row(&self, key: &Key) -> Option<&Row> {
        self.keys.find(key).map(|at| self.keys.slots[at].acceptor.row())
    }

    /// The newest put that this replica has stored for a key, if it is newer than the row. For tools and tests.
    #[must_use]
    pub fn cell(&self, key: &Key) -> Option<&Cell> {
        self.keys.find(key).and_then(|at| self.keys.slots[at].acceptor.cell())
    }

    /// The update that this replica has accepted but not learned for a key. For tools and tests.
    #[must_use]
    pub fn accepted(&self, key: &Key) -> Option<&Accepted> {
        self.keys.find(key).and_then(|at| self.keys.slots[at].acceptor.accepted())
    }

    /// The highest ballot that this replica has promised for a key. For tools and tests.
    #[must_use]
    pub fn promised(&self, key: &Key) -> Ballot {
        self.keys.find(key).map_or(Ballot::ZERO, |at| self.keys.slots[at].acceptor.promised())
    }

    /// Numbers of the ranges on which this node holds a lease at `now`.
    #[must_use]
    pub fn leases_held(&self, now: MonoTime) -> Vec<u16> {
        self.shared.leases.all_held(now).map(|(range, _)| range.0).collect()
    }

    /// Number of client operations not yet answered, including waiting ones. Walks all keys.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.keys.absent.len() + self.keys.slots.iter().map(Slot::in_flight).sum::<usize>()
    }
}
