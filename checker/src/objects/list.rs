//! A list in which each value is appended by at most one op, and reads return the whole list.
//!
//! 1. Every read is a prefix of the longest one; otherwise two of them *diverge*.
//! 2. So the longest read gives the order of its appends, and a read of length n falls between the n-th append and the next
//!    one. Acknowledged appends that no read saw come after all reads; unknown appends that no read saw are dropped.
//! 3. The order is unique except for the unread appends at the end. It is valid if real time allows it, which is checked
//!    in one pass.

use super::line::{Bound, Conflict, Line};
use super::{Answer, Question, Rule, by, place};
use crate::search::{ModelCall, SearchOp};
use rustc_hash::FxHashMap;

/// Marks a value that is not in the longest read.
const UNREAD: u32 = u32::MAX;

struct Value {
    append: u32,
    /// Its position in the longest read.
    at: u32,
}

struct List<'q> {
    ops: &'q [SearchOp],
    values: FxHashMap<i64, Value>,
    longest: Option<u32>,
}

pub(super) fn scan(question: &Question) -> Answer {
    let mut list = List { ops: &question.request.ops, values: FxHashMap::default(), longest: None };
    if let Err(answer) = list.collect() {
        return answer;
    }
    match list.judge() {
        Ok(order) => Answer::valid(order),
        Err(rule) => Answer::invalid(rule),
    }
}

impl List<'_> {
    fn collect(&mut self) -> Result<(), Answer> {
        for (i, op) in self.ops.iter().enumerate() {
            match op.call {
                ModelCall::Push { item } => {
                    if self.values.insert(item, Value { append: place(i), at: UNREAD }).is_some() {
                        return Err(Answer::undecided(op, "another op appends the same value"));
                    }
                }
                ModelCall::Items { .. } => {}
                _ => return Err(Answer::undecided(op, "it is no op of a list")),
            }
            let longer = |l: u32| items(op).map(<[i64]>::len) > items(&self.ops[l as usize]).map(<[i64]>::len);
            if items(op).is_some() && self.longest.is_none_or(longer) {
                self.longest = Some(place(i));
            }
        }
        Ok(())
    }

    fn judge(&mut self) -> Result<Vec<u32>, Rule> {
        let order = self.longest.and_then(|l| items(&self.ops[l as usize])).unwrap_or_default();
        for (at, &element) in order.iter().enumerate() {
            let observer = self.longest.unwrap_or_default();
            let value = self.values.get_mut(&element).ok_or(Rule::NeverAdded { observer, element })?;
            if value.at != UNREAD {
                return Err(Rule::Twice { observer });
            }
            value.at = place(at);
        }
        let mut reads = vec![];
        for (i, op) in self.ops.iter().enumerate() {
            let Some(seen) = items(op) else { continue };
            if *seen != order[..seen.len()] {
                return Err(self.differs(place(i), seen, order));
            }
            reads.push((place(seen.len()), place(i)));
        }
        reads.sort_unstable();
        let mut line = Line::new(self.ops);
        let mut next = 0;
        for length in 0..=order.len() {
            let to = next + reads[next..].partition_point(|r| r.0 == place(length));
            let explained = |clash| self.explain_conflict(clash, order);
            line.block(2 * place(length), reads[next..to].iter().map(|&(_, read)| (read, self.invoke(read)))).map_err(explained)?;
            next = to;
            if let Some(value) = order.get(length) {
                let append = self.values[value].append;
                line.block(2 * place(length) + 1, [(append, self.invoke(append))]).map_err(explained)?;
            }
        }
        let unread = |(i, op): (usize, &SearchOp)| match op.call {
            ModelCall::Push { item } if op.completed.is_some() && self.values[&item].at == UNREAD => Some(place(i)),
            _ => None,
        };
        let unread = self.ops.iter().enumerate().filter_map(unread).map(|append| (append, self.invoke(append)));
        line.block(2 * place(order.len()) + 1, unread).map_err(|clash| self.explain_conflict(clash, order))?;
        Ok(line.order())
    }

    fn invoke(&self, place: u32) -> Bound {
        Bound { from: self.ops[place as usize].invoked, shown_by: place }
    }

    /// Explains a read that is not a prefix of the longest one.
    fn differs(&self, read: u32, seen: &[i64], order: &[i64]) -> Rule {
        if let Some(&element) = seen.iter().find(|v| !self.values.contains_key(v)) {
            return Rule::NeverAdded { observer: read, element };
        }
        let at = seen.iter().zip(order).position(|(a, b)| a != b).expect("it is no prefix, and no longer");
        // A value that the read contains twice is the simpler explanation.
        let twice = seen[..at].contains(&seen[at]);
        if twice { Rule::Twice { observer: read } } else { Rule::Diverged { one: read, two: self.longest.unwrap_or(read), at } }
    }

    /// Converts two ops in the wrong real-time order into a rule.
    fn explain_conflict(&self, clash: Conflict, order: &[i64]) -> Rule {
        let Conflict { early: present, late: absent } = clash;
        let (early, late) = (&self.ops[present as usize], &self.ops[absent as usize]);
        match (&early.call, &late.call) {
            (ModelCall::Push { item }, ModelCall::Push { item: second }) => {
                // A read before the append is the simpler explanation.
                let soon = |op: &SearchOp| by(op) < late.invoked && items(op).is_some_and(|seen| seen.contains(second));
                if let Some(soon) = self.ops.iter().position(soon) {
                    return Rule::TooEarly { observer: place(soon), element: *second };
                }
                let observer = self.longest.expect("an append of an earlier block was read");
                Rule::Crossed { present, absent, observer, first: *item, second: *second }
            }
            (_, ModelCall::Push { item }) => Rule::TooEarly { observer: present, element: *item },
            (ModelCall::Push { item }, _) => Rule::Missed { present, absent, element: *item },
            _ => Rule::Missed { present, absent, element: order[items(late).unwrap_or_default().len()] },
        }
    }
}

/// Returns the values that a read saw.
fn items(op: &SearchOp) -> Option<&[i64]> {
    match &op.call {
        ModelCall::Items { items: Some(items) } if by(op) != super::NEVER => Some(items),
        _ => None,
    }
}
