//! The online state of one key: the values that may still be observed, and the chains they form.

use super::Clients;
use crate::linearizable::facts::{NEVER, START, Time};
use crate::linearizable::reason::value as show;
use crate::verdict::{Verdict, ViolationKind};
use heckle_history::{Call, OpId, Value};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Number of values on a key that triggers the first attempt to forget some.
pub(super) const FIRST_FORGET_AT: usize = 256;

/// A violation as reported by the online judge.
#[derive(Debug)]
pub(super) struct Alarm {
    pub(super) kind: ViolationKind,
    pub(super) ops: Vec<OpId>,
    pub(super) words: String,
}

/// Whether the write of a value took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// The op that writes it is open.
    Open,
    /// The op that writes it has an unknown outcome, and no op has observed the value.
    Unknown,
    /// The value must have held: it was acknowledged, observed, or expected by an effective CAS.
    Held,
}

/// A value of the key.
#[derive(Debug)]
pub(super) struct Node {
    /// The op that writes it; `None` for "never written".
    pub(super) writer: Option<OpId>,
    /// When the writer was invoked.
    pub(super) invoked: Time,
    /// The value that the writer expects, if it is a CAS.
    pub(super) expects: Option<Option<Value>>,
    /// Whether the expected value was known when the writer was invoked. If so and it is no longer known, it cannot occur
    /// again.
    pub(super) knew: bool,
    pub(super) status: Status,
    /// Time of the first evidence that the value held, and the op that gave it.
    pub(super) first: Time,
    pub(super) first_op: Option<OpId>,
    /// Latest invocation of an op that observed the value.
    pub(super) last: Time,
    /// The value that an effective CAS replaced it with.
    pub(super) next: Option<Value>,
    /// Number of its chain, once the value held.
    pub(super) chain: u64,
    /// Set while a path of values is traversed, to detect a cycle.
    on_path: bool,
}

/// Zone of a chain. Chains are numbered in the order of their `first`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    pub(super) number: u64,
    pub(super) first: Time,
    pub(super) first_op: Option<OpId>,
    pub(super) last: Time,
    pub(super) last_op: Option<OpId>,
}

/// State of one key.
#[derive(Debug)]
pub(super) struct KeyState {
    pub(super) nodes: FxHashMap<Option<Value>, Node>,
    pub(super) chains: VecDeque<Chain>,
    /// Open ops by invocation. An op that closes out of order stays in the queue until all ops before it have closed.
    open: VecDeque<(Time, OpId, bool)>,
    next_chain: u64,
    pub(super) forget_at: usize,
    pub(super) live_max: usize,
    pub(super) clients: Clients,
    greatest: Option<Value>,
    verdict: Verdict,
    pub(super) unobserved_unknown_writes: u64,
}

