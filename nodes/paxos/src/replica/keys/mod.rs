//! All keys of a node, and the dispatch of requests and messages to them. Invalid requests and messages are refused
//! here.

pub(crate) mod absent;

use self::absent::AbsentOps;
use crate::action::Action;
use crate::ballot::Ballot;
use crate::cell::{Cell, PlainCall, PlainRequest};
use crate::config::Config;
use crate::coordinator::{Env, ForwardHistory, Shared};
use crate::forward::{Forward, Origin};
use crate::ids::{ClientToken, Key, MonoTime, NodeId, TimerId};
use crate::message::possible::is_possible;
use crate::message::{Body, Message, Tag};
use crate::record::StateBytes;
use crate::request::{Call, ClientRequest, Diagnostics, InvalidWhy, Outcome};
use crate::slot::{Slot, reply};
use rand::Rng;
use rustc_hash::FxHashMap;

/// Slot number in the id of the housekeeping timer. No key has this number.
pub(crate) const HOUSEKEEPING: u32 = u32::MAX;

/// All keys. Slots never move, so a position identifies a key for the lifetime of the process, and iteration follows
/// the order of first use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    index: FxHashMap<Key, u32>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) absent: AbsentOps,
}

impl Keys {
    pub(crate) fn find(&self, key: &Key) -> Option<usize> {
        self.index.get(key).map(|place| *place as usize)
    }

    pub(crate) fn find_or_add(&mut self, key: &Key, shared: &mut Shared) -> usize {
        if let Some(at) = self.find(key) {
            return at;
        }
        let place = u32::try_from(self.slots.len()).expect("a node holds less than 2^32 keys");
        self.index.insert(key.clone(), place);
        self.slots.push(Slot::new(key.clone(), place));
        shared.state.replace(&StateBytes::default(), &key_bytes(key));
        place as usize
    }
}

/// Size of a key in bytes.
pub(crate) fn key_bytes(key: &Key) -> StateBytes {
    StateBytes { keys: 1, data: key.len() as u64, ..StateBytes::default() }
}

impl Keys {
    pub(crate) fn on_client<R: Rng + ?Sized>(&mut self, token: ClientToken, request: ClientRequest, env: &mut Env<'_, R>) {
        env.shared.counters.requests += 1;
        if let Err(why) = check_request(&request, &env.shared.config) {
            let diagnostics = Box::new(Diagnostics::new(request.op, env.quorum()));
            reply(Origin::Client(token), &request.key, Outcome::Invalid { why }, diagnostics, env);
            return;
        }
        let Some(request) = self.begin_absent_read(token, request, env) else { return };
        let at = self.find_or_add(&request.key, env.shared);
        self.slots[at].admit(Origin::Client(token), request, ForwardHistory::default(), env);
    }

    pub(crate) fn on_plain<R: Rng + ?Sized>(&mut self, token: ClientToken, request: PlainRequest, env: &mut Env<'_, R>) {
        env.shared.counters.requests += 1;
        let longest = match &request.call {
            PlainCall::Put { new } => new.len(),
            PlainCall::Get => 0,
        };
        if let Err(why) = check_sizes(&request.key, longest, &env.shared.config) {
            let diagnostics = Box::new(Diagnostics::new(request.op, env.quorum()));
            reply(Origin::Client(token), &request.key, Outcome::Invalid { why }, diagnostics, env);
            return;
        }
        let Some(request) = self.begin_absent_get(token, request, env) else { return };
        let at = self.find_or_add(&request.key, env.shared);
        self.slots[at].admit_plain(token, request, env);
    }

    pub(crate) fn on_peer<R: Rng + ?Sized>(&mut self, from: NodeId, message: Message, env: &mut Env<'_, R>) {
        env.shared.counters.messages_received += 1;
        let sender = env.shared.members.place(from).filter(|place| *place != env.shared.me);
        let (Some(sender), true) = (sender, is_possible(&message, &env.shared.config)) else {
            env.shared.counters.messages_refused += 1;
            return;
        };
        let Message { key, tag, body } = message;
        match body {
            // This message only affects existing state, so it creates no slot.
            Body::Chosen => {
                if let Some(at) = self.find(&key) {
                    let none = self.slots[at].serve(Message { key, tag, body }, env);
                    debug_assert!(none.is_none(), "it has no answer");
                }
            }
            body @ (Body::Prepare { .. }
            | Body::Read { .. }
            | Body::Propose { .. }
            | Body::Learn { .. }
            | Body::Prune { .. }
            | Body::Put { .. }
            | Body::Get) => {
                self.on_request(from, Message { key, tag, body }, env);
            }
            body @ (Body::Promise { .. }
            | Body::RowRead { .. }
            | Body::Accepted
            | Body::Learned { .. }
            | Body::Pruned { .. }
            | Body::Reject { .. }
            | Body::Busy { .. }
            | Body::PutDone
            | Body::Got { .. }) => {
                env.shared.reply_tracker.note_reply(from);
                self.on_answer(sender, Message { key, tag, body }, env);
            }
            Body::Forward(forward) => self.accept_forward(from, sender, key, tag, *forward, env),
            Body::Forwarded(result) => {
                env.shared.reply_tracker.note_reply(from);
                if let Some(slot) = self.forwarding_slot(&key, tag, env) {
                    slot.on_forwarded(from, tag.op, *result, env);
                }
            }
            Body::NotHolder { serial } => {
                env.shared.reply_tracker.note_reply(from);
                if let Some(slot) = self.forwarding_slot(&key, tag, env) {
                    slot.on_not_holder(from, tag.op, serial, env);
                }
            }
        }
    }

