//! Turns findings into contradictions with as few ops as possible.
//!
//! A long chain is reduced to the shortest sequence of values that still shows the contradiction. If two ops are
//! suitable, the one that is already part of the argument is used. An update without an acknowledgement needs a witness
//! that it took effect: an observer of its value, or the CAS that expected the value, with the witness of that CAS.

use super::super::certificate::{Block, Contradiction, Rule};
use super::super::facts::{Fact, KeyOps, NEVER, START, Time};
use super::clusters::{Chain, Clusters, INITIAL, NONE};
use heckle_history::{OpId, Value};

/// Collects the ops of an argument.
struct Support<'a> {
    ops: &'a KeyOps<'a>,
    clusters: &'a Clusters,
    places: Vec<u32>,
}

impl<'a> Support<'a> {
    fn new(ops: &'a KeyOps<'a>, clusters: &'a Clusters) -> Self {
        Support { ops, clusters, places: vec![] }
    }

    fn id(&self, place: u32) -> OpId {
        self.ops.op(place).op
    }

    fn add(&mut self, place: u32) -> OpId {
        self.places.push(place);
        self.id(place)
    }

    /// Adds the writer of a needed value and the ops that show that it took effect.
    fn effective(&mut self, mut cluster: u32) {
        loop {
            let c = self.clusters.get(cluster);
            if c.writer == NONE || self.places.contains(&c.writer) {
                return;
            }
            self.places.push(c.writer);
            if self.sure(cluster) {
                return;
            }
            if c.first != NEVER {
                self.places.push(c.first_op);
                return;
            }
            // The value was neither observed nor acknowledged, so it is needed because a later CAS expected it.
            cluster = c.next;
        }
    }

    fn sure(&self, cluster: u32) -> bool {
        let writer = self.clusters.get(cluster).writer;
        writer != NONE && matches!(self.ops.fact(writer).fact, Fact::Wrote { sure: true, .. } | Fact::Swapped { sure: true, .. })
    }

    fn value(&self, cluster: u32) -> Option<Value> {
        match self.clusters.get(cluster).writer {
            NONE => None,
            writer => self.ops.op(writer).call.writes(),
        }
    }

    /// Returns an op on `cluster` that completed before `limit`, preferably its writer.
    fn early(&self, cluster: u32, limit: Time) -> u32 {
        let c = self.clusters.get(cluster);
        if c.writer != NONE && self.ops.fact(c.writer).by < limit { c.writer } else { c.first_op }
    }

    /// Returns an op on `cluster` that was invoked after `limit`, preferably its writer.
    fn late(&self, cluster: u32, limit: Time) -> u32 {
        let c = self.clusters.get(cluster);
        if c.writer != NONE && self.ops.fact(c.writer).invoked > limit { c.writer } else { c.last_op }
    }

    fn finish(mut self, rule: Rule) -> Contradiction {
        self.places.sort_unstable();
        self.places.dedup();
        Contradiction { rule, support: self.places.iter().map(|&p| self.ops.op(p).op).collect() }
    }
}

pub(super) fn saw_expected(ops: &KeyOps<'_>, place: u32) -> Contradiction {
    let op = ops.op(place).op;
    Contradiction { rule: Rule::SawExpected { op }, support: vec![op] }
}

/// Builds the contradiction: the op at `place` observed a value that no op may have written.
pub(super) fn never_written(ops: &KeyOps<'_>, clusters: &Clusters, place: u32) -> Contradiction {
    let mut support = Support::new(ops, clusters);
    let (seen, own) = match ops.fact(place).fact {
        Fact::Swapped { expected, new, .. } => (expected, clusters.of(Some(new))),
        Fact::Saw(value) => (value, None),
        Fact::Wrote { .. } | Fact::SawExpected | Fact::Refused { .. } | Fact::Never | Fact::Nothing => (None, None),
    };
    let value = seen.expect("only an observer of a value can find it missing");
    let observer = support.add(place);
    if let Some(own) = own {
        support.places.clear();
        support.effective(own);
    }
    // Include the op that would have written the value if it had happened.
    let would_have = |p: &&u32| ops.op(**p).call.writes() == Some(value);
    support.places.extend(ops.places.iter().filter(would_have).take(1));
    support.finish(Rule::NeverWritten { observer, value })
}

/// Builds the contradiction: the first observer of `cluster` completed before its writer was invoked.
pub(super) fn future_read(ops: &KeyOps<'_>, clusters: &Clusters, cluster: u32) -> Contradiction {
    let mut support = Support::new(ops, clusters);
    let c = clusters.get(cluster);
    let (early, late) = (Some(support.add(c.first_op)), Some(support.add(c.writer)));
    let values = vec![support.value(cluster)];
    support.finish(Rule::Backwards { block: Block { values, early, late } })
}

/// Builds the contradiction: the effective CAS ops that write clusters `a` and `b` expect the same value.
pub(super) fn two_successors(ops: &KeyOps<'_>, clusters: &Clusters, a: u32, b: u32) -> Contradiction {
    let mut support = Support::new(ops, clusters);
    support.effective(a);
    support.effective(b);
    let rule = Rule::TwoSuccessors { a: support.id(clusters.get(a).writer), b: support.id(clusters.get(b).writer) };
    support.finish(rule)
}

