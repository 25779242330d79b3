//! Places consecutive blocks of ops on a time line, and checks whether real time allows it.
//!
//! Every op gets a *point* of its interval at which it takes effect. Points must not decrease from block to block, so
//! the point of an op is at least the greatest lower bound of all previous blocks. The blocks fit if no point is later
//! than the completion of its op. If one is, two ops show why: the early op completed before the late op, of an earlier
//! block, was invoked.

use super::by;
use crate::search::SearchOp;

/// The position of an op; sorting positions gives an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// The time at which it takes effect.
    pub(super) point: u64,
    /// Its block, which breaks ties between equal times.
    pub(super) block: u32,
    /// Its rank within the block.
    pub(super) rank: u8,
    /// The op.
    pub(super) place: u32,
}

/// Two ops whose real-time order contradicts the required order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conflict {
    /// The op that must come later but completed early.
    pub(super) early: u32,
    /// The op that must come earlier but was invoked late.
    pub(super) late: u32,
}

/// A time before which an op cannot take effect, and the op that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) from: u64,
    pub(super) shown_by: u32,
}

/// A time line under construction.
pub(super) struct Line<'q> {
    ops: &'q [SearchOp],
    latest: Option<Bound>,
    pub(super) stands: Vec<Position>,
}

impl<'q> Line<'q> {
    pub(super) fn new(ops: &'q [SearchOp]) -> Self {
        Line { ops, latest: None, stands: Vec::with_capacity(ops.len()) }
    }

    /// The lower bound for all following blocks.
    pub(super) fn latest(&self) -> Option<Bound> {
        self.latest
    }

    /// Appends a block of ops that may be in any order within the block, each with its own lower bound.
    pub(super) fn block(&mut self, block: u32, ops: impl IntoIterator<Item = (u32, Bound)>) -> Result<(), Conflict> {
        let (before, mut latest) = (self.latest, self.latest);
        for (place, own) in ops {
            self.insert_op(block, 0, place, own, before)?;
            latest = Some(latest.map_or(own, |l| if own.from > l.from { own } else { l }));
        }
        self.latest = latest;
        Ok(())
    }

    /// Inserts an op after `own` and `before`, without constraining later blocks.
    pub(super) fn insert_op(&mut self, block: u32, rank: u8, place: u32, own: Bound, before: Option<Bound>) -> Result<(), Conflict> {
        let bound = before.filter(|b| b.from > own.from).unwrap_or(own);
        if bound.from > by(&self.ops[place as usize]) {
            // If the op's own bound is sufficient, it is reported, because it is the simpler explanation.
            let late = if own.from > by(&self.ops[place as usize]) { own } else { bound };
            return Err(Conflict { early: place, late: late.shown_by });
        }
        self.stands.push(Position { point: bound.from, block, rank, place });
        Ok(())
    }

    /// All ops in order.
    pub(super) fn order(mut self) -> Vec<u32> {
        self.stands.sort_unstable();
        self.stands.into_iter().map(|s| s.place).collect()
    }
}
