//! Whether this node may vote: see [`crate::amnesia`].

use std::sync::Arc;

use crate::amnesia::Position;
use crate::node::NodeError;
use crate::options::NodeId;
use crate::shell::Shell;
use crate::storage::folder::write_identity;
use crate::wire::peer::PeerHello;
use crate::wire::positions::Positions;

impl Shell {
    /// Registers a process of `peer` that has sent its hello. Returns its position, or the reason why its messages
    /// are not accepted.
    pub(crate) fn meet(&self, peer: NodeId, hello: &PeerHello) -> Result<Position, String> {
        let history = hello.history();
        let Some(position) = history.at(hello.batch) else { return Err(format!("{peer} sent a hello without a process")) };
        let mut witness = self.witness.borrow_mut();
        witness.register(peer, &history, hello.batch).map_err(|seen| {
            format!(
                "{peer} has lost data that it had written: {} saw batch {} of its process {} on data folder {:016x}, but it connected without \
                 that batch, as process {} on data folder {:016x}. It must not vote",
                self.name, seen.batch, seen.incarnation, seen.folder, position.incarnation, position.folder
            )
        })?;
        for seen in &hello.seen {
            witness.hear(peer, self.options.id, *seen);
        }
        drop(witness);
        self.positions_changed();
        Ok(position)
    }

    /// Records the positions that came with a message from the process `greeted` of `peer`. Returns whether that process
    /// is still the one that may take part.
    pub(crate) fn hear(&self, peer: NodeId, greeted: &Position, positions: &Positions) -> bool {
        let mut witness = self.witness.borrow_mut();
        if !witness.registered(peer).is_some_and(|registered| registered.is_of(greeted)) {
            return false;
        }
        witness.hear(peer, peer, Position { batch: positions.own, ..*greeted });
        for (node, seen) in &positions.seen {
            witness.hear(peer, *node, *seen);
        }
        drop(witness);
        self.positions_changed();
        true
    }

    /// Records that a connection to `peer` has failed.
    pub(crate) fn note_unreachable(&self, peer: NodeId) {
        self.witness.borrow_mut().note_unreachable(peer);
        self.positions_changed();
    }

    /// The positions to send with a learn or a heartbeat.
    pub(crate) fn positions(&self) -> Positions {
        Positions { own: self.disk.synced(), seen: self.witness.borrow().all() }
    }

    /// Wakes the event loop if the new positions change this node's standing.
    fn positions_changed(&self) {
        if self.witness.borrow().changes(self.voting.get()) {
            self.inbox.bell.notify_one();
        }
    }

    /// Starts voting once enough nodes have confirmed.
    ///
    /// # Errors
    /// Fails if a node has proved that this one has lost part of its state, or if the disk failed.
    pub(crate) async fn check_standing(&self) -> Result<(), NodeError> {
        if let Some(lost) = self.witness.borrow_mut().take_lost() {
            self.voting.set(false);
            return Err(NodeError::LostState(Box::new(lost)));
        }
        if !self.voting.get() && self.witness.borrow().may_vote() {
            self.voting.set(true);
            let (confirmed, needed) = self.witness.borrow().confirmations();
            self.log.info("voting", &[("confirmed", &confirmed), ("needed", &needed)]);
        }
        // A restart is ordinary only if the log is not empty: an empty log would look like a lost one.
        if self.voting.get() && self.disk.synced() > 0 { self.clear_doubt().await } else { Ok(()) }
    }

    /// Records that, from now on, a restart is an ordinary one.
    async fn clear_doubt(&self) -> Result<(), NodeError> {
        let identity = {
            let mut identity = self.folder_identity.borrow_mut();
            if identity.doubt.take().is_none() {
                return Ok(());
            }
            identity.clone()
        };
        let folder = Arc::clone(&self.folder);
        let write = move || write_identity(&**folder.vfs(), folder.path(), &identity);
        tokio::task::spawn_blocking(write).await.map_err(|_| NodeError::Panicked)??;
        Ok(())
    }

    /// Writes the positions seen of other nodes, unless a batch has already included them.
    pub(crate) fn save_positions(&self) {
        for (node, seen) in self.witness.borrow_mut().take_unsaved() {
            self.disk.note(|batch| batch.add(|out| crate::wire::record::encode_seen(node, seen, out)));
        }
    }
}
