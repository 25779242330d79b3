//! A cluster for benchmarks, started in the same way as for a run, but without relay and faults.

use crate::clock::RunClock;
use crate::cluster::Cluster;
use crate::plan::Plan;
use crate::recorder::{Recorder, RecorderThread};
use crate::stop::{Stop, StopReason};
use heckle_faults::Node;
use heckle_history::{Header, Names, NodeIx};
use heckle_system_api::connection::Connection;
use heckle_system_api::identity::Target;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The role of the node to measure, if the system has that role.
const LEADER: &str = "leader";
/// Time limit for the election of a leader.
const LEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A running cluster. Dropping it stops its processes and removes its folder.
pub(super) struct BenchCluster {
    pub(super) plan: Plan,
    cluster: Option<Cluster>,
    recording: Option<RecorderThread>,
    folder: PathBuf,
    /// The target of every client: the leader, so that neither system incurs the cost of forwarding.
    leader: Option<Target>,
    stop: Stop,
}

impl BenchCluster {
    /// Starts a cluster and waits for its leader.
    pub(super) fn start(below: &Path, plan: Plan) -> Result<BenchCluster, String> {
        let unique = format!("bench-{}-{}-{:08x}", plan.system.name(), std::process::id(), rand::random::<u32>());
        let folder = below.join(unique);
        std::fs::create_dir_all(&folder)
            .map_err(|e| format!("cannot make {}: {e}; name a writable folder with --out", folder.display()))?;
        let stop = Stop::default();
        let mut standing = BenchCluster { plan, cluster: None, recording: None, folder, leader: None, stop: stop.clone() };
        let nodes: Vec<String> = (1..=standing.plan.nodes).map(|n| Node(n).to_string()).collect();
        let header = Header { nodes: nodes.clone(), ..Header::default() };
        let mut names = Names::default();
        for node in &nodes {
            names.node(node);
        }
        let names = Arc::new(names);
        let history = standing.folder.join("history.jsonl.zst");
        let recording = Recorder::start(&history, &header, names.clone(), RunClock::start(), None, stop.clone())
            .map_err(|e| format!("cannot write {}: {e}", history.display()))?;
        let recorder = recording.handle();
        standing.recording = Some(recording);
        let cluster = Cluster::start(&standing.plan, &standing.folder, None, recorder, names, stop)?;
        standing.leader = Some(leader(&cluster)?);
        standing.cluster = Some(cluster);
        Ok(standing)
    }

    /// Returns the cluster's processes.
    pub(super) fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Returns the target of every client.
    ///
    /// # Errors
    /// If the cluster has not started.
    pub(super) fn leader(&self) -> Result<&Target, String> {
        self.leader.as_ref().ok_or_else(|| "no node leads".to_owned())
    }

    /// Checks that no node has died or been replaced by another program.
    ///
    /// # Errors
    /// If a node has died or been replaced.
    pub(super) fn check_nodes(&self) -> Result<(), String> {
        match self.stop.reason() {
            Some(StopReason::Broken(why)) => Err(why),
            Some(StopReason::Violation | StopReason::Interrupted) | None => Ok(()),
        }
    }

    /// Returns the folder of the cluster's data.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the number of syncs of all nodes since they started, if the system reports it.
    pub(super) fn syncs(&self) -> Option<u64> {
        let cluster = self.cluster.as_ref()?;
        let samples = (1..=cluster.size()).map(|n| cluster.sample_if_free(Node(n)));
        samples.map(|sample| sample?.counters.get("syncs").copied()).sum()
    }

    /// Opens a client connection, using the fastest client available for the system.
    pub(super) fn connect(&self, leader: &Target, name: String) -> Rc<dyn Connection> {
        #[cfg(feature = "etcd")]
        if self.plan.system.name() == heckle_system_etcd::NAME {
            return Rc::new(super::grpc::GrpcConnection::new(leader.addr, self.plan.codec()));
        }
        self.plan.system.connect(leader, name, self.plan.codec())
    }
}

impl Drop for BenchCluster {
    fn drop(&mut self) {
        drop(self.cluster.take());
        if let Some(recording) = self.recording.take() {
            let _ = recording.finish(|_| [].into());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Finds the leader, or the first node in a system without leaders, where every node coordinates.
fn leader(cluster: &Cluster) -> Result<Target, String> {
    let deadline = Instant::now() + LEADER_TIMEOUT;
    let all = cluster.targets();
    let Some(roles) = cluster.system().roles().filter(|roles| roles.all().iter().any(|role| role.name == LEADER)) else {
        return all.first().cloned().ok_or_else(|| "there is no node".to_owned());
    };
    let running: Vec<_> = (0..cluster.size()).map(|i| (NodeIx(i), cluster.spec(Node(i + 1)))).collect();
    loop {
        match roles.find(LEADER, &running) {
            Ok((node, _)) => return Ok(all[usize::from(node.0)].clone()),
            Err(why) if Instant::now() > deadline => {
                return Err(format!("no node of {} leads after {} s: {why}", cluster.system().name(), LEADER_TIMEOUT.as_secs()));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
