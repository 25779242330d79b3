//! A counter.
//!
//! *Bounds*, for any increments: a read returned at least the sum of the increments acknowledged before its invocation,
//! plus all possible negative increments, and at most the sum of all increments that could have happened by its
//! completion.
//!
//! *Equal increments* are decided. Reads cannot distinguish them, so only their number over time matters. If a read
//! returned n, at least n increments took effect by its completion, and no more than n before its invocation. The lazy
//! schedule applies an increment only when it must: at the completion of the increment, or because a read that
//! completes now has counted it. If several increments are possible, it takes the one that completes first. No other
//! schedule has fewer increments at any time: since the last read that forced an increment which was not yet due, it
//! has added exactly the increments that were invoked and completed in between. So if more increments than a read
//! returned are applied at its invocation, no order exists; the reason is that earlier read and the increments
//! acknowledged since.
//!
//! *Different increments* lead to a subset-sum problem, for which no fast algorithm is known. Within the bounds, and if
//! no read returned less than an earlier one, the orders by completion and by invocation are tried; otherwise the key
//! is left open.

use super::{Answer, NEVER, Question, Rule, by, place};
use crate::search::{ModelCall, SearchOp};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A read and the value it returned.
#[derive(Debug, Clone, Copy)]
struct Read {
    place: u32,
    saw: i128,
}

/// A counter. Sums are computed in 128 bits, so adding 2^32 increments cannot overflow.
struct Counter<'q> {
    ops: &'q [SearchOp],
    /// Increments that completed before any other op started: they set the initial value.
    settled: Vec<u32>,
    start: i128,
    adds: Vec<(u32, i128)>,
    reads: Vec<Read>,
}

pub(super) fn scan(question: &Question) -> Answer {
    let ops = &question.request.ops;
    let mut counter = Counter { ops, settled: vec![], start: 0, adds: vec![], reads: vec![] };
    if let Some(op) = counter.collect() {
        return Answer::undecided(op, "it is no op of a counter");
    }
    // The models count in 64 bits.
    let total = counter.adds.iter().fold(counter.start.abs(), |sum, (_, n)| sum + n.abs());
    if total > i128::from(i64::MAX) {
        return Answer::Undecided("its increments come to more than 64 bits hold".to_owned());
    }
    if let Some(rule) = counter.out_of_bounds() {
        return Answer::invalid(rule);
    }
    let unit = counter.adds.first().map_or(1, |(_, by)| *by);
    let order = if unit != 0 && counter.adds.iter().all(|(_, by)| *by == unit) {
        // A counter that only decreases is handled as its mirror image.
        if unit < 0 {
            counter.mirror();
        }
        counter.equal(unit.abs()).map_err(|rule| match rule {
            Rule::TooLow { read, since } if unit < 0 => Rule::TooHigh { read, since },
            other => other,
        })
    } else {
        return counter.different();
    };
    match order {
        Ok(order) => Answer::valid(order),
        Err(rule) => Answer::invalid(rule),
    }
}

