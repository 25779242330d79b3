//! The processes of one cluster: started together, watched, faulted, restarted on their data, and stopped at the end
//! of the run. The system under test supplies everything that differs between systems.

mod events; // records events reported by a system's watcher
mod identity; // identifies a process by its start time and run folder
pub mod helpers; // processes that help a system's clients
mod log_tail; // the end of a process's log, with its assertion or panic
mod log; // copies a process's output to its log, up to a size limit
pub mod pids;
pub mod process;
mod running; // all processes of a node as a unit
mod site; // what the cluster offers to the adapter of the system
mod attached; // nodes that run already: commands instead of signals
mod start; // starting nodes, and waiting until they serve
mod watcher; // process exits and listeners that no fault explains
mod strays; // processes that a node left in the background
mod signals; // signals that faults send to a process, and how they are undone
mod power; // power losses
mod lost_disk; // faults that destroy synced data
mod self_end; // faults that make a node exit by itself

use crate::clock::RunClock;
use crate::limits;
use crate::plan::{ClockOffset, Plan};
use crate::recorder::Recorder;
use crate::relay::Relay;
use crate::relay::raw::Owners;
use crate::stop::Stop;
use heckle_checker::checks::crash::{self, Phase};
use heckle_faults::Node;
use heckle_history::{Event, Names, NodeEvent, NodeIx};
use heckle_loopback::LoopbackClaim;
use heckle_system_api::System;
use heckle_system_api::capability::{NodeEvents, Sample, Watch};
use heckle_system_api::identity::Target;
use heckle_system_api::launch::{NodeSpec, RelayPorts, Site};
use heckle_system_api::process::ONLY;
use process::Spawner;
use running::{LogPart, RunningNode};
use serde_json::Value as Json;
use site::{ClaimedAddresses, on_foreign_server};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time limit for a node to recover. If it is exceeded, the run is broken.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// Time limit for the kernel to report the effect of a signal.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for a node to exit after SIGTERM before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// Interval between checks of all processes.
const WATCH_EVERY: Duration = Duration::from_millis(20);

use self_end::ExpectedEnd;
pub use self_end::SelfEnd;
pub use signals::EndCause;

/// Figures that document what a fault did or undid, for the history.
pub type Evidence = BTreeMap<String, Json>;

/// All nodes of a run.
pub struct Cluster {
    shared: Arc<Shared>,
    watch: Option<JoinHandle<()>>,
}

struct Shared {
    spawner: Arc<Spawner>,
    system: Arc<dyn System>,
    /// Fixed wall-clock offset of one node.
    clock_offset: Option<ClockOffset>,
    program: PathBuf,
    folder: PathBuf,
    nodes: Vec<Mutex<NodeSlot>>,
    recorder: Recorder,
    names: Arc<Names>,
    stop: Stop,
    /// Which process belongs to which node, for a relay that identifies diallers.
    owners: Owners,
    over: AtomicBool,
    /// Reserves the address of all nodes. Released after the nodes are gone.
    _claim: LoopbackClaim,
}

struct NodeSlot {
    spec: NodeSpec,
    process: Option<RunningNode>,
    /// Whether we ended the process or have already noticed its end.
    end_handled: bool,
    /// Whether the last check found a listener on the port of the ended process.
    saw_listener: bool,
    /// Whether the node has ever been ready.
    was_ready: bool,
    /// Whether a command of the plan has taken down a node that the harness did not start.
    is_down: bool,
    /// How a fault makes the node end by itself, if one does.
    expected_end: Option<ExpectedEnd>,
    /// The log to read: the first process's log, or the log of the process that ended.
    log: LogPart,
}

