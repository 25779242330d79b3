//! A set from which nothing is removed.
//!
//! 1. The set only grows, so each read, sorted by size, must contain the previous one; otherwise two of them are
//!    *incomparable*. The distinct reads are the observed states S1, S2, …
//! 2. An element belongs to the first state that contains it: its earliest add takes effect after the reads of the
//!    previous state and before the reads of that state. The order of the blocks is therefore: reads of the empty set, adds
//!    of S1, reads of S1, adds of the new elements of S2, …, and finally the acknowledged adds that no read saw. Unknown
//!    adds of elements never seen are dropped.
//! 3. `contains` x = false is a lower bound on the adds of x. `contains` x = true, and any further add of x, must come
//!    after the first add of x and constrains nothing else.
//! 4. The blocks are valid if real time allows their order, which is checked in one pass.
//!
//! *Exact*: ops within a block commute, step 2 holds in every order, and the points of step 4 are the earliest possible.

use super::line::{Bound, Conflict, Line};
use super::{Answer, Question, Rule, by, place};
use crate::search::{ModelCall, SearchOp};
use rustc_hash::FxHashMap;

/// The state of an element that no read returned.
const UNREAD: u32 = u32::MAX;

struct Element {
    /// The earliest invoked add of the element.
    add: u32,
    /// When the element was last seen to be absent.
    out: Option<Bound>,
    /// The first state that contains the element.
    state: u32,
    /// Whether an answer proves that the element was present.
    needed: bool,
}

struct Set<'q> {
    ops: &'q [SearchOp],
    elements: Vec<Element>,
    /// Index in `elements`, by element.
    index: FxHashMap<i64, u32>,
    /// One read of each state; the empty state may have none.
    sample: Vec<Option<u32>>,
}

pub(super) fn scan(question: &Question) -> Answer {
    let ops = &question.request.ops;
    if let Some(twice) = ops.iter().position(|o| matches!(o.call, ModelCall::Members { twice: true, .. })) {
        return Answer::invalid(Rule::Twice { observer: place(twice) });
    }
    if let Some(op) = ops.iter().find(|o| !matches!(o.call, ModelCall::Add { .. } | ModelCall::Contains { .. } | ModelCall::Members { .. }))
    {
        return Answer::undecided(op, "a set from which elements are removed is left to the search");
    }
    let mut set = Set { ops, elements: vec![], index: FxHashMap::default(), sample: vec![None] };
    set.collect();
    match set.judge() {
        Ok(order) => Answer::valid(order),
        Err(rule) => Answer::invalid(rule),
    }
}

impl<'q> Set<'q> {
    fn collect(&mut self) {
        for (i, op) in self.ops.iter().enumerate() {
            if let ModelCall::Add { member } = op.call {
                let next = place(self.elements.len());
                let at = *self.index.entry(member).or_insert(next);
                if at == next {
                    self.elements.push(Element { add: place(i), out: None, state: UNREAD, needed: false });
                }
                let element = &mut self.elements[at as usize];
                if op.invoked < self.ops[element.add as usize].invoked {
                    element.add = place(i);
                }
                element.needed |= op.completed.is_some();
            }
        }
    }

