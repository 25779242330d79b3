//! Observations during the exploration: everything accepted, chosen and reported to clients, and the rules that must
//! hold.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use heckle_paxos::{Ballot, Call, Config, Diagnostics, Fate, Message, OpFate, Outcome, Phase, Record, Rounds, RowData, Update, Value};

use super::world::{Ask, id, op_of};

/// The memory of past events. It is part of the state, since it determines which future steps break a rule.
#[derive(Clone)]
pub(crate) struct Watch {
    quorum: u32,
    rounds: Rounds,
    asks: Arc<Vec<Ask>>,
    /// The update accepted at each ballot, and the nodes that accepted it.
    accepts: BTreeMap<Ballot, (Update, u64)>,
    /// Rows chosen so far, by version.
    chosen: BTreeMap<u64, Arc<RowData>>,
    /// For each version: the operation that created it, and the value. Operations that share a proposal have separate
    /// versions.
    line: Vec<(Option<usize>, Option<Value>)>,
    /// For each operation: the newest version reported to a client before it was requested.
    floors: Vec<usize>,
    /// The newest version that has been reported to a client.
    reported: usize,
    /// Operations whose reply said that they will never be applied.
    refused: Vec<usize>,
    /// Time of the highest ballot whose fence was reported as complete.
    fence: u64,
    highest: u64,
    wrong: Option<(Rule, String)>,
}

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// One update per ballot, one row per version, each row built on the previous one.
    Agreement,
    /// Every acknowledged update is chosen, and no later row has forgotten it.
    Acknowledged,
    /// Everything reported to clients stays true: values, refusals, fates.
    Reported,
    /// After the reply to a read or a refused CAS, nothing proposed before it is chosen.
    Fence,
}

impl Watch {
    pub(crate) fn new(config: &Config, asks: &[Ask]) -> Watch {
        Watch {
            quorum: config.members.len() as u32 / 2 + 1,
            rounds: config.rounds,
            asks: Arc::new(asks.to_vec()),
            accepts: BTreeMap::new(),
            chosen: BTreeMap::from([(0, Arc::new(RowData::default()))]),
            line: vec![(None, None)],
            floors: vec![0; asks.len()],
            reported: 0,
            refused: vec![],
            fence: 0,
            highest: 0,
            wrong: None,
        }
    }

    /// Hashes the parts that can still matter: the reported version if a request is still to come, and for each
    /// running operation the version that had been reported when it was requested.
    pub(crate) fn fingerprint<H: Hasher>(&self, asks_left: bool, running: impl Iterator<Item = usize>, state: &mut H) {
        // Settings are the same in all states, and the line follows from the rows.
        let Watch { quorum: _, rounds: _, asks: _, accepts, chosen, line: _, floors, reported, refused, fence, highest, wrong } = self;
        (accepts, chosen, refused, fence, highest, wrong).hash(state);
        if asks_left {
            reported.hash(state);
        }
        for op in running {
            (op, floors[op]).hash(state);
        }
    }

    /// The first broken rule and its description, if any.
    pub(crate) fn wrong(&self) -> Option<(Rule, &str)> {
        self.wrong.as_ref().map(|(rule, what)| (*rule, what.as_str()))
    }

    /// Whether this is the first broken rule.
    pub(crate) fn broke(&self, rule: Rule) -> bool {
        self.wrong.as_ref().is_some_and(|(broken, _)| *broken == rule)
    }

