//! Which node has a role now: found out from the nodes' own figures when a fault begins that is aimed at the role.

use crate::cluster::{Cluster, Evidence};
use crate::system::bundled::{COORDINATOR, HOLDER};
use heckle_faults::Node;
use std::time::Duration;

/// How long the nodes are watched to see who is busy.
const WATCH: Duration = Duration::from_millis(60);

/// What a node was seen to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    node: Node,
    /// Operations it coordinated meanwhile.
    coordinated: u64,
    /// Ranges that it holds a lease on.
    held: usize,
}

/// The node that has this role, and how it was chosen.
///
/// # Errors
/// If no node answers, or there is no such role.
pub(super) fn find(cluster: &Cluster, role: &str) -> Result<(Node, Evidence), String> {
    let before = look(cluster);
    std::thread::sleep(WATCH);
    let seen: Vec<Seen> = look(cluster)
        .into_iter()
        .map(|after| {
            let known = before.iter().find(|b| b.node == after.node).map_or(after.coordinated, |b| b.coordinated);
            Seen { coordinated: after.coordinated.saturating_sub(known), ..after }
        })
        .collect();
    let (node, how) = choose(role, &seen)?.ok_or("no node answers, so none can be aimed at")?;
    Ok((node, [("aimed_at".to_owned(), how.into())].into()))
}

fn look(cluster: &Cluster) -> Vec<Seen> {
    let nodes = (1..=cluster.size()).map(Node);
    let seen = nodes.filter_map(|node| {
        let status = cluster.status_if_free(node)?;
        // A process that was restarted in between counts anew, which reads as little work: it has done little.
        Some(Seen { node, coordinated: status.attempts + status.local_reads, held: status.leases_held.len() })
    });
    seen.collect()
}

fn choose(role: &str, seen: &[Seen]) -> Result<Option<(Node, String)>, String> {
    let busiest = |all: &mut dyn Iterator<Item = &Seen>| all.max_by_key(|seen| (seen.coordinated, seen.held)).copied();
    let coordinator = busiest(&mut seen.iter());
    let holder = || match busiest(&mut seen.iter().filter(|seen| seen.held > 0)) {
        Some(holder) => Some((holder.node, format!("the holder of {} ranges", holder.held))),
        None => Some((coordinator?.node, "NO HOLDER EXISTED: the busiest coordinator instead".to_owned())),
    };
    match role {
        _ if role == COORDINATOR.name => Ok(coordinator.map(|seen| (seen.node, COORDINATOR.about.to_owned()))),
        _ if role == HOLDER.name => Ok(holder()),
        other => Err(format!("no node can be in the role `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_holder_is_meant_and_a_fallback_says_so() {
        let seen = |n, coordinated, held| Seen { node: Node(n), coordinated, held };
        let chosen = |role, all: &[Seen]| choose(role, all).expect("a role").map(|(node, how)| (node.0, how));
        let all = [seen(1, 50, 0), seen(2, 10, 2), seen(3, 20, 1)];
        assert_eq!(chosen("coordinator", &all), Some((1, "the busiest coordinator".to_owned())));
        assert_eq!(chosen("holder", &all), Some((3, "the holder of 1 ranges".to_owned())));
        let (node, how) = chosen("holder", &all[..1]).expect("somebody answers");
        assert!(node == 1 && how.starts_with("NO HOLDER"), "{how}");
        assert_eq!(chosen("holder", &[]), None);
        assert!(choose("conductor", &all).is_err());
    }
}
