//! The simulator's checker: verifies the invariants while a run is in progress.
//!
//! The checker sees the accepted updates on the disks, the learned rows, and the replies that clients received. From
//! the first two it builds the **chain** of each key: the chosen rows in order, one for each version. Operations that
//! were proposed together have separate versions but share a row, whose table lists them. Values are unique, so a
//! reply identifies its version, and checking linearizability requires only arithmetic on versions:
//! - each version has one row, each operation is applied at most once, and each condition held on the previous row;
//! - an acknowledged operation is in the chain, and a refused one never is;
//! - operations that completed before an operation was invoked have lower versions;
//! - after a fence, no earlier update enters the chain.

use crate::op_record::OpRecord;
use heckle_paxos::{Accepted, Ballot, Call, DedupeEntry, Fate, Key, OpFate, OpId, Outcome, Record, Row, RowData, Update, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub kind: ViolationKind,
    /// Virtual time at which it was detected.
    pub at_ns: u64,
    /// The register.
    pub key: Key,
    /// Description of the observation.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} on {} at {} us: {}", self.kind, self.key, self.at_ns / 1000, self.detail)
    }
}

/// The invariants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ViolationKind {
    /// Two updates were accepted at one ballot.
    BallotReused,
    /// Two rows were chosen for one version: an update was lost.
    Fork,
    /// A row was chosen whose predecessor was never chosen.
    Gap,
    /// An operation appears in the chain more than once.
    AppliedTwice,
    /// A CAS is in the chain although its condition did not hold.
    ConditionBroken,
    /// An operation took effect although the reply to its client ruled that out.
    RefusedTookEffect,
    /// An acknowledged operation is not in the chain.
    AcknowledgedLost,
    /// A client received a value that was not chosen.
    DirtyRead,
    /// An operation began after another one had completed, but precedes it in the chain.
    OutOfOrder,
    /// A CAS was refused although its condition held for the value returned.
    WronglyRefused,
    /// An update older than a fence was chosen after it.
    FenceBroken,
    /// A read was not answered after all faults had healed.
    NoProgress,
    /// Two nodes held the same range at the same time.
    TwoHolders,
    /// Slots of a prune queue were still in use after everything had drained.
    PruneLeak,
}

impl ViolationKind {
    /// Whether the violation is detected from a value that was returned or stored.
    #[must_use]
    pub fn is_about_values(self) -> bool {
        use ViolationKind::{ConditionBroken, DirtyRead, OutOfOrder, WronglyRefused};
        matches!(self, ConditionBroken | DirtyRead | OutOfOrder | WronglyRefused)
    }

    /// Whether clients can observe the harm. The other violations break a rule without affecting a client: an update
    /// that a fence should have stopped has an unknown outcome, so as far as a history shows, it may take effect at
    /// any time. The presence of two holders is detected by its effects.
    #[must_use]
    pub fn is_client_visible(self) -> bool {
        use ViolationKind::{BallotReused, FenceBroken, PruneLeak, TwoHolders};
        !matches!(self, FenceBroken | BallotReused | TwoHolders | PruneLeak)
    }
}

/// The parts of a chosen row that the checker needs.
#[derive(Debug)]
struct ChosenRow {
    op: OpId,
    fate: OpFate,
    value: Option<Value>,
    proposed_us: u64,
}

#[derive(Debug, Default)]
struct Chain {
    /// Chosen rows by version, starting at 1.
    rows: BTreeMap<u64, ChosenRow>,
    /// The newest version with each value. (A row that only records an abort has the same value as the previous one.)
    version_of_value: BTreeMap<Option<Value>, u64>,
    version_of_op: BTreeMap<OpId, u64>,
    aborted: BTreeSet<OpId>,
    /// The newest version seen or created by any operation that has completed so far, in true time.
    floor: u64,
    /// For each version, the highest ballot time of a fence on it.
    fences: BTreeMap<u64, u64>,
    /// For each ballot, the durably accepted update and the nodes that accepted it.
    accepted: BTreeMap<Ballot, Votes>,
}

#[derive(Debug)]
struct Votes {
    update: Update,
    nodes: BTreeSet<usize>,
}

#[derive(Debug)]
struct Invocation {
    call: Call,
    floor: u64,
    refused: bool,
}

/// Whether values are checked, or only the operations in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// A row must have the value that its update writes on the previous row.
    Checked,
    /// Values are ignored, since puts change them outside Paxos.
    Ignored,
}

