//! Sends signals to nodes, undoes their effects, and verifies that the nodes are back.

use super::evidence::add;
use crate::cluster::{Cluster, EndCause, Evidence};
use crate::limits;
use heckle_faults::{Node, Signal};
use std::time::{Duration, Instant};

/// Time limit for a node to answer after a restart or resume; otherwise it counts as not healed.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends a signal to each of these nodes, as close together in time as the machine allows.
pub(super) fn signal(cluster: &Cluster, signal: Signal, nodes: &[Node]) -> Result<Evidence, String> {
    for_all(nodes, |node| match signal {
        Signal::Kill => cluster.kill(node).map(|ended| evidence_of(node, ended)),
        Signal::Terminate => cluster.terminate(node).map(|ended| evidence_of(node, ended)),
        Signal::Stop => cluster.pause(node),
    })
}

/// Undoes a signal on all of these nodes in parallel.
pub(super) fn undo(cluster: &Cluster, signal: Signal, nodes: &[Node]) -> Result<Evidence, String> {
    for_all(nodes, |node| match signal {
        Signal::Kill | Signal::Terminate => cluster.restart(node),
        Signal::Stop => cluster.resume(node),
    })
}

/// Returns the evidence of an ended node. The end of a node that had already ended by itself is not the
/// fault's effect: it is in the history, and the run is being stopped.
fn evidence_of(node: Node, ended: EndCause) -> Evidence {
    match ended {
        EndCause::Fault(evidence) => evidence,
        EndCause::Earlier => [("was_down".to_owned(), node.to_string().into())].into(),
    }
}

/// Runs `act` on all of these nodes in parallel.
pub(super) fn for_all(nodes: &[Node], act: impl Fn(Node) -> Result<Evidence, String> + Sync) -> Result<Evidence, String> {
    if let [one] = nodes {
        return act(*one);
    }
    let results: Vec<Result<Evidence, String>> = std::thread::scope(|scope| {
        let act = &act;
        let start = |node: &Node| {
            let node = *node;
            std::thread::Builder::new().name("fault".into()).spawn_scoped(scope, move || act(node))
        };
        let threads: Vec<_> = nodes.iter().map(start).collect();
        let end = |thread: std::io::Result<std::thread::ScopedJoinHandle<'_, _>>| {
            let thread = thread.map_err(|e| limits::no_thread(&e))?;
            thread.join().unwrap_or_else(|_| Err("the injector panicked".into()))
        };
        threads.into_iter().map(end).collect()
    });
    let mut sum = Evidence::new();
    for result in results {
        add(&mut sum, result?);
    }
    Ok(sum)
}

/// Waits until these nodes report that they are ready.
pub(super) fn await_ready(cluster: &Cluster, nodes: &[Node]) -> Option<Evidence> {
    let deadline = Instant::now() + START_TIMEOUT;
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
