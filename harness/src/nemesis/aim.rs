//! Faults that are aimed: whom they strike is found out from the nodes' own figures when they strike.

use crate::cluster::{Cluster, Evidence};
use heckle_faults::{Aim, Node};
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

/// The node that is meant, and how it was chosen.
///
/// # Errors
/// If no node answers.
pub(super) fn find(cluster: &Cluster, aim: Aim) -> Result<(Node, Evidence), String> {
    let before = look(cluster);
    std::thread::sleep(WATCH);
    let seen: Vec<Seen> = look(cluster)
        .into_iter()
        .map(|after| {
            let known = before.iter().find(|b| b.node == after.node).map_or(after.coordinated, |b| b.coordinated);
            Seen { coordinated: after.coordinated.saturating_sub(known), ..after }
        })
        .collect();
    let (node, how) = choose(aim, &seen).ok_or("no node answers, so none can be aimed at")?;
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

fn choose(aim: Aim, seen: &[Seen]) -> Option<(Node, String)> {
    let busiest = |all: &mut dyn Iterator<Item = &Seen>| all.max_by_key(|seen| (seen.coordinated, seen.held)).copied();
    let coordinator = busiest(&mut seen.iter())?;
    match aim {
        Aim::Coordinator => Some((coordinator.node, "the busiest coordinator".to_owned())),
        Aim::Holder => Some(match busiest(&mut seen.iter().filter(|seen| seen.held > 0)) {
            Some(holder) => (holder.node, format!("the holder of {} ranges", holder.held)),
            None => (coordinator.node, "NO HOLDER EXISTED: the busiest coordinator instead".to_owned()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_holder_is_meant_and_a_fallback_says_so() {
        let seen = |n, coordinated, held| Seen { node: Node(n), coordinated, held };
        let chosen = |aim, all: &[Seen]| choose(aim, all).map(|(node, how)| (node.0, how));
        let all = [seen(1, 50, 0), seen(2, 10, 2), seen(3, 20, 1)];
        assert_eq!(chosen(Aim::Coordinator, &all), Some((1, "the busiest coordinator".to_owned())));
        assert_eq!(chosen(Aim::Holder, &all), Some((3, "the holder of 1 ranges".to_owned())));
        let (node, how) = chosen(Aim::Holder, &all[..1]).expect("somebody answers");
        assert!(node == 1 && how.starts_with("NO HOLDER"), "{how}");
        assert_eq!(chosen(Aim::Holder, &[]), None);
    }
}
