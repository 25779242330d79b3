//! The verifier: accepts or rejects a certificate. It trusts nothing but the history.
//!
//! The verifier shares no code or concepts with the checkers. It replays an order, or checks that the few ops of a
//! contradiction prove that the rule is broken. It runs in linear time and has fewer than 200 lines, so it can be
//! reviewed as a whole.

use super::certificate::{Block, Certificate, Contradiction, Rule};
use heckle_history::{Call, Current, Fate, History, KeyId, OpId, Outcome, Seen, Value};
use rustc_hash::{FxHashMap, FxHashSet};

/// An op as seen by the verifier.
struct Op {
    id: OpId,
    invoked: u64,
    /// When the op completed, if it certainly happened.
    by: Option<u64>,
    /// Whether the op may have happened.
    may: bool,
    /// The value the op saw, for reads, CAS ops, and refusals that report the value: `Some(None)` is "never written".
    saw: Option<Option<Value>>,
    /// The value the op would write.
    writes: Option<Value>,
    /// A value that a refused CAS cannot have found.
    not: Option<Option<Value>>,
}

fn read(history: &History, place: u32, use_fates: bool) -> Op {
    let op = &history.ops[place as usize];
    let fate = if use_fates { history.fates.get(&place) } else { None };
    let (by, may) = match (op.outcome, fate) {
        (Outcome::Ok(_), _) => (Some(op.completed.0), true),
        (Outcome::Failed, _) | (Outcome::Unknown | Outcome::Open, Some((Fate::NotApplied, _))) => (None, false),
        (Outcome::Unknown | Outcome::Open, Some((Fate::Applied, t))) if op.call != Call::Read => (Some(t.0), true),
        (Outcome::Unknown | Outcome::Open, _) => (None, true),
    };
    let (saw, writes, not) = match (op.outcome, op.call) {
        (Outcome::Ok(Seen::Value(v)), _) => (Some(v), None, None),
        (Outcome::Ok(Seen::ConditionNotMet(Current::Known(v))), Call::Cas { expected, .. }) => (Some(v), None, Some(expected)),
        (Outcome::Ok(Seen::ConditionNotMet(_)), Call::Cas { expected, .. }) => (None, None, Some(expected)),
        (_, Call::Read) => (None, None, None),
        (_, Call::Write { new }) => (None, Some(new), None),
        (_, Call::Cas { expected, new }) => (Some(expected), Some(new), None),
    };
    Op { id: op.op, invoked: op.invoked.0, by, may, saw, writes, not }
}

/// Checks `certificate` against the ops of `key`, whose indices are `places`, as returned by [`History::by_key`].
///
/// # Errors
/// Returns the claim that the history does not support.
pub fn verify(history: &History, key: KeyId, places: &[u32], use_fates: bool, certificate: &Certificate) -> Result<(), String> {
    match certificate {
        Certificate::Valid(order) => replay(history, key, use_fates, order, places),
        Certificate::Invalid(contradiction) => {
            let ops: Vec<Op> = places.iter().map(|&p| read(history, p, use_fates)).collect();
            Case::with_facts_of(&ops, contradiction)?.judge(&contradiction.rule)
        }
    }
}

fn replay(history: &History, key: KeyId, use_fates: bool, order: &[u32], places: &[u32]) -> Result<(), String> {
    let mut done = FxHashSet::with_capacity_and_hasher(order.len(), rustc_hash::FxBuildHasher);
    let (mut now, mut latest) = (None, 0);
    for &place in order {
        if history.ops.get(place as usize).is_none_or(|o| o.key != key) || !done.insert(place) {
            return Err(format!("place {place} is listed twice or is not on this key"));
        }
        let op = read(history, place, use_fates);
        if !op.may || op.by.is_some_and(|by| by < latest) {
            return Err(format!("op {} cannot stand where it is put", op.id));
        }
        if op.saw.is_some_and(|saw| saw != now) || op.not.is_some_and(|not| not == now) {
            return Err(format!("op {} did not see the value that held", op.id));
        }
        latest = latest.max(op.invoked);
        now = op.writes.or(now);
    }
    for &place in places {
        let op = read(history, place, use_fates);
        if !done.contains(&place) && op.by.is_some() {
            return Err(format!("op {} happened and is not listed", op.id));
        }
    }
    Ok(())
}

/// A contradiction, with the facts about its ops.
struct Case<'a> {
    ops: FxHashMap<OpId, &'a Op>,
    /// Values that more than one op may have written.
    repeated: FxHashSet<Value>,
    writers: FxHashMap<Value, OpId>,
    /// Ops that took effect: ops that certainly happened, and the writers of values seen by these ops.
    effective: FxHashSet<OpId>,
}

