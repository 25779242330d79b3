//! What a node has seen of one other node.

use serde::{Deserialize, Serialize};

use super::position::{History, Position};

/// The positions of another node that this node knows. Each is proof of what that node's log once held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Of the newest process that has connected, as far as its messages or those of third nodes say.
    pub(crate) registered: Option<Position>,
    /// Of a process that has not connected, from third nodes. It is kept until a process connects that has it in its
    /// log: it must never replace `registered`, which may be proof of a loss.
    pub(crate) heard: Option<Position>,
}

impl Seen {
    /// Takes `history` for that of the node, whose log is at `batch`.
    ///
    /// # Errors
    /// A position that this node knows and that the history does not cover. Nothing is changed then.
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
        *self = Seen { registered: history.at(newest), heard: None };
    }

    /// The node has reached `position`, as a message shows. Returns whether that was news.
    pub(crate) fn hear(&mut self, position: Position) -> bool {
        if let Some(known) = self.registered.iter_mut().chain(&mut self.heard).find(|known| known.is_of(&position)) {
            let is_news = position.batch > known.batch;
            known.batch = known.batch.max(position.batch);
            return is_news;
        }
        let is_newer = self.heard.is_none_or(|heard| heard.folder == position.folder && heard.incarnation < position.incarnation);
        if is_newer {
            self.heard = Some(position);
        }
        is_newer
    }

    pub(crate) fn positions(&self) -> impl Iterator<Item = Position> {
        self.registered.into_iter().chain(self.heard)
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
        assert_eq!(seen, Seen { registered: Some(at(2, 51)), heard: None });
    }

    #[test]
    fn what_third_nodes_say_is_evidence_too_and_replaces_none() {
        let mut seen = Seen::default();
        seen.register(&history(&[(1, 1)]), 50).unwrap();
        assert!(seen.hear(at(2, 60)) && seen.hear(at(3, 70)) && !seen.hear(at(2, 65)));
        assert_eq!(seen, Seen { registered: Some(at(1, 50)), heard: Some(at(3, 70)) });
        assert_eq!(seen.register(&history(&[(1, 1), (2, 41), (3, 60), (4, 71)]), 71), Err(at(1, 50)));
        assert_eq!(seen.register(&history(&[(1, 1), (2, 51), (3, 60), (4, 70)]), 70), Err(at(3, 70)));
        seen.register(&history(&[(1, 1), (2, 51), (3, 60), (4, 71)]), 71).unwrap();
        assert_eq!(seen.heard, None);
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
