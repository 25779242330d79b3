//! Asks every node for its figures once a second, keeps them in `nodes/<n>/metrics.jsonl` (and those of its state in
//! the history, which pictures and checks are made from), and adds up what a single look at the end would miss: a node
//! that was killed counts from zero again.

use crate::cluster::Cluster;
use heckle_faults::Node;
use heckle_server::status::Status;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);

/// Sums over all nodes and their restarts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Syncs of the logs.
    pub syncs: u64,
    /// Ops that nodes coordinated.
    pub ops: u64,
    /// Most bytes of Paxos state in one node at one time.
    pub state_bytes_max: u64,
    /// Bytes of Paxos state in the fullest node at the end.
    pub state_bytes_end: u64,
    /// Accepted copies that were pruned.
    pub pruned: u64,
    /// Decisions that were not, since a queue was full.
    pub prune_dropped: u64,
    /// Keys of which something has expired, once for each time.
    pub expired: u64,
}

impl Totals {
    /// Syncs of all nodes by ops by nodes: what one op costs one disk.
    pub fn fsyncs_per_op(&self, nodes: u16) -> Option<f64> {
        (self.ops > 0).then(|| self.syncs as f64 / self.ops as f64 / f64::from(nodes))
    }
}

/// The counters of one node, across its restarts.
#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    incarnation: u64,
    syncs: u64,
    ops: u64,
    pruned: u64,
    prune_dropped: u64,
    expired: u64,
}

/// The thread that asks.
pub struct Sampler {
    over: Sender<()>,
    thread: JoinHandle<Totals>,
}

impl Sampler {
    /// Starts to ask.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn start(cluster: Arc<Cluster>, folder: PathBuf) -> std::io::Result<Self> {
        let (over, told) = channel();
        let thread = std::thread::Builder::new().name("sampler".into()).spawn(move || {
            let mut totals = Totals::default();
            let mut before = vec![Counters::default(); usize::from(cluster.size())];
            loop {
                let last = !matches!(told.recv_timeout(EVERY), Err(RecvTimeoutError::Timeout));
                let mut fullest = 0;
                for (i, before) in before.iter_mut().enumerate() {
                    let node = Node(i as u16 + 1);
                    // A node that is down or paused has no figures now; its next ones tell.
                    let Some(status) = cluster.status_if_free(node) else { continue };
                    keep(&folder, node, &status);
                    cluster.note_state(node, &status, false);
                    add(&mut totals, before, &status);
                    fullest = fullest.max(status.state_bytes.total());
                }
                totals.state_bytes_max = totals.state_bytes_max.max(fullest);
                totals.state_bytes_end = fullest;
                if last {
                    return totals;
                }
            }
        })?;
        Ok(Sampler { over, thread })
    }

    /// Asks once more and ends.
    pub fn finish(self) -> Totals {
        let _ = self.over.send(());
        self.thread.join().unwrap_or_default()
    }
}

fn add(totals: &mut Totals, before: &mut Counters, status: &Status) {
    if status.incarnation != before.incarnation {
        *before = Counters { incarnation: status.incarnation, ..Counters::default() };
    }
    let now = Counters {
        incarnation: status.incarnation,
        syncs: status.syncs,
        ops: status.ops.started,
        pruned: status.pruned,
        prune_dropped: status.prune_dropped,
        expired: status.expired,
    };
    totals.syncs += now.syncs.saturating_sub(before.syncs);
    totals.ops += now.ops.saturating_sub(before.ops);
    totals.pruned += now.pruned.saturating_sub(before.pruned);
    totals.prune_dropped += now.prune_dropped.saturating_sub(before.prune_dropped);
    totals.expired += now.expired.saturating_sub(before.expired);
    *before = now;
}

fn keep(folder: &std::path::Path, node: Node, status: &Status) {
    let path = folder.join("nodes").join(node.to_string()).join("metrics.jsonl");
    let Ok(line) = serde_json::to_string(status) else { return };
    // Samples are context, not evidence: a full disk shows in the recorder, which does not forgive.
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = writeln!(file, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_does_not_lose_or_double_counts() {
        let status = |incarnation, syncs, started| {
            let mut s = Status { incarnation, syncs, ..Status::default() };
            s.ops.started = started;
            s
        };
        let (mut totals, mut before) = (Totals::default(), Counters::default());
        for s in [status(1, 10, 5), status(1, 30, 15), status(2, 4, 2), status(2, 8, 4)] {
            add(&mut totals, &mut before, &s);
        }
        assert_eq!((totals.syncs, totals.ops), (38, 19));
        assert_eq!(totals.fsyncs_per_op(2), Some(1.0));
        assert_eq!(Totals::default().fsyncs_per_op(3), None);
    }
}
