//! Finds the busiest coordinator and the lease holders from the nodes' current figures.

use crate::ANSWER_TIMEOUT;
use crate::identity::control;
use heckle_faults::Role;
use heckle_history::NodeIx;
use heckle_system_api::launch::NodeSpec;
use std::time::Duration;

/// The roles, by their names in plans.
pub(crate) const ROLES: &[Role] = &[HOLDER, COORDINATOR];
/// The node that holds a lease.
pub(crate) const HOLDER: Role = Role { name: "holder", about: "the holder of a lease" };
/// The node that coordinates the most operations.
const COORDINATOR: Role = Role { name: "coordinator", about: "the busiest coordinator" };

/// How long to observe the nodes in order to determine their load.
const WATCH: Duration = Duration::from_millis(60);

/// The load on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    node: NodeIx,
    /// Number of operations it coordinated in that time.
    coordinated: u64,
    /// Number of ranges on which it holds a lease.
    held: usize,
}

/// Finds the node that has the role, and describes how it was chosen.
///
/// # Errors
/// Fails if there is no such role, or no node answers.
pub(crate) fn find(role: &str, running: &[(NodeIx, NodeSpec)]) -> Result<(NodeIx, String), String> {
    if ROLES.iter().all(|known| known.name != role) {
        return Err(format!("no node is a `{role}`; available: {}, {}", HOLDER.name, COORDINATOR.name));
    }
    let before = measure_load(running);
    std::thread::sleep(WATCH);
    let load: Vec<Load> = measure_load(running)
        .into_iter()
        .map(|after| {
            let known = before.iter().find(|b| b.node == after.node).map_or(after.coordinated, |b| b.coordinated);
            Load { coordinated: after.coordinated.saturating_sub(known), ..after }
        })
        .collect();
    choose_node(role, &load).ok_or_else(|| "no node answers, so none can be aimed at".to_owned())
}

fn measure_load(running: &[(NodeIx, NodeSpec)]) -> Vec<Load> {
    let load = |(node, spec): &(NodeIx, NodeSpec)| {
        let status = control(&spec.node, spec.ask, ANSWER_TIMEOUT).ok()?.status().ok()?;
        // A process restarted in between counts from zero, so its load correctly appears small.
        Some(Load { node: *node, coordinated: status.attempts + status.local_reads, held: status.leases_held.len() })
    };
    running.iter().filter_map(load).collect()
}

fn choose_node(role: &str, load: &[Load]) -> Option<(NodeIx, String)> {
    let busiest = |all: &mut dyn Iterator<Item = &Load>| all.max_by_key(|load| (load.coordinated, load.held)).copied();
    let coordinator = busiest(&mut load.iter())?;
    if role != HOLDER.name {
        return Some((coordinator.node, COORDINATOR.about.to_owned()));
    }
    Some(match busiest(&mut load.iter().filter(|load| load.held > 0)) {
        Some(holder) => (holder.node, format!("the holder of {} ranges", holder.held)),
        None => (coordinator.node, "NO HOLDER EXISTED: the busiest coordinator instead".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_the_busiest_holder_or_a_described_fallback() {
        let load = |n, coordinated, held| Load { node: NodeIx(n), coordinated, held };
        let chosen = |role, all: &[Load]| choose_node(role, all).map(|(node, how)| (node.0, how));
        let all = [load(1, 50, 0), load(2, 10, 2), load(3, 20, 1)];
        assert_eq!(chosen(COORDINATOR.name, &all), Some((1, "the busiest coordinator".to_owned())));
        assert_eq!(chosen(HOLDER.name, &all), Some((3, "the holder of 1 ranges".to_owned())));
        let (node, how) = chosen(HOLDER.name, &all[..1]).expect("a node answers");
        assert!(node == 1 && how.starts_with("NO HOLDER"), "{how}");
        assert_eq!(chosen(HOLDER.name, &[]), None);
        assert!(find("leader", &[]).expect_err("no such role").contains("holder, coordinator"));
    }
}
