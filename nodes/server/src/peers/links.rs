//! The links to the other nodes: their state and their figures.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::net::Outbox;
use crate::options::NodeId;
use crate::status::PeerStatus;
use crate::storage::folder::KnownPeer;

/// The links to and from all other nodes.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) links: BTreeMap<NodeId, Rc<Link>>,
    pub(crate) unidentified: Cell<usize>,
    /// Notified when there is something new about a peer's folder to save.
    pub(crate) learned: Notify,
}

/// The two directed links between this node and another.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: NodeId,
    pub(crate) addr: SocketAddr,
    pub(crate) outbox: RefCell<Option<Rc<Outbox>>>,
    /// Notified to end the connection that the other node opened, when a newer one replaces it.
    pub(crate) inbound: RefCell<Option<Rc<Notify>>>,
    /// Whether that connection ends because of an impossible message.
    pub(crate) impossible: Cell<bool>,
    pub(crate) known: Cell<Option<KnownPeer>>,
    pub(crate) sent: Cell<u64>,
    pub(crate) received: Cell<u64>,
    pub(crate) dropped: Cell<u64>,
    pub(crate) connects: Cell<u64>,
}

impl Peers {
    pub(crate) fn new(peers: &[(NodeId, SocketAddr)], known: &BTreeMap<NodeId, KnownPeer>) -> Peers {
        let link = |&(id, addr): &(NodeId, SocketAddr)| {
            let link = Link {
                id,
                addr,
                outbox: RefCell::default(),
                inbound: RefCell::default(),
                impossible: Cell::new(false),
                known: Cell::new(known.get(&id).copied()),
                sent: Cell::new(0),
                received: Cell::new(0),
                dropped: Cell::new(0),
                connects: Cell::new(0),
            };
            (id, Rc::new(link))
        };
        Peers { links: peers.iter().map(link).collect(), unidentified: Cell::new(0), learned: Notify::new() }
    }

    pub(crate) fn link(&self, id: u16) -> Option<&Rc<Link>> {
        self.links.get(&NodeId::new(id).ok()?)
    }

    /// The known identities of the other nodes' folders.
    pub(crate) fn known(&self) -> BTreeMap<NodeId, KnownPeer> {
        self.links.values().filter_map(|link| Some((link.id, link.known.get()?))).collect()
    }

    pub(crate) fn status(&self) -> Vec<PeerStatus> {
        let status = |link: &Rc<Link>| PeerStatus {
            node: link.id.to_string(),
            outbound: link.outbox.borrow().is_some(),
            inbound: link.inbound.borrow().is_some(),
            queued_bytes: link.outbox.borrow().as_ref().map_or(0, |outbox| outbox.len() as u64),
            sent: link.sent.get(),
            received: link.received.get(),
            dropped: link.dropped.get(),
            connects: link.connects.get(),
            incarnation: link.known.get().map_or(0, |known| u64::from(known.incarnation)),
        };
        self.links.values().map(status).collect()
    }
}

impl Link {
    /// Ends the connection that the other node opened, because of an impossible message.
    pub(crate) fn drop_inbound(&self) {
        if let Some(ended) = &*self.inbound.borrow() {
            self.impossible.set(true);
            ended.notify_one();
        }
    }
}
