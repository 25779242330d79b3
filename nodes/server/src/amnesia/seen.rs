//! The positions that a node has seen of another node.

use serde::{Deserialize, Serialize};

use super::position::{History, Position};

/// Maximum number of processes of another node remembered from third-party reports alone. New evidence never replaces
/// existing evidence.
const MAX_HEARD: usize = 8;

/// The known positions of another node. Each proves what that node's log once held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Position of the newest process that has connected: the highest reported by its own messages or by third nodes.
    pub(crate) registered: Option<Position>,
    /// Positions of processes that have not connected, reported by third nodes. They are kept until a process connects
    /// whose log covers them. None may replace another one or `registered`, since each may be the proof of a loss.
    pub(crate) heard: [Option<Position>; MAX_HEARD],
}

impl Seen {
    /// Registers the process that has sent this `history` and whose log is at `batch`.
    ///
    /// # Errors
    /// Returns a known position that the history does not cover. In that case nothing is changed.
    pub(crate) fn register(&mut self, history: &History, batch: u64) -> Result<(), Position> {
        if let Some(lost) = self.positions().find(|seen| !history.covers(seen)) {
            return Err(lost);
        }
        self.replace(history, batch);
        Ok(())
    }

    /// The same without a check.
    pub(crate) fn replace(&mut self, history: &History, batch: u64) {
        let newest = self.registered.filter(|seen| history.is_current(seen)).map_or(batch, |seen| seen.batch.max(batch));
        *self = Seen { registered: history.at(newest), heard: Default::default() };
    }

    /// Records that, according to a message, the node has reached `position`. Returns whether this was new.
    pub(crate) fn hear(&mut self, position: Position) -> bool {
        let mut known = self.registered.iter_mut().chain(self.heard.iter_mut().flatten());
        if let Some(known) = known.find(|known| known.is_of(&position)) {
            let is_news = position.batch > known.batch;
            known.batch = known.batch.max(position.batch);
            return is_news;
        }
        match self.heard.iter_mut().find(|heard| heard.is_none()) {
            Some(free) => {
                *free = Some(position);
                true
            }
            None => false,
        }
    }

    pub(crate) fn positions(&self) -> impl Iterator<Item = Position> {
        self.registered.into_iter().chain(self.heard.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::super::position::ProcessStart;
    use super::*;

    fn history(starts: &[(u32, u64)]) -> History {
        let process =
            |&(incarnation, first_batch): &(u32, u64)| ProcessStart { incarnation, process: 10 + u64::from(incarnation), first_batch };
        History { folder: 7, processes: starts.iter().map(process).collect() }
    }

    fn at(incarnation: u32, batch: u64) -> Position {
        Position { folder: 7, incarnation, process: 10 + u64::from(incarnation), batch }
    }

    #[test]
    fn a_node_that_lost_what_was_seen_is_not_registered() {
        let mut seen = Seen::default();
        seen.register(&history(&[(1, 1)]), 1).unwrap();
        assert!(seen.hear(at(1, 50)) && !seen.hear(at(1, 40)) && !seen.hear(at(1, 50)));
        let before = seen;
        assert_eq!(seen.register(&history(&[(1, 1), (2, 31)]), 31), Err(at(1, 50)));
        assert_eq!(seen, before);
        seen.register(&history(&[(1, 1), (2, 51)]), 51).unwrap();
        assert_eq!(seen.positions().collect::<Vec<_>>(), [at(2, 51)]);
    }

    #[test]
    fn what_third_nodes_say_is_evidence_too_and_replaces_none() {
        let mut seen = Seen::default();
        seen.register(&history(&[(1, 1)]), 50).unwrap();
        assert!(seen.hear(at(2, 60)) && seen.hear(at(3, 70)) && seen.hear(at(2, 65)) && !seen.hear(at(2, 64)));
        assert_eq!(seen.positions().collect::<Vec<_>>(), [at(1, 50), at(2, 65), at(3, 70)]);
        for (starts, lacks) in [
            (&[(1, 1), (2, 41), (3, 66), (4, 71)][..], at(1, 50)),
            (&[(1, 1), (2, 51), (3, 65), (4, 71)], at(2, 65)), // A newer process was heard of since, which proves nothing about this one.
            (&[(1, 1), (2, 51), (3, 66), (4, 70)], at(3, 70)),
        ] {
            assert_eq!(seen.register(&history(starts), 71), Err(lacks));
        }
        seen.register(&history(&[(1, 1), (2, 51), (3, 66), (4, 71)]), 71).unwrap();
        assert_eq!(seen.positions().collect::<Vec<_>>(), [at(4, 71)]);
    }

    #[test]
    fn more_than_can_be_kept_replaces_nothing() {
        let mut seen = Seen::default();
        let many = 2..2 + MAX_HEARD as u32;
        assert!(many.clone().all(|incarnation| seen.hear(at(incarnation, 5))));
        assert!(!seen.hear(at(many.end, 9)));
        assert_eq!(seen.positions().count(), MAX_HEARD);
        assert!(seen.hear(at(2, 6)), "what is known goes on");
    }

    #[test]
    fn registering_a_process_again_keeps_the_newest_position() {
        let mut seen = Seen::default();
        seen.register(&history(&[(1, 1)]), 1).unwrap();
        seen.hear(at(1, 9));
        seen.register(&history(&[(1, 1)]), 5).unwrap();
        assert_eq!(seen.registered, Some(at(1, 9)));
    }
}