/// Builds the contradiction: some needed clusters have no root, so their links form a cycle.
pub(super) fn cycle(ops: &KeyOps<'_>, clusters: &Clusters, chains: &[Chain]) -> Contradiction {
    let mut walked = vec![false; clusters.all.len()];
    for chain in chains {
        for cluster in run(clusters, chain.root) {
            walked[cluster as usize] = true;
        }
    }
    let lost = (0u32..).zip(&clusters.all).find(|(i, c)| c.needed && !walked[*i as usize]).map(|(i, _)| i);
    let lost = lost.expect("fewer clusters were walked than are needed");
    let mut support = Support::new(ops, clusters);
    let mut cycle = vec![];
    let mut at = lost;
    loop {
        support.effective(at);
        cycle.push(support.id(clusters.get(at).writer));
        at = clusters.get(at).next;
        if at == lost || at == NONE {
            break;
        }
    }
    support.finish(Rule::Circle { ops: cycle })
}

/// Builds the contradiction: on the chain from `root`, an op on a later value completed before an op on an earlier
/// value was invoked.
pub(super) fn backwards(ops: &KeyOps<'_>, clusters: &Clusters, root: u32) -> Contradiction {
    let run: Vec<u32> = run(clusters, root).collect();
    let mut best: Option<(usize, usize)> = None;
    // A monotonic stack of earlier clusters: `last` decreases along the stack, so a binary search finds the nearest
    // cluster that is too late for j.
    let mut stack: Vec<usize> = vec![];
    for (j, &cluster) in run.iter().enumerate() {
        let c = clusters.get(cluster);
        let late = stack.partition_point(|&i| clusters.get(run[i]).last > c.first);
        if let Some(&i) = late.checked_sub(1).and_then(|l| stack.get(l))
            && best.is_none_or(|(a, b)| j - i < b - a)
        {
            best = Some((i, j));
        }
        while stack.last().is_some_and(|&top| clusters.get(run[top]).last <= c.last) {
            stack.pop();
        }
        stack.push(j);
    }
    let (i, j) = best.expect("the chain was found to run backwards");
    let mut support = Support::new(ops, clusters);
    let late = support.add(clusters.get(run[i]).last_op);
    let early = support.early(run[j], clusters.get(run[i]).last);
    let early = support.add(early);
    for &cluster in &run[i + 1..=j] {
        support.effective(cluster);
    }
    let values = run[i..=j].iter().map(|&c| support.value(c)).collect();
    support.finish(Rule::Backwards { block: Block { values, early: Some(early), late: Some(late) } })
}

/// Builds the contradiction: chains `a` and `b` must each precede the other.
pub(super) fn interleaved(ops: &KeyOps<'_>, clusters: &Clusters, a: &Chain, b: &Chain) -> Contradiction {
    let mut support = Support::new(ops, clusters);
    let (one, first, last) = block(&mut support, a, b.first, b.last);
    let (two, _, _) = block(&mut support, b, first, last);
    support.finish(Rule::Interleaved { one, two })
}

/// Returns the shortest part of a chain with an op completed before `last` and an op invoked after `first` of the other
/// chain, and the times of these two ops.
fn block(support: &mut Support<'_>, chain: &Chain, first: Time, last: Time) -> (Block, Time, Time) {
    let clusters = support.clusters;
    let run: Vec<u32> = run(clusters, chain.root).collect();
    let (mut early, mut late): (Option<usize>, Option<usize>) = (None, None);
    let mut best: Option<(usize, usize)> = None;
    for (i, &cluster) in run.iter().enumerate() {
        let c = clusters.get(cluster);
        early = if c.first < last { Some(i) } else { early };
        late = if c.last > first { Some(i) } else { late };
        if let (Some(e), Some(l)) = (early, late)
            && best.is_none_or(|(a, b)| e.abs_diff(l) < a.abs_diff(b))
        {
            best = Some((e, l));
        }
    }
    let (e, l) = best.expect("the zones were found to conflict");
    for &cluster in &run[e.min(l) + 1..=e.max(l)] {
        support.effective(cluster);
    }
    let early_op = (run[e] != INITIAL).then(|| support.early(run[e], last));
    // Using one op for both roles shortens the argument.
    let both = early_op.filter(|&p| e == l && support.ops.fact(p).invoked > first);
    let late_op = both.unwrap_or_else(|| support.late(run[l], first));
    let at = (early_op.map_or(START, |p| support.ops.fact(p).by), support.ops.fact(late_op).invoked);
    let values = run[e.min(l)..=e.max(l)].iter().map(|&c| support.value(c)).collect();
    let block = Block { values, early: early_op.map(|p| support.add(p)), late: Some(support.add(late_op)) };
    (block, at.0, at.1)
}

fn run(clusters: &Clusters, root: u32) -> impl Iterator<Item = u32> + '_ {
    std::iter::successors(Some(root), |&c| Some(clusters.get(c).next).filter(|&n| n != NONE))
}