impl Cluster {
    /// Starts all nodes and waits until each one has recovered and reached its peers.
    ///
    /// # Errors
    /// Names the node that did not start, the reason, and the end of its log.
    pub fn start(
        plan: &Plan,
        folder: &Path,
        relay: Option<&Relay>,
        recorder: Recorder,
        names: Arc<Names>,
        stop: Stop,
    ) -> Result<Cluster, String> {
        let system = plan.system.clone();
        let program = plan.bin.clone().map_or_else(|| system.program(), Ok)?;
        let claim = LoopbackClaim::new().map_err(|e| e.to_string())?;
        let spawner = Arc::new(Spawner::start().map_err(|e| limits::no_thread(&e))?);
        let specs = system.nodes(&Site {
            folder,
            cluster: &name_of(folder),
            nodes: plan.nodes,
            seed: plan.seed,
            unsynced: plan.unsynced(),
            links: relay.map(|relay| relay as &dyn RelayPorts),
            addresses: &ClaimedAddresses(&claim),
            mistaken: on_foreign_server(&stop),
            helpers: Arc::new(helpers::RunHelpers::new(spawner.clone(), folder)),
        })?;
        let slots = specs.into_iter().map(|spec| slot(spec, folder).map(Mutex::new));
        let nodes = slots.collect::<Result<Vec<_>, String>>()?;
        pids::append(folder, pids::HARNESS, std::process::id()).map_err(|e| format!("cannot write {}: {e}", pids::FILE))?;
        let shared = Arc::new(Shared {
            spawner,
            system,
            clock_offset: plan.clock_offset,
            program,
            folder: folder.to_owned(),
            nodes,
            recorder,
            names,
            stop,
            owners: relay.and_then(Relay::owners).unwrap_or_else(|| Owners::new(&name_of(folder))),
            over: AtomicBool::new(false),
            _claim: claim,
        });
        let mut cluster = Cluster { shared: shared.clone(), watch: None };
        shared.start_all()?;
        cluster.await_peers()?;
        let watcher = std::thread::Builder::new().name("watch".into()).spawn(move || shared.watch());
        cluster.watch = Some(watcher.map_err(|e| limits::no_thread(&e))?);
        Ok(cluster)
    }

    /// Returns the address at which clients reach each node, through the relay if there is one, and the identity expected there.
    pub fn targets(&self) -> Vec<Target> {
        self.shared.nodes.iter().map(|s| lock(s).spec.target()).collect()
    }

    /// Returns the system under test.
    pub fn system(&self) -> &dyn System {
        &*self.shared.system
    }

    /// Returns how a node is started and reached.
    pub fn spec(&self, node: Node) -> NodeSpec {
        self.slot(node).spec.clone()
    }

    /// Like [`Cluster::spec`], but returns `None` without waiting for a node that is down, paused or being faulted.
    pub fn spec_if_free(&self, node: Node) -> Option<NodeSpec> {
        let slot = self.shared.nodes[node_index(node)].try_lock().ok()?;
        let running = match (self.shared.system.attached(), &slot.process) {
            (Some(_), _) => !slot.is_down,
            (None, process) => process.as_ref()?.state().is_some_and(|s| s != 'T' && s != 'Z'),
        };
        running.then(|| slot.spec.clone())
    }

    /// Returns the figures of a node, if it is free to answer and the system reports any.
    pub fn sample_if_free(&self, node: Node) -> Option<Sample> {
        let metrics = self.shared.system.metrics()?;
        metrics.sample(&self.spec_if_free(node)?).ok()
    }

    /// Returns the node that currently has a role, and how it was chosen.
    ///
    /// # Errors
    /// If no node answers, or the system has no such role.
    pub fn find_role(&self, role: &str) -> Result<(Node, String), String> {
        let system = self.system();
        let roles = system.roles().ok_or_else(|| format!("the nodes of {} have no roles", system.name()))?;
        let running: Vec<_> = (0..self.size()).filter_map(|i| Some((NodeIx(i), self.spec_if_free(Node(i + 1))?))).collect();
        let (node, how) = roles.find(role, &running)?;
        Ok((Node(node.0 + 1), how))
    }

