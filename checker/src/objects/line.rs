//! Places consecutive blocks of ops on a timeline, and checks whether real time allows it.
//!
//! Every op gets a *point* within its interval at which it takes effect. Points must not decrease from block to block,
//! so the point of an op is at least the greatest lower bound of all previous blocks. The blocks fit if no point is
//! later than the completion of its op. Otherwise two ops show the conflict: the early op completed before the late op,
//! which belongs to an earlier block, was invoked.

use super::by;
use crate::search::SearchOp;

/// The position of an op; sorting positions gives an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// Time at which the op takes effect.
    pub(super) point: u64,
    /// Block of the op, which breaks ties between equal times.
    pub(super) block: u32,
    /// Rank of the op within its block.
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

/// A timeline under construction.
pub(super) struct Line<'q> {
    ops: &'q [SearchOp],
    latest: Option<Bound>,
    pub(super) stands: Vec<Position>,
}

impl<'q> Line<'q> {
    pub(super) fn new(ops: &'q [SearchOp]) -> Self {
        Line { ops, latest: None, stands: Vec::with_capacity(ops.len()) }
    }

    /// Returns the lower bound for all following blocks.
    pub(super) fn latest(&self) -> Option<Bound> {
        self.latest
    }

    /// Appends a block of ops that may be in any order within the block. Each has its own lower bound.
    pub(super) fn block(&mut self, block: u32, ops: impl IntoIterator<Item = (u32, Bound)>) -> Result<(), Conflict> {
        let (before, mut latest) = (self.latest, self.latest);
        for (place, own) in ops {
            self.insert_op(block, 0, place, own, before)?;
            latest = Some(latest.map_or(own, |l| if own.from > l.from { own } else { l }));
        }
        self.latest = latest;
        Ok(())
    }

    /// Inserts an op that must follow the bounds `own` and `before`, without constraining later blocks.
    pub(super) fn insert_op(&mut self, block: u32, rank: u8, place: u32, own: Bound, before: Option<Bound>) -> Result<(), Conflict> {
        let bound = before.filter(|b| b.from > own.from).unwrap_or(own);
        if bound.from > by(&self.ops[place as usize]) {
            // If the op's own bound is sufficient, report it, because it is the simpler explanation.
            let late = if own.from > by(&self.ops[place as usize]) { own } else { bound };
            return Err(Conflict { early: place, late: late.shown_by });
        }
        self.stands.push(Position { point: bound.from, block, rank, place });
        Ok(())
    }

    /// Returns all ops in order.
    pub(super) fn order(mut self) -> Vec<u32> {
        self.stands.sort_unstable();
        self.stands.into_iter().map(|s| s.place).collect()
    }
}
