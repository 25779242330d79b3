//! Samples every node's figures once a second, and stores them in `nodes/<n>/metrics.jsonl` (state figures also go
//! into the history, for charts and checks). It also sums the counters, because a single sample at the end would miss
//! the counts of a node from before it was killed.

use crate::cluster::Cluster;
use heckle_faults::Node;
use heckle_system_api::capability::{Sample, Totals};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(1);

/// The counters of one node, across its restarts.
#[derive(Debug, Clone, Default)]
struct Counters {
    incarnation: u64,
    by_name: BTreeMap<&'static str, u64>,
}

/// Handle to the sampling thread.
pub struct Sampler {
    over: Sender<()>,
    thread: JoinHandle<Totals>,
}

impl Sampler {
    /// Starts the thread.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(cluster: Arc<Cluster>, folder: PathBuf) -> std::io::Result<Self> {
        let (over, stopped) = channel();
        let thread = std::thread::Builder::new().name("sampler".into()).spawn(move || {
            let mut totals = Totals::default();
            let mut before = vec![Counters::default(); usize::from(cluster.size())];
            loop {
                let last = !matches!(stopped.recv_timeout(INTERVAL), Err(RecvTimeoutError::Timeout));
                let mut fullest = 0;
                for (i, before) in before.iter_mut().enumerate() {
                    let node = Node(i as u16 + 1);
                    // A node that is down or paused cannot report figures now. Its next sample will include them.
                    let Some(sample) = cluster.sample_if_free(node) else { continue };
                    append_sample(&folder, node, &sample);
                    cluster.record_state(node, &sample, false);
                    add(&mut totals, before, &sample);
                    fullest = fullest.max(sample.state_bytes);
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

    /// Takes a last sample and ends the thread.
    pub fn finish(self) -> Totals {
        let _ = self.over.send(());
        self.thread.join().unwrap_or_default()
    }
}

fn add(totals: &mut Totals, before: &mut Counters, sample: &Sample) {
    if sample.incarnation != before.incarnation {
        *before = Counters { incarnation: sample.incarnation, ..Counters::default() };
    }
    for (name, now) in &sample.counters {
        let was = before.by_name.insert(name, *now).unwrap_or(0);
        *totals.counters.entry(name).or_default() += now.saturating_sub(was);
    }
}

fn append_sample(folder: &std::path::Path, node: Node, sample: &Sample) {
    let path = folder.join("nodes").join(node.to_string()).join("metrics.jsonl");
    let Ok(line) = serde_json::to_string(&sample.raw) else { return };
    // Samples are context, not evidence, so errors are ignored. A full disk is reported by the recorder, which stops the run.
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = writeln!(file, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_keeps_the_counts() {
        let sample =
            |incarnation, syncs, ops| Sample { incarnation, counters: [("syncs", syncs), ("ops", ops)].into(), ..Sample::default() };
        let (mut totals, mut before) = (Totals::default(), Counters::default());
        for s in [sample(1, 10, 5), sample(1, 30, 15), sample(2, 4, 2), sample(2, 8, 4)] {
            add(&mut totals, &mut before, &s);
        }
        assert_eq!((totals.counter("syncs"), totals.counter("ops"), totals.counter("nonsense")), (38, 19, 0));
    }
}