impl<'a> Case<'a> {
    fn with_facts_of(ops: &'a [Op], contradiction: &Contradiction) -> Result<Self, String> {
        let (mut writers, mut repeated) = (FxHashMap::default(), FxHashSet::default());
        for op in ops.iter().filter(|o| o.may) {
            if let Some(v) = op.writes
                && writers.insert(v, op.id).is_some()
            {
                repeated.insert(v);
            }
        }
        let wanted: FxHashSet<OpId> = contradiction.support.iter().copied().collect();
        let ops: FxHashMap<OpId, &Op> = ops.iter().filter(|o| wanted.contains(&o.id)).map(|o| (o.id, o)).collect();
        let mut case = Case { ops, repeated, writers, effective: FxHashSet::default() };
        let mut work: Vec<OpId> =
            contradiction.support.iter().copied().filter(|id| case.ops.get(id).is_some_and(|o| o.by.is_some())).collect();
        while let Some(id) = work.pop() {
            let saw = case.op(id)?.saw.flatten();
            if case.effective.insert(id)
                && let Some(writer) = saw.and_then(|v| case.writers.get(&v))
                && case.ops.contains_key(writer)
            {
                work.push(*writer);
            }
        }
        Ok(case)
    }

    fn op(&self, id: OpId) -> Result<&'a Op, String> {
        self.ops.get(&id).copied().ok_or_else(|| format!("op {id} is not among the ops of the argument"))
    }

    fn effective(&self, id: OpId) -> Result<&'a Op, String> {
        let op = self.op(id)?;
        if self.effective.contains(&id) { Ok(op) } else { Err(format!("nothing shows that op {id} took effect")) }
    }

    /// Returns the value expected by an effective CAS, which is written at most once, and the value that the CAS wrote.
    fn cas(&self, id: OpId) -> Result<(Option<Value>, Value), String> {
        match self.effective(id)? {
            Op { saw: Some(e), writes: Some(n), .. } if *e != Some(*n) && e.is_none_or(|e| !self.repeated.contains(&e)) => Ok((*e, *n)),
            _ => Err(format!("op {id} is no CAS between unique values")),
        }
    }

    fn judge(&self, rule: &Rule) -> Result<(), String> {
        let holds = match rule {
            Rule::NeverWritten { observer, value } => {
                self.effective(*observer)?.saw == Some(Some(*value)) && !self.writers.contains_key(value)
            }
            Rule::TwoSuccessors { a, b } => a != b && self.cas(*a)?.0 == self.cas(*b)?.0,
            Rule::SawExpected { op } => self.effective(*op)?.not.is_some_and(|not| self.ops[op].saw == Some(not)),
            Rule::Circle { ops } => {
                let links = ops.iter().map(|&op| self.cas(op)).collect::<Result<Vec<_>, _>>()?;
                !links.is_empty() && (0..links.len()).all(|i| links[(i + 1) % links.len()].0 == Some(links[i].1))
            }
            Rule::Backwards { block } => {
                let early = block.early.ok_or("a block that runs backwards needs its early op")?;
                let late = block.late.ok_or("a block that runs backwards needs its late op")?;
                self.position(block, early)? > self.position(block, late)? && self.before(Some(early), late)?
            }
            Rule::Interleaved { one, two } => {
                let (a, b) = (one.late.ok_or("a block without a late op")?, two.late.ok_or("a block without a late op")?);
                for (block, late) in [(one, a), (two, b)] {
                    self.position(block, late)?;
                    match block.early {
                        Some(early) => drop(self.position(block, early)?),
                        None if block.values.first() == Some(&None) => {}
                        None => return Err("only the block of the initial value is before everything".into()),
                    }
                }
                !one.values.iter().any(|v| two.values.contains(v)) && self.before(one.early, b)? && self.before(two.early, a)?
            }
        };
        if holds { Ok(()) } else { Err(format!("the ops do not show {rule:?}")) }
    }

    /// Returns whether `early` completed before `late` was invoked. Without `early`, the start of time is used.
    fn before(&self, early: Option<OpId>, late: OpId) -> Result<bool, String> {
        let Some(early) = early else { return Ok(true) };
        Ok(self.op(early)?.by.is_some_and(|by| by < self.ops[&late].invoked))
    }

    /// Returns the position of an op in a block: 2k for the writer of the k-th value, 2k+1 for its observers. Also
    /// checks that the block is valid: unique values, each written by an effective CAS that expects the previous one.
    fn position(&self, block: &Block, id: OpId) -> Result<usize, String> {
        for (i, value) in block.values.iter().enumerate() {
            if value.is_some_and(|v| self.repeated.contains(&v)) || block.values[..i].contains(value) {
                return Err(format!("value {value:?} is not unique"));
            }
            if i > 0 {
                let value = value.ok_or("the initial value cannot come later")?;
                let writer = *self.writers.get(&value).ok_or("a value of the block is never written")?;
                if self.cas(writer)? != (block.values[i - 1], value) {
                    return Err(format!("{value} does not follow {:?}", block.values[i - 1]));
                }
            }
        }
        let op = self.effective(id)?;
        let at = |value: Option<Option<Value>>| block.values.iter().position(|&v| Some(v) == value);
        at(op.writes.map(Some)).map(|k| 2 * k).or(at(op.saw).map(|k| 2 * k + 1)).ok_or_else(|| format!("op {id} is not on the block"))
    }
}
