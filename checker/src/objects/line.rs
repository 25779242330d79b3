//! Ops on a line: blocks that have to come one after the other, and whether real time allows it.
//!
//! Every op gets a *point* of its interval at which it takes effect. Points may not go back from block to block, so an op's
//! point is at least the latest lower bound of all blocks before, and the blocks fit if no point lies behind its op's
//! completion. Where one does, two ops show why: the early one completed before the late one, of an earlier block, was invoked.

use super::by;
use crate::search::SearchOp;

/// Where an op stands: sorted, these are an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stand {
    /// The time at which it takes effect.
    pub(super) point: u64,
    /// Its block, which decides between equal times.
    pub(super) block: u32,
    /// Its rank within the block.
    pub(super) rank: u8,
    /// The op.
    pub(super) place: u32,
}

/// Two ops that real time puts the wrong way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clash {
    /// It has to come later, and was over early.
    pub(super) early: u32,
    /// It has to come earlier, and began late; `None` for an op that came before its own lower bound.
    pub(super) late: u32,
}

/// A time before which something cannot happen, and the op that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) from: u64,
    pub(super) shown_by: u32,
}

/// The line as far as it is laid.
pub(super) struct Line<'q> {
    ops: &'q [SearchOp],
    latest: Option<Bound>,
    pub(super) stands: Vec<Stand>,
}

impl<'q> Line<'q> {
    pub(super) fn new(ops: &'q [SearchOp]) -> Self {
        Line { ops, latest: None, stands: Vec::with_capacity(ops.len()) }
    }

    /// The lower bound that everything so far puts on what follows.
    pub(super) fn latest(&self) -> Option<Bound> {
        self.latest
    }

    /// Appends a block of ops that may stand in any order among each other, each with its own lower bound.
    pub(super) fn block(&mut self, block: u32, ops: impl IntoIterator<Item = (u32, Bound)>) -> Result<(), Clash> {
        let (before, mut latest) = (self.latest, self.latest);
        for (place, own) in ops {
            self.stand(block, 0, place, own, before)?;
            latest = Some(latest.map_or(own, |l| if own.from > l.from { own } else { l }));
        }
        self.latest = latest;
        Ok(())
    }

    /// Puts an op after `own` and `before`, without a bound on what follows.
    pub(super) fn stand(&mut self, block: u32, rank: u8, place: u32, own: Bound, before: Option<Bound>) -> Result<(), Clash> {
        let bound = before.filter(|b| b.from > own.from).unwrap_or(own);
        if bound.from > by(&self.ops[place as usize]) {
            // The own bound is named where it suffices: it is the plainer reason.
            let late = if own.from > by(&self.ops[place as usize]) { own } else { bound };
            return Err(Clash { early: place, late: late.shown_by });
        }
        self.stands.push(Stand { point: bound.from, block, rank, place });
        Ok(())
    }

    /// All ops in order.
    pub(super) fn order(mut self) -> Vec<u32> {
        self.stands.sort_unstable();
        self.stands.into_iter().map(|s| s.place).collect()
    }
}
