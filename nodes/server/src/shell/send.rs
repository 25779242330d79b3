//! Sends messages to other nodes.

use heckle_paxos::lease::LeaseMessage;
use heckle_paxos::{Body, Message, NodeId as CoreNodeId};

use super::{Shell, increment};
use crate::frame::{FrameKind, encode_frame_with};
use crate::wire;
use crate::wire::positions::{Positions, encode_positions};

impl Shell {
    /// Queues a message for another node. It is sent at the end of this turn.
    pub(crate) fn send(&self, to: CoreNodeId, message: &Message) {
        let positions = match message.body {
            Body::Learn { .. } | Body::Chosen => self.positions(),
            _ => Positions { own: self.disk.synced(), seen: Vec::new() },
        };
        self.send_frame(to, FrameKind::PeerMessage, |out| {
            encode_positions(&positions, out);
            wire::message::encode_message(message, out);
        });
    }

    /// Queues a lease message for another node.
    pub(crate) fn send_lease(&self, to: CoreNodeId, message: &LeaseMessage) {
        self.send_frame(to, FrameKind::PeerLease, |out| wire::lease::encode_lease(message, out));
    }

    fn send_frame(&self, to: CoreNodeId, kind: FrameKind, encode: impl FnOnce(&mut bytes::BytesMut)) {
        // The core sends only to members, and every member except this node has a link.
        let Some(link) = self.peers.link(to.0) else { return };
        if !self.voting.get() {
            increment(&link.dropped);
            return;
        }
        let outbox = link.outbox.borrow();
        let pushed = outbox.as_ref().is_some_and(|outbox| {
            let pushed = outbox.push(|out| encode_frame_with(kind, out, encode));
            if pushed.is_ok() {
                self.flush_at_end_of_turn(outbox);
            }
            pushed.is_ok()
        });
        increment(if pushed { &link.sent } else { &link.dropped });
    }
}
