//! Step 6: derives an order of ops from an order of chains.

use super::super::facts::KeyOps;
use super::clusters::{Chain, Clusters, NONE};

/// Returns the indices of all kept ops in an order that explains every answer.
pub(super) fn write_out(ops: &KeyOps<'_>, clusters: &Clusters, chains: &[Chain], sequence: &[u32]) -> Vec<u32> {
    let (start, observers) = by_cluster(ops, clusters);
    let mut order = Vec::with_capacity(ops.places.len());
    for &chain in sequence {
        let mut at = chains[chain as usize].root;
        while at != NONE {
            let cluster = clusters.get(at);
            if cluster.writer != NONE {
                order.push(cluster.writer);
            }
            order.extend_from_slice(&observers[start[at as usize] as usize..start[at as usize + 1] as usize]);
            at = cluster.next;
        }
    }
    order
}

/// Groups observers by cluster, in invocation order within each. The observers are already in that order, so a counting
/// sort is sufficient.
fn by_cluster(ops: &KeyOps<'_>, clusters: &Clusters) -> (Vec<u32>, Vec<u32>) {
    let mut start = vec![0u32; clusters.all.len() + 1];
    for &cluster in clusters.observed.iter().filter(|&&c| c != NONE) {
        start[cluster as usize + 1] += 1;
    }
    for i in 1..start.len() {
        start[i] += start[i - 1];
    }
    let mut fill = start.clone();
    let mut observers = vec![0u32; start.last().map_or(0, |&n| n as usize)];
    for (&cluster, &place) in clusters.observed.iter().zip(&ops.places).filter(|(c, _)| **c != NONE) {
        let slot = &mut fill[cluster as usize];
        observers[*slot as usize] = place;
        *slot += 1;
    }
    // A recorded history is in time order, so it needs no sort. A history constructed in code may not be.
    if !ops.places.is_sorted_by_key(|&p| ops.op(p).invoked) {
        for pair in start.windows(2) {
            observers[pair[0] as usize..pair[1] as usize].sort_by_key(|&p| ops.op(p).invoked);
        }
    }
    (start, observers)
}
