//! What is watched while the world is explored: a protocol of what was ever accepted, chosen and told, and what may never
//! be so.

use std::collections::BTreeMap;
use std::sync::Arc;

use heckle_paxos::{Ballot, Call, Fate, Message, OpFate, Outcome, Record, RowData, Update, Value};

use super::world::{Accepts, Ask, digest, id};

/// The memory of what happened. Part of the state: two states that differ in it have different futures of being wrong.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    quorum: u32,
    asks: Arc<Vec<Ask>>,
    accepts: Accepts,
    /// Rows chosen so far, by version.
    chosen: BTreeMap<u64, Arc<RowData>>,
    /// The newest version that somebody was told of, for each operation as of when it was asked.
    floors: Vec<u64>,
    /// The newest version that somebody was told of.
    told: u64,
    /// Operations answered as applied, or as never to be applied.
    applied: Vec<usize>,
    refused: Vec<usize>,
    highest: u64,
    wrong: Option<(Rule, String)>,
}

/// What may not be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// One update a ballot, one row a version, each row on the one before it.
    Agreement,
    /// What was acknowledged is chosen, and no later row has forgotten it.
    Acknowledged,
    /// What clients were told, refusals and fates above all, stays true.
    Told,
}

impl Watch {
    pub(crate) fn new(members: usize, asks: &[Ask]) -> Watch {
        Watch {
            quorum: members as u32 / 2 + 1,
            asks: Arc::new(asks.to_vec()),
            accepts: Accepts::new(),
            chosen: BTreeMap::from([(0, Arc::new(RowData::default()))]),
            floors: vec![0; asks.len()],
            told: 0,
            applied: vec![],
            refused: vec![],
            highest: 0,
            wrong: None,
        }
    }

    /// What went wrong, if anything did.
    pub(crate) fn wrong(&self) -> Option<&str> {
        self.wrong.as_ref().map(|(_, what)| what.as_str())
    }

    /// Whether this rule was broken first.
    pub(crate) fn broke(&self, rule: Rule) -> bool {
        self.wrong.as_ref().is_some_and(|(broken, _)| *broken == rule)
    }

    pub(crate) fn digest(&self) -> u64 {
        digest(&(&self.accepts, self.chosen.keys(), &self.floors, self.told, &self.applied, &self.refused, &self.wrong))
    }

    pub(crate) fn highest_ballot(&self) -> u64 {
        self.highest
    }

    pub(crate) fn sent(&mut self, message: &Message) {
        self.highest = self.highest.max(message.tag.ballot.micros);
    }

    pub(crate) fn asked(&mut self, op: usize) {
        self.floors[op] = self.told;
    }

    /// A replica wrote a record down.
    pub(crate) fn persisted(&mut self, node: usize, record: &Record) {
        match record {
            Record::Accepted { accepted, .. } => self.accepted(node, accepted.ballot, &accepted.update),
            Record::Learned { row, .. } => {
                if !self.chosen.values().any(|chosen| *chosen == row.data) {
                    self.fail(Rule::Agreement, format!("node {} learned version {}, which was never chosen", node + 1, row.data.version));
                }
            }
            Record::Chosen { ballot, .. } => {
                let accepts = self.accepts.get(ballot).map_or(0, |(_, nodes)| nodes.count_ones());
                if accepts < self.quorum {
                    self.fail(Rule::Agreement, format!("node {} took what {accepts} nodes had accepted at {ballot} for chosen", node + 1));
                }
            }
            Record::Incarnation { .. } | Record::Promised { .. } | Record::LeaseLimits(_) | Record::State { .. } => {}
        }
    }

    fn accepted(&mut self, node: usize, ballot: Ballot, update: &Update) {
        let (held, nodes) = self.accepts.entry(ballot).or_insert_with(|| (update.clone(), 0));
        if held != update {
            return self.fail(Rule::Agreement, format!("two updates were accepted at ballot {ballot}"));
        }
        *nodes |= 1 << node;
        if let (Update::Row(data), true) = (update, nodes.count_ones() >= self.quorum) {
            self.choose(&Arc::clone(data));
        }
    }