    fn on_request<R: Rng + ?Sized>(&mut self, from: NodeId, message: Message, env: &mut Env<'_, R>) {
        env.observe(message.tag.ballot);
        let (message, after) = match self.serve_absent(&message).or_else(|| env.lease_refusal(from, &message)) {
            Some(answer) => (answer, None),
            None => {
                let at = self.find_or_add(&message.key, env.shared);
                match self.slots[at].serve(message, env) {
                    Some(answer) => answer,
                    None => return,
                }
            }
        };
        env.shared.counters.messages_sent += 1;
        env.out.push(Action::Send { to: from, message, after });
    }

    /// The slot of a forwarded operation. A reply to an earlier process is ignored.
    fn forwarding_slot<R: Rng + ?Sized>(&mut self, key: &Key, tag: Tag, env: &mut Env<'_, R>) -> Option<&mut Slot> {
        let at = self.find(key).filter(|_| tag.incarnation == env.shared.clock.incarnation());
        if at.is_none() {
            env.shared.counters.answers_ignored += 1;
        }
        at.map(|at| &mut self.slots[at])
    }

    fn accept_forward<R: Rng + ?Sized>(&mut self, from: NodeId, sender: u32, key: Key, tag: Tag, forward: Forward, env: &mut Env<'_, R>) {
        let Forward { serial, lease, call, timeout_ns, provenance, born_us, open } = forward;
        if !env.shared.windows[sender as usize].take(tag.incarnation, serial) {
            env.shared.counters.answers_ignored += 1;
            return;
        }
        let meant = lease.node == env.shared.config.node && lease.restarts == env.shared.clock.incarnation();
        let request = ClientRequest { op: tag.op, key, call, timeout_ns, provenance };
        // The forward is marked as seen above, so that no duplicate is accepted after this reply.
        if !meant || env.own_lease(&request.key).is_none() || check_request(&request, &env.shared.config).is_err() {
            env.shared.counters.forwards_refused += 1;
            env.send_to(from, &request.key, tag, Body::NotHolder { serial });
            return;
        }
        env.shared.counters.forwards_taken += 1;
        env.observe(tag.ballot);
        let at = self.find_or_add(&request.key, env.shared);
        self.slots[at].admit(Origin::Node { to: from, serial, tag }, request, ForwardHistory::from_other_node(born_us, open), env);
    }

    pub(crate) fn on_own_answer<R: Rng + ?Sized>(&mut self, message: Message, env: &mut Env<'_, R>) {
        let me = env.shared.me;
        self.on_answer(me, message, env);
    }

    fn on_answer<R: Rng + ?Sized>(&mut self, from: u32, message: Message, env: &mut Env<'_, R>) {
        if Keys::is_absent_reply(message.tag) {
            return self.on_absent_reply(from, message, env);
        }
        // This includes replies that arrive after their operation has ended, and replies to the prune queue's own
        // messages: a reply states what is durable at its sender, whatever the request was.
        let message = match message.body {
            Body::PutDone => return self.on_plain_reply(from, &message.key, message.tag, None, env),
            Body::Got { cell } => return self.on_plain_reply(from, &message.key, message.tag, Some(cell), env),
            Body::Pruned { pruned } => return env.note_pruned(&message.key, from, pruned),
            body => Message { body, ..message },
        };
        if let Body::Learned { learned } = message.body {
            env.note_learned(&message.key, from, learned);
        }
        match self.find(&message.key) {
            Some(at) => self.slots[at].answer(from, message, env),
            None => env.shared.counters.answers_ignored += 1,
        }
    }
}

impl Keys {
    fn on_plain_reply<R: Rng + ?Sized>(&mut self, from: u32, key: &Key, tag: Tag, got: Option<Option<Cell>>, env: &mut Env<'_, R>) {
        match self.find(key) {
            Some(at) => self.slots[at].on_plain_reply(from, tag, got, env),
            None => env.shared.counters.answers_ignored += 1,
        }
    }
}

impl Keys {
    /// Does one turn of pruning and expiry.
    pub(crate) fn housekeeping<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        if env.now < env.shared.housekeeping_at {
            return;
        }
        env.shared.housekeeping_at = MonoTime(u64::MAX);
        env.prune_due(|key| self.find(key).map_or(Ballot::ZERO, |at| self.slots[at].acceptor.row().learned));
        env.expire_next_keys(&mut self.slots);
    }
}

impl<R: Rng + ?Sized> Env<'_, R> {
    /// Ensures that housekeeping continues only while there is work to do: an idle node sets no timers.
    pub(crate) fn arm_housekeeping(&mut self) {
        let sweep = self.may_expire().then(|| self.now.after_ns(Self::SWEEP_TURN_NS));
        let prune = self.shared.prune.next_at();
        let Some(at) = sweep.into_iter().chain(prune).min() else {
            return;
        };
        if at < self.shared.housekeeping_at {
            self.shared.housekeeping_at = at;
            self.timer(TimerId { slot: HOUSEKEEPING, serial: 0 }, at);
        }
    }
}

fn check_request(request: &ClientRequest, config: &Config) -> Result<(), InvalidWhy> {
    let longest = match &request.call {
        Call::Read | Call::Fate { .. } => 0,
        Call::Write { new } => new.len(),
        Call::Cas { expected, new } => new.len().max(expected.as_ref().map_or(0, crate::ids::Value::len)),
    };
    check_sizes(&request.key, longest, config)
}

fn check_sizes(key: &Key, longest: usize, config: &Config) -> Result<(), InvalidWhy> {
    if key.is_empty() || key.len() > config.max_key_bytes {
        return Err(InvalidWhy::KeySize);
    }
    if longest > config.max_value_bytes { Err(InvalidWhy::ValueSize) } else { Ok(()) }
}
