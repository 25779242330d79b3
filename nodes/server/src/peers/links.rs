//! The links to the other nodes: their state and figures.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::net::Outbox;
use crate::options::NodeId;
use crate::status::PeerStatus;

/// The links to and from all other nodes.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) links: BTreeMap<NodeId, Rc<Link>>,
    pub(crate) unidentified: Cell<usize>,
}

/// The two directed links between this node and another.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: NodeId,
    pub(crate) addr: SocketAddr,
    pub(crate) outbox: RefCell<Option<Rc<Outbox>>>,
    /// Notified to end the connection opened by the other node when a newer one replaces it.
    pub(crate) inbound: RefCell<Option<Rc<Notify>>>,
    /// Whether that connection is closed because of an impossible message.
    pub(crate) impossible: Cell<bool>,
    /// Incarnation of the process from which this node accepts messages, or 0 if none has connected since this process
    /// started.
    pub(crate) incarnation: Cell<u32>,
    pub(crate) sent: Cell<u64>,
    pub(crate) received: Cell<u64>,
    pub(crate) dropped: Cell<u64>,
    pub(crate) connects: Cell<u64>,
}

impl Peers {
    pub(crate) fn new(peers: &[(NodeId, SocketAddr)]) -> Peers {
        let link = |&(id, addr): &(NodeId, SocketAddr)| {
            let link = Link {
                id,
                addr,
                outbox: RefCell::default(),
                inbound: RefCell::default(),
                impossible: Cell::new(false),
                incarnation: Cell::new(0),
                sent: Cell::new(0),
                received: Cell::new(0),
                dropped: Cell::new(0),
                connects: Cell::new(0),
            };
            (id, Rc::new(link))
        };
        Peers { links: peers.iter().map(link).collect(), unidentified: Cell::new(0) }
    }

    pub(crate) fn link(&self, id: u16) -> Option<&Rc<Link>> {
        self.links.get(&NodeId::new(id).ok()?)
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
            incarnation: u64::from(link.incarnation.get()),
        };
        self.links.values().map(status).collect()
    }
}

impl Link {
    /// Ends the connection opened by the other node, because of an impossible message.
    pub(crate) fn drop_inbound(&self) {
        if let Some(ended) = &*self.inbound.borrow() {
            self.impossible.set(true);
            ended.notify_one();
        }
    }
}
