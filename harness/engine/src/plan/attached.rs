//! Plans for a cluster that runs already: its size, and the faults that need no process or link of the harness.

use super::{MAX_NODES, Net, Plan};
use heckle_faults::schedule::Injection;
use heckle_faults::{Control, End, FaultKind, Link, TargetShape};
use heckle_system_api::System;
use heckle_system_api::settings::within;

/// Why faults of other links are refused, as the rest of a sentence about the system.
const CLIENT_LINKS: &str = "whose nodes heckle did not start, so that only the links of clients pass the relay";

/// Returns the number of nodes: that of the cluster, if it runs already.
///
/// # Errors
/// If the plan says another number.
pub(super) fn nodes(system: &dyn System, given: Option<u16>, otherwise: u16) -> Result<u16, String> {
    let Some(attached) = system.attached() else { return Ok(otherwise) };
    let count = within("nodes", attached.nodes(), 1, MAX_NODES)?;
    match given {
        Some(given) if given != count => {
            Err(format!("nodes = {given}, and the plan has addresses of {count} nodes of {}: leave out nodes", system.name()))
        }
        _ => Ok(count),
    }
}

impl Plan {
    /// Why a kind cannot be injected into a cluster that runs already, as the rest of a sentence about the system.
    pub(super) fn beyond_attached(&self, kind: &FaultKind) -> Option<&'static str> {
        let attached = self.system.attached()?;
        let lacks = |control: &Control| match control {
            Control::Processes(signal) => attached.lacks(*signal),
            _ => None,
        };
        let node_links = kind.needs_control(Control::NodeLinks).then_some(CLIENT_LINKS);
        kind.needs().control.iter().find_map(lacks).or(node_links)
    }

    /// Aims faults of links at those of clients, if only these pass the relay.
    pub(super) fn aim_at_clients(&self, injections: Vec<Injection>) -> Vec<Injection> {
        if self.system.attached().is_none() {
            return injections;
        }
        let aim = |mut injection: Injection| {
            if injection.fault.kind.hits == TargetShape::Links {
                injection.fault.target = injection.fault.target.clients_only();
            }
            injection
        };
        injections.into_iter().map(aim).collect()
    }

    /// Checks that no fault disturbs a link that does not pass the relay.
    ///
    /// # Errors
    /// The first such fault.
    pub(super) fn check_attached_links(&self) -> Result<(), String> {
        if self.system.attached().is_none() {
            return Ok(());
        }
        for injection in &self.injections {
            if let Some(link) = self.links_of(injection).into_iter().find(|link| !is_of_clients(link)) {
                let (name, system) = (injection.fault.name(), self.system.name());
                return Err(format!("fault `{name}` cannot disturb {link} of {system}, {CLIENT_LINKS}: name links such as clients>n1"));
            }
        }
        Ok(())
    }

    /// Whether a fault only disturbs links of clients, which pass the relay in any case.
    pub(super) fn hits_only_clients(&self, injection: &Injection) -> bool {
        let links = self.links_of(injection);
        self.net == Net::Relay && !links.is_empty() && links.iter().all(is_of_clients)
    }

    fn links_of(&self, injection: &Injection) -> Vec<Link> {
        let steps = injection.fault.representative_steps(injection.lasts, self.nodes).unwrap_or_default();
        steps.iter().flat_map(|step| step.action.links()).copied().collect()
    }
}

fn is_of_clients(link: &Link) -> bool {
    link.from == End::Clients || link.to == End::Clients
}