    fn judge(&mut self) -> Result<Vec<u32>, Rule> {
        self.contains()?;
        let reads = self.states()?;
        let mut line = Line::new(self.ops);
        // Ordered by state; elements that no read saw come after all states.
        let last = place(self.sample.len());
        let wanted = self.elements.iter().zip(0u32..).filter(|(e, _)| e.state != UNREAD || e.needed);
        let mut adds: Vec<(u32, u32)> = wanted.map(|(e, at)| (e.state.min(last), at)).collect();
        adds.sort_unstable();
        let (mut next_add, mut next_read) = (0, 0);
        let mut bounds: Vec<Option<Bound>> = vec![None; self.elements.len()];
        for state in 0..=last {
            let to = next_add + adds[next_add..].partition_point(|a| a.0 == state);
            let before = line.latest();
            for &(_, at) in &adds[next_add..to] {
                let own = self.first_add(at);
                bounds[at as usize] = before.filter(|b| b.from > own.from).or(Some(own));
            }
            let block = adds[next_add..to].iter().map(|&(_, at)| (self.elements[at as usize].add, self.first_add(at)));
            line.block(2 * state, block).map_err(|clash| self.explain_conflict(clash))?;
            next_add = to;
            let to = next_read + reads[next_read..].partition_point(|r| r.0 == state);
            let block = reads[next_read..to].iter().map(|&(_, read)| (read, self.invoke(read)));
            line.block(2 * state + 1, block).map_err(|clash| self.explain_conflict(clash))?;
            next_read = to;
        }
        self.others(&mut line, &bounds)?;
        Ok(line.order())
    }

    fn of(&self, value: i64) -> &Element {
        &self.elements[self.index[&value] as usize]
    }

    fn invoke(&self, place: u32) -> Bound {
        Bound { from: self.ops[place as usize].invoked, shown_by: place }
    }

    /// Returns the time before which the first add of an element cannot have taken effect.
    fn first_add(&self, at: u32) -> Bound {
        let element = &self.elements[at as usize];
        let own = self.invoke(element.add);
        element.out.filter(|out| out.from > own.from).unwrap_or(own)
    }

    fn contains(&mut self) -> Result<(), Rule> {
        for (i, op) in self.ops.iter().enumerate() {
            let ModelCall::Contains { member, found: Some(found) } = op.call else { continue };
            let element = self.index.get(&member).map(|&at| &mut self.elements[at as usize]);
            match (element, found) {
                (None, true) => return Err(Rule::NeverAdded { observer: place(i), element: member }),
                (None, false) => {}
                (Some(element), true) => element.needed = true,
                (Some(element), false) => {
                    if element.out.is_none_or(|out| op.invoked > out.from) {
                        element.out = Some(Bound { from: op.invoked, shown_by: place(i) });
                    }
                }
            }
        }
        Ok(())
    }

    /// Step 1: returns all reads with the state of each, in the order of states.
    fn states(&mut self) -> Result<Vec<(u32, u32)>, Rule> {
        let mut sorted: Vec<(usize, u32)> = vec![];
        for (i, op) in self.ops.iter().enumerate() {
            if let Some(members) = members(op) {
                sorted.push((members.len(), place(i)));
            }
        }
        sorted.sort_unstable();
        let (mut known, mut reads) = (0, vec![]);
        for (size, read) in sorted {
            let next = place(self.sample.len());
            let seen = members(&self.ops[read as usize]).unwrap_or_default();
            let before = known;
            for &value in seen {
                let at = *self.index.get(&value).ok_or(Rule::NeverAdded { observer: read, element: value })?;
                let element = &mut self.elements[at as usize];
                if element.state == UNREAD {
                    element.state = next;
                    known += 1;
                }
            }
            if known > before {
                self.sample.push(Some(read));
            }
            if known > size {
                return Err(self.incomparable(read));
            }
            let state = place(self.sample.len() - 1);
            self.sample[state as usize].get_or_insert(read);
            reads.push((state, read));
        }
        Ok(reads)
    }

    /// Explains two reads where the smaller one is not a subset of the larger. If either misses an element that was
    /// present before it started, that is the simpler explanation.
    fn incomparable(&self, read: u32) -> Rule {
        let mine = members(&self.ops[read as usize]).unwrap_or_default();
        let lacks = |other: &'q [i64], from: &[i64]| other.iter().copied().filter(|v| from.binary_search(v).is_err()).collect::<Vec<i64>>();
        let found = self.sample.iter().flatten().filter(|&&other| other != read).find_map(|&other| {
            let theirs = members(&self.ops[other as usize]).unwrap_or_default();
            let (only_one, only_two) = (lacks(theirs, mine), lacks(mine, theirs));
            let rule = Rule::Incomparable { one: other, two: read, only_one: *only_one.first()?, only_two: *only_two.first()? };
            Some(self.missed(other, read, &only_one).or_else(|| self.missed(read, other, &only_two)).unwrap_or(rule))
        });
        found.expect("a state that is no larger and has another element lacks one of this read")
    }

