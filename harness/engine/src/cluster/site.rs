//! Services that a cluster provides to the system's adapter: addresses, relay ports, and a way to end the run.

use crate::relay::{Relay, Route};
use crate::stop::{Stop, StopReason};
use heckle_faults::Node;
use heckle_history::NodeIx;
use heckle_loopback::LoopbackClaim;
use heckle_system_api::identity::Mistaken;
use heckle_system_api::launch::{Addresses, Dialler, RelayPorts};
use std::net::SocketAddr;

/// Allocates addresses for the processes of one cluster from the cluster's claim.
pub(super) struct ClaimedAddresses<'a>(pub(super) &'a LoopbackClaim);

impl Addresses for ClaimedAddresses<'_> {
    fn take(&self, count: usize) -> Result<Vec<SocketAddr>, String> {
        self.0.addresses(count).map_err(|e| format!("the cluster needs {count} ports: {e}"))
    }
}

impl RelayPorts for Relay {
    fn open(&self, from: Dialler, to: NodeIx, listens: SocketAddr) -> std::io::Result<SocketAddr> {
        let to = Node(to.0 + 1);
        let route = match from {
            Dialler::Node(from) => Route::Nodes { from: Node(from.0 + 1), to },
            Dialler::Clients => Route::Clients { to },
            Dialler::Anyone => Route::Anyone { to },
        };
        Relay::open(self, route, listens)
    }
}

/// Returns a callback that ends the run if another program answers in place of a node.
pub(super) fn on_foreign_server(stop: &Stop) -> Mistaken {
    let stop = stop.clone();
    Mistaken::new(move |why| stop.ask(StopReason::Broken(why)))
}