    /// Watches the nodes' events for the duration of the run, if the system reports any.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn watch(&self, clock: RunClock) -> Result<Option<Arc<dyn Watch>>, String> {
        let specs: Vec<NodeSpec> = self.shared.nodes.iter().map(|slot| lock(slot).spec.clone()).collect();
        let events: Arc<dyn NodeEvents> = Arc::new(events::Events::new(clock, self.shared.recorder.clone(), self.shared.names.clone()));
        let watch = self.shared.system.watch(&specs, &events)?;
        Ok(watch.map(Arc::from))
    }

    /// Records the state that a node stores. `calm` means that clients send no more operations.
    pub fn record_state(&self, node: Node, sample: &Sample, calm: bool) {
        if sample.state.is_empty() {
            return;
        }
        let mut detail: BTreeMap<String, Json> = sample.state.iter().map(|(name, figure)| ((*name).to_owned(), (*figure).into())).collect();
        if calm {
            detail.insert("calm".into(), true.into());
        }
        self.shared.record(node_index(node), heckle_history::event::STATE, detail);
    }

    /// Waits up to `patience` for all nodes to drain their work, and records the state of every node. Any state that remains is a leak.
    pub fn settle(&self, stop: &Stop, patience: Duration) {
        let deadline = Instant::now() + patience;
        for node in (1..=self.size()).map(Node) {
            while let Some(sample) = self.sample_if_free(node) {
                if sample.pending == 0 || Instant::now() >= deadline || stop.reason().is_some() {
                    self.record_state(node, &sample, stop.reason().is_none());
                    break;
                }
                std::thread::sleep(WATCH_EVERY);
            }
        }
    }

    /// Whether a node currently answers and reports that it is ready.
    pub fn is_ready(&self, node: Node) -> bool {
        self.shared.system.is_ready(&self.spec(node))
    }

    /// Returns the number of nodes.
    pub fn size(&self) -> u16 {
        self.shared.nodes.len() as u16
    }

    /// Stops all nodes cleanly, including paused ones. Returns those that had to be killed.
    pub fn stop(&mut self) -> Vec<String> {
        self.shared.over.store(true, Ordering::SeqCst);
        let mut forced = vec![];
        for slot in &self.shared.nodes {
            let mut slot = lock(slot);
            // A process that ended before this point did so by itself.
            self.shared.check_process(&mut slot);
            slot.end_handled = true;
            if let Some(process) = slot.process.as_mut() {
                let _ = process.ask_to_end();
                let _ = process.signal(libc::SIGCONT);
            }
        }
        for (i, slot) in self.shared.nodes.iter().enumerate() {
            let mut slot = lock(slot);
            let Some(mut process) = slot.process.take() else { continue };
            let status = process.wait_ended(STOP_TIMEOUT);
            let end = log_tail::end(status, &slot.log.path, slot.log.from);
            let mut detail = log_tail::detail(&end, Phase::Asked, "teardown");
            if status.is_none() {
                forced.push(slot.spec.name.clone());
                detail.insert("how".into(), "SIGKILL after it ignored SIGTERM".into());
                detail.insert("signal".into(), libc::SIGKILL.into());
            }
            drop(process);
            self.shared.record(i, crash::EXIT, detail);
        }
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
        forced
    }

    fn slot(&self, node: Node) -> MutexGuard<'_, NodeSlot> {
        lock(&self.shared.nodes[node_index(node)])
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the cluster's name, derived from the folder of its run.
pub fn name_of(folder: &Path) -> String {
    folder.file_name().map_or("heckle".into(), |name| name.to_string_lossy().into_owned())
}

fn lock(slot: &Mutex<NodeSlot>) -> MutexGuard<'_, NodeSlot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn node_index(node: Node) -> usize {
    usize::from(node.0) - 1
}

fn slot(spec: NodeSpec, folder: &Path) -> Result<NodeSlot, String> {
    let dir = folder.join("nodes").join(&spec.name);
    std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
    let first = spec.processes.first().map_or(ONLY, |process| &process.name);
    let log = LogPart { path: running::log_path(folder, &spec.name, first), from: 0 };
    Ok(NodeSlot { spec, process: None, end_handled: false, saw_listener: false, was_ready: false, is_down: false, expected_end: None, log })
}

impl NodeSlot {
    /// Selects the log of the process that ended for reading.
    fn select_ended_log(&mut self) {
        if let Some(process) = &mut self.process {
            self.log = process.log();
        }
    }
}

impl Shared {
    fn record(&self, index: usize, what: &str, detail: BTreeMap<String, Json>) {
        self.record_by_name(&format!("n{}", index + 1), what, detail);
    }

    fn record_by_name(&self, name: &str, what: &str, detail: BTreeMap<String, Json>) {
        let node = self.names.nodes().find(|(_, n)| *n == name).expect("all nodes are in the header").0;
        self.recorder.record(|t| Event::Node(NodeEvent { t, node, what: what.into(), detail }));
    }
}