impl<'q> Counter<'q> {
    fn collect(&mut self) -> Option<&'q SearchOp> {
        let mut order: Vec<u32> = (0..place(self.ops.len())).collect();
        order.sort_by_key(|&p| self.ops[p as usize].invoked);
        let mut settling = true;
        for (i, &here) in order.iter().enumerate() {
            let op = &self.ops[here as usize];
            let next = order.get(i + 1).map_or(NEVER, |&p| self.ops[p as usize].invoked);
            match op.call {
                ModelCall::Increment { by: n } if settling && by(op) < next => {
                    self.settled.push(here);
                    self.start += i128::from(n);
                    continue;
                }
                ModelCall::Increment { by: n } => self.adds.push((here, i128::from(n))),
                ModelCall::Count { count: Some(saw) } => self.reads.push(Read { place: here, saw: i128::from(saw) }),
                ModelCall::Count { count: None } => {}
                _ => return Some(op),
            }
            settling = false;
        }
        None
    }

    fn mirror(&mut self) {
        self.start = -self.start;
        self.adds.iter_mut().for_each(|(_, by)| *by = -*by);
        self.reads.iter_mut().for_each(|read| read.saw = -read.saw);
    }

    fn op(&self, place: u32) -> &'q SearchOp {
        &self.ops[place as usize]
    }

    /// Finds a read outside the bounds that hold for every counter.
    fn out_of_bounds(&self) -> Option<Rule> {
        let mut begun: Vec<(u64, i128)> = self.adds.iter().map(|&(p, n)| (self.op(p).invoked, n)).collect();
        let mut over: Vec<(u64, i128)> =
            self.adds.iter().filter(|(p, _)| by(self.op(*p)) != NEVER).map(|&(p, n)| (by(self.op(p)), n)).collect();
        begun.sort_unstable();
        over.sort_unstable();
        let sums = |of: &[(u64, i128)], keep: fn(i128) -> i128| {
            let running = of.iter().scan(0i128, |sum, (_, n)| {
                *sum += keep(*n);
                Some(*sum)
            });
            std::iter::once(0).chain(running).collect::<Vec<i128>>()
        };
        let (up, down) = (|n: i128| n.max(0), |n: i128| n.min(0));
        let (begun_up, begun_down, over_up, over_down) = (sums(&begun, up), sums(&begun, down), sums(&over, up), sums(&over, down));
        for read in &self.reads {
            let op = self.op(read.place);
            let (b, o) = (begun.partition_point(|e| e.0 <= by(op)), over.partition_point(|e| e.0 < op.invoked));
            if read.saw < self.start + over_up[o] + begun_down[b] {
                return Some(Rule::TooLow { read: read.place, since: None });
            }
            if read.saw > self.start + over_down[o] + begun_up[b] {
                return Some(Rule::TooHigh { read: read.place, since: None });
            }
        }
        None
    }

    fn equal(&mut self, unit: i128) -> Result<Vec<u32>, Rule> {
        if let Some(read) = self.reads.iter().find(|r| (r.saw - self.start) % unit != 0) {
            return Err(Rule::NoSum { read: read.place });
        }
        let fired = self.lazy(unit)?;
        // The n-th increment is placed at its time, and a read of n after it.
        let mut stands: Vec<(u64, usize, u8, u32)> = vec![];
        for (n, &(at, add)) in fired.iter().enumerate() {
            stands.push((at, n + 1, 0, add));
        }
        for read in &self.reads {
            let n = usize::try_from((read.saw - self.start) / unit).unwrap_or_default();
            let since = n.checked_sub(1).and_then(|last| fired.get(last)).map_or(0, |f| f.0);
            stands.push((self.op(read.place).invoked.max(since), n, 1, read.place));
        }
        stands.sort_unstable();
        Ok(self.settled.iter().copied().chain(stands.into_iter().map(|s| s.3)).collect())
    }

    /// Computes the lazy schedule: increments with the times at which they take effect.
    fn lazy(&self, unit: i128) -> Result<Vec<(u64, u32)>, Rule> {
        // The order at the same instant is: invocations of reads, invocations of increments, completions of increments,
        // completions of reads.
        let mut events: Vec<(u64, u8, u32, i128)> = vec![];
        for read in &self.reads {
            let (op, n) = (self.op(read.place), (read.saw - self.start) / unit);
            events.push((op.invoked, 0, read.place, n));
            events.push((by(op), 3, read.place, n));
        }
        for &(add, _) in &self.adds {
            events.push((self.op(add).invoked, 1, add, 0));
            if by(self.op(add)) != NEVER {
                events.push((by(self.op(add)), 2, add, 0));
            }
        }
        events.sort_unstable();
        let (mut fired, mut ready) = (vec![], BinaryHeap::new());
        let mut earlier = (0, 0);
        for (t, kind, here, n) in events {
            if t > earlier.0 {
                earlier = (t, fired.len());
            }
            match kind {
                0 if earlier.1 as i128 > n => return Err(self.too_low(here)),
                0 => {}
                1 => ready.push(Reverse((by(self.op(here)), here))),
                _ => {
                    let due = |ready: &BinaryHeap<Reverse<(u64, u32)>>| ready.peek().is_some_and(|Reverse((due, _))| *due <= t);
                    while due(&ready) || (kind == 3 && (fired.len() as i128) < n) {
                        let Some(Reverse((_, add))) = ready.pop() else { return Err(Rule::TooHigh { read: here, since: None }) };
                        fired.push((t, add));
                    }
                }
            }
        }
        Ok(fired)
    }

    /// Explains why the value of `read` is too low: finds the earlier read since which too many increments were
    /// acknowledged.
    fn too_low(&self, read: u32) -> Rule {
        let until = self.op(read).invoked;
        let over = |place: u32| by(self.op(place)) < until;
        let mut adds: Vec<(u64, i128)> = self.adds.iter().filter(|(p, _)| over(*p)).map(|&(p, n)| (self.op(p).invoked, n)).collect();
        adds.sort_unstable_by_key(|(invoked, _)| Reverse(*invoked));
        let mut reads: Vec<(u64, Read)> = self.reads.iter().filter(|r| over(r.place)).map(|&r| (by(self.op(r.place)), r)).collect();
        reads.sort_unstable_by_key(|(completed, _)| Reverse(*completed));
        let (mut next, mut sum, mut best) = (0, 0i128, None);
        for (completed, since) in reads {
            while let Some((_, n)) = adds.get(next).filter(|(invoked, _)| *invoked > completed) {
                sum += n;
                next += 1;
            }
            if best.is_none_or(|(most, _)| since.saw + sum > most) {
                best = Some((since.saw + sum, since.place));
            }
        }
        Rule::TooLow { read, since: best.map(|(_, place)| place) }
    }

    fn different(&self) -> Answer {
        if self.adds.iter().all(|(_, n)| *n >= 0)
            && let Some(rule) = self.find_decrease()
        {
            return Answer::invalid(rule);
        }
        let happened = |p: &u32| by(self.op(*p)) != NEVER;
        let all = self.adds.iter().map(|(p, _)| *p).chain(self.reads.iter().map(|r| r.place)).filter(happened);
        let mut order: Vec<u32> = all.collect();
        let settled = self.settled.iter().copied();
        order.sort_unstable_by_key(|&p| (by(self.op(p)), p));
        if self.adds_up(&order) {
            return Answer::valid(settled.chain(order).collect());
        }
        order.sort_unstable_by_key(|&p| (self.op(p).invoked, p));
        if self.adds_up(&order) {
            return Answer::valid(settled.chain(order).collect());
        }
        Answer::Undecided("its increments differ, and every read is within its bounds".to_owned())
    }

    /// Finds a read that returned less than an earlier one, which is impossible if no increment is negative.
    fn find_decrease(&self) -> Option<Rule> {
        let mut ends: Vec<(u64, i128, u32)> = self.reads.iter().map(|r| (by(self.op(r.place)), r.saw, r.place)).collect();
        ends.sort_unstable();
        let (mut next, mut most) = (0, None);
        // Reads are sorted by invocation.
        for read in &self.reads {
            while let Some(&(_, saw, place)) = ends.get(next).filter(|end| end.0 < self.op(read.place).invoked) {
                if most.is_none_or(|(highest, _)| saw > highest) {
                    most = Some((saw, place));
                }
                next += 1;
            }
            if let Some((_, place)) = most.filter(|(highest, _)| read.saw < *highest) {
                return Some(Rule::TooLow { read: read.place, since: Some(place) });
            }
        }
        None
    }

    fn adds_up(&self, order: &[u32]) -> bool {
        let mut now = self.start;
        order.iter().all(|&p| match self.op(p).call {
            ModelCall::Increment { by } => {
                now += i128::from(by);
                true
            }
            ModelCall::Count { count } => count.is_none_or(|saw| i128::from(saw) == now),
            _ => false,
        })
    }
}