impl KeyState {
    pub(super) fn new(clients: Clients) -> Self {
        let never_written = Node {
            writer: None,
            invoked: START,
            expects: None,
            knew: true,
            status: Status::Held,
            first: START,
            first_op: None,
            last: START,
            next: None,
            chain: 0,
            on_path: false,
        };
        KeyState {
            nodes: FxHashMap::from_iter([(None, never_written)]),
            chains: VecDeque::from([Chain { number: 0, first: START, first_op: None, last: START, last_op: None }]),
            open: VecDeque::new(),
            next_chain: 1,
            forget_at: FIRST_FORGET_AT,
            live_max: 0,
            clients,
            greatest: None,
            verdict: Verdict::Valid,
            unobserved_unknown_writes: 0,
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub(super) fn live(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn live_max(&self) -> usize {
        self.live_max.max(self.nodes.len())
    }

    pub(super) fn unobserved_unknown_writes(&self) -> u64 {
        self.unobserved_unknown_writes
    }

    /// Stops judging this key and frees its memory.
    pub(super) fn give_up(&mut self, verdict: Verdict) {
        *self = KeyState { verdict, live_max: self.live_max(), ..KeyState::new(self.clients) };
    }

    /// Returns when the oldest open op was invoked. No later observation was invoked before that time.
    pub(super) fn horizon(&self) -> Time {
        self.open.front().map_or(NEVER, |(t, _, _)| *t)
    }

    pub(super) fn invoke(&mut self, op: OpId, call: Call, t: Time) {
        if self.verdict != Verdict::Valid {
            return;
        }
        self.open.push_back((t, op, true));
        let (new, expects) = match call {
            Call::Read => return,
            Call::Write { new } => (new, None),
            Call::Cas { expected, new } => (new, Some(expected)),
        };
        let knew = match (expects, self.clients) {
            (None, _) => true,
            // A value that a client has seen and that is no longer known has been forgotten. The greatest value so far
            // distinguishes forgotten values from future ones.
            (Some(e), Clients::ExpectSeenValues) => e <= self.greatest || self.nodes.contains_key(&e),
            (Some(e), Clients::MayGuess) => self.nodes.contains_key(&e),
        };
        let node = Node {
            writer: Some(op),
            invoked: t,
            expects,
            knew,
            status: Status::Open,
            first: NEVER,
            first_op: None,
            last: t,
            next: None,
            chain: 0,
            on_path: false,
        };
        self.greatest = self.greatest.max(Some(new));
        if expects == Some(Some(new)) || self.nodes.insert(Some(new), node).is_some() {
            self.give_up(Verdict::Unknown);
            return;
        }
        if self.nodes.len() >= self.forget_at {
            self.forget();
        }
    }

    /// Marks the op as closed.
    pub(super) fn closed(&mut self, op: OpId) {
        // Few ops are open on one key at the same time, so a linear search is cheaper than a map.
        if let Some(entry) = self.open.iter_mut().find(|(_, o, open)| *open && *o == op) {
            entry.2 = false;
        }
        while self.open.front().is_some_and(|(_, _, open)| !open) {
            self.open.pop_front();
        }
    }

    pub(super) fn unknown(&mut self, new: Value) {
        if let Some(node) = self.nodes.get_mut(&Some(new))
            && node.status == Status::Open
        {
            node.status = Status::Unknown;
            self.unobserved_unknown_writes += u64::from(node.expects.is_none());
        }
    }

    pub(super) fn acknowledged(&mut self, new: Value, op: OpId, t: Time) -> Result<(), Alarm> {
        if self.verdict != Verdict::Valid {
            return Ok(());
        }
        match self.nodes.get(&Some(new)) {
            // An open writer keeps the horizon from advancing, so its value cannot have been forgotten. It may have been
            // refuted, however.
            None => Err(self.forgotten_value(Some(new), op)),
            Some(node) if node.status == Status::Held => Ok(()),
            Some(_) => self.hold(new, op, START, t),
        }
    }

    /// Processes a fate query at `t` which showed that the op that writes `new` had taken effect.
    pub(super) fn found_applied(&mut self, new: Value, op: OpId, t: Time) -> Result<(), Alarm> {
        match self.nodes.get(&Some(new)) {
            Some(node) if node.status != Status::Held => {
                // Unlike an observation, a resolved fate has no invocation that shows that the value held at a late
                // time. A forgotten value therefore proves nothing here.
                let known = self.expected_known(new);
                if known { self.hold(new, op, START, t) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    fn expected_known(&self, new: Value) -> bool {
        let mut at = Some(new);
        for _ in 0..=self.nodes.len() {
            match self.nodes.get(&at) {
                None => return false,
                Some(Node { status: Status::Held, .. } | Node { expects: None, .. }) => return true,
                Some(Node { expects: Some(e), .. }) => at = *e,
            }
        }
        true // It is a cycle, which `hold` reports.
    }

    /// Records that the op that writes `new` did not happen.
    pub(super) fn never(&mut self, new: Value, op: OpId, kind: ViolationKind) -> Result<(), Alarm> {
        let Some(node) = self.nodes.remove(&Some(new)) else { return Ok(()) };
        match node.status {
            Status::Held => {
                let words = format!("op {op} did not happen, but {new}, which only it writes, was seen");
                let ops = node.first_op.into_iter().chain([op]).collect();
                Err(Alarm { kind, ops, words })
            }
            Status::Unknown => {
                self.unobserved_unknown_writes -= u64::from(node.expects.is_none());
                Ok(())
            }
            Status::Open => Ok(()),
        }
    }

    /// Processes an observation: `op`, invoked at `invoked` and answered at `t`, saw `value`.
    pub(super) fn observe(&mut self, value: Option<Value>, op: OpId, invoked: Time, t: Time) -> Result<(), Alarm> {
        if self.verdict != Verdict::Valid {
            return Ok(());
        }
        let Some(node) = self.nodes.get_mut(&value) else { return Err(self.forgotten_value(value, op)) };
        if let Some(new) = value
            && node.status != Status::Held
        {
            return self.hold(new, op, invoked, t);
        }
        if invoked <= node.last {
            return Ok(());
        }
        node.last = invoked;
        let (chain, next) = (node.chain, node.next);
        if let Some(next) = next.and_then(|n| self.nodes.get(&Some(n)))
            && next.first < invoked
        {
            let ops = next.first_op.into_iter().chain(next.writer).chain([op]).collect();
            let words = format!("op {op} still saw {}, invoked after a later value was known to hold", show(value));
            return Err(Alarm { kind: ViolationKind::StaleRead, ops, words });
        }
        self.grow(chain, invoked, op)
    }

    /// Returns the alarm for a forgotten value, which cannot legally be observed.
    fn forgotten_value(&self, value: Option<Value>, op: OpId) -> Alarm {
        let (kind, words) = if value > self.greatest {
            (ViolationKind::ReadOfNeverWritten, format!("op {op} saw {}, which no op has been asked to write", show(value)))
        } else {
            let words = format!("op {op} saw {}, which was overwritten before, or never took effect, or was never written", show(value));
            (ViolationKind::StaleRead, words)
        };
        Alarm { kind, ops: vec![op], words }
    }

    /// Records the first evidence, at `t`, that `value` held. This implies the same for all values its CAS ops were
    /// based on.
    fn hold(&mut self, value: Value, op: OpId, invoked: Time, t: Time) -> Result<(), Alarm> {
        let mut path = vec![value];
        let mut base = None;
        loop {
            let top = Some(path[path.len() - 1]);
            let Some(node) = self.nodes.get_mut(&top) else { break };
            node.on_path = true;
            let Some(expected) = node.expects else { break };
            let writer = node.writer;
            let Some(before) = self.nodes.get(&expected) else {
                return Err(Alarm {
                    ops: writer.into_iter().chain([op]).collect(),
                    ..self.forgotten_value(expected, writer.unwrap_or(op))
                });
            };
            if before.on_path {
                let words = format!("cas ops that took effect expect each other's values in a circle, through {}", show(expected));
                return Err(Alarm { kind: ViolationKind::CasCycle, ops: writer.into_iter().chain([op]).collect(), words });
            }
            if before.status == Status::Held {
                if let Some(other) = before.next {
                    return Err(self.two_successors(expected, other, writer, op));
                }
                base = Some((expected, before.chain));
                break;
            }
            match expected {
                Some(e) => path.push(e),
                None => break,
            }
        }
        let chain = base.map_or_else(|| self.new_chain(op, t), |(_, chain)| chain);
        let mut before = base.map(|(value, _)| value);
        let mut greatest = (invoked, op);
        for &at in path.iter().rev() {
            if let Some(node) = before.and_then(|b| self.nodes.get_mut(&b)) {
                node.next = Some(at);
            }
            let Some(node) = self.nodes.get_mut(&Some(at)) else { continue };
            if node.status == Status::Unknown && node.expects.is_none() {
                self.unobserved_unknown_writes -= 1;
            }
            (node.status, node.on_path, node.first, node.first_op, node.chain) = (Status::Held, false, t, Some(op), chain);
            if at == value {
                node.last = node.last.max(invoked);
            }
            if node.invoked > greatest.0 {
                greatest = (node.invoked, node.writer.unwrap_or(op));
            }
            before = Some(Some(at));
        }
        self.grow(chain, greatest.0, greatest.1)
    }

    fn new_chain(&mut self, op: OpId, t: Time) -> u64 {
        let number = self.next_chain;
        self.next_chain += 1;
        self.chains.push_back(Chain { number, first: t, first_op: Some(op), last: START, last_op: None });
        number
    }

    fn two_successors(&self, expected: Option<Value>, other: Value, writer: Option<OpId>, op: OpId) -> Alarm {
        let first = self.nodes.get(&Some(other)).and_then(|n| n.writer);
        let mut ops: Vec<OpId> = first.into_iter().chain(writer).chain([op]).collect();
        ops.dedup();
        let kind = if writer == Some(op) { ViolationKind::LostUpdate } else { ViolationKind::Fork };
        Alarm { kind, ops, words: format!("two cas ops that expected {} both took effect", show(expected)) }
    }

    /// Raises the `last` of a chain. Reports a violation if its zone then conflicts with the zone of another chain.
    fn grow(&mut self, chain: u64, last: Time, op: OpId) -> Result<(), Alarm> {
        let at = self.chains.partition_point(|c| c.number < chain);
        let Some(&me) = self.chains.get(at).filter(|c| c.number == chain) else { return Ok(()) };
        if last <= me.last {
            return Ok(());
        }
        // A chain that starts before the old `last` was already compared.
        let from = self.chains.partition_point(|c| c.first < me.last);
        for other in self.chains.range(from..).take_while(|c| c.first < last) {
            if other.number != chain && me.first < other.last {
                let ops = [me.first_op, other.first_op, other.last_op, Some(op)].into_iter().flatten().collect();
                let words = format!("op {op} saw or used a value again, invoked after another was known to have replaced it");
                return Err(Alarm { kind: ViolationKind::StaleRead, ops, words });
            }
        }
        let me = &mut self.chains[at];
        (me.last, me.last_op) = (last, Some(op));
        Ok(())
    }
}
