//! Steps 4 and 5: chains, their zones, and an order of the chains if one exists.

use super::super::facts::{KeyOps, START, Time};
use super::blame;
use super::clusters::{Chain, Clusters, NONE};
use super::outcome::Stop;

/// Step 4: walks every chain from its root.
pub(super) fn chains(ops: &KeyOps<'_>, clusters: &Clusters) -> Result<Vec<Chain>, Stop> {
    let mut chains = vec![];
    let mut walked = 0;
    for (root, cluster) in (0u32..).zip(&clusters.all) {
        if !cluster.needed || cluster.swapped {
            continue;
        }
        let mut chain = Chain { root, first: Time::MAX, last: START };
        let mut at = root;
        while at != NONE {
            let cluster = clusters.get(at);
            if cluster.first < chain.last {
                return Err(Stop::from(blame::backwards(ops, clusters, root)));
            }
            chain.first = chain.first.min(cluster.first);
            chain.last = chain.last.max(cluster.last);
            walked += 1;
            at = cluster.next;
        }
        chains.push(chain);
    }
    if walked < clusters.all.iter().filter(|c| c.needed).count() {
        return Err(Stop::from(blame::cycle(ops, clusters, &chains)));
    }
    Ok(chains)
}

/// Step 5: returns the chains in an order that respects real time.
pub(super) fn sequence(ops: &KeyOps<'_>, clusters: &Clusters, chains: &[Chain]) -> Result<Vec<u32>, Stop> {
    let conflict = |a: u32, b: u32| Stop::from(blame::interleaved(ops, clusters, &chains[a as usize], &chains[b as usize]));
    let mut forward: Vec<u32> = (0u32..).zip(chains).filter(|(_, c)| c.forward()).map(|(i, _)| i).collect();
    forward.sort_unstable_by_key(|&i| chains[i as usize].first);
    for pair in forward.windows(2) {
        if chains[pair[1] as usize].first < chains[pair[0] as usize].last {
            return Err(conflict(pair[0], pair[1]));
        }
    }
    // A forward chain is placed at its `first`. Any other chain is placed at its `last`, before a forward chain that
    // starts there. If that point is inside a forward zone, the chain is placed at the end of that zone, since the zone
    // must come first.
    let mut at: Vec<(Time, u8, u32)> = forward.iter().map(|&i| (chains[i as usize].first, 1, i)).collect();
    for (i, chain) in (0u32..).zip(chains).filter(|(_, c)| !c.forward()) {
        let started = forward.partition_point(|&f| chains[f as usize].first < chain.last);
        let mut place = chain.last;
        if let Some(&around) = started.checked_sub(1).and_then(|s| forward.get(s)) {
            let zone = &chains[around as usize];
            if chain.first < zone.last {
                return Err(conflict(around, i));
            }
            place = place.max(zone.last);
        }
        at.push((place, 0, i));
    }
    at.sort_unstable();
    Ok(at.into_iter().map(|(_, _, i)| i).collect())
}
