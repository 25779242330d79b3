//! The processes of one cluster: started together, watched, faulted, restarted on their data, and ended with the run.
//! The system under test supplies whatever differs between systems.

mod events; // records what a system's watcher reports
mod identity; // identifies a process by its start time and run folder
pub mod helpers; // processes that help a system's clients
mod log_tail; // the end of a process's log, with its assertion or panic
mod log; // the log of a process, up to a size limit
pub mod pids;
pub mod process;
mod running; // all processes of a node as a unit
mod strays; // processes that a node left in the background
mod signals; // signals that faults send to a process, and their undoing
mod power; // power losses
mod lost_disk; // faults that take away what a node has synced
mod self_end; // faults that make a node end by itself

use crate::clock::RunClock;
use crate::limits;
use crate::plan::{ClockOffset, Plan};
use crate::recorder::Recorder;
use crate::relay::raw::Owners;
use crate::relay::{Relay, Route};
use crate::stop::{Stop, StopReason};
use heckle_checker::checks::crash::{self, Phase};
use heckle_faults::Node;
use heckle_history::{Event, Names, NodeEvent, NodeIx};
use heckle_loopback::LoopbackClaim;
use heckle_system_api::System;
use heckle_system_api::capability::{ClockState, NodeEvents, Sample, Watch};
use heckle_system_api::identity::{Mistaken, Target};
use heckle_system_api::launch::{Addresses, Dialler, NodeSpec, RelayPorts, Site};
use heckle_system_api::process::ONLY;
use process::Spawner;
use running::{LogPart, RunningNode};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time limit for the recovery of a node. Beyond it the run is broken.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Time limit for the kernel to show the effect of a signal.
const SIGNAL_WITHIN: Duration = Duration::from_secs(2);
/// Time that a node has to end after SIGTERM, before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(8);
/// Interval between two checks of all processes.
const WATCH_EVERY: Duration = Duration::from_millis(20);

use self_end::ExpectedEnd;
pub use self_end::SelfEnd;
pub use signals::EndCause;

/// Figures on what a fault did or undid, for the history.
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
    /// Reserves the address of all nodes; released after the nodes are gone.
    _claim: LoopbackClaim,
}

struct NodeSlot {
    spec: NodeSpec,
    process: Option<RunningNode>,
    /// Whether we ended the process, or its end was noticed already.
    end_handled: bool,
    /// Whether the last check found a listener in place of the ended process.
    saw_listener: bool,
    /// Whether any process of the node has been ready.
    was_ready: bool,
    /// How a fault makes the node end by itself, if one does.
    expected_end: Option<ExpectedEnd>,
    /// The log to read: that of the first process, or of the one that ended.
    log: LogPart,
}