    fn choose(&mut self, data: &Arc<RowData>) {
        match self.chosen.get(&data.version) {
            Some(held) if held == data => return,
            Some(_) => return self.fail(Rule::Agreement, format!("two rows of version {} were chosen", data.version)),
            None => {}
        }
        let Some(before) = self.chosen.get(&(data.version - 1)).cloned() else {
            return self.fail(Rule::Agreement, format!("version {} was chosen before the one it follows", data.version));
        };
        let newest = data.dedupe.newest().filter(|entry| entry.fate == OpFate::Applied).map(|entry| entry.op);
        let asked = (0..self.asks.len()).find(|op| Some(id(*op)) == newest);
        if let Some(Call::Cas { expected, .. }) = asked.map(|op| &self.asks[op].call)
            && *expected != before.value
        {
            self.fail(Rule::Told, format!("a CAS that expected {expected:?} was applied to {:?}", before.value));
        }
        if before.dedupe.entries.iter().any(|entry| !data.dedupe.entries.contains(entry)) {
            self.fail(Rule::Acknowledged, format!("version {} has forgotten an operation of the one before", data.version));
        }
        if let Some(op) = self.refused.iter().copied().find(|op| contains(data, *op)) {
            self.fail(Rule::Told, format!("operation {op} was answered as never to be applied, and then it was"));
        }
        self.chosen.insert(data.version, Arc::clone(data));
    }

    /// A client was told.
    pub(crate) fn answered(&mut self, op: usize, outcome: &Outcome) {
        let floor = self.floors[op];
        match outcome {
            Outcome::Applied => {
                let version = self.chosen.iter().find(|(_, data)| contains(data, op)).map(|(version, _)| *version);
                match version {
                    None => self.fail(Rule::Acknowledged, format!("operation {op} was acknowledged, and is in no chosen row")),
                    Some(version) if version <= floor => {
                        self.fail(Rule::Told, format!("operation {op} was put before what had been told when it was asked"))
                    }
                    Some(version) => self.told = self.told.max(version),
                }
                self.applied.push(op);
            }
            Outcome::Read { current } => self.saw(op, current.as_ref(), floor),
            Outcome::ConditionNotMet { current } => {
                if let Call::Cas { expected, .. } = &self.asks[op].call
                    && expected == current
                {
                    self.fail(Rule::Told, format!("operation {op} was refused although it met what it expected"));
                }
                self.saw(op, current.as_ref(), floor);
                self.refused.push(op);
            }
            Outcome::Fate { fate: Fate::NotApplied } => self.refuse(self.asked_about(op)),
            Outcome::Fate { fate: Fate::Applied } => {
                let of = self.asked_about(op);
                if !self.chosen.values().any(|data| contains(data, of)) {
                    self.fail(Rule::Told, format!("operation {of} is in no chosen row, and its fate was told as applied"));
                }
            }
            Outcome::NotApplied { .. } => self.refuse(op),
            // It may have happened or not.
            Outcome::Unknown { .. } | Outcome::Invalid { .. } | Outcome::Fate { fate: Fate::Evicted | Fate::Superseded } => {}
        }
    }

    /// A client was told that this operation will never be applied.
    fn refuse(&mut self, op: usize) {
        if self.chosen.values().any(|data| contains(data, op)) {
            self.fail(Rule::Told, format!("operation {op} was answered as never to be applied, and had been"));
        }
        self.refused.push(op);
    }

    fn asked_about(&self, op: usize) -> usize {
        let Call::Fate { of, .. } = &self.asks[op].call else { panic!("a fate was told to who asked for something else") };
        (0..self.asks.len()).find(|op| id(*op) == *of).expect("fates are asked of operations of the model")
    }

    /// A client was told a value.
    fn saw(&mut self, op: usize, current: Option<&Value>, floor: u64) {
        // Values are unique but for aborts, which keep the value: the newest row that has it counts.
        match self.chosen.iter().rev().find(|(_, data)| data.value.as_ref() == current).map(|(version, _)| *version) {
            None => self.fail(Rule::Told, format!("operation {op} was told a value that was never chosen")),
            Some(version) if version < floor => {
                self.fail(Rule::Told, format!("operation {op} was told an older value than had been told before it was asked"))
            }
            Some(version) => self.told = self.told.max(version),
        }
    }

    fn fail(&mut self, rule: Rule, what: String) {
        self.wrong.get_or_insert((rule, what));
    }
}

fn contains(data: &RowData, op: usize) -> bool {
    data.dedupe.entries.iter().any(|entry| entry.op == id(op) && entry.fate == OpFate::Applied)
}
