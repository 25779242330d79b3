//! Faults of whole nodes that are more than one signal, and how a node is seen to be back.

use crate::cluster::{Cluster, Evidence, Kill};
use crate::limits;
use heckle_faults::Node;
use serde_json::Value as Json;
use std::time::{Duration, Instant};

/// A node that was restarted or resumed answers within this, or counts as not healed.
const UP_WITHIN: Duration = Duration::from_secs(10);

/// All nodes.
pub(super) fn all(cluster: &Cluster) -> Vec<Node> {
    (1..=cluster.size()).map(Node).collect()
}

/// SIGKILL to one node. One that had ended by itself is no fault of ours: what it was stands in the history, and the run is
/// being stopped.
pub(super) fn kill(cluster: &Cluster, node: Node) -> Result<Evidence, String> {
    Ok(match cluster.kill(node)? {
        Kill::Done(evidence) => evidence,
        Kill::WasDown => [("was_down".to_owned(), node.to_string().into())].into(),
    })
}

/// SIGKILL to every node, as close together as the machine allows.
pub(super) fn kill_all(cluster: &Cluster) -> Result<Evidence, String> {
    for_all(cluster, |node| kill(cluster, node))
}

/// Starts every node again, all at once.
pub(super) fn restart_all(cluster: &Cluster) -> Result<Evidence, String> {
    for_all(cluster, |node| cluster.restart(node))
}

fn for_all(cluster: &Cluster, act: impl Fn(Node) -> Result<Evidence, String> + Sync) -> Result<Evidence, String> {
    let results: Vec<Result<Evidence, String>> = std::thread::scope(|scope| {
        let act = &act;
        let start = |node| std::thread::Builder::new().name("fault".into()).spawn_scoped(scope, move || act(node));
        let threads: Vec<_> = all(cluster).into_iter().map(start).collect();
        let end = |thread: std::io::Result<std::thread::ScopedJoinHandle<'_, _>>| {
            let thread = thread.map_err(|e| limits::no_thread(&e))?;
            thread.join().unwrap_or_else(|_| Err("the injector panicked".into()))
        };
        threads.into_iter().map(end).collect()
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