impl Cluster {
    /// Starts all nodes and waits until each has recovered and reached its peers.
    ///
    /// # Errors
    /// Returns the node that did not start, the reason, and the end of its log.
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
        for slot in &shared.nodes {
            shared.launch(&mut lock(slot))?;
        }
        for slot in &shared.nodes {
            shared.await_ready(&mut lock(slot))?;
        }
        cluster.await_peers()?;
        let watcher = std::thread::Builder::new().name("watch".into()).spawn(move || shared.watch());
        cluster.watch = Some(watcher.map_err(|e| limits::no_thread(&e))?);
        Ok(cluster)
    }

    /// Returns where clients reach each node, relay included, and the identity that must answer there.
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
        let running = slot.process.as_ref()?.state().is_some_and(|s| s != 'T' && s != 'Z');
        running.then(|| slot.spec.clone())
    }

    /// Returns the figures of a node that is free to answer, if the system reports any.
    pub fn sample_if_free(&self, node: Node) -> Option<Sample> {
        let metrics = self.shared.system.metrics()?;
        metrics.sample(&self.spec_if_free(node)?).ok()
    }

    /// Returns the node that has a role now, and how it was chosen.
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

    /// Listens to the nodes for the duration of the run, if the system reports events.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn watch(&self, clock: RunClock) -> Result<Option<Arc<dyn Watch>>, String> {
        let specs: Vec<NodeSpec> = self.shared.nodes.iter().map(|slot| lock(slot).spec.clone()).collect();
        let events: Arc<dyn NodeEvents> = Arc::new(events::Events::new(clock, self.shared.recorder.clone(), self.shared.names.clone()));
        let watch = self.shared.system.watch(&specs, &events)?;
        Ok(watch.map(Arc::from))
    }

    /// Records what a node stores. `calm`: clients send no more operations.
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

    /// Waits until no node has work left to drain, at most `patience`, and records the state of all nodes. Whatever
    /// is left then is a leak.
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

    /// Whether a node answers now and reports that it is ready.
    pub fn is_ready(&self, node: Node) -> bool {
        self.shared.system.is_ready(&self.spec(node))
    }

    /// Returns the number of nodes.
    pub fn size(&self) -> u16 {
        self.shared.nodes.len() as u16
    }

    /// Ends all nodes cleanly, paused ones included. Returns those that had to be killed.
    pub fn stop(&mut self) -> Vec<String> {
        self.shared.over.store(true, Ordering::SeqCst);
        let mut forced = vec![];
        for slot in &self.shared.nodes {
            let mut slot = lock(slot);
            // A process that ended by itself before this point was not asked to.
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
            let status = process.wait_ended(STOP_WITHIN);
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

    fn await_peers(&self) -> Result<(), String> {
        let deadline = Instant::now() + READY_WITHIN;
        for slot in &self.shared.nodes {
            let spec = lock(slot).spec.clone();
            loop {
                match self.shared.system.sees_peers(&spec) {
                    Ok(true) => break,
                    Ok(false) | Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                    Ok(false) => return Err(format!("{} did not reach its peers within {} s", spec.name, READY_WITHIN.as_secs())),
                    Err(e) => return Err(format!("{} does not answer the harness: {e}", spec.name)),
                }
            }
        }
        Ok(())
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

/// Allocates addresses for the processes of one cluster, from its claim.
struct ClaimedAddresses<'a>(&'a LoopbackClaim);

impl Addresses for ClaimedAddresses<'_> {
    fn take(&self, count: usize) -> Result<Vec<SocketAddr>, String> {
        self.0.addresses(count).map_err(|e| format!("the cluster needs {count} ports: {e}"))
    }
}

impl RelayPorts for Relay {
    fn open(&self, from: Dialler, to: NodeIx, listens: SocketAddr) -> std::io::Result<SocketAddr> {
        let to = Node(to.0 + 1);
        let route = match from {
            Dialler::Node(from) => Route::Nodes { from: Node(from.0 + 1), to },
            Dialler::Clients => Route::Clients { to },
            Dialler::Anyone => Route::Anyone { to },
        };
        Relay::open(self, route, listens)
    }
}

/// Ends the run if another program answers in place of a node.
fn on_foreign_server(stop: &Stop) -> Mistaken {
    let stop = stop.clone();
    Mistaken::new(move |why| stop.ask(StopReason::Broken(why)))
}

fn slot(spec: NodeSpec, folder: &Path) -> Result<NodeSlot, String> {
    let dir = folder.join("nodes").join(&spec.name);
    std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
    let first = spec.processes.first().map_or(ONLY, |process| &process.name);
    let log = LogPart { path: running::log_path(folder, &spec.name, first), from: 0 };
    Ok(NodeSlot { spec, process: None, end_handled: false, saw_listener: false, was_ready: false, expected_end: None, log })
}

impl NodeSlot {
    /// Selects the log of the process that ended as the one to read.
    fn select_ended_log(&mut self) {
        if let Some(process) = &mut self.process {
            self.log = process.log();
        }
    }
}

impl Shared {
    fn launch(&self, slot: &mut NodeSlot) -> Result<(), String> {
        let name = slot.spec.name.clone();
        let node = name.parse().ok();
        let started = |pid| {
            // The relay must know the owner of the process before the process dials.
            node.into_iter().for_each(|node| self.owners.register(pid, node));
            pids::append(&self.folder, &name, pid).map_err(|e| std::io::Error::new(e.kind(), format!("{}: {e}", pids::FILE)))
        };
        let process = RunningNode::start(&self.spawner, &self.program, &slot.spec, &self.folder, started);
        let mut process = process.map_err(|(process, e)| {
            let of = if process == ONLY { String::new() } else { format!("`{process}` of ") };
            format!("cannot start {of}{name}: {}", limits::named(&e))
        })?;
        slot.log = process.log();
        slot.process = Some(process);
        Ok(())
    }

    fn await_ready(&self, slot: &mut NodeSlot) -> Result<(), String> {
        let process = slot.process.as_mut().expect("it was just launched");
        let ready = self.system.await_ready(&slot.spec, process, READY_WITHIN).and_then(|detail| self.set_clock(&slot.spec, detail));
        let pid = process.pid();
        let mut detail = match ready {
            Ok(detail) => detail,
            Err(why) => return Err(self.record_failed_start(slot, &why)),
        };
        slot.was_ready = true;
        detail.insert("pid".into(), pid.into());
        self.record_by_name(&slot.spec.name, "start", detail);
        Ok(())
    }

    /// Sets the clock that is wrong for the whole run. A process begins with the right time, also after a restart.
    fn set_clock(&self, spec: &NodeSpec, mut detail: Evidence) -> Result<Evidence, String> {
        let Some(offset) = self.clock_offset.filter(|offset| offset.node.to_string() == spec.name) else { return Ok(detail) };
        let clocks = self.system.clocks().ok_or_else(|| format!("the clocks of {} cannot be set", self.system.name()))?;
        let setting = ClockState { offset_us: offset.offset_us, drift_ppm: 0 };
        clocks.set(spec, setting).map_err(|e| format!("its clock cannot be set: {e}"))?;
        detail.insert("clock_offset_us".into(), offset.offset_us.into());
        Ok(detail)
    }

    /// Records that a node did not become ready. Returns the reason in words, with the end of the log of the process that
    /// ended, or of all logs.
    fn record_failed_start(&self, slot: &mut NodeSlot, why: &str) -> String {
        let process = slot.process.as_mut();
        let (status, logs) = process.map_or((None, vec![]), |process| (process.ended(), process.logs()));
        let background = slot.process.as_mut().and_then(RunningNode::end_background_process);
        let why = background.as_deref().unwrap_or(why);
        slot.select_ended_log();
        let end = log_tail::end(status, &slot.log.path, slot.log.from);
        let logs = if status.is_some() || logs.is_empty() { vec![slot.log.clone()] } else { logs };
        if end.signal.is_some() || end.code.is_some() {
            let phase = if slot.was_ready { Phase::Restart } else { Phase::FirstStart };
            self.record_by_name(&slot.spec.name, crash::EXIT, log_tail::detail(&end, phase, "itself"));
            slot.process = None;
        } else {
            self.record_by_name(&slot.spec.name, crash::START_FAILED, [("why".to_owned(), why.into())].into());
        }
        slot.end_handled = true;
        let again = if slot.was_ready { " again" } else { "" };
        let ends = logs.iter().map(|log| log_tail::quote(&log_tail::end(None, &log.path, log.from), &log.path));
        format!("{} did not start{again}: {why}\n{}", slot.spec.name, ends.collect::<Vec<_>>().join("\n"))
    }

    fn record(&self, index: usize, what: &str, detail: BTreeMap<String, Json>) {
        self.record_by_name(&format!("n{}", index + 1), what, detail);
    }

    fn record_by_name(&self, name: &str, what: &str, detail: BTreeMap<String, Json>) {
        let node = self.names.nodes().find(|(_, n)| *n == name).expect("all nodes are in the header").0;
        self.recorder.record(|t| Event::Node(NodeEvent { t, node, what: what.into(), detail }));
    }

    /// Checks that nothing listens in place of a node whose process is gone. It takes two sightings, so that the last
    /// moment of a process that was just killed does not count as a foreign program.
    fn check_for_foreign_listener(&self, slot: &mut NodeSlot) {
        if slot.process.is_some() {
            slot.saw_listener = false;
            return;
        }
        let found = self.system.who_answers(&slot.spec);
        if let Some((addr, who)) = found.as_ref().filter(|_| slot.saw_listener) {
            slot.spec.node.report_stranger(*addr, who);
        }
        slot.saw_listener = found.is_some();
    }

    /// Returns why a node did not start again. If another program has its port, that program is the reason, and the
    /// run stops for it.
    fn explain_failed_start(&self, slot: &mut NodeSlot, why: String) -> String {
        if slot.process.as_mut().is_some_and(|process| RunningNode::ended(process).is_none()) {
            return why;
        }
        slot.process = None;
        match self.system.who_answers(&slot.spec) {
            Some((addr, who)) => format!("{}; {why}", slot.spec.node.report_stranger(addr, &who)),
            None => why,
        }
    }

    /// Watches for nodes that end without having been faulted.
    fn watch(&self) {
        while !self.over.load(Ordering::SeqCst) {
            for slot in &self.nodes {
                // A locked slot is being faulted or restarted right now.
                if let Ok(mut slot) = slot.try_lock() {
                    self.check_process(&mut slot);
                    if slot.end_handled {
                        self.check_for_foreign_listener(&mut slot);
                    }
                }
            }
            std::thread::sleep(WATCH_EVERY);
        }
    }

    /// Records the end of a node that was not asked to end, and stops the run. A crash of the system counts as a
    /// violation, anything else as an error of the machine.
    fn check_process(&self, slot: &mut NodeSlot) {
        if slot.end_handled {
            return;
        }
        let Some(status) = slot.process.as_mut().and_then(RunningNode::ended) else { return };
        if let (Some(expected), Some(process)) = (&mut slot.expected_end, &slot.process)
            && expected.is_met_by(status, process)
        {
            let by = expected.by;
            slot.select_ended_log();
            let node = slot.spec.name.parse().expect("nodes are called n1, n2 ...");
            self.record_asked_end(node, slot, status, by);
            return;
        }
        slot.end_handled = true;
        slot.select_ended_log();
        let background = slot.process.as_mut().and_then(RunningNode::end_background_process);
        let who = slot.process.as_mut().and_then(RunningNode::ended_process_name);
        slot.process = None;
        let end = log_tail::end(Some(status), &slot.log.path, slot.log.from);
        // A node that was never ready has promised nothing yet, so its end is not a crash unless its log shows one.
        let phase = if slot.was_ready { Phase::Serving } else { Phase::FirstStart };
        self.record_by_name(&slot.spec.name, crash::EXIT, log_tail::detail(&end, phase, "itself"));
        match crash::cause(&end, phase) {
            crash::Cause::Crash | crash::Cause::Asked => self.stop.ask(StopReason::Violation),
            crash::Cause::Outside(why) => {
                let (name, how, of) = (&slot.spec.name, crash::how(&end), who.map_or(String::new(), |who| format!("`{who}` of ")));
                let why = background.unwrap_or(why.to_owned());
                let why = format!("{of}{name} ended without a fault, with {how}: {why}\n{}", log_tail::quote(&end, &slot.log.path));
                self.stop.ask(StopReason::Broken(why));
            }
        }
    }
}
