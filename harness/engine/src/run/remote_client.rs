//! A remote client, which reaches every node through a separate relay that delays both directions for the whole
//! run. Faults act behind that relay, on the links that all clients use.

use crate::plan::{Net, Plan};
use crate::relay::{self, Relay, Route};
use heckle_faults::{End, Link, LinkEffect, Node};
use heckle_system_api::capability::{Framing, Links};
use heckle_system_api::identity::Target;
use std::sync::Arc;

/// Rule id of this relay's only effect.
const DELAY_RULE: u64 = 0;

/// The remote client's relay to the nodes. It runs until it is dropped.
pub(super) struct RemoteClient {
    nodes: Vec<Target>,
    _relay: Relay,
}

impl RemoteClient {
    /// Creates the relay of the plan's remote client, if it has one. `nodes` are the addresses at which other clients reach each node.
    ///
    /// # Errors
    /// If the machine has no port or thread left.
    pub(super) fn of(plan: &Plan, nodes: &[Target]) -> Result<Option<Self>, String> {
        let Some(distance) = plan.client_delay.filter(|_| plan.net == Net::Relay) else { return Ok(None) };
        let framing: Arc<dyn Framing> = match plan.system.links() {
            Links::Frames(framing) => framing,
            // Only clients connect here, so no dialler needs to be identified.
            Links::Bytes => Arc::new(relay::raw::NoFraming),
            Links::None => return Err(format!("the links of {} do not pass the relay", plan.system.name())),
        };
        let relay = Relay::start(plan.seed.part("far"), framing).map_err(|e| format!("the relay of the far client cannot start: {e}"))?;
        let mut through = vec![];
        for (i, target) in nodes.iter().enumerate() {
            let (to, clients) = (Node(i as u16 + 1), End::Clients);
            let route = Route::Clients { to };
            let addr =
                relay.open(route, target.addr).map_err(|e| format!("the relay of the far client cannot open a port for {route}: {e}"))?;
            through.push(Target { addr, ..target.clone() });
            let links = [Link { from: clients, to: End::Node(to) }, Link { from: End::Node(to), to: clients }];
            relay.apply(DELAY_RULE, &links, LinkEffect::Delay { delay_us: distance.0.as_micros() as u64, jitter_us: 0 });
        }
        Ok(Some(RemoteClient { nodes: through, _relay: relay }))
    }

    /// Returns the addresses at which the remote client reaches each node.
    pub(super) fn nodes(&self) -> &[Target] {
        &self.nodes
    }
}