    /// The highest ballot time or attempt number so far, which bounds the exploration.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    pub(crate) fn sent(&mut self, message: &Message) {
        self.highest = self.highest.max(message.tag.ballot.micros).max(u64::from(message.tag.attempt));
    }

    pub(crate) fn asked(&mut self, op: usize) {
        self.floors[op] = self.reported;
    }

    /// Handles a record stored by a replica.
    pub(crate) fn persisted(&mut self, node: usize, record: &Record) {
        match record {
            Record::Accepted { accepted, .. } => self.accepted(node, accepted.ballot, &accepted.update),
            Record::Learned { row, .. } => {
                if !self.chosen.values().any(|chosen| *chosen == row.data) {
                    self.fail(Rule::Agreement, format!("n{} learned version {}, which was never chosen", node + 1, row.data.version));
                }
            }
            Record::Chosen { ballot, .. } => {
                let accepts = self.accepts.get(ballot).map_or(0, |(_, nodes)| nodes.count_ones());
                if accepts < self.quorum {
                    self.fail(Rule::Agreement, format!("n{} took what {accepts} nodes had accepted at {ballot} for chosen", node + 1));
                }
            }
            Record::Incarnation { .. } | Record::Promised { .. } | Record::LeaseLimits(_) | Record::State { .. } => {}
            Record::Pruned { .. } | Record::Floor { .. } | Record::Put { .. } => {}
        }
    }

    fn accepted(&mut self, node: usize, ballot: Ballot, update: &Update) {
        let (held, nodes) = self.accepts.entry(ballot).or_insert_with(|| (update.clone(), 0));
        if held != update {
            return self.fail(Rule::Agreement, format!("two updates were accepted at ballot {ballot}"));
        }
        *nodes |= 1 << node;
        let chosen = nodes.count_ones() >= self.quorum;
        // The accepting nodes no longer matter, neither for a fence nor for a chosen update.
        if chosen || *update == Update::Empty {
            *nodes = u64::MAX;
        }
        if let (Update::Row(data), true) = (update, chosen) {
            self.choose(&Arc::clone(data));
        }
    }

    fn choose(&mut self, data: &Arc<RowData>) {
        let version = data.version;
        match self.chosen.get(&version) {
            Some(held) if held == data => return,
            Some(_) => return self.fail(Rule::Agreement, format!("two rows of version {version} were chosen")),
            None => {}
        }
        let (newest, before) = self.chosen.last_key_value().map(|(version, row)| (*version, Arc::clone(row))).expect("there is version 0");
        if version < newest {
            return self.fail(Rule::Agreement, format!("version {version} was chosen after version {newest}"));
        }
        if before.dedupe.entries.iter().any(|entry| !data.dedupe.entries.contains(entry)) {
            self.fail(Rule::Acknowledged, format!("version {version} has forgotten an operation of version {newest}"));
        }
        let added = data.dedupe.entries.iter().filter(|entry| !before.dedupe.entries.contains(entry));
        for entry in added {
            if entry.proposed_us < self.fence {
                let fence = self.fence;
                self.fail(
                    Rule::Fence,
                    format!("an update of {} us was chosen after a fence of {fence} us was reported", entry.proposed_us),
                );
            }
            self.apply(op_of(entry.op).expect("an operation of the model"), entry.fate);
        }
        if self.line.len() as u64 != version + 1 || self.line.last().map(|(_, value)| value) != Some(&data.value) {
            self.fail(Rule::Agreement, format!("version {version} is not what its operations make of version {newest}"));
        }
        self.chosen.insert(version, Arc::clone(data));
    }

    /// Records that another operation has taken effect or been declared aborted.
    fn apply(&mut self, op: usize, fate: OpFate) {
        let value = self.line.last().and_then(|(_, value)| value.clone());
        let (by, value) = match (fate, self.asks[op].call.clone()) {
            (OpFate::Aborted, _) | (OpFate::Applied, Call::Read | Call::Fate { .. }) => (None, value),
            (OpFate::Applied, Call::Write { new }) => (Some(op), Some(new)),
            (OpFate::Applied, Call::Cas { expected, new }) => {
                if expected != value {
                    self.fail(Rule::Reported, format!("a CAS that expected {expected:?} was applied to {value:?}"));
                }
                (Some(op), Some(new))
            }
        };
        if by.is_some() && self.refused.contains(&op) {
            self.fail(Rule::Reported, format!("operation {op} was answered as never to be applied, and then it was"));
        }
        self.line.push((by, value));
    }

    /// Handles a reply to a client.
    pub(crate) fn answered(&mut self, op: usize, outcome: &Outcome, diagnostics: &Diagnostics) {
        match outcome {
            Outcome::Applied => match self.version_of(op) {
                None => self.fail(Rule::Acknowledged, format!("operation {op} was acknowledged, and is in no chosen row")),
                Some(version) if version <= self.floors[op] => {
                    self.fail(Rule::Reported, format!("operation {op} was put before what had been reported when it was requested"));
                }
                Some(version) => self.reported = self.reported.max(version),
            },
            Outcome::Read { current } => self.saw(op, current.as_ref(), diagnostics),
            Outcome::ConditionNotMet { current } => {
                if let Call::Cas { expected, .. } = &self.asks[op].call
                    && expected == current
                {
                    self.fail(Rule::Reported, format!("operation {op} was refused although it met what it expected"));
                }
                self.refuse(op);
                self.saw(op, current.as_ref(), diagnostics);
            }
            Outcome::Fate { fate: Fate::NotApplied } => self.refuse(self.asked_about(op)),
            Outcome::Fate { fate: Fate::Applied } => {
                let of = self.asked_about(op);
                if self.version_of(of).is_none() {
                    self.fail(Rule::Reported, format!("operation {of} is in no chosen row, and its fate was reported as applied"));
                }
            }
            Outcome::NotApplied { .. } => self.refuse(op),
            // It may have happened or not.
            Outcome::Unknown { .. } | Outcome::Invalid { .. } | Outcome::Fate { fate: Fate::Evicted | Fate::Superseded } => {}
        }
    }

    fn version_of(&self, op: usize) -> Option<usize> {
        self.line.iter().position(|(by, _)| *by == Some(op))
    }

    /// Handles a reply that this operation will never be applied.
    fn refuse(&mut self, op: usize) {
        if self.version_of(op).is_some() {
            self.fail(Rule::Reported, format!("operation {op} was answered as never to be applied, and had been"));
        }
        if !self.refused.contains(&op) {
            self.refused.push(op);
            self.refused.sort_unstable();
        }
    }

    fn asked_about(&self, op: usize) -> usize {
        let Call::Fate { of, .. } = &self.asks[op].call else { panic!("a fate was reported for another kind of request") };
        (0..self.asks.len()).find(|op| id(*op) == *of).expect("fates are asked of operations of the model")
    }

    /// Handles a value returned to a client.
    fn saw(&mut self, op: usize, current: Option<&Value>, diagnostics: &Diagnostics) {
        let floor = self.floors[op];
        // Values are unique except for aborts, which keep the value: the newest version with the value counts.
        match self.line.iter().rposition(|(_, value)| value.as_ref() == current) {
            None => self.fail(Rule::Reported, format!("operation {op} got a value that was never chosen")),
            Some(version) if version < floor => {
                self.fail(Rule::Reported, format!("operation {op} got an older value than had been reported before it was requested"));
            }
            Some(version) => self.reported = self.reported.max(version),
        }
        // If learning is not awaited, a read that finds nothing unfinished needs no fence and claims none.
        let claims = match self.rounds {
            Rounds::Classic | Rounds::Merged => true,
            Rounds::AsyncLearn | Rounds::Fast => diagnostics.phase == Phase::Fence,
        };
        if claims {
            self.fence = self.fence.max(diagnostics.ballot.micros);
        }
    }

    fn fail(&mut self, rule: Rule, what: String) {
        self.wrong.get_or_insert((rule, what));
    }
}
