//! Positions in a node's log, and the list of its processes, which shows the positions that the log still covers.

use serde::{Deserialize, Serialize};

/// Maximum number of its own processes that a node remembers. A position seen from an earlier process is compared
/// with the oldest of these.
pub(crate) const MAX_PROCESSES: usize = 32;

/// A synced batch of a node's log, as seen by another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Id of the data folder.
    pub(crate) folder: u64,
    /// Sequence number of the process on that folder.
    pub(crate) incarnation: u32,
    /// Random id of the process. Needed because, after a log has been rolled back, a new process reuses the number of
    /// a lost one. 0 if unknown, as in a folder of an earlier release.
    pub(crate) process: u64,
    /// Newest synced batch that contains a record of the core, such as a promise or an accepted or learned update.
    pub(crate) batch: u64,
}

impl Position {
    /// Whether both are positions of the same process.
    pub(crate) fn is_of(&self, other: &Position) -> bool {
        (self.folder, self.incarnation, self.process) == (other.folder, other.incarnation, other.process)
    }
}

/// A process of a node, and the batch at which its part of the log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ProcessStart {
    pub(crate) incarnation: u32,
    pub(crate) process: u64,
    pub(crate) first_batch: u64,
}

/// The processes that a node has run on its folder, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    pub(crate) folder: u64,
    pub(crate) processes: Vec<ProcessStart>,
}

impl History {
    /// The position of the current process at `batch`.
    pub(crate) fn at(&self, batch: u64) -> Option<Position> {
        let current = self.processes.last()?;
        Some(Position { folder: self.folder, incarnation: current.incarnation, process: current.process, batch })
    }

    /// Whether `seen` is a position of the current process.
    pub(crate) fn is_current(&self, seen: &Position) -> bool {
        self.at(seen.batch).is_some_and(|at| at.is_of(seen))
    }

    /// Whether this node's log still covers the position `seen`.
    ///
    /// An earlier process ends where the next one began. So a log that lost its tail does not pass by growing beyond
    /// the lost position.
    pub(crate) fn covers(&self, seen: &Position) -> bool {
        let Some(oldest) = self.processes.first().filter(|_| self.folder == seen.folder) else { return false };
        if seen.incarnation < oldest.incarnation {
            return seen.batch < oldest.first_batch;
        }
        let Some(at) = self.processes.iter().position(|process| process.incarnation == seen.incarnation) else { return false };
        let is_same = seen.process == 0 || seen.process == self.processes[at].process;
        is_same && self.processes.get(at + 1).is_none_or(|next| seen.batch < next.first_batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let process = |incarnation, process, first_batch| ProcessStart { incarnation, process, first_batch };
        History { folder: 7, processes: vec![process(3, 33, 20), process(4, 44, 30), process(5, 55, 40)] }
    }

    #[track_caller]
    fn check(folder: u64, incarnation: u32, process: u64, batch: u64, covered: bool) {
        let seen = Position { folder, incarnation, process, batch };
        assert_eq!(history().covers(&seen), covered, "{seen:?}");
    }

    #[test]
    fn a_position_is_covered_only_by_the_process_that_had_it() {
        check(7, 4, 44, 39, true);
        check(7, 4, 44, 40, false); // The log of process 4 ends at batch 39.
        check(7, 4, 45, 35, false); // A lost process with the number of a later one.
        check(7, 5, 55, 99, true); // The current process.
        check(7, 6, 66, 10, false);
        check(8, 4, 44, 35, false);
        check(7, 2, 22, 19, true); // Forgotten, and before the oldest known process.
        check(7, 2, 22, 20, false);
        check(7, 4, 0, 39, true); // Seen by an earlier release.
    }

    #[test]
    fn a_node_without_processes_covers_nothing() {
        let empty = History { folder: 7, processes: vec![] };
        assert!(!empty.covers(&Position { folder: 7, incarnation: 1, process: 1, batch: 1 }) && empty.at(1).is_none());
    }
}
