//! Measures the memory and disk usage of nodes under a continuous load, for `heckle bench memory`. The bundled server runs with
//! all optimizations, and its processes are sampled from outside.

use super::bench_cluster::BenchCluster;
use super::growth::{FLAT_SHARE, Growth, MAX_FLAT_BYTES, NOISE_BYTES};
use super::load::{self, Load};
use super::{FASTEST_SETTINGS, MANY_CLIENTS, plan};
use crate::cluster::Cluster;
use heckle_faults::Node;
use heckle_results::charts::axis::{bytes, count, duration};
use heckle_results::gc::size_of;
use heckle_results::input;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Interval between samples of a process. A short load is sampled a hundred times in total instead.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// Minimum interval between samples, because each sample costs the node a little.
const MIN_SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// Minimum length of a load, so that each fifth has enough samples.
pub const MIN_LOAD: Duration = Duration::from_secs(5);
/// The period over which a leak is projected, regardless of the length of the load, in seconds.
const PROJECTION_S: f64 = 600.0;

/// Settings of the measurement.
#[derive(Debug, Clone)]
pub struct MemorySetup {
    /// Length of the load.
    pub load_for: Duration,
    /// Number of keys under load.
    pub keys: u32,
    /// Parent folder for the cluster's data.
    pub folder: PathBuf,
}

/// One sample of a node.
#[derive(Debug, Clone, Copy, PartialEq)]
struct MemorySample {
    /// Seconds since the load began.
    t_s: f64,
    /// Resident set size according to the kernel, in bytes.
    rss: f64,
    /// Size of the state as reported by the node, including keys and values, in bytes.
    state: u64,
    /// Size of the node's data folder, in bytes.
    disk: u64,
    segments: u64,
    snapshots: u64,
}

/// The results of the measurement.
#[derive(Debug, Clone)]
pub struct MemoryResults {
    setup: MemorySetup,
    /// Number of operations, including the warm-up.
    ops: u64,
    unanswered: u64,
    nodes: Vec<Vec<MemorySample>>,
}

/// Runs a load against a cluster and samples its processes during the load.
///
/// # Errors
/// Describes what could not be started or measured.
pub fn measure(setup: &MemorySetup) -> Result<MemoryResults, String> {
    let standing = BenchCluster::start(&setup.folder, plan(super::BUNDLED_SERVER, &format!("{FASTEST_SETTINGS}prune = \"on\"\n"))?)?;
    let cluster = standing.cluster().ok_or("the cluster did not start")?;
    let (stop, stopped) = channel();
    let (done, nodes) = std::thread::scope(|scope| {
        let look = || sample_until(cluster, standing.folder(), setup.load_for, stopped);
        let looking =
            std::thread::Builder::new().name("look".into()).spawn_scoped(scope, look).map_err(|e| crate::limits::no_thread(&e))?;
        let done = load::run(&standing, &Load::wide(MANY_CLIENTS, setup.keys, setup.load_for));
        drop(stop);
        Ok::<_, String>((done, looking.join()))
    })?;
    let done = done?;
    let nodes = nodes.map_err(|_| "the thread that looks at the nodes panicked".to_owned())?;
    Ok(MemoryResults { setup: setup.clone(), ops: done.all_ops, unanswered: done.unanswered, nodes })
}

/// Samples all nodes until the other end of the channel is dropped.
fn sample_until(cluster: &Cluster, folder: &Path, lasts: Duration, stopped: Receiver<()>) -> Vec<Vec<MemorySample>> {
    let (began, every) = (Instant::now(), (lasts / 100).clamp(MIN_SAMPLE_INTERVAL, SAMPLE_INTERVAL));
    let mut nodes = vec![vec![]; usize::from(cluster.size())];
    loop {
        for (i, looks) in nodes.iter_mut().enumerate() {
            looks.extend(sample(cluster, folder, Node(i as u16 + 1), began));
        }
        if stopped.recv_timeout(every) == Err(RecvTimeoutError::Disconnected) {
            return nodes;
        }
    }
}

fn sample(cluster: &Cluster, folder: &Path, node: Node, began: Instant) -> Option<MemorySample> {
    let status = heckle_system_paxos::status(&cluster.spec_if_free(node)?).ok()?;
    Some(MemorySample {
        rss: resident_bytes(&input::kernel(format!("/proc/{}/status", status.pid))?)?,
        t_s: began.elapsed().as_secs_f64(),
        state: status.state_bytes.total(),
        disk: size_of(&folder.join("nodes").join(node.to_string())),
        segments: status.segments,
        snapshots: status.snapshots,
    })
}