    /// Finds one of `elements`, seen by `present`, that was certainly present when `absent` was invoked.
    fn missed(&self, present: u32, absent: u32, elements: &[i64]) -> Option<Rule> {
        let begun = self.ops[absent as usize].invoked;
        let shows = |&element: &i64| {
            let shown = [self.of(element).add, present].into_iter().find(|&p| by(&self.ops[p as usize]) < begun)?;
            Some(Rule::Missed { present: shown, absent, element })
        };
        elements.iter().find_map(shows)
    }

    /// Step 3: places the ops whose only constraint is to follow the first add of their element.
    fn others(&self, line: &mut Line<'q>, bounds: &[Option<Bound>]) -> Result<(), Rule> {
        for (i, op) in self.ops.iter().enumerate() {
            let here = place(i);
            let (value, after) = match op.call {
                ModelCall::Add { member } if op.completed.is_some() && self.of(member).add != here => (member, true),
                ModelCall::Contains { member, found: Some(found) } => (member, found),
                _ => continue,
            };
            let stood = if after {
                let at = self.index[&value] as usize;
                let state = self.elements[at].state.min(place(self.sample.len()));
                line.insert_op(2 * state, 1, here, self.invoke(here), bounds[at])
            } else {
                // It goes before all other ops at the same time, since its only constraint is to precede the adds.
                line.insert_op(0, 0, here, self.invoke(here), None)
            };
            stood.map_err(|clash| self.explain_conflict(clash))?;
        }
        Ok(())
    }

    /// Converts two ops in the wrong real-time order into a rule.
    fn explain_conflict(&self, clash: Conflict) -> Rule {
        let Conflict { early: present, late: absent } = clash;
        let (early, late) = (&self.ops[present as usize], &self.ops[absent as usize]);
        let Some(second) = element(late) else {
            // A read is missing an element that was present.
            let lacked = members(late).unwrap_or_default();
            let element =
                element(early).or_else(|| members(early).unwrap_or_default().iter().copied().find(|v| lacked.binary_search(v).is_err()));
            return Rule::Missed { present, absent, element: element.expect("a later state has more elements") };
        };
        let shows = element(early) == Some(second) || members(early).is_some_and(|m| m.binary_search(&second).is_ok());
        match (shows, &late.call) {
            (true, ModelCall::Add { .. }) => Rule::TooEarly { observer: present, element: second },
            (true, _) => Rule::Missed { present, absent, element: second },
            (false, call) => {
                // A read before the add is the simpler explanation.
                let soon = |op: &SearchOp| by(op) < late.invoked && members(op).is_some_and(|m| m.binary_search(&second).is_ok());
                let soon = self.ops.iter().position(soon).filter(|_| matches!(call, ModelCall::Add { .. }));
                if let Some(soon) = soon {
                    return Rule::TooEarly { observer: place(soon), element: second };
                }
                let first = element(early).expect("a read shows every element of an earlier block");
                let observer = self.sample[self.of(second).state as usize].expect("a state is what a read saw");
                Rule::Crossed { present, absent, observer, first, second }
            }
        }
    }
}

/// Returns the elements that a read saw, sorted.
fn members(op: &SearchOp) -> Option<&[i64]> {
    match &op.call {
        ModelCall::Members { members: Some(members), .. } if by(op) != super::NEVER => Some(members),
        _ => None,
    }
}

/// Returns the single element of an op.
fn element(op: &SearchOp) -> Option<i64> {
    match op.call {
        ModelCall::Add { member } | ModelCall::Contains { member, .. } => Some(member),
        _ => None,
    }
}