/// Checks one run.
#[derive(Debug)]
pub struct Checker {
    values: Values,
    quorum: usize,
    chains: BTreeMap<Key, Chain>,
    asked: BTreeMap<OpId, Invocation>,
    violations: Vec<Violation>,
    /// For each range and node: the time until which the node believes that it holds the range.
    holders: BTreeMap<(u16, usize), u64>,
    now_ns: u64,
}

impl Checker {
    /// Creates a checker for a cluster of `nodes`.
    #[must_use]
    pub fn new(nodes: usize, values: Values) -> Self {
        Self {
            values,
            quorum: nodes / 2 + 1,
            chains: BTreeMap::new(),
            asked: BTreeMap::new(),
            violations: Vec::new(),
            holders: BTreeMap::new(),
            now_ns: 0,
        }
    }

    /// The violations found so far.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Newest chosen version of a key.
    #[must_use]
    pub fn newest(&self, key: &Key) -> u64 {
        self.chains.get(key).and_then(|chain| chain.rows.keys().next_back().copied()).unwrap_or(0)
    }

    /// Advances the virtual time.
    pub fn at(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    /// Reports a violation detected outside the checker, by the world.
    pub fn report(&mut self, kind: ViolationKind, key: &Key, detail: String) {
        if self.values == Values::Ignored && kind.is_about_values() {
            return;
        }
        self.violations.push(Violation { kind, at_ns: self.now_ns, key: key.clone(), detail });
    }

    /// Records that a node believes that it holds a range until `until_ns`.
    pub fn holds(&mut self, node: usize, range: u16, until_ns: u64) {
        let now_ns = self.now_ns;
        let others = self.holders.range((range, 0)..=(range, usize::MAX));
        let other = others.map(|((_, other), until)| (*other, *until)).find(|(other, until)| *other != node && *until > now_ns);
        self.holders.insert((range, node), until_ns);
        if let Some((other, until)) = other.filter(|_| until_ns > now_ns) {
            let detail =
                format!("n{} and n{} both hold range {range}, the other for {} us yet", node + 1, other + 1, (until - now_ns) / 1000);
            self.report(ViolationKind::TwoHolders, &Key::from("(lease)"), detail);
        }
    }

    /// The node that believes that it holds a range.
    #[must_use]
    pub fn holder_of(&self, range: u16) -> Option<usize> {
        let mut holders = self.holders.range((range, 0)..=(range, usize::MAX));
        holders.find(|(_, until)| **until > self.now_ns).map(|((_, node), _)| *node)
    }

    /// Records that a process has ended, which also ends its beliefs about leases.
    pub fn on_process_end(&mut self, node: usize) {
        self.holders.retain(|(_, holder), _| *holder != node);
    }

    /// Handles a record that became durable at a node.
    pub fn durable(&mut self, node: usize, record: &Record) {
        match record {
            Record::Accepted { key, accepted, promised: _ } => self.accepted(node, key, accepted),
            Record::State { key, accepted: Some(accepted), .. } => self.accepted(node, key, accepted),
            Record::Incarnation { .. }
            | Record::Promised { .. }
            | Record::Chosen { .. }
            | Record::Learned { .. }
            | Record::LeaseLimits(_)
            | Record::Pruned { .. }
            | Record::Floor { .. }
            | Record::Put { .. }
            | Record::State { .. } => {}
        }
    }

    /// Handles a row learned by a node, which means that its coordinator considers the row chosen.
    pub fn learned(&mut self, key: &Key, row: &Row) {
        self.chosen(key, &row.data);
    }

    fn accepted(&mut self, node: usize, key: &Key, accepted: &Accepted) {
        let chain = self.chains.entry(key.clone()).or_default();
        let votes =
            chain.accepted.entry(accepted.ballot).or_insert_with(|| Votes { update: accepted.update.clone(), nodes: BTreeSet::new() });
        votes.nodes.insert(node);
        if votes.update != accepted.update {
            let detail = format!("ballot {}", accepted.ballot);
            self.report(ViolationKind::BallotReused, key, detail);
        } else if let (Update::Row(data), true) = (&accepted.update, votes.nodes.len() >= self.quorum) {
            self.chosen(key, data);
        }
    }

    /// Records that a row was chosen, perhaps not for the first time. It extends the chain by its newest update, or
    /// by all updates that were proposed together and so share a stamp.
    fn chosen(&mut self, key: &Key, data: &RowData) {
        let Some(newest) = data.dedupe.newest() else {
            return;
        };
        let entries = &data.dedupe.entries;
        let together = entries.iter().rev().take_while(|entry| entry.proposed_us == newest.proposed_us).count();
        let batch = &entries[entries.len() - together..];
        let first = (data.version + 1).saturating_sub(batch.len() as u64).max(1);
        let chain = self.chains.entry(key.clone()).or_default();
        if chain.rows.contains_key(&data.version) {
            self.chosen_again(key, data, first, batch);
            return;
        }
        let known_below = first == 1 || chain.rows.contains_key(&(first - 1));
        let mut before = chain.rows.get(&(first - 1)).and_then(|row| row.value.clone());
        for (version, entry) in (first..).zip(batch) {
            let value = match entry.fate {
                _ if version == data.version => data.value.clone(),
                OpFate::Applied => self.written(entry.op),
                OpFate::Aborted => before.clone(),
            };
            self.extend(key, version, ChosenRow { op: entry.op, fate: entry.fate, value: value.clone(), proposed_us: entry.proposed_us });
            match entry.fate {
                OpFate::Applied if known_below => self.check_effect(key, entry.op, version, before),
                OpFate::Aborted if known_below && before != value => {
                    let detail = format!("the abort of {} changed the value, in version {version}", entry.op);
                    self.report(ViolationKind::ConditionBroken, key, detail);
                }
                OpFate::Applied | OpFate::Aborted => {}
            }
            before = value;
        }
        if !known_below {
            self.report(ViolationKind::Gap, key, format!("version {first} by {} has no version before it", batch[0].op));
        }
    }

    /// Checks that the same versions were created by the same operations.
    fn chosen_again(&mut self, key: &Key, data: &RowData, first: u64, batch: &[DedupeEntry]) {
        let Some(chain) = self.chains.get(key) else {
            return;
        };
        let mut forks = Vec::new();
        for (version, entry) in (first..).zip(batch) {
            let known = chain.rows.get(&version);
            let other = known.is_none_or(|known| {
                let revalued = self.values == Values::Checked && version == data.version && known.value != data.value;
                known.op != entry.op || known.fate != entry.fate || revalued
            });
            if other {
                let known = known.map_or("nothing".to_owned(), |known| known.op.to_string());
                forks.push(format!("version {version} is {known} and {}", entry.op));
            }
        }
        for detail in forks {
            self.report(ViolationKind::Fork, key, detail);
        }
    }

    /// Adds one version to the chain.
    fn extend(&mut self, key: &Key, version: u64, chosen: ChosenRow) {
        let chain = self.chains.entry(key.clone()).or_default();
        let (op, fate, proposed_us) = (chosen.op, chosen.fate, chosen.proposed_us);
        let fence = chain.fences.get(&(version - 1)).copied().unwrap_or(0);
        chain.version_of_value.insert(chosen.value.clone(), version);
        chain.rows.insert(version, chosen);
        let (earlier, contradicted) = match fate {
            OpFate::Applied => (chain.version_of_op.insert(op, version), chain.aborted.contains(&op)),
            OpFate::Aborted => {
                chain.aborted.insert(op);
                (None, chain.version_of_op.contains_key(&op))
            }
        };
        if let Some(earlier) = earlier {
            self.report(ViolationKind::AppliedTwice, key, format!("{op} is version {earlier} and {version}"));
        }
        if contradicted {
            self.report(ViolationKind::RefusedTookEffect, key, format!("{op} was declared aborted and was applied"));
        }
        if proposed_us < fence {
            let detail = format!("{op} of {proposed_us} us entered above a fence of {fence} us");
            self.report(ViolationKind::FenceBroken, key, detail);
        }
    }

    /// The value that an operation writes, if its invocation has been recorded.
    fn written(&self, op: OpId) -> Option<Value> {
        match &self.asked.get(&op)?.call {
            Call::Read | Call::Fate { .. } => None,
            Call::Write { new } | Call::Cas { expected: _, new } => Some(new.clone()),
        }
    }

    /// Checks that an operation was allowed to take effect on the value `before`.
    fn check_effect(&mut self, key: &Key, op: OpId, version: u64, before: Option<Value>) {
        let Some(asked) = self.asked.get(&op) else {
            return;
        };
        let mut found = Vec::new();
        if let Call::Cas { expected, .. } = &asked.call
            && *expected != before
        {
            found.push((ViolationKind::ConditionBroken, format!("{op} expected {expected:?} and was applied to {before:?}")));
        }
        if asked.refused {
            found.push((ViolationKind::RefusedTookEffect, format!("{op} is version {version}")));
        }
        if version <= asked.floor {
            let detail = format!("{op} is version {version}, but {} was seen before it was invoked", asked.floor);
            found.push((ViolationKind::OutOfOrder, detail));
        }
        for (kind, detail) in found {
            self.report(kind, key, detail);
        }
    }

    /// Records that a client invokes an operation.
    pub fn invoked(&mut self, op: &OpRecord) {
        let floor = self.chains.get(&op.key).map_or(0, |chain| chain.floor);
        self.asked.insert(op.op, Invocation { call: op.call.clone(), floor, refused: false });
    }

    /// Records a reply to a client. `fence` is the ballot below which nothing may be chosen any longer, or `None` if
    /// the reply guarantees no such ballot.
    pub fn answered(&mut self, op: &OpRecord, outcome: &Outcome, fence: Option<Ballot>) {
        match outcome {
            Outcome::Applied => self.applied(op),
            Outcome::Read { current } => self.shown(op, current.as_ref(), fence),
            Outcome::ConditionNotMet { current } => {
                if let Call::Cas { expected, .. } = &op.call
                    && expected == current
                {
                    let detail = format!("{} expected {expected:?} and was shown it", op.op);
                    self.report(ViolationKind::WronglyRefused, &op.key, detail);
                }
                self.refused(op);
                self.shown(op, current.as_ref(), fence);
            }
            Outcome::NotApplied { .. } | Outcome::Invalid { .. } => self.refused(op),
            // The result of a fate query is about another operation: see `fate`.
            Outcome::Unknown { .. } | Outcome::Fate { .. } => {}
        }
    }

    /// Records the result of a fate query for `op`.
    pub fn fate(&mut self, op: &OpRecord, fate: Fate) {
        match fate {
            // This is equivalent to an acknowledgement, and also applies to all operations invoked later.
            Fate::Applied => self.applied(op),
            Fate::NotApplied => self.refused(op),
            Fate::Evicted | Fate::Superseded => {}
        }
    }

    fn applied(&mut self, op: &OpRecord) {
        let chain = self.chains.entry(op.key.clone()).or_default();
        match chain.version_of_op.get(&op.op).copied() {
            Some(version) => chain.floor = chain.floor.max(version),
            None => self.report(ViolationKind::AcknowledgedLost, &op.key, format!("{} is in no chosen row", op.op)),
        }
    }

    fn refused(&mut self, op: &OpRecord) {
        if !op.call.is_update() {
            return;
        }
        if let Some(asked) = self.asked.get_mut(&op.op) {
            asked.refused = true;
        }
        let version = self.chains.get(&op.key).and_then(|chain| chain.version_of_op.get(&op.op).copied());
        if let Some(version) = version {
            self.report(ViolationKind::RefusedTookEffect, &op.key, format!("{} is version {version}", op.op));
        }
    }

    /// Checks a value that was returned to a client, perhaps under a fence.
    fn shown(&mut self, op: &OpRecord, value: Option<&Value>, fence: Option<Ballot>) {
        let chain = self.chains.entry(op.key.clone()).or_default();
        let version = chain.version_of_value.get(&value.cloned()).copied().or(value.is_none().then_some(0));
        let Some(version) = version else {
            self.report(ViolationKind::DirtyRead, &op.key, format!("{} was shown {value:?}", op.op));
            return;
        };
        let floor = self.asked.get(&op.op).map_or(0, |asked| asked.floor);
        chain.floor = chain.floor.max(version);
        let broken = fence.and_then(|ballot| {
            let fence = chain.fences.entry(version).or_insert(0);
            *fence = (*fence).max(ballot.micros);
            // The next update may already have been chosen, above the fence.
            let next = chain.rows.get(&(version + 1)).filter(|next| next.proposed_us < ballot.micros);
            next.map(|next| format!("{} of {} us is above the fence {ballot}", next.op, next.proposed_us))
        });
        if version < floor {
            let detail = format!("{} was shown version {version} after version {floor} had been seen", op.op);
            self.report(ViolationKind::OutOfOrder, &op.key, detail);
        }
        if let Some(detail) = broken {
            self.report(ViolationKind::FenceBroken, &op.key, detail);
        }
    }
}
