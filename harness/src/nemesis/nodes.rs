//! Faults of whole nodes that are more than one signal, and how a node is seen to be back.

use crate::cluster::{Cluster, Evidence};
use heckle_workloads::fault::Node;
use serde_json::Value as Json;
use std::time::{Duration, Instant};

/// A node that was restarted or resumed answers within this, or counts as not healed.
const UP_WITHIN: Duration = Duration::from_secs(10);

/// All nodes.
pub(super) fn all(cluster: &Cluster) -> Vec<Node> {
    (1..=cluster.size()).map(Node).collect()
}

/// SIGKILL to every node, as close together as the machine allows.
pub(super) fn kill_all(cluster: &Cluster) -> Result<Evidence, String> {
    for_all(cluster, |node| cluster.kill(node))
}

/// Starts every node again, all at once.
pub(super) fn restart_all(cluster: &Cluster) -> Result<Evidence, String> {
    for_all(cluster, |node| cluster.restart(node))
}

fn for_all(cluster: &Cluster, act: impl Fn(Node) -> Result<Evidence, String> + Sync) -> Result<Evidence, String> {
    let results: Vec<Result<Evidence, String>> = std::thread::scope(|scope| {
        let act = &act;
        let threads: Vec<_> = all(cluster).into_iter().map(|node| scope.spawn(move || act(node))).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("the injector panicked".into()))).collect()
    });
    let mut sum = Evidence::new();
    for result in results {
        for (name, value) in result? {
            add(&mut sum, name, value);
        }
    }
    Ok(sum)
}

/// Counts of several nodes add up; other figures carry the node in their names.
fn add(sum: &mut Evidence, name: String, value: Json) {
    match (sum.get(&name).and_then(Json::as_u64), value.as_u64()) {
        (Some(a), Some(b)) => sum.insert(name, (a + b).into()),
        _ => sum.insert(name, value),
    };
}

/// Waits until these nodes answer that they are ready.
pub(super) fn see_up(cluster: &Cluster, nodes: &[Node]) -> Option<Evidence> {
    let deadline = Instant::now() + UP_WITHIN;
    for node in nodes {
        while !cluster.is_ready(*node) {
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Some([("answering".into(), (nodes.len() as u64).into())].into())
}