/// Parses the resident set size, in bytes, from a `/proc/<pid>/status` file.
fn resident_bytes(status: &str) -> Option<f64> {
    let kib: f64 = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

impl MemoryResults {
    fn growth(&self, node: &[MemorySample]) -> Option<Growth> {
        Growth::of(&node.iter().map(|l| (l.t_s, l.rss)).collect::<Vec<_>>(), self.setup.load_for.as_secs_f64())
    }

    /// Whether the memory of every node is flat.
    pub fn is_flat(&self) -> bool {
        self.nodes.iter().all(|node| self.growth(node).is_some_and(|g| g.is_flat()))
    }

    /// Formats the results as text.
    pub fn text(&self) -> String {
        let lasts = self.setup.load_for.as_secs_f64();
        let mut out = format!(
            "{MANY_CLIENTS} clients in closed loops on {} keys for {}; rounds fast, lease priority, forward on, prune on\n{} operations, {} a second, {} without an answer\n\n",
            count(u64::from(self.setup.keys)),
            duration(lasts * 1e3),
            count(self.ops),
            count((self.ops as f64 / lasts) as u64),
            count(self.unanswered),
        );
        let _ = writeln!(
            out,
            "{:<4} {:>9} {:>11} {:>11} {:>9} {:>10} {:>9} {:>9} {:>9} {:>9}  ",
            "node", "at first", "2nd fifth", "last fifth", "growth", "in 10 min", "an op", "state", "on disk", "segments"
        );
        for (i, node) in self.nodes.iter().enumerate() {
            let (Some(growth), Some(first), Some(last)) = (self.growth(node), node.first(), node.last()) else {
                let _ = writeln!(out, "n{:<3} too few samples: {}", i + 1, node.len());
                continue;
            };
            let _ = writeln!(
                out,
                "n{:<3} {:>9} {:>11} {:>11} {:>9} {:>10} {:>9} {:>9} {:>9} {:>9}  {}",
                i + 1,
                bytes(first.rss),
                bytes(growth.early),
                bytes(growth.late),
                signed(growth.bytes()),
                signed(growth.slope_per_s * PROJECTION_S),
                // Three fifths of all operations fall between the middle of the second fifth and the middle of the last fifth.
                signed(growth.bytes() / (0.6 * self.ops as f64)),
                bytes(last.state as f64),
                bytes(last.disk as f64),
                last.segments,
                if growth.is_flat() { "flat" } else { "GROWS" },
            );
        }
        let snapshots = self.nodes.iter().filter_map(|n| n.last()).map(|l| l.snapshots.to_string()).collect::<Vec<_>>().join(", ");
        let _ = write!(
            out,
            "\nresident memory, medians of the fifths; \"in 10 min\" is Theil and Sen's slope without the first fifth; {snapshots} snapshots were written\n\
             flat: from the second fifth to the last less than {} % or {}, and less than {} in any case\n",
            FLAT_SHARE * 100.0,
            bytes(NOISE_BYTES),
            bytes(MAX_FLAT_BYTES),
        );
        out
    }

    /// Returns the results as JSON, with every sample.
    pub fn json(&self) -> Json {
        let node = |(i, node): (usize, &Vec<MemorySample>)| {
            let growth = self.growth(node);
            json!({
                "node": format!("n{}", i + 1),
                "flat": growth.is_some_and(|g| g.is_flat()),
                "second_fifth_bytes": growth.map(|g| g.early),
                "last_fifth_bytes": growth.map(|g| g.late),
                "slope_bytes_per_s": growth.map(|g| g.slope_per_s),
                "samples": node.iter().map(|l| json!({
                    "t_s": l.t_s, "rss_bytes": l.rss, "state_bytes": l.state, "disk_bytes": l.disk, "segments": l.segments, "snapshots": l.snapshots,
                })).collect::<Vec<_>>(),
            })
        };
        json!({
            "clients": MANY_CLIENTS,
            "keys": self.setup.keys,
            "load_s": self.setup.load_for.as_secs_f64(),
            "ops": self.ops,
            "unanswered": self.unanswered,
            "flat": self.is_flat(),
            "nodes": self.nodes.iter().enumerate().map(node).collect::<Vec<_>>(),
        })
    }
}

/// Formats bytes with a sign.
fn signed(n: f64) -> String {
    format!("{}{}", if n < 0.0 { "−" } else { "+" }, bytes(n.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(rss: impl Fn(f64) -> f64) -> MemoryResults {
        let setup = MemorySetup { load_for: Duration::from_secs(600), keys: 100, folder: PathBuf::new() };
        let look =
            |t: u32| MemorySample { t_s: f64::from(t), rss: rss(f64::from(t)), state: 5_000, disk: 3 << 24, segments: 2, snapshots: 7 };
        MemoryResults { setup, ops: 3_000_000, unanswered: 0, nodes: vec![(0..=600).map(look).collect(); 3] }
    }

    #[test]
    fn reports_a_single_growing_node() {
        let flat = measured(|_| 15e6);
        assert!(flat.is_flat() && flat.text().matches(" flat\n").count() == 3, "{}", flat.text());
        let mut grows = measured(|_| 15e6);
        grows.nodes[1] = measured(|t| 15e6 + 5e3 * t).nodes.remove(0);
        assert!(!grows.is_flat());
        let line = grows.text().lines().find(|l| l.starts_with("n2")).expect("a line each").to_owned();
        assert!(line.ends_with("GROWS") && line.contains("+1.8 MB") && line.contains("+3 MB") && line.contains("+1 B"), "{line}");
        assert_eq!(grows.json()["flat"], false);
        let mut silent = measured(|_| 15e6);
        silent.nodes[2].clear();
        assert!(!silent.is_flat() && silent.text().contains("n3   too few samples: 0"), "it was not reported: {}", silent.text());
    }

    #[test]
    fn parses_the_resident_size() {
        assert_eq!(resident_bytes("Name:\theckle\nVmPeak:\t  999 kB\nVmRSS:\t   12345 kB\nThreads:\t4\n"), Some(12_345.0 * 1024.0));
        assert_eq!(resident_bytes("Name:\tkworker\n"), None);
    }
}
